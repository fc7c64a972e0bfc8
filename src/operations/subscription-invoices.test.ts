/** Where subscriptions and invoices meet: what each payment, and what went back of it, has; what a month shows; and test clocks. On each store. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { servicesOn } from '../../test/running/services.ts'
import { openTestStore, STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import * as plan from '../../test/running/subscriptions.ts'
import type { PurchaseBody, StatementType } from '../core/invoice-body.ts'
import type { JournalRecord } from '../core/record.ts'
import { isRefusal } from '../core/refusals.ts'
import { Sandbox } from '../payments/sandbox/sandbox.ts'
import type { Store } from '../stores/store.ts'
import { fulfil } from './fulfil.ts'
import { type InvoiceView, issueNoted, listInvoices } from './invoices.ts'
import { issueMonthlyStatements } from './monthly-statements.ts'
import type { Payments } from './payments.ts'
import type { Services } from './services.ts'
import { issueStatement } from './statements.ts'
import { payForSubscriptions } from './subscription-payments.ts'

const ADA = 1
const { DAY_MS } = make

interface Scene {
  readonly store: Store
  readonly services: Services
  readonly clock: { nowMs: number }
  readonly sandbox: Sandbox
  readonly payments: Payments
  /** Has what is due paid for. */
  readonly pay: () => Promise<void>
  readonly invoices: () => Promise<readonly InvoiceView[]>
  /** The sandbox's names of the payments, in order. */
  readonly references: () => Promise<readonly string[]>
}

async function openScene(t: TestContext, kind: StoreKind): Promise<Scene> {
  const { store, clock } = await openTestStore(t, kind)
  const parts = { checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl: () => 'https://x/sandbox' }
  const sandbox = new Sandbox(parts)
  const payments = { provider: sandbox, returnUrl: (checkout: string) => `https://obol.example/${checkout}` }
  const services = await servicesOn(store, { clock: () => clock.nowMs, payments })
  const records = async (account = ADA): Promise<readonly JournalRecord[]> =>
    (await store.records(account, { limit: 1_000, after: 0 })).records
  return {
    store,
    services,
    clock,
    sandbox,
    payments,
    pay: async () => {
      // What the table has is written when the account is read, if not before.
      await store.subscriptions(ADA, { limit: 1 })
      await payForSubscriptions(services, { isThorough: false })
    },
    invoices: () => listInvoices(services, ADA, { after: 0, limit: 100 }),
    references: async () =>
      (await records()).flatMap((record) =>
        record.kind === 'subscription_paid' ? [record.payment.payment.replace('sbx_pay_', 'sbx_')] : [],
      ),
  }
}

/** An account that has subscribed to a plan of 9.00 a month, and left a card that works. */
async function subscribe({ store }: Scene, account = ADA): Promise<number> {
  await make.make(store, account, plan.saveMethod({ method: 'sbx_card_works' }))
  return make.seqOf(store, account, plan.start({ plan: 'studio', name: 'Studio', price: 900 }))
}

function bodyOf({ body }: InvoiceView): PurchaseBody {
  assert.ok(body.about !== 'month')
  return body
}

const numbersOf = (views: readonly InvoiceView[]): readonly string[] => views.map(({ number }) => number)

for (const kind of STORE_KINDS) {
  test(`each period that is paid for has one receipt, which says what it was for (${kind})`, async (t) => {
    const scene = await openScene(t, kind)
    const { store, clock, pay, invoices } = scene
    await make.openAccount(store, ADA, 0)
    const subscription = await subscribe(scene)
    for (let month = 0; month < 3; month++) {
      await pay()
      await pay()
      clock.nowMs += 31 * DAY_MS
      await make.send(store, ADA, make.BOOK_DUE, { actor: 'time' })
    }
    const views = await invoices()
    assert.deepEqual(numbersOf(views), ['TEST-INV-000001', 'TEST-INV-000002', 'TEST-INV-000003'])
    const periods = views.map((view) => {
      const { sold, money } = bodyOf(view)
      assert.ok(sold.of === 'subscription')
      const { startMs, endMs, ...what } = sold
      assert.deepEqual(what, { of: 'subscription', subscription, plan: 'studio', version: 1, name: 'Studio', isChange: false })
      assert.deepEqual([view.kind, money.totalMinor, money.currency], ['receipt', 900, 'eur'])
      return [startMs, endMs]
    })
    assert.ok(periods[0]?.[1] === periods[1]?.[0] && periods[1]?.[1] === periods[2]?.[0])
  })

  test(`what goes back of a period's payment has credit notes, once, never for more than was paid (${kind})`, async (t) => {
    const scene = await openScene(t, kind)
    const { store, services, payments, sandbox, pay, invoices, references } = scene
    await make.openAccount(store, ADA, 0)
    await subscribe(scene)
    await pay()
    const [reference = ''] = await references()
    const hear = async (): Promise<void> => {
      for (let times = 0; times < 2; times++) await fulfil(services, payments, reference)
    }
    const of = { reference, payment: reference, isLive: false, amountMinor: 900, totalMinor: 900, currency: 'eur' }
    await sandbox.refund({ payment: of, request: 'one', amountMinor: 300 })
    await hear()
    assert.ok(await sandbox.happen(reference, 'fail_refund'))
    await hear()
    await sandbox.refund({ payment: of, request: 'two', amountMinor: 200 })
    await hear()
    assert.ok(await sandbox.happen(reference, 'dispute'))
    await hear()
    assert.ok(await sandbox.happen(reference, 'lose_dispute'))
    await hear()
    const told = (await invoices()).map((view) => {
      const { about, corrects, money } = bodyOf(view)
      return [view.number, about, money.totalMinor, corrects?.number ?? null]
    })
    assert.deepEqual(told.slice(0, 4), [
      ['TEST-INV-000001', 'payment', 900, null],
      ['TEST-CN-000001', 'refund', 300, 'TEST-INV-000001'],
      ['TEST-INV-000002', 'failed_refund', 300, 'TEST-CN-000001'],
      ['TEST-CN-000002', 'refund', 200, 'TEST-INV-000001'],
    ])
    assert.deepEqual([told.length, ...(told[4] ?? [])], [5, 'TEST-CN-000003', 'dispute', 700, 'TEST-INV-000001'])
    const kinds = (await store.records(ADA, { limit: 100, after: 0 })).records.map((record) => record.kind)
    assert.equal(kinds.filter((one) => one === 'subscription_payment_returned').length, 4)
  })

  test(`a payment that was put on record by a server that died then has its invoice, one that gave nothing has none (${kind})`, async (t) => {
    const scene = await openScene(t, kind)
    const { store, services, clock, invoices } = scene
    await make.openAccount(store, ADA, 0)
    const subscription = await subscribe(scene)
    const attempt = await make.seqOf(store, ADA, plan.attempt(subscription))
    await store.invoices.note(ADA, attempt, clock.nowMs)
    assert.deepEqual(await invoices(), [], 'nothing has been paid')
    const told = { ...plan.pay(subscription, 900), attempt } as Parameters<typeof make.make>[2]
    await make.make(store, ADA, told)
    await make.make(store, ADA, make.charge(3))
    assert.deepEqual(numbersOf(await invoices()), ['TEST-INV-000001'])
    await make.make(store, ADA, plan.giveBack(subscription, attempt))
    clock.nowMs += 2 * 3_600_000
    await issueNoted(services)
    assert.deepEqual(numbersOf(await invoices()), ['TEST-INV-000001', 'TEST-CN-000001'])
    assert.deepEqual(await store.invoices.noted({ account: null, beforeMs: Number.MAX_SAFE_INTEGER, limit: 10 }), [])
    clock.nowMs += 31 * DAY_MS
    await make.send(store, ADA, make.BOOK_DUE, { actor: 'time' })
    const second = await make.seqOf(store, ADA, plan.attempt(subscription))
    await store.invoices.note(ADA, second, clock.nowMs)
    const wrong = { ...plan.pay(subscription, 899, { payment: 'wrong' }), attempt: second } as Parameters<typeof make.make>[2]
    await make.make(store, ADA, wrong)
    assert.equal((await invoices()).length, 2)
  })

  test(`a month shows what plans gave, what rolled over and what a smaller plan took (${kind})`, async (t) => {
    const { store, services, clock } = await openScene(t, kind)
    clock.nowMs = Date.UTC(2027, 0, 10)
    await make.openAccount(store, ADA, 5)
    const rollover = { percent: 50, periods: 1 }
    const subscription = await make.seqOf(store, ADA, plan.start({ gives: { credits: 280 }, rollover }))
    await make.make(store, ADA, make.charge(80))
    clock.nowMs = Date.UTC(2027, 1, 24)
    await make.make(store, ADA, plan.change(subscription, { plan: 'small', gives: { credits: 140 } }))
    clock.nowMs = Date.UTC(2027, 3, 2)
    const month = async (name: string): Promise<StatementType> => {
      const issued = await issueStatement(services, { account: ADA, month: name })
      assert.ok(!isRefusal(issued) && issued.view.body.about === 'month')
      const [type, ...more] = issued.view.body.creditTypes
      assert.ok(type && more.length === 0)
      return type
    }
    const none = {
      creditType: 'credits',
      purchased: '0',
      used: '0',
      returned: '0',
      voided: '0',
      takenBack: '0',
      granted: '0',
      expired: '0',
    }
    assert.deepEqual(await month('2027-01'), { ...none, opening: '0', granted: '5', fromPlans: '280', used: '80', closing: '205' })
    // 200 are left: half of that rolls over, with 280 more. On the 24th, 14 days of 28 are left: 70 of 140 less.
    const february = await month('2027-02')
    assert.deepEqual(february, { ...none, opening: '205', expired: '200', fromPlans: '380', takenBack: '70', closing: '315' })
    const march = await month('2027-03')
    assert.deepEqual([march.opening, march.expired, march.fromPlans, march.closing], ['315', '310', '140', '145'])
  })

  test(`an account that lives by a test clock leaves no trace in months, nor in numbers of real payments (${kind})`, async (t) => {
    const scene = await openScene(t, kind)
    const { store, services, clock, pay, invoices } = scene
    const far = Date.UTC(2031, 0, 31)
    await make.make(store, ADA, make.createAccount({ clock: { clock: 'clk_1', nowMs: far } }))
    await make.openAccount(store, 2, 10)
    await subscribe(scene)
    for (let month = 0; month < 3; month++) {
      await pay()
      await make.make(store, ADA, make.advanceClock(far + (month + 1) * 31 * DAY_MS))
    }
    const views = await invoices()
    assert.deepEqual(numbersOf(views), ['TEST-INV-000001', 'TEST-INV-000002', 'TEST-INV-000003'])
    for (const view of views) assert.deepEqual([view.issuedAtMs, bodyOf(view).paidAtMs >= far], [clock.nowMs, true])
    const asked = await issueStatement(services, { account: ADA, month: '2026-11' })
    assert.equal(isRefusal(asked) && asked.refused, 'account_has_test_clock')
    clock.nowMs = Date.UTC(2026, 11, 2)
    for (let turns = 0; turns < 3; turns++) await issueMonthlyStatements(services)
    assert.equal((await invoices()).length, 3)
    assert.deepEqual(numbersOf(await listInvoices(services, 2, { after: 0, limit: 10 })), ['ST-000001'])
  })
}
