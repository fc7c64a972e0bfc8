/** How credits are paid for: the provider, and where it sends customers. */

import type { Provider } from '../payments/provider.ts'

/** What purchases work with. */
export interface Payments {
  readonly provider: Provider
  /** The page that a customer comes back to from the provider, by the checkout's id. */
  readonly returnUrl: (checkout: string) => string
}
