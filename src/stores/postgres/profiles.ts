/** Accounts' profiles and API keys: written with their records, because external ids and secrets must be unique at once. */

import type { JournalRecord, KeyRotated, KeyTerms } from '../../core/record.ts'
import { decodeKeyTerms, encodeKeyTerms } from '../../core/record-codec.ts'
import type { DecidedBatch } from '../batch.ts'
import type { FoundKey, KeyRow, SeqPage } from '../store.ts'
import { bucketOf, onRows, runOnRows } from './buckets.ts'
import type { Runner, Statement } from './session.ts'
import type { Write } from './write.ts'

const INSERT_ACCOUNT: Statement = {
  name: 'insert account',
  text: `insert into accounts (bucket, number, name, external_id, metadata, capture_policy, status, created_at_ms, opened_tick, opened_place)
         values ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $9)`,
}
const UPDATE_ACCOUNT: Statement = {
  name: 'update account',
  text: `update accounts set name = $3, external_id = $4, metadata = $5, capture_policy = $6, status = $7 where bucket = $1 and number = $2`,
}
/** An external id is given up before another is taken, which fails when it is somebody else's. */
const FREE_EXTERNAL_ID: Statement = {
  name: 'free external id',
  text: 'delete from external_ids where account = $1 and external_id is distinct from $2::text',
}
const TAKE_EXTERNAL_ID: Statement = {
  name: 'take external id',
  text: 'insert into external_ids (external_id, account) values ($1, $2) on conflict (account) do nothing',
}
const KEEP_OPENING: Statement = { name: 'keep opening', text: 'insert into opening_keys (key_hash, account) values ($1, $2)' }
const INSERT_KEY: Statement = {
  name: 'insert key',
  text: 'insert into api_keys (bucket, account, seq, hint, terms, created_at_ms) values ($1, $2, $3, $4, $5, $6)',
}
const INSERT_SECRET: Statement = { name: 'insert secret', text: 'insert into key_secrets (hash, account, key) values ($1, $2, $3)' }
const END_SECRETS: Statement = {
  name: 'end secrets',
  text: 'update key_secrets set until_ms = least(coalesce(until_ms, $3), $3) where account = $1 and key = $2',
}
const UPDATE_KEY: Statement = { name: 'update key', text: 'update api_keys set terms = $4 where bucket = $1 and account = $2 and seq = $3' }
const ROTATE_KEY: Statement = {
  name: 'rotate key',
  text: 'update api_keys set previous_until_ms = $4, hint = $5 where bucket = $1 and account = $2 and seq = $3',
}
const REVOKE_KEY: Statement = {
  name: 'revoke key',
  text: 'update api_keys set revoked_at_ms = $4 where bucket = $1 and account = $2 and seq = $3',
}

/** The statements that a batch's records about accounts and keys make, in their order; most batches have none. */
export function profileWrites({ pending }: DecidedBatch, tick: number): readonly Write[] {
  return pending.flatMap(({ record, row: { account, keyHash } }, place) => writesOf(record, { account, keyHash, tick, place }))
}

interface Place {
  readonly account: number
  readonly keyHash: string | null
  readonly tick: number
  readonly place: number
}

function writesOf(record: JournalRecord, { account, keyHash, tick, place }: Place): readonly Write[] {
  const owner = [bucketOf(account), account]
  switch (record.kind) {
    case 'account_created':
      return [
        { statement: INSERT_ACCOUNT, values: [...owner, ...profileValues(record), record.atMs, tick, place] },
        ...(keyHash === null ? [] : [{ statement: KEEP_OPENING, values: [keyHash, account] }]),
        ...externalIdTaken(record, account),
      ]
    case 'account_updated':
      return [
        { statement: UPDATE_ACCOUNT, values: [...owner, ...profileValues(record), record.status] },
        { statement: FREE_EXTERNAL_ID, values: [account, encodeExternalId(record)] },
        ...externalIdTaken(record, account),
      ]
    case 'key_created':
      return [
        {
          statement: INSERT_KEY,
          values: [...owner, record.seq, JSON.stringify(record.secret.hint), encodeTerms(record.terms), record.atMs],
        },
        { statement: INSERT_SECRET, values: [record.secret.hash, account, record.seq] },
      ]
    case 'key_updated':
      return [{ statement: UPDATE_KEY, values: [...owner, record.key, encodeTerms(record.terms)] }]
    case 'key_rotated':
      return rotation(record, account)
    case 'key_revoked':
      return [{ statement: REVOKE_KEY, values: [...owner, record.key, record.atMs] }]
    default:
      return []
  }
}

/** No earlier secret works longer than the last rotation lets the one before it. */
function rotation({ key, secret, previousUntilMs }: KeyRotated, account: number): readonly Write[] {
  return [
    { statement: ROTATE_KEY, values: [bucketOf(account), account, key, previousUntilMs, JSON.stringify(secret.hint)] },
    { statement: END_SECRETS, values: [account, key, previousUntilMs] },
    { statement: INSERT_SECRET, values: [secret.hash, account, key] },
  ]
}

type Profile = Pick<Extract<JournalRecord, { kind: 'account_created' }>, 'name' | 'externalId' | 'metadata' | 'capturePolicy'>

function externalIdTaken(profile: Pick<Profile, 'externalId'>, account: number): readonly Write[] {
  return profile.externalId === null ? [] : [{ statement: TAKE_EXTERNAL_ID, values: [encodeExternalId(profile), account] }]
}

/** The column external_id of a profile, or of the directory. */
export function encodeExternalId({ externalId }: Pick<Profile, 'externalId'>): string | null {
  return externalId === null ? null : JSON.stringify(externalId)
}

/** The columns name, external_id, metadata and capture_policy of a profile. */
export function profileValues({ name, externalId, metadata, capturePolicy }: Profile): (string | null)[] {
  return [JSON.stringify(name), encodeExternalId({ externalId }), JSON.stringify(metadata), capturePolicy]
}

function encodeTerms(terms: KeyTerms): string {
  return JSON.stringify(encodeKeyTerms(terms))
}

type RawKey = Omit<KeyRow, 'terms'> & { readonly terms: string }

const KEY_COLUMNS =
  'account, seq, hint, terms, created_at_ms as "createdAtMs", revoked_at_ms as "revokedAtMs", previous_until_ms as "previousUntilMs", last_used_at_ms as "lastUsedAtMs"'
const BY_SECRET: Statement = { name: 'key by secret', text: 'select account, key, until_ms as "untilMs" from key_secrets where hash = $1' }
const KEY: Statement = { name: 'key', text: `select ${KEY_COLUMNS} from api_keys where bucket = $1 and account = $2 and seq = $3` }
const OLDER_KEYS: Statement = {
  name: 'older keys',
  text: `select ${KEY_COLUMNS} from api_keys where bucket = $1 and account = $2 and seq < $3 order by seq desc limit $4`,
}
const NEWER_KEYS: Statement = {
  name: 'newer keys',
  text: `select ${KEY_COLUMNS} from api_keys where bucket = $1 and account = $2 and seq > $3 order by seq limit $4`,
}
const TOUCH_KEYS = onRows(
  'touch keys',
  [
    ['account', 'bigint'],
    ['seq', 'bigint'],
    ['at_ms', 'bigint'],
  ],
  (rows) =>
    `update api_keys k set last_used_at_ms = t.at_ms from ${rows} where k.bucket = t.bucket and k.account = t.account and k.seq = t.seq`,
)

/** Reads API keys. */
export class KeyReader {
  readonly #run: Runner

  constructor(run: Runner) {
    this.#run = run
  }

  async bySecret(hash: string): Promise<FoundKey | undefined> {
    const [secret] = await this.#run<{ account: number; key: number; untilMs: number | null }>(BY_SECRET, [hash])
    const key = secret && (await this.at(secret.account, secret.key))
    return key && { ...key, secretUntilMs: secret.untilMs }
  }

  async at(account: number, seq: number): Promise<KeyRow | undefined> {
    const [row] = await this.#run<RawKey>(KEY, [bucketOf(account), account, seq])
    return row && decodeKey(row)
  }

  async list(account: number, { limit, before, after }: SeqPage): Promise<readonly KeyRow[]> {
    const from = after ?? before ?? Number.MAX_SAFE_INTEGER
    const rows = await this.#run<RawKey>(after === undefined ? OLDER_KEYS : NEWER_KEYS, [bucketOf(account), account, from, limit])
    return rows.map(decodeKey)
  }

  /** Notes when keys were last used; of several uses of one key, the last that is named. */
  async touch(uses: readonly { readonly account: number; readonly seq: number; readonly atMs: number }[]): Promise<void> {
    const last = [...new Map(uses.map((use) => [`${use.account}:${use.seq}`, use])).values()]
    // In one order on all nodes, or two that note the same keys would wait for each other.
    last.sort((a, b) => bucketOf(a.account) - bucketOf(b.account) || a.account - b.account || a.seq - b.seq)
    const accounts = last.map(({ account }) => account)
    const columns = [accounts, last.map(({ seq }) => seq), last.map(({ atMs }) => atMs)]
    await runOnRows(this.#run, TOUCH_KEYS, { buckets: accounts.map(bucketOf), columns })
  }
}

/** Reads a row of the API keys. */
export function decodeKey({ terms, hint, ...row }: RawKey): KeyRow {
  return { ...row, hint: JSON.parse(hint) as string, terms: decodeKeyTerms(JSON.parse(terms) as Parameters<typeof decodeKeyTerms>[0]) }
}
