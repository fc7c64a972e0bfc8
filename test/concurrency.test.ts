/** Many clients at once: whatever they want of one account, they never get more than it has. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readJournal } from './running/history.ts'
import { startNodes } from './running/nodes.ts'
import { makeKey, openAccount, startTestObol, type TestAnswer, type TestObol } from './running/obol.ts'
import { runObol } from './running/process.ts'
import { creditsOf } from './running/workload.ts'

/** What is asked: one server, or several on one store in turn. */
interface System extends Pick<TestObol, 'call'> {
  readonly databaseUrl: string
}

const SYSTEMS: Readonly<Record<string, (t: TestContext) => Promise<System>>> = {
  'a server': async (t) => {
    const { call, file } = await startTestObol(t)
    return { call, databaseUrl: `sqlite:${file}` }
  },
  'two servers on one PostgreSQL': async (t) => {
    const { nodes, url } = await startNodes(t, 2)
    let asked = 0
    return { call: (...request) => (nodes[asked++ % 2] ?? nodes[0]).call(...request), databaseUrl: url }
  },
}

/** What is promised, and how it is put to the test: with an account of its own for each. */
const promises = new Map<string, (system: System) => Promise<void>>()
const promise = (what: string, keep: (system: System) => Promise<void>) => promises.set(what, keep)

/** Asks the same of a server many times at once; each client has its own number, from 0. */
function atOnce(clients: number, ask: (client: number) => Promise<TestAnswer>): Promise<readonly TestAnswer[]> {
  return Promise.all(Array.from({ length: clients }, (_, client) => ask(client)))
}

/** How many answers were what: `201`, or the status with the code of the problem. */
function tally(answers: readonly TestAnswer[]): Readonly<Record<string, number>> {
  const groups = Map.groupBy(answers, ({ status, body }) => (status < 300 ? `${status}` : `${status} ${body.code}`))
  return Object.fromEntries([...groups].map(([what, group]) => [what, group.length]).sort())
}

async function creditsOn({ call }: System, account: string): Promise<Readonly<Record<string, string>>> {
  const { settled, held, available, spent } = (await call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits
  return { settled, held, available, spent }
}

/** How many records of each kind an account's journal has. */
async function kindsOn({ call }: System, account: string): Promise<Readonly<Record<string, number>>> {
  const groups = Map.groupBy(await readJournal(call, account), ({ kind }) => kind)
  return Object.fromEntries([...groups].map(([kind, group]) => [kind, group.length]))
}

/** What `obol verify` says of a store that is running. */
async function verify({ databaseUrl }: System): Promise<void> {
  const { code, stdout, stderr } = await runObol(['verify'], { env: { OBOL_DATABASE_URL: databaseUrl } })
  assert.deepEqual([code, stderr], [0, ''], stdout)
  assert.match(stdout, /Everything adds up\.\n$/)
}

const work = (target: { readonly account: string } | { readonly key: string }, amount = '1') => ({ ...target, operation: 'work', amount })

promise('100 charges of 1 at once against a balance of 60: exactly 60 are made, 40 are refused, and the store verifies', async (obol) => {
  const account = await openAccount(obol, '60')
  const answers = await atOnce(100, () => obol.call('POST', '/v1/charges', work({ account })))
  assert.deepEqual(tally(answers), { '201': 60, '402 insufficient_credits': 40 })
  assert.deepEqual(await creditsOn(obol, account), { settled: '0', held: '0', available: '0', spent: '60' })
  assert.deepEqual(await kindsOn(obol, account), { account_created: 1, grant: 1, charge: 60 }, 'refused charges have written nothing')
  const balances = answers.flatMap(({ status, body }) => (status === 201 ? [Number(body.balance.available)] : []))
  assert.deepEqual(
    balances.toSorted((a, b) => b - a),
    Array.from({ length: 60 }, (_, index) => 59 - index),
    'each charge saw the balance that the one before it had left',
  )
})

promise('charges at once drain many small grants in burn order, and none below zero', async (obol) => {
  const account = await openAccount(obol, '0')
  for (const priority of [5, 1, 4, 2, 3])
    assert.equal((await obol.call('POST', '/v1/grants', { account, amount: '10.5', priority })).status, 201)
  const answers = await atOnce(80, () => obol.call('POST', '/v1/charges', work({ account }, '0.75')))
  assert.deepEqual(tally(answers), { '201': 70, '402 insufficient_credits': 10 })
  const { data } = (await obol.call('GET', `/v1/grants?account=${account}`)).body
  assert.deepEqual(
    data.map(({ remaining, status }: Record<string, string>) => [remaining, status]),
    Array.from({ length: 5 }, () => ['0', 'spent']),
  )
})

promise('100 charges at once through a key with a budget of 60 of an account with 1000: exactly 60 are made', async (obol) => {
  const account = await openAccount(obol, '1000')
  const { secret } = await makeKey(obol, account, { budget: { limit: '60', period: 'lifetime' } })
  const others = await makeKey(obol, account)
  const [limited, free] = await Promise.all([
    atOnce(100, () => obol.call('POST', '/v1/charges', work({ key: secret }))),
    atOnce(50, () => obol.call('POST', '/v1/charges', work({ key: others.secret }))),
  ])
  assert.deepEqual(tally(limited), { '201': 60, '402 key_budget_exceeded': 40 })
  assert.deepEqual(tally(free), { '201': 50 }, 'a key without a budget is not in its way')
  const { body } = await obol.call('GET', '/v1/credits', undefined, { key: secret })
  assert.deepEqual([body.key.budget.spent, body.key.budget.remaining, body.credit_types.credits.settled], ['60', '0', '890'])
})

promise('holds count against a budget too: holds and charges at once through one key stay within it', async (obol) => {
  const account = await openAccount(obol, '1000')
  const { secret } = await makeKey(obol, account, { budget: { limit: '60', period: 'day' } })
  const answers = await atOnce(100, (client) => obol.call('POST', client % 2 === 0 ? '/v1/holds' : '/v1/charges', work({ key: secret })))
  assert.deepEqual(tally(answers), { '201': 60, '402 key_budget_exceeded': 40 })
  const { budget } = (await obol.call('GET', '/v1/credits', undefined, { key: secret })).body.key
  assert.equal(creditsOf(budget.spent) + creditsOf(budget.held), creditsOf('60'))
  assert.equal(budget.remaining, '0')
})

/** Holds and charges of 1 race for a balance of 60; gives the ids of the holds that were made. */
async function raceForCredits(obol: System, account: string): Promise<readonly string[]> {
  const answers = await atOnce(100, (client) => obol.call('POST', client % 2 === 0 ? '/v1/holds' : '/v1/charges', work({ account })))
  assert.equal(tally(answers)['201'], 60)
  const refused = answers.filter(({ status }) => status !== 201)
  for (const { status, body } of refused)
    assert.ok(['402 insufficient_credits', '429 credits_in_flight'].includes(`${status} ${body.code}`), `${status} ${body.code}`)
  const holds = answers.flatMap(({ status, body }) => (status === 201 && body.object === 'hold' ? [body.id] : []))
  assert.ok(holds.length > 0 && holds.length < 60, `${holds.length} holds: both had a share`)
  const [held, settled] = [`${holds.length}`, `${holds.length}`]
  assert.deepEqual(await creditsOn(obol, account), { settled, held, available: '0', spent: `${60 - holds.length}` })
  return holds
}

promise('holds that race charges for a balance of 60: 60 of 100 win, and what is held is not charged', async (obol) => {
  const account = await openAccount(obol, '60')
  const holds = await raceForCredits(obol, account)
  const ends = await Promise.all(
    holds.map(async (hold) => {
      const asked = ['capture', 'release', 'capture'].map((end) => obol.call('POST', `/v1/holds/${hold}/${end}`, {}))
      const answers = await Promise.all(asked)
      const [won, ...others] = answers.filter(({ status }) => status < 300)
      assert.deepEqual(others, [], `${hold} ends once`)
      for (const { status, body } of answers)
        if (status >= 300) assert.match(`${status} ${body.code}`, /^409 hold_already_(captured|released)$/)
      return won?.body.object
    }),
  )
  const captured = ends.filter((what) => what === 'charge').length
  const left = `${holds.length - captured}`
  assert.deepEqual(await creditsOn(obol, account), { settled: left, held: '0', available: left, spent: `${60 - holds.length + captured}` })
})

promise('charges race the capture and release of what they wait for, and the sums stay right', async (obol) => {
  const account = await openAccount(obol, '40')
  const holds = await atOnce(40, () => obol.call('POST', '/v1/holds', work({ account })))
  assert.deepEqual(tally(holds), { '201': 40 })
  const [ends, charges] = await Promise.all([
    atOnce(40, (client) => obol.call('POST', `/v1/holds/${holds[client]?.body.id}/${client % 4 === 0 ? 'release' : 'capture'}`, {})),
    atOnce(60, () => obol.call('POST', '/v1/charges', work({ account }))),
  ])
  assert.deepEqual(tally(ends), { '200': 10, '201': 30 })
  const made = tally(charges)['201'] ?? 0
  assert.ok(made <= 10, `${made} charges were paid with the 10 credits that were released`)
  const left = `${10 - made}`
  assert.deepEqual(await creditsOn(obol, account), { settled: left, held: '0', available: left, spent: `${30 + made}` })
})

/** Requests that move credits, each of which must happen once however often it is sent. */
const ONCE = [
  { what: 'a charge', make: async (_: System, account: string) => ({ path: '/v1/charges', body: work({ account }, '7') }), left: '93' },
  { what: 'a hold', make: async (_: System, account: string) => ({ path: '/v1/holds', body: work({ account }, '7') }), left: '93' },
  { what: 'a grant', make: async (_: System, account: string) => ({ path: '/v1/grants', body: { account, amount: '7' } }), left: '107' },
  { what: 'a capture', make: captureOnce, left: '93' },
  { what: 'a partial refund', make: refundOnce, left: '97' },
  { what: 'an atomic batch', make: batchOnce, left: '93' },
] as const

async function captureOnce(obol: System, account: string) {
  const { body } = await obol.call('POST', '/v1/holds', work({ account }, '9'))
  return { path: `/v1/holds/${body.id}/capture`, body: { amount: '7' } }
}

async function refundOnce(obol: System, account: string) {
  const { body } = await obol.call('POST', '/v1/charges', work({ account }, '10'))
  return { path: `/v1/charges/${body.id}/refund`, body: { amount: '7' } }
}

async function batchOnce(_: System, account: string) {
  return { path: '/v1/charges/batch', body: { atomic: true, charges: [work({ account }, '3'), work({ account }, '4')] } }
}

for (const { what, make, left } of ONCE) {
  promise(`${what} that is sent 50 times at once under one Idempotency-Key happens once, and all hear the same`, async (obol) => {
    const account = await openAccount(obol, '100')
    const { path, body } = await make(obol, account)
    const before = (await readJournal(obol.call, account)).length
    const answers = await atOnce(50, () => obol.call('POST', path, body, { idempotencyKey: 'one and the same' }))
    const first = answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)
    assert.equal(first.length, 1, 'one is the first')
    for (const { status, body: heard } of answers) assert.deepEqual([status, unreplayed(heard)], [first[0]?.status, first[0]?.body])
    assert.equal((await readJournal(obol.call, account)).length, before + (what === 'an atomic batch' ? 2 : 1))
    assert.equal((await creditsOn(obol, account)).available, left)
    await checkOtherBody(obol, { path, body })
  })
}

/** A batch says of each item whether it is a replay. */
function unreplayed(body: { readonly data?: readonly object[] }): object {
  return body.data ? { ...body, data: body.data.map((item) => ({ ...item, replayed: false })) } : body
}

async function checkOtherBody({ call }: System, { path, body }: { readonly path: string; readonly body: object }): Promise<void> {
  const other = 'charges' in body ? { ...body, atomic: false } : { ...body, amount: '8' }
  const { status, body: heard } = await call('POST', path, other, { idempotencyKey: 'one and the same' })
  const refused = status === 200 ? heard.data.map((item: { error: { code: string } }) => item.error.code) : [heard.code]
  for (const code of refused) assert.equal(code, 'idempotency_key_reused')
}

promise('different charges that race under one Idempotency-Key: one is made, the others hear that the key is taken', async (obol) => {
  const account = await openAccount(obol, '100')
  const answers = await atOnce(50, (client) =>
    obol.call('POST', '/v1/charges', work({ account }, `${(client % 5) + 1}`), { idempotencyKey: 'contested' }),
  )
  assert.deepEqual(tally(answers), { '201': 10, '422 idempotency_key_reused': 40 })
  const [charge] = answers.filter(({ status }) => status === 201)
  assert.deepEqual(await kindsOn(obol, account), { account_created: 1, grant: 1, charge: 1 })
  assert.equal((await creditsOn(obol, account)).spent, charge?.body.credits)
})

promise('atomic batches of 5 that race for 60 credits: 12 are made whole, and of the others nothing', async (obol) => {
  const account = await openAccount(obol, '60')
  const charges = Array.from({ length: 5 }, () => work({ account }))
  const answers = await atOnce(20, () => obol.call('POST', '/v1/charges/batch', { atomic: true, charges }))
  assert.deepEqual(tally(answers), { '200': 12, '402 insufficient_credits': 8 })
  assert.deepEqual(await kindsOn(obol, account), { account_created: 1, grant: 1, charge: 60 })
  assert.equal((await creditsOn(obol, account)).available, '0')
})

promise('50 refunds of 1 that race over a charge of 20: 20 are made, and the charge is refunded once over', async (obol) => {
  const account = await openAccount(obol, '20')
  const { body } = await obol.call('POST', '/v1/charges', work({ account }, '20'))
  const answers = await atOnce(50, () => obol.call('POST', `/v1/charges/${body.id}/refund`, { amount: '1' }))
  const [[refusal] = []] = Object.entries(tally(answers)).filter(([what]) => what !== '201')
  assert.deepEqual(tally(answers), { '201': 20, [`${refusal}`]: 30 })
  assert.match(`${refusal}`, /refund_exceeds_charge$/)
  const { refunded, status } = (await obol.call('GET', `/v1/charges/${body.id}`)).body
  assert.deepEqual([refunded, status, (await creditsOn(obol, account)).available], ['20', 'refunded', '20'])
})

promise('clients of many accounts at once: each account is charged for its own calls alone', async (obol) => {
  const accounts = await Promise.all(Array.from({ length: 10 }, () => openAccount(obol, '9')))
  const answers = await atOnce(120, (client) => obol.call('POST', '/v1/charges', work({ account: accounts[client % 10] ?? '' })))
  assert.deepEqual(tally(answers), { '201': 90, '402 insufficient_credits': 30 })
  for (const account of accounts) {
    const { settled, spent } = await creditsOn(obol, account)
    assert.deepEqual({ settled, spent }, { settled: '0', spent: '9' })
  }
})

for (const [asked, start] of Object.entries(SYSTEMS))
  test(`when many clients ask ${asked} at once`, async (t) => {
    const system = await start(t)
    for (const [what, keep] of promises) await t.test(what, () => keep(system))
    await t.test('every refusal among them left the store as it was: obol verify finds nothing', () => verify(system))
  })
