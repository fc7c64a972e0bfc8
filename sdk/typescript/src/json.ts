/** Writes bodies and queries. What JSON would change without a word, such as a NaN into null, is refused before anything is sent. */

import { InvalidArgumentError } from './errors.ts'

/** Fields below which numbers say how much was used; elsewhere a fraction is credits or a rate, and those are written as text. */
const QUANTITIES: ReadonlySet<string> = new Set(['quantity', 'quantities'])
/** Fields that mean "all of it" when they are left out: an undefined one is a mistake. */
const NEVER_UNDEFINED: ReadonlySet<string> = new Set(['amount', 'quantity', 'quantities'])

/** Writes a body. Throws InvalidArgumentError at the place of what cannot be sent as it is meant. */
export function writeBody(body: object): string {
  check(body, { place: '', isQuantity: false })
  return JSON.stringify(body)
}

interface Place {
  readonly place: string
  readonly isQuantity: boolean
}

function check(value: unknown, at: Place): void {
  if (typeof value === 'number') checkNumber(value, at)
  else if (value instanceof Date) checkDate(value, at.place)
  else if (typeof value === 'object' && value !== null) for (const [name, inner] of Object.entries(value)) checkField(name, inner, at)
  else if (typeof value === 'bigint')
    throw new InvalidArgumentError(`${at.place} is a bigint: write it as text; fromMicro() does that for micro-credits.`)
  else if (typeof value === 'function' || typeof value === 'symbol') throw new InvalidArgumentError(`${at.place} is a ${typeof value}.`)
}

function checkField(name: string, value: unknown, { place, isQuantity }: Place): void {
  const inner = { place: place === '' ? name : `${place}.${name}`, isQuantity: isQuantity || QUANTITIES.has(name) }
  if (value === undefined && NEVER_UNDEFINED.has(name))
    throw new InvalidArgumentError(`${inner.place} is undefined. Leave it out if that is what you mean: then it is all there is.`)
  check(value, inner)
}

function checkNumber(value: number, { place, isQuantity }: Place): void {
  if (!Number.isFinite(value)) throw new InvalidArgumentError(`${place} is ${value}, which is no number to send.`)
  if (Number.isSafeInteger(value)) return
  if (Number.isInteger(value)) throw new InvalidArgumentError(`${place} is ${value}, more than a number holds exactly: write it as text.`)
  if (!isQuantity) throw new InvalidArgumentError(`${place} is ${value}, a float: write it as text, '${value}', so that it stays exact.`)
}

function checkDate(value: Date, place: string): void {
  if (Number.isNaN(value.getTime())) throw new InvalidArgumentError(`${place} is an invalid date.`)
}

/** Writes a query, with its `?`; empty when nothing is asked. A list is repeated. */
export function writeQuery(query: object): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) addParameter(parameters, name, one)
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

function addParameter(parameters: URLSearchParams, name: string, value: unknown): void {
  if (value === undefined) return
  check(value, { place: name, isQuantity: false })
  if (typeof value === 'object' && !(value instanceof Date))
    throw new InvalidArgumentError(`${name} is ${value === null ? 'null' : 'an object'}.`)
  parameters.append(name, value instanceof Date ? value.toISOString() : String(value))
}
