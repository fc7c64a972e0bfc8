/** What an account was given, of all time: spent grants leave its state, and are read from the store once. */

import type { AccountState, GrantTerms } from '../core/account.ts'
import type { Microcredits } from '../core/credits.ts'
import { grantMadeBy, type JournalRecord, movesCredits } from '../core/record.ts'
import type { Store } from '../stores/store.ts'

/** Accounts kept, at most; when there are more, they are read anew. */
const MAX_KEPT = 10_000
/** Grants read at a time. */
const GRANTS_AT_ONCE = 100

/** A grant of a plan. */
export interface PlanGrant {
  readonly seq: number
  readonly amount: Microcredits
  readonly effectiveAtMs: number
  /** Null: never. */
  readonly expiresAtMs: number | null
}

/** An account's grants of one credit type. */
export interface GrantFacts {
  /** Sequences of the grants that were bought, bonuses included. */
  readonly topUps: ReadonlySet<number>
  /** Micro-credits that they came to. */
  readonly purchased: bigint
  /** Oldest first. */
  readonly plans: readonly PlanGrant[]
}

interface Kept extends GrantFacts {
  /** Grants up to here are in it. */
  readonly throughSeq: number
}

const NONE: Kept = { throughSeq: 0, topUps: new Set(), purchased: 0n, plans: [] }

export class GrantHistory {
  readonly #store: Store
  readonly creditType: string
  readonly #kept = new Map<number, Kept>()

  constructor(store: Store, creditType: string) {
    this.#store = store
    this.creditType = creditType
  }

  /** The grants of an account up to a state of it. */
  async of({ number: account, seq }: Pick<AccountState, 'number' | 'seq'>): Promise<GrantFacts> {
    let facts = this.#kept.get(account) ?? NONE
    while (facts.throughSeq < seq) {
      const rows = await this.#store.grants(account, { limit: GRANTS_AT_ONCE, after: facts.throughSeq })
      const records = await Promise.all(rows.map((row) => this.#store.record(account, row.seq)))
      const isLast = rows.length < GRANTS_AT_ONCE
      facts = this.#with(facts, records, Math.max(isLast ? seq : 0, rows.at(-1)?.seq ?? 0))
    }
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear()
    this.#kept.set(account, facts)
    return facts
  }

  #with({ topUps, purchased, plans }: Kept, records: readonly (JournalRecord | undefined)[], throughSeq: number): Kept {
    const made = records.flatMap((record) => {
      const grant = record && movesCredits(record) && record.creditType === this.creditType ? grantMadeBy(record) : null
      return record && grant ? [{ seq: record.seq, kind: record.kind, grant }] : []
    })
    const bought = made.filter(({ grant }) => isBought(grant))
    const planned = made.filter(({ grant }) => grant.source === 'plan')
    return {
      throughSeq,
      topUps: new Set([...topUps, ...bought.map(({ seq }) => seq)]),
      // What comes back of a purchase as a new grant was bought before.
      purchased: bought.reduce((sum, { kind, grant }) => (kind === 'grant' || kind === 'topup' ? sum + grant.amount : sum), purchased),
      plans: [...plans, ...planned.map(({ seq, grant }) => ({ seq, ...grant }))],
    }
  }

  /** The plan's grant that began last, voided ones left out; null: none has begun. */
  async latestPlan(state: Pick<AccountState, 'number' | 'seq'>, nowMs: number): Promise<PlanGrant | null> {
    const { plans } = await this.of(state)
    const begun = plans
      .filter(({ effectiveAtMs }) => effectiveAtMs <= nowMs)
      .sort((a, b) => b.effectiveAtMs - a.effectiveAtMs || b.seq - a.seq)
    for (const plan of begun) {
      const row = await this.#store.grant(state.number, plan.seq)
      if (row?.status !== 'voided') return plan
    }
    return null
  }
}

/** Whether a grant was bought, or came with what was: a bonus. */
export function isBought({ source, purchase }: Pick<GrantTerms, 'source' | 'purchase'>): boolean {
  return source === 'topup' || purchase !== null
}

/** Whether a plan's grant is the one that counts now, rather than the last of a plan that has ended. */
export function isInForce({ expiresAtMs }: PlanGrant, nowMs: number): boolean {
  return expiresAtMs === null || nowMs < expiresAtMs
}
