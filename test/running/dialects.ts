/** Dialects as their clients meet them: where a key goes, and a request of each kind. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { DialectName } from '../../src/http/dialects/installed.ts'
import { makeKey, openAccount, startTestObol, type TestAnswer, type TestObol } from './obol.ts'
import type { StoreKind } from './store.ts'

/** One dialect's API. */
export interface Surface {
  readonly name: DialectName
  /** The headers that hold a key. */
  readonly keyIn: (secret: string) => Readonly<Record<string, string>>
  /** A path that reads, for any key. */
  readonly read: string
  /** A path that takes a JSON body, and one that it takes; null: there is none. */
  readonly post: { readonly path: string; readonly body: object } | null
}

const bearer = (secret: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${secret}` })

/** Every dialect. */
export const SURFACES: readonly Surface[] = [
  { name: 'shortgenius', keyIn: bearer, read: '/v1/credits', post: { path: '/v1/videos', body: { title: 'One' } } },
  { name: 'audiopod', keyIn: bearer, read: '/api/v1/credits', post: null },
  { name: 'videodb', keyIn: (secret) => ({ 'x-access-token': secret }), read: '/billing/usage', post: null },
  { name: 'evolink', keyIn: bearer, read: '/v1/credits', post: null },
]

/** What a client sends besides its key. */
export interface Sent {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Calls a dialect below an address, with a key; null: without. */
export type DialectCall = (secret: string | null, method: string, path: string, sent?: Sent) => Promise<TestAnswer>

/** A caller of one dialect. */
export function dialectCaller({ call }: Pick<TestObol, 'call'>, { name, keyIn }: Pick<Surface, 'name' | 'keyIn'>): DialectCall {
  return (secret, method, path, { body, headers = {} } = {}) =>
    call(method, `/${name}${path}`, body, {
      key: null,
      idempotencyKey: null,
      headers: { ...(secret === null ? {} : keyIn(secret)), ...headers },
    })
}

/** The surface of a dialect. */
export function surfaceOf(name: DialectName): Surface {
  const surface = SURFACES.find((each) => each.name === name)
  assert.ok(surface)
  return surface
}

/** An Obol with an account and its key. */
export interface Scene extends TestObol {
  readonly account: string
  readonly secret: string
}

/** Starts an Obol with an account that has this many credits and a key. */
export async function startScene(
  t: TestContext,
  {
    amount = '1000',
    environment = {},
    kind = 'sqlite',
  }: {
    readonly amount?: string
    readonly environment?: Readonly<Record<string, string>>
    readonly kind?: StoreKind
  } = {},
): Promise<Scene> {
  const obol = await startTestObol(t, environment, kind)
  const account = await openAccount(obol, amount)
  const { secret } = await makeKey(obol, account)
  return { ...obol, account, secret }
}
