/** How credits are paid for: the provider, and where it sends customers. */

import type { Provider } from '../payments/provider.ts'

/** What purchases work with. */
export interface Payments {
  readonly provider: Provider
  /** The page that a customer comes back to from the provider, by the checkout's id. */
  readonly returnUrl: (checkout: string) => string
}

/** When a page ends that is asked for now: the same for a while, because a provider makes one page of orders that are the same. */
export function pageEndsMs(nowMs: number, { checkoutTtlMs: ttlMs }: Pick<Provider, 'checkoutTtlMs'>): number {
  return (Math.floor(nowMs / ttlMs) + 2) * ttlMs
}
