/** Holds answers to an OpenAPI document: field for field, and nothing besides. */

import { Ajv, type ValidateFunction } from 'ajv'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import type { TestAnswer } from './obol.ts'

// biome-ignore lint/suspicious/noExplicitAny: a JSON document is looked into freely.
type Json = any

/** A copy of a schema in which objects have the fields that are named, and no others. */
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  const isOpen = 'additionalProperties' in copy || 'patternProperties' in copy
  return copy.properties && copy.type && !isOpen ? { ...copy, additionalProperties: false } : copy
}

/** Validators of documented answers, by operation and status. */
export class Documented {
  readonly operations: readonly { readonly id: string; readonly method: string; readonly path: string; readonly item: Json }[]
  readonly #ajv: Ajv
  readonly #kept = new Map<string, ValidateFunction>()

  constructor(document: Json) {
    this.#ajv = new Ajv({ strict: false, allErrors: true, formats: fullFormats })
    this.#ajv.addSchema({ $id: 'openapi', ...closed(document) })
    this.operations = Object.entries<Json>(document.paths).flatMap(([path, items]) =>
      Object.entries<Json>(items).map(([method, item]) => ({ id: item.operationId, method: method.toUpperCase(), path, item })),
    )
  }

  /** The operation that a request is. */
  find(method: string, path: string): { readonly id: string; readonly path: string; readonly item: Json } {
    const [plain = ''] = path.split('?', 1)
    const fitting = this.operations.filter(
      (operation) => operation.method === method && new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain),
    )
    const found = fitting.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0]
    if (!found) throw new Error(`${method} ${plain} is not documented`)
    return found
  }

  /** What is wrong with an answer by the document; empty: nothing. */
  faultsOf(method: string, path: string, { status, headers, body }: TestAnswer): readonly string[] {
    const { id, path: template, item } = this.find(method, path)
    const documented = item.responses[status] ? String(status) : 'default'
    if (status < 300 && documented === 'default') return [`${id} answers ${status}, which is not documented`]
    const type = (headers.get('content-type') ?? '').split(';', 1)[0]
    if (type === 'text/csv') return []
    const at = `/paths/${encodePointer(template)}/${method.toLowerCase()}/responses/${documented}/content/${encodePointer(type ?? '')}/schema`
    const validate = this.#kept.get(at) ?? this.#ajv.compile({ $ref: `openapi#${at}` })
    this.#kept.set(at, validate)
    return validate(body)
      ? []
      : (validate.errors ?? []).map(
          ({ instancePath, message, params }) => `${id} ${status} ${instancePath} ${message} ${JSON.stringify(params)}`,
        )
  }
}

function encodePointer(text: string): string {
  return encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))
}
