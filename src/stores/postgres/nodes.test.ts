/** Several processes on one database: the same accounts, the same idempotency keys, one truth. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turnsIn } from '../../../test/contract/alerts.ts'
import { createAlert } from '../../../test/running/alerts.ts'
import { onSchema } from '../../../test/running/postgres.ts'
import { openNodes } from '../../../test/running/postgres-stores.ts'
import { Random } from '../../../test/running/random.ts'
import { TEST_START_MS } from '../../../test/running/store.ts'
import * as make from '../../../test/running/store-commands.ts'
import { codeOf, openAccount, transaction } from '../../../test/running/store-commands.ts'
import { poolOf } from '../../core/account.ts'
import { balanceOf } from '../../core/balance.ts'
import type { Command } from '../../core/command.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { Applied, FeedItem, Store, Transaction } from '../store.ts'

function nodeOf(nodes: readonly Store[], random: Random): Store {
  return random.pick(nodes) ?? assert.fail('there are nodes')
}

/** The whole feed as a reader follows it, by pages of a size, from where it has come to. */
async function follow(store: Store, told: FeedItem[], limit: number): Promise<void> {
  for (;;) {
    const page = await store.feed(told.at(-1)?.position ?? 0, limit)
    told.push(...page)
    if (page.length < limit) return
  }
}

test('nodes that start together on a new database make one store', async (t) => {
  const { nodes } = await openNodes(t, 4)
  assert.equal(new Set(nodes.map(({ secret }) => secret)).size, 1)
  const [one, other] = nodes
  assert.ok(one && other)
  await openAccount(one, 1, 5)
  assert.equal((await other.state(1))?.seq, 2)
  const books = await Promise.all(nodes.map((node) => node.publishPrices({ effectiveAtMs: null, prices: [], idempotency: null })))
  assert.deepEqual(books.map((book) => !isRefusal(book) && book.book.version).sort(), [1, 2, 3, 4])
})

test('an alert is told once, by whichever node crosses its threshold', async (t) => {
  const { nodes } = await openNodes(t, 3)
  const [one] = nodes
  assert.ok(one)
  for (const account of [1, 2, 3]) {
    await openAccount(one, account, 100)
    for (const credits of [80, 60, 40, 20]) await make.make(one, account, createAlert({ credits }))
  }
  const charges = Array.from({ length: 90 }, (_, index) =>
    [1, 2, 3].map((account) => nodes[(index + account) % 3]?.transact(transaction(account, make.charge(1)))),
  )
  await Promise.all(charges.flat())
  for (const account of [1, 2, 3]) {
    const told = await turnsIn(one, account)
    assert.deepEqual([told.length, new Set(told).size], [4, 4], told.join())
  }
})

test('what one node answered is what every other node reads and decides on', async (t) => {
  const { nodes } = await openNodes(t, 2)
  const [one, other] = nodes
  assert.ok(one && other)
  await openAccount(one, 1, 10)
  for (const [node, amount] of [
    [one, 4],
    [other, 4],
    [one, 1],
    [other, 1],
  ] as const)
    await make.make(node, 1, make.charge(amount))
  assert.equal(await make.outcomeOf(one, 1, make.charge(1)), 'insufficient_credits')
  await make.make(other, 1, make.grant(3))
  assert.equal(await make.outcomeOf(one, 1, make.charge(3)), 'done', 'a refusal is never made of what a node remembers')
  const key = await make.seqOf(one, 1, make.createKey('secret'))
  assert.equal((await other.keyBySecret('secret'))?.seq, key)
  await make.make(other, 1, make.revokeKey(key))
  assert.notEqual((await one.keyBySecret('secret'))?.revokedAtMs, null)
})

test('one key that is sent to all nodes at once has one effect and one answer', async (t) => {
  const { nodes } = await openNodes(t, 3)
  for (const account of [1, 2, 3]) await openAccount(nodes[0] as Store, account, 1_000)
  for (let round = 0; round < 20; round++) {
    const sent = [1, 2, 3].map((account) => transaction(account, make.charge(1), { key: `round ${round}` }))
    const opened = transaction(100 + round, make.createAccount({ externalId: `round ${round}` }), { key: `round ${round}` })
    const outcomes = await Promise.all(
      [...sent, opened].map((one) =>
        Promise.all(
          [...nodes, ...nodes].map((node, index) =>
            node.transact(one.account > 100 ? { ...one, account: one.account + 100 * index } : one),
          ),
        ),
      ),
    )
    for (const some of outcomes) {
      const applied = some.map((outcome) => make.applied(outcome))
      assert.equal(applied.filter(({ isReplay }) => !isReplay).length, 1)
      for (const { account, records } of applied) assert.deepEqual([account, records], [applied[0]?.account, applied[0]?.records])
    }
  }
  assert.equal((await nodes[0]?.state(1))?.seq, 22)
})

/** A new charge, or one that was sent before. */
function drawCharge(random: Random, sent: readonly Transaction[]): Transaction {
  const again = random.isLikely(0.3) ? random.pick(sent) : undefined
  const account = random.isLikely(0.3) ? 1 : random.between(1, 20)
  return again ?? transaction(account, make.charge(random.between(1, 9)), { key: `key ${sent.length}` })
}

/** Charges on few accounts with little credit, many of them sent again, to whichever node. */
async function chargeAtRandom(
  nodes: readonly Store[],
  random: Random,
  charges: number,
): Promise<ReadonlyMap<string, readonly (Applied | string)[]>> {
  const sent: Transaction[] = []
  const heard = new Map<string, (Applied | string)[]>()
  const client = async (): Promise<void> => {
    while (sent.length < charges) {
      const one = drawCharge(random, sent)
      sent.push(one)
      const outcome = await nodeOf(nodes, random).transact(one)
      const name = one.idempotency?.keyHashes[0] ?? ''
      heard.set(name, [...(heard.get(name) ?? []), isRefusal(outcome) ? codeOf(outcome) : outcome])
      if (random.isLikely(0.02)) await make.make(nodeOf(nodes, random), one.account, make.grant(20))
    }
  }
  await Promise.all(Array.from({ length: 48 }, client))
  return heard
}

for (const lanes of [1, 2])
  test(`two nodes with ${lanes} lanes charge the same few accounts with a third of the requests sent twice: nothing is double, lost or overspent`, async (t) => {
    const { nodes, url } = await openNodes(t, 2, { lanes })
    const random = new Random(4_711 + lanes)
    for (let account = 1; account <= 20; account++) await openAccount(nodeOf(nodes, random), account, account === 1 ? 500 : 60)
    const told: FeedItem[] = []
    const stop = { isOver: false }
    const following = (async () => {
      while (!stop.isOver) await follow(nodeOf(nodes, random), told, random.between(1, 50))
    })()
    const heard = await chargeAtRandom(nodes, random, 4_000)
    stop.isOver = true
    await following
    await follow(nodeOf(nodes, random), told, 1_000)
    const effects = [...heard.values()].map((outcomes) => outcomes.filter((outcome) => typeof outcome !== 'string'))
    for (const outcomes of effects) {
      assert.ok(outcomes.filter(({ isReplay }) => !isReplay).length <= 1, 'one effect')
      for (const { records } of outcomes) assert.deepEqual(records, outcomes[0]?.records, 'one answer')
    }
    const charged = effects.filter((outcomes) => outcomes.length > 0)
    assert.ok(charged.length > 200 && [...heard.values()].flat().includes('insufficient_credits'), `${charged.length} were charged`)
    const rows = await onSchema<{ records: number }>(url, "select count(*)::integer as records from journal where kind = 'charge'")
    assert.equal(rows[0]?.records, charged.length, 'each charge that was answered is there once, and no other')
    for (let account = 1; account <= 20; account++) {
      const state = (await nodes[0]?.state(account)) ?? assert.fail()
      assert.ok(balanceOf(poolOf(state, 'credits'), TEST_START_MS).settled >= 0n)
    }
    assertWholeFeed(told)
  })

/** Every record once, positions without gaps, and each account's in its order: whatever a reader skipped would be missing. */
function assertWholeFeed(told: readonly FeedItem[]): void {
  assert.deepEqual(
    told.map(({ position }) => position),
    Array.from(told, (_, index) => index + 1),
  )
  for (const [, items] of Map.groupBy(told, ({ account }) => account))
    assert.deepEqual(
      items.map(({ record }) => record.seq),
      Array.from(items, (_, index) => index + 1),
    )
}

test('the first page of a feed that nobody has read numbers no more of it than it shows, some batches at a time', async (t) => {
  const { nodes, url } = await openNodes(t, 2)
  const [one, other] = nodes
  await openAccount(one, 1, 1_000)
  for (let charge = 0; charge < 700; charge++) await make.make(one, 1, make.charge(1))
  const told = [...(await other.feed(0, 10))]
  const [head] = await onSchema<{ position: string }>(url, 'select position from feed_head')
  assert.equal(head?.position, '500')
  await follow(other, told, 100)
  assert.equal(told.length, 702)
  assertWholeFeed(told)
  assert.equal(await one.positionAt(TEST_START_MS + 1), 703)
})

function recordsIn(answer: Applied | Refusal): Applied['records'] {
  return isRefusal(answer) ? [] : answer.records
}

/** What a command may be about: the account's last sequence, a grant and a key of it. */
interface About {
  readonly seq: number
  readonly nowMs: number
  readonly grant: number | undefined
  readonly key: number | undefined
}

/** A command of any kind, on what is there, is not, or has ended. */
function drawAnything(random: Random, { seq, nowMs, grant, key }: About): Command {
  const some = random.between(1, seq)
  return random.pick([
    make.charge(random.between(1, 5), { operation: random.pick(['a', 'b', 'c']) }),
    make.hold(random.between(1, 9), { ttlMs: 2 * make.MINUTE_MS }),
    make.capture(some, random.between(0, 9)),
    make.capture(seq, 1),
    make.release(some),
    make.extend(seq, 5 * make.MINUTE_MS),
    make.refund(some, 1),
    make.refund(seq),
    make.grant(random.between(1, 30), { source: 'promo', expiresAtMs: nowMs + random.between(1, 20) * make.MINUTE_MS }),
    make.voidGrant(grant ?? some),
    make.rotateKey(key ?? some, `secret ${random.next()}`, 0),
    make.chargeGroup(1, 2),
    make.updateAccount({ name: `name ${some}`, externalId: `name ${random.between(1, 6)}` }),
    make.createKey(`secret ${random.next()}`),
    make.rotateKey(some, `secret ${random.next()}`, 0),
    make.BOOK_DUE,
  ])
}

test('everything that an account can do, done on two nodes while time passes, leaves a sound store', async (t) => {
  const { nodes, clock } = await openNodes(t, 2)
  const random = new Random(42)
  const accounts = [1, 2, 3, 4]
  for (const account of accounts) await openAccount(nodeOf(nodes, random), account, 200)
  const words: Record<string, number> = {}
  /** The last record of each kind that an account has, as far as it was heard of. */
  const last = new Map<string, number>()
  const client = async (): Promise<void> => {
    for (let step = 0; step < 60; step++) {
      const account = random.pick(accounts) ?? 1
      const { seq } = (await nodeOf(nodes, random).state(account)) ?? assert.fail()
      const about = { seq, nowMs: clock.nowMs, grant: last.get(`grant ${account}`), key: last.get(`key_created ${account}`) }
      const command = drawAnything(random, about)
      const answer = await nodeOf(nodes, random).transact(transaction(account, command, { key: `${random.next()}` }))
      const word = `${command.kind} ${codeOf(answer)}`
      words[word] = (words[word] ?? 0) + 1
      for (const record of recordsIn(answer)) last.set(`${record.kind} ${account}`, record.seq)
      if (random.isLikely(0.05)) clock.nowMs += random.pick([make.MINUTE_MS, 10 * make.MINUTE_MS, make.HOUR_MS])
    }
  }
  await Promise.all(Array.from({ length: 16 }, client))
  for (const kind of [
    'charge',
    'hold',
    'capture',
    'refund',
    'grant',
    'void_grant',
    'charge_group',
    'update_account',
    'create_key',
    'rotate_key',
  ])
    assert.ok((words[`${kind} done`] ?? 0) > 0, `${kind}: ${JSON.stringify(words)}`)
  const due = await nodes[1]?.dueAccounts(clock.nowMs + make.DAY_MS, 10)
  for (const account of due ?? []) await make.send(nodeOf(nodes, random), account, make.BOOK_DUE)
})
