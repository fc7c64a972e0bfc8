/** Runs an example against a server of its own, in which a customer has lived a little, and gives what it prints. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, startTestObol } from '../test/running/obol.ts'
import { PYTHON_SDK } from '../test/running/python.ts'
import { publishSamplePrices } from '../test/running/sample-prices.ts'

const DAY_MS = 86_400_000

/** What the customer had done before the example begins. */
const CHARGES: readonly Readonly<Record<string, unknown>>[] = [
  { operation: 'transcription', quantities: { second: 300 } },
  { operation: 'transcription', quantities: { second: 90 } },
  { operation: 'voice_cloning_generation', quantities: { second: 45.5 } },
  { operation: 'music_generation', quantities: { second: 30 } },
  ...Array.from({ length: 12 }, () => ({ operation: 'video_download' })),
]

/** Starts the server: a plan's credits, some that were bought, some for images, and a key with a budget. */
async function startScene(t: TestContext): Promise<Readonly<Record<string, string>>> {
  const running = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox' })
  await publishSamplePrices(running)
  const expires = new Date(running.clock.nowMs + 20 * DAY_MS).toISOString()
  const account = await openAccount(running, '20000', { source: 'plan', expires_at: expires })
  for (const grant of [
    { amount: '7500.5', source: 'topup' },
    { amount: '100', source: 'promo', credit_type: 'image_credits' },
  ])
    await running.call('POST', '/v1/grants', { account, ...grant })
  const { secret } = await makeKey(running, account, { budget: { limit: '50000', period: 'lifetime' } })
  for (const charge of CHARGES) await running.call('POST', '/v1/charges', { key: secret, ...charge })
  return { OBOL_URL: running.url, OBOL_KEY: secret, OBOL_OPERATOR_KEY: OPERATOR_KEY }
}

/** Longest that an example may take. */
const TIMEOUT_MS = 60_000

/** What an example prints. Throws, with what it said, when it fails. Dates are as they were on the day of the run: they are left out. */
export async function runExample(t: TestContext, file: string): Promise<string> {
  const environment = await startScene(t)
  const program = file.endsWith('.py') ? ['python3', '-B', '-W', 'error'] : [process.execPath]
  const [command = '', ...words] = [...program, join(import.meta.dirname, file)]
  const env = { PATH: process.env.PATH ?? '', PYTHONPATH: PYTHON_SDK, PYTHONIOENCODING: 'utf8', ...environment }
  const child = spawn(command, words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  let said = ''
  let failed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    failed += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  if (code !== 0 || failed !== '') throw new Error(`${file} ended with ${code}: ${failed}`)
  return said.replace(/\b\d{4}-\d\d-\d\d\b/g, 'yyyy-mm-dd')
}

/** The file with what an example prints: one for both languages. */
export function outputFile(file: string): string {
  return join(import.meta.dirname, file.replace(/\.(ts|py)$/, '.out'))
}
