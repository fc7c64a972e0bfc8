/** Credits on a route, whatever serves it: who pays, what the work needs, and the hold that it begins with. */

import type { Obol } from '../obol.ts'
import { type HeldWork, type HoldOptions, holdWork, type WorkTerms } from './held-work.ts'
import { missingKey, type Refusal, refusalOf, repeatedWork } from './refusals.ts'

/** What the work of a request needs at most. `account` or `key` name another payer than the request's own key. */
export type RouteTerms = WorkTerms

/** An operation without quantities, or what reads the terms of a request. */
export type Terms<Request> = string | ((request: Request) => RouteTerms | Promise<RouteTerms>)

/** How credits are taken on a route. */
export interface RouteOptions<Request> extends HoldOptions {
  /** The API key of a request. Default: `Authorization: Bearer`, or `X-API-Key`. */
  readonly key?: (request: Request) => string | null | undefined
  /** A name for the request, such as its own Idempotency-Key: its work is begun once, and a repetition is answered with 409. */
  readonly idempotencyKey?: (request: Request) => string | undefined
  /** The body of a refusal, in the words of your API. Default: a problem (RFC 9457). */
  readonly renderRefusal?: (refusal: Refusal) => unknown
}

/** A route with credits on it. */
export interface Route<Request> {
  readonly obol: Obol
  readonly terms: Terms<Request>
  readonly options: RouteOptions<Request>
  /** A header of a request, by its name in lower case. */
  readonly header: (request: Request, name: string) => string | null | undefined
}

/** What a request begins with: work that is paid for, or a refusal. */
export type Opened = { readonly work: HeldWork } | { readonly refusal: Refusal }

/** Holds the credits of a request. What `terms` throws is thrown: it is the route's own. */
export async function openWork<Request>(route: Route<Request>, request: Request): Promise<Opened> {
  const { obol } = route
  const { idempotencyKey: nameOf, ...options } = route.options
  const terms: RouteTerms = typeof route.terms === 'string' ? { operation: route.terms } : await route.terms(request)
  const payer = terms.account === undefined && terms.key === undefined ? keyOf(route, request) : undefined
  if (payer === null) return { refusal: missingKey() }
  const idempotencyKey = nameOf?.(request)
  try {
    const named = idempotencyKey === undefined ? {} : { idempotencyKey }
    const work = await holdWork(obol, payer === undefined ? terms : { ...terms, key: payer }, { ...options, ...named })
    return work.isRepeated ? { refusal: repeatedWork(work.hold.id) } : { work }
  } catch (fault) {
    const refusal = await refusalOf(obol, fault)
    if (refusal.status >= 500) options.onFault?.(fault)
    return { refusal }
  }
}

const BEARER = /^Bearer +(\S+) *$/i

/** The key of a request; null: it has none. */
function keyOf<Request>({ options, header }: Route<Request>, request: Request): string | null {
  if (options.key) return options.key(request) || null
  const [, bearer] = BEARER.exec(header(request, 'authorization') ?? '') ?? []
  return bearer ?? (header(request, 'x-api-key') || null)
}

/** The body and type of a refusal. */
export function bodyOf<Request>({ options }: Route<Request>, refusal: Refusal): { readonly text: string; readonly type: string } {
  if (!options.renderRefusal) return { text: JSON.stringify(refusal.body), type: 'application/problem+json; charset=utf-8' }
  return { text: JSON.stringify(options.renderRefusal(refusal)), type: 'application/json; charset=utf-8' }
}

/** Headers that tell a customer what the answer has cost, once it is known. */
export function creditHeaders({ charge }: HeldWork): Readonly<Record<string, string>> {
  if (!charge) return {}
  return {
    'x-credits-charged': charge.credits,
    'x-credits-remaining': charge.balance.available,
    'x-credits-charge-id': charge.id,
  }
}
