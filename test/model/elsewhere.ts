/** What the big model leaves to tests of its own. */

import type { JournalRecord } from '../../src/core/record.ts'

/** Automatic top-ups have a model of their own: `test/auto-topup-months.test.ts`. */
export function isModelled(kind: JournalRecord['kind']): boolean {
  return !kind.startsWith('auto_topup_')
}
