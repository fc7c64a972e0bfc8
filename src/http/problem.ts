/** What a problem is: an answer of the API that is no success. */

import { REFUSALS, type RefusalCode } from '../core/refusals.ts'

/** What is known of one problem. */
export interface Problem {
  readonly status: number
  readonly title: string
  /** What happened. */
  readonly meaning: string
  /** What to do about it. */
  readonly fix: string
}

/** The problem that a refusal is answered with. */
export const refusal = (code: RefusalCode, status: number, title: string, fix: string): Problem => ({
  status,
  title,
  meaning: REFUSALS[code],
  fix,
})
