/** A hold as it is: live, or how it ended. */

import { type Microcredits, ZERO } from '../core/credits.ts'
import { heldBy } from '../core/holds.ts'
import type { Address } from '../core/ids.ts'
import type { HoldOpened } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Applied, HoldRow } from '../stores/store.ts'
import { accountNow } from './read-credits.ts'
import type { Services } from './services.ts'

/** A hold with what became of it. */
export interface HoldView {
  readonly account: number
  readonly opened: HoldOpened
  readonly status: HoldRow['status']
  /** Set aside when it was opened, and by increases since. */
  readonly credits: Microcredits
  /** Still set aside. */
  readonly held: Microcredits
  readonly expiresAtMs: number
  /** Sequence of the charge that was recorded after it had expired; null: none. */
  readonly lateCharge: number | null
}

/** A hold as a command left it: said by records alone, so that asking again has the same answer. */
export async function holdAfter({ store }: Services, { account, records: [record] }: Applied): Promise<HoldView | Refusal> {
  switch (record?.kind) {
    case 'hold': {
      const { credits, expiresAtMs } = record
      return { account, opened: record, status: 'live', credits, held: credits, expiresAtMs, lateCharge: null }
    }
    case 'hold_extended':
    case 'hold_increased':
    case 'hold_released': {
      const opened = await store.record(account, record.hold)
      if (opened?.kind !== 'hold') return NOT_FOUND
      const status = record.kind === 'hold_released' ? 'released' : 'live'
      const { total, held, expiresAtMs } = record.after
      return { account, opened, status, credits: total, held, expiresAtMs, lateCharge: null }
    }
    default:
      throw new Error('the command changed no hold')
  }
}

const NOT_FOUND = refuse('hold_not_found', 'No hold has this id.')

/** Reads a hold. One whose time is up counts as expired, whether or not that has been booked. Refuses hold_not_found. */
export async function readHold(services: Services, { account, seq }: Address): Promise<HoldView | Refusal> {
  const { store } = services
  const row = await store.hold(account, seq)
  const opened = row && (await store.record(account, seq))
  if (row === undefined || opened?.kind !== 'hold') return NOT_FOUND
  const now = await accountNow(services, account)
  if (isRefusal(now)) return now
  const live = now.state.holds.find((hold) => hold.seq === seq)
  const status = row.status === 'live' && !live ? 'expired' : row.status
  const { credits, expiresAtMs, lateCharge } = row
  return { account, opened, status, credits, held: live ? heldBy(live) : ZERO, expiresAtMs, lateCharge }
}
