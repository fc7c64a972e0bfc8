/**
 * Replays a trace of real LLM calls through the HTTP API as charges of 50 accounts and 200 keys, priced per token, and compares every
 * balance, roll-up and journal with sums that are worked out here, without Obol. Run again, it changes nothing.
 *
 *   npm run example:replay                  the full trace if it lies in ../shared/data, else the excerpt in examples/data
 *   npm run example:replay -- trace.csv     any file with the columns TIMESTAMP, ContextTokens, GeneratedTokens
 *
 * It runs a server of its own on a free port, with its store in ./data/replay (OBOL_REPLAY_FOLDER names another folder).
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { startObol } from '../src/app.ts'
import { makeSecret, OPERATOR_PREFIX } from '../src/auth/secrets.ts'
import { type Client, makeClient } from '../src/cli/client.ts'
import { readConfig } from '../src/config.ts'

const ACCOUNTS = 50
const KEYS = 200
/** Requests on their way at once. */
const AT_ONCE = 64

/** Credits per million tokens. Prices are finer than a millionth of a credit, so each charge is rounded up, once. */
const PRICES = [
  { operation: 'llm.chat', rate: '2.5', per: { quantity: 1_000_000, unit: 'input_tokens' } },
  { operation: 'llm.chat', rate: '10.125', per: { quantity: 1_000_000, unit: 'output_tokens' } },
] as const

/** What a call costs in micro-credits, worked out by hand: 2.5 and 10.125 per token, rounded up. */
function costOf({ input, output }: Call): bigint {
  return (input * 2_500n + output * 10_125n + 999n) / 1_000n
}

const FUNDS = 1_000n

interface Call {
  readonly input: bigint
  readonly output: bigint
}

/** What an account should come to. */
interface Expected {
  calls: number
  credits: bigint
  input: bigint
  output: bigint
}

function traceFile(): string {
  const [, , named] = process.argv
  const full = join(import.meta.dirname, '../../shared/data/AzureLLMInferenceTrace_conv.csv')
  return named ?? (existsSync(full) ? full : join(import.meta.dirname, 'data/llm-trace-excerpt.csv'))
}

function readTrace(file: string): readonly Call[] {
  const rows = parse(readFileSync(file), { columns: true, bom: true, skip_empty_lines: true }) as Record<string, string>[]
  return rows.map((row, index) => {
    const { ContextTokens: input, GeneratedTokens: output } = row
    if (input === undefined || output === undefined) throw new Error(`${file}:${index + 2} lacks ContextTokens or GeneratedTokens`)
    return { input: BigInt(input), output: BigInt(output) }
  })
}

interface Opened {
  readonly accounts: readonly string[]
  readonly keys: readonly string[]
}

/** Prices, accounts, credits and keys, each under a name of its own: made once, found again by the next run. */
async function open({ call }: Client): Promise<Opened> {
  await call('POST', '/v1/price-book', { prices: PRICES }, 'replay-prices')
  const accounts: string[] = []
  for (let index = 0; index < ACCOUNTS; index++) {
    const made = await call('POST', '/v1/accounts', { name: `Replay ${index}`, external_id: `replay-${index}` }, `replay-account-${index}`)
    accounts.push((made.body as { id: string }).id)
    await call('POST', '/v1/grants', { account: accounts[index], amount: `${FUNDS}` }, 'replay-grant')
  }
  const keys: string[] = []
  for (let index = 0; index < KEYS; index++) {
    const made = await call('POST', '/v1/keys', { account: accounts[index % ACCOUNTS], name: `key ${index}` }, `replay-key-${index}`)
    keys.push((made.body as { id: string }).id)
  }
  return { accounts, keys }
}

/** Charges every call; returns how many had been charged by an earlier run. */
async function chargeAll({ call }: Client, trace: readonly Call[], keys: readonly string[]): Promise<number> {
  let next = 0
  let replayed = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < trace.length; index = next++) {
      const { input = 0n, output = 0n } = trace[index] ?? {}
      const quantities = { input_tokens: `${input}`, output_tokens: `${output}` }
      const answer = await call('POST', '/v1/charges', { key: keys[index % KEYS], operation: 'llm.chat', quantities }, `replay-${index}`)
      if (answer.replayed) replayed++
      showProgress(index + 1, trace.length)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return replayed
}

const BAR_WIDTH = 40

function showProgress(done: number, all: number): void {
  if (!process.stderr.isTTY || (done % 100 !== 0 && done !== all)) return
  const filled = Math.floor((done / all) * BAR_WIDTH)
  process.stderr.write(`\r${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${done} of ${all} calls${done === all ? '\n' : ''}`)
}

function expectedOf(trace: readonly Call[]): readonly Expected[] {
  const expected: Expected[] = Array.from({ length: ACCOUNTS }, () => ({ calls: 0, credits: 0n, input: 0n, output: 0n }))
  for (const [index, one] of trace.entries()) {
    // Key k belongs to account k mod 50, and call i is made with key i mod 200.
    const sum = expected[(index % KEYS) % ACCOUNTS]
    if (!sum) continue
    sum.calls++
    sum.credits += costOf(one)
    sum.input += one.input
    sum.output += one.output
  }
  return expected
}

/** Micro-credits of a decimal string of credits; written here so that nothing of Obol's own is trusted. */
function microOf(credits: string): bigint {
  const [whole = '0', decimals = ''] = credits.split('.')
  return BigInt(whole) * 1_000_000n + BigInt(decimals.padEnd(6, '0'))
}

interface UsageBody {
  readonly data: readonly {
    readonly results: readonly { readonly charges: number; readonly net: string; readonly quantities: Readonly<Record<string, string>> }[]
  }[]
}

/** Compares one account in three ways; returns what differs. */
async function differences({ call }: Client, account: string, expected: Expected): Promise<readonly string[]> {
  const found: string[] = []
  const compare = (what: string, is: bigint, should: bigint): void => {
    if (is !== should) found.push(`${account}: ${what} is ${is}, and should be ${should}`)
  }
  const { credit_types } = (await call('GET', `/v1/accounts/${account}/credits`)).body as {
    credit_types: { credits: { available: string } }
  }
  compare('the balance', microOf(credit_types.credits.available), FUNDS * 1_000_000n - expected.credits)

  const usage = (await call('GET', `/v1/usage?account=${account}&start=2020-01-01T00:00:00Z&bucket=month&group_by=key`)).body as UsageBody
  const groups = usage.data.flatMap(({ results }) => results)
  const sum = (value: (group: (typeof groups)[number]) => bigint): bigint => groups.reduce((total, group) => total + value(group), 0n)
  compare(
    'the calls of the roll-ups',
    sum(({ charges }) => BigInt(charges)),
    BigInt(expected.calls),
  )
  compare(
    'the credits of the roll-ups',
    sum(({ net }) => microOf(net)),
    expected.credits,
  )
  compare(
    'the input tokens of the roll-ups',
    sum(({ quantities }) => BigInt(quantities.input_tokens ?? '0')),
    expected.input,
  )
  compare(
    'the output tokens of the roll-ups',
    sum(({ quantities }) => BigInt(quantities.output_tokens ?? '0')),
    expected.output,
  )

  const journal = await journalSum(call, account)
  compare('the charges of the journal', journal.charges, BigInt(expected.calls))
  compare('the credits of the journal', journal.credits, expected.credits)
  return found
}

interface JournalBody {
  readonly next_cursor: string | null
  readonly data: readonly { readonly kind: string; readonly entries: readonly { readonly change: string }[] }[]
}

async function journalSum(call: Client['call'], account: string): Promise<{ readonly charges: bigint; readonly credits: bigint }> {
  let charges = 0n
  let credits = 0n
  let cursor: string | null = ''
  while (cursor !== null) {
    const after: string = cursor === '' ? '' : `&starting_after=${cursor}`
    const page = (await call('GET', `/v1/journal?account=${account}&limit=100${after}`)).body as JournalBody
    for (const { kind, entries } of page.data) {
      if (kind !== 'charge') continue
      charges++
      for (const { change } of entries) credits += microOf(change.replace('-', ''))
    }
    cursor = page.next_cursor
  }
  return { charges, credits }
}

interface Audit {
  readonly ok: boolean
  readonly checked: { readonly records: number }
}

async function audit({ call }: Client): Promise<Audit> {
  return (await call('GET', '/v1/audit/verify')).body as Audit
}

const file = traceFile()
const trace = readTrace(file)
const folder = process.env.OBOL_REPLAY_FOLDER ?? join(import.meta.dirname, '../data/replay')
const operatorKey = makeSecret(OPERATOR_PREFIX)
const settings = {
  OBOL_PORT: '0',
  OBOL_DATABASE_URL: `sqlite:${join(folder, 'obol.db')}`,
  OBOL_OPERATOR_KEY: operatorKey,
  OBOL_LOG_LEVEL: 'warn',
}
const obol = await startObol(readConfig(settings).config)
try {
  const client = makeClient(obol.address, operatorKey)
  console.log(`${trace.length} calls of ${file}`)
  const { accounts, keys } = await open(client)
  const before = await audit(client)
  const startedMs = performance.now()
  const replayed = await chargeAll(client, trace, keys)
  const seconds = (performance.now() - startedMs) / 1000
  console.log(`${trace.length - replayed} charged, ${replayed} charged by an earlier run, in ${seconds.toFixed(1)} s`)
  const expected = expectedOf(trace)
  const found: string[] = []
  for (const [index, account] of accounts.entries())
    found.push(...(await differences(client, account, expected[index] ?? { calls: 0, credits: 0n, input: 0n, output: 0n })))
  const after = await audit(client)
  if (!after.ok) found.push('the audit found differences')
  const added = after.checked.records - before.checked.records
  if (added !== trace.length - replayed) found.push(`the journal grew by ${added} records, and should have by ${trace.length - replayed}`)
  const total = expected.reduce((sum, { credits }) => sum + credits, 0n)
  console.log(`${total / 1_000_000n}.${(total % 1_000_000n).toString().padStart(6, '0')} credits, worked out without Obol`)
  for (const difference of found) console.error(difference)
  console.log(
    found.length === 0
      ? 'balances, roll-ups and journals of all 50 accounts agree, to the micro-credit; the audit is clean'
      : `${found.length} differences`,
  )
  process.exitCode = found.length === 0 ? 0 : 1
} finally {
  await obol.close()
}
