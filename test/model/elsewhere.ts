/** What the big model leaves to tests of its own. */

import type { JournalRecord } from '../../src/core/record.ts'
import type { RefusalCode } from '../../src/core/refusals.ts'

/** Automatic top-ups have a model of their own (`test/auto-topup-months.test.ts`); what goes back of a subscription's payment moves no credits. */
export function isModelled(kind: JournalRecord['kind']): boolean {
  return !kind.startsWith('auto_topup_') && kind !== 'subscription_payment_returned'
}

/** Refusals that nobody meets here: the model's provider takes no real money. */
export const MET_ELSEWHERE: readonly RefusalCode[] = ['account_has_test_clock']
