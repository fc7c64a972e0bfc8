/** Automatic top-ups through the sandbox: what a customer lives through, and what happens when questions and answers are lost. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { OPTIONS, setTopup } from '../../test/running/auto-topups.ts'
import * as buy from '../../test/running/purchases.ts'
import { openShop, type Shop, until } from '../../test/running/sandbox.ts'
import { servicesOn } from '../../test/running/services.ts'
import { newPlace, STORE_KINDS, type StoreKind, TEST_START_MS } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import * as plan from '../../test/running/subscriptions.ts'
import { COOLDOWN_MS, MAX_DECLINES } from '../core/auto-topup.ts'
import { accountId, objectId } from '../core/ids.ts'
import type { JournalRecord } from '../core/record.ts'
import { isRefusal } from '../core/refusals.ts'
import { type OffSessionOrder, type OffSessionOutcome, ProviderUnavailableError } from '../payments/provider.ts'
import { Sandbox } from '../payments/sandbox/sandbox.ts'
import type { Store } from '../stores/store.ts'
import { topUpAccounts } from './auto-topups.ts'
import { cancelCheckout } from './checkouts.ts'
import { fulfil } from './fulfil.ts'
import { reconcile } from './reconcile.ts'
import type { Services } from './services.ts'
import { setTopupOptions } from './topup-options.ts'

const ADA = 1
const TERMS = { threshold: '50', target: '600', monthly_cap_minor: 5_000, consent: { by: 'Ada', text: 'v1' } }

type Body = Awaited<ReturnType<Shop['call']>>['body']

interface Scene extends Shop {
  readonly autoTopup: () => Promise<Body>
  readonly becomes: (is: (autoTopup: Body) => boolean) => Promise<Body>
  readonly spend: (amount: string) => Promise<void>
}

/** A shop with an account that has bought 1000 credits and left its card, and is to be topped up to 600 at 50. */
async function watched(t: TestContext, action: string, terms: object = TERMS): Promise<Scene> {
  const shop = await openShop(t)
  const { call, account, open, press, session } = shop
  const opened = await open({ amount_minor: 1_000, save_payment_method: true })
  assert.equal((await press(opened, action)).status, 303)
  await until(
    () => session(opened.id),
    ({ status }) => status === 'paid',
  )
  const set = await call('PUT', `/v1/auto-topup?account=${account}`, terms)
  assert.deepEqual([set.status, set.body.auto_topup?.status], [200, 'idle'], set.text)
  const autoTopup = async (): Promise<Body> => (await call('GET', `/v1/auto-topup?account=${account}`)).body.auto_topup
  const spend = async (amount: string): Promise<void> => {
    const { status, text } = await call('POST', '/v1/charges', { account, operation: 'work', amount })
    assert.equal(status, 201, text)
  }
  return { ...shop, autoTopup, spend, becomes: (is) => until(autoTopup, is) }
}

test('credits that run low are bought by themselves, once, as if the customer had bought them', async (t) => {
  const { becomes, spend, credits, call, account } = await watched(t, 'pay')
  await spend('949')
  assert.equal((await call('GET', `/v1/credits?account=${account}`)).body.auto_top_up.status, 'idle')
  await spend('1')
  const paid = await becomes(({ last_paid_at }) => last_paid_at !== null)
  assert.deepEqual([paid.status, paid.spent_this_month_minor, paid.attempts_in_24_hours, paid.attempt], ['idle', 550, 1, null])
  assert.deepEqual(await credits(), ['600', '0', '0'])
  const { data } = (await call('GET', `/v1/topups?account=${account}`)).body
  assert.deepEqual([data.length, data[0].amount_minor, data[0].status], [2, 550, 'paid'])
  const session = (await call('GET', `/v1/checkout-sessions/${data[0].checkout_session}`)).body
  assert.deepEqual([session.status, session.topup, session.metadata], ['paid', data[0].id, { source: 'auto_topup' }])
  const events = (await call('GET', '/v1/events?limit=100')).body.data.map(({ type }: Body) => type)
  const told = events.filter((type: string) => type.startsWith('auto_topup.'))
  assert.deepEqual(told, ['auto_topup.updated', 'auto_topup.triggered', 'auto_topup.attempted', 'auto_topup.paid'])
})

test('what was bought so is refunded and disputed as every purchase is, and a dispute stops the next one', async (t) => {
  const { becomes, spend, credits, call, account, clock } = await watched(t, 'pay')
  await spend('950')
  await becomes(({ last_paid_at }) => last_paid_at !== null)
  const [{ id }] = (await call('GET', `/v1/topups?account=${account}`)).body.data
  const refunded = await call('POST', `/v1/topups/${id}/refund`, { amount_minor: 275 })
  assert.deepEqual([refunded.status, refunded.body.status, await credits()], [201, 'partly_refunded', ['325', '0', '0']])
  assert.equal((await call('POST', `/v1/topups/${id}/simulate`, { event: 'dispute' })).status, 202)
  clock.nowMs += 2 * COOLDOWN_MS
  await becomes(({ status }) => status === 'paused')
  await until(credits, ([, held]) => held === '275')
  await call('POST', `/v1/topups/${id}/simulate`, { event: 'win_dispute' })
  await becomes(({ status }) => status !== 'paused')
})

test('a declined card is tried as often as is said, and another card is tried at once', async (t) => {
  const { becomes, spend, credits, clock, open, press, call, account } = await watched(t, 'pay_once')
  await spend('950')
  for (let declines = 1; declines <= MAX_DECLINES; declines++) {
    const now = await becomes((topup) => topup.declines === declines && topup.attempt === null)
    assert.deepEqual([now.status, now.last_failure.code], [declines < MAX_DECLINES ? 'backing_off' : 'suspended', 'card_declined'])
    if (now.next_attempt_at !== null) clock.nowMs = Date.parse(now.next_attempt_at)
  }
  clock.nowMs += 90 * make.DAY_MS
  assert.equal((await becomes(({ status }) => status === 'suspended')).attempts_in_24_hours, 0)
  await spend('50')
  await press(await open({ amount_minor: 500, save_payment_method: true }), 'pay')
  await becomes(({ status }) => status === 'triggered' || status === 'idle')
  await until(credits, ([available]) => available === '500')
  await spend('450')
  await until(credits, ([available]) => available === '600')
  const kinds = (await call('GET', `/v1/journal?account=${account}&limit=100`)).body.data.map(({ kind }: Body) => kind)
  assert.equal(kinds.filter((kind: string) => kind === 'auto_topup_failed').length, MAX_DECLINES)
})

test('a stolen card is tried once', async (t) => {
  const { becomes, spend } = await watched(t, 'pay_stolen')
  await spend('950')
  const now = await becomes(({ status }) => status === 'suspended')
  assert.deepEqual([now.declines, now.attempts_in_24_hours, now.last_failure.code], [1, 1, 'stolen_card'])
})

test('a payment that the customer has to confirm has a page, and is credited when it is confirmed there', async (t) => {
  const { becomes, spend, credits, press, call, account } = await watched(t, 'pay_confirming')
  await spend('950')
  const now = await becomes(({ status }) => status === 'requires_action')
  assert.equal((await call('GET', `/v1/credits?account=${account}`)).body.auto_top_up.action_url, now.attempt.action_url)
  const answer = await press({ url: now.attempt.action_url }, 'pay_confirming')
  const back = await fetch(answer.headers.get('location') ?? '')
  assert.match(await back.text(), /Your credits are ready/)
  assert.deepEqual([(await becomes(({ status }) => status === 'idle')).spent_this_month_minor, await credits()], [550, ['600', '0', '0']])
})

test('a page on which nothing is confirmed ends, and the card is tried again later', async (t) => {
  const { becomes, spend, clock, call, credits } = await watched(t, 'pay_confirming')
  await spend('950')
  const { attempt } = await becomes(({ status }) => status === 'requires_action')
  const canceled = await call('POST', `/v1/checkout-sessions/${attempt.checkout_session}/cancel`)
  assert.deepEqual([canceled.status, canceled.body.status], [200, 'failed'], canceled.text)
  const now = await becomes(({ status }) => status === 'backing_off')
  assert.deepEqual([now.last_failure.code, now.spent_this_month_minor, await credits()], ['page_canceled', 0, ['50', '0', '0']])
  clock.nowMs = Date.parse(now.next_attempt_at)
  await becomes((topup) => topup.attempt?.action_url && topup.attempt.checkout_session !== attempt.checkout_session)
})

test('an answer that is lost is asked for again, and the money is taken once', async (t) => {
  const { becomes, spend, credits, call, account } = await watched(t, 'pay_lost')
  await spend('950')
  await becomes(({ last_paid_at }) => last_paid_at !== null)
  assert.deepEqual(await credits(), ['600', '0', '0'])
  assert.equal((await call('GET', `/v1/topups?account=${account}`)).body.data.length, 2)
})

test('terms that say nothing, or too much, are turned away', async (t) => {
  const { call, account, autoTopup } = await watched(t, 'pay')
  const { target: _, ...without } = TERMS
  for (const [body, pointer] of [
    [{ ...TERMS, amount_minor: 500 }, '#/target'],
    [without, '#/target'],
    [{ ...TERMS, target: '50' }, '#/target'],
    [{ ...TERMS, target: '0' }, '#/target'],
    [{ ...TERMS, threshold: '-1' }, '#/threshold'],
    [{ ...without, amount_minor: 5_001 }, '#/monthly_cap_minor'],
  ] as const) {
    const answer = await call('PUT', `/v1/auto-topup?account=${account}`, body)
    assert.deepEqual([answer.status, answer.body.errors?.[0].pointer], [400, pointer], answer.text)
  }
  const small = await call('PUT', `/v1/auto-topup?account=${account}`, { ...without, amount_minor: 499 })
  assert.equal(small.body.code, 'topup_amount_out_of_range')
  assert.equal((await autoTopup()).target, '600', 'none of this changed anything')
  assert.deepEqual((await call('DELETE', `/v1/auto-topup?account=${account}`)).body, { auto_topup: null })
  assert.equal(await autoTopup(), null)
  const off = await call('PUT', `/v1/auto-topup?account=${account}`, { ...without, enabled: false, amount_minor: 500 })
  assert.deepEqual([off.body.auto_topup.status, off.body.auto_topup.amount_minor], ['off', 500])
})

/** The sandbox, to which questions do not get through every so often, and whose answers are lost then. It counts what it was asked for. */
class ForgetfulSandbox extends Sandbox {
  readonly asked = new Map<string, number>()
  lost = 0

  override async payOffSession(order: OffSessionOrder): Promise<OffSessionOutcome> {
    this.asked.set(order.attempt, (this.asked.get(order.attempt) ?? 0) + 1)
    const isLost = this.lost-- > 0
    if (isLost && this.lost % 2 === 1) throw new ProviderUnavailableError('the question was lost')
    const outcome = await super.payOffSession(order)
    if (isLost) throw new ProviderUnavailableError('the answer was lost')
    return outcome
  }
}

interface Nodes {
  readonly stores: readonly Store[]
  readonly store: Store
  readonly sandbox: ForgetfulSandbox
  readonly services: readonly Services[]
  readonly clock: { nowMs: number }
  /** Every server looks, twice at once; what is not known then is asked again later. */
  readonly look: (isThorough?: boolean) => Promise<void>
}

/** Servers on one place: two where several may share it. */
async function openNodes(t: TestContext, kind: StoreKind): Promise<Nodes> {
  const clock = { nowMs: TEST_START_MS }
  const place = await newPlace(kind)
  const stores = await Promise.all(Array.from({ length: kind === 'sqlite' ? 1 : 2 }, () => place.open(() => clock.nowMs)))
  t.after(async () => {
    for (const store of stores) await store.close()
    const { differences } = await place.audit()
    await place.remove()
    assert.deepEqual(differences, [])
  })
  const [store] = stores
  assert.ok(store)
  const parts = { checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl: () => 'https://x/sandbox' }
  const sandbox = new ForgetfulSandbox(parts)
  const payments = { provider: sandbox, returnUrl: (checkout: string) => `https://obol.example/${checkout}` }
  const services = await Promise.all(stores.map((one) => servicesOn(one, { clock: () => clock.nowMs, payments })))
  const { version: _, ...options } = OPTIONS
  await setTopupOptions({ store, clock: () => clock.nowMs }, options)
  await make.openAccount(store, ADA, 100)
  const look = async (isThorough = false): Promise<void> => {
    // What the table has is written when the account is read, if not before.
    for (const each of stores) await each.purchases(ADA, { limit: 1 })
    const looks = [...services, ...services].map((one) => topUpAccounts(one, { isThorough }))
    for (const outcome of await Promise.allSettled(looks))
      if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof ProviderUnavailableError, String(outcome.reason))
  }
  return { stores, store, sandbox, services, clock, look }
}

async function recordsOf(store: Store): Promise<readonly JournalRecord[]> {
  return (await store.records(ADA, { limit: 1_000, after: 0 })).records
}

function count(records: readonly JournalRecord[], kind: JournalRecord['kind']): number {
  return records.filter((record) => record.kind === kind).length
}

for (const kind of STORE_KINDS)
  test(`each attempt takes money once, whoever asks, however often, and whatever is lost on the way (${kind})`, async (t) => {
    const { store, sandbox, clock, look } = await openNodes(t, kind)
    await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works', fingerprint: 'works' }))
    await make.make(store, ADA, setTopup({ capMinor: 100_000 }))
    for (let time = 0; time < 6; time++) {
      sandbox.lost = time % 4
      await make.make(store, ADA, make.charge(95))
      for (let turn = 0; turn < 3; turn++) await look(turn === 2)
      await make.make(store, ADA, make.charge(5))
      clock.nowMs += make.DAY_MS
    }
    const records = await recordsOf(store)
    assert.deepEqual([count(records, 'auto_topup_attempted'), count(records, 'topup'), sandbox.asked.size], [6, 6, 6])
    assert.deepEqual([count(records, 'payment_mismatched'), count(records, 'auto_topup_failed')], [0, 0])
    const payments = records.flatMap((record) => (record.kind === 'topup' ? [record.payment.payment] : []))
    assert.equal(new Set(payments).size, 6)
  })

for (const kind of STORE_KINDS)
  test(`whoever hears of the payment first, and however late, it is credited once (${kind})`, async (t) => {
    const { store, sandbox, services, look, clock } = await openNodes(t, kind)
    await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works', fingerprint: 'works' }))
    await make.make(store, ADA, setTopup())
    await make.make(store, ADA, make.charge(95))
    sandbox.lost = 1_000
    for (let turn = 0; turn < 4; turn++) await look()
    const attempted = (await recordsOf(store)).find((record) => record.kind === 'auto_topup_attempted')
    assert.ok(attempted)
    clock.nowMs += 3 * make.DAY_MS
    await look()
    assert.equal(count(await recordsOf(store), 'auto_topup_attempted'), 1, 'it is in flight until somebody says what came of it')
    sandbox.lost = 0
    const news = async (one: Services): Promise<void> => {
      const outcome = await sandbox.payOffSession({ ...orderOf(attempted), isRepeated: true })
      assert.ok(outcome.status === 'paid' && one.payments)
      await fulfil(one, one.payments, outcome.payment)
    }
    await Promise.all([...services.flatMap((one) => [news(one), reconcile(one)]), look(true), look()])
    const records = await recordsOf(store)
    assert.deepEqual([count(records, 'topup'), count(records, 'payment_mismatched'), sandbox.asked.size], [1, 0, 1])
    assert.equal((await store.purchase(ADA, attempted.seq))?.status, 'paid')
  })

function orderOf(record: JournalRecord): OffSessionOrder {
  assert.ok(record.kind === 'auto_topup_attempted')
  const { terms, customer, method, seq } = record
  const names = { attempt: objectId('pay', ADA, seq), checkout: objectId('cs', ADA, seq), account: accountId(ADA) }
  return { ...names, customer, paymentMethod: method, amountMinor: terms.amountMinor, currency: terms.currency }
}

test('what is being paid without the customer cannot be canceled meanwhile, and says so', async (t) => {
  const { store, sandbox, services, look } = await openNodes(t, 'sqlite')
  await make.make(store, ADA, plan.saveMethod({ method: 'sbx_card_works', fingerprint: 'works' }))
  await make.make(store, ADA, setTopup())
  await make.make(store, ADA, make.charge(95))
  sandbox.lost = 1_000
  await look()
  const attempted = (await recordsOf(store)).find((record) => record.kind === 'auto_topup_attempted')
  const [one] = services
  assert.ok(one && attempted)
  const outcome = await cancelCheckout(one, { actor: 'operator', requestId: null }, { account: ADA, seq: attempted.seq })
  assert.equal(isRefusal(outcome) && outcome.refused, 'payment_in_flight')
})

test('a card that is gone is forgotten, and is no decline', async (t) => {
  const { store, sandbox, look, clock } = await openNodes(t, 'sqlite')
  sandbox.payOffSession = async () => ({ status: 'unusable', reason: 'No such customer' })
  await make.make(store, ADA, plan.saveMethod())
  await make.make(store, ADA, setTopup({ threshold: 1_000 }))
  for (let turn = 0; turn < 3; turn++) await look()
  clock.nowMs += make.DAY_MS
  await look(true)
  const state = await store.state(ADA)
  assert.deepEqual([state?.paymentMethod, state?.autoTopup?.declined, state?.autoTopup?.pause?.why], [null, [], 'no_payment_method'])
  assert.equal(count(await recordsOf(store), 'auto_topup_attempted'), 1)
  assert.equal(await make.outcomeOf(store, ADA, buy.closeCheckout(1)), 'checkout_session_not_found')
})
