import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { atEnd, tamper, testFolder } from '../../../test/running/ledger.ts'
import { StoreUnavailableError } from '../unavailable.ts'
import { inTransaction, type OwnedDatabase, openDatabase, openSnapshot } from './database.ts'

/** The newest schema that this Obol knows. */
const SCHEMA = readdirSync(join(import.meta.dirname, 'migrations')).filter((name) => name.endsWith('.sql')).length

function opened(t: TestContext, file: string): OwnedDatabase {
  const owned = openDatabase(file)
  atEnd(t, () => {
    if (owned.db.isOpen) owned.close()
  })
  return owned
}

/** The message with which a file cannot be opened; it must be one that says what to do. */
function refusalOf(open: () => unknown): string {
  try {
    open()
  } catch (fault) {
    assert.ok(fault instanceof StoreUnavailableError, `a StoreUnavailableError, not ${String(fault)}`)
    return fault.message
  }
  throw new assert.AssertionError({ message: 'it was opened' })
}

function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`pragma ${name}`).get() as object)[0]
}

test('a new file has the current schema, and the folder that it needs', (t) => {
  const file = join(testFolder(t), 'a', 'b', 'obol.db')
  const { db, path } = opened(t, file)
  assert.equal(path, file)
  assert.equal(pragma(db, 'user_version'), SCHEMA)
  const tables = db
    .prepare("select name from sqlite_schema where type = 'table' order by name")
    .all()
    .map(({ name }) => name)
  for (const name of ['accounts', 'api_keys', 'journal', 'account_states', 'rollups', 'idempotency_keys'])
    assert.ok(tables.includes(name), name)
})

test('every open commits durably: write-ahead log, synchronous FULL, on a file of any earlier mode', (t) => {
  const file = join(testFolder(t), 'obol.db')
  opened(t, file).close()
  tamper(file, (db) => db.exec('pragma journal_mode = delete; pragma synchronous = off'))
  const { db } = opened(t, file)
  const FULL = 2
  assert.deepEqual([pragma(db, 'journal_mode'), pragma(db, 'synchronous'), pragma(db, 'trusted_schema')], ['wal', FULL, 0])
})

test('the journal takes no change and no deletion, whoever asks', (t) => {
  const { db } = opened(t, join(testFolder(t), 'obol.db'))
  db.exec(`insert into journal (position, account, seq, at_ms, kind, hash, body) values (1, 1, 1, 0, 'x', '${'h'.repeat(43)}', '{}')`)
  for (const change of ['update journal set body = body', 'delete from journal', "update journal set account = 2 where kind = 'x'"])
    assert.throws(() => db.exec(change), /append-only/)
  assert.equal(db.prepare('select count(*) as rows from journal').get()?.rows, 1)
})

test('tables hold nothing of another type, and no status that there is not', (t) => {
  const { db } = opened(t, join(testFolder(t), 'obol.db'))
  const rows: Readonly<Record<string, string>> = {
    'a fraction of a credit': 'insert into refunds (account, charge, refunded) values (1, 1, 0.5)',
    'a refund of nothing': 'insert into refunds (account, charge, refunded) values (1, 1, 0)',
    'a hold below zero': "insert into holds (account, seq, status, credits, held, expires_at_ms) values (1, 1, 'live', -1, 0, 0)",
    'an unknown status': "insert into grants (account, seq, status) values (1, 1, 'lost')",
    'a number out of range': `insert into accounts (number, name, metadata, status, created_at_ms, position) values (${2 ** 40}, '', '{}', 'active', 0, 1)`,
    'a short hash': "insert into journal (position, account, seq, at_ms, kind, hash, body) values (1, 1, 1, 0, 'x', 'short', '{}')",
    'a sequence of zero': `insert into journal (position, account, seq, at_ms, kind, hash, body) values (1, 1, 0, 0, 'x', '${'h'.repeat(43)}', '{}')`,
  }
  for (const [name, row] of Object.entries(rows)) assert.throws(() => db.exec(row), /constraint|cannot store/, name)
})

test('a transaction that throws leaves nothing, and the next one works', (t) => {
  const { db } = opened(t, join(testFolder(t), 'obol.db'))
  const save = (name: string) => db.exec(`insert into settings (name, value) values ('${name}', '')`)
  assert.throws(
    () =>
      inTransaction(db, () => {
        save('lost')
        throw new Error('midway')
      }),
    /midway/,
  )
  inTransaction(db, () => save('kept'))
  assert.deepEqual(
    db
      .prepare('select name from settings')
      .all()
      .map(({ name }) => name),
    ['kept'],
  )
})

/** Runs a process that opens a file and keeps it open; resolves with it once it has, or with the message that it ended with. */
async function openElsewhere(t: TestContext, file: string): Promise<{ readonly child: ChildProcess; readonly said: string }> {
  const script = `
    import { openDatabase } from '${import.meta.dirname}/database.ts'
    try { openDatabase(process.argv[1]); process.stdout.write('open'); setInterval(() => {}, 1000) }
    catch (fault) { process.stdout.write(fault.name + ': ' + fault.message) }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: said.toString() }
}

test('a second process on the same file is refused, with the pid of the first', async (t) => {
  const file = join(testFolder(t), 'obol.db')
  opened(t, file)
  const { said } = await openElsewhere(t, file)
  assert.match(said, new RegExp(`^StoreUnavailableError: .*obol\\.db is in use by another Obol process \\(pid ${process.pid}\\)`))
  assert.match(said, /stop that one first, or give this one its own OBOL_DATABASE_URL/)
})

test('a file is free again once its process has ended, however it ended', async (t) => {
  const file = join(testFolder(t), 'obol.db')
  const { child, said } = await openElsewhere(t, file)
  assert.equal(said, 'open')
  assert.match(
    refusalOf(() => openDatabase(file)),
    new RegExp(`\\(pid ${child.pid}\\)`),
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  const owned = opened(t, file)
  owned.close()
  opened(t, file)
})

test('one process cannot open a file twice, nor by another name that leads to it', (t) => {
  const folder = testFolder(t)
  const file = join(folder, 'obol.db')
  opened(t, file)
  symlinkSync(folder, `${folder}/here`)
  symlinkSync(file, `${folder}/same.db`)
  for (const name of [file, `${folder}/./obol.db`, `${folder}/here/obol.db`, `${folder}/same.db`])
    assert.match(
      refusalOf(() => opened(t, name)),
      /is in use by another Obol process/,
      name,
    )
})

test('a store that a newer Obol wrote is refused, and left as it is', (t) => {
  const file = join(testFolder(t), 'obol.db')
  opened(t, file).close()
  tamper(file, (db) => db.exec(`pragma user_version = ${SCHEMA + 1}`))
  const before = readFileSync(file)
  assert.match(
    refusalOf(() => openDatabase(file)),
    new RegExp(`written by a newer Obol \\(schema ${SCHEMA + 1}, this one knows ${SCHEMA}\\)`),
  )
  assert.deepEqual(readFileSync(file), before)
  tamper(file, (db) => db.exec(`pragma user_version = ${SCHEMA}`))
  opened(t, file)
})

/** Places where no store can be, each made in an empty folder. `/proc` takes no files, not even from root. */
const IMPOSSIBLE: Readonly<Record<string, { readonly place: (folder: string) => string; readonly says: RegExp }>> = {
  'a path through a file': {
    place: (folder) => {
      writeFileSync(join(folder, 'file'), '')
      return join(folder, 'file', 'obol.db')
    },
    says: /The folder of .* cannot be made.*Set OBOL_DATABASE_URL/s,
  },
  'a folder that cannot be written to': { place: () => '/proc/self/obol.db', says: /cannot be (?:made|locked|opened).*may write/s },
  'a folder': {
    place: (folder) => {
      mkdirSync(join(folder, 'obol.db'))
      return join(folder, 'obol.db')
    },
    says: /cannot be opened.*may write/s,
  },
  'a lock that is a folder': {
    place: (folder) => {
      mkdirSync(join(folder, 'obol.db.owner'))
      return join(folder, 'obol.db')
    },
    says: /cannot be (?:locked|opened).*may write/s,
  },
  'a lock that is something else': {
    place: (folder) => {
      writeFileSync(join(folder, 'obol.db.owner'), 'this is no database, and it is long enough to be looked at twice'.repeat(20))
      return join(folder, 'obol.db')
    },
    says: /cannot be locked.*may write/s,
  },
  'a file that is something else': {
    place: (folder) => {
      writeFileSync(join(folder, 'obol.db'), 'this is no database, and it is long enough to be looked at twice'.repeat(20))
      return join(folder, 'obol.db')
    },
    says: /cannot be opened: file is not a database.*Check that it is an Obol store/s,
  },
  'a database of another program': {
    place: (folder) => {
      tamper(join(folder, 'obol.db'), (db) => db.exec('create table settings (colour text)'))
      return join(folder, 'obol.db')
    },
    says: /Check that it is an Obol store/s,
  },
}

for (const [name, { place, says }] of Object.entries(IMPOSSIBLE))
  test(`${name} is refused with what to do about it`, (t) => {
    const file = place(testFolder(t))
    assert.match(
      refusalOf(() => openDatabase(file)),
      says,
    )
  })

test('a file that was refused is not changed, and not kept locked', (t) => {
  const file = join(testFolder(t), 'obol.db')
  writeFileSync(file, 'no database'.repeat(200))
  refusalOf(() => openDatabase(file))
  assert.equal(readFileSync(file, 'utf8'), 'no database'.repeat(200))
  writeFileSync(file, '')
  assert.equal(pragma(opened(t, file).db, 'user_version'), SCHEMA, 'an empty file becomes a store')
})

test('a snapshot reads one moment of a file that is being written, and cannot write', (t) => {
  const file = join(testFolder(t), 'obol.db')
  const { db } = opened(t, file)
  const snapshot = openSnapshot(file)
  atEnd(t, () => snapshot.close())
  const count = (): unknown => snapshot.prepare('select count(*) as rows from settings').get()?.rows
  snapshot.exec('begin')
  assert.equal(count(), 0)
  db.exec("insert into settings (name, value) values ('a', 'b')")
  assert.equal(count(), 0)
  snapshot.exec('commit')
  assert.equal(count(), 1)
  assert.throws(() => snapshot.exec("insert into settings (name, value) values ('c', 'd')"), /readonly/)
})

test('a snapshot of what is not there, or of another schema, is refused with what to do about it, and makes nothing', (t) => {
  const folder = testFolder(t)
  const missing = join(folder, 'missing.db')
  assert.match(
    refusalOf(() => openSnapshot(missing)),
    /cannot be opened.*Name the store with OBOL_DATABASE_URL/s,
  )
  assert.equal(statSync(missing, { throwIfNoEntry: false }), undefined)
  const file = join(folder, 'obol.db')
  opened(t, file).close()
  for (const version of [0, SCHEMA + 1]) {
    tamper(file, (db) => db.exec(`pragma user_version = ${version}`))
    assert.match(
      refusalOf(() => openSnapshot(file)),
      new RegExp(`has schema ${version}, this Obol reads ${SCHEMA}`),
    )
  }
  writeFileSync(join(folder, 'other.db'), 'no database'.repeat(200))
  assert.match(
    refusalOf(() => openSnapshot(join(folder, 'other.db'))),
    /cannot be opened: file is not a database/,
  )
})
