/** Open checkouts and disputes, and what these have frozen: what of purchases the account's state has to know. */

import { type Freeze, MAX_FREEZES, type OpenCheckout } from './account.ts'
import type { JournalRecord } from './record.ts'

/** The checkouts that may still be paid after a record. */
export function evolveCheckouts(checkouts: readonly OpenCheckout[], record: JournalRecord): readonly OpenCheckout[] {
  switch (record.kind) {
    case 'checkout_opened':
      return [...checkouts, { seq: record.seq, expiresAtMs: record.expiresAtMs }]
    case 'checkout_pending':
      return [...without(checkouts, record.purchase), { seq: record.purchase, expiresAtMs: record.expiresAtMs }]
    case 'checkout_expired':
      if (!checkouts.some(({ seq }) => seq === record.purchase)) throw new Error(`checkout ${record.purchase} is not open`)
      return without(checkouts, record.purchase)
    case 'checkout_closed':
    case 'auto_topup_failed':
    case 'topup':
      return without(checkouts, record.purchase)
    default:
      return checkouts
  }
}

function without(checkouts: readonly OpenCheckout[], purchase: number): readonly OpenCheckout[] {
  return checkouts.filter(({ seq }) => seq !== purchase)
}

/** The disputes that are open after a record, by their purchases and the provider's names; of very many, some. */
export function evolveDisputes(disputes: readonly string[], record: JournalRecord): readonly string[] {
  if (record.kind !== 'dispute_opened' && record.kind !== 'dispute_closed') return disputes
  const name = `${record.purchase} ${record.dispute}`
  if (record.kind === 'dispute_closed') return disputes.filter((dispute) => dispute !== name)
  return disputes.length < MAX_FREEZES ? [...disputes, name] : disputes
}

/** What is frozen after a record. */
export function evolveFreezes(freezes: readonly Freeze[], record: JournalRecord): readonly Freeze[] {
  if (record.kind === 'dispute_opened' && record.movements.length > 0) {
    const { seq, purchase, creditType, movements } = record
    return [...freezes, { seq, purchase, creditType, parts: movements.map(({ grant, held }) => ({ grant, held })) }]
  }
  if (record.kind !== 'dispute_closed' || record.freeze === null) return freezes
  const ended = freezes.find(({ seq }) => seq === record.freeze)
  if (ended?.purchase !== record.purchase) throw new Error(`nothing is frozen by record ${record.freeze}`)
  return freezes.filter((freeze) => freeze !== ended)
}
