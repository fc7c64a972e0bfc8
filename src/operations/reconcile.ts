/** Asks the provider about purchases of which news may have been lost: events that never arrived, a crash before an answer was on record. */

import { fulfil, tell } from './fulfil.ts'
import type { Payments } from './payments.ts'
import { timeFor } from './read-credits.ts'
import type { Services } from './services.ts'

/** Purchases younger than that are left to the events. */
export const RECONCILE_AFTER_MS = 15 * 60_000
const PURCHASES_AT_ONCE = 100

/** Looks at every purchase that waits for news. One that fails does not keep the others: the first fault is thrown in the end. */
export async function reconcile(services: Services): Promise<void> {
  const { store, payments, clock } = services
  if (payments === null) return
  const faults: unknown[] = []
  const openedBeforeMs = clock() - RECONCILE_AFTER_MS
  for (let after: Parameters<typeof store.watchedPurchases>[0]['after'] = null; ; ) {
    const page = await store.watchedPurchases({ openedBeforeMs, after, limit: PURCHASES_AT_ONCE })
    for (const { account, seq } of page) {
      try {
        await reconcileOne(services, payments, { account, purchase: seq })
      } catch (fault) {
        faults.push(fault)
      }
    }
    after = page.at(-1) ?? null
    if (after === null) break
  }
  if (faults.length > 0) throw faults[0]
}

async function reconcileOne(
  services: Services,
  payments: Payments,
  place: { readonly account: number; readonly purchase: number },
): Promise<void> {
  const facts = await services.store.purchase(place.account, place.purchase)
  if (facts?.purchase.terms.provider !== payments.provider.name) return
  const { link, paid, expiresAtMs } = facts.purchase
  const reference = paid?.payment.reference ?? link?.reference
  if (reference !== undefined) await fulfil(services, payments, reference)
  // Nobody was ever given its page, so nobody can pay it.
  else if (expiresAtMs <= (await timeFor(services, place.account)))
    await tell(services, place, { kind: 'close_checkout', purchase: place.purchase, outcome: 'expired' })
}
