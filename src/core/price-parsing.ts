/** Reads a price book as it was sent (decimal strings, optional fields) and refuses it whole if any row is wrong. */

import { type Microcredits, parseCredits } from './credits.ts'
import { type Decimal, ONE, parseDecimal, type Rounding } from './decimal.ts'
import {
  MAX_COMPONENTS,
  MAX_FALLBACKS,
  MAX_MODIFIERS,
  MAX_OPERATIONS,
  MAX_TIERS,
  type Modifier,
  type OperationPrice,
  type PriceComponent,
  type Tier,
} from './price-book.ts'

/** A decimal as it travels: a string, or a JSON number. */
export type DecimalInput = string | number

/** One row of a price book as it is sent to `POST /v1/price-book`; rows of one operation are its components. */
export interface PriceRow {
  readonly operation: string
  readonly credit_type?: string
  readonly fallback_credit_types?: readonly string[]
  readonly rate: DecimalInput
  readonly per: { readonly quantity: DecimalInput; readonly unit: string }
  readonly step?: DecimalInput
  readonly tiers?: readonly { readonly up_to?: DecimalInput | null; readonly rate: DecimalInput }[]
  readonly modifiers?: readonly { readonly attribute: string; readonly equals: string; readonly multiply: DecimalInput }[]
  readonly minimum?: DecimalInput
  readonly cap?: DecimalInput
  readonly rounding?: Rounding
}

/** A fault in a sent price book: where (a JSON pointer) and what would be right. */
export interface PriceFault {
  readonly pointer: string
  readonly detail: string
}

/** The operations of a sent book, or every fault found in it. */
export type ParsedPrices = { readonly operations: ReadonlyMap<string, OperationPrice> } | { readonly faults: readonly PriceFault[] }

const NAME = /^[a-z][a-z0-9_.-]{0,99}$/
const UNIT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$/
/** What the credit type of a price is when none is named. */
export const DEFAULT_CREDIT_TYPE = 'credits'

/** Reads rows into operations. All faults are reported together, and one fault refuses the whole book. */
export function parsePrices(rows: readonly PriceRow[]): ParsedPrices {
  const faults: PriceFault[] = []
  const groups = new Map<string, { readonly row: PriceRow; readonly pointer: string }[]>()
  rows.forEach((row, index) => {
    const pointer = `#/prices/${index}`
    if (!NAME.test(row.operation)) faults.push({ pointer: `${pointer}/operation`, detail: 'must match ^[a-z][a-z0-9_.-]{0,99}$' })
    const group = groups.get(row.operation)
    if (group) group.push({ row, pointer })
    else groups.set(row.operation, [{ row, pointer }])
  })
  if (groups.size > MAX_OPERATIONS) faults.push({ pointer: '#/prices', detail: `prices at most ${MAX_OPERATIONS} operations` })
  const operations = new Map<string, OperationPrice>()
  for (const [operation, group] of groups) operations.set(operation, parseOperation(operation, group, faults))
  return faults.length > 0 ? { faults } : { operations }
}

type Group = readonly { readonly row: PriceRow; readonly pointer: string }[]

function parseOperation(operation: string, group: Group, faults: PriceFault[]): OperationPrice {
  if (group.length > MAX_COMPONENTS) faults.push({ pointer: '#/prices', detail: `${operation} has more than ${MAX_COMPONENTS} rows` })
  const seen = new Set<string>()
  const components = group.map(({ row, pointer }) => {
    if (seen.has(row.per.unit))
      faults.push({
        pointer: `${pointer}/per/unit`,
        detail: `${operation} is already priced per ${row.per.unit}; rows of one operation need different units`,
      })
    seen.add(row.per.unit)
    return parseComponent(row, pointer, faults)
  })
  const whole = new WholeOperation(operation, group, faults)
  return {
    operation,
    creditType: creditType(whole.agreed('credit_type') ?? DEFAULT_CREDIT_TYPE, group, faults),
    fallbackCreditTypes: parseFallbacks(whole, group, faults),
    components,
    minimum: whole.credits('minimum'),
    cap: whole.credits('cap'),
    rounding: whole.agreed('rounding') ?? 'ceil',
  }
}

/** Fields that belong to the operation and not to one row: stated on any of its rows, the same wherever stated. */
class WholeOperation {
  readonly #operation: string
  readonly #group: Group
  readonly #faults: PriceFault[]

  constructor(operation: string, group: Group, faults: PriceFault[]) {
    this.#operation = operation
    this.#group = group
    this.#faults = faults
  }

  agreed<Field extends keyof PriceRow>(field: Field): PriceRow[Field] | undefined {
    let found: PriceRow[Field] | undefined
    for (const { row, pointer } of this.#group) {
      const stated = row[field]
      if (stated === undefined) continue
      if (found !== undefined && JSON.stringify(found) !== JSON.stringify(stated))
        this.#faults.push({ pointer: `${pointer}/${field}`, detail: `rows of ${this.#operation} must agree on ${field}` })
      found ??= stated
    }
    return found
  }

  credits(field: 'minimum' | 'cap'): Microcredits | null {
    const stated = this.agreed(field)
    if (stated === undefined) return null
    const amount = parseCredits(stated)
    if (amount !== undefined && amount >= 0n) return amount
    this.#faults.push({ pointer: `${this.#group[0]?.pointer}/${field}`, detail: 'must be credits of 0 or more with at most 6 decimals' })
    return null
  }
}

function creditType(name: string, group: Group, faults: PriceFault[]): string {
  if (!NAME.test(name)) faults.push({ pointer: `${group[0]?.pointer}/credit_type`, detail: 'must match ^[a-z][a-z0-9_.-]{0,99}$' })
  return name
}

function parseFallbacks(whole: WholeOperation, group: Group, faults: PriceFault[]): readonly string[] {
  const names = whole.agreed('fallback_credit_types') ?? []
  const pointer = `${group[0]?.pointer}/fallback_credit_types`
  if (names.length > MAX_FALLBACKS) faults.push({ pointer, detail: `at most ${MAX_FALLBACKS} credit types` })
  const first = whole.agreed('credit_type') ?? DEFAULT_CREDIT_TYPE
  if (new Set([first, ...names]).size !== names.length + 1)
    faults.push({ pointer, detail: "must name each credit type once, and not the price's own" })
  for (const name of names) creditType(name, group, faults)
  return names
}

function parseComponent(row: PriceRow, pointer: string, faults: PriceFault[]): PriceComponent {
  if (!UNIT.test(row.per.unit)) faults.push({ pointer: `${pointer}/per/unit`, detail: 'must match ^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$' })
  return {
    unit: row.per.unit,
    per: positive(row.per.quantity, `${pointer}/per/quantity`, faults),
    rate: decimal(row.rate, `${pointer}/rate`, faults),
    step: row.step === undefined ? null : positive(row.step, `${pointer}/step`, faults),
    tiers: parseTiers(row, pointer, faults),
    modifiers: parseModifiers(row, pointer, faults),
  }
}

/** Tiers must rise. Whatever lies above the last one is priced at the row's own `rate`. */
function parseTiers(row: PriceRow, pointer: string, faults: PriceFault[]): readonly Tier[] {
  const sent = row.tiers ?? []
  if (sent.length > MAX_TIERS) faults.push({ pointer: `${pointer}/tiers`, detail: `at most ${MAX_TIERS} tiers` })
  let floor = 0n
  return sent.map((tier, index) => {
    const at = `${pointer}/tiers/${index}`
    const upTo = tier.up_to === undefined || tier.up_to === null ? null : positive(tier.up_to, `${at}/up_to`, faults)
    if (upTo === null && index < sent.length - 1) faults.push({ pointer: `${at}/up_to`, detail: 'only the last tier may be without end' })
    if (upTo !== null && upTo <= floor) faults.push({ pointer: `${at}/up_to`, detail: 'must be above the tier before it' })
    floor = upTo ?? floor
    return { upTo, rate: decimal(tier.rate, `${at}/rate`, faults) }
  })
}

function parseModifiers(row: PriceRow, pointer: string, faults: PriceFault[]): readonly Modifier[] {
  const sent = row.modifiers ?? []
  if (sent.length > MAX_MODIFIERS) faults.push({ pointer: `${pointer}/modifiers`, detail: `at most ${MAX_MODIFIERS} modifiers` })
  const seen = new Set<string>()
  return sent.map(({ attribute, equals, multiply }, index) => {
    const at = `${pointer}/modifiers/${index}`
    const name = JSON.stringify([attribute, equals])
    if (seen.has(name)) faults.push({ pointer: at, detail: `${attribute}=${equals} has a modifier already` })
    seen.add(name)
    return { attribute, equals, multiply: decimal(multiply, `${at}/multiply`, faults) }
  })
}

function decimal(input: DecimalInput, pointer: string, faults: PriceFault[]): Decimal {
  const value = parseDecimal(input)
  if (value !== undefined) return value
  faults.push({ pointer, detail: 'must be a decimal of 0 or more, below 10^15, with at most 12 decimals' })
  return ONE
}

function positive(input: DecimalInput, pointer: string, faults: PriceFault[]): Decimal {
  const value = decimal(input, pointer, faults)
  if (value > 0n) return value
  faults.push({ pointer, detail: 'must be above 0' })
  return ONE
}
