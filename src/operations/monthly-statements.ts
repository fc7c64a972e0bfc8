/** Issues the statements of a month that has ended, account by account. How far it is is kept, so that a crash loses nothing. */

import { windowAt } from '../core/calendar.ts'
import type { Services } from './services.ts'
import { issueStatementIfAny, type Month, windowOf } from './statements.ts'

/** No time zone is further from UTC: so long after its end there, a month has ended everywhere. */
export const ZONES_MS = 14 * 3_600_000
/** Accounts that are seen to in one turn. */
const AT_ONCE = 100
/** The setting that keeps how far it is: the last month that is done, or a month and the account that was done last. */
const PROGRESS = 'monthly_statements'

interface Progress {
  readonly month: Month
  /** Accounts are taken newest first; null: none has been. */
  readonly before: number | null
}

/** Does some of the work, if there is any. */
export async function issueMonthlyStatements(services: Services): Promise<void> {
  const { store, clock } = services
  const progress = nextOf(await store.setting(PROGRESS), lastEnded(clock()))
  if (progress === null) return
  const { month, before } = progress
  const accounts = await store.accounts({ limit: AT_ONCE, ...(before === null ? {} : { before }) })
  const { startMs, endMs } = windowOf(month, 'UTC')
  for (const { number, createdAtMs } of accounts) {
    if (createdAtMs >= endMs + ZONES_MS) continue
    const state = await store.state(number)
    if (state !== undefined && (state.atMs >= startMs - ZONES_MS || state.dueMs < endMs + ZONES_MS))
      await issueStatementIfAny(services, { account: number, month })
  }
  const last = accounts.length < AT_ONCE ? undefined : accounts.at(-1)?.number
  await store.saveSetting(PROGRESS, last === undefined ? month : `${month} ${last}`)
}

/** The last month that has ended in every time zone. */
function lastEnded(nowMs: number): Month {
  return monthBefore(nowMs - ZONES_MS)
}

function monthBefore(ms: number): Month {
  return new Date(windowAt('month', 'UTC', ms).startMs - 1).toISOString().slice(0, 7)
}

/** What is to be done next; null: nothing. Who has never done any begins with the last month that has ended. */
function nextOf(kept: string | undefined, ended: Month): Progress | null {
  if (kept === undefined) return { month: ended, before: null }
  const [month = ended, before] = kept.split(' ')
  if (before !== undefined) return { month, before: Number(before) }
  return month < ended ? { month: new Date(windowOf(month, 'UTC').endMs).toISOString().slice(0, 7), before: null } : null
}
