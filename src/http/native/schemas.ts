/** Shapes that several resources share. Amounts are decimal strings of credits, times RFC 3339 in UTC. */

import { type Static, type TObject, type TProperties, type TSchema, type TUnsafe, Type } from 'typebox'

/** Names of credit types and operations. */
export const NAME_PATTERN = '^[a-z][a-z0-9_.-]{0,99}$'
const UNIT_PATTERN = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$'

/** A value or null, of a plain type. */
export function nullable<Value>(type: 'string' | 'integer' | 'boolean', description?: string, format?: string): TUnsafe<Value | null> {
  return Type.Unsafe<Value | null>({
    type: [type, 'null'],
    ...(description === undefined ? {} : { description }),
    ...(format === undefined ? {} : { format }),
  })
}

/** An object or null. */
export function nullableObject<Schema extends TSchema>(schema: Schema): TUnsafe<Static<Schema> | null> {
  return Type.Unsafe({ ...schema, type: ['object', 'null'] })
}

/** A body that may be left out: none of its fields is required. */
export function optionalBody<Fields extends TProperties>(fields: Fields): TUnsafe<Static<TObject<Fields>> | null> {
  return nullableObject(Type.Object(fields, { additionalProperties: false }))
}

/** An amount as it is sent: a decimal string, or a JSON number with at most 6 decimals. Read with `amountIn`. */
export const AmountIn = Type.Unsafe<string | number>({
  type: ['string', 'number'],
  description: 'Credits: a decimal string, or a JSON number, with at most 6 decimals, within ±9200000000000.',
  examples: ['330', '1095.3996'],
})

/** A quantity, rate or multiplier as it is sent. Read with `decimalIn`. */
export const DecimalIn = Type.Unsafe<string | number>({
  type: ['string', 'number'],
  description: 'A decimal of 0 or more: a string, or a JSON number, with at most 12 decimals.',
  examples: ['1.5', 90],
})

/** What tells decimals that are answered from other text. */
const DECIMAL = 'decimal'

/** An amount as it is answered. */
export const Amount = Type.String({
  format: DECIMAL,
  description: 'Credits, as a decimal string in its shortest form.',
  examples: ['330', '1095.3996'],
})
/** An amount as it is answered, or null. */
export const NullableAmount = nullable<string>('string', 'Credits, as a decimal string; null: none.', DECIMAL)

/** An amount, quantity or rate as it is answered, with what it says. */
export function decimalOut(description?: string) {
  return Type.String({ format: DECIMAL, ...(description === undefined ? {} : { description }) })
}

export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds.' })
export const NullableTime = nullable<string>('string', 'RFC 3339, UTC, milliseconds; null: never or not.', 'date-time')
export const TimeIn = Type.String({ format: 'date-time', maxLength: 40, description: 'RFC 3339, with a time zone.' })

export const CreditType = Type.String({ pattern: NAME_PATTERN, description: 'A kind of credits.', examples: ['credits'] })
export const Operation = Type.String({ pattern: NAME_PATTERN, description: 'A priced thing.', examples: ['transcription'] })
export const AccountIn = Type.String({
  minLength: 1,
  maxLength: 300,
  description: 'An account: its id, or `external:` and its external id.',
  examples: ['acct_1k2m3n4p', 'external:user-42'],
})
export const KeyIn = Type.String({
  minLength: 1,
  maxLength: 300,
  description: "A customer's API key: the secret that they sent, or its id.",
})

/** What callers attach to things: at most 20 pairs. */
export const Metadata = Type.Record(Type.String({ pattern: '^.{1,40}$' }), Type.String({ maxLength: 500 }), {
  maxProperties: 20,
  additionalProperties: false,
  description: 'Kept and returned as it is: at most 20 fields, names of 40 and values of 500 characters.',
})
export const Attributes = Type.Record(Type.String({ pattern: '^.{1,40}$' }), Type.String({ maxLength: 100 }), {
  maxProperties: 20,
  additionalProperties: false,
  description: 'What the modifiers of prices look at, such as `{"quality":"premium"}`.',
})
export const Quantities = Type.Record(Type.String({ pattern: UNIT_PATTERN }), DecimalIn, {
  maxProperties: 16,
  additionalProperties: false,
  description: 'How much was used, by unit, such as `{"input_tokens":374,"output_tokens":44}`.',
})

/** Strings by name, as answered. */
export const StringMap = Type.Record(Type.String(), Type.String())

/** Decimals by name, as answered: quantities by unit, credits by source. */
export function decimalMap(description?: string) {
  return Type.Record(Type.String(), decimalOut(), description === undefined ? {} : { description })
}

/** A credit type's balance: available = settled − held. */
export const Balance = Type.Object({ credit_type: Type.String(), settled: Amount, held: Amount, available: Amount }, { title: 'Balance' })

/** The problem that every error is. */
export const ProblemBody = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
    instance: Type.String(),
    request_id: Type.String(),
    docs: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
  },
  { $id: 'Problem', additionalProperties: true, description: 'RFC 9457. Switch on `code`; each has a page at `docs`.' },
)

/** The answers that any operation may give besides its own. */
export const PROBLEMS_ANSWER = {
  default: { description: 'A problem: see its `code`.', content: { 'application/problem+json': { schema: Type.Ref('Problem') } } },
} as const

/** A list of things. */
export function listOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    object: Type.Literal('list'),
    url: Type.String(),
    has_more: Type.Boolean(),
    next_cursor: nullable<string>('string', 'Goes on from here: `starting_after`, or `ending_before` when going back.'),
    data: Type.Array(item),
  })
}

/** An id in the path. */
export function idParam<Name extends string>(name: Name, description: string) {
  return Type.Object({ [name]: Type.String({ description }) } as Record<Name, ReturnType<typeof Type.String>>)
}
