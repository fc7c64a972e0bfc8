/** What decisions ask about past records: read for a whole batch before it is decided, while its accounts are locked. */

import type { AccountState } from '../../core/account.ts'
import type { Command } from '../../core/command.ts'
import { micro } from '../../core/credits.ts'
import type { ClosedGrant, EndedHold, Facts, TakenFacts } from '../../core/decisions/facts.ts'
import { termsOf } from '../../core/evolve.ts'
import { type PurchaseFacts, takenSeq } from '../../core/purchase.ts'
import { DEBT, drawsOf, grantMadeBy, isCharge, type JournalRecord } from '../../core/record.ts'
import { decodeRecord } from '../../core/record-codec.ts'
import type { AccountRow, GrantRow, HoldRow, KeyRow, Transaction } from '../store.ts'
import { type Entry, readProfiles } from './accounts.ts'
import { type Column, onRows, type RowStatement, runOnRows } from './buckets.ts'
import { type Address, addresses, readRows } from './journal.ts'
import { decodeKey } from './profiles.ts'
import { type KnownPurchases, purchaseName, readPurchases } from './purchases.ts'
import type { Runner } from './session.ts'

/** Where things are: an account and a sequence of it. */
const PLACE: readonly Column[] = [
  ['account', 'bigint'],
  ['seq', 'bigint'],
]
const GRANTS = onRows(
  'grants at',
  PLACE,
  (rows) =>
    `select g.account, g.seq, g.status from ${rows} join grants g on g.bucket = t.bucket and g.account = t.account and g.seq = t.seq`,
)
const HOLDS = onRows(
  'holds at',
  PLACE,
  (rows) =>
    `select h.account, h.seq, h.status, h.held::text, h.late_charge as "lateCharge"
     from ${rows} join holds h on h.bucket = t.bucket and h.account = t.account and h.seq = t.seq`,
)
const REFUNDS = onRows(
  'refunds at',
  PLACE,
  (rows) =>
    `select r.account, r.charge as seq, r.refunded::text
     from ${rows} join refunds r on r.bucket = t.bucket and r.account = t.account and r.charge = t.seq`,
)
const KEYS = onRows(
  'keys at',
  PLACE,
  (rows) =>
    `select k.account, k.seq, k.hint, k.terms, k.created_at_ms as "createdAtMs", k.revoked_at_ms as "revokedAtMs",
       k.previous_until_ms as "previousUntilMs", k.last_used_at_ms as "lastUsedAtMs"
     from ${rows} join api_keys k on k.bucket = t.bucket and k.account = t.account and k.seq = t.seq`,
)

/** What the commands of a batch may ask about, besides their accounts' states. */
interface Wanted {
  /** Charges, and refunds of payments: records that drew on grants. */
  readonly drawn: Address[]
  readonly grants: Address[]
  readonly holds: Address[]
  readonly keys: Address[]
  readonly purchases: Address[]
  /** Refunds that are to come back, by their purchases: what they took is found in them. */
  readonly reversed: (Address & { readonly refund: string })[]
  readonly profiles: Set<number>
}

/** What was read. */
interface Found {
  readonly records: ReadonlyMap<string, JournalRecord>
  readonly grants: ReadonlyMap<string, GrantRow['status']>
  readonly holds: ReadonlyMap<string, { readonly status: HoldRow['status']; readonly held: string; readonly lateCharge: number | null }>
  readonly refunds: ReadonlyMap<string, string>
  readonly keys: ReadonlyMap<string, KeyRow>
  readonly purchases: KnownPurchases
  readonly profiles: ReadonlyMap<number, AccountRow>
}

const nameOf = ({ account, seq }: Address): string => `${account}:${seq}`

function wantedBy(transactions: readonly Transaction[], entries: ReadonlyMap<number, Entry>): Wanted {
  const wanted: Wanted = { drawn: [], grants: [], holds: [], keys: [], purchases: [], reversed: [], profiles: new Set() }
  for (const { account, command } of transactions) {
    const state = entries.get(account)?.state
    if (state && 'kind' in command) want(wanted, state, command)
  }
  return wanted
}

function want(wanted: Wanted, state: AccountState, command: Command): void {
  const account = state.number
  switch (command.kind) {
    case 'refund':
    case 'report_outcome':
      wanted.drawn.push({ account, seq: command.charge })
      break
    case 'void_grant':
      if (!isOpen(state, command.grant)) wanted.grants.push({ account, seq: command.grant })
      break
    case 'update_account':
      wanted.profiles.add(account)
      break
    case 'update_key':
    case 'rotate_key':
    case 'revoke_key':
      wanted.keys.push({ account, seq: command.key })
      break
    case 'create_alert':
      if (command.watch.of === 'key_budget') wanted.keys.push({ account, seq: command.watch.key })
      break
    default:
      if ('purchase' in command) wanted.purchases.push({ account, seq: command.purchase })
      if (command.kind === 'reverse_topup_refund') wanted.reversed.push({ account, seq: command.purchase, refund: command.refund })
      if ('hold' in command && !state.holds.some(({ seq }) => seq === command.hold)) wanted.holds.push({ account, seq: command.hold })
  }
}

function isOpen(state: AccountState, grant: number): boolean {
  return state.pools.some(({ grants }) => grants.some(({ seq }) => seq === grant))
}

/** Reads what the commands may ask about; nothing at all for most batches. */
export async function readFacts(
  run: Runner,
  transactions: readonly Transaction[],
  entries: ReadonlyMap<number, Entry>,
): Promise<BatchFacts> {
  const wanted = wantedBy(transactions, entries)
  const [records, refunds, holds, keys, purchases, profiles] = await Promise.all([
    readRecords(run, [...wanted.drawn, ...wanted.holds, ...wanted.grants]),
    at<{ refunded: string } & Address>(run, REFUNDS, wanted.drawn),
    at<{ status: HoldRow['status']; held: string; lateCharge: number | null } & Address>(run, HOLDS, wanted.holds),
    at<Parameters<typeof decodeKey>[0]>(run, KEYS, wanted.keys),
    readPurchases(run, wanted.purchases),
    wanted.profiles.size > 0 ? readProfiles(run, wanted.profiles) : new Map<number, AccountRow>(),
  ])
  const taken = wanted.reversed.flatMap(({ account, refund, ...address }) => {
    const seq = takenSeq(purchases.get(purchaseName(account, address.seq))?.purchase, refund)
    return seq === null ? [] : [{ account, seq }]
  })
  const drawing = new Map([...records, ...(await readRecords(run, taken))])
  const drawn = [...wanted.drawn, ...taken].flatMap((address) => grantsOf(drawing.get(nameOf(address)), address.account))
  const grantsWanted = [...wanted.grants, ...drawn]
  const [grants, more] = await Promise.all([
    at<{ status: GrantRow['status'] } & Address>(run, GRANTS, grantsWanted),
    readRecords(run, drawn),
  ])
  return new BatchFacts({
    records: new Map([...drawing, ...more]),
    refunds: new Map([...refunds].map(([name, { refunded }]) => [name, refunded])),
    grants: new Map([...grants].map(([name, { status }]) => [name, status])),
    holds,
    keys: new Map([...keys].map(([name, row]) => [name, decodeKey(row)])),
    purchases,
    profiles,
  })
}

async function readRecords(run: Runner, wanted: readonly Address[]): Promise<ReadonlyMap<string, JournalRecord>> {
  const rows = await readRows(run, wanted)
  return new Map([...rows].map(([name, row]) => [name, decodeRecord(row)]))
}

async function at<Row extends Address>(
  run: Runner,
  statement: RowStatement,
  wanted: readonly Address[],
): Promise<ReadonlyMap<string, Row>> {
  const rows = await runOnRows<Row>(run, statement, addresses(wanted))
  return new Map(rows.map((row) => [nameOf(row), row]))
}

/** Where the grants are that a record drew on. */
function grantsOf(record: JournalRecord | undefined, account: number): readonly Address[] {
  const draws = record && isCharge(record) ? drawsOf(record) : record?.kind === 'topup_refunded' ? record.movements : []
  const grants = new Set(draws.map(({ grant }) => grant))
  grants.delete(DEBT)
  return [...grants].map((seq) => ({ account, seq }))
}

/** Facts about the accounts of one batch. */
export class BatchFacts {
  readonly #found: Found

  constructor(found: Found) {
    this.#found = found
  }

  /** The purchases that were read, as they were. */
  get purchases(): KnownPurchases {
    return this.#found.purchases
  }

  /** Facts about one account; each asks first that the batch has not changed it. */
  of(account: number, assertUntouched: () => void): Facts {
    const untouched = <Value>(read: () => Value): Value => {
      assertUntouched()
      return read()
    }
    return {
      charge: (seq) => untouched(() => this.#charge(account, seq)),
      endedHold: (seq) => untouched(() => this.#endedHold(account, seq)),
      closedGrant: (seq) => untouched(() => this.#closedGrant({ account, seq })),
      key: (seq) => untouched(() => this.#key(account, seq)),
      purchase: (seq) => untouched(() => this.#purchase(account, seq)),
      taken: (seq) => untouched(() => this.#taken(account, seq)),
      profile: () => untouched(() => this.#profile(account)),
    }
  }

  #charge(account: number, seq: number): ReturnType<Facts['charge']> {
    const record = this.#found.records.get(nameOf({ account, seq }))
    if (!record || !isCharge(record)) return null
    const refunded = micro(BigInt(this.#found.refunds.get(nameOf({ account, seq })) ?? 0))
    return { record, refunded, closedGrants: this.#closedGrants(record, account) }
  }

  #taken(account: number, seq: number): TakenFacts | null {
    const record = this.#found.records.get(nameOf({ account, seq }))
    return record?.kind === 'topup_refunded' ? { record, closedGrants: this.#closedGrants(record, account) } : null
  }

  #closedGrants(record: JournalRecord, account: number): readonly ClosedGrant[] {
    return grantsOf(record, account).flatMap((grant) => this.#closedGrant(grant) ?? [])
  }

  #purchase(account: number, seq: number): PurchaseFacts | null {
    return this.#found.purchases.get(purchaseName(account, seq)) ?? null
  }

  #closedGrant(address: Address): ClosedGrant | null {
    const status = this.#found.grants.get(nameOf(address))
    if (status === undefined || status === 'open') return null
    const record = this.#found.records.get(nameOf(address))
    const grant = record ? grantMadeBy(record) : null
    if (!grant) throw new Error(`grant ${address.seq} of account ${address.account} has no record`)
    return { ...termsOf(address.seq, grant), status }
  }

  #endedHold(account: number, seq: number): EndedHold | null {
    const row = this.#found.holds.get(nameOf({ account, seq }))
    if (!row || row.status === 'live') return null
    const record = this.#found.records.get(nameOf({ account, seq }))
    const policy = record?.kind === 'hold' ? record.policy : null
    return { status: row.status, credits: micro(BigInt(row.held)), isLateCaptured: row.lateCharge !== null, policy }
  }

  #key(account: number, seq: number): ReturnType<Facts['key']> {
    const row = this.#found.keys.get(nameOf({ account, seq }))
    return row ? { terms: row.terms, isRevoked: row.revokedAtMs !== null } : null
  }

  #profile(account: number): ReturnType<Facts['profile']> {
    const row = this.#found.profiles.get(account)
    if (!row) throw new Error(`account ${account} has no profile`)
    const { name, externalId, metadata, capturePolicy, status } = row
    return { name, externalId, metadata, capturePolicy, status }
  }
}
