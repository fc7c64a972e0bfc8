/**
 * What a provider says, put on record in every order in which it may be heard: a provider that a test plays itself says what it wants, when it
 * wants, also late and out of date. On each store.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { termsOf } from '../../test/running/purchases.ts'
import { TEST_OPTIONS } from '../../test/running/sandbox.ts'
import { servicesOn } from '../../test/running/services.ts'
import { openTestStore, STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { poolOf } from '../core/account.ts'
import { balanceOf } from '../core/balance.ts'
import { formatCredits, micro, parseCredits } from '../core/credits.ts'
import { isRefusal } from '../core/refusals.ts'
import {
  type CheckoutNews,
  type CheckoutOrder,
  type OffSessionOutcome,
  type Provider,
  ProviderUnavailableError,
  type RefundOrder,
} from '../payments/provider.ts'
import { openPostgresStore } from '../stores/postgres/postgres-store.ts'
import type { Store } from '../stores/store.ts'
import { cancelCheckout, openCheckout, type PurchaseView } from './checkouts.ts'
import { fulfil } from './fulfil.ts'
import { reconcile } from './reconcile.ts'
import type { Services } from './services.ts'
import { setTopupOptions } from './topup-options.ts'
import { refundTopup } from './topups.ts'

const ADA = 1

/** A provider that a test plays: what it says of a checkout is what the test last let it say, or an older word that is still on its way. */
class PlayedProvider implements Provider {
  readonly name = 'sandbox'
  readonly isLive = false
  readonly checkoutTtlMs = 3_600_000
  readonly signatureHeader = 'x-signature'
  readonly pages = new Map<string, CheckoutOrder>()
  readonly refunds = new Map<string, RefundOrder>()
  news: CheckoutNews | undefined
  /** Answers that are lost on their way, what was asked for having been done. */
  lost = 0
  /** Called before an answer arrives. */
  beforeAnswer: () => Promise<void> = async () => undefined

  async #answer<Answer>(answer: Answer): Promise<Answer> {
    await this.beforeAnswer()
    if (this.lost > 0) {
      this.lost -= 1
      throw new ProviderUnavailableError('the answer was lost')
    }
    return answer
  }

  makeCheckout(order: CheckoutOrder) {
    this.pages.set(order.checkout, order)
    return this.#answer({ reference: `page of ${order.checkout}`, url: `https://pay.example/${order.checkout}` })
  }

  look(): Promise<CheckoutNews | undefined> {
    return this.#answer(this.news)
  }

  cancel(): Promise<void> {
    return this.#answer(undefined)
  }

  refund(order: RefundOrder) {
    this.refunds.set(order.request, order)
    return this.#answer({
      refund: `refund for ${order.request}`,
      request: order.request,
      amountMinor: order.amountMinor,
      status: 'standing',
    } as const)
  }

  payOffSession(): Promise<OffSessionOutcome> {
    return this.#answer({ status: 'unusable', reason: 'nothing was left' })
  }

  lookAtPayment(): Promise<OffSessionOutcome> {
    return this.payOffSession()
  }

  async referenceOf(): Promise<string | null> {
    return null
  }
}

interface Scene {
  /** Where the store is. */
  readonly file: string
  readonly services: Services
  readonly store: Store
  readonly provider: PlayedProvider
  readonly clock: { nowMs: number }
  readonly hear: () => Promise<unknown>
  readonly settled: () => Promise<string>
}

function sellingOn(store: Store, provider: Provider, clock: { readonly nowMs: number }): Promise<Services> {
  return servicesOn(store, {
    clock: () => clock.nowMs,
    payments: { provider, returnUrl: (checkout) => `https://obol.example/${checkout}` },
  })
}

async function settledOn(store: Store): Promise<string> {
  const state = await store.state(ADA)
  assert.ok(state)
  return formatCredits(balanceOf(poolOf(state, 'credits'), state.atMs).settled)
}

async function openScene(t: TestContext, kind: StoreKind): Promise<Scene> {
  const { store, clock, file } = await openTestStore(t, kind)
  const provider = new PlayedProvider()
  const services = await sellingOn(store, provider, clock)
  await make.openAccount(store, ADA, 0)
  const { currency } = TEST_OPTIONS
  const creditsPerUnit = parseCredits('100') ?? micro(0n)
  await setTopupOptions(services, {
    currency,
    creditType: 'credits',
    creditsPerUnit,
    minMinor: 500,
    maxMinor: 10_000,
    lifeDays: null,
    packs: [],
  })
  const { payments } = services
  assert.ok(payments)
  return { services, store, file, provider, clock, hear: () => fulfil(services, payments, 'page'), settled: () => settledOn(store) }
}

function caller(key: string) {
  return { actor: 'operator', requestId: null, idempotency: { key, fingerprint: key.padEnd(22, '-').slice(0, 22), item: 0 } } as const
}

function buy(services: Services, key = 'k'): ReturnType<typeof openCheckout> {
  return openCheckout(services, caller(key), {
    account: ADA,
    wish: { amountMinor: 1_000 },
    successUrl: null,
    cancelUrl: null,
    metadata: {},
    keepsMethod: false,
  })
}

async function bought(services: Services): Promise<PurchaseView> {
  const view = await buy(services)
  assert.ok(!isRefusal(view))
  return view
}

/** What a provider says of the first checkout of the account. */
function said(status: CheckoutNews['status'], more: Partial<CheckoutNews> = {}): CheckoutNews {
  const payment = { reference: 'page', payment: 'payment', isLive: false, amountMinor: 1_000, totalMinor: 1_000, currency: 'eur' }
  const isPaid = status === 'paid'
  return {
    reference: 'page',
    checkout: 'cs_0000000100000002',
    status,
    payment: isPaid ? payment : null,
    method: null,
    refunds: [],
    disputes: [],
    ...more,
  }
}

for (const kind of STORE_KINDS) {
  test(`a checkout is paid before the page is noted, while the provider’s answer is on its way (${kind})`, async (t) => {
    const { services, provider, hear, settled } = await openScene(t, kind)
    provider.news = said('paid')
    provider.beforeAnswer = async () => {
      provider.beforeAnswer = async () => undefined
      await hear()
    }
    const view = await bought(services)
    assert.deepEqual([view.status, view.purchase.link, await settled()], ['paid', null, '1000'])
  })

  test(`an answer that is lost after the page was made leads to the same page (${kind})`, async (t) => {
    const { services, provider } = await openScene(t, kind)
    provider.lost = 1
    await assert.rejects(buy(services), ProviderUnavailableError)
    const views = await Promise.all([buy(services), buy(services)])
    for (const view of views) assert.ok(!isRefusal(view) && view.status === 'open' && view.purchase.link !== null)
    assert.equal(provider.pages.size, 1)
  })

  test(`webhook, return page and reconciler at once, many times over, credit a payment once (${kind})`, async (t) => {
    const { services, provider, hear, settled, clock } = await openScene(t, kind)
    await bought(services)
    provider.news = said('paid')
    clock.nowMs += 30 * 60_000
    await Promise.all([...Array.from({ length: 10 }, hear), reconcile(services), reconcile(services)])
    await hear()
    assert.equal(await settled(), '1000')
    const { records } = await services.store.records(ADA, { limit: 100 })
    assert.equal(records.filter(({ kind: made }) => made === 'topup').length, 1)
  })

  test(`a payment, its refund and its dispute may all be first heard of at once (${kind})`, async (t) => {
    const { services, provider, hear, settled } = await openScene(t, kind)
    await bought(services)
    provider.news = said('paid', {
      refunds: [
        { refund: 'stands', request: null, amountMinor: 300, status: 'standing' },
        { refund: 'failed', request: null, amountMinor: 700, status: 'failed' },
      ],
      disputes: [
        { dispute: 'open', amountMinor: 100, status: 'open' },
        { dispute: 'lost', amountMinor: 200, status: 'lost' },
        { dispute: 'won', amountMinor: 700, status: 'won' },
      ],
    })
    await Promise.all([hear(), hear(), hear()])
    assert.equal(await settled(), '500')
    const facts = await services.store.purchase(ADA, 2)
    assert.deepEqual([facts?.purchase.refunds.length, facts?.purchase.disputes.length], [2, 3])
  })

  test(`words that are out of date when they arrive do not undo newer ones (${kind})`, async (t) => {
    const { services, provider, hear, settled } = await openScene(t, kind)
    await bought(services)
    const refund = { refund: 'r', request: null, amountMinor: 400 } as const
    const dispute = { dispute: 'd', amountMinor: 600 } as const
    const words: readonly CheckoutNews[] = [
      said('open'),
      said('pending'),
      said('paid'),
      said('paid', { refunds: [{ ...refund, status: 'standing' }] }),
      said('paid', { refunds: [{ ...refund, status: 'failed' }], disputes: [{ ...dispute, status: 'open' }] }),
      said('paid', { refunds: [{ ...refund, status: 'failed' }], disputes: [{ ...dispute, status: 'lost' }] }),
    ]
    for (const news of [...words, ...words.toReversed(), ...words]) {
      provider.news = news
      await hear()
    }
    assert.equal(await settled(), '400', 'the refund failed, the dispute was lost')
  })

  test(`a checkout of another provider, or of nobody, is left alone (${kind})`, async (t) => {
    const { services, provider, hear, settled } = await openScene(t, kind)
    await bought(services)
    for (const checkout of [null, 'nonsense', 'cs_0000000100000003', 'cs_0000000200000002', 'chg_0000000100000002']) {
      provider.news = said('paid', { checkout })
      assert.deepEqual(await hear(), { ignored: 'no checkout of this server' })
    }
    provider.news = undefined
    await hear()
    const other = await sellingOn(services.store, Object.assign(new PlayedProvider(), { name: 'stripe', news: said('paid') }), {
      nowMs: services.clock(),
    })
    assert.ok(other.payments)
    assert.deepEqual(await fulfil(other, other.payments, 'page'), { ignored: 'a checkout of another provider' })
    assert.equal(await settled(), '0')
  })

  test(`a refund is asked for again until the provider has answered, and made once (${kind})`, async (t) => {
    const { services, provider, hear, settled, clock } = await openScene(t, kind)
    await bought(services)
    provider.news = said('paid')
    await hear()
    const topup = { account: ADA, seq: (await services.store.purchase(ADA, 2))?.purchase.paid?.seq ?? 0 }
    // The look succeeds, and the answer to the refund is lost.
    let answers = 0
    provider.beforeAnswer = async () => {
      answers += 1
      provider.lost = answers === 2 ? 1 : 0
    }
    const refund = () => refundTopup(services, caller('refund'), { topup, amountMinor: 400, reason: '' })
    const first = await refund()
    assert.ok(!isRefusal(first))
    assert.deepEqual([first.purchase.requests.map(({ outcome }) => outcome), await settled()], [[null], '1000'])
    clock.nowMs += 16 * 60_000
    await reconcile(services)
    await Promise.all([refund(), refund(), reconcile(services)])
    assert.deepEqual([provider.refunds.size, await settled()], [1, '600'])
  })

  test(`a checkout that is canceled is that, also when the provider tells at the same time that it has expired (${kind})`, async (t) => {
    const { services, provider, hear, settled } = await openScene(t, kind)
    await bought(services)
    provider.news = said('expired')
    // The provider's event is there before its answer.
    provider.beforeAnswer = async () => {
      provider.beforeAnswer = async () => undefined
      await hear()
    }
    const view = await cancelCheckout(services, { actor: 'operator', requestId: null }, { account: ADA, seq: 2 })
    assert.equal(isRefusal(view) ? view.refused : view.status, 'canceled')
    await hear()
    assert.equal((await services.store.purchase(ADA, 2))?.status, 'canceled')
    provider.news = said('paid')
    await hear()
    assert.equal(await settled(), '1000', 'money that comes all the same counts')
  })

  test(`a purchase whose page nobody was ever given is closed when its time is up (${kind})`, async (t) => {
    const { services, provider, clock } = await openScene(t, kind)
    provider.lost = 1
    await assert.rejects(buy(services), ProviderUnavailableError)
    clock.nowMs += 2 * 3_600_000
    await reconcile(services)
    assert.equal((await services.store.purchase(ADA, 2))?.purchase.outcome, 'expired')
    provider.news = said('paid')
    const { payments } = services
    assert.ok(payments)
    await fulfil(services, payments, 'page')
    assert.equal(await settledOn(services.store), '1000', 'money that comes all the same counts')
  })
}

test('two servers on one store that hear the same news at once, and one that asks again, credit and take back once', async (t) => {
  const { services, store, provider, hear, settled, clock, file } = await openScene(t, 'postgres')
  const second = await openPostgresStore({ url: file, clock: () => clock.nowMs })
  t.after(() => second.close())
  const other = await sellingOn(second, provider, clock)
  const { payments } = other
  assert.ok(payments)
  const hearThere = (): Promise<unknown> => fulfil(other, payments, 'page')
  const everywhere = async (news: CheckoutNews): Promise<void> => {
    provider.news = news
    await Promise.all(Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? hear() : hearThere())))
  }
  const [view, there] = await Promise.all([buy(services), buy(other)])
  assert.ok(!isRefusal(view) && !isRefusal(there))
  assert.deepEqual(view.purchase.link, there.purchase.link, 'one name, one checkout')
  const refunds = [{ refund: 'r', request: null, amountMinor: 400, status: 'standing' }] as const
  await everywhere(said('pending'))
  await everywhere(said('paid'))
  assert.equal(await settled(), '1000')
  await everywhere(said('paid', { refunds, disputes: [{ dispute: 'd', amountMinor: 600, status: 'open' }] }))
  await everywhere(said('paid', { refunds, disputes: [{ dispute: 'd', amountMinor: 600, status: 'lost' }] }))
  clock.nowMs += 16 * 60_000
  await Promise.all([reconcile(services), reconcile(other), hearThere(), hear()])
  assert.equal(await settled(), '0')
  const { records } = await store.records(ADA, { limit: 100 })
  const kinds = records.map(({ kind }) => kind)
  assert.deepEqual(new Set(kinds).size, kinds.length, `nothing has two records: ${kinds.join(', ')}`)
})

test('in whatever order words are heard, late, twice or not at all but the last, the account ends the same', async (t) => {
  const { store, clock } = await openTestStore(t)
  let account = 1
  const refund = fc.record({
    refund: fc.constantFrom('a', 'b'),
    amountMinor: fc.constantFrom(200, 500),
    status: fc.constantFrom('standing', 'failed'),
  })
  /** The history of a payment: what its last word says, and the words before it, which say less. */
  const history = fc.record({
    refunds: fc.uniqueArray(refund, { selector: (each) => each.refund, maxLength: 2 }),
    outcome: fc.constantFrom('open', 'won', 'lost'),
  })
  const heard = fc.array(fc.nat(3), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(history, heard, async ({ refunds, outcome }, order) => {
      const settled: string[] = []
      for (const hearing of [order, []]) {
        account += 1
        const provider = new PlayedProvider()
        const services = await sellingOn(store, provider, clock)
        await make.openAccount(store, account, 0)
        const checkout = `cs_${account.toString(32).padStart(8, '0')}00000002`
        await make.make(store, account, {
          kind: 'open_checkout',
          ttlMs: 3_600_000,
          terms: termsOf({ credits: 1_000 }),
        })
        const made = refunds.map((each) => ({ ...each, request: null }))
        const words = [
          said('open', { checkout }),
          said('paid', { checkout }),
          said('paid', {
            checkout,
            refunds: made.map((each) => ({ ...each, status: 'standing' as const })),
            disputes: [{ dispute: 'd', amountMinor: 300, status: 'open' }],
          }),
          said('paid', {
            checkout,
            refunds: made as CheckoutNews['refunds'],
            disputes: [{ dispute: 'd', amountMinor: 300, status: outcome as 'won' }],
          }),
        ]
        const { payments } = services
        assert.ok(payments)
        for (const index of [...hearing, 3, 3]) {
          provider.news = words[index]
          await fulfil(services, payments, 'page')
        }
        const state = await store.state(account)
        assert.ok(state)
        const { settled: left, held } = balanceOf(poolOf(state, 'credits'), state.atMs)
        settled.push(`${formatCredits(left)} of which ${formatCredits(held)} frozen`)
      }
      assert.equal(settled[0], settled[1])
    }),
    { seed: 5, numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
})
