/**
 * Histories of many clients of a real server must be such that one request after the other could have made them; and the
 * checkers that say so must find the histories of servers that lose updates, show what is past, or spend twice.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { MICRO } from '../src/core/credits.ts'
import { type Answer, check, checkAnyOrder, checkSequence, type Operation } from './linearizability.ts'
import { ask, readJournal, recordHistory, withReleases } from './running/history.ts'
import { caller, OPERATOR_KEY, type TestObol } from './running/obol.ts'
import { dropSchema, newSchema } from './running/postgres.ts'
import { makeFolder, runObol, startServer } from './running/process.ts'
import { Random } from './running/random.ts'
import { attemptAt, WEIGHTS, Workload } from './running/workload.ts'

const CHECKERS = [
  { name: 'the sequence checker', checker: checkSequence },
  { name: 'the checker of any order', checker: checkAnyOrder },
] as const

const HISTORIES = [
  { what: 'many clients on one account', seed: 1, accounts: 1, clients: 16, operations: 900, weights: WEIGHTS },
  { what: 'many clients on a few accounts', seed: 2, accounts: 4, clients: 24, operations: 1_200, weights: WEIGHTS },
  { what: 'an account that is short of credits', seed: 3, accounts: 1, clients: 16, operations: 700, weights: { ...WEIGHTS, grant: 2 } },
  {
    what: 'holds that several end at once',
    seed: 4,
    accounts: 1,
    clients: 16,
    operations: 700,
    weights: { ...WEIGHTS, hold: 25, capture: 30 },
  },
] as const

/** What the histories are of: servers that run as processes on one store, each client asking now one and now the other. */
const SYSTEMS = [
  { what: 'a real server', servers: 1, newStore: async (t: TestContext) => `sqlite:${makeFolder(t)}/obol.db` },
  { what: 'two real servers on one PostgreSQL', servers: 2, newStore: postgresStore },
] as const

async function postgresStore(t: TestContext): Promise<string> {
  const url = await newSchema()
  t.after(() => dropSchema(url))
  return url
}

async function startSystem(t: TestContext, { servers, newStore }: (typeof SYSTEMS)[number]) {
  const env = { OBOL_DATABASE_URL: await newStore(t), OBOL_OPERATOR_KEY: OPERATOR_KEY }
  const running = await Promise.all(Array.from({ length: servers }, () => startServer(t, 'serve', { env })))
  const calls = running.map(({ url }) => caller(url))
  let count = 0
  const call: TestObol['call'] = (...request) => (calls[count++ % servers] ?? assert.fail('no server'))(...request)
  return { call, env, stop: () => Promise.all(running.map((server) => server.stop())) }
}

type Running = Awaited<ReturnType<typeof startSystem>>

/** The history of a run; each account begins with a grant. */
async function historyOf(
  { call }: Running,
  { seed, accounts, clients, operations, weights }: (typeof HISTORIES)[number],
): Promise<readonly Operation[]> {
  const worked: { id: string; ttlSeconds: number }[] = []
  const history: Operation[] = []
  for (let account = 0; account < accounts; account++) {
    const { body } = await call('POST', '/v1/accounts', { name: `Account ${account}` })
    const one = { id: body.id, ttlSeconds: 900 }
    worked.push(one)
    history.push(await ask(call, attemptAt(one, { do: 'grant', credits: 100n * MICRO }, `first-${one.id}`)))
  }
  const workload = new Workload(worked, new Random(seed), weights)
  history.push(...(await recordHistory({ call, workload }, { clients, operations })))
  return (await Promise.all(worked.map(({ id }) => completed(call, id, history)))).flat()
}

/** An account's part of a history, complete: the journal has no record that no operation tells of. */
async function completed(call: Running['call'], account: string, history: readonly Operation[]): Promise<readonly Operation[]> {
  const journal = await readJournal(call, account)
  const own = withReleases(
    history.filter((operation) => operation.account === account),
    journal,
  )
  assert.equal(journal.length, own.filter(isChange).length + 1, `${account} has one record for each change, and that of its opening`)
  return own
}

function isChange({ action, answer }: Operation): boolean {
  return answer.ok && action.do !== 'read'
}

for (const system of SYSTEMS)
  test(`what many clients of ${system.what} are answered could have happened one after the other`, async (t) => {
    const running = await startSystem(t, system)
    const all: (readonly Operation[])[] = []
    for (const plan of HISTORIES)
      await t.test(plan.what, async () => {
        const history = await historyOf(running, plan)
        all.push(history)
        for (const { name, checker } of CHECKERS) assert.deepEqual(check(history, checker), [], `${name}, seed ${plan.seed}`)
        const overlaps = overlapsIn(history)
        assert.ok(overlaps > history.length, `${overlaps} overlaps in ${history.length} operations`)
      })
    await t.test('with every kind of operation in it, done and refused', () => checkCoverage(all.flat()))
    await t.test('and the store verifies', async () => {
      for (const { code } of await running.stop()) assert.equal(code, 0)
      const { code, stdout } = await runObol(['verify'], { env: running.env })
      assert.equal(code, 0, stdout)
    })
    await t.test('and had any answer been another, a checker would have found out', () => checkMutations(all))
  })

/** How often an operation began while another one on its account was under way. */
function overlapsIn(history: readonly Operation[]): number {
  const isUnderWay = (one: Operation, { account, calledAt }: Operation): boolean =>
    one.account === account && one.calledAt < calledAt && calledAt < one.returnedAt
  return history.reduce((sum, operation) => sum + history.filter((other) => isUnderWay(other, operation)).length, 0)
}

function checkCoverage(history: readonly Operation[]): void {
  const seen = Map.groupBy(history, ({ action, answer }) => `${action.do} ${answer.ok ? 'done' : answer.refused}`)
  const all = JSON.stringify([...seen].map(([what, { length }]) => [what, length]))
  for (const action of Object.keys(WEIGHTS)) assert.ok((seen.get(`${action} done`)?.length ?? 0) > 20, `${action} in ${all}`)
  for (const what of [
    'charge insufficient_credits',
    'charge credits_in_flight',
    'hold insufficient_credits',
    'hold credits_in_flight',
    'refund refund_exceeds_charge',
    'capture hold_already_captured',
    'release hold_already_captured',
  ])
    assert.ok(seen.has(what), `${what} in ${all}`)
}

/** Ways in which a history may be wrong, each made of a right one at a random place; null: not at that place. */
const MUTATIONS: Readonly<Record<string, (history: readonly Operation[], at: number) => readonly Operation[] | null>> = {
  'a balance that is off by the least amount': (history, at) => {
    const answer = history[at]?.answer
    if (!answer?.ok || answer.settled === null) return null
    return withAnswer(history, at, { ...answer, settled: answer.settled + 1n })
  },
  'credits held that are not': (history, at) => {
    const answer = history[at]?.answer
    if (!answer?.ok || answer.held === null) return null
    return withAnswer(history, at, { ...answer, held: answer.held + MICRO })
  },
  'a change that nobody asked for': (history, at) => {
    const operation = history[at]
    const isMoving = operation && isChange(operation) && at < history.length - 50
    return isMoving ? history.toSpliced(at, 1) : null
  },
  'a charge that is confirmed and refused': (history, at) => {
    const operation = history[at]
    if (operation?.action.do !== 'charge' || !operation.answer.ok || at > history.length - 50) return null
    return withAnswer(history, at, { ok: false, refused: 'insufficient_credits' })
  },
  'a read of what had passed before it was asked': (history, at) => {
    const operation = history[at]
    const passed = history
      .filter((other) => isChange(other) && other.action.do !== 'grant' && other.returnedAt < (operation?.calledAt ?? 0))
      .flatMap(({ answer }) => (answer.ok ? [answer] : []))
      .toSorted((a, b) => b.sequence - a.sequence)
    const [, , past] = passed
    if (operation?.action.do !== 'read' || past === undefined) return null
    return withAnswer(history, at, { ...past, made: null })
  },
}

function withAnswer(history: readonly Operation[], at: number, answer: Answer): readonly Operation[] {
  return history.map((operation, index) => (index === at ? { ...operation, answer } : operation))
}

/** How often each mutation is tried. */
const TRIES = 6

/** The sequence checker finds each; that of any order may now and then know an order in which the wrong answer is right. */
function checkMutations(histories: readonly (readonly Operation[])[]): void {
  const random = new Random(5)
  const ofOneAccount = histories.filter((history) => new Set(history.map(({ account }) => account)).size === 1)
  for (const [what, mutate] of Object.entries(MUTATIONS)) {
    const found = { made: 0, byAnyOrder: 0 }
    for (let tries = 0; tries < 2_000 && found.made < TRIES; tries++) {
      const history = random.pick(ofOneAccount) ?? []
      const at = random.below(history.length)
      const mutated = mutate(history, at)
      if (mutated === null) continue
      found.made += 1
      assert.notDeepEqual(checkSequence(mutated), [], `${what}, at ${at}`)
      if (checkAnyOrder(mutated).length > 0) found.byAnyOrder += 1
    }
    assert.equal(found.made, TRIES, what)
    assert.ok(found.byAnyOrder >= TRIES / 2, `${what}: found ${found.byAnyOrder} of ${TRIES} times`)
  }
}
