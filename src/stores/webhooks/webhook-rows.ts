/** What a store keeps of webhooks, on one screen. */

import type { Statements } from '../statements.ts'
import { Attempts } from './attempts.ts'
import { Deliveries } from './deliveries.ts'
import { Endpoints } from './endpoints.ts'
import { FeedReading } from './feed-reading.ts'

/** Plain rows of webhooks by what they are about. */
export interface WebhookRows {
  readonly endpoints: Endpoints
  readonly deliveries: Deliveries
  readonly attempts: Attempts
  readonly feed: FeedReading
}

/** The rows that an engine's statements lead to. */
export function webhookRows(statements: Statements): WebhookRows {
  return {
    endpoints: new Endpoints(statements),
    deliveries: new Deliveries(statements),
    attempts: new Attempts(statements),
    feed: new FeedReading(statements),
  }
}
