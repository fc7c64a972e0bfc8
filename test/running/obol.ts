/** A whole Obol for tests: its own store in a folder of its own, on a free port, stopped and audited when the test ends. */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { type Obol, type ObolOptions, startObol } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { newPlace, type StoreKind } from './store.ts'

/** The operator key of every Obol that a test runs. */
export const OPERATOR_KEY = 'the-operator-key-of-the-tests'

/** An answer: its body is JSON, or text when it is something else; a stream is not read. */
export interface TestAnswer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies freely; what is not there fails the test.
  readonly body: any
  readonly text: string
}

/** How a test calls. */
export interface CallOptions {
  /** The bearer; default: the operator's. Null: none. */
  readonly key?: string | null
  /** Default: a new one for each POST. Null: none. */
  readonly idempotencyKey?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface TestObol {
  readonly obol: Obol
  readonly url: string
  /** Path of the store's file, or URL of its schema. */
  readonly file: string
  /** The time that the server takes it to be; a test may move it. */
  readonly clock: { nowMs: number }
  /** Lines that the server logged. */
  readonly log: readonly string[]
  readonly call: (method: string, path: string, body?: unknown, options?: CallOptions) => Promise<TestAnswer>
}

/** Starts an Obol, for which no name leads anywhere unless the test says so. At the end of the test it is stopped, and its store must pass an audit. */
export async function startTestObol(
  t: TestContext,
  environment: Readonly<Record<string, string>> = {},
  kind: StoreKind = 'sqlite',
  { resolve = async () => [] }: Pick<ObolOptions, 'resolve'> = {},
): Promise<TestObol> {
  const { file, databaseUrl, audit, remove } = await newPlace(kind)
  const clock = { nowMs: Date.now() }
  const log: string[] = []
  const { config } = readConfig({ OBOL_PORT: '0', OBOL_DATABASE_URL: databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...environment })
  const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(line) })
  const obol = await startObol(config, { clock: () => clock.nowMs, log: logger, resolve })
  t.after(async () => {
    await obol.close()
    const { differences } = await audit()
    await remove()
    assert.deepEqual(differences, [], 'the store passes an audit after the test')
  })
  return { obol, url: obol.address, file, clock, log, call: caller(obol.address) }
}

/** A caller for a server at an address. */
export function caller(url: string): TestObol['call'] {
  return async (method, path, body, options = {}) => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(`${url}${path}`, {
      method,
      headers: headersOf(method, text, options),
      ...(text === undefined ? {} : { body: text }),
    })
    return readAnswer(response)
  }
}

function headersOf(
  method: string,
  body: string | undefined,
  { key = OPERATOR_KEY, idempotencyKey = randomUUID(), headers = {} }: CallOptions,
): Record<string, string> {
  return {
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(method === 'POST' && idempotencyKey !== null ? { 'idempotency-key': idempotencyKey } : {}),
    ...headers,
  }
}

async function readAnswer(response: Response): Promise<TestAnswer> {
  const isEndless = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  if (isEndless) await response.body?.cancel()
  const text = isEndless ? '' : await response.text()
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, text, body: isJson && text !== '' ? JSON.parse(text) : text }
}

/** Opens an account with credits, and gives its id. */
export async function openAccount(
  { call }: Pick<TestObol, 'call'>,
  amount = '1000',
  grant: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { body } = await call('POST', '/v1/accounts', { name: 'Test' })
  if (amount !== '0') assert.equal((await call('POST', '/v1/grants', { account: body.id, amount, ...grant })).status, 201)
  return body.id
}

/** Makes an API key, and gives its id and secret. */
export async function makeKey(
  { call }: Pick<TestObol, 'call'>,
  account: string,
  terms: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly id: string; readonly secret: string }> {
  const { body, status } = await call('POST', '/v1/keys', { account, ...terms })
  assert.equal(status, 201)
  return { id: body.id, secret: body.secret }
}

/** Prices that most tests do with. */
export const TEST_PRICES = [
  { operation: 'unit', rate: '1', per: { quantity: 1, unit: 'request' } },
  { operation: 'transcription', rate: '660', per: { quantity: 1, unit: 'minute' } },
  { operation: 'image', credit_type: 'image_credits', fallback_credit_types: ['credits'], rate: '1', per: { quantity: 1, unit: 'image' } },
  { operation: 'llm.chat', rate: '150', per: { quantity: 1_000_000, unit: 'input_tokens' } },
  { operation: 'llm.chat', rate: '600', per: { quantity: 1_000_000, unit: 'output_tokens' } },
] as const

/** Publishes TEST_PRICES. */
export async function publishTestPrices({ call }: Pick<TestObol, 'call'>): Promise<void> {
  assert.equal((await call('POST', '/v1/price-book', { prices: TEST_PRICES })).status, 201)
}
