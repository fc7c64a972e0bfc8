/** A grant as it is: what is left of it, or how it ended. */

import { type Microcredits, ZERO } from '../core/credits.ts'
import type { Address } from '../core/ids.ts'
import { grantMadeBy, type NewGrant } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Applied, GrantRow } from '../stores/store.ts'
import { accountNow } from './read-credits.ts'
import type { Services } from './services.ts'

/** A grant with what became of it. */
export interface GrantView {
  readonly account: number
  readonly seq: number
  readonly creditType: string
  readonly terms: NewGrant
  readonly remaining: Microcredits
  readonly held: Microcredits
  readonly status: GrantRow['status'] | 'pending'
  readonly createdAtMs: number
}

/** A grant as the command that made or voided it left it: said by records alone, so that asking again has the same answer. */
export async function grantAfter({ store }: Services, { account, records: [record] }: Applied): Promise<GrantView | Refusal> {
  if (record?.kind !== 'grant' && record?.kind !== 'grant_voided') throw new Error('the command made and voided no grant')
  const seq = record.kind === 'grant' ? record.seq : record.grant
  const made = record.kind === 'grant' ? record : await store.record(account, seq)
  const terms = made && grantMadeBy(made)
  if (!made || !terms) return NOT_FOUND
  const left = record.movements.findLast(({ grant }) => grant === seq)
  const remaining = left?.remainingAfter ?? ZERO
  const madeStatus = terms.effectiveAtMs > record.atMs ? 'pending' : remaining === 0n ? 'spent' : 'open'
  return {
    account,
    seq,
    creditType: record.creditType,
    terms,
    remaining,
    held: left?.heldAfter ?? ZERO,
    status: record.kind === 'grant_voided' ? 'voided' : madeStatus,
    createdAtMs: made.atMs,
  }
}

const NOT_FOUND = refuse('grant_not_found', 'No grant has this id.')

/** Reads a grant. One that is past its end counts as expired, whether or not that has been booked. Refuses grant_not_found. */
export async function readGrant(services: Services, { account, seq }: Address): Promise<GrantView | Refusal> {
  const { store } = services
  const record = await store.record(account, seq)
  const terms = record ? grantMadeBy(record) : null
  if (!record || !('creditType' in record) || terms === null) return NOT_FOUND
  const now = await accountNow(services, account)
  if (isRefusal(now)) return now
  const open = now.state.pools.flatMap(({ grants }) => grants).find((grant) => grant.seq === seq)
  const row = await store.grant(account, seq)
  const isPending = open !== undefined && open.effectiveAtMs > now.asOfMs
  const ended = row === undefined || row.status === 'open' ? 'expired' : row.status
  const status = open === undefined ? ended : (open.closed ?? (isPending ? 'pending' : 'open'))
  return {
    account,
    seq,
    creditType: record.creditType,
    terms,
    remaining: open?.remaining ?? ZERO,
    held: open?.held ?? ZERO,
    status,
    createdAtMs: record.atMs,
  }
}
