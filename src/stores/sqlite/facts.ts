/** What decisions ask about past records, read from tables that are brought up to date first. */

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Microcredits } from '../../core/credits.ts'
import type { AccountFacts, ChargeFacts, ClosedGrant, EndedHold, Facts, KeyFacts, TakenFacts } from '../../core/decisions/facts.ts'
import { termsOf } from '../../core/evolve.ts'
import type { PurchaseFacts } from '../../core/purchase.ts'
import { DEBT, drawsOf, grantMadeBy, isCharge, type JournalRecord, type Movement } from '../../core/record.ts'
import type { GrantRow } from '../store.ts'
import type { AccountReader } from './accounts.ts'
import { ROW_COLUMNS, recordOf, type StoredRow } from './journal.ts'
import type { KeyReader } from './profiles.ts'
import { PurchaseReader } from './purchases.ts'

interface RawHold {
  readonly status: EndedHold['status'] | 'live'
  readonly held: bigint
  readonly lateCharge: bigint | null
}

/** Reads facts; each read first asks that the account's rows be brought up to date. */
export class FactsReader {
  readonly #accounts: AccountReader
  readonly #keys: KeyReader
  readonly #purchases: PurchaseReader
  readonly #record: StatementSync
  readonly #grant: StatementSync
  readonly #hold: StatementSync
  readonly #refunded: StatementSync

  constructor(db: DatabaseSync, accounts: AccountReader, keys: KeyReader) {
    this.#accounts = accounts
    this.#keys = keys
    this.#purchases = new PurchaseReader(db)
    this.#record = db.prepare(
      `select ${ROW_COLUMNS} from account_records r join journal j on j.position = r.position where r.account = ? and r.seq = ?`,
    )
    this.#grant = db.prepare('select status from grants where account = ? and seq = ?')
    this.#hold = db.prepare('select status, held, late_charge as "lateCharge" from holds where account = ? and seq = ?')
    this.#hold.setReadBigInts(true)
    this.#refunded = db.prepare('select refunded from refunds where account = ? and charge = ?')
    this.#refunded.setReadBigInts(true)
  }

  /** Facts about one account, whose rows `bringUpToDate` sees to. */
  of(account: number, bringUpToDate: () => void): Facts {
    const fresh = <Value>(read: () => Value): Value => {
      bringUpToDate()
      return read()
    }
    return {
      charge: (seq) => fresh(() => this.#charge(account, seq)),
      endedHold: (seq) => fresh(() => this.#endedHold(account, seq)),
      closedGrant: (seq) => fresh(() => this.#closedGrant(account, seq)),
      key: (seq) => fresh(() => this.#key(account, seq)),
      purchase: (seq) => fresh(() => this.#purchase(account, seq)),
      taken: (seq) => fresh(() => this.#taken(account, seq)),
      profile: () => fresh(() => this.#profile(account)),
    }
  }

  /** The record at a sequence, of an account whose rows are up to date. */
  recordAt(account: number, seq: number): JournalRecord | undefined {
    const row = this.#record.get(account, seq) as StoredRow | undefined
    return row && recordOf(row)
  }

  #charge(account: number, seq: number): ChargeFacts | null {
    const record = this.recordAt(account, seq)
    if (!record || !isCharge(record)) return null
    const row = this.#refunded.get(account, seq) as { refunded: bigint } | undefined
    const closedGrants = this.#closedGrants(account, drawsOf(record))
    return { record, refunded: (row?.refunded ?? 0n) as Microcredits, closedGrants }
  }

  #taken(account: number, seq: number): TakenFacts | null {
    const record = this.recordAt(account, seq)
    return record?.kind === 'topup_refunded' ? { record, closedGrants: this.#closedGrants(account, record.movements) } : null
  }

  #closedGrants(account: number, draws: readonly Movement[]): readonly ClosedGrant[] {
    const grants = new Set(draws.map(({ grant }) => grant))
    grants.delete(DEBT)
    return [...grants].flatMap((grant) => this.#closedGrant(account, grant) ?? [])
  }

  #purchase(account: number, seq: number): PurchaseFacts | null {
    return this.#purchases.at(account, seq) ?? null
  }

  #closedGrant(account: number, seq: number): ClosedGrant | null {
    const row = this.#grant.get(account, seq) as { status: GrantRow['status'] } | undefined
    if (!row || row.status === 'open') return null
    const record = this.recordAt(account, seq)
    const grant = record ? grantMadeBy(record) : null
    if (!grant) throw new Error(`grant ${seq} of account ${account} has no record`)
    return { ...termsOf(seq, grant), status: row.status }
  }

  #endedHold(account: number, seq: number): EndedHold | null {
    const row = this.#hold.get(account, seq) as RawHold | undefined
    if (!row || row.status === 'live') return null
    const record = this.recordAt(account, seq)
    const policy = record?.kind === 'hold' ? record.policy : null
    return { status: row.status, credits: row.held as Microcredits, isLateCaptured: row.lateCharge !== null, policy }
  }

  #key(account: number, seq: number): KeyFacts | null {
    const row = this.#keys.at(account, seq)
    return row ? { terms: row.terms, isRevoked: row.revokedAtMs !== null } : null
  }

  #profile(account: number): AccountFacts {
    const row = this.#accounts.row(account)
    if (!row) throw new Error(`account ${account} has no profile`)
    const { name, externalId, metadata, capturePolicy, status } = row
    return { name, externalId, metadata, capturePolicy, status }
  }
}
