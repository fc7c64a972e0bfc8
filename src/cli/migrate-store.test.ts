/** `obol migrate-store`, as it is run: a server's store is moved, another server goes on with it; and each no says what to do. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { caller, makeKey, openAccount, publishTestPrices, type TestObol } from '../../test/running/obol.ts'
import { type Person, refresh, signIn, signUp, tokensOf } from '../../test/running/people.ts'
import { dropSchema, newSchema, onSchema, testServer } from '../../test/running/postgres.ts'
import { type Ended, makeFolder, runObol, type ServerProcess, startMove, startServer } from '../../test/running/process.ts'
import { charge, createAccount, grant, sendTogether, transaction } from '../../test/running/store-commands.ts'
import { openSqliteStore } from '../stores/sqlite/sqlite-store.ts'

const OPERATOR_KEY = 'the-operator-key-of-move-tests'

function serve(t: TestContext, url: string, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  return startServer(t, 'serve', { env: { OBOL_DATABASE_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...env } })
}

function migrate(...args: readonly string[]): Promise<Ended> {
  return runObol(['migrate-store', ...args])
}

async function schemaOf(t: TestContext): Promise<string> {
  const url = await newSchema()
  const unfinished = new URL(url)
  unfinished.searchParams.set('schema', `${unfinished.searchParams.get('schema')}_moving`)
  t.after(async () => {
    await dropSchema(url)
    await dropSchema(unfinished.href)
  })
  return url
}

type Calls = Pick<TestObol, 'call'>

function callsOf({ url }: ServerProcess): Calls {
  const call = caller(url)
  return { call: (method, path, body, options = {}) => call(method, path, body, { key: OPERATOR_KEY, ...options }) }
}

/** What was done before a move, as far as it is looked at again after it. */
interface Life {
  readonly accounts: readonly string[]
  readonly secret: string
  readonly quote: string
  readonly person: Person
}

async function liveOn(obol: Calls): Promise<Life> {
  const { call } = obol
  await publishTestPrices(obol)
  const accounts = [await openAccount(obol, '1000'), await openAccount(obol, '50', { credit_type: 'image_credits' })]
  const [account = ''] = accounts
  const { secret } = await makeKey(obol, account, { budget: { limit: '500', period: 'month' } })
  for (let index = 0; index < 5; index++)
    await call('POST', '/v1/charges', { key: secret, operation: 'transcription', quantity: '0.1' }, { idempotencyKey: `charge ${index}` })
  const hold = (await call('POST', '/v1/holds', { account, operation: 'transcription', quantity: '0.5' }, { idempotencyKey: 'hold' })).body
  await call('POST', `/v1/holds/${hold.id}/capture`, { quantity: '0.25' }, { idempotencyKey: 'capture' })
  const charge = (await call('POST', '/v1/charges', { account, operation: 'unit' })).body
  await call('POST', `/v1/charges/${charge.id}/refund`, { amount: '1' })
  const quoted = await call('POST', '/v1/estimates', { account, items: [{ operation: 'unit', quantity: '2' }] })
  assert.equal(quoted.status, 200)
  const person = await signUp(obol, 'ada@example.com', { account, role: 'owner' })
  return { accounts, secret, quote: quoted.body.quote_id, person }
}

/** What a server answers about a life. */
async function answersOf({ call }: Calls, { accounts, secret }: Life): Promise<readonly unknown[]> {
  const paths = accounts.flatMap((account) => [
    `/v1/accounts/${account}`,
    `/v1/accounts/${account}/credits`,
    `/v1/charges?account=${account}`,
    `/v1/journal?account=${account}`,
    `/v1/usage?account=${account}&group_by=operation&bucket=month&start=2026-01-01T00:00:00Z&end=2030-01-01T00:00:00Z`,
    `/v1/grants?account=${account}`,
    `/v1/keys?account=${account}`,
  ])
  const asked = ['/v1/accounts', '/v1/prices', '/v1/events?limit=100', '/v1/audit/verify', ...paths]
  const answers = await Promise.all(
    asked.map(async (path) => {
      const { status, body } = await call('GET', path)
      assert.equal(status, 200, path)
      return [path, body]
    }),
  )
  answers.push(['key', (await call('GET', '/v1/credits', undefined, { key: secret })).body])
  // The last use of a key is noted when a server stops.
  return JSON.parse(JSON.stringify(answers, (name, value) => (/^(last_used_at|complete_through)$/.test(name) ? undefined : value)))
}

test('a server on the new store answers as the old one did, replays what was done before, and honours its quotes and keys', async (t) => {
  const file = `${makeFolder(t)}/obol.db`
  const url = await schemaOf(t)
  const old = await serve(t, `sqlite:${file}`)
  const life = await liveOn(callsOf(old))
  const before = await answersOf(callsOf(old), life)
  assert.equal((await old.stop()).code, 0)
  const { code, stdout, stderr } = await migrate('--from', `sqlite:${file}`, '--to', url)
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^Moved, verified and compared: 2 accounts, \d+ records, 1 price books, /)
  const moved = await serve(t, url)
  const { call } = callsOf(moved)
  assert.deepEqual(await answersOf(callsOf(moved), life), before)
  assert.notEqual((await call('GET', `/v1/keys?account=${life.accounts[0]}`)).body.data[0].last_used_at, null)
  const again = await call(
    'POST',
    '/v1/charges',
    { key: life.secret, operation: 'transcription', quantity: '0.1' },
    { idempotencyKey: 'charge 3' },
  )
  assert.deepEqual([again.status, again.headers.get('idempotent-replayed')], [201, 'true'])
  const other = await call('POST', '/v1/charges', { key: life.secret, operation: 'unit' }, { idempotencyKey: 'charge 3' })
  assert.equal(other.body.code, 'idempotency_key_reused')
  const quoted = await call('POST', '/v1/charges', { account: life.accounts[0], operation: 'unit', quantity: '2', quote_id: life.quote })
  assert.deepEqual([quoted.status, quoted.body.credits], [201, '2'])
  assert.equal((await call('GET', '/v1/me', undefined, { key: life.person.access })).status, 200, 'who has signed in stays so')
  tokensOf(await refresh({ call }, life.person.refresh))
  tokensOf(await signIn({ call }, life.person.email))
  assert.equal((await moved.stop()).code, 0)
  const back = await migrate('--from', url, '--to', `sqlite:${file}.back`, '--json')
  assert.deepEqual([back.code, JSON.parse(back.stdout).accounts], [0, 2])
  const returned = await serve(t, `sqlite:${file}.back`)
  assert.equal((await callsOf(returned).call('GET', '/v1/audit/verify')).body.ok, true)
  assert.equal((await callsOf(returned).call('GET', `/v1/charges/${quoted.body.id}`)).body.credits, '2')
})

test('the operator key that a store has made opens the moved store', async (t) => {
  const file = `${makeFolder(t)}/obol.db`
  const old = await startServer(t, 'serve', { env: { OBOL_DATABASE_URL: `sqlite:${file}` } })
  const [, key] = /Operator key, shown this once:\s+(\S+)/.exec(old.said.stdout) ?? []
  assert.ok(key)
  await old.stop()
  const url = await schemaOf(t)
  assert.equal((await runObol(['migrate-store', '--from', `sqlite:${file}`], { env: { OBOL_DATABASE_URL: url } })).code, 0)
  const moved = await startServer(t, 'serve', { env: { OBOL_DATABASE_URL: url } })
  assert.doesNotMatch(moved.said.stdout, /shown this once/)
  assert.equal((await caller(moved.url)('GET', '/v1/accounts', undefined, { key })).status, 200)
})

/** A store that takes a while to copy. */
async function makeLarge(file: string): Promise<void> {
  const store = openSqliteStore({
    file,
    onFault: (fault) => {
      throw fault
    },
  })
  const accounts = Array.from({ length: 200 }, (_, index) => 7 * index + 1)
  await sendTogether(
    store,
    accounts.flatMap((account) => [transaction(account, createAccount()), transaction(account, grant(1_000))]),
  )
  for (let round = 0; round < 100; round++)
    await sendTogether(
      store,
      accounts.map((account) => transaction(account, charge(1n), { key: `${round}` })),
    )
  await store.close()
}

test('a move that is killed half-way leaves nothing that a server would start on, and is done when it is run again', async (t) => {
  const file = `${makeFolder(t)}/obol.db`
  await makeLarge(file)
  const copy = `${file}.copy`
  const url = await schemaOf(t)
  const schema = new URL(url).searchParams.get('schema')
  const rows = async (): Promise<number> => {
    const found = await onSchema<{ rows: number }>(url, `select count(*)::integer as rows from ${schema}_moving.journal`).catch(() => [])
    return found[0]?.rows ?? 0
  }
  for (const [to, isHalfWay] of [
    [url, async () => (await rows()) > 2_000],
    [`sqlite:${copy}`, async () => existsSync(`${copy}.moving`)],
  ] as const) {
    const move = startMove(['--from', `sqlite:${file}`, '--to', to])
    while (!(await isHalfWay())) await sleep(5)
    move.kill()
    assert.equal((await move.ended).code, null, 'it was killed')
    const refused = await runObol(['serve'], { env: { OBOL_DATABASE_URL: to, OBOL_PORT: '0' } })
    assert.equal(refused.code, 69)
    assert.match(refused.stderr, /^obol: A move to .* has not been finished: .* Run "obol migrate-store" again, which starts anew/)
    const { code, stdout, stderr } = await migrate('--from', `sqlite:${file}`, '--to', to)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /200 accounts, 20400 records/)
    const server = await serve(t, to)
    assert.equal((await callsOf(server).call('GET', '/v1/audit/verify')).body.ok, true)
    await server.stop()
  }
})

test('each no ends with a code, one line that says what to do, and nothing changed', async (t) => {
  const folder = makeFolder(t)
  const file = `${folder}/obol.db`
  const running = await serve(t, `sqlite:${file}`)
  const url = await schemaOf(t)
  const { url: server } = await testServer()
  const secret = server.replace('//obol@', '//obol:very-secret@').replace(/:\d+\//, ':1/')
  const cases: readonly [args: readonly string[], code: number, message: RegExp][] = [
    [
      ['--from', `sqlite:${file}`, '--to', url],
      69,
      /in use by another Obol process \(pid \d+\)\. One process owns a SQLite store: stop that one first/,
    ],
    [['--from', `sqlite:${folder}/none.db`, '--to', url], 69, /none\.db is not there\. Name the file of the store/],
    [['--from', url, '--to', `sqlite:${folder}/new.db`], 69, /has no Obol store in its schema/],
    [['--from', `sqlite:${file}`, '--to', secret], 69, /cannot be reached|in use by/],
    [['--from', secret, '--to', `sqlite:${folder}/new.db`], 69, /cannot be reached: .* Check OBOL_DATABASE_URL/],
    [['--from', `sqlite:${file}`, '--to', `sqlite:${file}`], 2, /name the same store/],
    [['--from', file, '--to', url], 2, /A store is named by `sqlite:` and a path/],
    [['--to', url], 2, /Give --from and --to, or --distribute alone/],
    [['--distribute', '--from', url], 2, /Give --from and --to, or --distribute alone/],
    [[], 2, /Give --from and --to/],
    [['--distribute'], 78, /A SQLite store cannot be distributed\. Set OBOL_DATABASE_URL/],
  ]
  for (const [args, code, message] of cases) {
    const ended = await migrate(...args)
    assert.deepEqual([ended.code, ended.stdout], [code, ''], `${args.join(' ')}: ${ended.stderr}`)
    assert.match(ended.stderr, /^obol: .*\n$/)
    assert.match(ended.stderr, message)
    assert.doesNotMatch(ended.stderr, /very-secret/)
  }
  assert.equal((await running.stop()).code, 0)
  assert.ok(!existsSync(`${folder}/new.db`))
  assert.deepEqual(
    await onSchema(url, 'select 1 from pg_namespace where nspname like $1', [`${new URL(url).searchParams.get('schema')}%`]),
    [],
  )
})
