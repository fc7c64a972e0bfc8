/** The derived rows of accounts, as they are kept and as the records give them. */

import { sweepDueMs } from '../../core/account.ts'
import { decodeState, encodeState } from '../../core/account-codec.ts'
import { encodeKeyTerms } from '../../core/record-codec.ts'
import type { AccountAudit, Report } from '../auditor.ts'
import { encodeQuantities } from '../hour-rows.ts'
import type { AuditCheck } from '../store.ts'
import { autoTopupRows, subscriptionRows } from '../subscription-rows.ts'
import { onRows, type RowStatement, runOnRows, sortedAccounts } from './buckets.ts'
import type { Told } from './feed-audit.ts'
import { encodeExternalId, profileValues } from './profiles.ts'
import type { Runner } from './session.ts'

/** Tables whose rows belong to accounts, and the check that watches over each. */
export const DERIVED = {
  journal: 'history',
  account_states: 'states',
  rollups: 'rollups',
  grants: 'grants',
  holds: 'holds',
  refunds: 'refunds',
  purchases: 'purchases',
  subscriptions: 'subscriptions',
  auto_topups: 'auto_topups',
  api_keys: 'keys',
  key_secrets: 'keys',
  external_ids: 'accounts',
  opening_keys: 'idempotency',
} as const satisfies Record<string, AuditCheck>

/** A table whose rows belong to accounts. */
export type DerivedTable = keyof typeof DERIVED

/** What is read of each table, its account first. Parts of an hour are added up. */
const COLUMNS = {
  accounts: 'number as account, name, external_id, metadata, capture_policy, status, created_at_ms',
  account_states: 'account, seq, hash, due_ms, state, tick',
  rollups:
    'account, hour_ms, operation, key, credit_type, closed_by, charges, credits::text as credits, refunds, refunded::text as refunded, quantities',
  grants: 'account, seq, status',
  holds: 'account, seq, status, credits::text as credits, held::text as held, expires_at_ms, late_charge',
  refunds: 'account, charge, refunded::text as refunded',
  purchases: 'account, seq, status, opened_at_ms, watched, ended::text as ended, state',
  subscriptions: 'account, seq, status, asking_ms, state',
  auto_topups: 'account, asking_ms',
  api_keys: 'account, seq, hint, previous_until_ms, terms, created_at_ms, revoked_at_ms',
  key_secrets: 'account, key, hash, until_ms',
  external_ids: 'account, external_id',
  opening_keys: 'account, key_hash',
} as const

/** Tables that have no bucket: what they are asked is not where an account is. */
const DIRECTORIES: ReadonlySet<string> = new Set<KeptTable>(['key_secrets', 'external_ids', 'opening_keys'])

type KeptTable = keyof typeof COLUMNS

/** Rows by table and account, each as JSON of its values. */
export type KeptRows = Readonly<Record<KeptTable, ReadonlyMap<number, readonly string[]>>>

function keptRows(table: KeptTable, columns: string): RowStatement {
  const owner = table === 'accounts' ? 'number' : 'account'
  return onRows(
    '',
    [['owner', 'bigint']],
    (rows) => `select k.* from ${rows}, lateral (select ${columns} from ${table} x where x.bucket = t.bucket and x.${owner} = t.owner) k`,
  )
}

/** Reads what is kept of some accounts. */
export async function readKept(run: Runner, accounts: readonly number[]): Promise<KeptRows> {
  const wanted = sortedAccounts(accounts)
  const kept: Partial<Record<KeptTable, ReadonlyMap<number, readonly string[]>>> = {}
  for (const [table, columns] of Object.entries(COLUMNS) as [KeptTable, string][]) {
    const rows = DIRECTORIES.has(table)
      ? await run<{ account: number }>(
          { name: '', text: `select ${columns} from ${table} where account = any($1::bigint[])` },
          wanted.columns,
        )
      : await runOnRows<{ account: number }>(run, keptRows(table, columns), wanted)
    const byAccount = new Map<number, string[]>()
    for (const { account, ...row } of rows) {
      const known = byAccount.get(account)
      if (known) known.push(JSON.stringify(Object.values(row)))
      else byAccount.set(account, [JSON.stringify(Object.values(row))])
    }
    kept[table] = byAccount
  }
  return kept as KeptRows
}

/** What an account's first record says besides its profile. */
export interface Opening {
  readonly keyHash: string | null
}

/** What an account is compared with. */
export interface Comparison {
  readonly kept: KeptRows
  readonly report: Report
  readonly opening: Opening
  /** How far the feed tells its records; undefined: it does not. */
  readonly told: Told | undefined
}

/** Compares all that is kept of an account with what its records give. */
export function compareAccount(audit: AccountAudit, { kept, report, opening, told }: Comparison): void {
  const { state } = audit
  const compare = (table: Exclude<KeptTable, 'account_states'>, check: AuditCheck, expected: readonly string[]): void => {
    const rows = kept[table].get(state.number) ?? []
    const [wanted, known] = [new Set(expected), new Set(rows)]
    for (const row of rows) if (!wanted.has(row)) report(check, null, `${table} has ${row}, which the records do not give`)
    for (const row of expected) if (!known.has(row)) report(check, null, `${table} lacks ${row}`)
  }
  checkState(audit, kept.account_states.get(state.number) ?? [], { report, told })
  if (told?.seq !== state.seq) report('positions', state.seq, `the feed and what waits for it tell ${told?.seq ?? 0} of its records`)
  compare(
    'grants',
    'grants',
    [...audit.grants].map((row) => JSON.stringify(row)),
  )
  compare('holds', 'holds', expectedHolds(audit))
  compare(
    'refunds',
    'refunds',
    [...audit.refunds].map(([charge, refunded]) => JSON.stringify([charge, `${refunded}`])),
  )
  compare(
    'purchases',
    'purchases',
    audit.purchases.rows().map((row) => JSON.stringify(row)),
  )
  compare('subscriptions', 'subscriptions', subscriptionRows(audit.subscriptions.values()))
  compare('auto_topups', 'auto_topups', autoTopupRows(audit.autoTopup))
  compare('rollups', 'rollups', expectedHours(audit))
  const { profile } = audit
  compare('accounts', 'accounts', profile ? [JSON.stringify([...profileValues(profile), profile.status, audit.openedAtMs])] : [])
  compare('external_ids', 'accounts', profile && profile.externalId !== null ? [JSON.stringify([encodeExternalId(profile)])] : [])
  compare('opening_keys', 'idempotency', opening.keyHash === null ? [] : [JSON.stringify([opening.keyHash])])
  compare('api_keys', 'keys', expectedKeys(audit))
  const secrets = [...audit.keys].flatMap(([seq, key]) => [...key.secrets].map(([hash, untilMs]) => JSON.stringify([seq, hash, untilMs])))
  compare('key_secrets', 'keys', secrets)
}

function expectedHolds({ holds }: AccountAudit): readonly string[] {
  return [...holds].map(([seq, { status, credits, held, expiresAtMs, lateCharge }]) =>
    JSON.stringify([seq, status, `${credits}`, `${held}`, expiresAtMs, lateCharge]),
  )
}

function expectedHours({ closedParts }: AccountAudit): readonly string[] {
  return closedParts.map(({ closedBy, hour }) =>
    JSON.stringify([
      hour.hourMs,
      hour.operation,
      hour.key ?? 0,
      hour.creditType,
      closedBy,
      hour.charges,
      `${hour.credits}`,
      hour.refunds,
      `${hour.refunded}`,
      encodeQuantities(hour.quantities),
    ]),
  )
}

function expectedKeys({ keys }: AccountAudit): readonly string[] {
  return [...keys].map(([seq, { hint, previousUntilMs, terms, createdAtMs, revokedAtMs }]) =>
    JSON.stringify([seq, JSON.stringify(hint), previousUntilMs, JSON.stringify(encodeKeyTerms(terms)), createdAtMs, revokedAtMs]),
  )
}

function checkState({ state, hash }: AccountAudit, rows: readonly string[], { report, told }: Pick<Comparison, 'report' | 'told'>): void {
  const [row] = rows
  if (row === undefined) {
    report('states', state.seq, 'no state is kept of the account')
    return
  }
  const [seq, keptHash, dueMs, text, tick] = JSON.parse(row) as [number, string, number | null, string, number]
  if (tick !== told?.tick) report('states', state.seq, `the kept state is of tick ${tick}, its last record of tick ${told?.tick}`)
  if (seq !== state.seq) report('states', state.seq, `the kept state is that of record ${seq}`)
  if (keptHash !== hash) report('states', state.seq, 'the kept head hash is not that of the last record')
  if (text !== encodeState(state) && !isOfOtherFormat(text))
    report('states', state.seq, `the kept state is ${text}, the records give ${encodeState(state)}`)
  const due = sweepDueMs(state)
  if (dueMs !== due) report('due', state.seq, `the account is kept as due at ${dueMs}, and is due at ${due}`)
}

/** A state of another format says nothing: the server folds it anew from the records. */
function isOfOtherFormat(text: string): boolean {
  try {
    return decodeState(text) === undefined
  } catch (fault) {
    if (fault instanceof Error) return false
    throw fault
  }
}
