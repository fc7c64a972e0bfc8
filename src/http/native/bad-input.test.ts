/** Bad input: every route that takes a body, row by row. Each row is refused at its place, writes nothing and keeps no idempotency key. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

/** A body that is wrong, and the place that is named for it. */
type Row = readonly [what: string, changes: Readonly<Record<string, unknown>>, pointer: string]

interface Table {
  /** Prepares a request that is right; rows change fields of its body. Undefined takes a field away. */
  readonly prepare: () => Promise<{ readonly path: string; readonly body: Readonly<Record<string, unknown>> }>
  readonly rows: readonly Row[]
}

const MANY = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`field${index}`, 'x']))

const METADATA: readonly Row[] = [
  ['metadata that is no object', { metadata: 'a' }, '#/metadata'],
  ['metadata with a number', { metadata: { a: 1 } }, '#/metadata/a'],
  ['metadata with a value of 501 characters', { metadata: { a: 'x'.repeat(501) } }, '#/metadata/a'],
  ['metadata with a name of 41 characters', { metadata: { ['x'.repeat(41)]: 'a' } }, `#/metadata/${'x'.repeat(41)}`],
  ['metadata with 21 fields', { metadata: MANY }, '#/metadata'],
]

const WORK: readonly Row[] = [
  ['no operation', { operation: undefined }, '#/operation'],
  ['an operation that is no name', { operation: 'Transcribe This' }, '#/operation'],
  ['an operation of 101 characters', { operation: 'a'.repeat(101) }, '#/operation'],
  ['an operation that is null', { operation: null }, '#/operation'],
  ['neither account nor key', { account: undefined }, '#/account'],
  ['an account that is a number', { account: 1 }, '#/account'],
  ['an account that is empty', { account: '' }, '#/account'],
  ['a quantity below zero', { quantity: -1 }, '#/quantity'],
  ['a quantity below zero as text', { quantity: '-0.5' }, '#/quantity'],
  ['a quantity with 13 decimals', { quantity: '0.1234567890123' }, '#/quantity'],
  ['a quantity of 10^15', { quantity: '1000000000000000' }, '#/quantity'],
  ['a quantity that is no number', { quantity: 'many' }, '#/quantity'],
  ['a quantity that is null', { quantity: null }, '#/quantity'],
  ['a quantity that is a list', { quantity: [1] }, '#/quantity'],
  ['a quantity by unit below zero', { quantities: { request: -1 } }, '#/quantities/request'],
  ['a unit that is no name', { quantities: { 'unit!': 1 } }, '#/quantities/unit!'],
  ['17 units', { quantities: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`u${index}`, 1])) }, '#/quantities'],
  ['an amount below zero', { amount: -1 }, '#/amount'],
  ['an amount below zero as text', { amount: '-0.000001' }, '#/amount'],
  ['an amount with 7 decimals', { amount: '0.1234567' }, '#/amount'],
  ['an amount with 7 decimals as a number', { amount: 0.1234567 }, '#/amount'],
  ['an amount beyond the range', { amount: '9200000000000.000001' }, '#/amount'],
  ['an amount that is true', { amount: true }, '#/amount'],
  ['an amount that is null', { amount: null }, '#/amount'],
  ['a credit type without an amount', { credit_type: 'credits' }, '#/credit_type'],
  ['a credit type that is no name', { amount: '1', credit_type: 'Credits!' }, '#/credit_type'],
  ['an attribute that is a number', { attributes: { quality: 1 } }, '#/attributes/quality'],
  ['an attribute of 101 characters', { attributes: { quality: 'x'.repeat(101) } }, '#/attributes/quality'],
  ['21 attributes', { attributes: MANY }, '#/attributes'],
  ['a price of its own', { rate: '0.01' }, '#/rate'],
  ['a balance', { balance: { available: '1000000' } }, '#/balance'],
  ...METADATA,
]

const BUDGET: readonly Row[] = [
  ['a budget that is a number', { budget: 5 }, '#/budget'],
  ['a budget below zero', { budget: { limit: '-1' } }, '#/budget/limit'],
  ['a budget with 7 decimals', { budget: { limit: '0.0000001' } }, '#/budget/limit'],
  ['a budget per year', { budget: { limit: '1', period: 'year' } }, '#/budget/period'],
  ['a budget in no zone', { budget: { limit: '1', period: 'day', time_zone: 'Nowhere/Land' } }, '#/budget/time_zone'],
  ['a budget in an offset', { budget: { limit: '1', period: 'day', time_zone: '+05:30' } }, '#/budget/time_zone'],
  ['a budget with a field too many', { budget: { limit: '1', spent: '0' } }, '#/budget/spent'],
  ['a most per charge below zero', { budget: { max_per_charge: '-1' } }, '#/budget/max_per_charge'],
]

const KEY: readonly Row[] = [
  ['a name of 201 characters', { name: 'x'.repeat(201) }, '#/name'],
  ['a rate limit of nothing', { rate_limit: { requests: 0, window_seconds: 1 } }, '#/rate_limit/requests'],
  ['a rate limit without a window', { rate_limit: { requests: 1 } }, '#/rate_limit/window_seconds'],
  ['a rate limit of a fraction', { rate_limit: { requests: 1.5, window_seconds: 1 } }, '#/rate_limit/requests'],
  ['a rate limit over more than a day', { rate_limit: { requests: 1, window_seconds: 86_401 } }, '#/rate_limit/window_seconds'],
  ['an end that is no time', { expires_at: 'tomorrow' }, '#/expires_at'],
  ['an end without a zone', { expires_at: '2099-01-01T00:00:00' }, '#/expires_at'],
  ['operations that are one', { operations: 'unit' }, '#/operations'],
  ['101 operations', { operations: Array.from({ length: 101 }, (_, index) => `op${index}`) }, '#/operations'],
  ['a scope that there is not', { scopes: ['admin'] }, '#/scopes/0'],
  ['a secret of its own', { secret: 'obol_live_mine' }, '#/secret'],
  ['a hash of its own', { hash: 'x' }, '#/hash'],
  ...BUDGET,
  ...METADATA,
]

test('bad input', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '100000')
  const other = await openAccount(obol)
  const key = await makeKey(obol, account)
  const post = async (path: string, body: unknown): Promise<string> => (await call('POST', path, body)).body.id
  const soon = new Date(Date.now() + 3_600_000).toISOString()
  const price = { operation: 'unit', rate: '1', per: { quantity: 1, unit: 'request' } }
  const priced = (changes: object): object => ({ prices: [{ ...price, ...changes }] })
  const at = '#/prices/0'

  const PRICES: readonly Row[] = [
    ['no prices', { prices: undefined }, '#/prices'],
    ['an empty book', { prices: [] }, '#/prices'],
    ['no rate', { ...priced({ rate: undefined }) }, `${at}/rate`],
    ['a rate below zero', { ...priced({ rate: '-1' }) }, `${at}/rate`],
    ['a rate with 13 decimals', { ...priced({ rate: '0.0000000000001' }) }, `${at}/rate`],
    ['a rate that is text', { ...priced({ rate: 'free' }) }, `${at}/rate`],
    ['a price per nothing', { ...priced({ per: { quantity: 0, unit: 'request' } }) }, `${at}/per/quantity`],
    ['a price without a unit', { ...priced({ per: { quantity: 1 } }) }, `${at}/per/unit`],
    ['a unit that is no name', { ...priced({ per: { quantity: 1, unit: 'a b' } }) }, `${at}/per/unit`],
    ['an operation that is no name', { ...priced({ operation: 'Unit' }) }, `${at}/operation`],
    ['a credit type that is no name', { ...priced({ credit_type: 'Gold!' }) }, `${at}/credit_type`],
    ['a fallback to itself', { ...priced({ fallback_credit_types: ['credits'] }) }, `${at}/fallback_credit_types`],
    ['a minimum below zero', { ...priced({ minimum: '-1' }) }, `${at}/minimum`],
    ['a minimum with 7 decimals', { ...priced({ minimum: '0.0000001' }) }, `${at}/minimum`],
    ['a cap below the minimum', { ...priced({ minimum: '2', cap: '1' }) }, `${at}/cap`],
    ['a step of nothing', { ...priced({ step: 0 }) }, `${at}/step`],
    ['a rounding that there is not', { ...priced({ rounding: 'up' }) }, `${at}/rounding`],
    ['a modifier below zero', { ...priced({ modifiers: [{ attribute: 'a', equals: 'b', multiply: -2 }] }) }, `${at}/modifiers/0/multiply`],
    [
      'a tier that does not rise',
      {
        ...priced({
          tiers: [
            { up_to: 2, rate: 1 },
            { up_to: 2, rate: 1 },
          ],
        }),
      },
      `${at}/tiers/1/up_to`,
    ],
    ['an unknown field', { ...priced({ currency: 'usd' }) }, `${at}/currency`],
    ['one unit twice', { prices: [price, price] }, '#/prices/1/per/unit'],
  ]

  const hold = async (): Promise<string> => `/v1/holds/${await post('/v1/holds', { account, operation: 'unit', amount: '5' })}`
  const tables: Readonly<Record<string, Table>> = {
    'POST /v1/accounts': {
      prepare: async () => ({ path: '/v1/accounts', body: { name: 'One' } }),
      rows: [
        ['no name', { name: undefined }, '#/name'],
        ['an empty name', { name: '' }, '#/name'],
        ['a name of 201 characters', { name: 'x'.repeat(201) }, '#/name'],
        ['a name that is a number', { name: 1 }, '#/name'],
        ['an empty external id', { external_id: '' }, '#/external_id'],
        ['an external id of 201 characters', { external_id: 'x'.repeat(201) }, '#/external_id'],
        ['a policy that there is not', { capture_policy: 'free' }, '#/capture_policy'],
        ['a status', { status: 'active' }, '#/status'],
        ['an id of its own', { id: 'acct_00000001' }, '#/id'],
        ['a balance', { credits: '100' }, '#/credits'],
        ...METADATA,
      ],
    },
    'POST /v1/grants': {
      prepare: async () => ({ path: '/v1/grants', body: { account, amount: '1' } }),
      rows: [
        ['no account', { account: undefined }, '#/account'],
        ['no amount', { amount: undefined }, '#/amount'],
        ['an amount of nothing', { amount: '0' }, '#/amount'],
        ['an amount below zero', { amount: '-1' }, '#/amount'],
        ['an amount with 7 decimals', { amount: '1.0000001' }, '#/amount'],
        ['a source that there is not', { source: 'gift' }, '#/source'],
        ['a priority below zero', { priority: -1 }, '#/priority'],
        ['a priority above 1000', { priority: 1001 }, '#/priority'],
        ['a priority of a fraction', { priority: 1.5 }, '#/priority'],
        ['a priority as text', { priority: '1' }, '#/priority'],
        ['a credit type that is no name', { credit_type: 'Gold Credits' }, '#/credit_type'],
        ['an end that is no time', { expires_at: '2026-13-01T00:00:00Z' }, '#/expires_at'],
        ['a beginning that is a number', { effective_at: 1_800_000_000 }, '#/effective_at'],
        ['a cost without a currency', { cost: { amount_minor: 100 } }, '#/cost/currency'],
        ['a cost in upper case', { cost: { amount_minor: 100, currency: 'USD' } }, '#/cost/currency'],
        ['a cost of a fraction', { cost: { amount_minor: 1.5, currency: 'usd' } }, '#/cost/amount_minor'],
        ['a cost below zero', { cost: { amount_minor: -1, currency: 'usd' } }, '#/cost/amount_minor'],
        ['a remainder', { remaining: '1' }, '#/remaining'],
        ...METADATA,
      ],
    },
    'POST /v1/adjustments': {
      prepare: async () => ({ path: '/v1/adjustments', body: { account, amount: '1', reason: 'found' } }),
      rows: [
        ['no reason', { reason: undefined }, '#/reason'],
        ['an empty reason', { reason: '' }, '#/reason'],
        ['a reason of 501 characters', { reason: 'x'.repeat(501) }, '#/reason'],
        ['an amount of nothing', { amount: 0 }, '#/amount'],
        ['an amount with 7 decimals', { amount: '-0.0000001' }, '#/amount'],
        ['an unknown field', { source: 'adjustment' }, '#/source'],
      ],
    },
    'POST /v1/keys': {
      prepare: async () => ({ path: '/v1/keys', body: { account } }),
      rows: [['no account', { account: undefined }, '#/account'], ...KEY],
    },
    'POST /v1/keys/{key}/rotate': {
      prepare: async () => ({ path: `/v1/keys/${(await makeKey(obol, account)).id}/rotate`, body: {} }),
      rows: [
        ['an overlap below zero', { overlap_seconds: -1 }, '#/overlap_seconds'],
        ['an overlap of a fraction', { overlap_seconds: 0.5 }, '#/overlap_seconds'],
        ['an overlap beyond 30 days', { overlap_seconds: 2_592_001 }, '#/overlap_seconds'],
        ['an unknown field', { secret: 'mine' }, '#/secret'],
      ],
    },
    'POST /v1/charges': { prepare: async () => ({ path: '/v1/charges', body: { account, operation: 'unit' } }), rows: WORK },
    'POST /v1/charges/batch': {
      prepare: async () => ({ path: '/v1/charges/batch', body: { charges: [{ account, operation: 'unit' }] } }),
      rows: [
        ['no charges', { charges: undefined }, '#/charges'],
        ['an empty batch', { charges: [] }, '#/charges'],
        ['1001 charges', { charges: Array.from({ length: 1_001 }, () => ({ account, operation: 'unit' })) }, '#/charges'],
        ['a charge that is no object', { charges: ['unit'] }, '#/charges/0'],
        [
          'an unknown field in the second charge',
          {
            charges: [
              { account, operation: 'unit' },
              { account, operation: 'unit', price: 1 },
            ],
          },
          '#/charges/1/price',
        ],
        ['an atomic that is text', { atomic: 'yes' }, '#/atomic'],
        [
          'an atomic batch with a bad amount',
          {
            atomic: true,
            charges: [
              { account, operation: 'unit' },
              { account, operation: 'unit', amount: '-1' },
            ],
          },
          '#/charges/1/amount',
        ],
        [
          'an atomic batch of two accounts',
          {
            atomic: true,
            charges: [
              { account, operation: 'unit' },
              { account: other, operation: 'unit' },
            ],
          },
          '#/charges/1/account',
        ],
      ],
    },
    'POST /v1/charges/{charge}/refund': {
      prepare: async () => ({ path: `/v1/charges/${await post('/v1/charges', { account, operation: 'unit' })}/refund`, body: {} }),
      rows: [
        ['an amount of nothing', { amount: '0' }, '#/amount'],
        ['an amount below zero', { amount: -1 }, '#/amount'],
        ['an amount with 7 decimals', { amount: '0.0000001' }, '#/amount'],
        ['a reason of 501 characters', { reason: 'x'.repeat(501) }, '#/reason'],
        ['an unknown field', { account }, '#/account'],
      ],
    },
    'POST /v1/holds': {
      prepare: async () => ({ path: '/v1/holds', body: { account, operation: 'unit' } }),
      rows: [
        ['a life below a minute', { ttl_seconds: 59 }, '#/ttl_seconds'],
        ['a life beyond a day', { ttl_seconds: 86_401 }, '#/ttl_seconds'],
        ['a life of a fraction', { ttl_seconds: 60.5 }, '#/ttl_seconds'],
        ['a life as text', { ttl_seconds: '60' }, '#/ttl_seconds'],
        ['a policy that there is not', { policy: 'free' }, '#/policy'],
        ...WORK,
      ],
    },
    'POST /v1/holds/{hold}/capture': {
      prepare: async () => ({ path: `${await hold()}/capture`, body: { amount: '1' } }),
      rows: [
        ['an amount below zero', { amount: '-1' }, '#/amount'],
        ['an amount with 7 decimals', { amount: '0.0000001' }, '#/amount'],
        ['a quantity below zero', { amount: undefined, quantity: -1 }, '#/quantity'],
        ['a final that is text', { final: 'no' }, '#/final'],
        ['a policy that there is not', { policy: 'free' }, '#/policy'],
        ['another operation', { operation: 'image' }, '#/operation'],
        ...METADATA,
      ],
    },
    'POST /v1/holds/{hold}/release': {
      prepare: async () => ({ path: `${await hold()}/release`, body: {} }),
      rows: [['an amount', { amount: '1' }, '#/amount']],
    },
    'POST /v1/holds/{hold}/extend': {
      prepare: async () => ({ path: `${await hold()}/extend`, body: { ttl_seconds: 60 } }),
      rows: [
        ['no life', { ttl_seconds: undefined }, '#/ttl_seconds'],
        ['a life below a minute', { ttl_seconds: 59 }, '#/ttl_seconds'],
        ['a life beyond a day', { ttl_seconds: 86_401 }, '#/ttl_seconds'],
      ],
    },
    'POST /v1/holds/{hold}/increase': {
      prepare: async () => ({ path: `${await hold()}/increase`, body: { amount: '1' } }),
      rows: [
        ['no amount', { amount: undefined }, '#/amount'],
        ['an amount of nothing', { amount: '0' }, '#/amount'],
        ['an amount below zero', { amount: '-1' }, '#/amount'],
      ],
    },
    'POST /v1/price-book': {
      prepare: async () => ({ path: '/v1/price-book', body: { prices: [price] } }),
      rows: [...PRICES, ['a version', { version: 7 }, '#/version']],
    },
    'POST /v1/price-book/trial': {
      prepare: async () => ({ path: '/v1/price-book/trial', body: { prices: [price], start: '2026-01-01T00:00:00Z', end: soon } }),
      rows: [
        ...PRICES,
        ['no start', { start: undefined }, '#/start'],
        ['an end before the start', { end: '2025-01-01T00:00:00Z' }, '#/end'],
      ],
    },
    'POST /v1/estimates': {
      prepare: async () => ({ path: '/v1/estimates', body: { account, items: [{ operation: 'unit' }] } }),
      rows: [
        ['no items', { items: undefined }, '#/items'],
        ['an empty list', { items: [] }, '#/items'],
        ['1001 items', { items: Array.from({ length: 1_001 }, () => ({ operation: 'unit' })) }, '#/items'],
        ['a quantity below zero', { items: [{ operation: 'unit', quantity: -1 }] }, '#/items/0/quantity'],
        ['a range that is the wrong way round', { items: [{ operation: 'unit', quantity: { min: 2, max: 1 } }] }, '#/items/0/quantity/max'],
        ['a range without an end', { items: [{ operation: 'unit', quantity: { min: 2 } }] }, '#/items/0/quantity/max'],
        [
          'a range below zero',
          { items: [{ operation: 'unit', quantities: { request: { min: -1, max: 1 } } }] },
          '#/items/0/quantities/request/min',
        ],
        ['an unknown field', { items: [{ operation: 'unit', amount: '1' }] }, '#/items/0/amount'],
      ],
    },
    'POST /v1/keys/verify': {
      prepare: async () => ({ path: '/v1/keys/verify', body: { key: key.secret } }),
      rows: [
        ['no key', { key: undefined }, '#/key'],
        ['an empty key', { key: '' }, '#/key'],
        ['a key of 301 characters', { key: 'x'.repeat(301) }, '#/key'],
        ['an operation that is no name', { operation: 'Not A Name' }, '#/operation'],
      ],
    },
  }

  for (const [route, { prepare, rows }] of Object.entries(tables)) {
    await t.test(`${route} refuses it at its place, writes nothing and keeps no idempotency key`, async (row) => {
      const { path, body } = await prepare()
      for (const [what, changes, pointer] of rows) {
        await row.test(what, async () => {
          const before = await stateOf(call, account)
          const idempotencyKey = crypto.randomUUID()
          const refused = await call('POST', path, { ...body, ...changes }, { idempotencyKey })
          assertInvalid(refused, pointer)
          assert.deepEqual(await stateOf(call, account), before, 'nothing has changed')
          const right = await prepare()
          const after = await call('POST', right.path, right.body, { idempotencyKey })
          assert.ok(after.status < 300, after.text)
          assert.equal(after.headers.get('idempotent-replayed'), null, 'the key was not used up')
        })
      }
    })
  }

  await t.test('PATCH /v1/accounts/{account} refuses it at its place and changes nothing', async () => {
    const before = (await call('GET', `/v1/accounts/${account}`)).body
    for (const [body, pointer] of [
      [{}, '#'],
      [{ name: '' }, '#/name'],
      [{ name: null }, '#/name'],
      [{ status: 'closed' }, '#/status'],
      [{ external_id: '' }, '#/external_id'],
      [{ id: 'acct_00000001' }, '#/id'],
      [{ created_at: '2020-01-01T00:00:00Z' }, '#/created_at'],
    ] as const)
      assertInvalid(await call('PATCH', `/v1/accounts/${account}`, body), pointer)
    assert.deepEqual((await call('GET', `/v1/accounts/${account}`)).body, before)
  })

  await t.test('PATCH /v1/keys/{key} refuses it at its place and changes nothing', async () => {
    const before = (await call('GET', `/v1/keys/${key.id}`)).body
    for (const [what, changes, pointer] of [['nothing', {}, '#'] as Row, ['another account', { account }, '#/account'] as Row, ...KEY])
      assertInvalid(await call('PATCH', `/v1/keys/${key.id}`, changes), pointer, what)
    assert.deepEqual((await call('GET', `/v1/keys/${key.id}`)).body, before)
  })
})

function assertInvalid({ status, body, text }: TestAnswer, pointer: string, what = ''): void {
  assert.deepEqual([status, body.code], [400, 'invalid_request'], `${what} ${text}`)
  const pointers: readonly string[] = body.errors.map((error: { pointer: string }) => error.pointer)
  assert.ok(pointers.includes(pointer), `${what} ${pointer} is not among ${pointers.join(', ')}`)
}

/** What bad input must leave as it was: the account's sequence, the number of accounts and of price books. */
async function stateOf(call: (method: string, path: string) => Promise<TestAnswer>, account: string): Promise<readonly unknown[]> {
  const [credits, accounts, books] = await Promise.all([
    call('GET', `/v1/accounts/${account}/credits`),
    call('GET', '/v1/accounts?limit=1'),
    call('GET', '/v1/price-book'),
  ])
  return [credits.body.sequence, accounts.body.data[0]?.id, books.body.data.length]
}
