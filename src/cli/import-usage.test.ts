import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OPERATOR_KEY, openAccount, publishTestPrices, startTestObol, type TestObol } from '../../test/running/obol.ts'
import { type Ended, makeFolder, runObol } from '../../test/running/process.ts'
import { CliError, EXIT, makeClient } from './client.ts'
import { type ImportResult, importUsage, readUsageFile } from './import-usage.ts'

function file(t: TestContext, text: string): string {
  const path = join(makeFolder(t), 'usage.csv')
  writeFileSync(path, text)
  return path
}

interface Importing extends TestObol {
  readonly account: string
  /** Imports a file with these lines, and gives what became of it. */
  readonly load: (...lines: readonly string[]) => Promise<ImportResult & { readonly code: number | null }>
  readonly run: (path: string, ...more: readonly string[]) => Promise<Ended>
  readonly available: () => Promise<string>
}

/** A server with prices and an account that has credits. */
async function startImporting(t: TestContext, amount: string): Promise<Importing> {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, amount)
  const run: Importing['run'] = (path, ...more) =>
    runObol(['import', 'usage', path, ...more], { env: { OBOL_URL: running.url, OBOL_OPERATOR_KEY: OPERATOR_KEY } })
  const load: Importing['load'] = async (...lines) => {
    const { code, stdout, stderr } = await run(file(t, `${lines.join('\n')}\n`), '--json')
    assert.equal(stderr, '')
    return { ...(JSON.parse(stdout) as ImportResult), code }
  }
  const available = async (): Promise<string> =>
    (await running.call('GET', `/v1/accounts/${account}/credits`)).body.credit_types.credits.available
  return { ...running, account, load, run, available }
}

test('a file is read row by row: units, attributes and metadata go where they belong, empty cells are left out', (t) => {
  const path = file(
    t,
    '\ufeffaccount,operation,quantity,quantity.second,attribute.quality,metadata.job,amount,credit_type\n' +
      'external:a, transcription ,,45,premium,"j, 1",,\n' +
      '\n' +
      'acct_1,x,2,,,,1.5,image_credits\n',
  )
  assert.deepEqual(readUsageFile(path), [
    {
      line: 2,
      charge: {
        account: 'external:a',
        operation: 'transcription',
        quantities: { second: '45' },
        attributes: { quality: 'premium' },
        metadata: { job: 'j, 1' },
      },
    },
    { line: 4, charge: { account: 'acct_1', operation: 'x', quantity: '2', amount: '1.5', credit_type: 'image_credits' } },
  ])
})

test('a row is told by the line at which it begins, whatever ends lines, and rows without a value are none', (t) => {
  const text = 'account,operation,metadata.note\na,x,1\n\n,,\nb,x,"two\n\nlines"\nc,x,3\n'
  const expected = [
    { line: 2, charge: { account: 'a', operation: 'x', metadata: { note: '1' } } },
    { line: 5, charge: { account: 'b', operation: 'x', metadata: { note: 'two\n\nlines' } } },
    { line: 8, charge: { account: 'c', operation: 'x', metadata: { note: '3' } } },
  ]
  for (const end of ['\n', '\r\n', '\r']) assert.deepEqual(readUsageFile(file(t, text.replaceAll('\n', end))), expected)
})

/** Files that cannot be imported, and what is said of them. */
const BAD_FILES: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['nothing', '', /has no rows/],
  ['columns alone', 'account,operation\n', /has no rows/],
  [
    'unknown columns',
    'account,operation,colour,size\na,b,c,d\n',
    /columns that nobody knows: colour, size\. Known: account, key, operation/,
  ],
  ['a unit without a name', 'account,operation,quantity.\na,b,c\n', /columns that nobody knows: quantity\./],
  ['a column twice', 'account,operation,metadata.a,metadata.a\na,b,c,d\n', /has the column metadata\.a twice/],
  ['no operation', 'account,quantity\na,1\n', /needs the columns operation, and account or key/],
  ['nobody to charge', 'operation,quantity\nx,1\n', /needs the columns operation, and account or key/],
  ['rows of different lengths', 'account,operation\na\n', /cannot be read: Invalid Record Length: .*line 2/],
  ['an open quote', 'account,operation\na,"b\n', /cannot be read: Quote Not Closed/],
]

for (const [name, text, says] of BAD_FILES)
  test(`a file with ${name} is refused before anything is charged`, (t) => {
    assert.throws(
      () => readUsageFile(file(t, text)),
      (fault) => fault instanceof CliError && fault.exitCode === EXIT.usage && says.test(fault.message),
    )
  })

test('each row is charged, by account or by key, at the prices in force or at its own amount', async (t) => {
  const { call, account, load, available } = await startImporting(t, '1000')
  const { body: key } = await call('POST', '/v1/keys', { account })
  const { code, ...result } = await load(
    'account,key,operation,quantity.second,amount,metadata.job',
    `${account},,transcription,45,,a`,
    `,${key.secret},unit,,,b`,
    `,${key.id},support,,2.5,c`,
  )
  assert.deepEqual([code, result], [0, { rows: 3, charged: 3, replayed: 0, failures: [] }])
  assert.equal(await available(), '501.5')
  const { body } = await call('GET', `/v1/charges?account=${account}`)
  assert.deepEqual(
    body.data.map(({ operation, credits, key: by, metadata }: Record<string, unknown>) => [operation, credits, by, metadata]),
    [
      ['support', '2.5', key.id, { job: 'c' }],
      ['unit', '1', key.id, { job: 'b' }],
      ['transcription', '495', null, { job: 'a' }],
    ],
  )
})

test('a file that is imported again charges nothing', async (t) => {
  const { account, load, available } = await startImporting(t, '1000')
  const rows = Array.from({ length: 1_100 }, (_, index) => `${account},unit,0.${String(index).padStart(6, '0').slice(-3)}`)
  const first = await load('account,operation,amount', ...rows)
  assert.deepEqual(first, { rows: 1_100, charged: 1_100, replayed: 0, failures: [], code: 0 })
  const left = await available()
  const second = await load('account,operation,amount', ...rows)
  assert.deepEqual(second, { rows: 1_100, charged: 0, replayed: 1_100, failures: [], code: 0 })
  assert.equal(await available(), left)
})

test('rows that say the same are charged as often as they are there, and not once more', async (t) => {
  const { account, load, available } = await startImporting(t, '3000')
  const rows = Array.from({ length: 1_200 }, () => `${account},unit`)
  assert.equal((await load('account,operation', ...rows)).charged, 1_200)
  assert.equal(await available(), '1800')
  assert.equal((await load('account,operation', ...rows)).replayed, 1_200)
  assert.equal(await available(), '1800')
})

test('a file that has grown charges only the rows that are new, wherever they stand', async (t) => {
  const { account, load, available } = await startImporting(t, '1000')
  const rows = ['a', 'b', 'c'].map((job) => `${account},unit,${job}`)
  assert.equal((await load('account,operation,metadata.job', ...rows)).charged, 3)
  const grown = [`${account},unit,earlier`, ...rows, `${account},unit,later`]
  const { charged, replayed } = await load('account,operation,metadata.job', ...grown)
  assert.deepEqual([charged, replayed], [2, 3])
  assert.equal(await available(), '995')
})

test('a row says the same in another order of columns, and in a file of another name it does only when the import has no other name', async (t) => {
  const { account, load, run } = await startImporting(t, '1000')
  assert.equal((await load('account,operation,metadata.a,metadata.b', `${account},unit,1,2`)).charged, 1)
  assert.equal((await load('metadata.b,operation,metadata.a,account', `2,unit,1,${account}`)).replayed, 1)
  const path = file(t, `account,operation,metadata.a,metadata.b\n${account},unit,1,2\n`)
  for (const [name, charged] of [
    ['october', 1],
    ['october', 0],
    ['november', 1],
  ] as const) {
    const { stdout } = await run(path, '--json', '--name', name)
    assert.equal((JSON.parse(stdout) as ImportResult).charged, charged, name)
  }
})

test('the rows of many payers are charged side by side, each in the order of the file', async (t) => {
  const { call, load } = await startImporting(t, '0')
  const accounts = await Promise.all(Array.from({ length: 20 }, () => openAccount({ call }, '3')))
  const rows = ['a', 'b', 'c', 'd'].flatMap((job) => accounts.map((account) => `${account},unit,${job}`))
  const { charged, failures } = await load('account,operation,metadata.job', ...rows)
  assert.equal(charged, 60)
  assert.deepEqual(
    failures.map(({ line, code }) => [line, code]),
    accounts.map((_, index) => [62 + index, 'insufficient_credits']),
    'each fails at its last row',
  )
})

test('rows that come too fast for the server are sent again', async (t) => {
  const { call, clock, account, load } = await startImporting(t, '1000')
  const { body: key } = await call('POST', '/v1/keys', { account, rate_limit: { requests: 2, window_seconds: 1 } })
  const ticking = setInterval(() => {
    clock.nowMs += 100
  }, 100)
  t.after(() => clearInterval(ticking))
  const { charged, failures } = await load('key,operation,metadata.job', ...['a', 'b', 'c'].map((job) => `${key.secret},unit,${job}`))
  assert.deepEqual([charged, failures], [3, []])
})

test('a server that is gone stops the import, which says where; the next one goes on from there', async (t) => {
  const { url, obol, account } = await startImporting(t, '10')
  const rows = readUsageFile(file(t, `account,operation\n${account},unit\n${account},unit\n${account},unit\n`))
  const importing = importUsage(makeClient(url, OPERATOR_KEY), rows, { name: '', progress: () => void obol.close() })
  await assert.rejects(importing, (fault) => {
    assert.ok(fault instanceof CliError)
    assert.match(fault.message, /\nThe import stopped at line 3\. Import the file again: it goes on where it stopped\.$/)
    return true
  })
})

test('rows that fail are told by their line, the others are charged, and the next import charges what had failed', async (t) => {
  const { call, account, load, run, available } = await startImporting(t, '2')
  const text = ['account,operation', `${account},unit`, `${account},unpriced`, 'external:nobody,unit', `${account},unit`, `${account},unit`]
  const first = await load(...text)
  assert.deepEqual(
    first.failures.map(({ line, code }) => [line, code]),
    [
      [3, 'price_not_configured'],
      [4, 'account_not_found'],
      [6, 'insufficient_credits'],
    ],
  )
  assert.deepEqual([first.code, first.rows, first.charged, first.replayed], [1, 5, 2, 0])
  assert.equal(await available(), '0')

  await call('POST', '/v1/grants', { account, amount: '10' })
  const { code, stdout, stderr } = await run(file(t, `${text.join('\n')}\n`))
  assert.equal(code, 1)
  assert.match(stdout, /^rows +5\ncharged +1\nreplayed +2\nfailures +2\n$/)
  assert.match(stderr, /^line 3: price_not_configured: .*\nline 4: account_not_found: .*\n$/)
  assert.equal(await available(), '9')
})

test('a row whose key opens nothing fails by itself', async (t) => {
  const { account, load } = await startImporting(t, '10')
  const { code, charged, failures } = await load('account,key,operation', ',obol_live_nobody,unit', `${account},,unit`)
  assert.deepEqual([code, charged, failures.map(({ line, code: problem }) => [line, problem])], [1, 1, [[2, 'invalid_key']]])
})

test('an import with a key that is not the operator’s charges nothing, and says so once', async (t) => {
  const { call, url, account, available } = await startImporting(t, '10')
  const { body: key } = await call('POST', '/v1/keys', { account })
  const path = file(t, `account,operation\n${account},unit\n${account},unit\n`)
  for (const [secret, says] of [
    ['a-wrong-key-of-the-operator', /^obol: invalid_key: [^\n]+\n$/],
    [key.secret, /^obol: operator_key_required: [^\n]+\n$/],
  ] as const) {
    const { code, stdout, stderr } = await runObol(['import', 'usage', path], { env: { OBOL_URL: url, OBOL_OPERATOR_KEY: secret } })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, says)
  }
  assert.equal(await available(), '10')
})

test('a key that is in the file is not shown when its row fails', async (t) => {
  const { call, account, run } = await startImporting(t, '0')
  const { body: key } = await call('POST', '/v1/keys', { account })
  const { code, stdout, stderr } = await run(file(t, `key,operation\n${key.secret},unit\n`))
  assert.equal(code, 1)
  assert.match(stderr, /^line 2: insufficient_credits: /)
  assert.ok(!`${stdout}${stderr}`.includes(key.secret))
})
