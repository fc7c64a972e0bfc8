/** Rebuilds memory from the file: the written states, and the journal's tail folded into them. Nothing is decided twice. */

import type { DatabaseSync } from 'node:sqlite'
import { emptyAccount } from '../../core/account.ts'
import { evolve } from '../../core/evolve.ts'
import { chainHash, genesisHash } from '../chain.ts'
import { prefixOf } from '../key-prefix.ts'
import type { AccountReader } from './accounts.ts'
import { type Journal, recordOf, type StoredRow } from './journal.ts'
import type { KeyFilter } from './key-filter.ts'
import { advance, cleanEntry, type Entry, type Memory } from './memory.ts'
import { LOW_WATER } from './write-back.ts'

/** Rows of the journal's tail that are read at a time. */
const ROWS_AT_ONCE = 1_000

/** How much was folded from the tail of the journal. */
export interface Rebuilt {
  readonly lowWater: number
  /** Records that were folded in. */
  readonly records: number
}

/** What is read, and what is filled. */
export interface RecoveryParts {
  readonly db: DatabaseSync
  readonly journal: Journal
  readonly memory: Memory
  readonly keyFilter: KeyFilter
  readonly accounts: AccountReader
}

/** Fills an empty memory. Throws a fault when the journal's tail does not follow from the states. */
export function rebuild(parts: RecoveryParts): Rebuilt {
  const { db, journal, memory } = parts
  const setting = db.prepare('select value from settings where name = ?').get(LOW_WATER) as { value: string } | undefined
  const lowWater = Number(setting?.value ?? 0)
  memory.clear()
  memory.position = lowWater
  for (let rows = journal.after(lowWater, ROWS_AT_ONCE); rows.length > 0; rows = journal.after(memory.position, ROWS_AT_ONCE)) {
    for (const row of rows) {
      try {
        foldRow(row, parts)
      } catch (cause) {
        const what = `record ${row.seq} of account ${row.account}, at position ${row.position} of the journal, does not follow from those before it`
        throw new Error(`${what}; run obol verify`, { cause })
      }
      memory.position = row.position
    }
  }
  return { lowWater, records: memory.position - lowWater }
}

function foldRow(row: StoredRow, { memory, keyFilter, accounts }: RecoveryParts): void {
  const { account, seq, position, keyHash } = row
  if (keyHash !== null) {
    memory.keys.set(keyHash, position)
    keyFilter.add(prefixOf(keyHash))
  }
  const entry = memory.get(account) ?? load(account, memory, accounts)
  if (seq <= entry.state.seq) {
    if (!accounts.isIndexed(row)) throw new Error('another record has its number')
    return
  }
  const hash = chainHash(entry.hash, row)
  if (hash !== row.hash) throw new Error('it does not continue the hash chain')
  const record = recordOf(row)
  advance(entry, { record, position, hash, after: evolve(entry.state, record) })
  memory.wait(account, entry)
}

function load(account: number, memory: Memory, accounts: AccountReader): Entry {
  const stored = accounts.stateOf(account)
  const entry = stored ? cleanEntry(stored.state, stored.hash, stored.dueMs) : cleanEntry(emptyAccount(account), genesisHash(account), null)
  memory.set(account, entry)
  return entry
}
