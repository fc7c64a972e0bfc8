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
import { isSameDimension } from './pricing.ts'

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
  const seen: string[] = []
  const components = group.map(({ row, pointer }) => {
    const known = seen.find((unit) => isSameDimension(unit, row.per.unit))
    if (known !== undefined) {
      const detail = `${operation} is already priced per ${known}; rows of one operation need units that measure different things`
      faults.push({ pointer: `${pointer}/per/unit`, detail })
    }
    seen.push(row.per.unit)
    return parseComponent(row, pointer, faults)
  })
  const agreed = <Field extends keyof PriceRow>(field: Field): Stated<PriceRow[Field]> => agreedOn(field, group, faults)
  const own = agreed('credit_type')
  const creditType = own.value ?? DEFAULT_CREDIT_TYPE
  checkName(creditType, own.pointer, faults)
  const minimum = parseBound(agreed('minimum'), faults)
  const cap = agreed('cap')
  const most = parseBound(cap, faults)
  if (minimum !== null && most !== null && most < minimum) faults.push({ pointer: cap.pointer, detail: 'must not be below the minimum' })
  const fallbackCreditTypes = parseFallbacks(agreed('fallback_credit_types'), creditType, faults)
  return { operation, creditType, fallbackCreditTypes, components, minimum, cap: most, rounding: agreed('rounding').value ?? 'ceil' }
}

/** What the rows of an operation state for a field that belongs to all of them, and where they first do. */
interface Stated<Value> {
  readonly value: Value | undefined
  readonly pointer: string
}

function agreedOn<Field extends keyof PriceRow>(field: Field, group: Group, faults: PriceFault[]): Stated<PriceRow[Field]> {
  const stated = group.filter(({ row }) => row[field] !== undefined)
  const [first, ...others] = stated
  for (const { row, pointer } of others) {
    if (!isSame(row[field], first?.row[field]))
      faults.push({ pointer: `${pointer}/${field}`, detail: `must be the same on all rows of ${row.operation}` })
  }
  return { value: first?.row[field], pointer: `${(first ?? group[0])?.pointer}/${field}` }
}

/** An amount may be a string on one row and a number on another. */
function isSame(a: unknown, b: unknown): boolean {
  return typeof a === 'object' ? JSON.stringify(a) === JSON.stringify(b) : String(a) === String(b)
}

function parseBound({ value, pointer }: Stated<DecimalInput | undefined>, faults: PriceFault[]): Microcredits | null {
  if (value === undefined) return null
  const amount = parseCredits(value)
  if (amount !== undefined && amount >= 0n) return amount
  faults.push({ pointer, detail: 'must be credits of 0 or more with at most 6 decimals' })
  return null
}

function checkName(name: string, pointer: string, faults: PriceFault[]): void {
  if (!NAME.test(name)) faults.push({ pointer, detail: 'must match ^[a-z][a-z0-9_.-]{0,99}$' })
}

function parseFallbacks(
  { value: names = [], pointer }: Stated<PriceRow['fallback_credit_types']>,
  own: string,
  faults: PriceFault[],
): readonly string[] {
  if (names.length > MAX_FALLBACKS) faults.push({ pointer, detail: `at most ${MAX_FALLBACKS} credit types` })
  if (new Set([own, ...names]).size !== names.length + 1)
    faults.push({ pointer, detail: "must name each credit type once, and not the price's own" })
  names.forEach((name, index) => {
    checkName(name, `${pointer}/${index}`, faults)
  })
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
  return sent.map(({ up_to, rate }, index) => {
    const at = `${pointer}/tiers/${index}`
    const upTo = up_to === undefined || up_to === null ? null : parseTierEnd(up_to, `${at}/up_to`, { floor, faults })
    if (upTo === null && index < sent.length - 1) faults.push({ pointer: `${at}/up_to`, detail: 'only the last tier may be without end' })
    // An end that cannot be read says nothing of those after it.
    floor = upTo ?? floor
    return { upTo: upTo ?? null, rate: decimal(rate, `${at}/rate`, faults) }
  })
}

function parseTierEnd(
  upTo: DecimalInput,
  pointer: string,
  { floor, faults }: { floor: bigint; faults: PriceFault[] },
): Decimal | undefined {
  const end = parseDecimal(upTo)
  if (end === undefined || end === 0n) {
    positive(upTo, pointer, faults)
    return undefined
  }
  if (end <= floor) faults.push({ pointer, detail: 'must be above the tier before it' })
  return end
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
