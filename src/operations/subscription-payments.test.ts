/** Subscriptions that cost money, through the sandbox: paid on a page first, then without the customer, and what becomes of declines. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Shop } from '../../test/running/sandbox.ts'
import { openShop, until } from '../../test/running/sandbox.ts'
import { servicesOn } from '../../test/running/services.ts'
import { newPlace, STORE_KINDS, type StoreKind, TEST_START_MS } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import * as plan from '../../test/running/subscriptions.ts'
import { objectId } from '../core/ids.ts'
import type { JournalRecord } from '../core/record.ts'
import { type CheckoutOrder, type OffSessionOrder, type OffSessionOutcome, ProviderUnavailableError } from '../payments/provider.ts'
import { Sandbox } from '../payments/sandbox/sandbox.ts'
import type { Store } from '../stores/store.ts'
import { fulfil } from './fulfil.ts'
import type { Services } from './services.ts'
import { openPaymentPage, payForSubscriptions } from './subscription-payments.ts'

const DAY_MS = 86_400_000
const ADA = 1

type Body = Awaited<ReturnType<Shop['call']>>['body']

interface Scene extends Shop {
  readonly id: string
  readonly subscription: () => Promise<Body>
  readonly page: () => Promise<Body>
  /** Waits until the subscription is as wanted: servers see to payments by themselves. */
  readonly becomes: (is: (subscription: Body) => boolean) => Promise<Body>
  readonly post: (path: string, body?: unknown) => Promise<Body>
}

/** A shop with an account that has subscribed to a plan of 9.00 a month, and has not paid yet. */
async function subscribed(t: TestContext): Promise<Scene> {
  const shop = await openShop(t)
  const { call, account } = shop
  const post = async (path: string, body?: unknown): Promise<Body> => {
    const answer = await call('POST', path, body)
    assert.ok(answer.status < 300, answer.text)
    return answer.body
  }
  const price = { amount_minor: 900, currency: 'eur' }
  await call('PUT', '/v1/plans/pro', { name: 'Pro', credits: [{ amount: '100' }], welcome: [{ amount: '7' }], price })
  await call('PUT', '/v1/plans/max', { name: 'Max', credits: [{ amount: '300' }], price: { ...price, amount_minor: 2_700 } })
  const { id } = await post('/v1/subscriptions', { account, plan: 'pro' })
  const subscription = async (): Promise<Body> => (await call('GET', `/v1/subscriptions/${id}`)).body
  return {
    ...shop,
    id,
    post,
    subscription,
    page: async () => ({ url: (await post(`/v1/subscriptions/${id}/payment-page`)).payment.page_url }),
    becomes: (is) => until(subscription, is),
  }
}

/** One that was paid on its page, by a card that works later or not. */
async function paid(t: TestContext, action: 'pay' | 'pay_once' = 'pay'): Promise<Scene> {
  const scene = await subscribed(t)
  const { press, page, becomes } = scene
  assert.equal((await press(await page(), action)).status, 303)
  await becomes(({ status }) => status === 'active')
  return scene
}

test('a plan that costs money gives its credits when it is paid for, and what it was paid with pays for the next period', async (t) => {
  const { subscription, credits, page, press, becomes, clock, call, account } = await subscribed(t)
  const pending = await becomes(({ payment }) => payment?.last_failure === 'no_payment_method')
  assert.deepEqual([pending.status, pending.payment.amount_minor, await credits()], ['pending', 900, ['0', '0', '0']])
  const opened = await page()
  assert.deepEqual(await page(), opened, 'the same page, however often it is asked for')
  const answer = await press(opened, 'pay')
  const back = await fetch(answer.headers.get('location') ?? '')
  assert.match(await back.text(), /Your credits are ready/)
  const active = await subscription()
  assert.deepEqual([active.status, active.payment, active.last_payment.amount_minor], ['active', null, 900])
  assert.deepEqual(await credits(), ['107', '0', '0'])
  const { body } = await until(
    () => call('GET', `/v1/payment-method?account=${account}`),
    (method) => method.body.payment_method !== null,
  )
  assert.deepEqual([body.payment_method.provider, body.payment_method.mode], ['sandbox', 'test'])
  clock.nowMs = Date.parse(active.current_period.end) + 1_000
  const renewed = await becomes(({ last_payment }) => last_payment.payment !== active.last_payment.payment)
  assert.deepEqual([renewed.status, renewed.payment, await credits()], ['active', null, ['107', '0', '0']])
})

test('a card that is declined is tried again as often as is said and no more, and then the subscription is over', async (t) => {
  const { becomes, subscription, clock, credits, call, account } = await paid(t, 'pay_once')
  clock.nowMs = Date.parse((await subscription()).current_period.end) + 1_000
  for (let declines = 1; declines <= 4; declines++) {
    const now = await becomes(({ payment }) => payment?.declines === declines)
    assert.deepEqual([now.status, now.payment.last_failure], ['past_due', 'card_declined'])
    if (now.payment.next_attempt_at === null) assert.equal(declines, 4)
    else clock.nowMs = Date.parse(now.payment.next_attempt_at) + 1_000
  }
  assert.deepEqual(await credits(), ['7', '0', '0'], 'the period that is not paid for gives nothing')
  clock.nowMs = Date.parse((await subscription()).payment.ends_at) + 1_000
  const ended = await subscription()
  assert.deepEqual([ended.status, ended.ended_because, ended.payment], ['ended', 'unpaid', null])
  const { body } = await call('GET', `/v1/journal?account=${account}&limit=100`)
  const kinds = body.data.map(({ kind }: Body) => kind)
  assert.equal(kinds.filter((kind: string) => kind === 'subscription_payment_attempted').length, 5)
})

test('a customer whose card was declined pays on a page, and has the period', async (t) => {
  const { becomes, subscription, clock, credits, page, press } = await paid(t, 'pay_once')
  clock.nowMs = Date.parse((await subscription()).current_period.end) + 1_000
  await becomes(({ payment }) => payment?.declines === 1)
  await press(await page(), 'pay')
  const active = await becomes(({ status }) => status === 'active')
  assert.deepEqual([active.payment, await credits()], [null, ['107', '0', '0']])
})

test('a change to a dearer plan is paid first, from what was left for that, and explained', async (t) => {
  const { becomes, post, id, clock, subscription, credits } = await paid(t)
  const { start, end } = (await subscription()).current_period
  clock.nowMs = (Date.parse(start) + Date.parse(end)) / 2
  const preview = await post(`/v1/subscriptions/${id}/change/preview`, { plan: 'max' })
  assert.deepEqual([preview.takes_effect, preview.to_pay], ['with_payment', { amount_minor: 900, currency: 'eur' }])
  assert.deepEqual([preview.proration.credited_minor, preview.proration.charged_minor], [450, 1_350])
  const waiting = await post(`/v1/subscriptions/${id}/change`, { plan: 'max' })
  assert.deepEqual(waiting.proration, preview.proration)
  const changed = await becomes((now) => now.plan === 'max')
  assert.deepEqual([changed.payment, changed.last_payment.amount_minor], [null, 900])
  assert.deepEqual(await credits(), ['207', '0', '0'], 'half of 200 more')
})

test('an open page keeps nobody from canceling: no money is taken on it any more', async (t) => {
  const { page, press, post, id, call, credits } = await subscribed(t)
  const opened = await page()
  const canceled = await post(`/v1/subscriptions/${id}/cancel`)
  assert.deepEqual([canceled.status, canceled.ended_because], ['ended', 'canceled'])
  await press(opened, 'pay')
  assert.deepEqual(await credits(), ['0', '0', '0'])
  assert.equal((await call('POST', `/v1/subscriptions/${id}/payment-page`)).body.code, 'subscription_not_found')
})

/**
 * The sandbox, to which questions about payments without the customer do not get through every so often, and whose answers are lost then:
 * as if whoever asked was killed before, or after. It counts what it was asked for.
 */
class ForgetfulSandbox extends Sandbox {
  readonly asked = new Map<string, number>()
  lost = 0

  override async payOffSession(order: OffSessionOrder): Promise<OffSessionOutcome> {
    const times = (this.asked.get(order.attempt) ?? 0) + 1
    this.asked.set(order.attempt, times)
    const isLost = this.lost-- > 0
    if (isLost && this.lost % 2 === 1) throw new ProviderUnavailableError('the question was lost')
    const outcome = await super.payOffSession(order)
    if (isLost) throw new ProviderUnavailableError('the answer was lost')
    return outcome
  }
}

async function nodesOn(
  stores: readonly Store[],
  clock: { readonly nowMs: number },
  sandbox: ForgetfulSandbox,
): Promise<readonly Services[]> {
  const payments = { provider: sandbox, returnUrl: (checkout: string) => `https://obol.example/${checkout}` }
  return Promise.all(stores.map((store) => servicesOn(store, { clock: () => clock.nowMs, payments })))
}

async function recordsOf(store: Store): Promise<readonly JournalRecord[]> {
  return (await store.records(ADA, { limit: 1_000, after: 0 })).records
}

/** Opens stores on one place: two where several may share it. */
async function openNodes(t: TestContext, kind: StoreKind, clock: { readonly nowMs: number }): Promise<readonly Store[]> {
  const place = await newPlace(kind)
  const stores = await Promise.all(Array.from({ length: kind === 'sqlite' ? 1 : 2 }, () => place.open(() => clock.nowMs)))
  t.after(async () => {
    for (const store of stores) await store.close()
    const { differences } = await place.audit()
    await place.remove()
    assert.deepEqual(differences, [])
  })
  return stores
}

for (const kind of STORE_KINDS)
  test(`months of renewals are paid for once each, whoever asks, however often, and whatever is lost on the way (${kind})`, async (t) => {
    const clock = { nowMs: TEST_START_MS }
    const stores = await openNodes(t, kind, clock)
    const [store] = stores
    assert.ok(store)
    const parts = { checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl: () => 'https://x/sandbox' }
    const sandbox = new ForgetfulSandbox(parts)
    const nodes = await nodesOn(stores, clock, sandbox)
    await make.openAccount(store, ADA, 0)
    await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works' }))
    const subscription = await make.seqOf(store, ADA, plan.start({ price: 900 }))
    const look = async (isThorough = false): Promise<void> => {
      // What the table has is written when the account is read, if not before.
      for (const each of stores) await each.subscriptions(ADA, { limit: 1 })
      const looks = [...nodes, ...nodes].map((services) => payForSubscriptions(services, { isThorough }))
      for (const outcome of await Promise.allSettled(looks))
        if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof ProviderUnavailableError, String(outcome.reason))
    }
    for (let month = 0; month < 6; month++) {
      sandbox.lost = month % 3
      for (let turn = 0; turn < 3; turn++) await look(turn === 2)
      clock.nowMs += 31 * DAY_MS
      for (const each of stores) await make.send(each, ADA, make.BOOK_DUE, { actor: 'time' })
    }
    const records = await recordsOf(store)
    const of = (wanted: JournalRecord['kind']): number => records.filter((record) => record.kind === wanted).length
    assert.deepEqual(
      [of('subscription_paid'), of('subscription_payment_attempted'), of('subscription_payment_mismatched'), of('subscription_granted')],
      [6, 6, 0, 6],
    )
    assert.equal(sandbox.asked.size, 6, 'one payment for each period')
    const payments = records.flatMap((record) => (record.kind === 'subscription_paid' ? [record.payment.payment] : []))
    assert.equal(new Set(payments).size, 6)
    assert.equal((await store.subscription(ADA, subscription))?.collection?.amountMinor, 900, 'the seventh is wanted')
  })

test('what was asked for stays asked of the same customer, also when they forget or change what they pay with meanwhile', async (t) => {
  const clock = { nowMs: TEST_START_MS }
  const [store] = await openNodes(t, 'sqlite', clock)
  assert.ok(store)
  const parts = { checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl: () => 'x' }
  const sandbox = new ForgetfulSandbox(parts)
  const [services] = await nodesOn([store], clock, sandbox)
  assert.ok(services)
  await make.openAccount(store, ADA, 0)
  await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works' }))
  const subscription = await make.seqOf(store, ADA, plan.start({ price: 900 }))
  for (const [lost, meanwhile] of [
    [2, plan.removeMethod()],
    [1, plan.saveMethod({ customer: 'another', method: 'sbx_card_declines' })],
  ] as const) {
    await store.subscriptions(ADA, { limit: 1 })
    sandbox.lost = lost
    await assert.rejects(payForSubscriptions(services, { isThorough: false }), ProviderUnavailableError)
    await make.make(store, ADA, meanwhile)
    if (lost === 2) await assert.rejects(payForSubscriptions(services, { isThorough: false }), ProviderUnavailableError)
    await payForSubscriptions(services, { isThorough: false })
    const paid = await store.subscription(ADA, subscription)
    assert.deepEqual([paid?.collection, paid?.lastPayment?.amountMinor], [null, 900])
    if (lost === 2) await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works' }))
    clock.nowMs += 31 * DAY_MS
    await make.send(store, ADA, make.BOOK_DUE, { actor: 'time' })
  }
})

test('a customer or a card that is gone is forgotten, and nobody is charged', async (t) => {
  const clock = { nowMs: TEST_START_MS }
  const [store] = await openNodes(t, 'sqlite', clock)
  assert.ok(store)
  const sandbox = new ForgetfulSandbox({
    checkouts: store.sandboxCheckouts,
    secret: store.secret,
    clock: () => clock.nowMs,
    pagesUrl: () => 'x',
  })
  sandbox.payOffSession = async () => ({ status: 'unusable', reason: 'No such customer' })
  const [services] = await nodesOn([store], clock, sandbox)
  assert.ok(services)
  await make.openAccount(store, ADA, 0)
  await make.make(store, ADA, plan.saveMethod())
  const subscription = await make.seqOf(store, ADA, plan.start({ price: 900 }))
  await store.subscriptions(ADA, { limit: 1 })
  await payForSubscriptions(services, { isThorough: false })
  const state = await store.state(ADA)
  const known = state?.subscriptions.find(({ seq }) => seq === subscription)
  assert.deepEqual([state?.paymentMethod, known?.collection?.lastFailure, known?.collection?.declines], [null, 'no_payment_method', 0])
})

/** A subscription that is to be paid for on a page, and a sandbox that does as it is told. */
async function onPage(t: TestContext) {
  const clock = { nowMs: TEST_START_MS }
  const [store] = await openNodes(t, 'sqlite', clock)
  assert.ok(store)
  const parts = { checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl: () => 'https://x/sandbox' }
  const sandbox = new ForgetfulSandbox(parts)
  const [services] = await nodesOn([store], clock, sandbox)
  assert.ok(services)
  await make.openAccount(store, ADA, 0)
  const seq = await make.seqOf(store, ADA, plan.start({ price: 900 }))
  const caller = { actor: 'operator', requestId: null, idempotency: null } as const
  const open = () => openPaymentPage(services, caller, { account: ADA, seq })
  return { clock, store, sandbox, services, open, collection: async () => (await store.subscription(ADA, seq))?.collection }
}

test('what a customer took away, or left since, is not undone by what is heard of an earlier payment', async (t) => {
  const { store, sandbox, services, open, collection } = await onPage(t)
  await open()
  const attempt = (await collection())?.attempt
  const { payments } = services
  assert.ok(attempt?.page && payments)
  const { reference } = attempt.page
  const payment = { reference, payment: 'sbx_pay_1', isLive: false, amountMinor: 900, totalMinor: 900, currency: 'eur' }
  const method = { customer: 'first', method: 'sbx_card_works', label: 'a card', fingerprint: null }
  const checkout = objectId('pay', ADA, attempt.seq)
  sandbox.look = async () => ({ reference, checkout, status: 'paid', payment, method, refunds: [], disputes: [] })
  const customer = async (): Promise<string | undefined> => (await store.state(ADA))?.paymentMethod?.customer
  await fulfil(services, payments, reference)
  assert.deepEqual([await collection(), await customer()], [null, 'first'])
  await make.make(store, ADA, plan.removeMethod())
  await fulfil(services, payments, reference)
  assert.equal(await customer(), undefined)
  await make.make(store, ADA, plan.saveMethod({ customer: 'second' }))
  await fulfil(services, payments, reference)
  assert.equal(await customer(), 'second')
})

test('a page whose answer was lost is asked for in the same words, and given up when it would be over', async (t) => {
  const { clock, sandbox, services, open, collection } = await onPage(t)
  const orders: CheckoutOrder[] = []
  const makeCheckout = sandbox.makeCheckout.bind(sandbox)
  sandbox.makeCheckout = async (order) => {
    orders.push(order)
    throw new ProviderUnavailableError('the answer was lost')
  }
  await assert.rejects(open(), ProviderUnavailableError)
  clock.nowMs += 2_000
  await assert.rejects(open(), ProviderUnavailableError)
  assert.deepEqual(orders[1], orders[0])
  await payForSubscriptions(services, { isThorough: false })
  const first = (await collection())?.attempt?.seq
  assert.notEqual(first, undefined)
  sandbox.makeCheckout = makeCheckout
  clock.nowMs += sandbox.checkoutTtlMs - 60_000
  await open()
  const second = (await collection())?.attempt
  assert.ok(second?.page)
  assert.notEqual(second.seq, first)
})

test('a page that was never made does not keep a subscription waiting for ever', async (t) => {
  const { clock, sandbox, services, open, collection } = await onPage(t)
  sandbox.makeCheckout = async () => {
    throw new ProviderUnavailableError('the answer was lost')
  }
  await assert.rejects(open(), ProviderUnavailableError)
  clock.nowMs += sandbox.checkoutTtlMs
  await payForSubscriptions(services, { isThorough: false })
  assert.deepEqual([(await collection())?.attempt, (await collection())?.lastFailure], [null, 'page_expired'])
})
