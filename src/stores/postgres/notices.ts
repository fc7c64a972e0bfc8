/** Notices between nodes: what a commit changes of what servers keep in memory, sent by its own transaction, heard if it is committed. */

import type { DecidedBatch } from '../batch.ts'
import type { Notice } from '../store.ts'
import { texts } from './buckets.ts'
import type { Statement } from './session.ts'
import type { Write } from './write.ts'

const NOTIFY: Statement = { name: 'notify', text: 'select pg_notify($1, t.notice) from unnest($2::text[]) t(notice)' }

/** The channel of a schema: stores in one database do not hear each other. */
export function channelOf(schema: string): string {
  return `obol:${schema}`
}

/** The statement that tells all nodes on a schema. */
export function tellAll(schema: string, notices: readonly Notice[]): Write {
  return { statement: NOTIFY, values: [channelOf(schema), texts(notices.map((notice) => JSON.stringify(notice)))] }
}

/** What a batch changes of what is kept: keys. Nobody keeps a state or a profile, but as a hint that each commit checks. */
export function noticesOf({ pending }: Pick<DecidedBatch, 'pending'>): readonly Notice[] {
  return pending.flatMap(({ record, row: { account } }): Notice[] =>
    record.kind === 'key_updated' || record.kind === 'key_rotated' || record.kind === 'key_revoked'
      ? [{ of: 'key', account, seq: record.key }]
      : [],
  )
}

const KNOWN: ReadonlySet<unknown> = new Set<Notice['of']>(['key', 'prices', 'anything'])

/** A notice as it was sent. What this Obol does not know was sent by a newer one, or a stranger, and may be of anything. */
export function readNotice(payload = ''): Notice {
  try {
    const notice = JSON.parse(payload) as Notice | null
    if (notice !== null && KNOWN.has(notice.of)) return notice
  } catch (fault) {
    if (!(fault instanceof SyntaxError)) throw fault
  }
  return { of: 'anything' }
}
