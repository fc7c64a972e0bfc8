/** How an attempt to top up an account by itself comes to nothing: told by whoever asked for it, or by the end of the page where it was to be confirmed. */

import { RETRY_AFTER_MS } from '../auto-topup.ts'
import type { Draft } from '../draft.ts'

/** An attempt that came to nothing. */
export interface FailTopupCommand {
  /** Sequence of the attempt's record. */
  readonly purchase: number
  readonly code: string
  /** Whether the same card may be asked again later. */
  readonly mayRetry: boolean
  readonly isDecline: boolean
}

/** Puts it on record, and when the card may be asked again; false: the attempt is not in flight. */
export function failTopup(draft: Draft, { purchase, code, mayRetry, isDecline }: FailTopupCommand): boolean {
  const { autoTopup } = draft.state
  const attempt = autoTopup?.attempt
  if (attempt?.purchase !== purchase) return false
  const before = autoTopup?.declined.find(({ card }) => card === attempt.card)?.declines ?? 0
  const pauseMs = mayRetry && isDecline ? RETRY_AFTER_MS[before] : undefined
  const nextAttemptMs = pauseMs === undefined ? null : draft.nowMs + pauseMs
  draft.append({ kind: 'auto_topup_failed', purchase, code, isDecline, nextAttemptMs, events: [] })
  return true
}
