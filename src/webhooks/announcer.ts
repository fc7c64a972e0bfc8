/**
 * Reads the feed once for all endpoints, and notes at each delivery up to where there is news. What is noted is bounded, so no endpoint
 * that is slow or fails can hold the reading up. One process reads at a time; two that take themselves for the one do no harm,
 * because news is written only while the feed stands where it was read, and to write the same twice changes nothing.
 */

import { eventPlace, eventsOf, lets } from '../core/events.ts'
import type { EndpointId } from '../core/ids.ts'
import type { FeedItem, Store } from '../stores/store.ts'
import type { News } from '../stores/webhooks/deliveries.ts'
import type { EndpointRow } from '../stores/webhooks/endpoints.ts'
import type { ReplayRow } from '../stores/webhooks/feed-reading.ts'

/** What an announcer works with. */
export interface AnnouncerParts {
  readonly store: Pick<Store, 'feed' | 'positionAt' | 'webhooks'>
  readonly clock: () => number
  /** Whether this process is still the one that is to read. */
  readonly isToGoOn: () => Promise<boolean>
}

/** Records that are read at a time, and how often in one turn. */
const PAGE = 500
const PAGES_AT_ONCE = 20
const REPLAYED_PAGES_AT_ONCE = 4
/** Clocks of processes that share a store differ by less: records that are later by so much end a replay. */
const CLOCKS_DIFFER_MS = 60_000

/** Tells endpoints what there is to hear. */
export class Announcer {
  readonly #parts: AnnouncerParts
  /** Whether it has read on without a break since somebody hears. */
  #isReading = false

  constructor(parts: AnnouncerParts) {
    this.#parts = parts
  }

  /** Reads on, as far as there is something or for a while. */
  async turn(): Promise<void> {
    const hearing = await this.#parts.store.webhooks.endpoints.hearing()
    if (!hearing) {
      this.#isReading = false
      return
    }
    if (!this.#isReading) await this.#skipTo(hearing.sinceMs)
    this.#isReading = true
    const { store, isToGoOn } = this.#parts
    for (let page = 0; page < PAGES_AT_ONCE && (await isToGoOn()); page++) if (!(await this.#tellPage())) break
    for (const replay of await store.webhooks.feed.replays()) if (await isToGoOn()) await this.#goOnWith(replay)
  }

  /** Nobody hears of what was before: it need not be read. */
  async #skipTo(sinceMs: number): Promise<void> {
    const { store } = this.#parts
    const position = await store.webhooks.feed.position()
    const first = (await store.positionAt(sinceMs)) - 1
    if (first > position) await store.webhooks.feed.move(position, first)
  }

  /** Tells of one page of the feed. Returns whether there may be more. */
  async #tellPage(): Promise<boolean> {
    const { store, clock } = this.#parts
    const { feed, deliveries, endpoints } = store.webhooks
    const position = await feed.position()
    const items = await store.feed(position, PAGE)
    const last = items.at(-1)
    if (!last) return false
    const news = newsIn(items, await this.#hearers(items), ({ sinceMs }, atMs) => atMs >= sinceMs)
    await deliveries.tell(news, { replay: null, position }, clock())
    await endpoints.wake(endpointsOf(news), clock())
    return (await feed.move(position, last.position)) && items.length === PAGE
  }

  /** Who hears of the accounts of a page, asked once it was read: whoever was there before its records is found. */
  async #hearers(items: readonly FeedItem[]): Promise<Hearers> {
    const { endpoints } = this.#parts.store.webhooks
    const ofAccounts = (await endpoints.hearing())?.ofAccounts === true
    const found = await endpoints.hearingOf(['operator', ...(ofAccounts ? new Set(items.map(({ account }) => account)) : [])])
    const byOwner = Map.groupBy(found, ({ owner }) => owner)
    return (account) => [...(byOwner.get('operator') ?? []), ...(byOwner.get(account) ?? [])]
  }

  /** Looks through a part of the feed for what an endpoint is to hear again. */
  async #goOnWith(replay: ReplayRow): Promise<void> {
    const { store, clock } = this.#parts
    const { feed, deliveries, endpoints } = store.webhooks
    const endpoint = await endpoints.byId(replay.endpointId)
    if (!endpoint) return
    for (let page = 0, at = replay; page < REPLAYED_PAGES_AT_ONCE; page++) {
      const position = at.position ?? (await store.positionAt(at.startMs)) - 1
      if (at.position === null) await feed.moveReplay(at, position)
      const items = await store.feed(position, PAGE)
      const news = newsIn(
        items,
        () => [endpoint],
        (_, atMs) => at.startMs <= atMs && atMs < at.endMs,
        at.id,
      )
      await deliveries.tell(news, { replay: at.endpointId, position }, clock())
      await endpoints.wake(endpointsOf(news), clock())
      const last = items.at(-1)
      if (items.length < PAGE || !last || (items[0]?.record.atMs ?? 0) >= at.endMs + CLOCKS_DIFFER_MS) {
        await feed.endReplay(at.id)
        return
      }
      at = { ...at, position }
      await feed.moveReplay(at, last.position)
      at = { ...at, position: last.position }
    }
  }
}

/** The endpoints that hear of an account. */
type Hearers = (account: number) => readonly EndpointRow[]

/** What there is in a page for those who hear, one piece for each endpoint and account. */
function newsIn(
  items: readonly FeedItem[],
  hearers: Hearers,
  isInTime: (endpoint: EndpointRow, atMs: number) => boolean,
  cause = '',
): readonly News[] {
  const news = new Map<string, News>()
  for (const { account, record } of items) {
    const types = eventsOf(record)
    for (const endpoint of hearers(account)) {
      if (!isInTime(endpoint, record.atMs)) continue
      const places = types.flatMap((type, index) => (lets(endpoint.filter, type) ? [eventPlace(record.seq, index)] : []))
      const [first, last] = [places[0], places.at(-1)]
      if (first === undefined || last === undefined) continue
      const name = `${endpoint.id} ${account}`
      const afterPlace = news.get(name)?.afterPlace ?? first - 1
      news.set(name, { endpointId: endpoint.id, account, cause, afterPlace, upToPlace: last })
    }
  }
  return [...news.values()]
}

function endpointsOf(news: readonly News[]): readonly EndpointId[] {
  return [...new Set(news.map(({ endpointId }) => endpointId))]
}
