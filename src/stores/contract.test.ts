/** What every store promises: one suite, run for each kind of store. Its parts are in test/contract. */

import { describe } from 'node:test'
import { accountsContract } from '../../test/contract/accounts.ts'
import { alertsContract } from '../../test/contract/alerts.ts'
import { autoTopupsContract } from '../../test/contract/auto-topups.ts'
import { idempotencyContract } from '../../test/contract/idempotency.ts'
import { invoicesContract } from '../../test/contract/invoices.ts'
import { keysContract } from '../../test/contract/keys.ts'
import { limitsContract } from '../../test/contract/limits.ts'
import { livesContract } from '../../test/contract/lives.ts'
import { orderingContract } from '../../test/contract/ordering.ts'
import { purchasesContract } from '../../test/contract/purchases.ts'
import { readingContract } from '../../test/contract/reading.ts'
import { sessionsContract } from '../../test/contract/sessions.ts'
import { subscriptionsContract } from '../../test/contract/subscriptions.ts'
import { usageContract } from '../../test/contract/usage.ts'
import { usersContract } from '../../test/contract/users.ts'
import { CONTRACT_KINDS } from '../../test/running/store.ts'

for (const kind of CONTRACT_KINDS)
  describe(`a ${kind} store`, () => {
    idempotencyContract(kind)
    accountsContract(kind)
    orderingContract(kind)
    readingContract(kind)
    usageContract(kind)
    livesContract(kind)
    keysContract(kind)
    limitsContract(kind)
    usersContract(kind)
    sessionsContract(kind)
    purchasesContract(kind)
    invoicesContract(kind)
    subscriptionsContract(kind)
    alertsContract(kind)
    autoTopupsContract(kind)
  })
