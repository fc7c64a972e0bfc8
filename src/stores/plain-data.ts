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

/** Plain rows by what they are about. */
export interface PlainData {
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
}

/** Series of invoices whose numbers have gaps: there is to be none. */
export const BROKEN_SERIES = 'select series from invoices group by series having count(*) <> max(number) order by series'

/** The plain rows that an engine's statements lead to. */
export function plainData(statements: Statements): PlainData {
  return {
    users: new Users(statements),
    sessions: new Sessions(statements),
    signingKeys: new SigningKeys(statements),
    topupOptions: new TopupOptionsRows(statements),
    sandboxCheckouts: new SandboxCheckouts(statements),
    invoices: new Invoices(statements),
    webhooks: webhookRows(statements),
    plans: new Plans(statements),
    testClocks: new TestClocks(statements),
    mails: new Mails(statements),
  }
}
