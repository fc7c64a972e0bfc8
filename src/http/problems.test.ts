/** The gate of problems: every code is reached by a request, and each answer has the form that is promised. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import {
  type CallOptions,
  caller,
  makeKey,
  OPERATOR_KEY,
  openAccount,
  publishTestPrices,
  startTestObol,
  TEST_PRICES,
  type TestAnswer,
  type TestObol,
} from '../../test/running/obol.ts'
import { PASSWORD, type Person, refresh, signIn, signUp } from '../../test/running/people.ts'
import { fulfil, openCheckout } from '../../test/running/purchases.ts'
import { openShop, type Shop, TEST_OPTIONS } from '../../test/running/sandbox.ts'
import { openAccount as openLedger, send, seqOf } from '../../test/running/store-commands.ts'
import { startObol } from '../app.ts'
import { hashSecret } from '../auth/secrets.ts'
import { readConfig } from '../config.ts'
import { type EndpointId, objectId, parseAccountId } from '../core/ids.ts'
import { MAX_PURCHASE_EVENTS } from '../core/purchase.ts'
import { MAX_RESENDS } from '../stores/webhooks/deliveries.ts'
import { MAX_STREAMS_OF_ONE } from './native/credit-streams.ts'
import { PROBLEMS, type ProblemCode } from './problems.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The number of an account that has bought from a provider that the server does not have. */
const BUYER = 7

interface Scene extends TestObol {
  readonly t: TestContext
  /** A new account with 100 credits. */
  readonly account: string
  readonly post: (path: string, body?: unknown, options?: CallOptions) => Promise<TestAnswer>
  readonly get: (path: string, key?: string) => Promise<TestAnswer>
}

/** How a code is reached, and the status that it must have. TypeScript asks for every code of PROBLEMS. */
type Reached = Readonly<Record<ProblemCode, readonly [status: number, reach: (scene: Scene) => Promise<TestAnswer>]>>

const unit = (account: string, more: object = {}): object => ({ account, operation: 'unit', ...more })

interface Selling extends Pick<Scene, 'account' | 'post' | 'call'> {
  readonly press: Shop['press']
}

/** A server that sells through the sandbox. */
async function shopOf({ t }: Scene): Promise<Selling> {
  const shop = await openShop(t)
  return { ...shop, post: (path, body, options) => shop.call('POST', path, body, options) }
}

const buy = ({ account }: Selling): object => ({ account, amount_minor: 1_000 })

/** Cancels a checkout that was paid a moment before. */
async function cancelPaid(selling: Selling): Promise<TestAnswer> {
  const { body } = await selling.post('/v1/checkout-sessions', buy(selling))
  await selling.press(body, 'pay')
  return selling.post(`/v1/checkout-sessions/${body.id}/cancel`)
}

type Subscribing = Pick<Scene, 'account' | 'post' | 'call'>

/** A plan of 100 credits a month, for nothing unless something else is said; gives its id. */
async function aPlan({ call }: Subscribing, id = 'pro', more: object = {}): Promise<string> {
  const { status, body } = await call('PUT', `/v1/plans/${id}`, { name: id, credits: [{ amount: '100' }], ...more })
  assert.equal(status, 200, JSON.stringify(body))
  return id
}

function subscribeTo({ account, post }: Subscribing, plan: string, more: object = {}): Promise<TestAnswer> {
  return post('/v1/subscriptions', { account, plan, ...more })
}

async function subscribed(scene: Subscribing, more: object = {}): Promise<string> {
  const plan = await aPlan(scene, 'pro', more)
  assert.equal((await subscribeTo(scene, plan)).status, 201)
  return plan
}

async function onlySubscription({ account, call }: Subscribing): Promise<string> {
  const { body } = await call('GET', `/v1/subscriptions?account=${account}`)
  return `/v1/subscriptions/${body.data[0].id}`
}

async function bought(scene: Scene): Promise<Selling & { readonly topup: string }> {
  const selling = await shopOf(scene)
  await cancelPaid(selling)
  const { body } = await selling.call('GET', `/v1/topups?account=${selling.account}`)
  return { ...selling, topup: body.data[0].id }
}

/** An address to which nothing is ever sent: its name leads nowhere. */
const HOOK = 'https://hooks.example.com/obol'

/** A webhook endpoint of the account. */
async function anEndpoint({ account, post }: Scene): Promise<EndpointId> {
  const { status, body } = await post('/v1/webhook-endpoints', { url: HOOK, account })
  assert.equal(status, 201)
  return body.id
}

const REACHED: Reached = {
  account_not_found: [404, ({ get }) => get('/v1/accounts/external:nobody')],
  account_suspended: [
    403,
    async ({ account, call, post }) => {
      await call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' })
      return post('/v1/charges', unit(account))
    },
  ],
  external_id_taken: [
    409,
    async ({ post }) => {
      await post('/v1/accounts', { name: 'One', external_id: 'taken' })
      return post('/v1/accounts', { name: 'Two', external_id: 'taken' })
    },
  ],
  amount_out_of_range: [
    400,
    async ({ account, post }) => {
      await post('/v1/grants', { account, amount: '9000000000000' })
      return post('/v1/grants', { account, amount: '9000000000000' })
    },
  ],
  insufficient_credits: [402, ({ account, post }) => post('/v1/charges', unit(account, { amount: '100.000001' }))],
  credits_in_flight: [
    429,
    async ({ account, post }) => {
      await post('/v1/holds', unit(account, { amount: '60' }))
      return post('/v1/charges', unit(account, { amount: '50' }))
    },
  ],
  key_budget_exceeded: [
    402,
    async (scene) => {
      const { id } = await makeKey(scene, scene.account, { budget: { limit: '5' } })
      return scene.post('/v1/charges', { key: id, operation: 'unit', amount: '6' })
    },
  ],
  key_charge_limit_exceeded: [
    403,
    async (scene) => {
      const { id } = await makeKey(scene, scene.account, { budget: { max_per_charge: '5' } })
      return scene.post('/v1/charges', { key: id, operation: 'unit', amount: '6' })
    },
  ],
  operation_not_allowed: [
    403,
    async (scene) => {
      const { id } = await makeKey(scene, scene.account, { operations: ['image'] })
      return scene.post('/v1/charges', { key: id, operation: 'unit' })
    },
  ],
  invalid_key: [401, ({ get }) => get('/v1/credits', 'nonsense')],
  key_expired: [
    401,
    async (scene) => {
      const { secret } = await makeKey(scene, scene.account, { expires_at: new Date(scene.clock.nowMs + HOUR_MS).toISOString() })
      scene.clock.nowMs += HOUR_MS
      return scene.get('/v1/credits', secret)
    },
  ],
  key_not_found: [404, ({ get }) => get('/v1/keys/key_0000000000000001')],
  key_revoked: [
    401,
    async (scene) => {
      const { id, secret } = await makeKey(scene, scene.account)
      await scene.call('DELETE', `/v1/keys/${id}`)
      return scene.get('/v1/credits', secret)
    },
  ],
  key_already_revoked: [
    409,
    async (scene) => {
      const { id } = await makeKey(scene, scene.account)
      await scene.call('DELETE', `/v1/keys/${id}`)
      return scene.call('PATCH', `/v1/keys/${id}`, { name: 'New' })
    },
  ],
  price_not_configured: [422, ({ account, post }) => post('/v1/charges', { account, operation: 'unpriced' })],
  quantity_required: [400, ({ account, post }) => post('/v1/charges', { account, operation: 'transcription' })],
  unknown_unit: [400, ({ account, post }) => post('/v1/charges', unit(account, { quantities: { parsec: 1 } }))],
  quote_invalid: [400, ({ account, post }) => post('/v1/charges', unit(account, { quote_id: 'quote_1_1_aaaaaaaaaaaaaaaaaaaaaa' }))],
  quote_expired: [
    409,
    async ({ account, post, clock }) => {
      const { body } = await post('/v1/estimates', { account, items: [{ operation: 'unit' }] })
      clock.nowMs += 15 * 60_000
      return post('/v1/charges', unit(account, { quote_id: body.quote_id }))
    },
  ],
  effective_at_passed: [
    400,
    ({ post, clock }) => post('/v1/price-book', { prices: TEST_PRICES, effective_at: new Date(clock.nowMs - 1_000).toISOString() }),
  ],
  charge_not_found: [404, ({ get }) => get('/v1/charges/chg_0000000000000001')],
  refund_exceeds_charge: [
    409,
    async ({ account, post }) => {
      const { body } = await post('/v1/charges', unit(account))
      return post(`/v1/charges/${body.id}/refund`, { amount: '1.000001' })
    },
  ],
  grant_not_found: [404, ({ get }) => get('/v1/grants/grant_0000000000000001')],
  grant_closed: [
    409,
    async ({ account, post }) => {
      const { body } = await post('/v1/grants', { account, amount: '5' })
      await post(`/v1/grants/${body.id}/void`, {})
      return post(`/v1/grants/${body.id}/void`, {})
    },
  ],
  expiry_passed: [
    400,
    ({ account, post, clock }) => post('/v1/grants', { account, amount: '1', expires_at: new Date(clock.nowMs).toISOString() }),
  ],
  hold_not_found: [404, ({ get }) => get('/v1/holds/hold_0000000000000001')],
  hold_already_captured: [409, (scene) => captureEnded(scene, 'capture')],
  hold_already_released: [409, (scene) => captureEnded(scene, 'release')],
  hold_expired: [
    409,
    async ({ account, post, clock }) => {
      const { body } = await post('/v1/holds', unit(account, { ttl_seconds: 60 }))
      clock.nowMs += 60_000
      return post(`/v1/holds/${body.id}/extend`, { ttl_seconds: 60 })
    },
  ],
  hold_ttl_exceeded: [
    409,
    async ({ account, post, clock }) => {
      const { body } = await post('/v1/holds', unit(account))
      clock.nowMs += 1_000
      return post(`/v1/holds/${body.id}/extend`, { ttl_seconds: DAY_MS / 1000 })
    },
  ],
  capture_exceeds_hold: [
    409,
    async ({ account, post }) => {
      const { body } = await post('/v1/holds', unit(account, { amount: '5', policy: 'reject' }))
      return post(`/v1/holds/${body.id}/capture`, { amount: '6' })
    },
  ],
  too_many_open_grants: [
    409,
    (scene) => oneTooMany(() => scene.post('/v1/adjustments', { account: scene.account, amount: '1', reason: 'found' })),
  ],
  too_many_open_holds: [409, (scene) => oneTooMany(() => scene.post('/v1/holds', unit(scene.account, { amount: '0' })))],
  alert_not_found: [404, ({ get }) => get('/v1/alerts/alert_0000000000000001')],
  too_many_alerts: [409, ({ account, post }) => oneTooMany(() => post('/v1/alerts', { account, watch: 'balance', threshold: 5 }))],
  too_many_keys: [409, (scene) => oneTooMany(() => scene.post('/v1/keys', { account: scene.account }))],
  too_many_open_checkouts: [
    409,
    async (scene) => {
      const opened = await shopOf(scene)
      for (let count = 0; count < 50; count++) await opened.post('/v1/checkout-sessions', buy(opened))
      return opened.post('/v1/checkout-sessions', buy(opened))
    },
  ],
  checkout_session_not_found: [404, ({ get }) => get('/v1/checkout-sessions/cs_0000000000000001')],
  checkout_closed: [409, async (scene) => cancelPaid(await shopOf(scene))],
  topups_not_offered: [409, ({ get }) => get('/v1/topups/options')],
  credit_type_not_sold: [
    400,
    async (scene) => {
      const { call, account } = await shopOf(scene)
      const terms = { threshold: '1', target: '2', monthly_cap_minor: 1_000, consent: { by: 'Ada', text: 'v1' } }
      return call('PUT', `/v1/auto-topup?account=${account}`, { ...terms, credit_type: 'images' })
    },
  ],
  topup_amount_out_of_range: [
    400,
    async (scene) => {
      const opened = await shopOf(scene)
      return opened.post('/v1/checkout-sessions', { ...buy(opened), amount_minor: 1 })
    },
  ],
  pack_not_found: [
    404,
    async (scene) => {
      const { post, account } = await shopOf(scene)
      return post('/v1/checkout-sessions', { account, pack: 'nothing' })
    },
  ],
  invoice_not_found: [404, ({ get }) => get('/v1/invoices/inv_0000000000000001')],
  month_not_over: [
    409,
    ({ account, clock, post }) => post('/v1/invoices', { account, month: new Date(clock.nowMs).toISOString().slice(0, 7) }),
  ],
  month_before_account: [404, ({ account, post }) => post('/v1/invoices', { account, month: '2020-02' })],
  topup_not_found: [404, ({ get }) => get('/v1/topups/topup_0000000000000001')],
  topup_refund_exceeds_payment: [
    409,
    async (scene) => {
      const { post, topup } = await bought(scene)
      return post(`/v1/topups/${topup}/refund`, { amount_minor: 1_001 })
    },
  ],
  provider_changed: [
    409,
    async ({ obol, post }) => {
      const { store } = obol.services
      await openLedger(store, BUYER, 0)
      const paid = await seqOf(store, BUYER, fulfil(await seqOf(store, BUYER, openCheckout())))
      return post(`/v1/topups/${objectId('topup', BUYER, paid)}/simulate`, { event: 'dispute' })
    },
  ],
  nothing_to_dispute: [
    409,
    async (scene) => {
      const { post, topup } = await bought(scene)
      await post(`/v1/topups/${topup}/refund`)
      return post(`/v1/topups/${topup}/simulate`, { event: 'dispute' })
    },
  ],
  nothing_to_simulate: [
    409,
    async (scene) => {
      const { post, topup } = await bought(scene)
      return post(`/v1/topups/${topup}/simulate`, { event: 'win_dispute' })
    },
  ],
  too_many_refunds: [
    409,
    async (scene) => {
      const { post, topup } = await bought(scene)
      for (let count = 0; count < MAX_PURCHASE_EVENTS / 2; count++) await post(`/v1/topups/${topup}/refund`, { amount_minor: 1 })
      return post(`/v1/topups/${topup}/refund`, { amount_minor: 1 })
    },
  ],
  signature_invalid: [400, async (scene) => (await shopOf(scene)).call('POST', '/v1/payments/sandbox/events', { data: {} }, { key: null })],
  provider_unavailable: [
    502,
    async ({ t }) => {
      const nobody = {
        STRIPE_SECRET_KEY: 'sk_test_12345678',
        STRIPE_WEBHOOK_SECRET: 'whsec_12345678',
        OBOL_PUBLIC_URL: 'https://obol.example',
        STRIPE_API_BASE: 'http://127.0.0.1:1',
      }
      const obol = await startTestObol(t, { OBOL_PAYMENTS: 'stripe', ...nobody })
      await obol.call('PUT', '/v1/topups/options', TEST_OPTIONS)
      return obol.call('POST', '/v1/checkout-sessions', { account: await openAccount(obol, '0'), amount_minor: 1_000 })
    },
  ],
  already_subscribed: [409, async (scene) => subscribeTo(scene, await subscribed(scene))],
  too_many_subscriptions: [
    409,
    async (scene) => {
      for (let count = 0; count < 10; count++) await subscribeTo(scene, await aPlan(scene, `plan-${count}`))
      return subscribeTo(scene, await aPlan(scene, 'another'))
    },
  ],
  anchor_in_future: [
    400,
    async (scene) => subscribeTo(scene, await aPlan(scene), { anchor: new Date(scene.clock.nowMs + 60_000).toISOString() }),
  ],
  subscription_not_found: [404, ({ get }) => get('/v1/subscriptions/sub_0000000000000001')],
  subscription_not_active: [
    409,
    async (scene) => {
      await subscribed(scene)
      await scene.post(`${await onlySubscription(scene)}/cancel`)
      return scene.post(`${await onlySubscription(scene)}/pause`)
    },
  ],
  subscription_not_paused: [
    409,
    async (scene) => {
      await subscribed(scene)
      return scene.post(`${await onlySubscription(scene)}/resume`)
    },
  ],
  subscription_unpaid: [
    409,
    async (scene) => {
      await subscribed(scene, { price: { amount_minor: 900, currency: 'eur' } })
      return scene.post(`${await onlySubscription(scene)}/pause`)
    },
  ],
  payment_in_flight: [
    409,
    async (scene) => {
      await subscribed(scene, { price: { amount_minor: 900, currency: 'eur' } })
      const account = parseAccountId(scene.account) ?? assert.fail()
      const command = { kind: 'open_payment_page', subscription: 3, provider: 'sandbox', isLive: false, ttlMs: HOUR_MS } as const
      await send(scene.obol.services.store, account, command)
      return scene.post(`${await onlySubscription(scene)}/cancel`)
    },
  ],
  nothing_to_pay: [
    409,
    async (scene) => {
      const shop = await shopOf(scene)
      await subscribed(shop)
      return shop.post(`${await onlySubscription(shop)}/payment-page`)
    },
  ],
  plan_unchanged: [
    409,
    async (scene) => {
      const plan = await subscribed(scene)
      return scene.post(`${await onlySubscription(scene)}/change`, { plan })
    },
  ],
  plan_currency_differs: [
    409,
    async (scene) => {
      await subscribed(scene, { price: { amount_minor: 900, currency: 'eur' } })
      const plan = await aPlan(scene, 'dollars', { price: { amount_minor: 900, currency: 'usd' } })
      return scene.post(`${await onlySubscription(scene)}/change`, { plan })
    },
  ],
  plan_not_found: [404, ({ get }) => get('/v1/plans/nothing')],
  plan_archived: [409, async (scene) => subscribeTo(scene, await aPlan(scene, 'old', { archived: true }))],
  test_clocks_off: [403, ({ post }) => post('/v1/test-clocks')],
  test_clock_not_found: [
    404,
    async ({ t }) => {
      const obol = await startTestObol(t, { OBOL_TEST_CLOCKS: 'on' })
      return obol.call('GET', '/v1/test-clocks/clk_1')
    },
  ],
  account_has_test_clock: [
    409,
    async ({ t }) => {
      const obol = await startTestObol(t, { OBOL_TEST_CLOCKS: 'on' })
      const { body } = await obol.call('POST', '/v1/test-clocks')
      const account = await obol.call('POST', '/v1/accounts', { name: 'x', test_clock: body.id })
      return obol.call('POST', '/v1/invoices', { account: account.body.id, month: '2020-01' })
    },
  ],
  too_many_clock_accounts: [
    409,
    async ({ t }) => {
      const obol = await startTestObol(t, { OBOL_TEST_CLOCKS: 'on' })
      const { body } = await obol.call('POST', '/v1/test-clocks')
      const open = (): Promise<TestAnswer> => obol.call('POST', '/v1/accounts', { name: 'x', test_clock: body.id })
      for (let count = 0; count < 100; count++) assert.equal((await open()).status, 201)
      return open()
    },
  ],
  idempotency_key_reused: [
    422,
    async ({ account, post }) => {
      await post('/v1/charges', unit(account), { idempotencyKey: 'one' })
      return post('/v1/charges', unit(account, { amount: '2' }), { idempotencyKey: 'one' })
    },
  ],
  invalid_credentials: [401, (scene) => signIn(scene, 'nobody@example.com')],
  wrong_password: [
    403,
    async (scene) => {
      const { access } = await aUser(scene)
      return scene.post(
        '/v1/me/password',
        { current_password: 'not the right one', password: 'a new one with many words' },
        { key: access },
      )
    },
  ],
  too_many_attempts: [
    429,
    async (scene) => {
      for (let count = 0; count < 10; count++) await signIn(scene, 'tried@example.com', 'wrong')
      return signIn(scene, 'tried@example.com', 'wrong')
    },
  ],
  user_disabled: [
    403,
    async (scene) => {
      const { id, email } = await aUser(scene)
      await scene.call('PATCH', `/v1/users/${id}`, { status: 'disabled' })
      return signIn(scene, email)
    },
  ],
  no_membership: [
    403,
    async (scene) => {
      const { id, email } = await aUser(scene)
      await scene.call('DELETE', `/v1/users/${id}/memberships/${scene.account}`)
      return signIn(scene, email)
    },
  ],
  invalid_token: [401, async (scene) => scene.get('/v1/me', `${(await aUser(scene)).access}x`)],
  token_expired: [
    401,
    async (scene) => {
      const { access } = await aUser(scene)
      scene.clock.nowMs += 16 * 60_000
      return scene.get('/v1/me', access)
    },
  ],
  session_ended: [
    401,
    async (scene) => {
      const { access, refresh: token } = await aUser(scene)
      await scene.post('/v1/auth/logout', { refresh_token: token })
      return scene.get('/v1/me', access)
    },
  ],
  invalid_refresh_token: [401, (scene) => refresh(scene, 'nonsense')],
  refresh_token_used: [
    401,
    async (scene) => {
      const { refresh: token } = await aUser(scene)
      const meanwhile = scene.obol.services.signIn.refreshing.use(hashSecret(token), () => refresh(scene, token))
      const [one, other] = await Promise.all([meanwhile, refresh(scene, token)])
      return one.status === 200 ? other : one
    },
  ],
  refresh_token_reused: [
    401,
    async (scene) => {
      const { refresh: token } = await aUser(scene)
      assert.equal((await refresh(scene, token)).status, 200)
      return refresh(scene, token)
    },
  ],
  invalid_one_time_token: [401, ({ post }) => post('/v1/auth/accept-invitation', { token: 'nonsense', password: PASSWORD })],
  invalid_email: [400, ({ post }) => post('/v1/users', { email: 'nobody' })],
  email_taken: [409, async (scene) => scene.post('/v1/users', { email: (await aUser(scene)).email })],
  password_unacceptable: [
    400,
    async ({ account, post }) => {
      const { body } = await post('/v1/users', { email: 'short@example.com', account, role: 'member' })
      return post('/v1/auth/accept-invitation', { token: body.token, password: 'too short' })
    },
  ],
  user_not_found: [404, ({ get }) => get('/v1/users/user_0000000000000001')],
  membership_not_found: [
    404,
    async (scene) => scene.call('DELETE', `/v1/users/${(await aUser(scene)).id}/memberships/${await openAccount(scene, '0')}`),
  ],
  too_many_memberships: [
    409,
    async (scene) => {
      const { id } = await aUser(scene)
      const accounts = await Promise.all(Array.from({ length: 100 }, () => openAccount(scene, '0')))
      const answers = await Promise.all(
        accounts.map((account) => scene.call('PUT', `/v1/users/${id}/memberships/${account}`, { role: 'member' })),
      )
      return answers.find(({ status }) => status !== 200) ?? assert.fail('the user belongs to them all')
    },
  ],
  invitation_pending: [
    409,
    async ({ post }) => {
      const { body } = await post('/v1/users', { email: 'pending@example.com' })
      return post(`/v1/users/${body.id}/password-reset`)
    },
  ],
  invitation_accepted: [409, async (scene) => scene.post(`/v1/users/${(await aUser(scene)).id}/invitation`)],
  webhook_endpoint_not_found: [404, ({ get }) => get('/v1/webhook-endpoints/whe_0000000000000001')],
  webhook_url_taken: [
    409,
    async (scene) => {
      await anEndpoint(scene)
      return scene.post('/v1/webhook-endpoints', { url: HOOK, account: scene.account })
    },
  ],
  webhook_address_refused: [400, ({ post }) => post('/v1/webhook-endpoints', { url: 'https://127.0.0.1/' })],
  webhook_endpoint_disabled: [
    409,
    async (scene) => {
      const path = `/v1/webhook-endpoints/${await anEndpoint(scene)}`
      await scene.call('PATCH', path, { status: 'disabled' })
      return scene.post(`${path}/replay`, { start: '2020-01-01T00:00:00Z' })
    },
  ],
  webhook_replay_running: [
    409,
    async (scene) => {
      const path = `/v1/webhook-endpoints/${await anEndpoint(scene)}/replay`
      assert.equal((await scene.post(path, { start: '2020-01-01T00:00:00Z' })).status, 202)
      return scene.post(path, { start: '2020-01-01T00:00:00Z' })
    },
  ],
  too_many_webhook_endpoints: [
    409,
    async ({ account, post }) => {
      const make = (number: number) => post('/v1/webhook-endpoints', { url: `${HOOK}/${number}`, account })
      for (let number = 0; number < 20; number++) assert.equal((await make(number)).status, 201)
      return make(20)
    },
  ],
  too_many_resends: [
    409,
    async (scene) => {
      const endpoint = await anEndpoint(scene)
      const { deliveries } = scene.obol.services.store.webhooks
      for (let number = 0; number < MAX_RESENDS; number++) await deliveries.resend(endpoint, 1, `evt_${number}`, scene.clock.nowMs + DAY_MS)
      const { body } = await scene.get(`/v1/journal?account=${scene.account}`)
      return scene.post(`/v1/webhook-endpoints/${endpoint}/resend`, { event: `${body.data[0].id.replace('rec_', 'evt_')}_0` })
    },
  ],
  event_not_found: [404, async (scene) => scene.post(`/v1/webhook-endpoints/${await anEndpoint(scene)}/resend`, { event: 'evt_none' })],
  too_many_streams: [
    429,
    async (scene) => {
      const { secret } = await makeKey(scene, scene.account)
      const open = () => fetch(`${scene.url}/v1/credits/stream`, { headers: { authorization: `Bearer ${secret}` } })
      const streams = await Promise.all(Array.from({ length: MAX_STREAMS_OF_ONE }, open))
      assert.ok(streams.every(({ status }) => status === 200))
      const refused = await scene.get('/v1/credits/stream', secret)
      for (const { body } of streams) await body?.cancel()
      return refused
    },
  ],
  invalid_request: [400, ({ post }) => post('/v1/accounts', { name: 'One', nickname: 'Uno' })],
  invalid_json: [400, ({ post }) => post('/v1/accounts', '{"name":')],
  invalid_cursor: [400, ({ get }) => get('/v1/accounts?starting_after=nonsense')],
  idempotency_key_required: [400, ({ account, post }) => post('/v1/charges', unit(account), { idempotencyKey: null })],
  idempotency_key_invalid: [400, ({ account, post }) => post('/v1/charges', unit(account), { idempotencyKey: 'a'.repeat(256) })],
  authentication_required: [401, ({ call }) => call('GET', '/v1/credits', undefined, { key: null })],
  operator_key_required: [
    403,
    async (scene) => scene.post('/v1/charges', unit(scene.account), { key: (await makeKey(scene, scene.account)).secret }),
  ],
  scope_required: [403, async (scene) => scene.post('/v1/keys', {}, { key: (await makeKey(scene, scene.account)).secret })],
  role_required: [403, async (scene) => scene.post('/v1/keys', {}, { key: (await aUser(scene)).access })],
  user_required: [403, ({ get }) => get('/v1/me')],
  not_found: [404, ({ get }) => get('/v1/nothing')],
  body_too_large: [413, ({ post }) => post('/v1/accounts', { name: 'x'.repeat(262_144) })],
  headers_too_large: [431, ({ get }) => get(`/v1/credits?account=${'a'.repeat(20_000)}`)],
  unsupported_media_type: [
    415,
    ({ post }) => post('/v1/accounts', 'name=One', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
  ],
  rate_limited: [
    429,
    async (scene) => {
      const { secret } = await makeKey(scene, scene.account, { rate_limit: { requests: 1, window_seconds: 60 } })
      await scene.get('/v1/credits', secret)
      return scene.get('/v1/credits', secret)
    },
  ],
  internal_error: [500, askWithoutStore],
  overloaded: [503, overload],
  not_ready: [503, askWhileStopping],
}

let users = 0

/** A user who belongs to the account. */
function aUser(scene: Scene): Promise<Person> {
  users++
  return signUp(scene, `user${users}@example.com`, { account: scene.account, role: 'member' })
}

async function captureEnded({ account, post }: Scene, how: 'capture' | 'release'): Promise<TestAnswer> {
  const { body } = await post('/v1/holds', unit(account))
  await post(`/v1/holds/${body.id}/${how}`, {})
  return post(`/v1/holds/${body.id}/capture`, {})
}

/** Makes a thousand at once, and one more. */
async function oneTooMany(make: () => Promise<TestAnswer>): Promise<TestAnswer> {
  const answers = await Promise.all(Array.from({ length: 1_000 }, make))
  return answers.find(({ status }) => status !== 201) ?? make()
}

/** Fills the queue of the store: more commands at once than may wait. Items for an account that is not there cost little. */
async function overload({ account, post }: Scene): Promise<TestAnswer> {
  const idle = Array.from({ length: 999 }, () => unit('acct_00000001'))
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => post('/v1/charges/batch', { charges: [unit(account, { amount: '0.001' }), ...idle] })),
    )
    const refused = answers.find(({ status }) => status === 503)
    if (refused) return refused
  }
  throw new Error('the store took everything')
}

/** A server whose store is gone under it: the fault that no caller can cause. */
async function askWithoutStore({ t }: Scene): Promise<TestAnswer> {
  const { obol, call } = await startTestObol(t)
  await obol.services.store.close()
  return call('GET', '/v1/accounts')
}

/** Asks a server that has begun to stop, and waits for its last plugin to let go. */
async function askWhileStopping(): Promise<TestAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-test-'))
  const { config } = readConfig({ OBOL_PORT: '0', OBOL_DATABASE_URL: `sqlite:${join(folder, 'obol.db')}`, OBOL_OPERATOR_KEY: OPERATOR_KEY })
  const { promise: letGo, resolve } = Promise.withResolvers<void>()
  const obol = await startObol(config, {
    log: pino({ level: 'silent' }),
    extend: (http) => {
      http.addHook('preClose', async () => letGo)
    },
  })
  const closed = obol.close()
  try {
    return await caller(obol.address)('GET', '/readyz')
  } finally {
    resolve()
    await closed
    rmSync(folder, { recursive: true })
  }
}

const RETRYABLE = new Set([429, 502, 503])

test('every problem is reached through HTTP', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)

  for (const [code, [status, reach]] of Object.entries(REACHED) as [ProblemCode, Reached[ProblemCode]][]) {
    await t.test(`${code} is a ${status} that says what happened and what to do`, async () => {
      const account = await openAccount(obol, '100')
      const answer = await reach({
        ...obol,
        t,
        account,
        post: (path, body, options) => call('POST', path, body, options),
        get: (path, key = OPERATOR_KEY) => call('GET', path, undefined, { key }),
      })
      const { headers, body } = answer
      assert.deepEqual([answer.status, body.code], [status, code], answer.text)
      assert.equal(PROBLEMS[code].status, status)
      assert.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8')
      assert.deepEqual([body.type, body.title, body.status], [`urn:obol:problem:${code}`, PROBLEMS[code].title, status])
      assert.match(body.detail, /^\S.{8,}/, 'a sentence')
      assert.match(body.instance, /^\/[^?]*$/)
      assert.match(body.request_id, /^req_[0-9a-v]+_[0-9a-v]+$/)
      assert.equal(headers.get('x-request-id'), body.request_id)
      assert.equal(headers.get('www-authenticate'), status === 401 ? 'Bearer' : null)
      const retryAfter = headers.get('retry-after')
      assert.deepEqual([retryAfter !== null, retryAfter === null || Number(retryAfter) === body.retry_after], [RETRYABLE.has(status), true])
      if (retryAfter !== null) assert.match(retryAfter, /^[1-9]\d{0,4}$/)
    })

    await t.test(`${code} has a page at the address that its problem gives`, async () => {
      const { status: found, headers, text } = await call('GET', `/problems/${code}`, undefined, { key: null })
      assert.deepEqual([found, headers.get('content-type')], [200, 'text/markdown; charset=utf-8'])
      const { title, meaning, fix } = PROBLEMS[code]
      for (const part of [`# ${title}\n`, `\`${code}\` · HTTP ${status}`, meaning, fix]) assert.ok(text.includes(part), part)
    })
  }

  await t.test('there is a page for every problem and for nothing else', async () => {
    for (const name of ['nothing', 'not_found%20', 'NOT_FOUND', 'toString', 'constructor', '__proto__', 'hasOwnProperty', '..%2Flivez']) {
      const { status, body } = await call('GET', `/problems/${name}`, undefined, { key: null })
      assert.deepEqual([status, body.code], [404, 'not_found'], name)
    }
  })

  await t.test('every answer has a request id of its own, and what the caller sends as one is not believed', async () => {
    const headers = { 'x-request-id': 'mine', 'request-id': 'mine' }
    const answers = await Promise.all(
      ['/livez', '/v1/credits', '/v1/accounts', '/nothing'].map((path) => call('GET', path, undefined, { headers })),
    )
    const ids = answers.map((answer) => answer.headers.get('x-request-id'))
    assert.equal(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id ?? '', /^req_/)
  })
})

test('the docs link of a problem leads to its page', async (t) => {
  await t.test('on a server that listens on any free port', async () => {
    const { call, url } = await startTestObol(t)
    const { body } = await call('GET', '/v1/nothing')
    assert.equal(body.docs, `${url}/problems/not_found`)
    assert.equal((await fetch(body.docs)).status, 200)
  })

  await t.test('on a server that its users see under another address', async () => {
    const { call } = await startTestObol(t, { OBOL_PUBLIC_URL: 'https://credits.example.com/obol/' })
    const { body } = await call('GET', '/v1/nothing')
    assert.equal(body.docs, 'https://credits.example.com/obol/problems/not_found')
  })
})

test('402 says what is missing and where to buy it, and nothing about waiting', async (t) => {
  const obol = await startTestObol(t, { OBOL_TOP_UP_URL: 'https://example.com/buy' })
  const account = await openAccount(obol, '100')
  const answer = await obol.call('POST', '/v1/charges', unit(account, { amount: '130.5' }))
  const { required, available, shortfall, credit_type, top_up_url } = answer.body
  assert.deepEqual(
    [answer.status, required, available, shortfall, credit_type, top_up_url],
    [402, '130.5', '100', '30.5', 'credits', 'https://example.com/buy'],
  )
  assert.deepEqual([answer.headers.get('retry-after'), answer.body.retry_after], [null, undefined])
  for (const header of ['payment-required', 'www-authenticate']) assert.equal(answer.headers.get(header), null)
})
