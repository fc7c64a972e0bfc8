/** Opens the SQLite file: one owner, durable commits, a schema that is current. */

import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreUnavailableError } from '../unavailable.ts'

/** An open file and the lock that makes this process its owner. */
export interface OwnedDatabase {
  readonly db: DatabaseSync
  readonly path: string
  readonly close: () => void
}

const MIGRATIONS = join(import.meta.dirname, 'migrations')
/** Older versions can corrupt a WAL database when it is reset (fixed in 3.51.3). */
const OLDEST_SQLITE = '3.51.3'
/** `PRAGMA synchronous` of FULL: a commit waits until its WAL frames are on disk. */
const SYNCHRONOUS_FULL = 2

/** Opens a file for writing, as its only owner, and brings its schema up to date. Throws StoreUnavailableError. */
export function openDatabase(file: string): OwnedDatabase {
  const path = ownPath(resolve(file))
  const owner = takeOwnership(path)
  try {
    refuseUnfinished(path)
    const db = openFile(path)
    migrate(db, path)
    assertDurable(db)
    const close = (): void => {
      db.close()
      owner.close()
    }
    return { db, path, close }
  } catch (cause) {
    owner.close()
    throw cause
  }
}

/** Where a move makes a store that is to be at a path. */
export function unfinishedPath(path: string): string {
  return `${path}.moving`
}

function refuseUnfinished(path: string): void {
  if (existsSync(unfinishedPath(path)))
    throw new StoreUnavailableError(
      `A move to ${path} has not been finished: ${unfinishedPath(path)} is what there is of it. Run "obol migrate-store" again, which starts anew, or remove that file to do without.`,
    )
}

/** A path that this process owns, whether or not a file is there. Throws StoreUnavailableError. */
export function ownPlace(file: string): Pick<OwnedDatabase, 'path' | 'close'> {
  const path = ownPath(resolve(file))
  const owner = takeOwnership(path)
  return { path, close: () => owner.close() }
}

/** Opens a store that is there and that no server has, to read it as it is. Throws StoreUnavailableError. */
export function openStopped(file: string): OwnedDatabase {
  const path = resolve(file)
  if (!existsSync(path)) {
    refuseUnfinished(path)
    throw new StoreUnavailableError(`${path} is not there. Name the file of the store.`)
  }
  const place = ownPlace(path)
  try {
    const db = openSnapshot(place.path)
    const close = (): void => {
      db.close()
      place.close()
    }
    return { db, path: place.path, close }
  } catch (cause) {
    place.close()
    throw cause
  }
}

/** The one name of a file, whatever links lead to it; its folder is made if need be. */
function ownPath(path: string): string {
  try {
    mkdirSync(dirname(path), { recursive: true })
    return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path))
  } catch (cause) {
    throw new StoreUnavailableError(
      `The folder of ${path} cannot be made: ${messageOf(cause)}. Set OBOL_DATABASE_URL to a path that this user may write.`,
      { cause },
    )
  }
}

/** Opens a file that a server may be writing, to read one moment of it. Throws StoreUnavailableError. */
export function openSnapshot(file: string): DatabaseSync {
  const path = resolve(file)
  if (!existsSync(path)) refuseUnfinished(path)
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
    const newest = migrationFiles().length
    const { user_version: version } = db.prepare('pragma user_version').get() as { user_version: number }
    if (version !== newest)
      throw new StoreUnavailableError(
        `${path} has schema ${version}, this Obol reads ${newest}. Start the server once to bring it up to date, or use the Obol that wrote it.`,
      )
    return db
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause
    throw new StoreUnavailableError(
      `${path} cannot be opened: ${messageOf(cause)}. Name the store with OBOL_DATABASE_URL, or start Obol once to make it.`,
      { cause },
    )
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function openFile(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { timeout: 5_000, enableForeignKeyConstraints: true })
    db.exec(
      'pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off; pragma cache_size = -65536; pragma wal_autocheckpoint = 10000',
    )
    return db
  } catch (cause) {
    throw new StoreUnavailableError(
      `${path} cannot be opened: ${messageOf(cause)}. Check that it is an Obol store and that this user may write it.`,
      { cause },
    )
  }
}

/**
 * Holds a lock on a small file beside the store for as long as the process lives. The operating system lets go of it when
 * the process ends, however it ends.
 */
function takeOwnership(path: string): DatabaseSync {
  const owner = openLock(path)
  try {
    owner.exec('begin immediate; create table if not exists owner (pid integer not null); delete from owner')
    owner.prepare('insert into owner (pid) values (?)').run(process.pid)
    owner.exec('commit; begin immediate')
    return owner
  } catch (cause) {
    const pid = readOwner(owner)
    owner.close()
    if (pid === undefined) throw notLockable(path, cause)
    throw new StoreUnavailableError(
      `${path} is in use by another Obol process (pid ${pid}). One process owns a SQLite store: stop that one first, or give this one its own OBOL_DATABASE_URL.`,
      { cause },
    )
  }
}

function openLock(path: string): DatabaseSync {
  try {
    return new DatabaseSync(`${path}.owner`, { timeout: 0 })
  } catch (cause) {
    throw notLockable(path, cause)
  }
}

function notLockable(path: string, cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`${path} cannot be locked: ${messageOf(cause)}. Check that this user may write its folder.`, { cause })
}

function readOwner(owner: DatabaseSync): number | undefined {
  try {
    return (owner.prepare('select pid from owner').get() as { pid: number } | undefined)?.pid
  } catch (cause) {
    // The lock file itself cannot be read: the caller reports the failure to lock.
    if (cause instanceof Error) return undefined
    throw cause
  }
}

/** Runs work in one transaction; when it throws, nothing of it has happened. */
export function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('begin immediate')
  try {
    work()
    db.exec('commit')
  } catch (cause) {
    if (db.isTransaction) db.exec('rollback')
    throw cause
  }
}

function migrationFiles(): readonly string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
}

/** Applies the numbered files that the store has not seen, each in its own transaction; `user_version` counts them. */
function migrate(db: DatabaseSync, path: string): void {
  const files = migrationFiles()
  const { user_version: version } = db.prepare('pragma user_version').get() as { user_version: number }
  if (version > files.length)
    throw new StoreUnavailableError(
      `${path} was written by a newer Obol (schema ${version}, this one knows ${files.length}). Start that version, or restore a backup.`,
    )
  if (version === 0 && db.prepare('select 1 from sqlite_schema limit 1').get() !== undefined)
    throw new StoreUnavailableError(`${path} is a database of another program. Check that it is an Obol store, or name another path.`)
  for (const [index, name] of files.entries()) {
    if (index < version) continue
    db.exec(`begin immediate;\n${readFileSync(join(MIGRATIONS, name), 'utf8')}\n;pragma user_version = ${index + 1}; commit`)
  }
}

/** A store that could lose an acknowledged charge does not start. */
function assertDurable(db: DatabaseSync): void {
  const { version } = db.prepare('select sqlite_version() as version').get() as { version: string }
  if (isOlder(version, OLDEST_SQLITE))
    throw new StoreUnavailableError(`SQLite ${version} can corrupt stores; Obol needs ${OLDEST_SQLITE} or newer. Use Node 24.16 or newer.`)
  const { synchronous } = db.prepare('pragma synchronous').get() as { synchronous: number }
  if (synchronous !== SYNCHRONOUS_FULL)
    throw new StoreUnavailableError(`PRAGMA synchronous is ${synchronous}, not FULL: commits would not be durable.`)
  const { journal_mode: mode } = db.prepare('pragma journal_mode').get() as { journal_mode: string }
  if (mode !== 'wal') throw new StoreUnavailableError(`The journal mode is ${mode}, not WAL. Put the store on a local file system.`)
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  for (let part = 0; part < 3; part++) {
    const difference = (a?.[part] ?? 0) - (b?.[part] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
