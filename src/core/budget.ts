/** Budgets of API keys: counted in the same step as the balance, in windows that turn by themselves. */

import type { AccountState, BudgetTerms, KeyBudget } from './account.ts'
import { windowAt } from './calendar.ts'
import { formatCredits, type Microcredits, micro, most, ZERO } from './credits.ts'
import { heldBy } from './holds.ts'
import { givesBack, type JournalRecord, type OutcomeReported, type Refunded } from './record.ts'
import { type Refusal, refuse } from './refusals.ts'

/** A key's budget as it stands at a moment: a window that has ended counts nothing. */
export function currentBudget(budget: KeyBudget, nowMs: number): KeyBudget {
  if (nowMs < budget.windowEndMs) return budget
  const { startMs, endMs } = windowAt(budget.period, budget.timeZone, nowMs)
  return { ...budget, windowStartMs: startMs, windowEndMs: endMs, spent: ZERO }
}

/** Credits that a key's live holds have set aside, whenever they were made. */
export function heldByKey(state: AccountState, key: number): Microcredits {
  let held = 0n
  for (const hold of state.holds) if (hold.key === key) held += heldBy(hold)
  // Of several credit types together: more than one amount may be.
  return held as Microcredits
}

/** What a key may still spend in its window: limit − spent − held, and never below zero; null without a limit. */
export function remainingOf(budget: KeyBudget, held: Microcredits): Microcredits | null {
  return budget.limit === null ? null : micro(most(0n, budget.limit - budget.spent - held))
}

/** Credits that count against a key. */
export interface KeySpending {
  /** Sequence of the key's record; null: no key, no limits. */
  readonly key: number | null
  readonly credits: Microcredits
  /** What the whole charge or hold comes to, when `credits` is only an increase of it. */
  readonly perCharge?: bigint
}

/** Refuses credits that the key's budget does not cover at this moment. Keys without a budget pass. */
export function checkBudget(state: AccountState, { key, credits, perCharge = credits }: KeySpending, nowMs: number): Refusal | undefined {
  const stored = key === null ? undefined : state.budgets.find((candidate) => candidate.key === key)
  if (stored === undefined) return undefined
  const budget = currentBudget(stored, nowMs)
  if (budget.maxPerCharge !== null && perCharge > budget.maxPerCharge) {
    const facts = { required: formatCredits(perCharge), limit: formatCredits(budget.maxPerCharge) }
    return refuse('key_charge_limit_exceeded', `Needs ${facts.required} credits; the key may spend ${facts.limit} at once.`, facts)
  }
  const held = heldByKey(state, budget.key)
  const remaining = remainingOf(budget, held)
  if (budget.limit === null || remaining === null || credits <= remaining) return undefined
  const facts = {
    required: formatCredits(credits),
    remaining: formatCredits(remaining),
    limit: formatCredits(budget.limit),
    spent: formatCredits(budget.spent),
    held: formatCredits(held),
    period: budget.period,
    resets_at: budget.period === 'lifetime' ? null : new Date(budget.windowEndMs).toISOString(),
  }
  return refuse(
    'key_budget_exceeded',
    `Needs ${facts.required} credits; the key's ${budget.period} budget has ${facts.remaining} left.`,
    facts,
  )
}

/** The budgets after a record. */
export function evolveBudgets(budgets: readonly KeyBudget[], record: JournalRecord): readonly KeyBudget[] {
  switch (record.kind) {
    case 'key_created':
      return setTerms(budgets, { key: record.seq, terms: record.terms.budget, record })
    case 'key_updated':
      return setTerms(budgets, { key: record.key, terms: record.terms.budget, record })
    case 'key_revoked':
      return setTerms(budgets, { key: record.key, terms: null, record })
    case 'charge':
    case 'capture':
    case 'late_capture':
      return count(budgets, record, record.credits)
    default:
      return givesBack(record) ? giveBack(budgets, record) : budgets
  }
}

function count(
  budgets: readonly KeyBudget[],
  { key, atMs }: { readonly key: number | null; readonly atMs: number },
  credits: bigint,
): readonly KeyBudget[] {
  if (key === null || budgets.length === 0) return budgets
  return budgets.map((budget) => {
    if (budget.key !== key) return budget
    const current = currentBudget(budget, atMs)
    // All that a key ever spent may be more than one amount may be.
    return { ...current, spent: (current.spent + credits) as Microcredits }
  })
}

/** A refund frees the budget only if its charge was counted there: in the window that is open, and not before the budget was set. */
function giveBack(budgets: readonly KeyBudget[], record: Refunded | OutcomeReported): readonly KeyBudget[] {
  const budget = budgets.find(({ key }) => key === record.key)
  if (!budget) return budgets
  const isCounted = record.charge > budget.sinceSeq && record.chargedAtMs >= currentBudget(budget, record.atMs).windowStartMs
  return isCounted ? count(budgets, record, -record.credits) : budgets
}

interface NewTerms {
  readonly key: number
  readonly terms: BudgetTerms | null
  readonly record: JournalRecord
}

/** A changed limit never resets what is counted; a changed period or zone starts a new count. */
function setTerms(budgets: readonly KeyBudget[], { key, terms, record }: NewTerms): readonly KeyBudget[] {
  const others = budgets.filter((budget) => budget.key !== key)
  if (terms === null) return others.length === budgets.length ? budgets : others
  const before = budgets.find((budget) => budget.key === key)
  const { limit, period, timeZone, maxPerCharge } = terms
  const isSameCount = before !== undefined && before.period === period && before.timeZone === timeZone
  const counted = isSameCount ? before : newCount(terms, record)
  const { windowStartMs, windowEndMs, sinceSeq, spent } = counted
  return [...others, { key, limit, period, timeZone, maxPerCharge, windowStartMs, windowEndMs, sinceSeq, spent }].sort(
    (a, b) => a.key - b.key,
  )
}

function newCount(
  { period, timeZone }: BudgetTerms,
  { atMs, seq }: JournalRecord,
): Pick<KeyBudget, 'windowStartMs' | 'windowEndMs' | 'sinceSeq' | 'spent'> {
  const { startMs, endMs } = windowAt(period, timeZone, atMs)
  return { windowStartMs: startMs, windowEndMs: endMs, sinceSeq: seq, spent: ZERO }
}
