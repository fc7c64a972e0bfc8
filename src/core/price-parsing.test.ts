import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MAX_COMPONENTS,
  MAX_FALLBACKS,
  MAX_MODIFIERS,
  MAX_OPERATIONS,
  MAX_TIERS,
  type OperationPrice,
  type PriceComponent,
} from './price-book.ts'
import { type PriceFault, type PriceRow, parsePrices } from './price-parsing.ts'

const NAME_FAULT = 'must match ^[a-z][a-z0-9_.-]{0,99}$'
const UNIT_FAULT = 'must match ^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$'
const DECIMAL_FAULT = 'must be a decimal of 0 or more, below 10^15, with at most 12 decimals'
const CREDITS_FAULT = 'must be credits of 0 or more with at most 6 decimals'
const FALLBACK_FAULT = "must name each credit type once, and not the price's own"

/** A row that is right, but for what a test changes. */
function row(change: Partial<PriceRow> = {}): PriceRow {
  return { operation: 'transcription', rate: '660', per: { quantity: '1', unit: 'minute' }, ...change }
}

/** A second row of the same operation. */
function alsoPer(unit: string, change: Partial<PriceRow> = {}): PriceRow {
  return row({ rate: '1', per: { quantity: '1', unit }, ...change })
}

function operationsOf(rows: readonly PriceRow[]): ReadonlyMap<string, OperationPrice> {
  const parsed = parsePrices(rows)
  assert.ok('operations' in parsed, JSON.stringify(parsed))
  return parsed.operations
}

function operationOf(...rows: readonly PriceRow[]): OperationPrice {
  const [operation, ...others] = operationsOf(rows).values()
  assert.ok(operation && others.length === 0)
  return operation
}

function componentOf(change: Partial<PriceRow>): PriceComponent {
  const [component, ...others] = operationOf(row(change)).components
  assert.ok(component && others.length === 0)
  return component
}

function faultsOf(rows: readonly PriceRow[]): readonly PriceFault[] {
  const parsed = parsePrices(rows)
  return 'faults' in parsed ? parsed.faults : []
}

function pointersOf(...rows: readonly PriceRow[]): readonly string[] {
  return faultsOf(rows).map(({ pointer }) => pointer)
}

test('a row that says only what it must takes every default', () => {
  assert.deepEqual(operationOf(row()), {
    operation: 'transcription',
    creditType: 'credits',
    fallbackCreditTypes: [],
    components: [{ unit: 'minute', per: 10n ** 12n, rate: 660n * 10n ** 12n, step: null, tiers: [], modifiers: [] }],
    minimum: null,
    cap: null,
    rounding: 'ceil',
  })
})

test('a row that says everything is read whole', () => {
  const said = row({
    operation: 'video.create-hd_2',
    credit_type: 'video_credits',
    fallback_credit_types: ['credits', 'bonus'],
    rate: 0.000001,
    per: { quantity: '30', unit: 'second' },
    step: 0.5,
    tiers: [
      { up_to: '10', rate: '3.5' },
      { up_to: 20, rate: 2 },
      { up_to: null, rate: '0' },
    ],
    modifiers: [
      { attribute: 'quality', equals: 'premium', multiply: '2' },
      { attribute: 'quality', equals: 'draft', multiply: 0 },
      { attribute: 'speed', equals: 'premium', multiply: '1.25' },
    ],
    minimum: '0.5',
    cap: 100,
    rounding: 'half_even',
  })
  const unit = 10n ** 12n
  assert.deepEqual(operationOf(said), {
    operation: 'video.create-hd_2',
    creditType: 'video_credits',
    fallbackCreditTypes: ['credits', 'bonus'],
    components: [
      {
        unit: 'second',
        per: 30n * unit,
        rate: 10n ** 6n,
        step: unit / 2n,
        tiers: [
          { upTo: 10n * unit, rate: (35n * unit) / 10n },
          { upTo: 20n * unit, rate: 2n * unit },
          { upTo: null, rate: 0n },
        ],
        modifiers: [
          { attribute: 'quality', equals: 'premium', multiply: 2n * unit },
          { attribute: 'quality', equals: 'draft', multiply: 0n },
          { attribute: 'speed', equals: 'premium', multiply: (125n * unit) / 100n },
        ],
      },
    ],
    minimum: 500_000n,
    cap: 100_000_000n,
    rounding: 'half_even',
  })
})

test('a book without rows prices nothing', () => {
  assert.equal(operationsOf([]).size, 0)
})

test('rows of one operation are its components, in the order sent, wherever they stand', () => {
  const other = row({ operation: 'translation' })
  const operations = operationsOf([alsoPer('input_token'), other, alsoPer('output_token'), alsoPer('request')])
  assert.deepEqual([...operations.keys()], ['transcription', 'translation'])
  assert.deepEqual(
    operations.get('transcription')?.components.map(({ unit }) => unit),
    ['input_token', 'output_token', 'request'],
  )
  assert.equal(operations.get('translation')?.components.length, 1)
})

test('what belongs to the whole operation may be stated on any of its rows, once or alike', () => {
  const shared = { credit_type: 'audio', fallback_credit_types: ['credits'], minimum: '1', cap: '9', rounding: 'floor' } as const
  const books = [
    [row(shared), alsoPer('request')],
    [row(), alsoPer('request', shared)],
    [row(shared), alsoPer('request', shared)],
    [row({ credit_type: 'audio', cap: '9' }), alsoPer('request', { ...shared })],
  ]
  for (const book of books) {
    const { creditType, fallbackCreditTypes, minimum, cap, rounding } = operationOf(...book)
    assert.deepEqual([creditType, fallbackCreditTypes, minimum, cap, rounding], ['audio', ['credits'], 1_000_000n, 9_000_000n, 'floor'])
  }
})

test('rows of different operations need not agree on anything', () => {
  const operations = operationsOf([row({ credit_type: 'a', minimum: '1' }), row({ operation: 'other', credit_type: 'b', minimum: '2' })])
  assert.deepEqual(
    [...operations.values()].map(({ creditType, minimum }) => [creditType, minimum]),
    [
      ['a', 1_000_000n],
      ['b', 2_000_000n],
    ],
  )
})

test('a tier without end is one whose end is null or not said', () => {
  const endless = [{ upTo: null, rate: 10n ** 12n }]
  assert.deepEqual(componentOf({ tiers: [{ up_to: null, rate: '1' }] }).tiers, endless)
  assert.deepEqual(componentOf({ tiers: [{ rate: '1' }] }).tiers, endless)
  assert.deepEqual(componentOf({ tiers: [] }).tiers, [])
})

test('one wrong field is one fault, at its pointer, with what would be right', () => {
  const table: readonly (readonly [Partial<PriceRow>, string, string])[] = [
    [{ operation: '' }, 'operation', NAME_FAULT],
    [{ operation: 'Transcription' }, 'operation', NAME_FAULT],
    [{ operation: '1st' }, 'operation', NAME_FAULT],
    [{ operation: 'a b' }, 'operation', NAME_FAULT],
    [{ operation: '__proto__' }, 'operation', NAME_FAULT],
    [{ operation: 'a\n' }, 'operation', NAME_FAULT],
    [{ operation: 'a'.repeat(101) }, 'operation', NAME_FAULT],
    [{ credit_type: '' }, 'credit_type', NAME_FAULT],
    [{ credit_type: 'Credits' }, 'credit_type', NAME_FAULT],
    [{ rate: '-1' }, 'rate', DECIMAL_FAULT],
    [{ rate: -1 }, 'rate', DECIMAL_FAULT],
    [{ rate: 'free' }, 'rate', DECIMAL_FAULT],
    [{ rate: '1e3' }, 'rate', DECIMAL_FAULT],
    [{ rate: '1000000000000000' }, 'rate', DECIMAL_FAULT],
    [{ rate: '0.0000000000001' }, 'rate', DECIMAL_FAULT],
    [{ rate: Number.NaN }, 'rate', DECIMAL_FAULT],
    [{ rate: Number.POSITIVE_INFINITY }, 'rate', DECIMAL_FAULT],
    [{ per: { quantity: '0', unit: 'minute' } }, 'per/quantity', 'must be above 0'],
    [{ per: { quantity: 0, unit: 'minute' } }, 'per/quantity', 'must be above 0'],
    [{ per: { quantity: '-1', unit: 'minute' } }, 'per/quantity', DECIMAL_FAULT],
    [{ per: { quantity: '1', unit: '' } }, 'per/unit', UNIT_FAULT],
    [{ per: { quantity: '1', unit: 'mega pixel' } }, 'per/unit', UNIT_FAULT],
    [{ per: { quantity: '1', unit: '_minute' } }, 'per/unit', UNIT_FAULT],
    [{ per: { quantity: '1', unit: '__proto__' } }, 'per/unit', UNIT_FAULT],
    [{ per: { quantity: '1', unit: 'u'.repeat(51) } }, 'per/unit', UNIT_FAULT],
    [{ step: '0' }, 'step', 'must be above 0'],
    [{ step: 'x' }, 'step', DECIMAL_FAULT],
    [{ minimum: '-0.5' }, 'minimum', CREDITS_FAULT],
    [{ minimum: '0.0000001' }, 'minimum', CREDITS_FAULT],
    [{ minimum: 'none' }, 'minimum', CREDITS_FAULT],
    [{ cap: -1 }, 'cap', CREDITS_FAULT],
    [{ cap: '9200000000000.000001' }, 'cap', CREDITS_FAULT],
    [{ fallback_credit_types: ['credits'] }, 'fallback_credit_types', FALLBACK_FAULT],
    [{ fallback_credit_types: ['a', 'b', 'a'] }, 'fallback_credit_types', FALLBACK_FAULT],
    [{ credit_type: 'audio', fallback_credit_types: ['audio'] }, 'fallback_credit_types', FALLBACK_FAULT],
    [{ tiers: [{ up_to: 'x', rate: '1' }] }, 'tiers/0/up_to', DECIMAL_FAULT],
    [{ tiers: [{ up_to: '0', rate: '1' }] }, 'tiers/0/up_to', 'must be above 0'],
    [{ tiers: [{ up_to: '1', rate: '-1' }] }, 'tiers/0/rate', DECIMAL_FAULT],
    [{ modifiers: [{ attribute: 'a', equals: 'b', multiply: '-1' }] }, 'modifiers/0/multiply', DECIMAL_FAULT],
  ]
  for (const [change, where, detail] of table)
    assert.deepEqual(
      faultsOf([row({ operation: 'fine' }), row(change)]),
      [{ pointer: `#/prices/1/${where}`, detail }],
      JSON.stringify(change),
    )
})

test('the shortest and longest names are taken, and units that begin with any letter or digit', () => {
  const longest = `a${'b'.repeat(99)}`
  const units = ['u', 'Z', '0', '9x', '5.5-k_B', 'u'.repeat(50)]
  for (const unit of units) assert.equal(componentOf({ per: { quantity: 1, unit } }).unit, unit)
  for (const operation of ['a', longest]) assert.equal(operationOf(row({ operation, credit_type: operation })).creditType, operation)
})

test('a minimum and a cap of zero are taken as such', () => {
  const { minimum, cap } = operationOf(row({ minimum: '0', cap: 0 }))
  assert.deepEqual([minimum, cap], [0n, 0n])
})

test('tiers must rise, and only the last may be without end', () => {
  const above = 'must be above the tier before it'
  const table: readonly (readonly [readonly (string | null)[], readonly (readonly [number, string])[]])[] = [
    [['1', '2', '3'], []],
    [['0.000000000001', '0.000000000002', null], []],
    [['1', '1'], [[1, above]]],
    [['2', '1'], [[1, above]]],
    [['1', '3', '2', '4'], [[2, above]]],
    [['1', '3', '3.0'], [[2, above]]],
    [[null, '5'], [[0, 'only the last tier may be without end']]],
    [['5', null, null], [[1, 'only the last tier may be without end']]],
  ]
  for (const [ends, wanted] of table) {
    const found = faultsOf([row({ tiers: ends.map((up_to) => ({ up_to, rate: '1' })) })])
    assert.deepEqual(
      found,
      wanted.map(([index, detail]) => ({ pointer: `#/prices/0/tiers/${index}/up_to`, detail })),
      JSON.stringify(ends),
    )
  }
})

test('a tier whose end cannot be read is one fault, and does not hide that a later one falls', () => {
  const tiers = [
    { up_to: '5', rate: '1' },
    { up_to: 'abc', rate: '1' },
  ]
  assert.deepEqual(faultsOf([row({ tiers })]), [{ pointer: '#/prices/0/tiers/1/up_to', detail: DECIMAL_FAULT }])
  const falling = row({ tiers: [...tiers, { up_to: '3', rate: '1' }] })
  assert.deepEqual(pointersOf(falling), ['#/prices/0/tiers/1/up_to', '#/prices/0/tiers/2/up_to'])
})

test('one value of an attribute has one modifier', () => {
  const modifier = { attribute: 'quality', equals: 'premium', multiply: '2' }
  assert.deepEqual(faultsOf([row({ modifiers: [modifier, { ...modifier, equals: 'draft' }, { ...modifier, multiply: '3' }] })]), [
    { pointer: '#/prices/0/modifiers/2', detail: 'quality=premium has a modifier already' },
  ])
})

test('attributes and values are not run together when modifiers are compared', () => {
  const modifiers = [
    { attribute: 'a=b', equals: 'c', multiply: '2' },
    { attribute: 'a', equals: 'b=c', multiply: '2' },
    { attribute: 'a","b', equals: 'c', multiply: '2' },
    { attribute: 'a', equals: 'b","c', multiply: '2' },
  ]
  assert.equal(componentOf({ modifiers }).modifiers.length, 4)
})

test('rows of one operation need units that measure different things', () => {
  const detail = 'transcription is already priced per minute; rows of one operation need units that measure different things'
  assert.deepEqual(faultsOf([row(), alsoPer('request'), row({ rate: '1' })]), [{ pointer: '#/prices/2/per/unit', detail }])
})

test('rows of one operation may not count one unit under two spellings', () => {
  // A call that states seconds would pay both rows.
  assert.deepEqual(pointersOf(row(), alsoPer('minutes')), ['#/prices/1/per/unit'])
})

test('rows that disagree about their operation are refused where they disagree', () => {
  const table: readonly (readonly [keyof PriceRow, Partial<PriceRow>, Partial<PriceRow>])[] = [
    ['fallback_credit_types', { fallback_credit_types: ['a', 'b'] }, { fallback_credit_types: ['b', 'a'] }],
    ['minimum', { minimum: '1' }, { minimum: '2' }],
    ['cap', { cap: '1' }, { cap: '2' }],
    ['rounding', { rounding: 'floor' }, { rounding: 'ceil' }],
  ]
  for (const [field, first, second] of table)
    assert.deepEqual(
      faultsOf([row(first), alsoPer('request'), alsoPer('image', second)]),
      [{ pointer: `#/prices/2/${field}`, detail: 'must be the same on all rows of transcription' }],
      field,
    )
})

test('rows that disagree about their credit type are refused where they disagree, once', () => {
  assert.deepEqual(pointersOf(row({ credit_type: 'a' }), alsoPer('request', { credit_type: 'b' })), ['#/prices/1/credit_type'])
})

test('a fault in what the operation shares points at the row that states it', () => {
  const table: readonly (readonly [string, Partial<PriceRow>])[] = [
    ['minimum', { minimum: '-1' }],
    ['cap', { cap: 'none' }],
    ['credit_type', { credit_type: 'No' }],
    ['fallback_credit_types', { fallback_credit_types: ['credits'] }],
  ]
  const found = table.map(([, change]) => pointersOf(row(), alsoPer('request', change)))
  assert.deepEqual(
    found,
    table.map(([field]) => [`#/prices/1/${field}`]),
  )
})

test('a misnamed fallback credit type is pointed at by its place in the list', () => {
  const misnamed = row({ fallback_credit_types: ['bonus', 'Not A Name'] })
  assert.deepEqual(faultsOf([misnamed]), [{ pointer: '#/prices/0/fallback_credit_types/1', detail: NAME_FAULT }])
})

test('a minimum above the cap is refused: a call cannot cost at least 10 and at most 5', () => {
  assert.match(pointersOf(row({ minimum: '10', cap: '5' })).join(), /^#\/prices\/0\/(minimum|cap)$/)
})

test('a minimum that equals the cap is taken', () => {
  const { minimum, cap } = operationOf(row({ minimum: '5', cap: '5' }))
  assert.deepEqual([minimum, cap], [5_000_000n, 5_000_000n])
})

test('limits are taken in full and refused one above', () => {
  const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index))
  const table: readonly (readonly [number, string, (count: number) => PriceRow[], string])[] = [
    [MAX_OPERATIONS, '#/prices', (count) => many(count, (index) => row({ operation: `op${index}` })), 'prices at most 1000 operations'],
    [MAX_COMPONENTS, '#/prices', (count) => many(count, (index) => alsoPer(`u${index}`)), 'transcription has more than 16 rows'],
    [
      MAX_TIERS,
      '#/prices/0/tiers',
      (count) => [row({ tiers: many(count, (index) => ({ up_to: index + 1, rate: '1' })) })],
      'at most 32 tiers',
    ],
    [
      MAX_MODIFIERS,
      '#/prices/0/modifiers',
      (count) => [row({ modifiers: many(count, (index) => ({ attribute: 'a', equals: `${index}`, multiply: '1' })) })],
      'at most 32 modifiers',
    ],
    [
      MAX_FALLBACKS,
      '#/prices/0/fallback_credit_types',
      (count) => [row({ fallback_credit_types: many(count, (index) => `type${index}`) })],
      'at most 8 credit types',
    ],
  ]
  for (const [limit, pointer, make, detail] of table) {
    assert.deepEqual(faultsOf(make(limit)), [], detail)
    assert.deepEqual(faultsOf(make(limit + 1)), [{ pointer, detail }])
  }
})

test('all faults are reported together, and the book is refused whole', () => {
  const rows = [
    row({ operation: 'fine' }),
    row({ operation: 'Bad', rate: '-1' }),
    row({ rate: 'x', per: { quantity: '0', unit: '' }, step: '0', credit_type: 'No', minimum: '-1', cap: '-1' }),
    alsoPer('request', {
      tiers: [{ rate: '1' }, { up_to: '2', rate: 'x' }, { up_to: '1', rate: '1' }],
      modifiers: [
        { attribute: 'a', equals: 'b', multiply: 'x' },
        { attribute: 'a', equals: 'b', multiply: '1' },
      ],
    }),
  ]
  const wanted = [
    '1/operation',
    '1/rate',
    '2/rate',
    '2/per/quantity',
    '2/per/unit',
    '2/step',
    '2/credit_type',
    '2/minimum',
    '2/cap',
    '3/tiers/0/up_to',
    '3/tiers/1/rate',
    '3/tiers/2/up_to',
    '3/modifiers/0/multiply',
    '3/modifiers/1',
  ]
  const parsed = parsePrices(rows)
  assert.ok(!('operations' in parsed))
  assert.equal(parsed.faults.length, wanted.length)
  assert.deepEqual(new Set(parsed.faults.map(({ pointer }) => pointer)), new Set(wanted.map((where) => `#/prices/${where}`)))
})
