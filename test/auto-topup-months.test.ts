/**
 * Months of an account that is topped up by itself: random charges, cards that decline, change and come back, disputes, suspensions, lost
 * questions and answers, on one server or two. What was asked of the bank is held against a naive model of the stated limits, which knows
 * only what the account's owner did and what the bank saw: whether there is an attempt at a moment, or none, must be what the model says.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encodeAutoTopup } from '../src/core/auto-topup-codec.ts'
import { parseObjectId } from '../src/core/ids.ts'
import { topUpAccounts } from '../src/operations/auto-topups.ts'
import { reconcile } from '../src/operations/reconcile.ts'
import type { Services } from '../src/operations/services.ts'
import { setTopupOptions } from '../src/operations/topup-options.ts'
import { ProviderUnavailableError } from '../src/payments/provider.ts'
import type { Store } from '../src/stores/store.ts'
import { OPTIONS, setTopup } from './running/auto-topups.ts'
import { type Asked, Bank, type Health } from './running/bank.ts'
import * as buy from './running/purchases.ts'
import { Random } from './running/random.ts'
import { servicesOn } from './running/services.ts'
import { newPlace, type StoreKind } from './running/store.ts'
import * as make from './running/store-commands.ts'
import * as plan from './running/subscriptions.ts'

const { MINUTE_MS, HOUR_MS, DAY_MS } = make
const ADA = 1
const START_MS = Date.UTC(2027, 0, 20, 22)
/** What is asked for each time, in minor units. */
const AMOUNT_MINOR = 1_000
const THRESHOLD = 40
/** Hours after each decline before the same card is asked again, as the guide states them. */
const HOURS_AFTER = [1, 3] as const
/** As many as an account remembers at most. */
const CARDS = Array.from({ length: 20 }, (_, index) => `card ${index}`)
const HEALTHS: readonly [Health, ...Health[]] = [
  'works',
  'works',
  'works',
  'declines',
  'declines',
  'stolen',
  'asks',
  'asks',
  'slow',
  'slow_in_vain',
]

/** How an attempt ended, and when the account heard of it. */
interface End {
  readonly how: 'paid' | 'declined' | 'stolen'
  readonly atMs: number
}

/** What the account's owner has done, and what may be tried by that. */
class NaiveModel {
  card: string | null = null
  isOn = false
  capMinor = 0
  isSuspended = false
  dispute: { readonly purchase: number; readonly name: string } | null = null
  /** Credits that are available, in millionths. */
  available = 0n
  /** The cap of a month was reached: in force until then, unless the terms are set. */
  cappedUntilMs = 0
  asked: readonly Asked[] = []
  readonly ends = new Map<string, End>()

  /** Money that was paid, or is in flight, of attempts in the month of a moment. */
  spentIn(atMs: number): number {
    const month = (ms: number): string => new Date(ms).toISOString().slice(0, 7)
    const isCounted = ({ attempt }: Asked): boolean => (this.ends.get(attempt)?.how ?? 'paid') === 'paid'
    return this.asked.filter((one) => month(one.atMs) === month(atMs) && isCounted(one)).length * AMOUNT_MINOR
  }

  /** When a card may be asked again: after its declines since it last paid. */
  #cardReadyMs(card: string): number {
    const ends = this.asked.flatMap((one) => (one.card === card ? (this.ends.get(one.attempt) ?? []) : []))
    const declines = ends.slice(ends.findLastIndex(({ how }) => how === 'paid') + 1)
    const last = declines.at(-1)
    if (!last) return 0
    const hours = last.how === 'stolen' ? undefined : HOURS_AFTER[declines.length - 1]
    return hours === undefined ? Number.POSITIVE_INFINITY : last.atMs + hours * HOUR_MS
  }

  /** Whether there has to be an attempt now, if anybody looks. */
  wants(nowMs: number): boolean {
    if (!this.isOn || this.card === null || this.dispute !== null || this.isSuspended) return false
    if (this.available > BigInt(THRESHOLD) * 1_000_000n || this.asked.some(({ attempt }) => !this.ends.has(attempt))) return false
    if (nowMs < this.#cardReadyMs(this.card) || nowMs < this.cappedUntilMs) return false
    if ([...this.ends.values()].some(({ how, atMs }) => how === 'paid' && nowMs < atMs + 10 * MINUTE_MS)) return false
    if (this.asked.filter(({ atMs }) => atMs > nowMs - DAY_MS).length >= 10) return false
    if (this.spentIn(nowMs) + AMOUNT_MINOR <= this.capMinor) return true
    const month = new Date(nowMs)
    this.cappedUntilMs = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1)
    return false
  }
}

interface World {
  readonly stores: readonly Store[]
  readonly store: Store
  readonly services: readonly Services[]
  readonly bank: Bank
  readonly model: NaiveModel
  readonly clock: { nowMs: number }
  readonly random: Random
}

async function openWorld(t: TestContext, kind: StoreKind, seed: number): Promise<World> {
  const clock = { nowMs: START_MS }
  const random = new Random(seed)
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
  // How often servers ask is not the same each time, and what happens to the account is.
  const bank = new Bank(() => clock.nowMs, new Random(seed + 1_000))
  const payments = { provider: bank, returnUrl: (checkout: string) => `https://obol.example/${checkout}` }
  const services = await Promise.all(stores.map((one) => servicesOn(one, { clock: () => clock.nowMs, payments })))
  const { version: _, ...options } = OPTIONS
  await setTopupOptions({ store, clock: () => clock.nowMs }, options)
  await make.openAccount(store, ADA, 0)
  return { stores, store, services, bank, model: new NaiveModel(), clock, random }
}

async function send({ store }: World, command: Parameters<typeof make.send>[2]): Promise<void> {
  make.applied(await make.send(store, ADA, command))
}

/** Opens a dispute of the last purchase, or ends the one that is open. */
async function dispute(world: World): Promise<void> {
  const { store, model, clock } = world
  const [paid] = (await store.records(ADA, { limit: 1, kinds: ['topup'] })).records
  if (model.dispute !== null) {
    await send(world, buy.closeDispute(model.dispute.purchase, 'won', model.dispute.name, 1))
    model.dispute = null
  } else if (paid?.kind === 'topup') {
    model.dispute = { purchase: paid.purchase, name: `dispute ${clock.nowMs}` }
    await send(world, buy.openDispute(model.dispute.purchase, model.dispute.name, 1))
  }
}

/** What the account's owner, its operator and its bank may do, by how often they do. */
const DEEDS: Readonly<Record<string, { readonly weight: number; readonly run: (world: World) => Promise<void> }>> = {
  nothing: { weight: 8, run: async () => undefined },
  card: {
    weight: 4,
    run: async (world) => {
      const card = world.random.pick(CARDS) ?? null
      world.model.card = card
      if (card !== null) await send(world, plan.saveMethod({ method: card, fingerprint: card }))
    },
  },
  terms: {
    weight: 2,
    run: async (world) => {
      const { model, random } = world
      const isOn = random.isLikely(0.9)
      const capMinor = random.pick([3_000, 8_000, 60_000])
      Object.assign(model, { isOn, capMinor, cappedUntilMs: 0 })
      await send(world, setTopup({ isOn, threshold: THRESHOLD, amountMinor: AMOUNT_MINOR, capMinor }))
    },
  },
  health: {
    weight: 4,
    run: async ({ bank, model, random }) => {
      if (model.card !== null) bank.health.set(model.card, random.pick(HEALTHS))
    },
  },
  suspend: {
    weight: 1,
    run: async (world) => {
      world.model.isSuspended = !world.model.isSuspended
      await send(world, make.updateAccount({ status: world.model.isSuspended ? 'suspended' : 'active' }))
    },
  },
  dispute: { weight: 2, run: dispute },
  confirm: { weight: 3, run: async ({ bank }) => bank.confirm() },
}
const WEIGHTS = Object.fromEntries(Object.entries(DEEDS).map(([name, { weight }]) => [name, weight]))

async function availableOn(store: Store): Promise<bigint> {
  const grants = (await store.state(ADA))?.pools.flatMap((pool) => pool.grants) ?? []
  return grants.reduce((sum, { remaining, held }) => sum + remaining - held, 0n)
}

/** All servers look at once, twice each; at last everything gets through. */
async function look({ stores, services, bank, random }: World): Promise<void> {
  const together = async (turn: (service: Services) => Promise<void>): Promise<void> => {
    // What the tables have is written when the account is read, if not before.
    for (const store of stores) await store.purchases(ADA, { limit: 1 })
    for (const outcome of await Promise.allSettled([...services, ...services].map(turn)))
      if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof ProviderUnavailableError, String(outcome.reason))
  }
  bank.noise = random.pick([0, 0.3, 0.7])
  await together((service) => topUpAccounts(service, { isThorough: false }))
  bank.noise = 0
  await together((service) => topUpAccounts(service, { isThorough: true }))
  await together((service) => reconcile(service))
  await together((service) => topUpAccounts(service, { isThorough: true }))
}

/** Takes over what the account has heard of attempts, as its journal has it. */
async function hear({ store, model, bank }: World): Promise<void> {
  const { records } = await store.records(ADA, { limit: 1_000, after: 0, kinds: ['auto_topup_failed', 'topup'] })
  for (const record of records) {
    if (record.kind !== 'auto_topup_failed' && record.kind !== 'topup') continue
    const asked = bank.asked.find(({ checkout }) => parseObjectId('cs', checkout)?.seq === record.purchase)
    assert.ok(asked, `record ${record.seq} is of what nobody asked for`)
    const how = record.kind === 'topup' ? 'paid' : record.code === 'stolen_card' ? 'stolen' : 'declined'
    const known = model.ends.get(asked.attempt)
    assert.ok(known === undefined || known.atMs === record.atMs, 'an attempt ends once')
    model.ends.set(asked.attempt, { how, atMs: record.atMs })
  }
}

/** Time passes, something happens, credits are spent, and everybody looks. */
async function step(world: World): Promise<void> {
  const { store, model, bank, clock, random } = world
  clock.nowMs += random.pick([10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 12 * HOUR_MS, 2 * DAY_MS])
  await DEEDS[random.weighted(WEIGHTS)]?.run(world)
  const before = await availableOn(store)
  const spend = (before * BigInt(random.pick([10, 60, 100]))) / 100n
  if (!model.isSuspended) await send(world, make.charge(spend))
  const known = bank.asked.length
  await look(world)
  const fresh = bank.asked.slice(known)
  await hear(world)
  model.asked = bank.asked.slice(0, known)
  model.available = (await availableOn(store)) - BigInt(fresh.filter(({ state }) => state === 'paid').length) * 100_000_000n
  const ends = new Map(fresh.map(({ attempt }) => [attempt, model.ends.get(attempt)]))
  for (const { attempt } of fresh) model.ends.delete(attempt)
  const isWanted = model.wants(clock.nowMs)
  for (const [attempt, end] of ends) if (end) model.ends.set(attempt, end)
  model.asked = bank.asked
  const { autoTopup } = (await store.state(ADA)) ?? assert.fail()
  const found = `${new Date(clock.nowMs).toISOString()}: ${JSON.stringify(autoTopup && encodeAutoTopup(autoTopup))}`
  assert.equal(fresh.length, isWanted ? 1 : 0, found)
  if (isWanted) assert.ok(model.spentIn(clock.nowMs) <= model.capMinor, 'the cap of the month')
}

const RUNS: readonly { readonly kind: StoreKind; readonly seed: number; readonly steps: number }[] = [
  { kind: 'sqlite', seed: 1, steps: 260 },
  { kind: 'sqlite', seed: 2, steps: 260 },
  { kind: 'postgres', seed: 3, steps: 150 },
]
for (const { kind, seed, steps } of RUNS)
  test(`months of charges, cards, disputes and lost answers: an attempt when one is due, and none else (${kind}, seed ${seed})`, async (t) => {
    const world = await openWorld(t, kind, seed)
    const { bank, model, store, clock } = world
    for (const deed of ['card', 'terms']) await DEEDS[deed]?.run(world)
    for (let count = 0; count < steps; count++) await step(world)
    assert.ok(clock.nowMs - START_MS > steps * 10 * HOUR_MS, 'months have passed')
    const ends = bank.asked.map(({ attempt }) => model.ends.get(attempt))
    const { records } = await store.records(ADA, { limit: 1_000, after: 0, kinds: ['auto_topup_attempted', 'topup', 'payment_mismatched'] })
    const paid = bank.asked.filter(({ state }) => state === 'paid').length
    const of = (wanted: string): number => records.filter((record) => record.kind === wanted).length
    assert.deepEqual([of('auto_topup_attempted'), of('topup'), of('payment_mismatched')], [bank.asked.length, paid, 0])
    for (const [index, { atMs }] of bank.asked.entries()) {
      const earlier = ends.slice(0, index)
      assert.ok(
        earlier.every((end) => end !== undefined && end.atMs <= atMs),
        'never two in flight',
      )
    }
    const seen = new Set(bank.asked.map(({ state }) => state))
    assert.ok(paid >= 5 && seen.has('declined'), `${paid} paid, ${[...seen].join()}`)
  })
