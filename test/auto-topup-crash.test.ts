/**
 * A server that is killed at any moment while accounts are topped up by themselves takes each one's money once, and credits it once: what
 * the provider's own rows say is what the accounts have. It runs as a process and is killed with SIGKILL, again and again on one store.
 * OBOL_TEST_SEED repeats a run; OBOL_TEST_CRASHES sets its length.
 */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SandboxCheckout } from '../src/payments/sandbox/checkout.ts'
import { caller, OPERATOR_KEY, type TestAnswer, type TestObol } from './running/obol.ts'
import { onSchema } from './running/postgres.ts'
import { runObol, type ServerProcess, startServer } from './running/process.ts'
import { Random } from './running/random.ts'
import { TEST_OPTIONS, until } from './running/sandbox.ts'
import { newPlace, STORE_KINDS, type StoreKind } from './running/store.ts'

const SEED = Number(process.env.OBOL_TEST_SEED ?? 20_261_129)
/** How often the server is killed. */
const CRASHES = Number(process.env.OBOL_TEST_CRASHES ?? 5)
/** Accounts that are to be topped up in each life of the server. */
const ACCOUNTS = 3
/** Longest that a server goes on after they were set: it looks every second. */
const MAX_LIFE_MS = 1_800
/** What a customer buys by hand, 1000 credits, is below it; what is bought then brings the account to 3000. */
const TERMS = { threshold: '2000', target: '3000', monthly_cap_minor: 5_000, consent: { by: 'Ada', text: 'v1' } }

type Place = Awaited<ReturnType<typeof newPlace>>

interface Life {
  readonly server: ServerProcess
  readonly call: TestObol['call']
}

function environmentOf({ databaseUrl }: Place): Readonly<Record<string, string>> {
  return { OBOL_DATABASE_URL: databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_PAYMENTS: 'sandbox' }
}

async function start(t: TestContext, place: Place): Promise<Life> {
  const server = await startServer(t, 'serve', { env: environmentOf(place) })
  return { server, call: caller(server.url) }
}

/** Opens an account whose customer buys something and leaves the card that they use, and has it topped up. */
async function openWatched({ call, server }: Life, action: string): Promise<string> {
  const done = async (method: string, path: string, body: unknown): Promise<TestAnswer['body']> => {
    const answer = await call(method, path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.body
  }
  const { id } = await done('POST', '/v1/accounts', { name: 'Ada' })
  const session = await done('POST', '/v1/checkout-sessions', { account: id, amount_minor: 1_000, save_payment_method: true })
  const page = `${server.url}${new URL(session.url).pathname}`
  await fetch(page, { method: 'POST', body: new URLSearchParams({ action }), redirect: 'manual' })
  await until(
    () => call('GET', `/v1/checkout-sessions/${session.id}`),
    ({ body }) => body.status === 'paid',
  )
  await done('PUT', `/v1/auto-topup?account=${id}`, TERMS)
  return id
}

/** What the provider's own rows say. */
async function sandboxOf(kind: StoreKind, { file }: Place): Promise<readonly SandboxCheckout[]> {
  const select = 'select state from sandbox_checkouts'
  if (kind === 'postgres') return (await onSchema<{ state: string }>(file, select)).map(({ state }) => JSON.parse(state))
  const db = new DatabaseSync(file, { readOnly: true })
  const rows = db.prepare(select).all()
  db.close()
  return rows.map(({ state }) => JSON.parse(String(state)))
}

for (const kind of STORE_KINDS)
  test(`a server on ${kind} that is killed ${CRASHES} times tops each account up once (seed ${SEED})`, async (t) => {
    const random = new Random(SEED)
    const place = await newPlace(kind)
    t.after(() => place.remove())
    const accounts: string[] = []
    for (let crash = 0; crash < CRASHES; crash++) {
      const life = await start(t, place)
      if (crash === 0) assert.equal((await life.call('PUT', '/v1/topups/options', TEST_OPTIONS)).status, 200)
      for (let count = 0; count < ACCOUNTS; count++) accounts.push(await openWatched(life, random.pick(['pay', 'pay_lost'])))
      await sleep(random.below(MAX_LIFE_MS))
      life.server.signal('SIGKILL')
      await life.server.ended
      assert.deepEqual((await place.audit()).differences, [], 'what the crash has left is sound')
    }
    const { call, server } = await start(t, place)
    for (const account of accounts) {
      const { body } = await until(
        () => call('GET', `/v1/auto-topup?account=${account}`),
        (answer) => answer.body.auto_topup.status === 'idle' && answer.body.auto_topup.last_paid_at !== null,
      )
      assert.equal(body.auto_topup.spent_this_month_minor, 2_000)
      assert.equal((await call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits.available, '3000')
    }
    const paid = (await sandboxOf(kind, place)).filter(({ status }) => status === 'paid')
    const topups = await Promise.all(accounts.map(async (account) => (await call('GET', `/v1/topups?account=${account}`)).body.data))
    assert.deepEqual(
      topups.flatMap((all) => all.map((one: TestAnswer['body']) => one.checkout_session)).toSorted(),
      paid.map(({ checkout }) => checkout).toSorted(),
      'what was paid was credited, each once',
    )
    assert.equal(paid.length, 2 * accounts.length)
    assert.equal((await server.stop()).code, 0)
    const { code, stdout, stderr } = await runObol(['verify'], { env: environmentOf(place) })
    assert.deepEqual([code, stderr], [0, ''], stdout)
  })
