/** What a store keeps besides the ledger, on one screen. */

import { Invoices } from './invoices.ts'
import { Mails } from './mails.ts'
import { Plans } from './plans.ts'
import { SandboxCheckouts } from './sandbox-checkouts.ts'
import { Sessions } from './sessions.ts'
import { SigningKeys } from './signing-keys.ts'
import type { Statements } from './statements.ts'
import { TestClocks } from './test-clocks.ts'
import { TopupOptionsRows } from './topup-options.ts'
import { Users } from './users.ts'
import { type WebhookRows, webhookRows } from './webhooks/webhook-rows.ts'

/** Series of invoices whose numbers have gaps: there is to be none. */
export const BROKEN_SERIES = 'select series from invoices group by series having count(*) <> max(number) order by series'

/** Plain rows by what they are about, through an engine's statements. */
export class PlainData {
  readonly users: Users
  readonly sessions: Sessions
  readonly signingKeys: SigningKeys
  readonly topupOptions: TopupOptionsRows
  readonly sandboxCheckouts: SandboxCheckouts
  readonly invoices: Invoices
  readonly webhooks: WebhookRows
  readonly plans: Plans
  readonly testClocks: TestClocks
  readonly mails: Mails

  constructor(statements: Statements) {
    this.users = new Users(statements)
    this.sessions = new Sessions(statements)
    this.signingKeys = new SigningKeys(statements)
    this.topupOptions = new TopupOptionsRows(statements)
    this.sandboxCheckouts = new SandboxCheckouts(statements)
    this.invoices = new Invoices(statements)
    this.webhooks = webhookRows(statements)
    this.plans = new Plans(statements)
    this.testClocks = new TestClocks(statements)
    this.mails = new Mails(statements)
  }
}
