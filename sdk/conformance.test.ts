/**
 * One truth: openapi.json, the server and the SDKs say the same. Every operation has a method, and each method is called on a real server;
 * every answer is what the document says; every problem has a class; every decimal is known as one.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { PROBLEMS } from '../src/http/problems.ts'
import { textOf } from '../test/reading/project.ts'
import { startConformanceObol } from '../test/running/conformance.ts'
import { OPERATOR_KEY } from '../test/running/obol.ts'
import { type OpenApi, operationAt, readContract } from '../tools/sdk/contract.ts'
import { problemClassName } from '../tools/sdk/names.ts'
import type { Schema } from '../tools/sdk/shapes.ts'
import { camel } from '../tools/sdk/words.ts'
import { PROBLEM_CLASSES } from './typescript/src/api/problems.ts'
import type { Fetch } from './typescript/src/attempt.ts'
import { Obol } from './typescript/src/obol.ts'
import { callEveryOperation } from './typescript/test/every-operation.ts'

const DOCUMENT = JSON.parse(textOf('openapi.json')) as OpenApi & { readonly components: object }
const CONTRACT = readContract(DOCUMENT)

/** An answer that a client was given. */
interface Recorded {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly body: unknown
}

/** A fetch that keeps what was answered. */
function recording(into: Recorded[]): Fetch {
  return async (url, init) => {
    const response = await fetch(url, init)
    const text = await response.clone().text()
    into.push({
      method: init.method ?? '',
      path: new URL(url).pathname,
      status: response.status,
      body: text === '' ? null : JSON.parse(text),
    })
    return response
  }
}

/** Every answer that callEveryOperation was given. */
async function recordEveryAnswer(t: Parameters<typeof startConformanceObol>[0]): Promise<readonly Recorded[]> {
  const { url } = await startConformanceObol(t)
  const recorded: Recorded[] = []
  const client = (apiKey: string | null): Obol => new Obol({ baseUrl: url, apiKey, fetch: recording(recorded) })
  await callEveryOperation({ operator: client(OPERATOR_KEY), customer: client, nobody: client(null) })
  return recorded
}

test('the document is read at all', () => {
  assert.ok(CONTRACT.operations.length > 40)
  assert.ok(CONTRACT.shapes.length > 60)
})

test('every operation has a method in TypeScript', () => {
  const obol = new Obol({ baseUrl: 'http://obol.test', apiKey: 'k' }) as unknown as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >
  const missing = CONTRACT.operations.filter(({ resource, method }) => typeof obol[camel(resource)]?.[camel(method)] !== 'function')
  assert.deepEqual(
    missing.map(({ id }) => id),
    [],
  )
})

test('every operation is called on a server by sdk/typescript/test/every-operation.ts, and answers what the document says', async (t) => {
  const recorded = await recordEveryAnswer(t)
  const called = new Set(recorded.map((answer) => operationAt(CONTRACT, answer)?.id))
  assert.deepEqual(
    CONTRACT.operations.map(({ id }) => id).filter((id) => !called.has(id)),
    [],
    'operations that are not called',
  )
  for (const answer of recorded) assertDocumented(answer)
  const unmarked = new Set(recorded.flatMap((answer) => decimalsOutside(schemaOf(answer), answer.body)))
  assert.deepEqual([...unmarked], [], 'decimals that the document does not call so, and that are not exact in every language')
})

/** What the document says of an answer. */
function schemaOf(answer: Recorded): Schema | undefined {
  const { path: template = '' } = operationAt(CONTRACT, answer) ?? {}
  return DOCUMENT.paths[template]?.[answer.method.toLowerCase()]?.responses[answer.status]?.content?.['application/json']?.schema
}

/** Answers may have nothing that the document does not name: then no field can be missing in the SDKs. */
function assertDocumented(answer: Recorded): void {
  const schema = schemaOf(answer)
  assert.ok(schema, `${answer.method} ${answer.path} answers ${answer.status}: ${JSON.stringify(answer.body)}`)
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { ...fullFormats, decimal: /^-?\d+(\.\d+)?$/ } })
  assert.ok(ajv.validate(closed({ ...schema, components: DOCUMENT.components }), answer.body), `${answer.path}: ${ajv.errorsText()}`)
}

/** A schema whose objects have no fields but those that it names. */
function closed(schema: unknown): object {
  const walk = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(walk)
    const copy = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner)]))
    return 'properties' in copy && !('additionalProperties' in copy) && 'type' in copy ? { ...copy, additionalProperties: false } : copy
  }
  return walk(schema) as object
}

/** Places of texts that look like decimals and are not said to be. */
function decimalsOutside(schema: Schema | undefined, value: unknown, place = ''): readonly string[] {
  if (typeof value === 'string') return /^-?\d+(\.\d+)?$/.test(value) && !isDecimal(schema) && !NOT_DECIMALS.has(place) ? [place] : []
  if (Array.isArray(value)) return value.flatMap((one) => decimalsOutside(schema?.items, one, `${place}[]`))
  if (typeof value !== 'object' || value === null) return []
  const properties = schema?.properties
  const rest = schema?.additionalProperties
  // Free-form parts, such as metadata, are whatever their makers put there.
  if (!properties && (rest === true || rest === undefined)) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const of = properties?.[name] ?? (typeof rest === 'object' ? rest : undefined)
    return name === 'metadata' || of === undefined ? [] : decimalsOutside(of, inner, place === '' ? name : `${place}.${name}`)
  })
}

function isDecimal(schema: Schema | undefined): boolean {
  return schema?.format === 'decimal'
}

/** Texts of digits that are names of places. */
const NOT_DECIMALS: ReadonlySet<string> = new Set(['next'])

test('every problem has a class in TypeScript, and every class its problem', () => {
  assert.deepEqual([...PROBLEM_CLASSES.keys()].toSorted(), Object.keys(PROBLEMS).toSorted())
  for (const [code, ErrorClass] of PROBLEM_CLASSES) {
    const error = new ErrorClass({
      status: 400,
      problem: { code, title: '', detail: 'x', docs: null, errors: [], members: {} },
      retryAfterSeconds: null,
      requestId: 'req_1',
      idempotencyKey: null,
      attempts: 1,
    })
    assert.deepEqual([error.name, error.requestId], [problemClassName(code), 'req_1'])
    assert.ok(error.whatToDo.length > 5, code)
  }
})
