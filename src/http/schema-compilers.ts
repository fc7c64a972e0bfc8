/**
 * What Fastify makes of the schemas of routes. To compile them all takes longer than everything else of a start, and many routes share
 * theirs: each is compiled when it is first used, once in a process.
 */

import buildSerializers from '@fastify/fast-json-stringify-compiler'
import { Ajv, type Options as AjvOptions, type ValidateFunction } from 'ajv'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import { ProblemBody } from './native/schemas.ts'

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>
type BuildSerializer = NonNullable<NonNullable<SchemaController['compilersFactory']>['buildSerializer']>
type Validator = ReturnType<FastifySchemaCompiler<unknown>>
type Serializer = ReturnType<ReturnType<BuildSerializer>>

/** Bodies are checked strictly: nothing coerced, nothing unknown. Queries and paths are text, so theirs are coerced. */
const strict = oncePerSchema(compilerWith({ coerceTypes: false }))
const loose = oncePerSchema(compilerWith({ coerceTypes: 'array' }))

function compilerWith(options: AjvOptions): (schema: object) => Validator {
  const ajv = once(() =>
    new Ajv({
      removeAdditional: false,
      useDefaults: true,
      strict: false,
      allowUnionTypes: true,
      formats: fullFormats,
      ...options,
    }).addSchema(ProblemBody),
  )
  return (schema) => {
    const compiled = once((): ValidateFunction => ajv().compile(schema))
    const validator: Validator = (data: unknown) => {
      const validate = compiled()
      const isValid = validate(data)
      validator.errors = validate.errors ?? null
      return isValid
    }
    return validator
  }
}

/** Schemas may refer to the problem, and to nothing else. Each has a compiler of its own, because to compile one with an id changes it. */
const serializer = oncePerSchema((schema): Serializer => {
  const make = () => buildSerializers()({ Problem: ProblemBody }, { ajv: { formats: { decimal: true } } })
  const compiled = once(() => make()({ schema, method: '', url: '', httpStatus: '' }))
  return (data) => compiled()(data)
})

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function oncePerSchema<Made>(make: (schema: object) => Made): (schema: object) => Made {
  const known = new WeakMap<object, Made>()
  return (schema) => {
    const made = known.get(schema) ?? make(schema)
    known.set(schema, made)
    return made
  }
}

/** Factories, and not compilers set on the instance, because Fastify makes compilers anew wherever schemas are added. */
export const SCHEMA_COMPILERS = {
  compilersFactory: {
    buildValidator:
      (): FastifySchemaCompiler<unknown> =>
      ({ schema, httpPart }) =>
        (httpPart === 'body' ? strict : loose)(schema as object),
    buildSerializer:
      () =>
      ({ schema }: { readonly schema?: unknown }) =>
        serializer(schema as object),
  },
  // Fastify types a factory by its own compilers' input; what it passes is a route's schema and the part it is for.
} as unknown as SchemaController
