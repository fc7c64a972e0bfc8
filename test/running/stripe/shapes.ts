/**
 * What Stripe's API takes, read from the type declarations of Stripe's own SDK: every parameter by name, which are required, and of what type.
 * A request that the real API would turn away is turned away here.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What was decoded from a form: texts, lists and fields. */
export type FormValue = string | FormValue[] | { [name: string]: FormValue }

interface Property {
  readonly type: string
  readonly isOptional: boolean
}

/** Interfaces and type aliases by their full names: `SessionCreateParams.LineItem.PriceData`. */
interface Declarations {
  readonly interfaces: ReadonlyMap<string, ReadonlyMap<string, Property>>
  readonly aliases: ReadonlyMap<string, string>
}

const RESOURCES = join(fileURLToPath(import.meta.resolve('stripe')), '../resources')
const read = new Map<string, Declarations>()

function declarationsIn(file: string): Declarations {
  const known = read.get(file)
  if (known) return known
  const made = parse(readFileSync(join(RESOURCES, `${file}.d.ts`), 'utf8'))
  read.set(file, made)
  return made
}

/** Reads declarations line by line, as the SDK's generator writes them. */
function parse(text: string): Declarations {
  const interfaces = new Map<string, Map<string, Property>>()
  const aliases = new Map<string, string>()
  const scope: string[] = []
  for (const line of text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .split('\n')
    .map((each) => each.trim())) {
    const opened = /^(?:export )?(?:declare )?(namespace|interface|class) ([\w.]+)[^{]*\{$/.exec(line)
    if (opened) {
      scope.push(opened[2] ?? '')
      if (opened[1] === 'interface') interfaces.set(scope.join('.'), new Map())
    } else if (line.startsWith('}')) scope.pop()
    else if (line.endsWith('{')) scope.push('')
    else note(line, { scope: scope.join('.'), interfaces, aliases })
  }
  return { interfaces, aliases }
}

interface Noted {
  readonly scope: string
  readonly interfaces: ReadonlyMap<string, Map<string, Property>>
  readonly aliases: Map<string, string>
}

function note(line: string, { scope, interfaces, aliases }: Noted): void {
  const [, alias, aliased] = /^(?:export )?type (\w+) = (.+);$/.exec(line) ?? []
  if (alias !== undefined && aliased !== undefined) aliases.set(scope === '' ? alias : `${scope}.${alias}`, aliased)
  const [, name, mark, type] = /^'?([\w.]+)'?(\??): (.+);$/.exec(line) ?? []
  if (name !== undefined && type !== undefined) interfaces.get(scope)?.set(name, { type, isOptional: mark === '?' })
}

/** What is wrong with parameters; empty: nothing. */
export function faultsIn(file: string, name: string, parameters: FormValue): readonly string[] {
  return new Checker(declarationsIn(file)).check(parameters, name, { scope: '', path: '' })
}

interface Place {
  readonly scope: string
  readonly path: string
}

class Checker {
  readonly #declarations: Declarations

  constructor(declarations: Declarations) {
    this.#declarations = declarations
  }

  check(value: FormValue, type: string, place: Place): readonly string[] {
    const list = /^(?:Array<(.+)>|(.+)\[\])$/.exec(type)
    if (list) return this.#list(value, list[1] ?? list[2] ?? '', place)
    const emptyable = /^Emptyable<(.+)>$/.exec(type)
    if (emptyable) return value === '' ? [] : this.check(value, emptyable[1] ?? '', place)
    if (type === 'MetadataParam') return metadataFaults(value, place.path)
    if (type.includes(' | ')) return this.#union(value, type.split(' | '), place)
    const full = this.#resolve(type, place.scope)
    if (full === null) return plainFaults(value, type, place.path)
    const alias = this.#declarations.aliases.get(full)
    return alias === undefined ? this.#fields(value, full, place.path) : this.check(value, alias, { ...place, scope: full })
  }

  #list(value: FormValue, type: string, { scope, path }: Place): readonly string[] {
    if (!Array.isArray(value)) return [`${path} must be a list`]
    return value.flatMap((item, index) => this.check(item, type, { scope, path: `${path}[${index}]` }))
  }

  /** One of several types; literals are the values that exist. */
  #union(value: FormValue, types: readonly string[], place: Place): readonly string[] {
    const real = types.filter((type) => type !== 'OtherString' && type !== 'null')
    const faults = real.map((type) => this.check(value, type, place))
    return faults.some((found) => found.length === 0) ? [] : [`${place.path} must be ${real.join(' or ')}`]
  }

  #fields(value: FormValue, name: string, path: string): readonly string[] {
    if (typeof value === 'string' || Array.isArray(value)) return [`${path} must have fields`]
    const fields = this.#declarations.interfaces.get(name) ?? new Map<string, Property>()
    const missing = [...fields].flatMap(([field, { isOptional }]) => (isOptional || field in value ? [] : [`${path}${field} is required`]))
    const wrong = Object.entries(value).flatMap(([field, given]) => {
      const known = fields.get(field)
      const at = `${path === '' ? '' : `${path}.`}${field}`
      return known ? this.check(given, known.type, { scope: name, path: at }) : [`Received unknown parameter: ${at}`]
    })
    return [...missing, ...wrong]
  }

  /** The full name of a type, looked for from the inside out; null: it is a plain one. */
  #resolve(type: string, scope: string): string | null {
    const { interfaces, aliases } = this.#declarations
    for (let parts = scope === '' ? [] : scope.split('.'); ; parts = parts.slice(0, -1)) {
      const full = [...parts, type].join('.')
      if (interfaces.has(full) || aliases.has(full)) return full
      if (parts.length === 0) return null
    }
  }
}

const MAX_METADATA = { fields: 50, name: 40, value: 500 }

function metadataFaults(value: FormValue, path: string): readonly string[] {
  if (typeof value === 'string' || Array.isArray(value)) return [`${path} must have fields`]
  const entries = Object.entries(value)
  const isFit = entries.every(
    ([name, text]) => name.length <= MAX_METADATA.name && typeof text === 'string' && text.length <= MAX_METADATA.value,
  )
  return isFit && entries.length <= MAX_METADATA.fields ? [] : [`${path} has too much in it`]
}

function plainFaults(value: FormValue, type: string, path: string): readonly string[] {
  if (typeof value !== 'string') return [`${path} must be ${type}`]
  const literal = /^'(.*)'$/.exec(type)
  const isFit =
    literal?.[1] === value ||
    type === 'string' ||
    (type === 'number' && /^-?\d+$/.test(value)) ||
    (type === 'boolean' && /^(?:true|false)$/.test(value))
  return isFit ? [] : [`${path} must be ${type}`]
}

/** Decodes a form as Stripe reads it: `a[b][0]=c` is a field of a field of a list. */
export function decodeForm(text: string): { [name: string]: FormValue } {
  const form: { [name: string]: FormValue } = {}
  for (const [key, value] of new URLSearchParams(text)) {
    const [first = '', ...rest] = key.split('[').map((part) => part.replace(/\]$/, ''))
    put(form, [first, ...rest], value)
  }
  return listed(form) as { [name: string]: FormValue }
}

function put(into: { [name: string]: FormValue }, [name = '', ...rest]: readonly string[], value: string): void {
  if (rest.length === 0) {
    into[name] = value
    return
  }
  const inner = into[name] ?? {}
  into[name] = inner
  put(inner as { [name: string]: FormValue }, rest, value)
}

/** Fields that are numbered 0, 1, 2 … are a list. */
function listed(value: FormValue): FormValue {
  if (typeof value === 'string' || Array.isArray(value)) return value
  const entries = Object.entries(value).map(([name, inner]) => [name, listed(inner)] as const)
  const isList = entries.length > 0 && entries.every(([name], index) => name === String(index))
  return isList ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}
