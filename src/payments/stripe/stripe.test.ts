/** Credits bought through Stripe, against a Stripe on this machine that takes only what the real one takes, and fails as that one fails. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openAccount, startTestObol, type TestAnswer, type TestObol } from '../../../test/running/obol.ts'
import { TEST_OPTIONS, until } from '../../../test/running/sandbox.ts'
import {
  type LocalStripe,
  STRIPE_KEY,
  STRIPE_LIVE_KEY,
  type StripeObject,
  startStripe,
  WEBHOOK_SECRET,
} from '../../../test/running/stripe/local-stripe.ts'
import { decodeForm, faultsIn } from '../../../test/running/stripe/shapes.ts'
import { reconcile } from '../../operations/reconcile.ts'
import { type OffSessionOutcome, ProviderUnavailableError } from '../provider.ts'
import { StripeProvider } from './stripe.ts'

const MINUTE_MS = 60_000
/** Where customers see the server: behind a proxy, so to say. */
const PUBLIC_URL = 'https://obol.example'

type Body = TestAnswer['body']

interface Shop extends TestObol {
  readonly stripe: LocalStripe
  readonly account: string
  readonly open: () => Promise<Body>
  readonly session: (id: string) => Promise<Body>
  readonly topups: () => Promise<Body[]>
  readonly available: () => Promise<string>
  /** Sends an event as Stripe does; gives the status of the answer. */
  readonly hear: (event: { readonly payload: string; readonly signature: string }) => Promise<number>
  /** The event of a session's change. */
  readonly tell: (type: string, object?: StripeObject) => Promise<number>
}

async function openShop(t: TestContext, isLive = false): Promise<Shop> {
  const clock = { nowMs: () => Date.now() }
  const stripe = await startStripe(t, { nowMs: () => clock.nowMs(), isLive })
  const obol = await startTestObol(t, {
    OBOL_PAYMENTS: 'stripe',
    STRIPE_SECRET_KEY: isLive ? STRIPE_LIVE_KEY : STRIPE_KEY,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    STRIPE_API_BASE: stripe.url,
    OBOL_PUBLIC_URL: PUBLIC_URL,
  })
  clock.nowMs = () => obol.clock.nowMs
  const { call, url } = obol
  await call('PUT', '/v1/topups/options', TEST_OPTIONS)
  const account = await openAccount(obol, '0')
  const hear: Shop['hear'] = async ({ payload, signature }) => {
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
    const response = await fetch(`${url}/v1/payments/stripe/events`, { method: 'POST', body: payload, headers })
    await response.body?.cancel()
    return response.status
  }
  return {
    ...obol,
    stripe,
    account,
    open: async () => {
      const { status, body } = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 })
      assert.equal(status, 201, JSON.stringify(body))
      return body
    },
    session: async (id) => (await call('GET', `/v1/checkout-sessions/${id}`)).body,
    topups: async () => (await call('GET', `/v1/topups?account=${account}`)).body.data,
    available: async () => (await call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits?.available ?? '0',
    hear,
    tell: (type, object = stripe.lastSession) => hear(stripe.event(type, object)),
  }
}

/** A shop with a top-up of 1000 credits for 10.00. */
async function bought(t: TestContext): Promise<Shop & { readonly topup: Body; readonly payment: string }> {
  const shop = await openShop(t)
  await shop.open()
  const payment = shop.stripe.pay(shop.stripe.lastSession.id)
  assert.equal(await shop.tell('checkout.session.completed'), 200)
  const [topup] = await shop.topups()
  assert.ok(topup)
  return { ...shop, topup, payment }
}

test('the local Stripe takes what the real one takes, and turns the rest away', () => {
  const faults = (form: string): readonly string[] => faultsIn('Checkout/Sessions', 'Checkout.SessionCreateParams', decodeForm(form))
  const price =
    'line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=1&line_items[0][price_data][product_data][name]=x'
  assert.deepEqual(faults(`mode=payment&${price}&line_items[0][quantity]=1&metadata[a]=b&adaptive_pricing[enabled]=false`), [])
  assert.match(faults('payment_method_types[0]=card').join(), /unknown parameter: payment_method_types/)
  assert.match(faults('mode=payments').join(), /mode must be/)
  assert.match(faults('line_items[0][price_data][unit_amount]=1').join(), /currency is required/)
  assert.match(faults('line_items[0][quantity]=one').join(), /quantity must be number/)
  assert.match(faults('expires_at[0]=1').join(), /expires_at must be number/)
  assert.match(faults(`metadata[a]=${'x'.repeat(501)}`).join(), /metadata has too much/)
})

test('what is paid at Stripe is credited when Stripe tells, once, however often it does', async (t) => {
  const shop = await openShop(t)
  const { stripe, tell, available, session } = shop
  const opened = await shop.open()
  const made = stripe.lastSession
  assert.deepEqual([opened.url, opened.provider, opened.mode], [made.url, 'stripe', 'test'])
  assert.deepEqual([made.client_reference_id, made.metadata], [opened.id, { obol_checkout: opened.id, obol_account: shop.account }])
  assert.equal(await tell('checkout.session.completed'), 200, 'an event before anything was paid')
  assert.equal(await available(), '0')
  const payment = stripe.pay(made.id)
  for (const type of ['checkout.session.completed', 'checkout.session.completed', 'checkout.session.expired'])
    assert.equal(await tell(type), 200)
  assert.equal(await tell('payment_intent.succeeded', stripe.intent(payment)), 200)
  await Promise.all(Array.from({ length: 10 }, () => tell('checkout.session.completed')))
  assert.equal(await available(), '1000')
  const { status, topup } = await session(opened.id)
  assert.deepEqual([status, (await shop.topups()).map(({ id }) => id)], ['paid', [topup]])
  assert.equal((await shop.topups())[0].payment, payment)
})

test('real money is told apart from play: by the key, and by each payment', async (t) => {
  const shop = await openShop(t, true)
  const opened = await shop.open()
  assert.equal(opened.mode, 'live')
  shop.stripe.pay(shop.stripe.lastSession.id, { livemode: false })
  assert.equal(await shop.tell('checkout.session.completed'), 200)
  assert.deepEqual([await shop.available(), (await shop.session(opened.id)).mismatch.reason], ['0', 'mode'])
  shop.stripe.pay((await openAnother(shop)).id)
  assert.equal(await shop.tell('checkout.session.completed'), 200)
  const [topup] = await shop.topups()
  assert.deepEqual([await shop.available(), topup.mode], ['1000', 'live'])
  const [grant] = topup.grants
  assert.deepEqual((await shop.call('GET', `/v1/grants/${grant}`)).body.metadata, { topup: topup.id })
  const event = shop.stripe.event('checkout.session.completed', shop.stripe.lastSession, { fields: { livemode: false } })
  assert.equal(await shop.hear(event), 200, 'an event of the other mode is none of ours')
})

async function openAnother({ open, stripe }: Shop): Promise<StripeObject> {
  await open()
  return stripe.lastSession
}

for (const [what, fields, reason] of [
  ['less', { amount_subtotal: 999, amount_total: 999 }, 'amount'],
  ['more', { amount_subtotal: 1_001, amount_total: 1_001 }, 'amount'],
  ['a discounted price', { amount_total: 900 }, 'amount'],
  ['another currency', { currency: 'usd' }, 'currency'],
] as const)
  test(`a payment of ${what} gives nothing, and is there for the operator to see`, async (t) => {
    const shop = await openShop(t)
    const opened = await shop.open()
    const payment = shop.stripe.pay(shop.stripe.lastSession.id, fields)
    for (let time = 0; time < 3; time++) assert.equal(await shop.tell('checkout.session.completed'), 200)
    assert.deepEqual([await shop.available(), await shop.topups()], ['0', []])
    const { status, mismatch } = await shop.session(opened.id)
    assert.deepEqual([status, mismatch.reason, mismatch.payment], ['open', reason, payment])
    const events = (await shop.call('GET', '/v1/events?limit=100')).body.data
    assert.equal(events.filter(({ type }: { type: string }) => type === 'topup.mismatched').length, 1, 'told once')
  })

test('taxes on top are paid in money, and not in credits', async (t) => {
  const shop = await openShop(t)
  await shop.open()
  const payment = shop.stripe.pay(shop.stripe.lastSession.id, { amount_total: 1_190 })
  await shop.tell('checkout.session.completed')
  const [topup] = await shop.topups()
  assert.deepEqual([await shop.available(), topup.amount_minor, topup.total_minor], ['1000', 1_000, 1_190])
  shop.stripe.refundByHand(payment, 595)
  await shop.tell('charge.refunded', { ...shop.stripe.intent(payment), id: 'ch_1', object: 'charge', payment_intent: payment })
  assert.equal(await shop.available(), '500')
})

test('money that takes its time is pending until it arrives, or fails', async (t) => {
  const shop = await openShop(t)
  const [arrives, fails] = [await shop.open(), await shop.open()]
  const [first = '', second = ''] = [...shop.stripe.sessions.keys()]
  shop.stripe.payLater(first)
  shop.stripe.payLater(second)
  const at = (id: string): StripeObject => shop.stripe.sessions.get(id) ?? assert.fail(id)
  for (const id of [first, second]) await shop.tell('checkout.session.completed', at(id))
  assert.deepEqual([(await shop.session(arrives.id)).status, await shop.available()], ['pending', '0'])
  shop.stripe.settle(first, true)
  shop.stripe.settle(second, false)
  await shop.tell('checkout.session.async_payment_succeeded', at(first))
  await shop.tell('checkout.session.async_payment_failed', at(second))
  assert.deepEqual([(await shop.session(arrives.id)).status, (await shop.session(fails.id)).status], ['paid', 'failed'])
  assert.equal(await shop.available(), '1000')
})

test('an event that Stripe did not sign, or not just now, or that was changed on its way, is refused and does nothing', async (t) => {
  const shop = await openShop(t)
  await shop.open()
  shop.stripe.pay(shop.stripe.lastSession.id)
  const event = (options = {}) => shop.stripe.event('checkout.session.completed', shop.stripe.lastSession, options)
  const { payload, signature } = event()
  const wrong = [
    event({ secret: 'whsec_of_somebody_else' }),
    event({ ageSeconds: 301 }),
    { payload: payload.replace('"paid"', '"unpaid"'), signature },
    { payload: `${payload} `, signature },
    { payload, signature: '' },
    { payload, signature: 'nonsense' },
    { payload, signature: signature.replace(/v1=./, 'v1=f0') },
  ]
  for (const [index, each] of wrong.entries()) assert.equal(await shop.hear(each), 400, `${index}`)
  assert.equal(await shop.available(), '0')
  assert.equal(await shop.hear({ payload, signature }), 200)
  assert.equal(await shop.available(), '1000')
  const { status, body } = await shop.call('POST', '/v1/payments/stripe/events', { a: 1 }, { key: null })
  assert.deepEqual([status, body.code], [400, 'signature_invalid'])
  assert.equal((await shop.call('POST', '/v1/payments/sandbox/events', {}, { key: null })).status, 404)
  assert.equal((await fetch(`${shop.url}/sandbox/sbx_x`)).status, 404, 'there is no sandbox here')
})

test('events about what is not Obol’s are heard and do nothing', async (t) => {
  const { stripe, tell, available, open } = await openShop(t)
  await open()
  const session = stripe.lastSession
  stripe.pay(session.id)
  const others: readonly StripeObject[] = [
    { ...session, id: 'cs_test_unknown' },
    { id: 'pi_unknown', object: 'payment_intent' },
    { id: 're_unknown', object: 'refund', payment_intent: 'pi_unknown' },
    { id: 're_unknown', object: 'refund', payment_intent: null },
    { id: 'cus_1', object: 'customer' },
  ]
  for (const object of others) assert.equal(await tell('whatever.happened', object), 200, object.id)
  // A payment link takes the client reference from its address: that of an open checkout, if whoever opened it says so.
  const metadata = [null, {}, ...['order 7', 'cs_0000000000000001', 'chg_0000000000000001'].map((id) => ({ obol_checkout: id }))]
  for (const each of metadata) {
    stripe.sessions.set(session.id, { ...session, status: 'complete', payment_status: 'paid', metadata: each })
    assert.equal(await tell('checkout.session.completed'), 200)
  }
  assert.equal(await available(), '0')
})

/** In which order, and how often, Stripe may tell of what has happened to one payment. */
const ORDERS: Readonly<Record<string, readonly number[]>> = {
  'in order': [0, 1, 2, 3],
  backwards: [3, 2, 1, 0],
  'the refund first': [1, 0, 3, 2],
  'the dispute first': [2, 3, 0, 1],
  'each three times': [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
  'all but one lost': [3],
}
for (const [name, order] of Object.entries(ORDERS))
  test(`a payment that was refunded in part and disputed comes to the same, told ${name}`, async (t) => {
    const shop = await openShop(t)
    await shop.open()
    const payment = shop.stripe.pay(shop.stripe.lastSession.id)
    const refund = shop.stripe.refundByHand(payment, 400)
    const dispute = shop.stripe.dispute(payment, 600, 'lost')
    const events = [
      shop.stripe.event('checkout.session.completed', shop.stripe.lastSession),
      shop.stripe.event('refund.created', shop.stripe.refunds.get(refund) ?? assert.fail()),
      shop.stripe.event('charge.dispute.created', shop.stripe.disputes.get(dispute) ?? assert.fail()),
      shop.stripe.event('charge.dispute.closed', shop.stripe.disputes.get(dispute) ?? assert.fail()),
    ]
    const statuses = await Promise.all(order.map((index) => shop.hear(events[index] ?? assert.fail())))
    assert.deepEqual(new Set(statuses), new Set([200]))
    const [topup] = await shop.topups()
    assert.deepEqual([await shop.available(), topup.taken_back, topup.status], ['0', '1000', 'charged_back'])
  })

test('a refund in Stripe’s dashboard takes credits; one that fails gives them back', async (t) => {
  const { stripe, payment, tell, available } = await bought(t)
  const refund = stripe.refundByHand(payment, 250, 'pending')
  const object = (): StripeObject => stripe.refunds.get(refund) ?? assert.fail()
  await tell('refund.created', object())
  assert.equal(await available(), '750')
  stripe.change('refunds', refund, { status: 'succeeded' })
  await tell('refund.updated', object())
  assert.equal(await available(), '750')
  stripe.change('refunds', refund, { status: 'failed' })
  await Promise.all([tell('refund.failed', object()), tell('refund.created', object()), tell('refund.updated', object())])
  assert.equal(await available(), '1000')
})

test('statuses that Obol does not know change nothing', async (t) => {
  const { stripe, payment, tell, available, topups } = await bought(t)
  const refund = stripe.refundByHand(payment, 250, 'pondered')
  await tell('refund.created', stripe.refunds.get(refund))
  const dispute = stripe.dispute(payment, 1_000, 'appeal_under_review')
  await tell('charge.dispute.updated', stripe.disputes.get(dispute))
  assert.equal(await available(), '1000')
  stripe.change('disputes', dispute, { status: 'lost' })
  await tell('charge.dispute.closed', stripe.disputes.get(dispute))
  stripe.change('disputes', dispute, { status: 'appeal_under_review' })
  await tell('charge.dispute.updated', stripe.disputes.get(dispute))
  assert.deepEqual([await available(), (await topups())[0].status], ['0', 'charged_back'])
})

test('an inquiry freezes, and its end sets free', async (t) => {
  const { stripe, payment, tell, available } = await bought(t)
  const dispute = stripe.dispute(payment, 1_000, 'warning_needs_response')
  await tell('charge.dispute.created', stripe.disputes.get(dispute))
  assert.equal(await available(), '0')
  stripe.change('disputes', dispute, { status: 'warning_closed' })
  await tell('charge.dispute.closed', stripe.disputes.get(dispute))
  assert.equal(await available(), '1000')
})

test('a refund that the operator asks for is made at Stripe once, and is known by its request', async (t) => {
  const { stripe, topup, call, available } = await bought(t)
  const ask = (amount_minor: number, idempotencyKey: string) =>
    call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor }, { idempotencyKey })
  const { status, body } = await ask(300, 'k')
  assert.equal(status, 201)
  const [made] = [...stripe.refunds.values()]
  assert.deepEqual([body.refunds[0].provider_id, made?.metadata], [made?.id, { obol_request: body.refunds[0].id }])
  await Promise.all(Array.from({ length: 5 }, () => ask(300, 'k')))
  assert.deepEqual([stripe.refunds.size, await available()], [1, '700'])
})

test('a refund that Stripe will not make is refused on record, and moves nothing', async (t) => {
  const { stripe, payment, topup, call, available } = await bought(t)
  stripe.dispute(payment, 1)
  const { status, body } = await call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor: 300 })
  assert.deepEqual([status, body.refunds[0].status, body.refundable_minor], [201, 'refused', 1_000])
  assert.equal(await available(), '999', 'but for what is in dispute')
})

/** What may keep Stripe's answer from arriving, whether or not it did what it was asked. */
const CUTS = [
  { when: 'before', how: 500 },
  { when: 'after', how: 500 },
  { when: 'before', how: 'hang up' },
  { when: 'after', how: 'hang up' },
  { when: 'before', how: 429, times: 1 },
] as const
for (const cut of CUTS)
  test(`a checkout whose making is cut short (${cut.how} ${cut.when} it was made) is made once by sending the request again`, async (t) => {
    const shop = await openShop(t)
    // Stripe's own library tries three times, but when it is told to go slower.
    const failure = { path: /POST \/v1\/checkout\/sessions$/, times: 3, ...cut }
    shop.stripe.failures.push(failure)
    const send = () => shop.call('POST', '/v1/checkout-sessions', { account: shop.account, amount_minor: 1_000 }, { idempotencyKey: 'k' })
    const first = await send()
    assert.deepEqual([first.status, first.body.code, failure.times], [502, 'provider_unavailable', 0])
    const again = await send()
    assert.deepEqual([again.status, again.body.status, shop.stripe.sessions.size], [201, 'open', 1])
    assert.equal(again.body.url, shop.stripe.lastSession.url)
    shop.stripe.pay(shop.stripe.lastSession.id)
    await shop.tell('checkout.session.completed')
    assert.equal(await shop.available(), '1000')
  })

test('a checkout that was paid before Obol had noted its page is credited', async (t) => {
  const shop = await openShop(t)
  shop.stripe.failures.push({ path: /POST \/v1\/checkout\/sessions$/, when: 'after', how: 'hang up', times: 3 })
  const body = { account: shop.account, amount_minor: 1_000 }
  assert.equal((await shop.call('POST', '/v1/checkout-sessions', body, { idempotencyKey: 'k' })).status, 502)
  shop.stripe.pay(shop.stripe.lastSession.id)
  assert.equal(await shop.tell('checkout.session.completed'), 200)
  assert.equal(await shop.available(), '1000')
  const again = await shop.call('POST', '/v1/checkout-sessions', body, { idempotencyKey: 'k' })
  assert.deepEqual([again.status, again.body.status, shop.stripe.sessions.size], [201, 'paid', 1])
})

test('an event that Obol cannot look into is not confirmed, so that Stripe tells it again', async (t) => {
  const shop = await openShop(t)
  await shop.open()
  const payment = shop.stripe.pay(shop.stripe.lastSession.id)
  for (const path of [/GET \/v1\/checkout\/sessions\/cs/, /GET \/v1\/refunds/, /GET \/v1\/disputes/]) {
    shop.stripe.failures.push({ path, when: 'before', how: 503, times: 3 })
    assert.equal(await shop.tell('checkout.session.completed'), 502, String(path))
    assert.equal(await shop.available(), '0')
  }
  shop.stripe.failures.push({ path: /GET \/v1\/checkout\/sessions$/, when: 'before', how: 503, times: 3 })
  assert.equal(await shop.tell('payment_intent.succeeded', shop.stripe.intent(payment)), 502)
  assert.equal(await shop.tell('checkout.session.completed'), 200)
  assert.equal(await shop.available(), '1000')
})

test('a refund that Stripe is still at work on is no refusal', async (t) => {
  const { obol, stripe, topup, call, available, clock } = await bought(t)
  const busy = { path: /POST \/v1\/refunds$/, when: 'after', how: 409, times: 3 } as const
  stripe.failures.push({ ...busy })
  const { status, body } = await call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor: 400 })
  assert.deepEqual([status, body.refunds[0].status, await available()], [201, 'requested', '1000'])
  clock.nowMs += 16 * MINUTE_MS
  await reconcile(obol.services)
  assert.deepEqual([stripe.refunds.size, await available()], [1, '600'])
})

test('a refund whose making is cut short is on record, and is made once in the end', async (t) => {
  const { obol, stripe, topup, call, available, clock } = await bought(t)
  stripe.failures.push({ path: /POST \/v1\/refunds$/, when: 'after', how: 'hang up', times: 3 })
  const ask = () => call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor: 400 }, { idempotencyKey: 'k' })
  const { status, body } = await ask()
  assert.deepEqual([status, body.refunds[0].status, body.refundable_minor], [201, 'requested', 600])
  clock.nowMs += 16 * MINUTE_MS
  await reconcile(obol.services)
  assert.deepEqual([stripe.refunds.size, await available()], [1, '600'])
  assert.equal((await ask()).body.refunds[0].status, 'succeeded')
  assert.equal(stripe.refunds.size, 1)
})

test('a checkout of which no event arrives is credited when the customer comes back', async (t) => {
  const shop = await openShop(t)
  const { status, body } = await shop.call('POST', '/v1/checkout-sessions', {
    account: shop.account,
    amount_minor: 1_000,
    success_url: 'https://shop.example/thanks?a=b',
  })
  assert.equal(status, 201)
  const { id, success_url } = shop.stripe.lastSession
  const page = String(success_url).replace(PUBLIC_URL, shop.url)
  const early = await fetch(page, { redirect: 'manual' })
  assert.deepEqual([early.status, /Not paid yet/.test(await early.text())], [200, true])
  shop.stripe.pay(id)
  const answers = await Promise.all([
    ...Array.from({ length: 5 }, () => fetch(page, { redirect: 'manual' })),
    shop.tell('checkout.session.completed'),
  ])
  for (const answer of answers)
    if (typeof answer !== 'number')
      assert.deepEqual(
        [answer.status, answer.headers.get('location')],
        [303, `https://shop.example/thanks?a=b&checkout_session=${body.id}`],
      )
  assert.equal(await shop.available(), '1000')
  for (const strange of [page.replace(/token=.{6}/, 'token=AAAAAA'), page.replace(/\?.*/, '')])
    assert.equal((await fetch(strange)).status, 404)
})

test('however often the page is loaded that customers come back to, Stripe is asked a bounded number of times', async (t) => {
  const shop = await openShop(t)
  await shop.open()
  const page = String(shop.stripe.lastSession.success_url).replace(PUBLIC_URL, shop.url)
  const before = shop.stripe.carriedOut.length
  const load = async (): Promise<string> => (await fetch(page, { redirect: 'manual' })).text()
  for (const text of await Promise.all(Array.from({ length: 50 }, load))) assert.match(text, /Not paid yet/)
  assert.equal(shop.stripe.carriedOut.length - before, 20)
  shop.stripe.pay(shop.stripe.lastSession.id)
  assert.match(await load(), /Not paid yet/)
  shop.clock.nowMs += MINUTE_MS
  assert.match(await load(), /Your credits are ready/)
})

test('a checkout of which nothing at all arrives is credited by the reconciler, and others with it', async (t) => {
  const shop = await openShop(t)
  const [paid, unpaid, closed] = [await shop.open(), await shop.open(), await shop.open()]
  const [first = '', , third = ''] = [...shop.stripe.sessions.keys()]
  shop.stripe.pay(first)
  await reconcile(shop.obol.services)
  assert.equal(await shop.available(), '0', 'what is young is left to the events')
  shop.clock.nowMs += 16 * MINUTE_MS
  shop.stripe.expire(third)
  shop.stripe.failures.push({ path: /GET \/v1\/checkout\/sessions\/cs/, when: 'before', how: 500, times: 3 })
  await assert.rejects(reconcile(shop.obol.services), ProviderUnavailableError)
  await reconcile(shop.obol.services)
  await Promise.all([reconcile(shop.obol.services), reconcile(shop.obol.services)])
  assert.equal(await shop.available(), '1000')
  const statuses = await Promise.all([paid, unpaid, closed].map(async ({ id }) => (await shop.session(id)).status))
  assert.deepEqual(statuses, ['paid', 'open', 'expired'])
  const looked = shop.stripe.carriedOut.length
  shop.clock.nowMs += 300 * MINUTE_MS
  shop.stripe.expire([...shop.stripe.sessions.keys()][1] ?? '')
  await reconcile(shop.obol.services)
  await reconcile(shop.obol.services)
  assert.equal(shop.stripe.carriedOut.length - looked, 1, 'what has ended is not asked about again')
})

test('a checkout that Obol cancels takes no money at Stripe', async (t) => {
  const shop = await openShop(t)
  const opened = await shop.open()
  const { status, body } = await shop.call('POST', `/v1/checkout-sessions/${opened.id}/cancel`)
  assert.deepEqual([status, body.status, shop.stripe.lastSession.status], [200, 'canceled', 'expired'])
  await shop.tell('checkout.session.expired')
  assert.equal((await shop.session(opened.id)).status, 'canceled')
  const paid = await shop.open()
  shop.stripe.pay(shop.stripe.lastSession.id)
  const late = await shop.call('POST', `/v1/checkout-sessions/${paid.id}/cancel`)
  assert.deepEqual([late.status, late.body.code, await shop.available()], [409, 'checkout_closed', '1000'])
})

test('two sessions that were paid for one checkout are credited once, and the second is there to see', async (t) => {
  const shop = await openShop(t)
  const opened = await shop.open()
  const first = shop.stripe.lastSession
  shop.stripe.pay(first.id)
  await shop.tell('checkout.session.completed')
  // Made long after, when Stripe has forgotten the key of the first.
  const second = { ...first, id: 'cs_test_second', payment_intent: null }
  shop.stripe.sessions.set(second.id, second)
  const payment = shop.stripe.pay(second.id)
  for (let time = 0; time < 2; time++) await shop.tell('checkout.session.completed', second)
  assert.equal(await shop.available(), '1000')
  const { status, mismatch } = await shop.session(opened.id)
  assert.deepEqual([status, mismatch.reason, mismatch.payment], ['paid', 'paid_before', payment])
})

test('what becomes of a payment that gave no credits takes none', async (t) => {
  const shop = await openShop(t)
  await shop.open()
  const first = shop.stripe.lastSession
  shop.stripe.pay(first.id)
  await shop.tell('checkout.session.completed')
  const second = { ...first, id: 'cs_test_second', payment_intent: null }
  shop.stripe.sessions.set(second.id, second)
  const extra = shop.stripe.pay(second.id)
  await shop.tell('checkout.session.completed', second)
  const refund = shop.stripe.refundByHand(extra, 1_000)
  assert.equal(await shop.tell('refund.created', shop.stripe.refunds.get(refund)), 200)
  const dispute = shop.stripe.dispute(extra, 1_000, 'lost')
  assert.equal(await shop.tell('charge.dispute.closed', shop.stripe.disputes.get(dispute)), 200)
  assert.equal(await shop.available(), '1000')

  const other = await shop.open()
  const session = shop.stripe.lastSession.id
  const wrong = shop.stripe.pay(session, { amount_subtotal: 900, amount_total: 900 })
  await shop.tell('checkout.session.completed')
  assert.equal((await shop.session(other.id)).mismatch.reason, 'amount')
  const back = shop.stripe.refundByHand(wrong, 900)
  assert.equal(await shop.tell('refund.created', shop.stripe.refunds.get(back)), 200)
  assert.equal(await shop.available(), '1000')
  shop.clock.nowMs += 16 * MINUTE_MS
  const looked = shop.stripe.carriedOut.length
  await reconcile(shop.obol.services)
  assert.equal(shop.stripe.carriedOut.length, looked, 'nobody is asked for news of it for ever')
})

test('a wrong key is told apart from a refusal: nothing is opened with a page', async (t) => {
  const stripe = await startStripe(t)
  const obol = await startTestObol(t, {
    OBOL_PAYMENTS: 'stripe',
    STRIPE_SECRET_KEY: 'sk_test_wrong_key_1',
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    STRIPE_API_BASE: stripe.url,
    OBOL_PUBLIC_URL: PUBLIC_URL,
  })
  await obol.call('PUT', '/v1/topups/options', TEST_OPTIONS)
  const account = await openAccount(obol, '0')
  const { status, text } = await obol.call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 })
  assert.equal(status, 502)
  for (const line of [text, ...obol.log]) assert.ok(!line.includes('sk_test_wrong'), 'the key is nowhere')
})

/** What Stripe may make of a payment without the customer. */
const OFF_SESSION: Readonly<Record<string, readonly [prepare: (stripe: LocalStripe) => void, outcome: Partial<OffSessionOutcome>]>> = {
  'a card that is good': [() => undefined, { status: 'paid' }],
  'a bank that takes its time': [(stripe) => Object.assign(stripe, { intentStatus: 'processing' }), { status: 'pending' }],
  'a bank that wants to see the customer': [
    (stripe) => Object.assign(stripe, { decline: { type: 'card_error', code: 'authentication_required', message: 'confirm' } }),
    { status: 'needs_action' },
  ],
  'a payment that must be confirmed': [(stripe) => Object.assign(stripe, { intentStatus: 'requires_action' }), { status: 'needs_action' }],
  'a card without money': [
    (stripe) =>
      Object.assign(stripe, { decline: { type: 'card_error', code: 'card_declined', decline_code: 'insufficient_funds', message: 'no' } }),
    { status: 'declined', code: 'insufficient_funds', mayRetry: true },
  ],
  'a card that was stolen': [
    (stripe) =>
      Object.assign(stripe, {
        decline: {
          type: 'card_error',
          code: 'card_declined',
          decline_code: 'stolen_card',
          advice_code: 'do_not_try_again',
          message: 'no',
        },
      }),
    { status: 'declined', code: 'stolen_card', mayRetry: false },
  ],
  'a customer who is gone': [
    (stripe) =>
      Object.assign(stripe, { decline: { type: 'invalid_request_error', code: 'resource_missing', message: 'No such customer' } }),
    { status: 'unusable', reason: 'No such customer' },
  ],
}
for (const [name, [prepare, expected]] of Object.entries(OFF_SESSION))
  test(`a payment without the customer says what came of it: ${name}`, async (t) => {
    const stripe = await startStripe(t)
    prepare(stripe)
    const outcome = await provider(stripe).payOffSession(ATTEMPT)
    if ('payment' in outcome) assert.ok(stripe.intents.has(outcome.payment))
    assert.deepEqual('payment' in outcome ? { status: outcome.status } : outcome, expected)
  })

const ATTEMPT = {
  attempt: 'attempt_1',
  account: 'acct_1',
  customer: 'cus_1',
  paymentMethod: 'pm_1',
  amountMinor: 1_000,
  currency: 'eur',
} as const

function provider(stripe: LocalStripe, timeoutMs = 500): StripeProvider {
  return new StripeProvider({ secretKey: STRIPE_KEY, webhookSecret: WEBHOOK_SECRET, apiBase: stripe.url, clock: Date.now, timeoutMs })
}

test('what becomes of a payment without the customer is looked up by its own name, which its events tell', async (t) => {
  const stripe = await startStripe(t)
  const stripes = provider(stripe)
  const outcome = await stripes.payOffSession(ATTEMPT)
  const payment = 'payment' in outcome ? outcome.payment : assert.fail(outcome.status)
  const refund = stripe.refundByHand(payment, 400)
  const object = { id: refund, object: 'refund', payment_intent: payment }
  const { payload, signature } = stripe.event('refund.created', object)
  const reference = await stripes.referenceOf({ body: Buffer.from(payload), signature })
  assert.equal(reference, payment)
  assert.deepEqual(await stripes.look(payment), {
    reference: payment,
    checkout: 'attempt_1',
    status: 'paid',
    payment: { reference: payment, payment, isLive: false, amountMinor: 1_000, totalMinor: 1_000, currency: 'eur' },
    method: null,
    refunds: [{ refund, request: null, amountMinor: 400, status: 'standing' }],
    disputes: [],
  })
  stripe.intents.set(payment, { ...stripe.intent(payment), metadata: {} })
  assert.equal(await stripes.look(payment), undefined, 'a payment of another system')
})

test('a payment without the customer whose answer is lost is made once for one attempt', async (t) => {
  const stripe = await startStripe(t)
  for (const how of ['silence', 'hang up', 500] as const) {
    stripe.failures.push({ path: /POST \/v1\/payment_intents/, when: 'after', how, times: 3 })
    await assert.rejects(provider(stripe).payOffSession(ATTEMPT), ProviderUnavailableError, String(how))
  }
  const { status } = await provider(stripe).payOffSession(ATTEMPT)
  assert.deepEqual([status, stripe.intents.size], ['paid', 1])
})

test('a Stripe that is silent is given up in time', async (t) => {
  const stripe = await startStripe(t)
  stripe.failures.push({ path: /./, when: 'before', how: 'silence', times: 3 })
  await assert.rejects(provider(stripe).look('cs_test_1'), ProviderUnavailableError)
  assert.equal(await provider(stripe).look('cs_test_1'), undefined, 'there is none')
})

test('the books are right after all of it', async (t) => {
  const { stripe, payment, tell, obol, available } = await bought(t)
  const refund = stripe.refundByHand(payment, 333)
  await tell('refund.created', stripe.refunds.get(refund))
  await until(available, (now) => now === '667')
  assert.deepEqual((await obol.services.store.audit()).differences, [])
})
