/** Who may call what: every route of the running server against every kind of caller. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import {
  makeKey,
  OPERATOR_KEY,
  openAccount,
  publishTestPrices,
  startTestObol,
  type TestAnswer,
  type TestObol,
} from '../../test/running/obol.ts'
import { signUp } from '../../test/running/people.ts'
import { buyIn, TEST_OPTIONS } from '../../test/running/sandbox.ts'
import { startObol } from '../app.ts'
import { readConfig } from '../config.ts'
import { INSTALLED_DIALECTS } from './dialects/installed.ts'

/** What customers may call with their own key; everything else under /v1 is the operator's. */
const CUSTOMER_ROUTES = new Set([
  'GET /v1/credits',
  'GET /v1/credits/stream',
  'GET /v1/key',
  'GET /v1/keys',
  'POST /v1/keys',
  'GET /v1/keys/{key}',
  'PATCH /v1/keys/{key}',
  'DELETE /v1/keys/{key}',
  'POST /v1/keys/{key}/rotate',
  'GET /v1/alerts',
  'POST /v1/alerts',
  'GET /v1/alerts/{alert}',
  'PATCH /v1/alerts/{alert}',
  'DELETE /v1/alerts/{alert}',
  'GET /v1/usage',
  'GET /v1/charges',
  'GET /v1/charges/{charge}',
  'GET /v1/charges/{charge}/explain',
  'GET /v1/holds',
  'GET /v1/holds/{hold}',
  'GET /v1/journal',
  'GET /v1/prices',
  'POST /v1/estimates',
  'GET /v1/grants',
  'GET /v1/grants/{grant}',
  'GET /v1/users',
  'GET /v1/users/{user}',
  'DELETE /v1/users/{user}/memberships/{account}',
  'GET /v1/topups/options',
  'POST /v1/checkout-sessions',
  'POST /v1/checkout-sessions/{checkout_session}/cancel',
  'GET /v1/checkout-sessions',
  'GET /v1/checkout-sessions/{checkout_session}',
  'GET /v1/topups',
  'GET /v1/topups/{topup}',
  'GET /v1/invoices',
  'POST /v1/invoices',
  'GET /v1/invoices/{invoice}',
  'GET /v1/invoices/{invoice}/pdf',
  'GET /v1/webhook-endpoints',
  'POST /v1/webhook-endpoints',
  'GET /v1/webhook-endpoints/{webhook_endpoint}',
  'PATCH /v1/webhook-endpoints/{webhook_endpoint}',
  'DELETE /v1/webhook-endpoints/{webhook_endpoint}',
  'GET /v1/webhook-endpoints/{webhook_endpoint}/attempts',
  'POST /v1/webhook-endpoints/{webhook_endpoint}/replay',
  'POST /v1/webhook-endpoints/{webhook_endpoint}/resend',
  'POST /v1/webhook-endpoints/{webhook_endpoint}/rotate',
  'POST /v1/webhook-endpoints/{webhook_endpoint}/test',
  'GET /v1/auto-topup',
  'PUT /v1/auto-topup',
  'DELETE /v1/auto-topup',
  'GET /v1/plans',
  'GET /v1/plans/{plan}',
  'GET /v1/subscriptions',
  'GET /v1/subscriptions/{subscription}',
  'POST /v1/subscriptions/{subscription}/payment-page',
  'GET /v1/payment-method',
  'DELETE /v1/payment-method',
])

/** What an owner may do in an account, and a member may not: of these, a key may buy and pay, and may what its scope says. */
function isForOwners({ name, method }: Operation): boolean {
  const isPurchase = /\/(checkout-sessions|auto-topup|subscriptions|payment-method)/.test(name) && method !== 'GET'
  return CUSTOMER_ROUTES.has(name) && (name.includes('/users') || isPurchase || scopeOf({ name, method }) !== null)
}

/** The scope that a key needs for an operation; null: none. */
function scopeOf({ name, method }: Pick<Operation, 'name' | 'method'>): string | null {
  if (name.includes('/webhook-endpoints')) return 'webhooks:write'
  if (name.includes('/alerts') && method !== 'GET') return 'alerts:write'
  return name.includes('/keys') && method !== 'GET' ? 'keys:write' : null
}

/** What of that no key may: what is about users, and what has an account pay by itself. */
function isForPeople(operation: Operation): boolean {
  return isForOwners(operation) && /\/(users|auto-topup)/.test(operation.name)
}

/** What is about the user who asks. */
const USER_ROUTES = new Set(['GET /v1/me', 'POST /v1/me/password'])

/** What anybody may call that is documented: what is sent says who sends it. */
const PUBLIC_OPERATIONS = new Set([
  'GET /.well-known/jwks.json',
  'POST /v1/auth/token',
  'POST /v1/auth/refresh',
  'POST /v1/auth/logout',
  'POST /v1/auth/accept-invitation',
  'POST /v1/auth/password-reset/confirm',
])

/** Whether an answer turns nobody away for who they are. */
function isOpen([status]: readonly [status: number, code: string]): boolean {
  return status !== 401 && status !== 403
}

/** After this no token works, whoever has it. */
const ENDS_TOKENS = 'POST /v1/auth/signing-keys/replace'

/** What anybody may call. */
const PUBLIC_ROUTES = ['/livez', '/healthz', '/readyz', '/openapi.json', '/docs', '/docs/', '/docs/js/scalar.js', '/problems/:code']

/** What customers and payment providers call on the way of a payment, and by the link to its invoice, where credits are sold through the sandbox. */
const PAYMENT_ROUTES = [
  'POST /v1/payments/:provider/events',
  'GET /checkout/:checkout/return',
  'GET /invoices/:invoice/pdf',
  'GET /sandbox/:reference',
  'POST /sandbox/:reference',
]

interface Operation {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
  /** Fields of its body. */
  readonly fields: readonly string[]
}

/** Every operation of the server's own OpenAPI document. */
async function operationsOf({ call }: Pick<TestObol, 'call'>, document = '/openapi.json'): Promise<readonly Operation[]> {
  const { body } = await call('GET', document, undefined, { key: null })
  const operations: Operation[] = []
  for (const [path, item] of Object.entries<Record<string, Documented>>(body.paths)) {
    for (const [method, { parameters = [], requestBody }] of Object.entries(item)) {
      const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
      const fields = Object.keys(requestBody?.content['application/json']?.schema?.properties ?? {})
      operations.push({ name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, query, fields })
    }
  }
  return operations
}

interface Documented {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: { readonly properties?: object } }>> }
}

/** Values for the names in braces of a path. */
function filled(path: string, ids: Readonly<Record<string, string>>): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? '1')
}

/** Well-formed ids of things that were never made. */
const UNKNOWN = {
  account: 'acct_00000001',
  charge: 'chg_0000000100000009',
  hold: 'hold_0000000100000009',
  grant: 'grant_0000000100000009',
  key: 'key_0000000100000009',
  user: 'user_0000000000000009',
  alert: 'alert_0000000100000009',
  checkout_session: 'cs_0000000100000009',
  topup: 'topup_0000000100000009',
  invoice: 'inv_0000000100000009',
  webhook_endpoint: 'whe_0000000000000009',
  plan: 'nothing',
  subscription: 'sub_0000000100000009',
  test_clock: 'clk_nothing',
}

/** It costs nothing: no server sees to its payment meanwhile. */
const TEST_PLAN = { name: 'Studio', credits: [{ amount: '100' }] }

/** A body in which the caller may find nothing wrong but who they are. */
const BODIES: Readonly<Record<string, object>> = {
  'POST /v1/alerts': { watch: 'balance', threshold: '5' },
  'PATCH /v1/alerts/{alert}': { threshold: '6' },
  'POST /v1/estimates': { items: [{ operation: 'unit' }] },
  'PATCH /v1/keys/{key}': { name: 'New' },
  'PATCH /v1/accounts/{account}': { name: 'New' },
  'POST /v1/holds/{hold}/extend': { ttl_seconds: 60 },
  'POST /v1/holds/{hold}/increase': { amount: '1' },
  'PATCH /v1/users/{user}': { status: 'active' },
  'PUT /v1/users/{user}/memberships/{account}': { role: 'member' },
  'PUT /v1/topups/options': TEST_OPTIONS,
  'PUT /v1/auto-topup': { threshold: '1', target: '2', monthly_cap_minor: 1_000, consent: { by: 'Ada', text: 'v1' } },
  'PUT /v1/plans/{plan}': TEST_PLAN,
  'POST /v1/subscriptions/{subscription}/change': { plan: 'studio' },
  'POST /v1/subscriptions/{subscription}/change/preview': { plan: 'studio' },
  'POST /v1/charges/{charge}/outcome': { status: 'failed' },
  'POST /v1/test-clocks/{test_clock}/advance': { to: '2030-01-01T00:00:00Z' },
  'POST /v1/checkout-sessions': { amount_minor: 1_000 },
  'POST /v1/invoices': { month: '2020-01' },
  'POST /v1/topups/{topup}/simulate': { event: 'dispute' },
  'PATCH /v1/webhook-endpoints/{webhook_endpoint}': { description: 'new' },
  'POST /v1/webhook-endpoints/{webhook_endpoint}/resend': { event: 'evt_0000000100000009_0' },
  'POST /v1/webhook-endpoints/{webhook_endpoint}/replay': { start: '2020-01-01T00:00:00Z' },
}

let addresses = 0

function bodyOf({ name, method }: Operation): object | undefined {
  // An owner has an address once.
  if (name === 'POST /v1/webhook-endpoints') return { url: `https://hooks.example.com/${++addresses}` }
  return BODIES[name] ?? (method === 'POST' ? {} : undefined)
}

/** The body of a problem without what names this one request. */
function essence({ body }: TestAnswer, id: string): unknown {
  const { request_id: _, instance: __, ...rest } = body
  return JSON.parse(JSON.stringify(rest).replaceAll(id, '<id>'))
}

test('a route that does not say who may call it keeps the server from starting', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'obol-test-'))
  const { config } = readConfig({ OBOL_PORT: '0', OBOL_DATABASE_URL: `sqlite:${join(folder, 'obol.db')}`, OBOL_OPERATOR_KEY: OPERATOR_KEY })
  const start = startObol(config, {
    log: pino({ level: 'silent' }),
    extend: (http) => {
      http.get('/forgotten', () => 'everybody sees this')
    },
  })
  await assert.rejects(start, /GET \/forgotten does not say who may call it/)
  rmSync(folder, { recursive: true })
})

test('every route against every caller', async (t) => {
  const obol = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox', OBOL_TEST_CLOCKS: 'on' })
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const { secret } = await makeKey(obol, account)
  const manager = await makeKey(obol, account, { scopes: ['keys:write', 'webhooks:write', 'alerts:write'] })
  const owner = await signUp(obol, 'owner@example.com', { account, role: 'owner' })
  const member = await signUp(obol, 'member@example.com', { account, role: 'member' })
  const root = await signUp(obol, 'root@example.com', { is_operator: true })
  const documented = await operationsOf(obol)
  const operations = documented.filter(({ name }) => !PUBLIC_OPERATIONS.has(name))
  const ask = (operation: Operation, key: string | null): Promise<TestAnswer> =>
    call(operation.method, filled(operation.path, UNKNOWN), bodyOf(operation), { key })
  const toldTo = async (operation: Operation, key: string): Promise<readonly [number, string]> => {
    const { status, body } = await ask(operation, key)
    return [status, body?.code]
  }

  await t.test('every route of the server is documented or public, and nothing else is documented', async () => {
    const served = routesOf(obol.obol.http.printRoutes({ commonPrefix: false }))
    const named = documented.map(({ name }) => name.replaceAll(/\{(\w+)\}/g, ':$1'))
    const open = [...PUBLIC_ROUTES.map((path) => `GET ${path}`), ...PAYMENT_ROUTES]
    const ofDialects = await Promise.all(DIALECTS.map((name) => routesOfDialect(obol, name)))
    assert.deepEqual(served.toSorted(), [...named, ...open, ...ofDialects.flat()].toSorted())
  })

  await t.test('nobody gets nothing: 401 on every operation, with or without a body', async () => {
    for (const operation of operations) {
      for (const body of [undefined, {}]) {
        const answer = await call(operation.method, filled(operation.path, UNKNOWN), operation.method === 'GET' ? undefined : body, {
          key: null,
        })
        assert.deepEqual([answer.status, answer.body.code], [401, 'authentication_required'], operation.name)
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer', operation.name)
      }
    }
  })

  await t.test('a key or token that is none opens nothing: 401 on every operation', async () => {
    for (const operation of operations) {
      assert.deepEqual(await toldTo(operation, `obol_live_${'x'.repeat(38)}`), [401, 'invalid_key'], operation.name)
      assert.deepEqual(await toldTo(operation, `${owner.access.slice(0, -4)}AAAA`), [401, 'invalid_token'], operation.name)
    }
  })

  await t.test("a customer's key is refused with 403 on every operation that is not the customer's", async () => {
    for (const operation of operations) {
      const answer = await toldTo(operation, manager.secret)
      const { name } = operation
      if (USER_ROUTES.has(name)) assert.deepEqual(answer, [403, 'user_required'], name)
      else if (!CUSTOMER_ROUTES.has(name)) assert.deepEqual(answer, [403, 'operator_key_required'], name)
      else if (isForPeople(operation)) assert.deepEqual(answer, [403, 'role_required'], name)
      else assert.ok(isOpen(answer), `${name}: ${answer}`)
    }
  })

  await t.test('users of an account are refused what is the operator’s', async () => {
    for (const operation of operations.filter(({ name }) => !CUSTOMER_ROUTES.has(name) && !USER_ROUTES.has(name)))
      for (const { access } of [owner, member])
        assert.deepEqual(await toldTo(operation, access), [403, 'operator_key_required'], operation.name)
  })

  await t.test('an owner may what customers may, and what is about users; a member, what changes nothing', async () => {
    for (const operation of operations.filter(({ name }) => CUSTOMER_ROUTES.has(name) || USER_ROUTES.has(name))) {
      const [asOwner, asMember] = [await toldTo(operation, owner.access), await toldTo(operation, member.access)]
      assert.ok(isOpen(asOwner), `${operation.name}: ${asOwner}`)
      if (isForOwners(operation)) assert.deepEqual(asMember, [403, 'role_required'], operation.name)
      else assert.ok(isOpen(asMember), `${operation.name}: ${asMember}`)
    }
  })

  await t.test(
    'changing keys needs the scope keys:write, changing alerts alerts:write, and whatever is about webhooks the scope webhooks:write',
    async () => {
      for (const operation of operations.filter((one) => isForOwners(one) && scopeOf(one) !== null)) {
        const { status, body } = await ask(operation, secret)
        assert.deepEqual([status, body.code, body.scope], [403, 'scope_required', scopeOf(operation)], operation.name)
      }
    },
  )

  await t.test('the operator is refused nowhere, by key or as a user; what is about a user needs one', async () => {
    for (const operation of operations.filter(({ name }) => name !== ENDS_TOKENS)) {
      const [byKey, asUser] = [await toldTo(operation, OPERATOR_KEY), await toldTo(operation, root.access)]
      if (USER_ROUTES.has(operation.name)) assert.deepEqual(byKey, [403, 'user_required'], operation.name)
      else assert.ok(isOpen(byKey), `${operation.name}: ${byKey}`)
      assert.ok(isOpen(asUser), `${operation.name}: ${asUser}`)
    }
    assert.equal((await call('POST', '/v1/auth/signing-keys/replace', undefined, { key: root.access })).status, 200)
  })

  await t.test('what is public is so for everybody, also with a key that is none', async () => {
    for (const path of [...PUBLIC_ROUTES.map((route) => route.replace(':code', 'not_found')), '/.well-known/jwks.json'])
      for (const key of [null, 'nonsense', 'a.b.c', secret, OPERATOR_KEY])
        assert.equal((await call('GET', path, undefined, { key })).status, 200, path)
    for (const [method = '', path = ''] of PAYMENT_ROUTES.map((route) => route.replace(':provider', 'sandbox').split(' ')))
      for (const key of [null, 'nonsense', secret, OPERATOR_KEY]) {
        const { status } = await call(method, path, method === 'POST' ? {} : undefined, { key })
        assert.ok([400, 404, 415].includes(status), `${method} ${path}: ${status}`)
      }
  })

  await t.test('none of this wrote anything but the keys and alerts that a key with the scopes and an owner made', async () => {
    assert.equal(
      (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence,
      8,
      'account, grant, two keys, and two keys and two alerts that customers made',
    )
  })
})

const DIALECTS = Object.keys(INSTALLED_DIALECTS)

/** What a dialect documents, and its document. */
async function routesOfDialect(obol: TestObol, name: string): Promise<readonly string[]> {
  const operations = await operationsOf(obol, `/${name}/openapi.json`)
  return [`GET /${name}/openapi.json`, ...operations.map(({ method, path }) => `${method} /${name}${path}`)]
}

/** The routes that Fastify prints as a tree. HEAD comes with every GET. */
function routesOf(tree: string): readonly string[] {
  const parents: string[] = []
  const routes: string[] = []
  for (const line of tree.split('\n')) {
    const [, indent = '', segment = '', methods = ''] = /^([│ ]*)[├└]── (\S+)(?: \((.+)\))?$/.exec(line) ?? []
    if (segment === '') continue
    const depth = indent.length / 4
    const path = `${depth === 0 ? '' : parents[depth - 1]}${segment}`
    parents[depth] = path
    for (const method of methods.split(', ')) if (method !== '' && method !== 'HEAD') routes.push(`${method} ${path}`)
  }
  return routes
}

test("other people's things", async (t) => {
  const obol = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox', OBOL_TEST_CLOCKS: 'on' })
  const { call } = obol
  await publishTestPrices(obol)
  const own = await openAccount(obol)
  const { secret } = await makeKey(obol, own, { scopes: ['keys:write', 'webhooks:write', 'alerts:write'] })
  const owner = await signUp(obol, 'own@example.com', { account: own, role: 'owner' })
  const foreign = await thingsOf(obol)
  const operations = await operationsOf(obol)
  const customers = operations.filter(({ name }) => CUSTOMER_ROUTES.has(name))
  const before = (await call('GET', `/v1/accounts/${foreign.account}/credits`)).body
  /** Those who may ask: no key is told of users, or has an account pay by itself. */
  const askers = (operation: Operation): readonly string[] =>
    isForPeople(operation) || operation.name.includes('/users') ? [owner.access] : [secret, owner.access]

  // A plan is nobody's.
  for (const operation of customers.filter(({ path }) => path.includes('{') && !path.includes('{plan}'))) {
    await t.test(`${operation.name} answers for another account's object as for one that does not exist`, async () => {
      const [, kind = ''] = /\{(\w+)\}/.exec(operation.path) ?? []
      const id = foreign[kind as keyof typeof UNKNOWN]
      const unknown = UNKNOWN[kind as keyof typeof UNKNOWN]
      for (const key of askers(operation)) {
        const answers = await Promise.all(
          [id, unknown].map((each) => call(operation.method, filled(operation.path, { [kind]: each }), bodyOf(operation), { key })),
        )
        assert.deepEqual(
          answers.map(({ status, body }) => [status, body.code]),
          Array(2).fill([404, `${kind}_not_found`]),
        )
        assert.deepEqual(essence(answers[0] as TestAnswer, id), essence(answers[1] as TestAnswer, unknown))
      }
    })
  }

  for (const operation of customers.filter(({ query, fields }) => query.includes('account') || fields.includes('account'))) {
    await t.test(`${operation.name} answers for another account as for one that does not exist, by id and by external id`, async () => {
      for (const key of askers(operation)) {
        const ask = (account: string): Promise<TestAnswer> =>
          operation.query.includes('account')
            ? call(operation.method, `${operation.path}?account=${account}`, bodyOf(operation), { key })
            : call(operation.method, operation.path, { ...bodyOf(operation), account }, { key })
        for (const [id, unknown] of [
          [foreign.account, UNKNOWN.account],
          ['external:other', 'external:nobody'],
        ] as const) {
          const answers = [await ask(id), await ask(unknown)] as const
          assert.deepEqual(
            answers.map(({ status, body }) => [status, body.code]),
            Array(2).fill([404, 'account_not_found']),
          )
          assert.deepEqual(essence(answers[0], id), essence(answers[1], unknown))
        }
        const itself = await ask(own)
        // An account that has just been opened has no month behind it.
        assert.ok(itself.status < 300 || itself.body.code === 'month_before_account', `${operation.name}: ${itself.text}`)
      }
    })
  }

  await t.test("another account's id is no cursor and no filter, whether or not it exists", async () => {
    for (const [path, name, kind] of [
      ['/v1/charges', 'starting_after', 'charge'],
      ['/v1/charges', 'ending_before', 'charge'],
      ['/v1/charges', 'key', 'key'],
      ['/v1/usage', 'key', 'key'],
      ['/v1/grants', 'starting_after', 'grant'],
      ['/v1/holds', 'starting_after', 'hold'],
      ['/v1/keys', 'starting_after', 'key'],
      ['/v1/checkout-sessions', 'starting_after', 'checkout_session'],
      ['/v1/topups', 'starting_after', 'topup'],
      ['/v1/invoices', 'starting_after', 'invoice'],
      ['/v1/subscriptions', 'starting_after', 'subscription'],
      ['/v1/users', 'starting_after', 'user'],
      ['/v1/users', 'ending_before', 'user'],
    ] as const) {
      const key = path === '/v1/users' ? owner.access : secret
      const answers = await Promise.all(
        [foreign[kind], UNKNOWN[kind]].map((id) => call('GET', `${path}?${name}=${id}`, undefined, { key })),
      )
      assert.deepEqual(
        answers.map(({ status }) => status),
        [400, 400],
        `${path}?${name}`,
      )
      assert.deepEqual(essence(answers[0] as TestAnswer, foreign[kind]), essence(answers[1] as TestAnswer, UNKNOWN[kind]))
    }
  })

  const isMadeByName = (name: string): boolean => name.includes('{version}') || name === 'PUT /v1/plans/{plan}'
  for (const operation of operations.filter(({ name, path }) => path.includes('{') && !isMadeByName(name))) {
    await t.test(`${operation.name} answers the operator with 404 for what does not exist, and for an id of another kind`, async () => {
      const [, kind = ''] = /\{(\w+)\}/.exec(operation.path) ?? []
      const others = Object.entries(foreign).filter(([other]) => other !== kind)
      for (const id of [UNKNOWN[kind as keyof typeof UNKNOWN], 'nonsense', 'external:nobody', ...others.map(([, other]) => other)]) {
        const answer = await call(operation.method, filled(operation.path, { [kind]: id }), bodyOf(operation))
        assert.deepEqual([answer.status, answer.body.code], [404, `${kind}_not_found`], `${id}: ${answer.text}`)
      }
    })
  }

  for (const operation of operations.filter(({ query }) => query.includes('account'))) {
    await t.test(
      `${operation.name} answers the operator with 404 for an account that does not exist, never with an empty list`,
      async () => {
        for (const account of ['external:nobody', 'nonsense', UNKNOWN.account]) {
          const answer = await call('GET', `${operation.path}?account=${account}`)
          assert.deepEqual([answer.status, answer.body.code], [404, 'account_not_found'], account)
        }
      },
    )
  }

  await t.test('nothing of the other account has changed', async () => {
    assert.deepEqual((await call('GET', `/v1/accounts/${foreign.account}/credits`)).body, before)
  })
})

/** An account that has one of everything. */
async function thingsOf(obol: TestObol): Promise<typeof UNKNOWN> {
  const { call } = obol
  const account = (await call('POST', '/v1/accounts', { name: 'Other', external_id: 'other' })).body.id
  const grant = (await call('POST', '/v1/grants', { account, amount: '100' })).body.id
  const { id: key } = await makeKey(obol, account)
  const charge = (await call('POST', '/v1/charges', { key, operation: 'unit' })).body.id
  const hold = (await call('POST', '/v1/holds', { key, operation: 'unit' })).body.id
  const { id: user } = await signUp(obol, 'other@example.com', { account, role: 'owner' })
  const { checkout_session, topup } = await buyIn(obol, account)
  const invoice = (await call('GET', `/v1/invoices?account=${account}`)).body.data[0].id
  const { id: plan } = (await call('PUT', '/v1/plans/studio', TEST_PLAN)).body
  const { id: subscription } = (await call('POST', '/v1/subscriptions', { account, plan })).body
  const { id: alert } = (await call('POST', '/v1/alerts', { account, watch: 'balance', threshold: '5' })).body
  const { id: test_clock } = (await call('POST', '/v1/test-clocks')).body
  const endpoint = (await call('POST', '/v1/webhook-endpoints', { account, url: 'https://hooks.example.com' })).body.id
  return {
    account,
    charge,
    hold,
    grant,
    key,
    user,
    alert,
    checkout_session,
    topup,
    invoice,
    plan,
    subscription,
    test_clock,
    webhook_endpoint: endpoint,
  }
}
