/**
 * Background work that one process does at a time. A claim is a row with an end, by the database's clock, which whoever has it puts
 * off while it lives: so it needs no session to last, and when its process dies it ends by itself. It only saves work: two processes
 * may both hold one for a moment, around a failover say, and what they do has to be right all the same.
 */

import { randomUUID } from 'node:crypto'
import type { BackgroundWork } from '../store.ts'
import type { Runner, Statement } from './session.ts'

/** How long a claim lasts that nobody puts off. */
export const CLAIM_MS = 5_000

/** Who has no claim writes nothing while another one has it. */
const CLAIM: Statement = {
  name: 'claim',
  text: `insert into claims as c (work, holder, until) select $1, $2::uuid, clock_timestamp() + $3::integer * interval '1 millisecond'
         where not exists (select 1 from claims o where o.work = $1 and o.holder <> $2::uuid and o.until > clock_timestamp())
         on conflict (work) do update set holder = excluded.holder, until = excluded.until
         where c.holder = excluded.holder or c.until <= clock_timestamp() returning 1`,
}
const RELEASE: Statement = { name: 'release claims', text: 'delete from claims where holder = $1::uuid' }

/** The claims of one process. */
export class Claims {
  readonly #run: Runner
  readonly #holder = randomUUID()
  /** Until when each claim is certainly this process's, on the clock that only goes forward. */
  readonly #heldUntilMs = new Map<BackgroundWork, number>()

  /** Whoever gives claims back does not wait for longer than that. */
  readonly #patienceMs: number

  constructor(run: Runner, patienceMs: number) {
    this.#run = run
    this.#patienceMs = patienceMs
  }

  /** Whether the work is this process's to do. A claim is put off when half of it is over. */
  async claim(work: BackgroundWork): Promise<boolean> {
    const askedMs = performance.now()
    if (askedMs < (this.#heldUntilMs.get(work) ?? 0) - CLAIM_MS / 2) return true
    const isHeld = (await this.#run(CLAIM, [work, this.#holder, CLAIM_MS])).length > 0
    if (isHeld) this.#heldUntilMs.set(work, askedMs + CLAIM_MS)
    else this.#heldUntilMs.delete(work)
    return isHeld
  }

  /** Leaves the work to others at once. What cannot be given back now ends by itself. */
  async release(): Promise<void> {
    if (this.#heldUntilMs.size === 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, this.#patienceMs)
    })
    await Promise.race([late, Promise.allSettled([this.#run(RELEASE, [this.#holder])])])
    clearTimeout(timer)
  }
}
