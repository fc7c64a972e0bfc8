/**
 * A server that is killed at any moment loses nothing that it has acknowledged, does nothing twice, and leaves no hold stuck.
 * It runs as a process under load and is killed with SIGKILL, again and again on one store, sometimes while it starts; or there are two
 * of them on one store, and while one is killed the other goes on; or the PostgreSQL under them dies. Each start is some seconds later by its clock, so holds expire in between. OBOL_TEST_SEED repeats a run; OBOL_TEST_CRASHES sets its length.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MICRO } from '../src/core/credits.ts'
import { auditDatabase } from '../src/stores/postgres/audit.ts'
import { auditFile } from '../src/stores/sqlite/audit.ts'
import type { AuditReport } from '../src/stores/store.ts'
import { checkAnyOrder, checkSequence } from './linearizability.ts'
import { CrashClients, type Settled } from './running/crash-clients.ts'
import { type JournalLine, readCharges, readJournal, withReleases } from './running/history.ts'
import { KilledServers } from './running/killed-servers.ts'
import { OPERATOR_KEY, type TestObol } from './running/obol.ts'
import { dropSchema, newSchema, testServer } from './running/postgres.ts'
import { makeFolder, nodeAhead, runObol, type ServerProcess, startAndKill, startServer } from './running/process.ts'
import { Random } from './running/random.ts'
import { attemptAt, creditsOf, type Worked } from './running/workload.ts'

type Call = TestObol['call']

const SEED = Number(process.env.OBOL_TEST_SEED ?? 20_261_120)
/** How often the server is killed under load, or shortly after. */
const CRASHES = Number(process.env.OBOL_TEST_CRASHES ?? 20)
/** How often it is killed while it starts as well, after a crash. */
const DIES_STARTING = 0.25
/** When it is killed under load: while requests run, right after it has acknowledged one, or when it has begun to write back. */
const MOMENTS = { 'any time': 4, 'just acknowledged': 4, quiet: 2 } as const
/** How much later it is by the server's clock at each start. */
const STEP_MS = 6_000
/** Shortest life of a hold. */
const SHORT_SECONDS = 60
/** Life of holds that outlive the test. */
const LONG_SECONDS = 3_600
/** Readings of a balance and its holds until one is of a single moment. */
const MAX_READINGS = 20
/** Answers that are waited for once a database is back. */
const ANSWERS_AFTERWARDS = 60
/** So much is done in each life, however slow the machine: a history of lives in which little happened proves little. */
const ANSWERS_BEFORE = 15
/** Longest that booking what is due may take. */
const BOOKING_MS = 15_000

const STORES = [
  { what: 'a server on SQLite is', dies: 'servers', servers: 1, crashes: CRASHES, make: sqliteStore },
  {
    what: 'two servers on one PostgreSQL are, one after the other,',
    dies: 'servers',
    servers: 2,
    crashes: Math.ceil(CRASHES * 0.6),
    make: postgresStore,
  },
  { what: 'the PostgreSQL of two servers is', dies: 'database', servers: 2, crashes: Math.ceil(CRASHES * 0.2), make: postgresStore },
] as const satisfies readonly System[]

/** What is killed, and what it is part of. */
interface System {
  readonly what: string
  readonly dies: 'servers' | 'database'
  readonly servers: number
  readonly crashes: number
  readonly make: (t: TestContext) => Promise<CrashedStore>
}

interface CrashedStore {
  readonly url: string
  readonly audit: () => Promise<AuditReport>
}

async function sqliteStore(t: TestContext): Promise<CrashedStore> {
  const file = `${makeFolder(t)}/obol.db`
  return { url: `sqlite:${file}`, audit: async () => auditFile(file) }
}

async function postgresStore(t: TestContext): Promise<CrashedStore> {
  const url = await newSchema()
  t.after(() => dropSchema(url))
  return { url, audit: () => auditDatabase(url) }
}

/** A store, and servers that come and go on it. */
class World {
  readonly accounts: Worked[] = []
  readonly #t: TestContext
  readonly #env: Readonly<Record<string, string>>
  readonly #audit: () => Promise<AuditReport>
  readonly #servers: number
  #aheadMs = 0
  /** How long the last start took. */
  #startMs = 0

  constructor(t: TestContext, servers: number, { url, audit }: CrashedStore) {
    this.#t = t
    this.#env = { OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY }
    this.#audit = audit
    this.#servers = servers
  }

  /** What a crash leaves must pass an audit as it is, before a server has started on it. */
  async assertSound(): Promise<void> {
    assert.deepEqual((await this.#audit()).differences, [], 'what the crash has left is sound')
  }

  /** Starts the servers, so much later than the last ones by their clocks. */
  async start(laterMs = STEP_MS): Promise<KilledServers> {
    this.#aheadMs += laterMs
    const startedMs = performance.now()
    const start = (): Promise<ServerProcess> => startServer(this.#t, 'serve', { env: this.#env, node: nodeAhead(this.#aheadMs) })
    const servers = await Promise.all(Array.from({ length: this.#servers }, start))
    this.#startMs = performance.now() - startedMs
    return new KilledServers(servers)
  }

  /** Starts a server and kills it when a part of the time that a start takes has passed. */
  async dieStarting(part: number): Promise<void> {
    await startAndKill('serve', part * this.#startMs, { env: this.#env, node: nodeAhead(this.#aheadMs) })
  }

  verify() {
    return runObol(['verify'], { env: this.#env })
  }
}

/** What an account's journal and charges say. */
interface Ledger {
  readonly journal: readonly JournalLine[]
  readonly charges: readonly Readonly<Record<string, string>>[]
}

async function ledgerOf(call: Call, account: string): Promise<Ledger> {
  return { journal: await readJournal(call, account), charges: await readCharges(call, account) }
}

/** What a record of the journal is the effect of; what is not here was made by time, or by the test before it began. */
const EFFECTS: Readonly<Record<string, string>> = {
  charge: 'charge',
  capture: 'capture',
  late_capture: 'capture',
  hold: 'hold',
  hold_released: 'release',
  refund: 'refund',
  grant: 'grant',
}

/** The effects that a journal tells of, each as often as it does. */
function effectsIn(journal: readonly JournalLine[]): readonly string[] {
  return journal.flatMap(({ kind, subject }) => (kind in EFFECTS ? [`${EFFECTS[kind]} ${subject}`] : []))
}

/** The effect that an attempt is known to have had; null: none. */
function effectOf({ attempt: { action }, answer }: Settled): string | null {
  if (!answer.ok || action.do === 'read') return null
  return `${action.do} ${action.do === 'release' ? action.hold : answer.made}`
}

/**
 * What was acknowledged is there exactly once; what is there besides was asked for by attempts that were not answered, and by
 * each of them at most once.
 */
function checkEffects({ journal, charges }: Ledger, clients: CrashClients, account: string): void {
  const effects = effectsIn(journal)
  assert.equal(new Set(effects).size, effects.length, 'nothing has two records')
  const unexplained = new Set(effects)
  for (const settled of clients.settled) {
    const effect = settled.attempt.account === account ? effectOf(settled) : null
    if (effect !== null) assert.ok(unexplained.delete(effect), `${settled.attempt.name} was acknowledged: ${effect} is there, for it alone`)
  }
  const unsettled = clients.unsettled.flatMap(({ attempt }) => (attempt.account === account ? [attempt] : []))
  const left = unsettled.map(({ action }) => action.do)
  for (const effect of unexplained) {
    const at = left.findIndex((does) => effect.startsWith(`${does} `))
    assert.ok(at >= 0, `${effect} was asked for`)
    left.splice(at, 1)
  }
  const names = charges.map(({ metadata = '{}' }) => (JSON.parse(metadata) as { attempt: string }).attempt)
  assert.equal(new Set(names).size, names.length, 'no attempt was charged twice')
  const ofUnanswered = charges.filter(({ id }) => unexplained.has(`charge ${id}`) || unexplained.has(`capture ${id}`))
  for (const { metadata = '' } of ofUnanswered)
    assert.ok(
      unsettled.some(({ name }) => metadata === JSON.stringify({ attempt: name })),
      metadata,
    )
}

function sum(amounts: readonly (string | undefined)[]): bigint {
  return amounts.reduce((total, amount) => total + creditsOf(amount), 0n)
}

/** The balance is what grants, charges and refunds come to, and what live holds have set aside is held. */
async function checkSums(call: Call, account: string, { charges }: Ledger): Promise<void> {
  const { credits, holds } = await creditsAndHolds(call, account)
  const { settled, held, available, granted, spent } = credits
  assert.equal(creditsOf(spent), sum(charges.map(({ credits }) => credits)) - sum(charges.map(({ refunded }) => refunded)), 'spent')
  assert.equal(creditsOf(settled), creditsOf(granted) - creditsOf(spent), 'settled')
  assert.equal(creditsOf(available), creditsOf(settled) - creditsOf(held), 'available')
  assert.equal(creditsOf(held), sum(holds.map((hold) => hold.held)), 'held')
}

type Credits = Readonly<Record<'settled' | 'held' | 'available' | 'granted' | 'spent', string>>

/** The balance and the live holds of one moment: they are read again when a hold has come to its end between the two. */
async function creditsAndHolds(
  call: Call,
  account: string,
): Promise<{ readonly credits: Credits; readonly holds: Awaited<ReturnType<typeof liveHolds>> }> {
  const read = async (): Promise<Credits> => (await call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits
  let credits = await read()
  for (let attempt = 0; attempt < MAX_READINGS; attempt++) {
    const holds = await liveHolds(call, account)
    const after = await read()
    if (after.held === credits.held) return { credits: after, holds }
    credits = after
  }
  throw new Error(`what ${account} holds never stood still`)
}

async function liveHolds(call: Call, account: string): Promise<readonly { readonly id: string; readonly held: string }[]> {
  const holds: { id: string; held: string }[] = []
  for (let after = ''; ; after = `&starting_after=${holds.at(-1)?.id}`) {
    const { status, body, text } = await call('GET', `/v1/holds?account=${account}&status=live&limit=100${after}`)
    assert.equal(status, 200, text)
    holds.push(...body.data)
    if (!body.has_more) return holds
  }
}

/** Each hold ends at most once; gives those that have not ended. Late captures come after the end, once. */
function openHolds({ journal, charges }: Ledger): readonly string[] {
  const kinds = new Map(journal.map(({ subject, kind }) => [`${kind} ${subject}`, kind]))
  const captures = charges.flatMap(({ id, hold = '' }) => (hold === '' ? [] : [{ hold, isLate: kinds.has(`late_capture ${id}`) }]))
  const opened = journal.flatMap(({ kind, subject }) => (kind === 'hold' ? [subject] : []))
  const ends = [
    ...journal.flatMap(({ kind, subject }) => (kind === 'hold_released' || kind === 'hold_expired' ? [subject] : [])),
    ...captures.flatMap(({ hold, isLate }) => (isLate ? [] : [hold])),
  ]
  assert.equal(new Set(ends).size, ends.length, 'a hold ends once')
  const late = captures.flatMap(({ hold, isLate }) => (isLate ? [hold] : []))
  assert.equal(new Set(late).size, late.length, 'a hold that has expired is captured once')
  for (const hold of late) assert.ok(kinds.has(`hold_expired ${hold}`), `${hold} had expired`)
  const ended = new Set(ends)
  return opened.filter((hold) => !ended.has(hold))
}

/** Charges are found by their ids, as they were acknowledged. */
async function checkCharges(call: Call, settled: readonly Settled[]): Promise<void> {
  const charges = settled.filter(({ answer, heard }) => answer.ok && heard.body.object === 'charge')
  for (const { heard } of charges) {
    const { status, body } = await call('GET', `/v1/charges/${heard.body.id}`)
    assert.equal(status, 200)
    const { lines: _, refunded: __, status: ___, ...found } = body
    const { refunded: ____, status: _____, ...acknowledged } = heard.body
    assert.deepEqual(found, acknowledged)
  }
}

/** Four accounts with credits: holds of the first two outlive the test, those of the others expire while it runs. */
async function begin(world: World, clients: CrashClients): Promise<void> {
  const servers = await world.start()
  const { call } = servers
  for (const ttlSeconds of [LONG_SECONDS, LONG_SECONDS, SHORT_SECONDS, SHORT_SECONDS]) {
    const { status, body } = await call('POST', '/v1/accounts', { name: `holds of ${ttlSeconds} s` })
    assert.equal(status, 201)
    const account = { id: body.id, ttlSeconds }
    world.accounts.push(account)
    await clients.ask(call, attemptAt(account, { do: 'grant', credits: 100n * MICRO }, `first-${body.id}`))
  }
  await servers.stop()
}

interface Life {
  /** Answers that were checked before. */
  readonly since: number
  readonly dies: System['dies']
}

/** One life of the servers: what is there is checked, then there is load, until one after the other is killed. */
async function live(world: World, clients: CrashClients, random: Random, { since, dies }: Life): Promise<void> {
  const servers = await world.start()
  const { call } = servers
  const check = async ({ id }: Worked): Promise<void> => {
    const ledger = await ledgerOf(call, id)
    checkEffects(ledger, clients, id)
    openHolds(ledger)
    await checkSums(call, id, ledger)
  }
  await Promise.all(world.accounts.map(check))
  await checkCharges(call, clients.settled.slice(since))
  const enough = clients.settled.length + ANSWERS_BEFORE
  const working = clients.work(call, () => servers.isGone)
  await sleep(random.between(40, 900))
  await answered(clients, { enough, working })
  if (dies === 'servers') await killServers(servers, { clients, random, working })
  else await killDatabase(servers, { clients, random, working })
  await world.assertSound()
}

interface Load {
  readonly clients: CrashClients
  readonly random: Random
  readonly working: Promise<void>
}

/** Kills one server after the other. */
async function killServers(servers: KilledServers, { clients, random, working }: Load): Promise<void> {
  const moment = random.weighted(MOMENTS)
  if (moment === 'just acknowledged') {
    const acknowledged = new Promise<void>((resolve) => clients.onNextAcknowledged(resolve))
    const killed = acknowledged.then(() => servers.kill(random.next()))
    await Promise.race([killed, working])
  } else if (moment === 'quiet') {
    clients.stop()
    await working
    await sleep(random.between(0, 400))
  }
  while (!servers.isGone) {
    servers.kill(random.next())
    if (!servers.isGone) await sleep(random.between(40, 600))
  }
  await Promise.all([servers.ended(), working])
}

/** Waits until so many answers have come, or none can come any more. */
async function answered(
  clients: CrashClients,
  { enough, working }: { readonly enough: number; readonly working: Promise<void> },
): Promise<void> {
  while (clients.settled.length < enough && (await Promise.race([working.then(() => 'over'), sleep(20)])) !== 'over');
}

/** Kills PostgreSQL, or has it stop at once, and starts it again; the servers go on. */
async function killDatabase(servers: KilledServers, { clients, random, working }: Load): Promise<void> {
  const { crash } = await testServer()
  await crash?.(random.pick(['SIGKILL', 'SIGQUIT']))
  const enough = clients.settled.length + ANSWERS_AFTERWARDS
  await answered(clients, { enough, working })
  clients.stop()
  await working
  await servers.stop()
}

for (const { what, dies, servers: count, crashes, make } of STORES)
  test(`when ${what} killed ${crashes} times under load, nothing is lost or done twice, and no hold is stuck (seed ${SEED})`, async (t) => {
    const isOurs = dies === 'servers' || (await testServer()).crash !== null
    // A server that is not ours is not for us to kill.
    if (!isOurs) return
    const random = new Random(SEED)
    const world = new World(t, count, await make(t))
    const clients = new CrashClients(world.accounts, random, { mayFail: dies === 'database' })
    await begin(world, clients)
    await t.test('after each crash, what was acknowledged is there once, and what was not at most once', async () => {
      let since = 0
      for (let crash = 0; crash < crashes; crash++) {
        const before = clients.settled.length
        await live(world, clients, random, { since, dies })
        since = before
        if (dies === 'servers' && random.isLikely(DIES_STARTING)) await world.dieStarting(random.next())
      }
    })
    const servers = await world.start()
    const { call } = servers
    await t.test('what was not acknowledged is settled once when it is asked again', () => settle(world, clients, call))
    if (dies === 'servers') checkRetries(clients, crashes)
    await t.test('the history of all lives could have happened one after the other, without a crash', () =>
      checkHistory(world, { clients, crashes }, call),
    )
    await t.test('what is live can be captured', () => captureAll(world, call))
    await servers.stop()
    await t.test('what has expired is let go', () => checkExpiry(world))
    await t.test('the store verifies', async () => {
      const { code, stdout, stderr } = await world.verify()
      assert.deepEqual([code, stderr], [0, ''], stdout)
    })
    const { settled, heardAgain, retries } = clients
    t.diagnostic(`${settled.length} answers, ${heardAgain} heard again; not answered at first: ${JSON.stringify(retries)}`)
  })

/** Crashes came before commits, and between commits and their answers. */
function checkRetries({ retries }: CrashClients, crashes: number): void {
  const { replayed, fresh, refused } = retries
  const all = JSON.stringify(retries)
  assert.ok(replayed + fresh + refused >= crashes, `not answered at first: ${all}`)
  assert.ok(replayed > 0, `crashes came between a commit and its answer: ${all}`)
  assert.ok(fresh > 0, `crashes came before a commit: ${all}`)
}

async function settle(world: World, clients: CrashClients, call: Call): Promise<void> {
  await clients.settleAll(call)
  for (const { id } of world.accounts) {
    const ledger = await ledgerOf(call, id)
    // Nothing is unsettled any more, so the journal has what was acknowledged and nothing else.
    checkEffects(ledger, clients, id)
    await checkSums(call, id, ledger)
  }
  await checkCharges(call, clients.settled)
  const done = clients.settled.filter((settled) => effectOf(settled) !== null)
  for (const settled of done) assert.ok(await clients.hearAgain(call, settled))
}

/** Without expiry in it, the history is one that both checkers can follow. */
async function checkHistory(
  { accounts }: World,
  { clients, crashes }: { readonly clients: CrashClients; readonly crashes: number },
  call: Call,
): Promise<void> {
  for (const { id } of accounts.filter(({ ttlSeconds }) => ttlSeconds === LONG_SECONDS)) {
    const history = withReleases(clients.historyOf(id), await readJournal(call, id))
    assert.ok(history.length > 2 * crashes, `${history.length} operations`)
    assert.deepEqual(checkSequence(history), [], 'the sequence checker')
    assert.deepEqual(checkAnyOrder(history), [], 'the checker of any order')
  }
}

async function captureAll({ accounts }: World, call: Call): Promise<void> {
  for (const { id } of accounts.filter(({ ttlSeconds }) => ttlSeconds === LONG_SECONDS)) {
    const open = openHolds(await ledgerOf(call, id))
    assert.ok(open.length > 0, 'some holds are live')
    assert.deepEqual((await liveHolds(call, id)).map((hold) => hold.id).toSorted(), open.toSorted())
    for (const hold of open) assert.equal((await call('POST', `/v1/holds/${hold}/capture`, {})).status, 201)
    assert.deepEqual(await liveHolds(call, id), [])
    assert.equal((await call('GET', `/v1/credits?account=${id}`)).body.credit_types.credits.held, '0')
  }
}

/** When the last holds are over nothing is held at once, and their expiry is booked before long, without anybody asking. */
async function checkExpiry(world: World): Promise<void> {
  const servers = await world.start((SHORT_SECONDS + 1) * 1_000)
  const { call } = servers
  for (const { id } of world.accounts.filter(({ ttlSeconds }) => ttlSeconds === SHORT_SECONDS)) {
    assert.equal((await call('GET', `/v1/credits?account=${id}`)).body.credit_types.credits.held, '0')
    const deadline = performance.now() + BOOKING_MS
    let ledger = await ledgerOf(call, id)
    while (openHolds(ledger).length > 0 && performance.now() < deadline) {
      await sleep(100)
      ledger = await ledgerOf(call, id)
    }
    assert.deepEqual(openHolds(ledger), [], 'no hold is stuck')
    await checkSums(call, id, ledger)
    const expired = ledger.journal.findLast(({ kind }) => kind === 'hold_expired')?.subject
    assert.ok(expired, 'some holds have expired')
    assert.equal((await call('POST', `/v1/holds/${expired}/capture`, { amount: '0.5' })).status, 201, 'work is charged all the same')
    assert.equal((await call('POST', `/v1/holds/${expired}/capture`, { amount: '0.5' })).body.code, 'hold_already_captured')
  }
  await servers.stop()
}
