import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OPERATOR_KEY, openAccount, startTestObol, type TestObol } from '../../test/running/obol.ts'
import { type Ended, makeFolder, runObol } from '../../test/running/process.ts'
import { SAMPLE_PRICES_FILE } from './samples.ts'

type Run = (...args: readonly string[]) => Promise<Ended>

/** Runs commands against a server, with its operator's key. */
function runner({ url }: Pick<TestObol, 'url'>, env: Readonly<Record<string, string>> = {}): Run {
  return (...args) => runObol(args, { env: { OBOL_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...env } })
}

/** What a command printed with --json. It must have succeeded and said nothing else. */
async function json(run: Run, ...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { code, stdout, stderr } = await run(...args, '--json')
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>
}

/** The lines that a command printed. It must have succeeded and said nothing else. */
async function lines(run: Run, ...args: readonly string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run(...args)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
  return stdout.trimEnd().split('\n')
}

/** Names and values of what was printed as one thing. */
async function fields(run: Run, ...args: readonly string[]): Promise<Readonly<Record<string, string>>> {
  return Object.fromEntries((await lines(run, ...args)).map((line) => line.split(/ {2,}/) as [string, string]))
}

const words = (line: string | undefined): readonly string[] => (line ?? '').trim().split(/\s+/)

test('accounts are opened, listed and shown, as a table and as JSON', async (t) => {
  const running = await startTestObol(t)
  const run = runner(running)
  const create = ['accounts', 'create', 'Uma Audio', '--external-id', 'uma', '--metadata', 'plan=pro', '--metadata', 'seats=3'] as const
  const made = await fields(run, ...create, '--idempotency-key', 'uma-1')
  assert.deepEqual(Object.keys(made), ['id', 'name', 'external_id', 'status', 'created_at'])
  assert.equal(made.name, 'Uma Audio')
  assert.match(made.id ?? '', /^acct_[0-9a-v]{8}$/)

  const again = await json(run, ...create, '--idempotency-key', 'uma-1')
  assert.equal(again.id, made.id, 'the same name of the request opens nothing new')
  assert.deepEqual(again.metadata, { plan: 'pro', seats: '3' })

  const other = await openAccount(running, '12.5')
  const [head, first, second] = await lines(run, 'accounts', 'list')
  assert.deepEqual(words(head), ['id', 'name', 'external_id', 'status', 'created_at'])
  assert.deepEqual(words(first).slice(0, 4), [other, 'Test', '-', 'active'])
  assert.equal(words(second)[0], made.id)
  assert.equal((await lines(run, 'accounts', 'list', '--limit', '1')).length, 2)
  const rest = (await json(run, 'accounts', 'list', '--limit', '1', '--after', other)) as { data: { id: string }[] }
  assert.deepEqual(
    rest.data.map(({ id }) => id),
    [made.id],
  )

  const [columns, credits] = await lines(run, 'accounts', 'show', other)
  assert.deepEqual(words(columns).slice(0, 4), ['credit_type', 'settled', 'held', 'available'])
  assert.deepEqual(words(credits).slice(0, 4), ['credits', '12.5', '0', '12.5'])
  assert.equal((await json(run, 'accounts', 'show', 'external:uma')).account, made.id)
})

test('grants are made, listed and voided, as a table and as JSON', async (t) => {
  const running = await startTestObol(t)
  const run = runner(running)
  const account = await openAccount(running, '0')
  const create = [
    'grants',
    'create',
    account,
    '1000',
    '--source',
    'topup',
    '--credit-type',
    'image_credits',
    '--expires-at',
    '2999-01-01T00:00:00Z',
  ]
  const made = await fields(run, ...create, '--idempotency-key', 'invoice-1')
  assert.deepEqual(made, {
    id: made.id ?? '',
    account,
    credit_type: 'image_credits',
    amount: '1000',
    remaining: '1000',
    source: 'topup',
    status: 'open',
    expires_at: '2999-01-01T00:00:00.000Z',
  })
  const again = await json(run, ...create, '--idempotency-key', 'invoice-1')
  assert.deepEqual([again.id, again.object], [made.id, 'grant'])
  const free = await json(run, 'grants', 'create', account, '0.5')
  assert.deepEqual([free.source, free.credit_type, free.expires_at], ['promo', 'credits', null])

  const [head, ...rows] = await lines(run, 'grants', 'list', account)
  assert.deepEqual(words(head), ['id', 'account', 'credit_type', 'amount', 'remaining', 'source', 'status', 'expires_at'])
  assert.deepEqual(
    rows.map((row) => words(row)[0]),
    [free.id, made.id],
  )
  assert.equal(((await json(run, 'grants', 'list', account)) as { data: unknown[] }).data.length, 2)

  assert.equal((await fields(run, 'grants', 'void', String(free.id), '--reason', 'by mistake')).status, 'voided')
  const voided = await json(run, 'grants', 'void', made.id ?? '')
  assert.deepEqual([voided.status, voided.remaining], ['voided', '0'])
})

test('keys are made, listed, rotated and revoked, as a table and as JSON', async (t) => {
  const running = await startTestObol(t)
  const run = runner(running)
  const account = await openAccount(running)
  const opens = async (secret: string): Promise<number> => (await running.call('GET', '/v1/key', undefined, { key: secret })).status
  const made = await fields(
    run,
    'keys',
    'create',
    account,
    '--name',
    'production',
    '--limit',
    '100',
    '--period',
    'day',
    '--expires-at',
    '2999-01-01T00:00:00Z',
  )
  assert.deepEqual(Object.keys(made), ['id', 'account', 'name', 'secret', 'budget', 'expires_at'])
  assert.equal((JSON.parse(made.budget ?? '') as { period: string }).period, 'day')
  assert.equal(await opens(made.secret ?? ''), 200)
  const plain = await json(run, 'keys', 'create', account)
  assert.deepEqual([plain.budget, plain.expires_at], [null, null])
  assert.equal(await opens(String(plain.secret)), 200)

  const [head, ...rows] = await lines(run, 'keys', 'list', account)
  assert.deepEqual(words(head), ['id', 'account', 'name', 'hint', 'status', 'budget', 'expires_at', 'last_used_at'])
  assert.equal(rows.length, 2)
  const listed = await json(run, 'keys', 'list', account)
  assert.ok(!JSON.stringify(listed).includes(String(plain.secret)), 'a secret is shown once')

  const rotated = await fields(run, 'keys', 'rotate', made.id ?? '')
  assert.deepEqual([await opens(made.secret ?? ''), await opens(rotated.secret ?? '')], [200, 200], 'the old secret goes on working')
  const atOnce = await json(run, 'keys', 'rotate', String(plain.id), '--overlap', '0')
  assert.deepEqual([await opens(String(plain.secret)), await opens(String(atOnce.secret))], [401, 200])

  assert.equal((await fields(run, 'keys', 'revoke', made.id ?? '')).status, 'revoked')
  assert.equal((await json(run, 'keys', 'revoke', String(plain.id))).status, 'revoked')
  assert.deepEqual([await opens(rotated.secret ?? ''), await opens(String(atOnce.secret))], [401, 401])
})

test('prices are checked, published and shown, as a table and as JSON', async (t) => {
  const running = await startTestObol(t)
  const run = runner(running)
  const nothing = { code: 1, stdout: '', stderr: 'obol: not_found: No price book has been published yet.\n' }
  assert.deepEqual(await run('prices', 'show'), nothing)
  assert.match((await lines(run, 'prices', 'check', SAMPLE_PRICES_FILE))[0] ?? '', /price-book\.json: \d+ operations, no faults\.$/)
  assert.deepEqual(await json(run, 'prices', 'check', SAMPLE_PRICES_FILE), { ok: true, operations: 22, faults: [] })
  const published = await fields(run, 'prices', 'publish', SAMPLE_PRICES_FILE, '--idempotency-key', 'first')
  assert.deepEqual(Object.keys(published), ['version', 'effective_at', 'published_at'])
  assert.equal((await json(run, 'prices', 'publish', SAMPLE_PRICES_FILE, '--idempotency-key', 'first')).version, 1)
  const later = await json(run, 'prices', 'publish', SAMPLE_PRICES_FILE, '--effective-at', '2999-01-01T00:00:00Z')
  assert.deepEqual([later.version, later.effective_at], [2, '2999-01-01T00:00:00.000Z'])
  const [head, ...rows] = await lines(run, 'prices', 'show')
  assert.deepEqual(words(head), ['operation', 'credit_type', 'rate', 'per', 'minimum', 'cap'])
  assert.ok(rows.some((row) => row.startsWith('transcription ')))
  assert.equal((await json(run, 'prices', 'show')).version, 1)
})

test('a price file with faults is told fault by fault, and nothing is published', async (t) => {
  const running = await startTestObol(t)
  const run = runner(running)
  const file = join(makeFolder(t), 'prices.json')
  writeFileSync(file, JSON.stringify({ prices: [{ operation: 'a', rate: 'x', per: { quantity: 0, unit: 'image' } }, { operation: 'b' }] }))
  const { code, stdout } = await run('prices', 'check', file, '--json')
  const { ok, faults } = JSON.parse(stdout) as { ok: boolean; faults: { pointer: string }[] }
  assert.deepEqual([code, ok], [1, false])
  assert.ok(
    faults.some(({ pointer }) => pointer.startsWith('#/prices/1')),
    stdout,
  )
  writeFileSync(file, JSON.stringify({ prices: [{ operation: 'a', rate: 'x', per: { quantity: 0, unit: 'image' } }] }))
  const table = await run('prices', 'check', file)
  assert.equal(table.code, 1)
  assert.match(table.stdout, /#\/prices\/0\/rate +must be a decimal/)
  assert.match(table.stdout, /#\/prices\/0\/per\/quantity +must be above 0/)
  const refused = await run('prices', 'publish', file)
  assert.deepEqual([refused.code, refused.stdout], [1, ''])
  assert.match(
    refused.stderr,
    /prices\.json is not a price book:\n {2}#\/prices\/0\/per\/quantity must be above 0\n {2}#\/prices\/0\/rate must be/,
  )
  assert.deepEqual((await running.call('GET', '/v1/price-book')).body.data, [])
})

test('the commands of the README do what it says, one after the other', async (t) => {
  const running = await startTestObol(t)
  const folder = makeFolder(t)
  const run: Run = (...args) =>
    runObol(args, {
      cwd: folder,
      env: { OBOL_URL: running.url, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_DATABASE_URL: `sqlite:${running.file}` },
    })
  writeFileSync(
    join(folder, 'my-prices.json'),
    JSON.stringify({ prices: [{ operation: 'a', rate: 1, per: { quantity: 1, unit: 'request' } }] }),
  )
  writeFileSync(join(folder, 'last-month.csv'), 'account,operation\nexternal:ada,a\n')
  await lines(run, 'accounts', 'create', "Ada's Audio", '--external-id', 'ada')
  await lines(run, 'grants', 'create', 'external:ada', '1000', '--source', 'topup')
  await lines(run, 'keys', 'create', 'external:ada', '--limit', '100', '--period', 'day')
  await lines(run, 'prices', 'check', 'my-prices.json')
  await lines(run, 'prices', 'publish', 'my-prices.json')
  assert.equal((await fields(run, 'import', 'usage', 'last-month.csv')).charged, '1')
  assert.deepEqual((await lines(run, 'verify')).at(-1), 'Everything adds up.')
  assert.equal((await json(run, 'accounts', 'show', 'external:ada')).can_spend, true)
})

test('help and version are printed and end with 0, for every command', async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string
  }
  assert.deepEqual(await runObol(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  for (const args of [['--help'], ['help'], ['grants', '--help'], ['help', 'import'], ['grants', 'create', '--help']]) {
    const { code, stdout, stderr } = await runObol(args)
    assert.deepEqual([code, stderr], [0, ''], args.join(' '))
    assert.match(stdout, /^Usage: obol/)
  }
})

/** Commands that fail: how they end, and the line that says why. `$URL` is the address of a server that runs. */
const FAILURES: readonly {
  readonly args: readonly string[]
  readonly env?: Record<string, string>
  readonly code: number
  readonly says: RegExp
}[] = [
  { args: ['accounts', 'show', 'external:nobody'], code: 1, says: /^obol: account_not_found: No account is named external:nobody\.$/ },
  { args: ['accounts', 'list', '--limit', '1000'], code: 1, says: /^obol: invalid_request: query\/limit must be <= 100$/ },
  { args: ['accounts', 'list', '--after', 'x'], code: 1, says: /^obol: invalid_cursor: / },
  { args: ['grants', 'create', 'external:nobody', '5'], code: 1, says: /^obol: account_not_found: / },
  { args: ['grants', 'create', 'external:nobody', 'much'], code: 1, says: /^obol: invalid_request: #\/amount must be credits/ },
  { args: ['grants', 'create', 'external:nobody', '-5'], code: 1, says: /^obol: invalid_request: #\/amount must be more than 0 credits$/ },
  { args: ['grants', 'void', 'grant_nope'], code: 1, says: /^obol: grant_not_found: / },
  { args: ['keys', 'rotate', 'key_nope'], code: 1, says: /^obol: key_not_found: / },
  { args: ['keys', 'revoke', '../accounts'], code: 1, says: /^obol: [a-z_]+: / },
  { args: ['accounts', 'list'], env: { OBOL_OPERATOR_KEY: 'a-wrong-key-of-the-operator' }, code: 1, says: /^obol: invalid_key: / },
  {
    args: ['accounts', 'list'],
    env: { OBOL_URL: '$URL/docs' },
    code: 1,
    says: /^obol: not_found: There is no GET \/docs\/v1\/accounts\.$/,
  },
  { args: [], code: 2, says: /^Usage: obol/ },
  { args: ['grants'], code: 2, says: /^Usage: obol grants/ },
  { args: ['fly'], code: 2, says: /^error: unknown command 'fly'/ },
  { args: ['accounts', 'create'], code: 2, says: /^error: missing required argument 'name'/ },
  { args: ['accounts', 'list', '--colour'], code: 2, says: /^error: unknown option '--colour'/ },
  { args: ['accounts', 'list', 'twice'], code: 2, says: /^error: too many arguments/ },
  {
    args: ['accounts', 'create', 'X', '--metadata', 'ab'],
    code: 2,
    says: /^error: option '--metadata <name=value>' argument 'ab' is invalid\. Write it as/,
  },
  { args: ['keys', 'create', 'acct_00000000', '--period', 'day'], code: 2, says: /^obol: --period needs --limit\.$/ },
  { args: ['keys', 'rotate', 'key_nope', '--overlap', 'long'], code: 2, says: /^obol: --overlap is a number of seconds\.$/ },
  { args: ['prices', 'check', 'nowhere.json'], code: 2, says: /^obol: nowhere\.json cannot be read: ENOENT/ },
  { args: ['prices', 'publish', 'nowhere.json'], code: 2, says: /^obol: nowhere\.json cannot be read: ENOENT/ },
  { args: ['import', 'usage', 'nowhere.csv'], code: 2, says: /^obol: nowhere\.csv cannot be read: ENOENT/ },
  {
    args: ['accounts', 'list'],
    env: { OBOL_URL: 'http://127.0.0.1:9' },
    code: 69,
    says: /^obol: http:\/\/127\.0\.0\.1:9 cannot be reached .*set OBOL_URL\.$/,
  },
  {
    args: ['accounts', 'list'],
    env: { OBOL_URL: 'http://nowhere.invalid:4000' },
    code: 69,
    says: /^obol: http:\/\/nowhere\.invalid:4000 cannot be reached /,
  },
  {
    args: ['verify'],
    env: { OBOL_DATABASE_URL: 'sqlite:./nowhere/obol.db' },
    code: 69,
    says: /^obol: .*nowhere\/obol\.db cannot be opened: .*OBOL_DATABASE_URL/,
  },
  {
    args: ['serve'],
    env: { OBOL_DATABASE_URL: 'sqlite:/proc/obol.db' },
    code: 69,
    says: /^obol: .*\/proc\/obol\.db .*(?:OBOL_DATABASE_URL|may write)/,
  },
  { args: ['accounts', 'list'], env: { OBOL_OPERATOR_KEY: '' }, code: 78, says: /^obol: No operator key: set OBOL_OPERATOR_KEY/ },
  {
    args: ['accounts', 'list'],
    env: { OBOL_URL: 'nonsense' },
    code: 78,
    says: /^obol: OBOL_URL must be an http or https address, not "nonsense"\.$/,
  },
  { args: ['serve'], env: { OBOL_PORT: 'x' }, code: 78, says: /^obol: OBOL_PORT must be a port from 0 to 65535, not "x"\.$/ },
  { args: ['verify'], env: { OBOL_DATABASE_URL: 'mysql://x' }, code: 78, says: /^obol: OBOL_DATABASE_URL must be `sqlite:` and a path/ },
  {
    args: ['serve'],
    env: { OBOL_OPERATOR_KEY: 'short-secret' },
    code: 78,
    says: /^obol: OBOL_OPERATOR_KEY must be 24 or more printable characters without spaces\.$/,
  },
]

test('a command that fails ends with the code that says how, one line that says why, and nothing on standard output', async (t) => {
  const { url } = await startTestObol(t)
  const cwd = makeFolder(t)
  for (const { args, env = {}, code, says } of FAILURES) {
    const set = Object.entries(env).map(([name, value]) => `${name}=${value} `)
    await t.test(`${set.join('')}obol ${args.join(' ')} ends with ${code}`, async () => {
      const filled = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace('$URL', url)]))
      const ended = await runObol(args, { cwd, env: { OBOL_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY, ...filled } })
      assert.match(ended.stderr.trimEnd(), says)
      assert.deepEqual([ended.code, ended.stdout], [code, ''])
      assert.doesNotMatch(ended.stderr, /\n {4}at |node:internal/, 'it shows no stack')
      for (const secret of [OPERATOR_KEY, 'a-wrong-key', 'short-secret']) assert.ok(!ended.stderr.includes(secret), 'it tells no secret')
    })
  }
})

/** A server that is not Obol: it answers everything with a page. */
async function startPage(t: TestContext, status: number): Promise<string> {
  const server = createServer((_request, response) =>
    response.writeHead(status, { 'content-type': 'text/html' }).end('<!doctype html><p>Hello'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a server that answers with a page is told from Obol, whatever its status', async (t) => {
  for (const status of [200, 404, 502]) {
    const url = await startPage(t, status)
    const { code, stdout, stderr } = await runObol(['accounts', 'list'], { env: { OBOL_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY } })
    assert.deepEqual([code, stdout], [1, ''])
    assert.equal(stderr, `obol: The server at ${url} does not speak Obol's API: it answered ${status} with text/html.\n`)
  }
})

test('all faults of the settings are told at once', async () => {
  const { code, stderr } = await runObol(['serve'], { env: { OBOL_PORT: 'x', OBOL_CAPTURE_POLICY: 'never', OBOL_RATE_LIMIT: '1' } })
  assert.equal(code, 78)
  for (const name of ['OBOL_PORT', 'OBOL_CAPTURE_POLICY', 'OBOL_RATE_LIMIT']) assert.match(stderr, new RegExp(`${name} must be`))
})

test('an address with a slash at its end is the same one', async (t) => {
  const { url } = await startTestObol(t)
  const { code } = await runObol(['accounts', 'list'], { env: { OBOL_URL: `${url}/`, OBOL_OPERATOR_KEY: OPERATOR_KEY } })
  assert.equal(code, 0)
})

test('the command line loads nothing of a server before a command needs it', () => {
  const program = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
    await import(${JSON.stringify(new URL('./main.ts', import.meta.url).href)})
    console.log(JSON.stringify(loaded))`
  const loaded = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
  ) as readonly string[]
  assert.ok(loaded.some((url) => url.endsWith('/src/cli/client.ts')))
  assert.deepEqual(
    loaded.filter((url) =>
      /\/src\/(app|http\/(native|server)|stores|operations|core\/decide)|node_modules\/(?!commander|csv-parse)/.test(url),
    ),
    [],
  )
})
