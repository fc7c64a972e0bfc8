/** Reads JSON schemas into shapes. Equal schemas are one shape; two that differ may not have one name. */

import { SHAPES } from './names.ts'
import type { Field, Shape, Value } from './values.ts'

/** The parts of a JSON schema that are read. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly format?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

/** Where a schema stands. */
interface Place {
  readonly direction: Shape['direction']
  /** What a shape at this place is called, unless it says itself. */
  readonly name: string
  /** Below a field that says how much was used. */
  readonly isQuantity: boolean
}

const QUANTITIES = new Set(['quantity', 'quantities'])

/** Collects shapes. */
export class ShapeReader {
  readonly #named = new Map<string, { readonly shape: Shape; readonly text: string }>()
  readonly #byText = new Map<string, string>()
  /** Names of places that were given another name. */
  readonly renamed = new Set<string>()

  /** Every shape that was met, in order of names. */
  all(): readonly Shape[] {
    return [...this.#named.values()].map(({ shape }) => shape).sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  /** What a caller sends, at a place of this name. */
  incoming(schema: Schema, name: string): Value {
    return this.#value(schema, {
      direction: 'in',
      name: `${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      isQuantity: QUANTITIES.has(name),
    })
  }

  /** What the server answers, at a place of this name. */
  outgoing(schema: Schema, name: string): Value {
    return this.#value(schema, { direction: 'out', name, isQuantity: false })
  }

  /** The body of an operation. */
  body(schema: Schema, name: string): Shape {
    const value = this.#shape(schema, { direction: 'in', name, isQuantity: false }, `${name}Body`)
    const { shape } = this.#named.get(value) ?? {}
    if (!shape) throw new Error(`${name} has no body`)
    return shape
  }

  #value(schema: Schema, place: Place): Value {
    const types = typesOf(schema)
    const isNullable = types.includes('null') && types.length > 1
    const inner = this.#inner(
      schema,
      types.filter((type) => type !== 'null' || types.length === 1),
      place,
    )
    return { ...inner, isNullable: isNullable || inner.isNullable }
  }

  #inner(schema: Schema, types: readonly string[], place: Place): Value {
    const plain = plainValue(schema, types, place)
    if (plain) return { ...plain, isNullable: false }
    if (schema.anyOf) return eitherOf(schema.anyOf.map((one) => this.#value(one, place)))
    if (types[0] === 'array')
      return { kind: 'list', of: this.#value(schema.items ?? {}, { ...place, name: singular(place.name) }), isNullable: false }
    if (types[0] === 'object' && schema.properties) return { kind: 'shape', name: this.#shape(schema, place), isNullable: false }
    if (types[0] === 'object') return { kind: 'map', of: this.#mapped(schema, place), isNullable: false }
    return { kind: 'anything', isNullable: false }
  }

  #mapped({ additionalProperties: of }: Schema, place: Place): Value {
    return typeof of === 'object' ? this.#value(of, { ...place, name: singular(place.name) }) : { kind: 'anything', isNullable: false }
  }

  /** Names the shape of a schema, and reads it if it is new. */
  #shape(schema: Schema, place: Place, bodyName?: string): string {
    const text = `${place.direction} ${JSON.stringify({ ...schema, description: undefined, title: undefined, type: 'object' })}`
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    const name = schema.title ?? objectName(schema) ?? bodyName ?? this.#placeName(place.name)
    const other = this.#named.get(name)
    if (other) throw new Error(`two shapes would be called ${name}: give one a title in its schema, or a name in tools/sdk/names.ts`)
    this.#byText.set(text, name)
    // Taken before its fields are read, so that none of them can take it.
    const isOpen = schema.additionalProperties === true
    this.#named.set(name, { shape: { name, direction: place.direction, description: null, fields: [], isOpen }, text })
    const parent = bodyName === undefined ? name : place.name
    const fields = Object.entries(schema.properties ?? {}).map(([field, inner]) => this.#field(field, inner, { schema, parent, place }))
    this.#named.set(name, { shape: { name, direction: place.direction, description: schema.description ?? null, fields, isOpen }, text })
    return name
  }

  #placeName(name: string): string {
    const other = SHAPES[name]
    if (other !== undefined) this.renamed.add(name)
    return other ?? name
  }

  #field(
    name: string,
    schema: Schema,
    { schema: outer, parent, place }: { readonly schema: Schema; readonly parent: string; readonly place: Place },
  ): Field {
    const inner = { direction: place.direction, name: `${parent}${pascal(name)}`, isQuantity: place.isQuantity || QUANTITIES.has(name) }
    return {
      name,
      value: this.#value(schema, inner),
      isRequired: outer.required?.includes(name) ?? false,
      description: schema.description ?? null,
    }
  }
}

function typesOf({ type }: Schema): readonly string[] {
  if (type === undefined) return []
  return typeof type === 'string' ? [type] : type
}

type Plain = Value extends infer Kind ? (Kind extends Value ? Omit<Kind, 'isNullable'> : never) : never

/** A value that is no object and no list; undefined: it is one. */
function plainValue(schema: Schema, types: readonly string[], { direction, isQuantity }: Place): Plain | undefined {
  const literals = schema.const === undefined ? schema.enum : [schema.const]
  if (literals?.every((one) => typeof one === 'string' || one === null))
    return { kind: 'literals', literals: literals.filter((one) => typeof one === 'string') }
  if (types.includes('string') && types.includes('number')) return { kind: 'decimal_in', isQuantity }
  if (types[0] === 'string' && schema.format === 'decimal') return { kind: 'decimal' }
  if (types[0] === 'string' && schema.format === 'date-time') return { kind: direction === 'in' ? 'time_in' : 'time' }
  if (types[0] === 'string') return { kind: 'text' }
  if (types[0] === 'null') return { kind: 'nothing' }
  if (types[0] === 'integer' || types[0] === 'number' || types[0] === 'boolean') return { kind: types[0] }
  return undefined
}

/** Alternatives; literals among them are one value. */
function eitherOf(values: readonly Value[]): Value {
  const isNullable = values.some((value) => value.kind === 'nothing' || value.isNullable)
  const some = values.filter(({ kind }) => kind !== 'nothing')
  const literals = some.flatMap((value) => (value.kind === 'literals' ? value.literals : []))
  const rest = some.filter(({ kind }) => kind !== 'literals')
  const of = [...(literals.length > 0 ? [{ kind: 'literals', literals, isNullable: false } as const] : []), ...rest]
  const [only] = of
  return of.length === 1 && only ? { ...only, isNullable } : { kind: 'either', of, isNullable }
}

/** The name that a shape has in its field `object`: `charge_explanation` is `ChargeExplanation`. */
function objectName({ properties }: Schema): string | undefined {
  const name = properties?.object?.const
  return typeof name === 'string' ? pascal(name) : undefined
}

function pascal(name: string): string {
  return name
    .split(/[_-]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
}

function singular(name: string): string {
  return name.replace(/ies$/, 'y').replace(/(?<!s)s$/, '')
}
