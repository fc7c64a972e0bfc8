/** Derives one account again from its journal rows, checking each against those before it. The same on every store. */

import { type AccountState, emptyAccount, poolOf } from '../core/account.ts'
import { wrongTopupEvents } from '../core/auto-topup-fold.ts'
import { balanceOf } from '../core/balance.ts'
import { micro, ZERO } from '../core/credits.ts'
import type { AccountFacts, KeyFacts } from '../core/decisions/facts.ts'
import { PoolDraft } from '../core/draft.ts'
import { evolve } from '../core/evolve.ts'
import { assertSound } from '../core/invariants.ts'
import {
  type CreditsRecord,
  givesBack,
  isCharge,
  type JournalRecord,
  type KeyRotated,
  type Movement,
  movesCredits,
  type OutcomeReported,
  type Refunded,
} from '../core/record.ts'
import { decodeRecord } from '../core/record-codec.ts'
import { closedRows } from '../core/usage.ts'
import { type ChainedRow, chainHash, genesisHash } from './chain.ts'
import { mergeHours } from './hours.ts'
import {
  type AutoTopupChange,
  type EndedHoldChange,
  type LiveHoldChange,
  objectChanges,
  type PurchaseChange,
  type SubscriptionChange,
} from './projections.ts'
import { PurchaseAudit } from './purchase-audit.ts'
import type { AuditCheck, GrantRow, HoldRow, HourRow } from './store.ts'

/** A journal row as it is stored. */
export interface AuditedRow extends ChainedRow {
  readonly hash: string
}

/** What the records say of an API key. */
export interface AuditedKey extends KeyFacts {
  readonly hint: string
  readonly createdAtMs: number
  readonly revokedAtMs: number | null
  readonly previousUntilMs: number | null
  /** When each of its secrets ends, by hash; null: with the key. */
  readonly secrets: ReadonlyMap<string, number | null>
}

/** Reports a difference at a record. */
export type Report = (check: AuditCheck, seq: number | null, detail: string) => void

/** The record at a sequence, however it is stored. */
export type Find = (seq: number) => JournalRecord | undefined

/** One account, folded row by row from its first. */
export class AccountAudit {
  readonly #account: number
  readonly #report: Report
  readonly #find: Find
  state: AccountState
  hash: string
  profile: AccountFacts | null = null
  /** When it was opened, by its own time. */
  openedAtMs = 0
  readonly keys = new Map<number, AuditedKey>()
  readonly grants = new Map<number, GrantRow['status']>()
  readonly holds = new Map<number, HoldRow>()
  readonly refunds = new Map<number, bigint>()
  readonly purchases = new PurchaseAudit()
  /** Hours that are over, in the parts in which they left the state, each with the record that closed it. */
  readonly closedParts: { readonly closedBy: number; readonly hour: HourRow }[] = []
  readonly subscriptions = new Map<number, SubscriptionChange>()
  /** Null: the account was never to be topped up by itself. */
  autoTopup: AutoTopupChange | null = null
  /** When the last row was written: by the store's time, whatever time it is for the account. */
  #rowAtMs = 0
  #isBroken = false

  constructor(account: number, { report, find }: { readonly report: Report; readonly find: Find }) {
    this.#account = account
    this.#report = report
    this.#find = find
    this.state = emptyAccount(account)
    this.hash = genesisHash(account)
  }

  /** Whether a record could not be followed, so that nothing after it can be checked. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Sums of the hours that are over, oldest first. */
  get closedHours(): readonly HourRow[] {
    return mergeHours(this.closedParts.map(({ hour }) => hour))
  }

  /** Checks a row and folds it in. */
  fold(row: AuditedRow): void {
    if (this.#isBroken) return
    const { seq } = row
    if (seq !== this.state.seq + 1) {
      this.#break('sequence', seq, `record ${seq} follows record ${this.state.seq}`)
      return
    }
    if (row.atMs < this.#rowAtMs) this.#report('sequence', seq, 'the record is older than the one before it')
    this.#rowAtMs = row.atMs
    this.hash = chainHash(this.hash, row)
    if (this.hash !== row.hash) {
      this.#report('chain', seq, 'the hash is not that of the record and the hash before it')
      this.hash = row.hash
    }
    const record = this.#decode(row)
    if (record) this.#follow(record)
  }

  #decode(row: AuditedRow): JournalRecord | undefined {
    try {
      return decodeRecord(row)
    } catch (cause) {
      this.#break('records', row.seq, messageOf(cause))
      return undefined
    }
  }

  #follow(record: JournalRecord): void {
    const before = this.state
    try {
      const after = evolve(before, record)
      assertSound(after, asOf(record, before))
      this.state = after
    } catch (cause) {
      this.#break('decisions', record.seq, messageOf(cause))
      return
    }
    const wrong = wrongBefore(before, record) ?? wrongTopupEvents(before.autoTopup, record)
    if (wrong !== undefined) this.#report('decisions', record.seq, wrong)
    if (movesCredits(record)) this.#checkCredits(before, record)
    if (givesBack(record)) this.#checkRefund(record)
    const unpaid = this.purchases.check(record)
    if (unpaid !== null) this.#report('purchases', record.seq, unpaid)
    this.#project(before, record)
  }

  #checkCredits(before: AccountState, record: CreditsRecord): void {
    const asOfMs = asOf(record, before)
    const { settled, held } = balanceOf(poolOf(this.state, record.creditType), asOfMs)
    if (settled !== record.balance.settled || held !== record.balance.held) {
      this.#report(
        'balances',
        record.seq,
        `the record states ${record.balance.settled} settled and ${record.balance.held} held, the entries give ${settled} and ${held}`,
      )
    }
    if (record.kind !== 'charge' && record.kind !== 'hold') return
    const redone = new PoolDraft(poolOf(before, record.creditType), asOfMs)
    const wanting = record.kind === 'charge' ? redone.draw(record.credits) : redone.hold(record.credits)
    if (wanting > 0n) this.#report('decisions', record.seq, `${wanting} micro-credits more than were available`)
    else if (!areSame(redone.movements, record.movements)) this.#report('decisions', record.seq, 'the entries do not follow the burn order')
  }

  /** Its charge is looked up: an audit that kept all charges of an account would have no bounds. */
  #checkRefund({ seq, charge: charged, credits }: Refunded | OutcomeReported): void {
    const charge = this.#find(charged)
    const refunded = (this.refunds.get(charged) ?? 0n) + credits
    if (!charge || !isCharge(charge)) this.#report('decisions', seq, `record ${charged}, which is refunded, is no charge`)
    else if (refunded > charge.credits)
      this.#report('refunds', seq, `${refunded} micro-credits are refunded of charge ${charged}, which took ${charge.credits}`)
  }

  #project(before: AccountState, record: JournalRecord): void {
    const after = this.state
    for (const row of closedRows(before.hour, after.hour))
      this.closedParts.push({ closedBy: record.seq, hour: { ...row, hourMs: before.hour.startMs } })
    for (const change of objectChanges(record, { before, after })) {
      if (change.table === 'grants') this.grants.set(change.seq, change.status)
      else if (change.table === 'refunds') this.refunds.set(change.charge, (this.refunds.get(change.charge) ?? 0n) + change.credits)
      else if (change.table === 'purchases') this.#changePurchase(change, record.seq)
      else if (change.table === 'subscriptions' || change.table === 'auto_topups') this.#changeAsking(change)
      else if (change.table === 'late_captures') this.#lateCapture(change.hold, change.charge)
      else this.#changeHold(change)
    }
    this.#profile(record)
  }

  #changeAsking(change: SubscriptionChange | AutoTopupChange): void {
    if (change.table === 'auto_topups') this.autoTopup = change
    else this.subscriptions.set(change.subscription.seq, change)
  }

  #changePurchase(change: PurchaseChange, seq: number): void {
    try {
      this.purchases.fold(change)
    } catch (cause) {
      this.#report('purchases', seq, messageOf(cause))
    }
  }

  #changeHold(change: LiveHoldChange | EndedHoldChange): void {
    const known = this.holds.get(change.seq) ?? {
      seq: change.seq,
      status: 'live',
      credits: ZERO,
      held: ZERO,
      expiresAtMs: 0,
      lateCharge: null,
    }
    if (change.table === 'ended_holds') this.holds.set(change.seq, { ...known, status: change.status, held: change.held })
    else
      this.holds.set(change.seq, {
        ...known,
        credits: micro(known.credits + change.credits),
        expiresAtMs: change.expiresAtMs ?? known.expiresAtMs,
      })
  }

  #lateCapture(hold: number, charge: number): void {
    const known = this.holds.get(hold)
    if (known?.status === 'expired' && known.lateCharge === null) this.holds.set(hold, { ...known, lateCharge: charge })
    else this.#report('decisions', charge, `hold ${hold} cannot be captured late: it is ${known?.status ?? 'unknown'}`)
  }

  #profile(record: JournalRecord): void {
    switch (record.kind) {
      case 'account_created':
      case 'account_updated': {
        const { name, externalId, metadata, capturePolicy } = record
        if (record.kind === 'account_created') this.openedAtMs = record.atMs
        this.profile = { name, externalId, metadata, capturePolicy, status: this.state.status }
        break
      }
      case 'key_created':
        this.keys.set(record.seq, {
          terms: record.terms,
          hint: record.secret.hint,
          createdAtMs: record.atMs,
          revokedAtMs: null,
          previousUntilMs: null,
          secrets: new Map([[record.secret.hash, null]]),
          isRevoked: false,
        })
        break
      case 'key_updated':
        this.#changeKey(record.key, record.seq, { terms: record.terms })
        break
      case 'key_rotated': {
        const { secret, previousUntilMs } = record
        const secrets = rotated(this.keys.get(record.key)?.secrets ?? new Map(), record)
        this.#changeKey(record.key, record.seq, { hint: secret.hint, previousUntilMs, secrets })
        break
      }
      case 'key_revoked':
        this.#changeKey(record.key, record.seq, { isRevoked: true, revokedAtMs: record.atMs })
        break
      default:
    }
  }

  #changeKey(key: number, seq: number, change: Partial<AuditedKey>): void {
    const known = this.keys.get(key)
    if (known && !known.isRevoked) this.keys.set(key, { ...known, ...change })
    else this.#report('decisions', seq, `API key ${key} of account ${this.#account} is ${known ? 'revoked' : 'unknown'}`)
  }

  #break(check: AuditCheck, seq: number, detail: string): void {
    this.#isBroken = true
    this.#report(check, seq, detail)
  }
}

/** A key's secrets after a rotation: no earlier one works longer than the rotation lets the one before it. */
function rotated(secrets: AuditedKey['secrets'], { secret, previousUntilMs }: KeyRotated): AuditedKey['secrets'] {
  const ended = [...secrets].map(([hash, untilMs]) => [hash, Math.min(untilMs ?? previousUntilMs, previousUntilMs)] as const)
  return new Map<string, number | null>([...ended, [secret.hash, null]])
}

/** Why a record could not have been made on the state before it, apart from amounts. */
function wrongBefore(before: AccountState, record: JournalRecord): string | undefined {
  switch (record.kind) {
    case 'charge':
    case 'hold':
      return before.status === 'suspended' ? 'the account was suspended' : undefined
    case 'hold_expired': {
      const hold = before.holds.find(({ seq }) => seq === record.hold)
      return hold?.expiresAtMs === record.dueMs && record.dueMs <= record.atMs ? undefined : 'the hold had not reached its end'
    }
    case 'checkout_expired': {
      const checkout = before.checkouts.find(({ seq }) => seq === record.purchase)
      return checkout && checkout.expiresAtMs <= record.atMs ? undefined : 'the checkout had not reached its end'
    }
    case 'grant_expired': {
      const grant = poolOf(before, record.creditType).grants.find(({ seq }) => seq === record.grant)
      return grant?.expiresAtMs === record.dueMs && record.dueMs <= record.atMs ? undefined : 'the grant had not reached its end'
    }
    default:
      return undefined
  }
}

/** The moment that a record describes: what time did is booked later than it was due. */
function asOf(record: JournalRecord, before: AccountState): number {
  if ('dueMs' in record) return record.dueMs
  const ended = record.kind === 'checkout_expired' ? before.checkouts.find(({ seq }) => seq === record.purchase) : undefined
  return ended?.expiresAtMs ?? record.atMs
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function areSame(a: readonly Movement[], b: readonly Movement[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ grant, remaining, held }, index) => b[index]?.grant === grant && b[index].remaining === remaining && b[index].held === held)
  )
}
