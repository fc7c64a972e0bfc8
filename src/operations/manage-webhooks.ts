/** Webhook endpoints: made, changed, given another secret, told again, tried out, ended. */

import { randomBytes } from 'node:crypto'
import { EVENTS_PER_RECORD, type EventFilter, eventPlace, eventsOf } from '../core/events.ts'
import { type EndpointId, endpointId, eventId, parseEndpointId, parseEventId, type ReplayId, replayId } from '../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { AttemptRow } from '../stores/webhooks/attempts.ts'
import { MAX_RESENDS } from '../stores/webhooks/deliveries.ts'
import { type EndpointChanges, type EndpointOwner, type EndpointRow, MAX_ENDPOINTS } from '../stores/webhooks/endpoints.ts'
import { makeWebhookSecret } from '../webhooks/signature.ts'
import type { Services } from './services.ts'

/** An endpoint and what waits for it. */
export interface EndpointView {
  readonly endpoint: EndpointRow
  /** Accounts of which it is still to hear something; null: it has heard everything. */
  readonly waiting: { readonly accounts: number; readonly nextMs: number } | null
  readonly isReplaying: boolean
}

/** What somebody wants of an endpoint. */
export interface WantedEndpoint {
  readonly owner: EndpointOwner
  readonly url: URL
  /** Whether it is the operator who names the address. */
  readonly isByOperator: boolean
  readonly description: string
  readonly filter: EventFilter
}

function random80(): bigint {
  return BigInt(`0x${randomBytes(10).toString('hex')}`)
}

/** The endpoint of an id. Refuses webhook_endpoint_not_found. */
export async function findEndpoint({ store }: Pick<Services, 'store'>, text: string): Promise<EndpointRow | Refusal> {
  const id = parseEndpointId(text)
  return (id && (await store.webhooks.endpoints.byId(id))) ?? notFound()
}

function notFound(): Refusal {
  return refuse('webhook_endpoint_not_found', 'No webhook endpoint has this id.')
}

/** An endpoint with what waits for it. */
export async function viewEndpoint({ store }: Pick<Services, 'store'>, endpoint: EndpointRow): Promise<EndpointView> {
  const { deliveries, feed } = store.webhooks
  if (endpoint.disabled) return { endpoint, waiting: null, isReplaying: false }
  const [waiting, isWaiting, replay] = await Promise.all([
    deliveries.waiting(endpoint.id),
    deliveries.isReplaying(endpoint.id),
    feed.replayOf(endpoint.id),
  ])
  return { endpoint, waiting, isReplaying: isWaiting || replay !== undefined }
}

/** Makes an endpoint. Refuses webhook_address_refused, webhook_url_taken, too_many_webhook_endpoints. */
export async function createEndpoint(services: Services, wanted: WantedEndpoint): Promise<EndpointRow | Refusal> {
  const { url, ...rest } = wanted
  const refusal = await refuseAddress(services, url, wanted.isByOperator)
  if (refusal) return refusal
  const { store, clock } = services
  const secret = makeWebhookSecret()
  const made = await store.webhooks.endpoints.add({ ...rest, id: endpointId(random80()), url: url.href, secret, nowMs: clock() })
  if (made === 'url_taken') return urlTaken()
  const most = wanted.owner === 'operator' ? MAX_ENDPOINTS.operator : MAX_ENDPOINTS.account
  if (made === 'too_many') return refuse('too_many_webhook_endpoints', `There are ${most} endpoints already.`)
  return made
}

function urlTaken(): Refusal {
  return refuse('webhook_url_taken', 'There is an endpoint with this address already.')
}

async function refuseAddress({ sending }: Services, url: URL, isByOperator: boolean): Promise<Refusal | undefined> {
  if (!(await sending.sender.isRefused(url, isByOperator))) return undefined
  const why = url.protocol === 'http:' ? 'Without TLS, nothing is sent to this address.' : 'Nothing is sent to internal addresses.'
  return refuse('webhook_address_refused', why)
}

/** What somebody wants changed of an endpoint. */
export type WantedChanges = Partial<Pick<WantedEndpoint, 'description' | 'filter'>> & {
  readonly url?: URL
  readonly isEnabled?: boolean
}

/** Changes an endpoint. Refuses webhook_endpoint_not_found, webhook_address_refused, webhook_url_taken. */
export async function updateEndpoint(
  services: Services,
  endpoint: EndpointRow,
  { changes, isByOperator }: { readonly changes: WantedChanges; readonly isByOperator: boolean },
): Promise<EndpointRow | Refusal> {
  const { url, isEnabled, ...rest } = changes
  const refusal = url && (await refuseAddress(services, url, isByOperator))
  if (refusal) return refusal
  const wanted: EndpointChanges = { ...rest, ...(url ? { url: url.href, isByOperator } : {}) }
  const { endpoints } = services.store.webhooks
  const changed = Object.keys(wanted).length === 0 ? endpoint : ((await endpoints.update(endpoint.id, wanted)) ?? notFound())
  if (changed === 'url_taken') return urlTaken()
  if (isRefusal(changed) || isEnabled === undefined) return changed
  return isEnabled ? enable(services, endpoint.id) : disable(services, endpoint.id)
}

/** What an endpoint was to hear before it was disabled is forgotten first: it begins anew. */
async function enable({ store, clock }: Services, id: EndpointId): Promise<EndpointRow | Refusal> {
  const { endpoints } = store.webhooks
  const known = await endpoints.byId(id)
  if (!known?.disabled) return known ?? notFound()
  await forget(store, id)
  return (await endpoints.enable(id, clock())) ?? (await endpoints.byId(id)) ?? notFound()
}

async function disable({ store, clock }: Services, id: EndpointId): Promise<EndpointRow | Refusal> {
  const { endpoints } = store.webhooks
  const disabled = (await endpoints.disable(id, 'requested', clock())) ?? (await endpoints.byId(id))
  await forget(store, id)
  return disabled ?? notFound()
}

async function forget({ webhooks }: Services['store'], id: EndpointId): Promise<void> {
  await webhooks.feed.endReplayOf(id)
  await webhooks.deliveries.forget(id)
}

/** Ends an endpoint, with its attempts and all that waits for it. */
export async function removeEndpoint({ store, clock }: Services, { id }: EndpointRow): Promise<void> {
  await store.webhooks.endpoints.disable(id, 'requested', clock())
  await forget(store, id)
  await store.webhooks.endpoints.remove(id)
}

/** Gives an endpoint another secret; the one before signs as well until the overlap ends. Refuses webhook_endpoint_not_found. */
export async function rotateEndpoint({ store, clock }: Services, { id }: EndpointRow, overlapMs: number): Promise<EndpointRow | Refusal> {
  return (await store.webhooks.endpoints.rotate(id, makeWebhookSecret(), clock() + overlapMs)) ?? notFound()
}

function isDisabled(): Refusal {
  return refuse('webhook_endpoint_disabled', 'The endpoint is disabled: nothing is sent to it.')
}

/**
 * Sends an event again, whatever the endpoint asks for. Refuses event_not_found, webhook_endpoint_disabled, too_many_resends.
 */
export async function resendEvent(services: Services, endpoint: EndpointRow, text: string): Promise<string | Refusal> {
  const { store, clock } = services
  const event = parseEventId(text)
  const isIts = event !== undefined && (endpoint.owner === 'operator' || endpoint.owner === event.account)
  const record = isIts ? await store.record(event.account, event.seq) : undefined
  if (!event || !record || event.index >= eventsOf(record).length)
    return refuse('event_not_found', 'The endpoint hears of no event with this id.')
  if (endpoint.disabled) return isDisabled()
  const id = eventId(event.account, event.seq, event.index)
  if (!(await store.webhooks.deliveries.resend(endpoint.id, event.account, id, clock())))
    return refuse('too_many_resends', `${MAX_RESENDS} events wait to be sent again already.`)
  await store.webhooks.endpoints.wake([endpoint.id], clock())
  return id
}

/** A time range: from its start up to, and without, its end. */
export interface TimeRange {
  readonly startMs: number
  readonly endMs: number
}

/** Sends again what an endpoint asks for of a time. Refuses webhook_replay_running, webhook_endpoint_disabled. */
export async function replayEvents(services: Services, endpoint: EndpointRow, range: TimeRange): Promise<ReplayId | Refusal> {
  if (endpoint.disabled) return isDisabled()
  if ((await viewEndpoint(services, endpoint)).isReplaying)
    return refuse('webhook_replay_running', 'The endpoint is being sent a part of the past already.')
  const id = replayId(random80())
  const { owner } = endpoint
  if (owner !== 'operator') return replayAccount(services, endpoint, { ...range, account: owner, id })
  const isBegun = await services.store.webhooks.feed.addReplay({ endpointId: endpoint.id, id, ...range, position: null })
  return isBegun ? id : refuse('webhook_replay_running', 'The endpoint is being sent a part of the past already.')
}

/** An account's own history needs no look through the feed. */
async function replayAccount(
  { store, clock }: Services,
  endpoint: EndpointRow,
  { account, id, startMs, endMs }: TimeRange & { readonly account: number; readonly id: ReplayId },
): Promise<ReplayId | Refusal> {
  const [first] = (await store.records(account, { limit: 1, after: 0, fromMs: startMs })).records
  const [last] = (await store.records(account, { limit: 1, toMs: endMs })).records
  if (!first || !last || last.seq < first.seq) return id
  const news = {
    endpointId: endpoint.id,
    account,
    cause: id,
    afterPlace: eventPlace(first.seq, 0) - 1,
    upToPlace: eventPlace(last.seq, EVENTS_PER_RECORD - 1),
  }
  if (!(await store.webhooks.deliveries.replay(news, clock()))) return isDisabled()
  await store.webhooks.endpoints.wake([endpoint.id], clock())
  return id
}

/** Sends an event that nothing made to an endpoint, enabled or not, once and now. Throws OverloadedError when too many do. */
export async function tryEndpoint({ store, sending }: Services, endpoint: EndpointRow): Promise<AttemptRow> {
  const attempt = await sending.trials.send(endpoint)
  await store.webhooks.attempts.add([attempt])
  await store.webhooks.attempts.removeOldest(endpoint.id)
  return attempt
}
