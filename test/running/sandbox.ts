/** An Obol that sells credits through the sandbox, and short ways to buy some. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CallOptions, openAccount, startTestObol, type TestAnswer, type TestObol } from './obol.ts'
import type { StoreKind } from './store.ts'

/** What is on offer in tests: 100 credits for a euro, and a pack with a bonus. */
export const TEST_OPTIONS = {
  currency: 'eur',
  credits_per_unit: '100',
  min_minor: 500,
  max_minor: 100_000,
  packs: [{ id: 'big', name: 'Big pack', amount_minor: 5_000, bonus_credits: '500', bonus_expires_in_days: 30 }],
} as const

/** A body, as tests look into it. */
type Body = TestAnswer['body']

export interface Shop extends TestObol {
  readonly account: string
  /** Opens a checkout session of the account. */
  readonly open: (wish?: Readonly<Record<string, unknown>>, options?: CallOptions) => Promise<Body>
  /** Does something on the page of a checkout session, as its form does. */
  readonly press: (session: Body, action: string) => Promise<Response>
  /** Opens a checkout session and pays it; gives the top-up. */
  readonly buy: (wish?: Readonly<Record<string, unknown>>) => Promise<Body>
  readonly topup: (id: string) => Promise<Body>
  readonly session: (id: string) => Promise<Body>
  /** Credits that can be used, are held or frozen, and owed. */
  readonly credits: () => Promise<readonly [available: string, held: string, debt: string]>
}

/** Starts one, with an account that has nothing. */
export async function openShop(t: TestContext, environment: Readonly<Record<string, string>> = {}, kind?: StoreKind): Promise<Shop> {
  const obol = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox', ...environment }, kind)
  const { call } = obol
  assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS)).status, 200)
  const account = await openAccount(obol, '0')
  const got = async (path: string): Promise<Body> => {
    const { status, body } = await call('GET', path)
    assert.equal(status, 200, path)
    return body
  }
  const open: Shop['open'] = async (wish = { amount_minor: 1_000 }, options = {}) => {
    const { status, body } = await call('POST', '/v1/checkout-sessions', { account, ...wish }, options)
    assert.equal(status, 201, JSON.stringify(body))
    return body
  }
  const session = (id: string): Promise<Body> => got(`/v1/checkout-sessions/${id}`)
  const topup = (id: string): Promise<Body> => got(`/v1/topups/${id}`)
  const buy: Shop['buy'] = async (wish) => {
    const opened = await open(wish)
    assert.equal((await press(opened, 'pay')).status, 303)
    return topup(
      (
        await until(
          () => session(opened.id),
          ({ status }) => status === 'paid',
        )
      ).topup,
    )
  }
  const credits: Shop['credits'] = async () => {
    const { credit_types: types } = await got(`/v1/credits?account=${account}`)
    const { available = '0', held = '0', debt = '0' } = types.credits ?? {}
    return [available, held, debt]
  }
  return { ...obol, account, open, press, session, topup, buy, credits }
}

/** Buys credits for an account of any server that has the sandbox; what is on offer is set by it. */
export async function buyIn(
  { call }: Pick<TestObol, 'call'>,
  account: string,
  wish: Readonly<Record<string, unknown>> = { amount_minor: 1_000 },
): Promise<{ readonly checkout_session: string; readonly topup: string }> {
  assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS)).status, 200)
  const { body: session } = await call('POST', '/v1/checkout-sessions', { account, ...wish })
  assert.equal((await press(session, 'pay')).status, 303)
  const { body } = await until(
    () => call('GET', `/v1/checkout-sessions/${session.id}`),
    (answer) => answer.body.status === 'paid',
  )
  return { checkout_session: session.id, topup: body.topup }
}

/** Does something on the page of a checkout session, as its form does. */
export function press(session: Body, action: string): Promise<Response> {
  return fetch(session.url, { method: 'POST', body: new URLSearchParams({ action }), redirect: 'manual' })
}

/** Longest that a test waits for what a server does by itself. */
const PATIENCE_MS = 20_000

/** What is read once it is as wanted. Throws when that takes too long. */
export async function until<Value>(read: () => Promise<Value>, isWanted: (value: Value) => boolean): Promise<Value> {
  for (const endMs = performance.now() + PATIENCE_MS; ; await sleep(50)) {
    const value = await read()
    if (isWanted(value)) return value
    if (performance.now() > endMs) throw new assert.AssertionError({ message: `it stayed ${JSON.stringify(value)}` })
  }
}
