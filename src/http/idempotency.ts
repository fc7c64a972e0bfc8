/** The Idempotency-Key header, and the fingerprint of the request that it names. */

import type { FastifyRequest } from 'fastify'
import type { IdempotencyKey } from '../operations/services.ts'
import { fingerprintOf } from '../stores/chain.ts'
import { pathOf } from './error-handler.ts'
import { ProblemError } from './problems.ts'

const PRINTABLE = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/

/** The request's idempotency key; null when it has none. Quoted (a structured field) or bare. Throws idempotency_key_invalid. */
export function idempotencyOf(request: FastifyRequest): IdempotencyKey | null {
  const header = request.headers['idempotency-key']
  if (header === undefined) return null
  const key = typeof header === 'string' && header.startsWith('"') && header.endsWith('"') ? header.slice(1, -1) : header
  if (typeof key !== 'string' || !PRINTABLE.test(key)) {
    throw new ProblemError('idempotency_key_invalid', 'Idempotency-Key must be 1 to 255 printable ASCII characters.')
  }
  return { key, fingerprint: fingerprintOf(request.method, pathOf(request.url), canonicalJson(request.body)), item: 0 }
}

/** The request's idempotency key. Throws idempotency_key_required when it has none. */
export function requiredIdempotency(request: FastifyRequest): IdempotencyKey {
  const key = idempotencyOf(request)
  if (key) return key
  throw new ProblemError(
    'idempotency_key_required',
    'What moves credits needs an Idempotency-Key header, so that sending it twice cannot move them twice.',
  )
}

/** JSON with sorted keys: two bodies that say the same have the same text. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const fields = value as Readonly<Record<string, unknown>>
  let text = '{'
  for (const name of inOrder(Object.keys(fields))) text += `${text === '{' ? '' : ','}${quoted(name)}:${canonicalJson(fields[name])}`
  return `${text}}`
}

/** Sorts names, which most clients send in order: to find that out is quicker than to sort them. */
function inOrder(names: string[]): readonly string[] {
  for (let at = 1; at < names.length; at++) if ((names[at - 1] ?? '') > (names[at] ?? '')) return names.sort()
  return names
}

const PLAIN_NAME = /^[a-z_]+$/

function quoted(name: string): string {
  return PLAIN_NAME.test(name) ? `"${name}"` : JSON.stringify(name)
}
