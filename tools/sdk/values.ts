/** The kinds of values that bodies and answers are made of. */

/** What a value may be. */
export type Value = {
  readonly isNullable: boolean
} & (
  | { readonly kind: 'text' | 'integer' | 'number' | 'boolean' | 'nothing' | 'anything' }
  /** Credits, a quantity or a rate as it is answered: a decimal string. */
  | { readonly kind: 'decimal' }
  /** The same as it is sent. Quantities may be numbers of the language; credits and rates never are. */
  | { readonly kind: 'decimal_in'; readonly isQuantity: boolean }
  | { readonly kind: 'time' | 'time_in' }
  | { readonly kind: 'literals'; readonly literals: readonly string[] }
  | { readonly kind: 'list' | 'map'; readonly of: Value }
  | { readonly kind: 'shape'; readonly name: string }
  | { readonly kind: 'either'; readonly of: readonly Value[] }
)

/** A named part of a shape, or a parameter. */
export interface Field {
  readonly name: string
  readonly value: Value
  readonly isRequired: boolean
  readonly description: string | null
}

/** An object with known fields. */
export interface Shape {
  readonly name: string
  /** Whether it is sent or answered. */
  readonly direction: 'in' | 'out'
  readonly description: string | null
  readonly fields: readonly Field[]
  /** Whether it may have fields that are not named here, as problems do. */
  readonly isOpen: boolean
}
