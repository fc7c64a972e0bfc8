/** Accounts' profiles and API keys. Written with their records, because external ids and secrets must be unique at once. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AccountProfile, JournalRecord, KeyRotated, KeyTerms } from '../../core/record.ts'
import { decodeKeyTerms, encodeKeyTerms } from '../../core/record-codec.ts'
import type { FoundKey, KeyRow, SeqPage } from '../store.ts'

interface RawKey {
  readonly account: number
  readonly seq: number
  readonly hint: string
  readonly terms: string
  readonly createdAtMs: number
  readonly revokedAtMs: number | null
  readonly previousUntilMs: number | null
  readonly lastUsedAtMs: number | null
}

const KEY_COLUMNS =
  'account, seq, hint, terms, created_at_ms as "createdAtMs", revoked_at_ms as "revokedAtMs", previous_until_ms as "previousUntilMs", last_used_at_ms as "lastUsedAtMs"'

/** Writes the rows that records about accounts and keys make, inside the caller's transaction. */
export class ProfileWriter {
  readonly #insertAccount: StatementSync
  readonly #updateAccount: StatementSync
  readonly #insertKey: StatementSync
  readonly #insertSecret: StatementSync
  readonly #endSecrets: StatementSync
  readonly #updateKey: StatementSync
  readonly #rotateKey: StatementSync
  readonly #revokeKey: StatementSync

  constructor(db: DatabaseSync) {
    this.#insertAccount = db.prepare(
      `insert into accounts (number, name, external_id, metadata, capture_policy, status, created_at_ms, position)
       values (?, ?, ?, ?, ?, 'active', ?, ?)`,
    )
    this.#updateAccount = db.prepare(
      'update accounts set name = ?, external_id = ?, metadata = ?, capture_policy = ?, status = ? where number = ?',
    )
    this.#insertKey = db.prepare('insert into api_keys (account, seq, hint, terms, created_at_ms) values (?, ?, ?, ?, ?)')
    this.#insertSecret = db.prepare('insert into key_secrets (hash, account, key) values (?, ?, ?)')
    this.#endSecrets = db.prepare('update key_secrets set until_ms = min(coalesce(until_ms, ?), ?) where account = ? and key = ?')
    this.#updateKey = db.prepare('update api_keys set terms = ? where account = ? and seq = ?')
    this.#rotateKey = db.prepare('update api_keys set previous_until_ms = ?, hint = ? where account = ? and seq = ?')
    this.#revokeKey = db.prepare('update api_keys set revoked_at_ms = ? where account = ? and seq = ?')
  }

  /** `position` is the record's place in the journal. */
  write(record: JournalRecord, { account, position }: { readonly account: number; readonly position: number }): void {
    switch (record.kind) {
      case 'account_created':
        this.#insertAccount.run(account, ...profileValues(record), record.atMs, position)
        break
      case 'account_updated':
        this.#updateAccount.run(...profileValues(record), record.status, account)
        break
      case 'key_created':
        this.#insertKey.run(account, record.seq, record.secret.hint, encodeTerms(record.terms), record.atMs)
        this.#insertSecret.run(record.secret.hash, account, record.seq)
        break
      case 'key_updated':
        this.#updateKey.run(encodeTerms(record.terms), account, record.key)
        break
      case 'key_rotated':
        this.#rotate(account, record)
        break
      case 'key_revoked':
        this.#revokeKey.run(record.atMs, account, record.key)
        break
      default:
    }
  }

  /** No earlier secret works longer than the last rotation lets the one before it. */
  #rotate(account: number, { key, secret, previousUntilMs }: KeyRotated): void {
    this.#rotateKey.run(previousUntilMs, secret.hint, account, key)
    this.#endSecrets.run(previousUntilMs, previousUntilMs, account, key)
    this.#insertSecret.run(secret.hash, account, key)
  }
}

function profileValues({ name, externalId, metadata, capturePolicy }: AccountProfile): [string, string | null, string, string | null] {
  return [name, externalId, JSON.stringify(metadata), capturePolicy]
}

function encodeTerms(terms: KeyTerms): string {
  return JSON.stringify(encodeKeyTerms(terms))
}

/** Reads API keys. */
export class KeyReader {
  readonly #bySecret: StatementSync
  readonly #bySeq: StatementSync
  readonly #older: StatementSync
  readonly #newer: StatementSync
  readonly #touch: StatementSync

  constructor(db: DatabaseSync) {
    this.#bySecret = db.prepare('select account, key, until_ms as "untilMs" from key_secrets where hash = ?')
    this.#bySeq = db.prepare(`select ${KEY_COLUMNS} from api_keys where account = ? and seq = ?`)
    this.#older = db.prepare(`select ${KEY_COLUMNS} from api_keys where account = ? and seq < ? order by seq desc limit ?`)
    this.#newer = db.prepare(`select ${KEY_COLUMNS} from api_keys where account = ? and seq > ? order by seq limit ?`)
    this.#touch = db.prepare('update api_keys set last_used_at_ms = ? where account = ? and seq = ?')
  }

  bySecret(hash: string): FoundKey | undefined {
    const secret = this.#bySecret.get(hash) as { account: number; key: number; untilMs: number | null } | undefined
    const key = secret && this.at(secret.account, secret.key)
    return key && { ...key, secretUntilMs: secret.untilMs }
  }

  at(account: number, seq: number): KeyRow | undefined {
    const row = this.#bySeq.get(account, seq) as RawKey | undefined
    return row && decodeKey(row)
  }

  list(account: number, { limit, before, after }: SeqPage): readonly KeyRow[] {
    const rows =
      after === undefined ? this.#older.all(account, before ?? Number.MAX_SAFE_INTEGER, limit) : this.#newer.all(account, after, limit)
    return (rows as unknown as RawKey[]).map(decodeKey)
  }

  /** Notes a key's last use, inside the caller's transaction. */
  touch({ account, seq, atMs }: { readonly account: number; readonly seq: number; readonly atMs: number }): void {
    this.#touch.run(atMs, account, seq)
  }
}

function decodeKey({ terms, ...row }: RawKey): KeyRow {
  return { ...row, terms: decodeKeyTerms(JSON.parse(terms) as Parameters<typeof decodeKeyTerms>[0]) }
}
