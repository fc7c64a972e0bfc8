/** The same commands give the same journals, byte for byte, on every store. */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { onSchema } from '../../test/running/postgres.ts'
import * as buy from '../../test/running/purchases.ts'
import { Random } from '../../test/running/random.ts'
import { CONTRACT_KINDS, type ContractKind, openTestStore, type TestStore } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { codeOf, transaction } from '../../test/running/store-commands.ts'
import { encodeState } from '../core/account-codec.ts'
import { FOREVER_MS } from '../core/calendar.ts'
import type { Command } from '../core/command.ts'
import { isRefusal } from '../core/refusals.ts'
import type { Store, Transaction } from './store.ts'

/** All of one bucket: a store that keeps batches inside buckets promises no order among accounts of others. */
const ACCOUNTS = [3, 259, 1_000_195, 2 ** 40 - 253]
const ROW = 'account, seq, at_ms, kind, key_hash, fingerprint, hash, body'

/** All journal rows, as they are kept. */
async function journalOf(kind: ContractKind, { file }: TestStore): Promise<readonly unknown[]> {
  const sql = `select ${ROW} from journal order by account, seq`
  if (kind !== 'sqlite') return (await onSchema<Record<string, unknown>>(file, sql)).map((row) => Object.values(row).map(String))
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => Object.values(row).map(String))
  } finally {
    db.close()
  }
}

/** A turn: commands that are sent at once, after some time has passed. */
interface Turn {
  readonly waitMs: number
  readonly sent: readonly Transaction[]
}

/** What may happen to purchases, those that do not exist among them. */
function purchaseCommand(random: Random, some: number, amount: number): Command {
  const name = random.pick(['x', 'y'])
  const minor = random.pick([100, 500, 1_000])
  return random.pick<Command>([
    buy.openCheckout({ credits: amount, bonus: amount, bonusLifeMs: make.HOUR_MS }, make.HOUR_MS),
    buy.openCheckout({ credits: amount }),
    buy.linkCheckout(some),
    buy.closeCheckout(some),
    buy.pendCheckout(some),
    buy.fulfil(some),
    buy.fulfil(some, { amountMinor: random.pick([1_000, 1]), payment: name }),
    buy.requestRefund(some, minor),
    buy.refundTopup(some, name, minor),
    buy.reverseRefund(some, random.pick(['x', 'z']), { amountMinor: minor }),
    buy.openDispute(some, name, minor),
    buy.closeDispute(some, random.pick(['won', 'lost']), name, minor),
  ])
}

/** Commands of every kind on things that are there, are not, or have ended. */
function drawCommand(random: Random, seqs: number, nowMs: number): Command {
  const some = random.between(1, seqs)
  const amount = random.between(1, 12)
  const creditType = random.isLikely(0.2) ? 'image_credits' : 'credits'
  if (random.isLikely(0.2)) return purchaseCommand(random, some, amount)
  return random.pick<Command>([
    make.charge(amount, { creditType, operation: random.pick(['a', 'b', 'c']) }),
    make.charge(amount, { key: random.isLikely(0.3) ? 2 : null }),
    make.charge(amount),
    make.chargeGroup(1, amount),
    make.hold(amount, { creditType, ttlMs: random.pick([make.MINUTE_MS, make.HOUR_MS]) }),
    make.hold(amount),
    make.capture(some, random.isLikely(0.3) ? null : amount, {
      final: random.isLikely(0.7),
      policy: random.pick(['reject', 'cap', 'overdraft']),
    }),
    make.capture(some, amount, { creditType }),
    make.release(some),
    make.extend(some, make.HOUR_MS),
    make.increase(some, amount),
    make.refund(some, random.isLikely(0.5) ? null : 1, random.between(1, 3)),
    make.refund(some),
    make.grant(4 * amount, { creditType, source: 'promo', expiresAtMs: nowMs + random.between(1, 300) * make.MINUTE_MS }),
    make.grant(amount, { source: random.pick(['plan', 'topup']), effectiveAtMs: nowMs + random.between(0, 2) * make.HOUR_MS }),
    make.voidGrant(some),
    make.adjust(random.pick([-3, 5])),
    make.updateAccount({
      name: `${some} "ß\\ \u0000`,
      externalId: random.pick(['x', 'y\u0000', 'z', null]),
      capturePolicy: random.pick(['cap', null]),
    }),
    make.updateAccount({ status: random.isLikely(0.2) ? 'suspended' : 'active' }),
    make.createKey(`secret ${random.next()}`, { metadata: { a: '{"\\' } }),
    make.updateKey(some, { name: 'other' }),
    make.rotateKey(some, `secret ${random.next()}`, random.pick([0, make.HOUR_MS])),
    make.revokeKey(some),
    make.BOOK_DUE,
  ])
}

interface Moment {
  readonly turn: number
  readonly place: number
  readonly nowMs: number
}

/** A new command, or one that was sent before. */
function drawOne(random: Random, known: Transaction[], { turn, place, nowMs }: Moment): Transaction {
  const again = random.isLikely(0.15) ? random.pick(known) : undefined
  if (again) return again
  const account = random.isLikely(0.02) ? 515 : (random.pick(ACCOUNTS) ?? 0)
  const sending = random.isLikely(0.7) ? { key: `${turn} ${place}`, requestId: `req_${turn}` } : {}
  const one = transaction(account, drawCommand(random, 10 + turn, nowMs), sending)
  known.push(one)
  return one
}

function drawTurns(random: Random, turns: number, startMs: number): readonly Turn[] {
  const opening = ACCOUNTS.map((account, index) =>
    transaction(account, make.createAccount({ externalId: `${index}` }), { key: `open ${index}` }),
  )
  const granted = ACCOUNTS.map((account) => transaction(account, make.grant(100)))
  const known: Transaction[] = []
  let nowMs = startMs
  const drawn = Array.from({ length: turns }, (_, turn): Turn => {
    const waitMs = random.isLikely(0.3) ? random.pick([1, 20_000, make.MINUTE_MS, make.HOUR_MS]) : 0
    nowMs += waitMs
    const sent = Array.from({ length: random.between(1, 12) }, (_, place) => drawOne(random, known, { turn, place, nowMs }))
    return { waitMs, sent }
  })
  return [{ waitMs: 0, sent: opening }, { waitMs: 0, sent: granted }, ...drawn]
}

/** What the store answered, in words. */
async function sendAll({ store, clock }: TestStore, turns: readonly Turn[]): Promise<readonly string[]> {
  const words: string[] = []
  for (const { waitMs, sent } of turns) {
    clock.nowMs += waitMs
    const outcomes = await Promise.allSettled(sent.map((one) => store.transact(one)))
    for (const [index, outcome] of outcomes.entries()) {
      const what =
        outcome.status === 'rejected'
          ? 'fault'
          : isRefusal(outcome.value)
            ? JSON.stringify(outcome.value)
            : `${codeOf(outcome.value)} ${outcome.value.account} ${outcome.value.records.map(({ seq }) => seq).join()}`
      const { command } = sent[index] as Transaction
      words.push(`${'kind' in command ? command.kind : 'refused'}: ${what}`)
    }
  }
  return words
}

/** All that the store shows of the accounts, however it makes its rows. */
async function shownBy(store: Store): Promise<unknown> {
  const shown = await Promise.all(
    ACCOUNTS.map(async (account) => [
      encodeState((await store.state(account)) ?? assert.fail()),
      await store.account(account),
      await store.keys(account, { limit: 1_000 }),
      await store.grants(account, { limit: 1_000 }),
      await store.holds(account, { limit: 1_000 }),
      [
        ...(await store.refunds(
          account,
          Array.from({ length: 2_000 }, (_, seq) => seq),
        )),
      ],
      await store.usage(account, { fromMs: 0, toMs: FOREVER_MS }),
    ]),
  )
  return JSON.parse(JSON.stringify(shown, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)))
}

async function run(t: TestContext, kind: ContractKind, seed: number) {
  const opened = await openTestStore(t, kind)
  const turns = drawTurns(new Random(seed), 120, opened.clock.nowMs)
  const words = await sendAll(opened, turns)
  const shown = await shownBy(opened.store)
  const feed = (await opened.store.feed(0, 100_000)).map(({ account, record }) => `${account} ${record.seq}`)
  await opened.reopen()
  return { words, shown, feed, journal: await journalOf(kind, opened) }
}

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`random commands, many at once, give the same answers, journals and rows on every store (seed ${seed})`, async (t) => {
    const [first, ...others] = await Promise.all(CONTRACT_KINDS.map((kind) => run(t, kind, seed)))
    assert.ok(first && others.length > 0)
    assert.ok(first.journal.length > 250, `${first.journal.length} records`)
    for (const other of others) {
      assert.deepEqual(other.words, first.words)
      assert.deepEqual(other.journal, first.journal)
      assert.deepEqual(other.shown, first.shown)
      for (const account of ACCOUNTS) assert.deepEqual(ofAccount(other.feed, account), ofAccount(first.feed, account))
    }
  })

function ofAccount(feed: readonly string[], account: number): readonly string[] {
  return feed.filter((item) => item.startsWith(`${account} `))
}
