/** Rows of the tables subscriptions and auto_topups as an audit compares them. */

import { statusOf } from '../core/subscription.ts'
import { encodeSubscriptionText } from '../core/subscription-codec.ts'
import type { AutoTopupChange, SubscriptionChange } from './projections.ts'

/** What the table must have of each: sequence, status, when the provider is to be asked, and all the rest; as JSON. */
export function subscriptionRows(subscriptions: Iterable<SubscriptionChange>): readonly string[] {
  return [...subscriptions].map(({ subscription, askingMs }) =>
    JSON.stringify([subscription.seq, statusOf(subscription), askingMs, encodeSubscriptionText(subscription)]),
  )
}

/** What the table must have of an account's automatic top-ups: when the provider is to be asked; as JSON. */
export function autoTopupRows(change: AutoTopupChange | null): readonly string[] {
  return change === null ? [] : [JSON.stringify([change.askingMs])]
}
