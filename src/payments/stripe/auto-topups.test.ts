/** Automatic top-ups through Stripe, against a Stripe on this machine. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openAccount, startTestObol, type TestAnswer, type TestObol } from '../../../test/running/obol.ts'
import { TEST_OPTIONS, until } from '../../../test/running/sandbox.ts'
import * as make from '../../../test/running/store-commands.ts'
import { type LocalStripe, STRIPE_KEY, startStripe, WEBHOOK_SECRET } from '../../../test/running/stripe/local-stripe.ts'
import * as plan from '../../../test/running/subscriptions.ts'
import { findAccount } from '../../operations/find-account.ts'
import { reconcile } from '../../operations/reconcile.ts'

const TERMS = { threshold: '50', target: '600', monthly_cap_minor: 5_000, consent: { by: 'Ada', text: 'v1' } }

type Body = TestAnswer['body']

interface Scene extends TestObol {
  readonly stripe: LocalStripe
  readonly account: string
  readonly becomes: (is: (autoTopup: Body) => boolean) => Promise<Body>
  readonly available: () => Promise<string>
  readonly tell: (type: string, object: Parameters<LocalStripe['event']>[1]) => Promise<number>
}

/** An account with 50 credits and a card at Stripe, that is to be topped up at once, after what is prepared. */
async function low(t: TestContext, prepare: (stripe: LocalStripe) => void = () => undefined): Promise<Scene> {
  const clock = { nowMs: () => Date.now() }
  const stripe = await startStripe(t, { nowMs: () => clock.nowMs() })
  prepare(stripe)
  const obol = await startTestObol(t, {
    OBOL_PAYMENTS: 'stripe',
    STRIPE_SECRET_KEY: STRIPE_KEY,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    STRIPE_API_BASE: stripe.url,
    OBOL_PUBLIC_URL: 'https://obol.example',
  })
  clock.nowMs = () => obol.clock.nowMs
  const { call, url } = obol
  await call('PUT', '/v1/topups/options', TEST_OPTIONS)
  const account = await openAccount(obol, '50')
  const { services } = obol.obol
  const number = await findAccount(services, account)
  assert.ok(typeof number === 'number')
  await make.make(services.store, number, plan.saveMethod({ provider: 'stripe', customer: 'cus_1', method: 'pm_1', fingerprint: 'f1' }))
  const set = await call('PUT', `/v1/auto-topup?account=${account}`, TERMS)
  assert.equal(set.status, 200, set.text)
  return {
    ...obol,
    stripe,
    account,
    becomes: (is) => until(async () => (await call('GET', `/v1/auto-topup?account=${account}`)).body.auto_topup, is),
    available: async () => (await call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits.available,
    tell: async (type, object) => {
      const { payload, signature } = stripe.event(type, object)
      const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
      const response = await fetch(`${url}/v1/payments/stripe/events`, { method: 'POST', body: payload, headers })
      await response.body?.cancel()
      return response.status
    },
  }
}

function onlyIntent({ stripe }: Scene): ReturnType<LocalStripe['intent']> {
  assert.equal(stripe.intents.size, 1)
  return [...stripe.intents.values()][0] ?? assert.fail('there is no intent')
}

test('a card at Stripe pays, once, and its refunds and disputes are heard of', async (t) => {
  const scene = await low(t)
  const paid = await scene.becomes(({ last_paid_at }) => last_paid_at !== null)
  assert.deepEqual([paid.status, await scene.available()], ['idle', '600'])
  const intent = onlyIntent(scene)
  assert.deepEqual([intent.amount, intent.customer, intent.payment_method], [550, 'cus_1', 'pm_1'])
  assert.ok(!scene.stripe.carriedOut.includes('GET /v1/payment_intents'), 'what is new is not looked for first')
  assert.equal(await scene.tell('payment_intent.succeeded', intent), 200)
  assert.equal(await scene.available(), '600')
  const refund = scene.stripe.refundByHand(intent.id, 275)
  assert.equal(await scene.tell('refund.created', scene.stripe.refunds.get(refund) ?? assert.fail()), 200)
  assert.equal(await scene.available(), '325')
  const dispute = scene.stripe.dispute(intent.id, 100)
  assert.equal(await scene.tell('charge.dispute.created', scene.stripe.disputes.get(dispute) ?? assert.fail()), 200)
  assert.deepEqual(
    [(await scene.becomes(({ status }) => status === 'paused')).spent_this_month_minor, await scene.available()],
    [550, '225'],
  )
})

for (const how of ['hang up', 500] as const)
  test(`an answer of Stripe's that is lost is asked for again, and the card is charged once (${how})`, async (t) => {
    const failure = { path: /POST \/v1\/payment_intents$/, when: 'after', how, times: 7 } as const
    const scene = await low(t, (stripe) => stripe.failures.push({ ...failure }))
    await scene.becomes(({ last_paid_at }) => last_paid_at !== null)
    assert.deepEqual([onlyIntent(scene).amount, await scene.available()], [550, '600'])
  })

test('money that takes its time is credited when it arrives, and nothing else is tried until then', async (t) => {
  const scene = await low(t, (stripe) => Object.assign(stripe, { intentStatus: 'processing' }))
  const { stripe, clock } = scene
  const { attempt } = await until(
    async () => (await scene.call('GET', `/v1/auto-topup?account=${scene.account}`)).body.auto_topup,
    () => stripe.intents.size === 1,
  )
  clock.nowMs += 4 * make.DAY_MS
  const now = await scene.becomes(({ status }) => status === 'charging')
  assert.equal(now.attempt.checkout_session, attempt.checkout_session)
  const intent = onlyIntent(scene)
  stripe.intents.set(intent.id, { ...intent, status: 'succeeded', amount_received: 550 })
  assert.equal(await scene.tell('payment_intent.succeeded', stripe.intent(intent.id)), 200)
  await scene.becomes(({ last_paid_at }) => last_paid_at !== null)
  assert.deepEqual([await scene.available(), stripe.intents.size], ['600', 1])
})

test('less than was asked for gives nothing, and stops what would come next', async (t) => {
  const scene = await low(t, (stripe) => Object.assign(stripe, { intentStatus: 'processing' }))
  await until(
    async () => scene.stripe.intents.size,
    (size) => size === 1,
  )
  const intent = onlyIntent(scene)
  scene.stripe.intents.set(intent.id, { ...intent, status: 'succeeded', amount_received: 549 })
  assert.equal(await scene.tell('payment_intent.succeeded', scene.stripe.intent(intent.id)), 200)
  const now = await scene.becomes(({ status }) => status === 'blocked')
  assert.deepEqual([now.blocked_by, await scene.available()], ['payment_mismatched', '50'])
})

for (const [code, status] of [
  ['stolen_card', 'suspended'],
  ['pickup_card', 'suspended'],
  ['insufficient_funds', 'backing_off'],
] as const)
  test(`a card that is declined for ${code} is ${status}, and what Stripe tells of it changes nothing`, async (t) => {
    const decline = { type: 'card_error', code: 'card_declined', decline_code: code, message: 'no' }
    const scene = await low(t, (stripe) => Object.assign(stripe, { decline }))
    const now = await scene.becomes(({ last_failure }) => last_failure !== null)
    assert.deepEqual([now.status, now.last_failure.code, now.attempts_in_24_hours, await scene.available()], [status, code, 1, '50'])
    assert.equal(scene.stripe.carriedOut.filter((call) => call === 'POST /v1/payment_intents').length, 1)
  })

test('what Stripe refuses for another reason takes no card away, and is not asked for again', async (t) => {
  const decline = { type: 'invalid_request_error', code: 'amount_too_small', message: 'Amount must be at least 50 cents' }
  const scene = await low(t, (stripe) => Object.assign(stripe, { decline }))
  const now = await scene.becomes(({ last_failure }) => last_failure !== null)
  assert.deepEqual([now.status, now.last_failure.code], ['suspended', 'amount_too_small'])
  const { body } = await scene.call('GET', `/v1/payment-method?account=${scene.account}`)
  assert.equal(body.payment_method.provider, 'stripe')
})

test('a bank that wants the customer has a page made, on which it is paid', async (t) => {
  const decline = { type: 'card_error', code: 'authentication_required', message: 'confirm' }
  const scene = await low(t, (stripe) => Object.assign(stripe, { decline }))
  const now = await scene.becomes(({ status }) => status === 'requires_action')
  const { stripe, clock } = scene
  assert.equal(now.attempt.action_url, stripe.lastSession.url)
  stripe.pay(stripe.lastSession.id)
  clock.nowMs += 16 * make.MINUTE_MS
  await reconcile(scene.obol.services)
  await scene.becomes(({ last_paid_at }) => last_paid_at !== null)
  assert.deepEqual([await scene.available(), stripe.sessions.size], ['600', 1])
})

test('a page that nobody used is over, and is a decline', async (t) => {
  const decline = { type: 'card_error', code: 'authentication_required', message: 'confirm' }
  const scene = await low(t, (stripe) => Object.assign(stripe, { decline }))
  await scene.becomes(({ status }) => status === 'requires_action')
  scene.stripe.expire(scene.stripe.lastSession.id)
  assert.equal(await scene.tell('checkout.session.expired', scene.stripe.lastSession), 200)
  const now = await scene.becomes(({ status }) => status === 'backing_off')
  assert.deepEqual([now.last_failure.code, now.spent_this_month_minor], ['page_expired', 0])
})
