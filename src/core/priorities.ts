/** The order in which credits of each source burn, unless a grant says otherwise. */

import type { GrantSource } from './account.ts'

/** What resets burns first; what was paid for burns last. */
export const DEFAULT_PRIORITIES: Readonly<Record<GrantSource, number>> = {
  rollover: 10,
  plan: 20,
  promo: 30,
  refund: 35,
  topup: 40,
  adjustment: 30,
}
