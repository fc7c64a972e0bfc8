/** Plans: what the operator offers for a period, set in versions. */

import { faultInPlan, type PlanTerms } from '../core/plan.ts'
import { decodePlan, type EncodedPlan, encodePlan } from '../core/plan-codec.ts'
import { type Refusal, refuse } from '../core/refusals.ts'
import type { PlanRow } from '../stores/plans.ts'
import type { Services } from './services.ts'

/** One version of a plan. */
export interface OfferedPlan {
  readonly terms: PlanTerms
  /** Not offered any more: who has it keeps it. */
  readonly isArchived: boolean
  readonly createdAtMs: number
}

/** What an operator says of a plan. */
export interface PlanWish {
  readonly terms: Omit<PlanTerms, 'version'>
  readonly isArchived: boolean
}

/** Times that a version is numbered anew when others are set at the same time. */
const MAX_ATTEMPTS = 20

/** Sets a plan. What is the same already stays the version that it is. Returns the fault of one that is wrong. */
export async function setPlan(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { terms, isArchived }: PlanWish,
): Promise<OfferedPlan | { readonly fault: string }> {
  const fault = faultInPlan({ ...terms, version: 1 })
  if (fault !== null) return { fault }
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const latest = await store.plans.latest(terms.plan)
    const known = latest && JSON.stringify(encodePlan({ ...terms, version: latest.version })) === latest.terms
    if (latest && known && latest.isArchived === isArchived) return offered(latest)
    const made = { ...terms, version: (latest?.version ?? 0) + 1 }
    const text = JSON.stringify(encodePlan(made))
    const row = { id: terms.plan, version: made.version, isArchived, terms: text, createdAtMs: clock() }
    if (await store.plans.add(row)) return offered(row)
  }
  throw new Error('the plan is set by too many at once')
}

function offered({ terms, isArchived, createdAtMs }: PlanRow): OfferedPlan {
  return { terms: decodePlan(JSON.parse(terms) as EncodedPlan), isArchived, createdAtMs }
}

/** A plan, in the version that is in force or in another. Refuses plan_not_found. */
export async function readPlan({ store }: Pick<Services, 'store'>, id: string, version: number | null): Promise<OfferedPlan | Refusal> {
  const row = version === null ? await store.plans.latest(id) : await store.plans.at(id, version)
  return row ? offered(row) : refuse('plan_not_found', 'No plan has this id, or this version.')
}

/** Plans in the versions that are in force, in order of their ids. */
export async function listPlans(
  { store }: Pick<Services, 'store'>,
  page: { readonly after: string; readonly limit: number },
): Promise<readonly OfferedPlan[]> {
  return (await store.plans.list(page)).map(offered)
}
