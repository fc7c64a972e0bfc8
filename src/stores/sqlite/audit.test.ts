/**
 * Every kind of damage is planted with SQL in a copy of a sound file, and an audit must report it under its check. Two
 * sweeps go over every value of every row; the tables below name the faults that need more than one change.
 */

import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import { openTestLedger, tamper } from '../../../test/running/ledger.ts'
import { live } from '../../../test/running/lived-account.ts'
import { chargeOf, MemoryAccount } from '../../../test/running/memory-account.ts'
import * as buy from '../../../test/running/purchases.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { transaction } from '../../../test/running/store-commands.ts'
import { emptyAccount, poolOf } from '../../core/account.ts'
import { encodeState } from '../../core/account-codec.ts'
import { balanceOf } from '../../core/balance.ts'
import type { PurchaseCommand } from '../../core/command.ts'
import { micro } from '../../core/credits.ts'
import { decide } from '../../core/decide.ts'
import { decideCharge } from '../../core/decisions/charge.ts'
import { decideRefund } from '../../core/decisions/refund.ts'
import { openDraft } from '../../core/due.ts'
import { evolve } from '../../core/evolve.ts'
import type { Purchase, PurchaseFacts } from '../../core/purchase.ts'
import { isCharge, type JournalRecord } from '../../core/record.ts'
import { encodeRecord } from '../../core/record-codec.ts'
import { isRefusal } from '../../core/refusals.ts'
import { chainHash, genesisHash } from '../chain.ts'
import { AUDIT_CHECKS, type AuditCheck, type Difference, MAX_DIFFERENCES } from '../store.ts'
import { auditFile, auditInThread } from './audit.ts'
import { ROW_COLUMNS, recordOf, type StoredRow } from './journal.ts'
import { openSqliteStore } from './sqlite-store.ts'

const ADA = 101
const BOB = 202
const folder = mkdtempSync(join(tmpdir(), 'obol-audit-'))
const SOUND = join(folder, 'sound.db')
after(() => rmSync(folder, { recursive: true }))

/** Something of everything: each table has rows of two accounts, and each status occurs. */
before(async () => {
  const clock = { nowMs: TEST_START_MS }
  const onFault = (fault: unknown) => assert.fail(String(fault))
  const store = openSqliteStore({ file: SOUND, clock: () => clock.nowMs, onFault })
  for (const account of [ADA, BOB]) await live(store, account, clock)
  await store.publishPrices({ effectiveAtMs: null, prices: [], idempotency: null })
  await store.close()
})

const reached = new Set<AuditCheck>()
let copies = 0

/** What an audit says of a copy of the sound file after a change, its append-only triggers out of the way. */
function planted(change: (db: DatabaseSync) => void): readonly Difference[] {
  const file = join(folder, `${copies++}.db`)
  copyFileSync(SOUND, file)
  tamper(file, (db) => {
    for (const what of ['changed', 'deleted']) db.exec(`drop trigger journal_rows_are_never_${what}`)
    change(db)
  })
  const { differences } = auditFile(file)
  for (const ending of ['', '-wal', '-shm']) rmSync(`${file}${ending}`, { force: true })
  for (const { check } of differences) reached.add(check)
  return differences
}

function checksOf(differences: readonly Difference[]): readonly AuditCheck[] {
  return [...new Set(differences.map(({ check }) => check))].sort()
}

/** A copy of the sound file to look things up in. */
function look<Found>(find: (db: DatabaseSync) => Found): Found {
  const db = new DatabaseSync(SOUND, { readOnly: true })
  try {
    return find(db)
  } finally {
    db.close()
  }
}

test('a sound file has no differences, however often it is audited', async () => {
  for (let time = 0; time < 2; time++) {
    const { checked, differences } = auditFile(SOUND)
    assert.deepEqual(differences, [])
    assert.equal(checked.accounts, 2)
    assert.ok(checked.records > 50 && checked.keys > 40 && checked.rollups >= 8, JSON.stringify(checked))
  }
  assert.deepEqual((await auditInThread(SOUND)).differences, [])
  await assert.rejects(auditInThread(join(folder, 'missing.db')), /cannot be opened/)
})

test('a number that is missing among invoices is found', () => {
  const insert = (number: number): string =>
    `insert into invoices (account, ordinal, series, number, kind, source, issued_at_ms, body) values (1, ${number}, 'INV', ${number}, 'receipt', 'test ${number}', 1, '{}')`
  assert.deepEqual(checksOf(planted((db) => db.exec(insert(1)))), [])
  assert.deepEqual(checksOf(planted((db) => db.exec(insert(2)))), ['invoices'])
})

/** Which check watches over a table, and the columns of it that are no part of the ledger. */
const TABLES: Readonly<Record<string, { readonly check: AuditCheck; readonly except: readonly string[] }>> = {
  account_states: { check: 'states', except: [] },
  account_records: { check: 'history', except: [] },
  idempotency_keys: { check: 'idempotency', except: [] },
  rollups: { check: 'rollups', except: [] },
  grants: { check: 'grants', except: [] },
  holds: { check: 'holds', except: [] },
  refunds: { check: 'refunds', except: [] },
  purchases: { check: 'purchases', except: [] },
  subscriptions: { check: 'subscriptions', except: [] },
  auto_topups: { check: 'auto_topups', except: [] },
  due_accounts: { check: 'due', except: [] },
  accounts: { check: 'accounts', except: [] },
  api_keys: { check: 'keys', except: ['last_used_at_ms'] },
  key_secrets: { check: 'keys', except: [] },
}

interface Column {
  readonly name: string
  readonly type: string
  readonly pk: number
}

function columnsOf(table: string): readonly Column[] {
  return look((db) => db.prepare(`select name, type, pk from pragma_table_info('${table}')`).all() as unknown as readonly Column[])
}

/** Rows of one table that are damaged, about: the first of each kind or status, and others that are spread over the table. */
const MOST_ROWS = 60

/** A condition that is true of one row alone, for each row that is damaged; `shift` says which of the others these are. */
function rowsOf(table: string, shift = 0): readonly string[] {
  const columns = columnsOf(table)
  const keys = columns.filter(({ pk }) => pk > 0).map(({ name }) => name)
  const sort = columns.find(({ name }) => name === 'kind' || name === 'status')?.name ?? "''"
  const rows = look((db) => db.prepare(`select ${keys.join(', ')}, ${sort} as sortOfRow from ${table} order by ${keys.join(', ')}`).all())
  const step = Math.ceil(rows.length / MOST_ROWS)
  const seen = new Set<unknown>()
  const isFirst = ({ sortOfRow }: Record<string, unknown>): boolean => seen.size < seen.add(sortOfRow).size
  return rows
    .filter((row, at) => isFirst(row) || (at + shift) % step === 0)
    .map((row) => keys.map((name) => `${name} = ${typeof row[name] === 'string' ? `'${row[name]}'` : row[name]}`).join(' and '))
}

/** Values that a column might be changed to; the first that its table takes, and that is another one, is planted. */
function otherValues({ name, type }: Column): readonly string[] {
  const statuses = ['open', 'spent', 'expired', 'voided', 'live', 'captured', 'released', 'active', 'suspended', 'cap', 'reject']
  if (name === 'watched') return ['1 - watched']
  if (type === 'INTEGER') return [`coalesce(${name}, 0) + 1`, `coalesce(${name}, 0) + 1000000`]
  return [...statuses.map((status) => `'${status}'`), `coalesce(${name}, '') || 'x'`]
}

/** Changes a column of a row to something that it was not. */
function change(db: DatabaseSync, table: string, { column, row }: { readonly column: Column; readonly row: string }): void {
  const isStatus = column.name === 'status' || column.name === 'capture_policy'
  for (const value of isStatus ? otherValues(column) : otherValues(column).slice(column.type === 'TEXT' ? -1 : 0)) {
    try {
      if (db.prepare(`update ${table} set ${column.name} = ${value} where ${row} and ${column.name} is not ${value}`).run().changes > 0)
        return
    } catch (refused) {
      assert.match(String(refused), /constraint/i)
    }
  }
  assert.fail(`${table}.${column.name} takes no other value where ${row}`)
}

for (const [table, { check, except }] of Object.entries(TABLES)) {
  const columns = columnsOfLater(table, except)
  test(`any change of any value in ${table} is found as a difference of ${check}`, () => {
    const missed: string[] = []
    for (const [shift, column] of columns().entries())
      for (const row of rowsOf(table, shift)) {
        const found = checksOf(planted((db) => change(db, table, { column, row })))
        if (!found.includes(check)) missed.push(`${column.name} where ${row}: ${found.join() || 'nothing'}`)
      }
    assert.deepEqual(missed, [])
  })

  test(`any row that is lost from ${table} is found as a difference of ${check}`, () => {
    const rows = rowsOf(table)
    assert.ok(rows.length >= 2, 'there is something to lose')
    const found = rows.map((row) => [row, checksOf(planted((db) => db.exec(`delete from ${table} where ${row}`)))] as const)
    assert.deepEqual(
      found.filter(([, checks]) => !checks.includes(check)),
      [],
    )
  })

  test(`a row of an account that does not exist is found in ${table} as a difference of ${check}`, () => {
    const names = columns().map(({ name }) => name)
    const owner = table === 'accounts' ? 'number' : 'account'
    const values = names.map((name) => {
      if (name === owner) return '999'
      if (/hash|external_id/.test(name)) return `${name} || 'x'`
      return name === 'created_order' || name === 'position' ? `${name} + 1000` : name
    })
    const sql = `insert into ${table} (${names.join(', ')}) select ${values.join(', ')} from ${table} limit 1`
    const found = checksOf(planted((db) => assert.equal(db.prepare(sql).run().changes, 1)))
    assert.ok(found.includes(check), `${found.join() || 'nothing'} was found`)
  })
}

/** The columns of a table, once there is one. */
function columnsOfLater(table: string, except: readonly string[]): () => readonly Column[] {
  return () => columnsOf(table).filter(({ name }) => !except.includes(name))
}

/** What each column of the journal is changed to: hashes keep their length, which their table checks. */
const JOURNAL_CHANGES: Readonly<Record<string, string>> = {
  position: 'position + 1000',
  account: 'account + 1',
  seq: 'seq + 1000',
  at_ms: 'at_ms + 1',
  kind: "kind || 's'",
  key_hash: `case when key_hash is null then '${'k'.repeat(22)}' else '~' || substr(key_hash, 2) end`,
  fingerprint: `case when fingerprint is null then '${'f'.repeat(22)}' else '~' || substr(fingerprint, 2) end`,
  hash: "'~' || substr(hash, 2)",
  body: "body || ' '",
}

test('any change of any value in the journal is found, and so is any record that is lost', () => {
  const checks: readonly AuditCheck[] = ['positions', 'records', 'sequence', 'chain', 'decisions', 'history', 'accounts']
  const missed: string[] = []
  for (const row of rowsOf('journal')) {
    for (const column of columnsOf('journal')) {
      const found = checksOf(
        planted((db) => {
          const value = JOURNAL_CHANGES[column.name]
          assert.equal(db.prepare(`update journal set ${column.name} = ${value} where ${row}`).run().changes, 1)
        }),
      )
      if (!found.some((check) => checks.includes(check))) missed.push(`${column.name} where ${row}: ${found.join() || 'nothing'}`)
    }
    const lost = checksOf(planted((db) => db.exec(`delete from journal where ${row}`)))
    if (!lost.includes('positions')) missed.push(`all of it where ${row}: ${lost.join() || 'nothing'}`)
  }
  assert.deepEqual(missed, [])
})

/** Characters from one flipped bit of a body to the next; they begin at another place in each record. */
const FLIP_STEP = 61

test('any flipped bit of a record’s body is found', () => {
  const missed: string[] = []
  for (const [index, row] of rowsOf('journal').entries()) {
    const { body } = look((db) => db.prepare(`select body from journal where ${row}`).get()) as { body: string }
    for (let at = (17 * index) % Math.min(FLIP_STEP, body.length); at < body.length; at += FLIP_STEP) {
      const flipped = `${body.slice(0, at)}${String.fromCharCode(body.charCodeAt(at) ^ 1)}${body.slice(at + 1)}`
      const found = checksOf(planted((db) => db.prepare(`update journal set body = ? where ${row}`).run(flipped)))
      if (!found.includes('chain') && !found.includes('records')) missed.push(`${row} at ${at}`)
    }
  }
  assert.deepEqual(missed, [])
})

/** Writes the hashes of an account's records anew, as a bug that wrote a wrong record would have. */
function rechain(db: DatabaseSync, account: number): void {
  let hash = genesisHash(account)
  const rows = db.prepare(`select ${ROW_COLUMNS} from journal j where j.account = ? order by j.seq`).all(account) as unknown as StoredRow[]
  for (const row of rows) {
    hash = chainHash(hash, row)
    db.prepare('update journal set hash = ? where position = ?').run(hash, row.position)
  }
  db.prepare('update account_states set hash = ? where account = ?').run(hash, account)
}

/** Changes one record of an account as a bug would have: its hash and those after it agree. */
function rewrite(db: DatabaseSync, find: (record: JournalRecord) => boolean, to: (body: string) => string): number {
  const rows = db.prepare(`select ${ROW_COLUMNS} from journal j where j.account = ${ADA} order by j.seq`).all() as unknown as StoredRow[]
  const row = rows.find((one) => find(recordOf(one))) ?? assert.fail('there is no such record')
  const body = to(row.body)
  assert.notEqual(body, row.body)
  db.prepare('update journal set body = ? where position = ?').run(body, row.position)
  rechain(db, ADA)
  return row.seq
}

function kindIs(kind: JournalRecord['kind']): (record: JournalRecord) => boolean {
  return (record) => record.kind === kind
}

/** Appends a record to ADA's journal, hashed in order, behind the low-water mark. */
function append(db: DatabaseSync, record: JournalRecord, keyHash: string | null = null): void {
  const last = db
    .prepare(`select ${ROW_COLUMNS} from journal j where account = ${ADA} order by seq desc limit 1`)
    .get() as unknown as StoredRow
  const { position } = db.prepare('select max(position) + 1 as position from journal').get() as { position: number }
  const { seq, atMs, kind } = record
  const row = { seq, atMs, kind, keyHash, fingerprint: keyHash && 'f'.repeat(22), body: encodeRecord(record) }
  db.prepare(
    'insert into journal (position, account, seq, at_ms, kind, key_hash, fingerprint, hash, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  ).run(position, ADA, seq, atMs, kind, keyHash, row.fingerprint, chainHash(last.hash, row), row.body)
}

/** ADA's records, and the state that they fold to. */
function folded(db: DatabaseSync, untilSeq = Number.MAX_SAFE_INTEGER) {
  const rows = db
    .prepare(`select ${ROW_COLUMNS} from journal j where j.account = ${ADA} and j.seq <= ${untilSeq} order by j.seq`)
    .all() as unknown as StoredRow[]
  const records = rows.map(recordOf)
  return { records, state: records.reduce(evolve, emptyAccount(ADA)), hash: rows.at(-1)?.hash ?? '' }
}

/** Appends the end of ADA's last hold, as if its time had come already. */
function expireHoldEarly(db: DatabaseSync): void {
  const { state } = folded(db)
  const { atMs, dueMs } = state
  const record = openDraft(state, { nowMs: dueMs, actor: 'time', requestId: null }).done().records[0]
  assert.ok(record?.kind === 'hold_expired' && record.dueMs > atMs)
  append(db, { ...record, atMs, dueMs: atMs })
}

/** Appends the end of ADA's grant that will expire one day, as if it had come already. */
function expireGrantEarly(db: DatabaseSync): void {
  const { state } = folded(db)
  const pool = poolOf(state, 'credits')
  const grant = pool.grants.find(({ expiresAtMs }) => expiresAtMs !== null) ?? assert.fail('no grant expires')
  const credits = micro(grant.remaining - grant.held)
  assert.ok(credits > 0n)
  const moved = { grant: grant.seq, remaining: micro(-credits), held: micro(0n), remainingAfter: grant.held, heldAfter: grant.held }
  const { settled, held } = balanceOf(pool, state.atMs)
  const balance = { settled: micro(settled - credits), held }
  const head = { seq: state.seq + 1, atMs: state.atMs, actor: 'time', requestId: null, events: [] } as const
  append(db, {
    kind: 'grant_expired',
    ...head,
    creditType: 'credits',
    movements: [moved],
    balance,
    grant: grant.seq,
    credits,
    dueMs: state.atMs,
  })
}

/** What a bug would forget, or make up, of a purchase when it decides on it. */
type Forgetful = PurchaseCommand & { readonly forgets?: { readonly [Name in keyof Purchase]?: Purchase[Name] | 'not reversed' } }

/** Appends what a command about a new purchase makes, and commands after it, decided with what they forget. */
function bookAs(db: DatabaseSync, open: PurchaseCommand, then: (purchase: number) => readonly Forgetful[]): void {
  const book = (command: Forgetful): number => {
    const { records, state } = folded(db)
    const facts = 'purchase' in command ? buy.purchaseIn(records, command.purchase) : null
    const { forgets = {} } = command
    const refunds = facts?.purchase.refunds.map((refund) => ({ ...refund, isReversed: false }))
    const purchase = facts && { ...facts.purchase, ...forgets, ...(forgets.refunds === 'not reversed' ? { refunds } : {}) }
    const account = new MemoryAccount()
    account.journal.splice(0, 1, ...records)
    const context = { nowMs: state.atMs, actor: 'provider', requestId: null } as const
    const decision = decide(state, command, {
      ...context,
      facts: { ...account.facts, purchase: () => facts && ({ ...facts, purchase } as PurchaseFacts) },
    })
    assert.ok(!isRefusal(decision))
    for (const record of decision.records) append(db, record)
    return decision.records[0]?.seq ?? 0
  }
  const purchase = book(open)
  for (const command of then(purchase)) book(command)
}

/** Faults that a bug would make: every hash is right. Each names all checks that must report it, and no other may. */
const WRITTEN_BY_A_BUG: Readonly<Record<string, { readonly plant: (db: DatabaseSync) => unknown; readonly found: readonly AuditCheck[] }>> =
  {
    'a record of a kind that nobody knows': {
      plant: (db) => {
        db.exec(`update journal set kind = 'gift' where account = ${ADA} and seq = 8`)
        rechain(db, ADA)
      },
      found: ['records'],
    },
    'a record that lacks a field': {
      plant: (db) => rewrite(db, kindIs('charge'), (body) => body.replace('"creditType"', '"type"')),
      found: ['records'],
    },
    'a record that is no JSON': { plant: (db) => rewrite(db, kindIs('charge'), (body) => body.slice(1)), found: ['records'] },
    'an amount that is no integer': {
      plant: (db) => rewrite(db, kindIs('charge'), (body) => body.replace('"credits":"5000000"', '"credits":"5e6"')),
      found: ['records'],
    },
    'a record that is older than the one before it': {
      plant: (db) => {
        db.exec(`update journal set at_ms = at_ms - 1 where account = ${ADA} and seq = 8`)
        rechain(db, ADA)
      },
      found: ['decisions', 'sequence'],
    },
    'a charge that is not what its entries took': {
      plant: (db) => rewrite(db, kindIs('charge'), (body) => body.replace('"credits":"5000000"', '"credits":"4000000"')),
      found: ['decisions'],
    },
    'an entry whose remainder is wrong': {
      plant: (db) => rewrite(db, kindIs('charge'), (body) => body.replace('"-5000000","0","0"', '"-5000000","0","1"')),
      found: ['decisions'],
    },
    'a charge that drew on the wrong grant': {
      plant: (db) =>
        rewrite(db, kindIs('charge'), (body) =>
          body.replace(/"movements":\[\[\d+,"-5000000","0","0","0"\]\]/, '"movements":[[2,"-5000000","0","995000000","0"]]'),
        ),
      found: ['decisions'],
    },
    'a hold’s end that is no hold’s': {
      plant: (db) => rewrite(db, kindIs('hold_released'), (body) => body.replace(/"hold":\d+/, '"hold":2')),
      found: ['decisions'],
    },
    'a balance that is stated wrongly': {
      plant: (db) => rewrite(db, kindIs('charge'), (body) => body.replace(/"balance":\["\d+"/, '"balance":["12345"')),
      found: ['balances'],
    },
    'two records under one idempotency key': {
      plant: (db) => {
        const [one, two] = db
          .prepare(`select position, key_hash as "keyHash" from journal where account = ${ADA} and key_hash is not null order by seq`)
          .all() as {
          position: number
          keyHash: string
        }[]
        assert.ok(one && two)
        db.exec(`update journal set key_hash = '${one.keyHash}' where position = ${two.position}`)
        db.exec(
          `update or replace idempotency_keys set prefix = (select prefix from idempotency_keys where position = ${one.position}) where position = ${two.position}`,
        )
        rechain(db, ADA)
      },
      found: ['idempotency'],
    },
    'two records under one idempotency key, in the tail': {
      plant: (db) => {
        const { state } = folded(db)
        const head = { actor: 'operator', requestId: null, events: [], atMs: state.atMs } as const
        const profile = { name: 'Ada', externalId: `external ${ADA}`, metadata: { a: 'b' }, capturePolicy: null, status: 'active' } as const
        for (const seq of [state.seq + 1, state.seq + 2])
          append(db, { kind: 'account_updated', seq, ...head, ...profile }, 'same key'.padEnd(22, '-'))
        db.exec(`update accounts set name = 'Ada' where number = ${ADA}`)
      },
      found: ['idempotency'],
    },
    'refunds that add up to more than their charge': {
      plant: (db) => {
        for (let time = 0; time < 2; time++) {
          const { records, state } = folded(db)
          const record = records.findLast(isCharge) ?? assert.fail()
          // What was refunded is forgotten between the two: the second is decided as if it were the first.
          const charge = { record, refunded: micro(0n), closedGrants: [] }
          const decision = decideRefund(
            state,
            { charge, credits: record.credits, reason: '', grantDays: 30 },
            { nowMs: state.atMs, actor: 'operator', requestId: null },
          )
          assert.ok(!isRefusal(decision))
          for (const made of decision.records) append(db, made)
        }
      },
      found: ['refunds'],
    },
    'a purchase that was paid a second time': {
      plant: (db) =>
        bookAs(db, buy.openCheckout(), (seq) => [buy.fulfil(seq), { ...buy.fulfil(seq, { payment: 'another' }), forgets: { paid: null } }]),
      found: ['purchases'],
    },
    'a purchase that was paid with less than was asked for': {
      plant: (db) =>
        bookAs(db, buy.openCheckout(), (seq) => [
          { ...buy.fulfil(seq, { amountMinor: 1 }), forgets: { terms: buy.termsOf({ amountMinor: 1 }) } },
        ]),
      found: ['purchases'],
    },
    'a purchase that gave more than was bought': {
      plant: (db) => bookAs(db, buy.openCheckout(), (seq) => [{ ...buy.fulfil(seq), forgets: { terms: buy.termsOf({ credits: 1_000 }) } }]),
      found: ['purchases'],
    },
    'a purchase that gave less than was bought': {
      plant: (db) => bookAs(db, buy.openCheckout(), (seq) => [{ ...buy.fulfil(seq), forgets: { terms: buy.termsOf({ credits: 99 }) } }]),
      found: ['purchases'],
    },
    'a bonus that was not bought': {
      plant: (db) => bookAs(db, buy.openCheckout(), (seq) => [{ ...buy.fulfil(seq), forgets: { terms: buy.termsOf({ bonus: 5 }) } }]),
      found: ['purchases'],
    },
    'a bonus that is missing': {
      plant: (db) =>
        bookAs(db, buy.openCheckout({ bonus: 5 }), (seq) => [
          { ...buy.fulfil(seq), forgets: { terms: buy.termsOf() } },
          buy.openCheckout(),
        ]),
      found: ['purchases'],
    },
    'refunds that took more than was bought': {
      plant: (db) =>
        bookAs(db, buy.openCheckout(), (seq) => [
          buy.fulfil(seq),
          buy.refundTopup(seq, 'one', 600),
          { ...buy.refundTopup(seq, 'two', 600), forgets: { refunds: [] } },
        ]),
      found: ['purchases'],
    },
    'a lost dispute that took what a refund had taken before': {
      plant: (db) =>
        bookAs(db, buy.openCheckout(), (seq) => [
          buy.fulfil(seq),
          buy.openDispute(seq),
          buy.refundTopup(seq, 'one', 600),
          { ...buy.closeDispute(seq, 'lost'), forgets: { refunds: [] } },
        ]),
      found: ['purchases'],
    },
    'a refund that was reversed twice': {
      plant: (db) =>
        bookAs(db, buy.openCheckout(), (seq) => [
          buy.fulfil(seq),
          buy.refundTopup(seq, 'one', 600),
          buy.reverseRefund(seq, 'one', { amountMinor: 600 }),
          { ...buy.reverseRefund(seq, 'one', { amountMinor: 600 }), forgets: { refunds: 'not reversed' } },
        ]),
      found: ['purchases'],
    },
    'a checkout that expired before its end': {
      plant: (db) => {
        bookAs(db, buy.openCheckout(), () => [])
        const { state } = folded(db)
        const head = { actor: 'time', requestId: null, events: [] } as const
        append(db, { kind: 'checkout_expired', ...head, seq: state.seq + 1, atMs: state.atMs, purchase: state.seq })
      },
      found: ['decisions'],
    },
    'a hold that expired before its end': { plant: expireHoldEarly, found: ['decisions'] },
    'a grant that expired before its end': { plant: expireGrantEarly, found: ['decisions'] },
    'a charge of an account that was suspended': {
      plant: (db) => {
        const head = { actor: 'operator', requestId: null, events: [] } as const
        const { state } = folded(db)
        const profile = { name: 'Ada', externalId: `external ${ADA}`, metadata: { a: 'b' }, capturePolicy: null } as const
        append(db, { kind: 'account_updated', seq: state.seq + 1, atMs: state.atMs, ...head, ...profile, status: 'suspended' })
        db.exec(`update accounts set status = 'suspended', name = 'Ada' where number = ${ADA}`)
        const decision = decideCharge({ ...folded(db).state, status: 'active' }, chargeOf(1), {
          nowMs: state.atMs,
          actor: 'operator',
          requestId: null,
        })
        assert.ok(!isRefusal(decision))
        for (const made of decision.records) append(db, made)
      },
      found: ['decisions'],
    },
    'a kept state that was left behind': {
      plant: (db) => {
        const { state } = folded(db)
        const earlier = folded(db, state.seq - 1)
        db.prepare('update account_states set seq = ?, hash = ?, state = ? where account = ?').run(
          earlier.state.seq,
          earlier.hash,
          encodeState(earlier.state),
          ADA,
        )
      },
      found: ['states'],
    },
    'a kept state that is ahead of the journal': {
      plant: (db) => db.exec(`update account_states set seq = seq + 1 where account = ${ADA}`),
      found: ['states'],
    },
  }

for (const [name, { plant, found }] of Object.entries(WRITTEN_BY_A_BUG))
  test(`${name} is found as a difference of ${found.join(' and ')}, and of nothing else in its account`, () => {
    const differences = planted(plant)
    const named = differences.filter(({ account }) => account !== null)
    assert.deepEqual(checksOf(named), found, JSON.stringify(differences))
    assert.ok(named.every(({ account, detail }) => account === ADA && detail.length > 10))
  })

/** Damage to more than one row. */
const MANGLED: Readonly<Record<string, { readonly sql: string; readonly check: AuditCheck }>> = {
  'the journal’s last record is cut off': {
    sql: 'delete from journal where position = (select max(position) from journal)',
    check: 'positions',
  },
  'the journal’s last ten records are cut off': {
    sql: 'delete from journal where position > (select max(position) - 10 from journal)',
    check: 'positions',
  },
  'the journal’s first record is cut off': { sql: 'delete from journal where position = 1', check: 'positions' },
  'all records are gone': { sql: 'delete from journal', check: 'positions' },
  'two records of one account change places': {
    sql: `create temp table bodies as select seq, body from journal where account = ${ADA} and seq in (8, 10);
          update journal set body = (select b.body from temp.bodies b where b.seq = 18 - journal.seq) where account = ${ADA} and seq in (8, 10)`,
    check: 'chain',
  },
  'two records of two accounts change places': {
    sql: `create temp table places as select account, position from journal where seq = 8;
          update journal set position = -account where seq = 8;
          update journal set position = (select p.position from temp.places p where p.account <> journal.account) where seq = 8`,
    check: 'history',
  },
  'a record stands twice': {
    sql: `insert into journal (position, account, seq, at_ms, kind, hash, body) select (select max(position) + 1 from journal), account, seq, at_ms, kind, hash, body from journal where account = ${ADA} and seq = 8`,
    check: 'sequence',
  },
  'the index leads to each other’s records': {
    sql: `create temp table places as select seq, position from account_records where account = ${ADA} and seq in (8, 10);
          update account_records set position = (select p.position from temp.places p where p.seq <> account_records.seq) where account = ${ADA} and seq in (8, 10)`,
    check: 'history',
  },
  'two states change places': {
    sql: `create temp table kept as select account, state from account_states;
          update account_states set state = (select k.state from temp.kept k where k.account <> account_states.account)`,
    check: 'states',
  },
  'an hour is counted as another': {
    sql: `update rollups set hour_ms = hour_ms + 3600000 where account = ${ADA} and operation = 'image'`,
    check: 'rollups',
  },
  'two accounts have each other’s names': {
    sql: "update accounts set name = case number when 101 then 'Bob' else 'Ada' end",
    check: 'accounts',
  },
  'the low-water mark is beyond the journal': { sql: "update settings set value = value + 1 where name = 'low_water'", check: 'positions' },
}

for (const [name, { sql, check }] of Object.entries(MANGLED))
  test(`it is found under ${check} when ${name}`, () => {
    const found = checksOf(planted((db) => db.exec(sql)))
    assert.ok(found.includes(check), `${found.join() || 'nothing'} was found`)
  })

test('records of an account that does not exist are found, written back or not', () => {
  const stray = (position: string) =>
    `insert into journal (position, account, seq, at_ms, kind, hash, body) select ${position}, 999, 1, at_ms, kind, hash, body from journal where position = 1`
  const inTail = planted((db) => db.exec(stray('(select max(position) + 1 from journal)')))
  assert.deepEqual(
    inTail.map(({ check, account }) => [check, account]),
    [['accounts', 999]],
  )
  const writtenBack = planted((db) => {
    db.exec(stray('(select max(position) + 1 from journal)'))
    db.exec("update settings set value = value + 1 where name = 'low_water'")
  })
  assert.ok(checksOf(writtenBack).includes('history'))
})

test('what has not been written back yet is audited too', (t) => {
  const ledger = openTestLedger(t)
  const commands = [make.createAccount(), make.grant(10), make.charge(1), make.charge(2)]
  ledger.run(commands.map((command, index) => transaction(ADA, command, { key: `${index}` })))
  ledger.close()
  assert.deepEqual(auditFile(ledger.file).differences, [])
  tamper(ledger.file, (db) => {
    db.exec('drop trigger journal_rows_are_never_changed')
    db.exec(`update journal set body = replace(body, '"2000000"', '"1000000"') where seq = 4`)
  })
  assert.deepEqual(checksOf(auditFile(ledger.file).differences), ['chain', 'decisions'])
})

test('a difference names its account and, where there is one, its record', () => {
  const [difference] = planted((db) => rewrite(db, kindIs('charge'), (body) => body.replace(/"balance":\["\d+"/, '"balance":["12345"')))
  assert.deepEqual([difference?.check, difference?.account], ['balances', ADA])
  const record = look((db) => folded(db).records.find(kindIs('charge')))
  assert.equal(difference?.seq, record?.seq)
  assert.match(difference?.detail ?? '', /states 12345 settled/)
})

test('damage to one account is not reported of another', () => {
  const differences = planted((db) => db.exec(`update journal set body = body || ' ' where account = ${ADA}`))
  assert.ok(differences.length > 10)
  assert.ok(differences.every(({ account }) => account === ADA))
})

test(`no more than ${MAX_DIFFERENCES} differences are listed`, () => {
  const many = planted((db) =>
    db.exec("update journal set hash = '~' || substr(hash, 2); update grants set status = 'voided'; delete from idempotency_keys"),
  )
  assert.equal(many.length, MAX_DIFFERENCES)
})

test('every check was reached by something that was planted', () => {
  assert.deepEqual([...reached].sort(), Object.keys(AUDIT_CHECKS).sort())
})
