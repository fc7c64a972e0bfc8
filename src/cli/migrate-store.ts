/** `obol migrate-store`: moves a stopped store to another place, or distributes one over the nodes of its database. */

import { type Environment, SETTINGS, sqliteFile } from '../config.ts'
import { formatCredits } from '../core/credits.ts'
import { type Moved, MoveFailedError, type MoveProgress, type MoveTarget, moveStore, type StoppedStore } from '../stores/moving.ts'
import { distributeStore } from '../stores/postgres/distribute.ts'
import { openPostgresSource, openPostgresTarget } from '../stores/postgres/moved-store.ts'
import { openSqliteSource, openSqliteTarget } from '../stores/sqlite/moved-store.ts'
import { StoreUnavailableError } from '../stores/unavailable.ts'
import { CliError, EXIT } from './client.ts'
import { readSettings } from './settings.ts'

/** What the command is told. */
export interface Migration {
  readonly from?: string
  readonly to?: string
  readonly distribute?: boolean
  readonly json?: boolean
}

/** Moves or distributes, as it is told. Throws CliError with what to do. */
export async function migrateStore(environment: Environment, { from, to, distribute = false, json = false }: Migration): Promise<void> {
  if (distribute && from === undefined && to === undefined) await told(() => distributeOwn(environment, json))
  else if (!distribute && from !== undefined)
    await told(() => move({ from, to: to ?? readSettings(environment).config.OBOL_DATABASE_URL, json }))
  else throw new CliError('Give --from and --to, or --distribute alone.', { exitCode: EXIT.usage })
}

async function told(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw new CliError(cause.message, { exitCode: EXIT.unavailable, cause })
    if (cause instanceof MoveFailedError) throw new CliError(cause.message, { cause })
    throw cause
  }
}

async function distributeOwn(environment: Environment, json: boolean): Promise<void> {
  const { OBOL_DATABASE_URL: url } = readSettings(environment).config
  if (sqliteFile(url) !== null)
    throw new CliError('A SQLite store cannot be distributed. Set OBOL_DATABASE_URL to a PostgreSQL store, or move this one there first.', {
      exitCode: EXIT.config,
    })
  const { distributed, copied } = await distributeStore(url)
  if (json) console.log(JSON.stringify({ distributed, copied }, null, 2))
  else
    console.log(
      `Distributed by bucket: ${distributed.join(', ')}.\nCopied to every node: ${copied.join(', ')}.\nStart its servers with OBOL_POSTGRES_BATCH=bucket.`,
    )
}

interface Places {
  readonly from: string
  readonly to: string
}

async function move({ from, to, json }: Places & { readonly json: boolean }): Promise<void> {
  for (const place of [from, to]) assertPlace(place)
  if (from === to) throw new CliError('--from and --to name the same store.', { exitCode: EXIT.usage })
  const moved = await withStores({ from, to }, (source, target) => moveStore(source, target, json ? () => {} : reporter()))
  if (json) console.log(JSON.stringify(shown(moved), null, 2))
  else console.log(summary(moved, to))
}

function assertPlace(place: string): void {
  const { parse, form } = SETTINGS.OBOL_DATABASE_URL
  if (parse(place) === undefined) throw new CliError(`A store is named by ${form}.`, { exitCode: EXIT.usage })
}

async function withStores<Value>({ from, to }: Places, work: (source: StoppedStore, target: MoveTarget) => Promise<Value>): Promise<Value> {
  const source = await openSource(from)
  try {
    const target = await openTarget(to)
    try {
      return await work(source, target)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function openSource(place: string): Promise<StoppedStore> {
  const file = sqliteFile(place)
  return file === null ? openPostgresSource(place) : openSqliteSource(file)
}

async function openTarget(place: string): Promise<MoveTarget> {
  const file = sqliteFile(place)
  return file === null ? openPostgresTarget(place) : openSqliteTarget(file)
}

/** Tells a terminal how far a move is; nobody else. */
function reporter(): (progress: MoveProgress) => void {
  if (!process.stderr.isTTY) return () => {}
  let last = ''
  return ({ step, done, total }) => {
    if (last !== '' && last !== step) process.stderr.write('\n')
    last = step
    process.stderr.write(`\r${step}: ${done === 0 ? `${total} records` : `${done} of ${total} records`}`)
    if (step === 'compare' && done === total) process.stderr.write('\n')
  }
}

/** Amounts as everywhere: decimal strings of credits. */
function shown({ settled, ...moved }: Moved): object {
  return { ...moved, settled: Object.fromEntries(Object.entries(settled).map(([type, amount]) => [type, formatCredits(amount)])) }
}

function summary(moved: Moved, to: string): string {
  const { accounts, records, price_books, settled, journal_digest } = moved
  const amounts = Object.entries(settled).map(([type, amount]) => `${formatCredits(amount)} ${type}`)
  return `Moved, verified and compared: ${accounts} accounts, ${records} records, ${price_books} price books, ${amounts.join(', ') || 'no credits'} settled.
SHA-256 of the journal, the same on both sides: ${journal_digest}
Start Obol with OBOL_DATABASE_URL=${withoutPassword(to)}, and no server on the old store any more: keep that as a backup.`
}

/** A place that may be shown. */
function withoutPassword(place: string): string {
  if (sqliteFile(place) !== null) return place
  const url = new URL(place)
  if (url.password !== '') url.password = '…'
  return decodeURI(url.href)
}
