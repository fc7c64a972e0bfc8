/** Webhooks for tests: delivered from a test's store to receivers on this machine, turn by turn, by the test's clock. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { attemptId, endpointId, replayId } from '../../src/core/ids.ts'
import { renderEvent } from '../../src/http/native/events.ts'
import type { Store } from '../../src/stores/store.ts'
import type { DisabledReason, EndpointRow, NewEndpoint } from '../../src/stores/webhooks/endpoints.ts'
import type { Resolve } from '../../src/webhooks/names.ts'
import { Networks, parseNetwork } from '../../src/webhooks/networks.ts'
import { Sender } from '../../src/webhooks/sender.ts'
import { makeWebhookSecret } from '../../src/webhooks/signature.ts'
import { type WebhookParts, Webhooks } from '../../src/webhooks/webhooks.ts'
import type { Received } from './receiver.ts'

/** The networks of this machine, allowed or not. */
export const LOOPBACK = ['127.0.0.0/8', '::1/128'] as const

/** How a test's webhooks differ from those of a server. */
export interface WebhookOptions {
  readonly chance?: () => number
  readonly limitMs?: number
  readonly allowed?: readonly string[]
  readonly resolve?: Resolve
  /** Puts something around what sends. */
  readonly around?: (sender: WebhookParts['sender']) => WebhookParts['sender']
  /** Told of faults of runs, which fail the test otherwise. */
  readonly onFault?: (fault: unknown) => void
}

export interface TestWebhooks {
  readonly webhooks: Webhooks
  /** One turn, to its end. */
  readonly turn: () => Promise<void>
  readonly disabled: readonly (readonly [id: string, reason: DisabledReason])[]
}

/** Makes webhooks on a store. A fault of a run fails the test. */
export function makeWebhooks(
  t: TestContext,
  store: WebhookParts['store'],
  clock: { readonly nowMs: number },
  {
    chance = () => 0,
    limitMs = 15_000,
    allowed = LOOPBACK,
    resolve = async () => [],
    around = (sender) => sender,
    onFault,
  }: WebhookOptions = {},
): TestWebhooks {
  const networks = new Networks(allowed.map((text) => parseNetwork(text) ?? assert.fail(text)))
  const sender = new Sender({ networks, resolve, limitMs })
  const disabled: (readonly [string, DisabledReason])[] = []
  const faults: unknown[] = []
  const webhooks = new Webhooks({
    store,
    sender: around(sender),
    show: renderEvent,
    clock: () => clock.nowMs,
    chance,
    onDisabled: ({ id }, reason) => disabled.push([id, reason]),
    onFault: onFault ?? ((fault) => faults.push(fault)),
  })
  t.after(() => sender.close())
  const turn = async (): Promise<void> => {
    await webhooks.turn()
    await webhooks.settled()
    if (faults.length > 0) throw faults[0]
  }
  return { webhooks, turn, disabled }
}

let made = 0n

/** Makes an endpoint of an account, or of the operator, at a receiver. */
export async function addEndpoint(
  store: Store,
  { url, owner = 'operator', filter = [], nowMs, ...others }: Partial<NewEndpoint> & Pick<NewEndpoint, 'url' | 'nowMs'>,
): Promise<EndpointRow> {
  const added = await store.webhooks.endpoints.add({
    id: endpointId(++made),
    owner,
    url,
    isByOperator: true,
    description: '',
    filter,
    secret: makeWebhookSecret(),
    nowMs,
    ...others,
  })
  return typeof added === 'string' ? assert.fail(added) : added
}

/** A message as receivers read it. */
export interface ReadMessage {
  readonly id: string
  readonly type: string
  readonly account: string
  readonly sequence: number
  readonly data: Readonly<Record<string, unknown>>
}

/** Reads a message by the reference implementation, which checks its signature. Its time must be now, or that of the test's clock. */
export function readMessage({ body, headers }: Received, secret: string): ReadMessage {
  const given = { ...headers } as Record<string, string>
  assert.equal(given['content-type'], 'application/json')
  const sentAt = new Date(Number(given['webhook-timestamp']) * 1_000)
  // The reference implementation takes what was sent within five minutes; tests have their own time, so the signature alone is compared.
  const isNow = Math.abs(sentAt.getTime() - Date.now()) < 60_000
  if (isNow) new Webhook(secret).verify(body, given)
  else assert.ok(given['webhook-signature']?.split(' ').includes(new Webhook(secret).sign(given['webhook-id'] ?? '', sentAt, body)))
  const message = JSON.parse(body) as { type: string; timestamp: string; data: Readonly<Record<string, unknown>> }
  const { id, type, account, record } = message.data as { id: string; type: string; account: string; record: { sequence: number } }
  assert.deepEqual([id, type], [given['webhook-id'], message.type])
  return { id, type, account, sequence: record.sequence, data: message.data }
}

/** Leaves a row in every table of webhooks: an endpoint of the operator, and of an account, in the middle of all that happens to them. */
export async function leaveWebhooks(store: Store, nowMs: number): Promise<void> {
  const { endpoints, deliveries, feed, attempts } = store.webhooks
  const all = await addEndpoint(store, { url: 'https://hooks.example.com/all', nowMs, description: 'quoted "\\ \0', filter: ['charge.*'] })
  const { id } = await addEndpoint(store, { url: 'https://hooks.example.com/one', nowMs, owner: 101 })
  await endpoints.rotate(id, makeWebhookSecret(), nowMs + 1)
  await feed.move(0, 7)
  await deliveries.tell([{ endpointId: id, account: 101, cause: '', afterPlace: 15, upToPlace: 40 }], { replay: null, position: 7 }, nowMs)
  await endpoints.wake([id], nowMs)
  await feed.addReplay({ endpointId: all.id, id: replayId(1n), startMs: 0, endMs: nowMs, position: null })
  const sent = {
    endpointId: id,
    eventId: 'evt_1_0',
    eventType: 'charge.created',
    cause: '',
    number: 1,
    atMs: nowMs,
    durationMs: 3,
  } as const
  const failed = { outcome: 'failed', statusCode: 500, failure: 'not_accepted', nextMs: nowMs + 5_000 } as const
  await attempts.add([{ ...sent, ...failed, id: attemptId(nowMs, 1) }])
}

/** All that a store keeps of webhooks. */
export async function webhooksOf({ webhooks }: Store): Promise<unknown> {
  const { endpoints, deliveries, feed, attempts } = webhooks
  const all = [...(await endpoints.list('operator')), ...(await endpoints.list(101))]
  const due = await Promise.all(all.map(({ id }) => deliveries.due(id, Number.MAX_SAFE_INTEGER, 100)))
  const log = await Promise.all(all.map(({ id }) => attempts.list(id, { limit: 100 })))
  return { all, due, log, position: await feed.position(), replays: await feed.replays() }
}
