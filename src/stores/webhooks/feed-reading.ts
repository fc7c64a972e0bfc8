/** How far the feed has been told to endpoints, and which parts of it endpoints are to hear again. */

import type { EndpointId, ReplayId } from '../../core/ids.ts'
import { first, type Statements } from '../statements.ts'

/** A part of the feed that an endpoint of the operator is to hear again. */
export interface ReplayRow {
  readonly endpointId: EndpointId
  readonly id: ReplayId
  /** Inclusive. */
  readonly startMs: number
  /** Exclusive. */
  readonly endMs: number
  /** The last position that was looked at; null: not begun. */
  readonly position: number | null
}

const REPLAY_COLUMNS = 'endpoint_id as "endpointId", id, start_ms as "startMs", end_ms as "endMs", position'

/** The reading of the feed. */
export class FeedReading {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** The position up to which the feed was told; 0 until somebody reads it. */
  async position(): Promise<number> {
    return (await first<{ position: number }>(this.#statements, 'select position from webhook_feed', []))?.position ?? 0
  }

  /** Moves on, unless somebody else has: then false. */
  async move(from: number, to: number): Promise<boolean> {
    const moved =
      from === 0
        ? await this.#statements.all(
            `insert into webhook_feed (single, position) values (1, ?)
             on conflict (single) do update set position = excluded.position where webhook_feed.position = 0 returning position`,
            [to],
          )
        : await this.#statements.all('update webhook_feed set position = ? where position = ? returning position', [to, from])
    return moved.length === 1
  }

  /** Begins a replay; false: the endpoint has one that is not done. */
  async addReplay({ endpointId, id, startMs, endMs }: ReplayRow): Promise<boolean> {
    const added = await this.#statements.all(
      `insert into webhook_replays (endpoint_id, id, start_ms, end_ms) values (?, ?, ?, ?) on conflict (endpoint_id) do nothing returning id`,
      [endpointId, id, startMs, endMs],
    )
    return added.length === 1
  }

  replays(): Promise<readonly ReplayRow[]> {
    return this.#statements.all<ReplayRow>(`select ${REPLAY_COLUMNS} from webhook_replays order by endpoint_id`, [])
  }

  replayOf(id: EndpointId): Promise<ReplayRow | undefined> {
    return first<ReplayRow>(this.#statements, `select ${REPLAY_COLUMNS} from webhook_replays where endpoint_id = ?`, [id])
  }

  /** Moves a replay on, unless somebody else has. */
  async moveReplay({ id, position }: ReplayRow, to: number): Promise<void> {
    const from = position === null ? 'position is null' : 'position = ?'
    await this.#statements.all(`update webhook_replays set position = ? where id = ? and ${from}`, [
      to,
      id,
      ...(position === null ? [] : [position]),
    ])
  }

  async endReplay(id: ReplayId): Promise<void> {
    await this.#statements.all('delete from webhook_replays where id = ?', [id])
  }

  /** Ends the replay of an endpoint that does not hear any more. */
  async endReplayOf(id: EndpointId): Promise<void> {
    await this.#statements.all('delete from webhook_replays where endpoint_id = ?', [id])
  }
}
