/** Derives an account's purchases again from its records: what each came to, and that no more was given or taken than was paid for. */

import { claimOn, evolvePurchase, isWatched, type Purchase, type PurchaseFacts, returnedMinor } from '../core/purchase.ts'
import { encodePurchase } from '../core/purchase-codec.ts'
import type { DisputeClosed, GrantMade, JournalRecord, ToppedUp, TopupRefunded } from '../core/record.ts'
import type { PurchaseChange } from './projections.ts'

/** The purchases of one account, as far as its records were folded. */
export class PurchaseAudit {
  readonly #purchases = new Map<number, PurchaseFacts>()
  /** The top-up whose bonus must be the next record, and the bonus. */
  #owed: { readonly purchase: number; readonly credits: bigint } | null = null

  /** What is wrong with a record; null: nothing. Call it for every record, before its changes are folded in. */
  check(record: JournalRecord): string | null {
    const owed = this.#owed
    this.#owed = null
    const isBonus = record.kind === 'grant' && record.grant.purchase !== null
    if (owed !== null && !isBonus) return `the bonus of purchase ${owed.purchase} is missing`
    switch (record.kind) {
      case 'topup':
        return this.#checkTopup(record)
      case 'grant':
        return isBonus ? this.#checkBonus(record, owed) : null
      case 'topup_refunded':
        return this.#checkTaken(record, record.amountMinor)
      case 'dispute_closed':
        return this.#checkTaken(record, record.outcome === 'lost' ? record.amountMinor : 0)
      default:
        return null
    }
  }

  #checkTopup({ purchase: seq, payment, grant, creditType }: ToppedUp): string | null {
    const terms = this.#purchases.get(seq)?.purchase.terms
    if (!terms) return `purchase ${seq} is unknown`
    if (terms.bonus) this.#owed = { purchase: seq, credits: terms.bonus.credits }
    const isAsked = payment.amountMinor === terms.amountMinor && payment.currency === terms.currency && payment.isLive === terms.isLive
    if (!isAsked) return `purchase ${seq} was paid with another amount than was asked for`
    const isGiven = grant.amount === terms.credits && creditType === terms.creditType && grant.purchase === seq
    return isGiven ? null : `purchase ${seq} gave other credits than were bought`
  }

  #checkBonus({ grant }: GrantMade, owed: { readonly purchase: number; readonly credits: bigint } | null): string | null {
    if (owed?.purchase === grant.purchase && owed.credits === grant.amount) return null
    return `the bonus of purchase ${grant.purchase} is not the one that was bought`
  }

  #checkTaken({ purchase: seq, credits }: TopupRefunded | DisputeClosed, amountMinor: number): string | null {
    const facts = this.#purchases.get(seq)
    if (!facts) return `purchase ${seq} is unknown`
    const claim = amountMinor === 0 ? 0n : claimOn(facts, returnedMinor(facts.purchase) + amountMinor)
    return claim === credits ? null : `${credits} micro-credits of purchase ${seq} are taken where ${claim} were due`
  }

  /** Folds a change in. Throws a fault when the record does not follow from the purchase. */
  fold({ seq, status, record, ended }: PurchaseChange): void {
    const known = this.#purchases.get(seq)
    const purchase: Purchase | undefined = record === null ? known?.purchase : evolvePurchase(known?.purchase ?? null, record)
    if (!purchase) throw new Error(`purchase ${seq} is unknown`)
    this.#purchases.set(seq, { purchase, status: status ?? known?.status ?? 'open', ended: (known?.ended ?? 0n) + ended })
  }

  /** The rows that the table must have: sequence, status, time of opening, whether it is watched, what ended, and all the rest. */
  rows(): readonly (readonly [number, string, number, boolean, string, string])[] {
    return [...this.#purchases.values()].map(({ purchase, status, ended }) => {
      return [purchase.seq, status, purchase.openedAtMs, isWatched(purchase), `${ended}`, encodePurchase(purchase)]
    })
  }
}
