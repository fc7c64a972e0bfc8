import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCredits, MAX_MICROCREDITS } from './credits.ts'
import { type Decimal, formatDecimal, parseDecimal, type Rounding } from './decimal.ts'
import type { OperationPrice } from './price-book.ts'
import { type PriceRow, parsePrices } from './price-parsing.ts'
import { type PricedCall, priceCall, quantityOf, type Usage } from './pricing.ts'
import { isRefusal, type Refusal } from './refusals.ts'

type Texts = Readonly<Record<string, string>>

/** A row of the operation `op`: `rate` credits per `quantity` of a unit. */
function row(rate: string, per: string, change: Partial<PriceRow> = {}): PriceRow {
  const [quantity = '', unit = ''] = per.split(' ')
  return { operation: 'op', rate, per: { quantity, unit }, ...change }
}

function priceOf(rows: readonly PriceRow[]): OperationPrice {
  const parsed = parsePrices(rows)
  const price = 'operations' in parsed ? parsed.operations.get('op') : undefined
  assert.ok(price, JSON.stringify(parsed))
  return price
}

function decimalOf(text: string): Decimal {
  const value = parseDecimal(text)
  assert.ok(value !== undefined, text)
  return value
}

function decimalsOf(texts: Texts): Usage['quantities'] {
  return Object.fromEntries(Object.entries(texts).map(([unit, text]) => [unit, decimalOf(text)]))
}

function call(rows: readonly PriceRow[], used: Texts, attributes: Texts = {}): PricedCall | Refusal {
  return priceCall(priceOf(rows), { quantities: decimalsOf(used), attributes })
}

function pricedCall(rows: readonly PriceRow[], used: Texts, attributes: Texts = {}): PricedCall {
  const priced = call(rows, used, attributes)
  assert.ok(!isRefusal(priced))
  return priced
}

/** What a call costs in credits, or the code of its refusal. */
function cost(rows: readonly PriceRow[], used: Texts, attributes: Texts = {}): string {
  const priced = call(rows, used, attributes)
  return isRefusal(priced) ? priced.refused : formatCredits(priced.credits)
}

type Case = readonly [rows: readonly PriceRow[], used: Texts, cost: string, attributes?: Texts]

function assertCosts(table: readonly Case[]): void {
  for (const [rows, used, wanted, attributes] of table)
    assert.equal(cost(rows, used, attributes), wanted, JSON.stringify([rows, used, attributes]))
}

test("AudioPod's cost estimates come out as its own code computes them", () => {
  const perMinute = (rate: string): PriceRow[] => [row(rate, '1 minute')]
  const per30Seconds = [row('1320', '30 second')]
  const per1000Characters = [row('330', '1000 character')]
  const fixed = (rate: string): PriceRow[] => [row(rate, '1 request')]
  assertCosts([
    [perMinute('330'), { seconds: '120' }, '660'],
    [perMinute('330'), { seconds: '60' }, '330'],
    [perMinute('660'), { seconds: '1800' }, '19800'],
    [perMinute('660'), { seconds: '300' }, '3300'],
    [perMinute('660'), { seconds: '90.5' }, '995.5'],
    [perMinute('1650'), { seconds: '60' }, '1650'],
    [perMinute('3300'), { minutes: '2.5' }, '8250'],
    [per30Seconds, { seconds: '60' }, '2640'],
    [per30Seconds, { seconds: '30' }, '1320'],
    [per30Seconds, { seconds: '10' }, '440'],
    [per30Seconds, { minute: '1' }, '2640'],
    [per1000Characters, { character: '5000' }, '1650'],
    [per1000Characters, { character: '1' }, '0.33'],
    [fixed('990'), {}, '990'],
    [fixed('6'), { request: '1' }, '6'],
    [fixed('6'), { request: '12' }, '72'],
  ])
})

test('time may be stated in any unit of time, and is converted exactly', () => {
  assertCosts([
    [[row('660', '1 minute')], { seconds: '100' }, '1100'],
    [[row('660', '1 minute')], { second: '1' }, '11'],
    [[row('1', '1 minute')], { second: '1' }, '0.016667'],
    [[row('1', '1 minute', { rounding: 'floor' })], { second: '1' }, '0.016666'],
    [[row('660', '1 minutes')], { hour: '1' }, '39600'],
    [[row('36', '1 hour')], { minutes: '100' }, '60'],
    [[row('36', '1 hours')], { second: '100' }, '1'],
    [[row('36', '1 hour')], { seconds: '0.01' }, '0.0001'],
    [[row('2', '1 second')], { hours: '1.5' }, '10800'],
    [[row('1', '7 minute')], { seconds: '420' }, '1'],
    [[row('1', '0.5 hour')], { seconds: '1800' }, '1'],
    [[row('1', '1 seconds')], { minute: '0.000000000001' }, '0.000001'],
  ])
})

test('steps and tiers stay in the unit of the price when time is stated in another', () => {
  const started = [row('60', '1 minute', { step: '1' })]
  const tiered = [row('1', '1 hour', { tiers: [{ up_to: '0.5', rate: '100' }] })]
  assertCosts([
    [started, { seconds: '60' }, '60'],
    [started, { seconds: '60.000000000001' }, '120'],
    [started, { hour: '0.1' }, '360'],
    [tiered, { minutes: '30' }, '50'],
    [tiered, { seconds: '3600' }, '50.5'],
    [[row('60', '1 second', { step: '90' })], { minutes: '1' }, '5400'],
  ])
})

test('each tier prices only the units inside it, and the base rate what lies above the last', () => {
  const tiers = [
    { up_to: '10', rate: '3' },
    { up_to: '20', rate: '2' },
  ]
  const graduated = [row('1', '1 image', { tiers })]
  const endless = [row('1', '1 image', { tiers: [...tiers, { up_to: null, rate: '0.5' }] })]
  assertCosts([
    [graduated, { image: '0' }, '0'],
    [graduated, { image: '1' }, '3'],
    [graduated, { image: '10' }, '30'],
    [graduated, { image: '11' }, '32'],
    [graduated, { image: '20' }, '50'],
    [graduated, { image: '25.5' }, '55.5'],
    [endless, { image: '20' }, '50'],
    [endless, { image: '30' }, '55'],
    [[row('1', '5 image', { tiers })], { image: '11' }, '6.4'],
    [[row('1', '1 image', { tiers: [{ up_to: '10', rate: '0' }] })], { image: '12' }, '2'],
    [[row('1', '1 image', { tiers, step: '4' })], { image: '9' }, '34'],
  ])
})

test('every started step is billed whole', () => {
  const rows = [row('2', '1 second', { step: '6' })]
  assertCosts([
    [rows, { second: '0' }, '0'],
    [rows, { second: '0.000000000001' }, '12'],
    [rows, { second: '6' }, '12'],
    [rows, { second: '6.1' }, '24'],
    [rows, { second: '12' }, '24'],
    [[row('1', '1 second', { step: '0.1' })], { second: '0.25' }, '0.3'],
  ])
})

test('modifiers whose attribute has their value multiply, all together', () => {
  const modifiers = [
    { attribute: 'quality', equals: 'premium', multiply: '2' },
    { attribute: 'quality', equals: 'draft', multiply: '0' },
    { attribute: 'speed', equals: 'fast', multiply: '1.5' },
    { attribute: 'region', equals: '', multiply: '3' },
  ]
  const rows = [row('10', '1 image', { modifiers }), row('1', '1 request')]
  const used = { image: '1' }
  assertCosts([
    [rows, used, '11'],
    [rows, used, '11', { quality: 'Premium', speed: ' fast', other: 'premium' }],
    [rows, used, '21', { quality: 'premium' }],
    [rows, used, '1', { quality: 'draft' }],
    [rows, used, '31', { quality: 'premium', speed: 'fast' }],
    [rows, used, '91', { quality: 'premium', speed: 'fast', region: '' }],
    [rows, used, '1', { quality: 'draft', speed: 'fast' }],
    [[row('1', '1 image', { modifiers: [{ attribute: 'x', equals: 'y', multiply: '0.3333333' }] })], used, '0.333334', { x: 'y' }],
  ])
})

test('the minimum is owed by a call that used something, and only by such a call', () => {
  const rows = [row('1', '1 image', { minimum: '5' })]
  const free = [row('0', '1 image', { minimum: '5' })]
  assertCosts([
    [rows, { image: '0' }, '0'],
    [rows, { image: '0.000000000001' }, '5'],
    [rows, { image: '5' }, '5'],
    [rows, { image: '5.5' }, '5.5'],
    [free, { image: '1' }, '5'],
    [free, { image: '0' }, '0'],
    [[row('1', '1 request', { minimum: '5' })], {}, '5'],
    [[row('1', '1 request', { minimum: '5' })], { request: '0' }, '0'],
  ])
})

test('no call costs more than the cap', () => {
  const rows = [row('1', '1 image', { cap: '5' }), row('2', '1 request')]
  assertCosts([
    [rows, { image: '2' }, '4'],
    [rows, { image: '3' }, '5'],
    [rows, { image: '3.000001' }, '5'],
    [rows, { image: '999999999999999' }, '5'],
    [[row('1', '1 image', { cap: '0' })], { image: '3' }, '0'],
    [[row('1', '1 image', { cap: '5', minimum: '5' })], { image: '1' }, '5'],
  ])
})

test('the bound that decided is named, and none when the price itself decided', () => {
  const rows = [row('1', '1 image', { minimum: '2', cap: '4' })]
  const bounds = ['0', '1', '2', '3', '4', '5'].map((image) => pricedCall(rows, { image }).bound)
  assert.deepEqual(bounds, [null, 'minimum', null, null, null, 'cap'])
})

test('the sum of all components is rounded once, in the way that the price names', () => {
  const half = '0.0000005'
  const rows = (rounding: Rounding, rate: string): PriceRow[] => [row(rate, '1 a', { rounding }), row(rate, '1 b')]
  const all: readonly Rounding[] = ['ceil', 'floor', 'half_up', 'half_even']
  const costs = (used: Texts, rate: string): string[] => all.map((rounding) => cost(rows(rounding, rate), used))
  assert.deepEqual(costs({ a: '1' }, half), ['0.000001', '0', '0.000001', '0'])
  assert.deepEqual(costs({ a: '3' }, half), ['0.000002', '0.000001', '0.000002', '0.000002'])
  assert.deepEqual(costs({ a: '1', b: '1' }, half), ['0.000001', '0.000001', '0.000001', '0.000001'])
  assert.deepEqual(costs({ a: '1', b: '1' }, '0.0000001'), ['0.000001', '0', '0', '0'])
})

test('a call counts as one request when it does not say', () => {
  const rows = [row('7', '1 request'), row('1', '1 image')]
  assertCosts([
    [[row('7', '1 request')], {}, '7'],
    [[row('7', '2 request')], {}, '3.5'],
    [rows, { image: '2' }, '9'],
    [rows, { image: '2', request: '3' }, '23'],
    [rows, { request: '3' }, '21'],
  ])
})

test('a quantity that is needed and not stated is refused, never guessed', () => {
  assertCosts([
    [[row('1', '1 image')], {}, 'quantity_required'],
    [[row('0', '1 image')], {}, 'quantity_required'],
    [[row('1', '1 request'), row('1', '1 image')], {}, 'quantity_required'],
    [[row('1', '1 input_token'), row('2', '1 output_token')], { output_token: '3' }, '6'],
  ])
})

test('a unit that the price does not have is refused by its name', () => {
  const perMinute = [row('1', '1 minute')]
  assertCosts([
    [perMinute, { image: '1' }, 'unknown_unit'],
    [perMinute, { minute: '1', image: '0' }, 'unknown_unit'],
    [perMinute, { Minute: '1' }, 'unknown_unit'],
    [[row('1', '1 image')], { images: '1' }, 'unknown_unit'],
    [[row('1', '1 image')], { seconds: '1' }, 'unknown_unit'],
    [[row('1', '1 request')], { minute: '1' }, 'unknown_unit'],
  ])
  const refusal = call(perMinute, { image: '1' })
  assert.ok(isRefusal(refusal))
  assert.deepEqual(refusal.facts, { unit: 'image', units: 'minute' })
})

test('units named like the parts of an object are unknown like any other', () => {
  const found = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__'].map((unit) => {
    try {
      return cost([row('1', '1 minute')], Object.fromEntries([[unit, '1']]))
    } catch (error) {
      return String(error)
    }
  })
  assert.deepEqual(found, Array(5).fill('unknown_unit'))
})

test('no part of a time that is stated twice is dropped in silence', () => {
  assertCosts([
    [[row('60', '1 minute')], { minutes: '1', seconds: '30' }, 'unknown_unit'],
    [[row('60', '1 minute')], { minute: '1', seconds: '30' }, 'unknown_unit'],
  ])
})

test('costs above the range are refused, at the range and under a cap they are not', () => {
  const rows = [row('9200000000000', '1 image')]
  assertCosts([
    [rows, { image: '1' }, '9200000000000'],
    [rows, { image: '1.000000000001' }, 'amount_out_of_range'],
    [[row('999999999999999', '0.000000000001 image')], { image: '999999999999999' }, 'amount_out_of_range'],
    [[row('999999999999999', '0.000000000001 image', { cap: '3' })], { image: '999999999999999' }, '3'],
  ])
})

test('a negative quantity is never priced', () => {
  const price = priceOf([row('1', '1 image')])
  const isPriced = (image: bigint): boolean => {
    try {
      return !isRefusal(priceCall(price, { quantities: { image: image as Decimal }, attributes: {} }))
    } catch {
      // A fault is as good as a refusal here: either way nothing is paid out.
      return false
    }
  }
  assert.deepEqual([-1n, -(10n ** 12n)].filter(isPriced), [])
})

test('the lines show what was billed, by which tiers and modifiers', () => {
  const modifiers = [{ attribute: 'q', equals: 'hd', multiply: '2' }]
  const rows = [row('1', '1 image', { step: '4', tiers: [{ up_to: '10', rate: '3' }], modifiers }), row('5', '2 request')]
  const [image, request, ...others] = pricedCall(rows, { image: '9' }, { q: 'hd' }).lines
  assert.equal(others.length, 0)
  assert.deepEqual([image?.unit, image?.quantity, image?.billed, image?.per], ['image', decimalOf('9'), decimalOf('12'), decimalOf('1')])
  assert.deepEqual(image?.multipliers, [{ attribute: 'q', equals: 'hd', multiply: decimalOf('2') }])
  assert.deepEqual(image?.tiers, [
    { quantity: decimalOf('10'), rate: decimalOf('3') },
    { quantity: decimalOf('2'), rate: decimalOf('1') },
  ])
  assert.deepEqual([request?.unit, request?.quantity, request?.tiers.length, request?.multipliers], ['request', decimalOf('1'), 1, []])
  assert.equal((image?.exact.numerator ?? 0n) / (image?.exact.denominator ?? 1n), 64_000_000n)
})

test('a line shows only the tiers that something falls in', () => {
  const tiers = ['10', '20'].map((up_to) => ({ up_to, rate: '2' }))
  const shown = ['0', '10', '10.5', '20', '21'].map(
    (image) => pricedCall([row('1', '1 image', { tiers })], { image }).lines[0]?.tiers.length,
  )
  assert.deepEqual(shown, [0, 1, 2, 2, 3])
})

test('one number without its unit counts the only unit there is, and is refused when there are several', () => {
  assert.deepEqual(quantityOf(priceOf([row('1', '1000 character')]), decimalOf('3')), { quantities: { character: decimalOf('3') } })
  const refusal = quantityOf(priceOf([row('1', '1 a'), row('1', '1 b')]), decimalOf('3'))
  assert.ok(isRefusal(refusal))
  assert.deepEqual([refusal.refused, refusal.facts], ['quantity_required', { units: 'a, b' }])
})

test('a unit may be called refused: a quantity of it is no refusal', () => {
  assert.equal(isRefusal(quantityOf(priceOf([row('1', '1 refused')]), decimalOf('3'))), false)
})

/** An exact number of the reference below. */
interface Ratio {
  readonly over: bigint
  readonly under: bigint
}

function ratio(input: string | number): Ratio {
  const [whole = '', decimals = ''] = String(input).split('.')
  return { over: BigInt(whole + decimals), under: 10n ** BigInt(decimals.length) }
}
const plus = (a: Ratio, b: Ratio): Ratio => ({ over: a.over * b.under + b.over * a.under, under: a.under * b.under })
const minus = (a: Ratio, b: Ratio): Ratio => plus(a, { over: -b.over, under: b.under })
const times = (a: Ratio, b: Ratio): Ratio => ({ over: a.over * b.over, under: a.under * b.under })
const per = (a: Ratio, b: Ratio): Ratio => ({ over: a.over * b.under, under: a.under * b.over })
const lesser = (a: Ratio, b: Ratio): Ratio => (a.over * b.under < b.over * a.under ? a : b)
const floorOf = ({ over, under }: Ratio): bigint => over / under
const HALF = ratio('0.5')

const ROUND: Readonly<Record<Rounding, (exact: Ratio) => bigint>> = {
  floor: floorOf,
  ceil: ({ over, under }) => (over + under - 1n) / under,
  half_up: (exact) => floorOf(plus(exact, HALF)),
  half_even: (exact) => {
    const up = floorOf(plus(exact, HALF))
    const isTie = 2n * up * exact.under === 2n * exact.over + exact.under
    return isTie && up % 2n === 1n ? up - 1n : up
  },
}

const SECONDS: Readonly<Record<string, string>> = { second: '1', seconds: '1', minute: '60', minutes: '60', hour: '3600', hours: '3600' }
const TIMES = Object.keys(SECONDS)

/** How much of a row's unit was used, in that unit; undefined when that was needed and not said. */
function referenceQuantity({ unit }: PriceRow['per'], used: Texts): Ratio | undefined {
  const stated = Object.keys(used).find((name) => name === unit || (TIMES.includes(name) && TIMES.includes(unit)))
  if (stated === undefined) return unit === 'request' ? ratio(1) : Object.keys(used).length > 0 ? ratio(0) : undefined
  return per(times(ratio(used[stated] ?? ''), ratio(SECONDS[stated] ?? 1)), ratio(SECONDS[unit] ?? 1))
}

/**
 * What a row costs: the base rate on everything, and for each tier the difference to the next rate on what lies below its
 * end. Adds up to the same as pricing each slice, without slicing.
 */
function referenceRow(priced: PriceRow, quantity: Ratio, attributes: Texts): Ratio {
  const step = ratio(priced.step ?? 1)
  const billed = priced.step === undefined ? quantity : times({ over: ROUND.ceil(per(quantity, step)), under: 1n }, step)
  const tiers = priced.tiers ?? []
  let total = times(billed, ratio(priced.rate))
  tiers.forEach(({ up_to, rate }, index) => {
    const below = up_to === undefined || up_to === null ? billed : lesser(billed, ratio(up_to))
    total = plus(total, times(below, minus(ratio(rate), ratio(tiers[index + 1]?.rate ?? priced.rate))))
  })
  for (const { attribute, equals, multiply } of priced.modifiers ?? [])
    if (attributes[attribute] === equals) total = times(total, ratio(multiply))
  return per(total, ratio(priced.per.quantity))
}

/** What a call costs, or the code of its refusal, by exact fractions and nothing of the core but its rows. */
function reference(rows: readonly PriceRow[], used: Texts, attributes: Texts): bigint | string {
  let total = ratio(0)
  let isUsed = false
  for (const priced of rows) {
    const quantity = referenceQuantity(priced.per, used)
    if (quantity === undefined) return 'quantity_required'
    isUsed ||= quantity.over > 0n
    total = plus(total, referenceRow(priced, quantity, attributes))
  }
  const [{ rounding = 'ceil', minimum = 0, cap = 9.2e12 } = {}] = rows
  const inMicro = (amount: string | number): bigint => floorOf(times(ratio(amount), ratio(1_000_000)))
  const rounded = ROUND[rounding](times(total, ratio(1_000_000)))
  const least = isUsed && rounded < inMicro(minimum) ? inMicro(minimum) : rounded
  if (rows[0]?.cap === undefined && least > MAX_MICROCREDITS) return 'amount_out_of_range'
  return least > inMicro(cap) ? inMicro(cap) : least
}

const anyDecimal = fc
  .tuple(
    fc.oneof({ weight: 30, arbitrary: fc.nat(3_000) }, { weight: 1, arbitrary: fc.nat(999_999_999_999_999) }),
    fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 12 }),
  )
  .map(([whole, decimals]) => (decimals === '' ? `${whole}` : `${whole}.${decimals}`))
const positive = anyDecimal.filter((text) => /[1-9]/.test(text))

const anyTiers = fc
  .tuple(fc.array(fc.tuple(fc.integer({ min: 1, max: 900_000 }), anyDecimal), { maxLength: 4 }), fc.boolean())
  .map(([steps, isEndless]) => {
    let end = 0n
    return steps.map(([thousandths, rate], index) => {
      end += BigInt(thousandths) * 10n ** 9n
      return { up_to: isEndless && index === steps.length - 1 ? null : formatDecimal(end), rate }
    })
  })

const anyModifiers = fc.uniqueArray(
  fc.record({ attribute: fc.constantFrom('quality', 'speed'), equals: fc.constantFrom('a', 'b'), multiply: anyDecimal }),
  { selector: ({ attribute, equals }) => attribute + equals, maxLength: 4 },
)
const anyAttributes = fc.record({ quality: fc.constantFrom('a', 'b'), speed: fc.constantFrom('a', 'c') }, { requiredKeys: [] })

const anyBounds: fc.Arbitrary<Partial<PriceRow>> = fc
  .tuple(
    fc.constantFrom<Rounding>('ceil', 'floor', 'half_up', 'half_even'),
    fc.option(fc.nat(10 ** 12)),
    fc.option(fc.nat(10 ** 14), { freq: 2 }),
  )
  .map(([rounding, least, room]) => ({
    rounding,
    ...(least === null ? {} : { minimum: formatCredits(BigInt(least)) }),
    ...(room === null ? {} : { cap: formatCredits(BigInt(room + (least ?? 0))) }),
  }))

function anyRow(unit: string): fc.Arbitrary<PriceRow> {
  return fc
    .record({ rate: anyDecimal, quantity: positive, step: fc.option(positive), tiers: anyTiers, modifiers: anyModifiers })
    .map(({ rate, quantity, step, tiers, modifiers }) =>
      row(rate, `${quantity} ${unit}`, { tiers, modifiers, ...(step === null ? {} : { step }) }),
    )
}

/** What a call says of one unit: so much of it, in any unit of time if it is one, or sometimes nothing. */
function anyUse(unit: string): fc.Arbitrary<readonly (readonly [string, string])[]> {
  const use = fc.tuple(TIMES.includes(unit) ? fc.constantFrom(...TIMES) : fc.constant(unit), anyDecimal)
  return fc.option(use, { freq: 5 }).map((said) => (said === null ? [] : [said]))
}

interface Example {
  readonly rows: readonly PriceRow[]
  readonly used: Texts
  readonly attributes: Texts
}

const anyExample: fc.Arbitrary<Example> = fc
  .tuple(fc.subarray(['image', 'request', 'input_token']), fc.constantFrom(...TIMES), fc.boolean())
  .chain(([units, time, isTimed]) => {
    const all = isTimed || units.length === 0 ? [...units, time] : units
    return fc.tuple(fc.tuple(...all.map(anyRow)), fc.tuple(...all.map(anyUse)), anyBounds, anyAttributes)
  })
  .map(([rows, uses, bounds, attributes]) => ({
    rows: rows.map((priced, index) => (index === 0 ? { ...priced, ...bounds } : priced)),
    used: Object.fromEntries(uses.flat()),
    attributes,
  }))

test('every call costs what exact fractions say, to the last micro-credit', () => {
  fc.assert(
    fc.property(anyExample, ({ rows, used, attributes }) => {
      const priced = call(rows, used, attributes)
      assert.equal(isRefusal(priced) ? priced.refused : priced.credits, reference(rows, used, attributes))
    }),
    { numRuns: 2_000 },
  )
})

test('using more never costs less, whatever the tiers, steps, modifiers, minimum and cap', () => {
  fc.assert(
    fc.property(anyExample, positive, ({ rows, used, attributes }, extra) => {
      const price = priceOf(rows)
      const quantities = decimalsOf(used)
      const more = Object.fromEntries(
        Object.entries(quantities).map(([unit, quantity]) => [unit, (quantity + decimalOf(extra)) as Decimal]),
      )
      const [less, greater] = [quantities, more].map((each) => priceCall(price, { quantities: each, attributes }))
      assert.ok(less && greater)
      if (!isRefusal(less) && !isRefusal(greater)) assert.ok(greater.credits >= less.credits, `${greater.credits} < ${less.credits}`)
      else assert.ok(isRefusal(greater), 'a call is refused that costs less than one that is not')
    }),
    { numRuns: 1_000 },
  )
})
