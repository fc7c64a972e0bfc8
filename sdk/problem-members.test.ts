/** The members that error classes have are those that the server answers with. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../test/running/obol.ts'
import { CODES_WITH_MEMBERS, membersOf } from '../tools/sdk/problem-members.ts'
import { camel } from '../tools/sdk/words.ts'
import { ApiError } from './typescript/src/errors.ts'
import { Obol } from './typescript/src/obol.ts'

/** What every problem has, what its HTTP headers say too, and the place in a batch. */
const COMMON = new Set(['type', 'title', 'status', 'detail', 'code', 'instance', 'request_id', 'docs', 'errors', 'retry_after', 'index'])

interface Scene {
  readonly operator: Obol
  readonly account: string
  readonly client: (key: string) => Obol
  readonly key: (terms: object) => Promise<{ readonly id: string; readonly secret: string }>
}

const OFFER = { currency: 'eur', credits_per_unit: '100', min_minor: 500, max_minor: 100_000 } as const
const UNITS = { operation: 'unit', quantity: 100 } as const

/** How each problem that has members of its own comes about. */
const CAUSES: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  insufficient_credits: ({ operator, account }) => operator.charges.create({ account, ...UNITS, quantity: 2_000 }),
  credits_in_flight: async ({ operator, account }) => {
    await operator.holds.create({ account, ...UNITS, quantity: 950 })
    return operator.charges.create({ account, ...UNITS }, { maxRetries: 0 })
  },
  key_budget_exceeded: async ({ operator, key }) => {
    const { id } = await key({ budget: { limit: '10', period: 'day' } })
    return operator.charges.create({ key: id, ...UNITS })
  },
  key_charge_limit_exceeded: async ({ operator, key }) => {
    const { id } = await key({ budget: { limit: null, max_per_charge: '10' } })
    return operator.charges.create({ key: id, ...UNITS })
  },
  operation_not_allowed: async ({ operator, key }) => operator.charges.create({ key: (await key({ operations: ['image'] })).id, ...UNITS }),
  price_not_configured: ({ operator, account }) => operator.charges.create({ account, operation: 'nothing' }),
  quantity_required: ({ operator, account }) => operator.charges.create({ account, operation: 'llm.chat' }),
  unknown_unit: ({ operator, account }) => operator.charges.create({ account, operation: 'transcription', quantities: { token: 1 } }),
  grant_closed: async ({ operator, account }) => {
    const { id } = await operator.grants.create({ account, amount: '1' })
    await operator.grants.void(id)
    return operator.grants.void(id)
  },
  capture_exceeds_hold: async ({ operator, account }) => {
    const { id } = await operator.holds.create({ account, ...UNITS, policy: 'reject' })
    return operator.holds.capture(id, { amount: '101' })
  },
  refund_exceeds_charge: async ({ operator, account }) => {
    const { id } = await operator.charges.create({ account, ...UNITS })
    return operator.charges.refund(id, { amount: '101' })
  },
  topup_amount_out_of_range: async ({ operator, account }) => {
    await operator.topupOptions.set(OFFER)
    return operator.checkoutSessions.create({ account, amount_minor: 499 })
  },
  topup_refund_exceeds_payment: async ({ operator, account }) => {
    await operator.topupOptions.set(OFFER)
    const { id, url } = await operator.checkoutSessions.create({ account, amount_minor: 500 })
    await fetch(url ?? '', { method: 'POST', body: new URLSearchParams({ action: 'pay' }) })
    const { topup } = await operator.checkoutSessions.get(id)
    return operator.topups.refund(topup ?? '', { amount_minor: 501 })
  },
  scope_required: async ({ client, key }) => client((await key({})).secret).keys.create({ name: 'x' }),
}

async function startScene(t: TestContext): Promise<Scene> {
  const running = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox' })
  await publishTestPrices(running)
  const account = await openAccount(running, '1000')
  const client = (apiKey: string): Obol => new Obol({ baseUrl: running.url, apiKey })
  return { operator: client(OPERATOR_KEY), account, client, key: (terms) => makeKey(running, account, { ...terms }) }
}

for (const code of CODES_WITH_MEMBERS)
  test(`the error of ${code} has the members that the server answers with, and no other`, async (t) => {
    const cause = CAUSES[code]
    assert.ok(cause, `sdk/problem-members.test.ts does not cause ${code}`)
    await assert.rejects(cause(await startScene(t)), (error) => {
      assert.ok(error instanceof ApiError)
      assert.equal(error.code, code, error.message)
      const own = Object.keys(error.members).filter((name) => !COMMON.has(name))
      const declared = membersOf(code)
      assert.deepEqual(own.toSorted(), declared.map(({ name }) => name).toSorted())
      for (const { name, value } of declared) {
        const read: unknown = (error as unknown as Readonly<Record<string, unknown>>)[camel(name)]
        assert.equal(read, error.members[name], name)
        if (read === null) assert.ok(value.isNullable, name)
        else assert.equal(typeof read, value.kind === 'integer' ? 'number' : 'string', name)
      }
      return true
    })
  })
