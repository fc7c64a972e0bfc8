/** Reads openapi.json into what the SDKs are written from: operations, and the shapes that they take and give. */

import { METHODS, READING_POSTS, SHAPES } from './names.ts'
import { type Schema, ShapeReader } from './shapes.ts'
import type { Field, Shape, Value } from './values.ts'

/** How an operation may be sent again: `safe`: at any time; `keyed`: under its idempotency key; `never`. */
export type Repeat = 'safe' | 'keyed' | 'never'

/** One operation of the API, as a method of the SDKs. */
export interface Operation {
  readonly id: string
  /** `charges`, `price_books`. */
  readonly resource: string
  /** `create`, `create_batch`. */
  readonly method: string
  readonly http: string
  readonly path: string
  readonly summary: string
  readonly description: string | null
  readonly parameters: readonly Field[]
  readonly query: readonly Field[]
  /** Null: it takes no body, or one without fields. */
  readonly body: Shape | null
  readonly answer: Answer
  readonly repeat: Repeat
  /** Whether it can be asked for as CSV. */
  readonly hasCsv: boolean
  /** Whether anybody may call it: it is sent without a key. */
  readonly isPublic: boolean
}

/** What an operation gives: one thing, a page of things, or nothing. */
export type Answer =
  | { readonly kind: 'one'; readonly of: Value }
  | { readonly kind: 'page'; readonly of: Value; readonly cursor: Value }
  | { readonly kind: 'nothing' }

/** All that the SDKs are written from. */
export interface Contract {
  readonly operations: readonly Operation[]
  readonly resources: readonly Resource[]
  readonly shapes: readonly Shape[]
}

/** Operations that go together. */
export interface Resource {
  readonly name: string
  readonly description: string
  readonly operations: readonly Operation[]
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: Schema
}

interface OperationSpec {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly security?: readonly Readonly<Record<string, unknown>>[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>>
}

/** The parts of an OpenAPI document that are read. */
export interface OpenApi {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationSpec>>>>
}

/** Reads a document. Throws for an operation that has no method, and for two shapes that claim one name. */
export function readContract({ paths, tags }: OpenApi): Contract {
  const shapes = new ShapeReader()
  const specs = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, spec]) => isObject(spec))
      .map(([http, spec]) => ({ path, http: http.toUpperCase(), spec })),
  )
  const operations = specs.map((one) => readOperation(one, shapes))
  refuseStaleNames(operations, shapes.renamed)
  const groups = Map.groupBy(operations, ({ resource }) => resource)
  const tagOf = new Map(specs.map(({ spec }) => [spec.operationId, spec.tags[0]]))
  const resources = [...groups].map(([name, members]) => ({ name, description: descriptionOf(members, tagOf, tags), operations: members }))
  return { operations, resources, shapes: shapes.all() }
}

/** Whether it answers with an object, as methods do: a file is opened by its address, and a stream has no end. */
function isObject({ responses }: OperationSpec): boolean {
  const content = responses[200]?.content
  return content === undefined || content['application/json'] !== undefined
}

/** The operation that a request is of. Fixed paths come before those with ids in them. */
export function operationAt(
  { operations }: Contract,
  { method, path }: { readonly method: string; readonly path: string },
): Operation | undefined {
  const matching = operations.filter((one) => one.http === method && new RegExp(`^${one.path.replace(/\{[^}]+\}/g, '[^/]+')}$`).test(path))
  return matching.toSorted((one, other) => one.parameters.length - other.parameters.length)[0]
}

/** What most of the operations of a resource are tagged as. */
function descriptionOf(members: readonly Operation[], tagOf: ReadonlyMap<string, string | undefined>, tags: OpenApi['tags']): string {
  const counted = [...Map.groupBy(members, ({ id }) => tagOf.get(id))].toSorted(([, one], [, other]) => other.length - one.length)
  return tags.find(({ name }) => name === counted[0]?.[0])?.description ?? ''
}

/** Names of what is not there any more would mislead whoever reads the table. */
function refuseStaleNames(operations: readonly Operation[], renamed: ReadonlySet<string>): void {
  const ids = new Set(operations.map(({ id }) => id))
  const stale = [...Object.keys(METHODS), ...READING_POSTS].filter((id) => !ids.has(id))
  const unused = Object.keys(SHAPES).filter((name) => !renamed.has(name))
  if (stale.length + unused.length > 0) throw new Error(`tools/sdk/names.ts names what is not there: ${[...stale, ...unused].join(', ')}`)
}

function readOperation(
  { path, http, spec }: { readonly path: string; readonly http: string; readonly spec: OperationSpec },
  shapes: ShapeReader,
): Operation {
  const { operationId: id, summary, description = null, parameters = [] } = spec
  const [resource, method] = METHODS[id]?.split('.') ?? []
  if (resource === undefined || method === undefined)
    throw new Error(`${id} (${http} ${path}) has no method in the SDKs: name it in tools/sdk/names.ts`)
  const fields = (place: string): Field[] => parameters.filter((one) => one.in === place).map((one) => parameterField(one, shapes))
  const isKeyed = parameters.some(({ name }) => name === 'idempotency-key')
  const query = fields('query')
  return {
    id,
    resource,
    method,
    http,
    path,
    summary,
    description,
    parameters: inPathOrder(path, fields('path')),
    query: query.filter(({ name }) => name !== 'format'),
    body: bodyOf(spec, shapes),
    answer: answerOf(spec, shapes),
    repeat: repeatOf(id, http, isKeyed),
    hasCsv: query.some(({ name }) => name === 'format'),
    isPublic: spec.security?.some((one) => Object.keys(one).length === 0) ?? false,
  }
}

function repeatOf(id: string, http: string, isKeyed: boolean): Repeat {
  if (http !== 'POST' || READING_POSTS.has(id)) return 'safe'
  return isKeyed ? 'keyed' : 'never'
}

function inPathOrder(path: string, fields: readonly Field[]): readonly Field[] {
  return fields.toSorted((one, other) => path.indexOf(`{${one.name}}`) - path.indexOf(`{${other.name}}`))
}

function parameterField({ name, required = false, schema, description }: Parameter, shapes: ShapeReader): Field {
  return { name, value: shapes.incoming(schema, name), isRequired: required, description: description ?? schema.description ?? null }
}

/** `createCharge` is `CreateCharge`. */
function pascal(id: string): string {
  return id.charAt(0).toUpperCase() + id.slice(1)
}

function bodyOf({ operationId, requestBody }: OperationSpec, shapes: ShapeReader): Shape | null {
  const schema = requestBody?.content['application/json']?.schema
  if (schema === undefined || Object.keys(schema.properties ?? {}).length === 0) return null
  return shapes.body(schema, pascal(operationId))
}

function answerOf({ operationId, responses }: OperationSpec, shapes: ShapeReader): Answer {
  const [, answer] = Object.entries(responses).find(([status]) => /^2\d\d$/.test(status)) ?? []
  const schema = answer?.content?.['application/json']?.schema
  if (schema === undefined || schema.type === 'null') return { kind: 'nothing' }
  const { object, data, next_cursor: cursor } = schema.properties ?? {}
  if (object?.const !== 'list' || data?.items === undefined || cursor === undefined)
    return { kind: 'one', of: shapes.outgoing(schema, `${pascal(operationId)}Answer`) }
  const item = pascal(operationId).replace(/^List/, '').replace(/s$/, '')
  return { kind: 'page', of: shapes.outgoing(data.items, item), cursor: shapes.outgoing(cursor, 'Cursor') }
}
