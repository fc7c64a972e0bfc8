import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MICRO, type Microcredits, micro, ZERO } from '../../core/credits.ts'
import type { Decimal } from '../../core/decimal.ts'
import { type ChargeRecord, DEBT } from '../../core/record.ts'
import { writeCharge } from './charge-answer.ts'
import { renderCharge } from './charge-bodies.ts'

const credits: fc.Arbitrary<Microcredits> = fc.bigInt(-9_200_000_000_000n * MICRO, 9_200_000_000_000n * MICRO).map(micro)
const seq = fc.integer({ min: 1, max: 2 ** 40 - 1 })
const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,99}$/)
const strings = fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 100 }), {
  maxKeys: 5,
})
const quantities = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.bigInt(0n, 10n ** 27n - 1n).map((value) => value as Decimal),
  { maxKeys: 4 },
)
const movements = fc.array(
  fc.record({ grant: fc.oneof(seq, fc.constant(DEBT)), remaining: credits, held: credits, remainingAfter: credits, heldAfter: credits }),
  { maxLength: 4 },
)

const charge: fc.Arbitrary<ChargeRecord> = fc
  .record({
    seq,
    atMs: fc.integer({ min: 0, max: 4e12 }),
    operation: name,
    creditType: name,
    credits: credits.map((amount) => (amount < 0n ? micro(-amount) : amount)),
    quantities,
    attributes: strings,
    metadata: strings,
    priceVersion: fc.option(fc.integer({ min: 1 }), { nil: null }),
    key: fc.option(seq, { nil: null }),
    balance: fc.record({ settled: fc.bigInt(-(10n ** 15n), 10n ** 15n).map(micro), held: fc.bigInt(0n, 10n ** 15n).map(micro) }),
    movements,
    hold: fc.option(seq, { nil: null }),
  })
  .map(({ hold, ...fields }): ChargeRecord => {
    const common = { ...fields, actor: 'operator', requestId: null, events: [] } as const
    return hold === null
      ? { ...common, kind: 'charge' }
      : { ...common, kind: 'capture', hold, final: true, unheld: ZERO, expired: ZERO, voided: ZERO, draws: 1 }
  })

const charged = (quantities: ChargeRecord['quantities']): ChargeRecord => {
  const heading = { seq: 2, atMs: 0, actor: 'operator', requestId: null, events: [] } as const
  const balance = { settled: ZERO, held: ZERO }
  const work = { operation: 'a', creditType: 'credits', credits: ZERO, quantities, attributes: {}, metadata: {} }
  return { kind: 'charge', ...heading, ...work, priceVersion: null, key: null, balance, movements: [] }
}

test('the text of a charge is the JSON of its body, to the letter', () => {
  fc.assert(
    fc.property(seq, charge, (account, record) =>
      assert.equal(writeCharge(account, record), JSON.stringify(renderCharge(account, record))),
    ),
    // A name that objects treat as none of theirs.
    { examples: [[1, charged({ ['__proto__']: 5n as Decimal })]] },
  )
})
