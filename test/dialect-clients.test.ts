/**
 * Clients as the products' pages teach them, run against a server whose base address is the only thing that differs. Those in
 * Python are run by a real Python where there is one; the same calls are made in TypeScript too, so that nothing hangs on that.
 */

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Scene, startScene } from './running/dialects.ts'
import { PASSWORD, signUp } from './running/people.ts'
import { publishSamplePrices } from './running/sample-prices.ts'
import { buyIn } from './running/sandbox.ts'
import { STORE_KINDS, type StoreKind } from './running/store.ts'

const FOLDER = join(import.meta.dirname, 'data/dialects')
const DAY_MS = 86_400_000
const EMAIL = 'ada@example.com'

interface ClientScene extends Scene {
  /** Address of AudioPod's own port. */
  readonly audiopod: string
}

/** An account with a plan and a top-up that has used some of it, under the sample prices; its key begins with ap_. */
async function startClientScene(t: TestContext, kind: StoreKind): Promise<ClientScene> {
  const environment = { OBOL_KEY_PREFIX: 'ap_', OBOL_DIALECT_PORTS: 'audiopod:0', OBOL_PAYMENTS: 'sandbox' }
  const scene = await startScene(t, { amount: '0', environment, kind })
  const { call, account, clock, obol } = scene
  await publishSamplePrices(scene)
  const expires_at = new Date(clock.nowMs + 20 * DAY_MS).toISOString()
  await call('POST', '/v1/grants', { account, amount: '6000', source: 'plan', expires_at })
  await call('POST', '/v1/grants', { account, amount: '1000', source: 'topup' })
  for (const work of [
    { operation: 'transcription', quantities: { second: 90 } },
    { operation: 'music_generation', quantities: { second: 45 } },
    { operation: 'text_to_speech', quantities: { character: 1_500 } },
    { operation: 'transcription', quantities: { second: 30 } },
  ])
    assert.equal((await call('POST', '/v1/charges', { account, ...work })).status, 201)
  return { ...scene, audiopod: obol.ownPorts[0]?.address ?? '' }
}

/** What was used: 990 + 1980 + 495 + 330. */
const USED = 3_795
const LEFT = 7_000 - USED

const hasPython = spawnSync('python3', ['--version']).status === 0

/** Runs a client in Python; null: there is no Python here. */
async function runPython(t: TestContext, product: string, { url, audiopod, secret }: ClientScene): Promise<Record<string, unknown> | null> {
  if (!hasPython) {
    t.diagnostic('there is no python3 here: the same calls are made in TypeScript only')
    return null
  }
  const address = { BASE: url, AUDIOPOD: audiopod, KEY: secret }
  const env = { PATH: process.env.PATH ?? '', PYTHONIOENCODING: 'utf8', EMAIL, PASSWORD, ...address }
  const child = spawn('python3', ['-B', join(FOLDER, 'clients.py'), product], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  const [code] = await once(child, 'close')
  assert.equal(code, 0, said.stderr)
  return JSON.parse(said.stdout) as Record<string, unknown>
}

for (const kind of STORE_KINDS)
  test(`AudioPod's Python: balance, report, checks before work, estimates, alerts, bulk, on ${kind}`, async (t) => {
    const scene = await startClientScene(t, kind)
    const told = await runPython(t, 'audiopod', scene)
    if (told === null) return
    const seconds = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
    const at = seconds(scene.clock.nowMs)
    const short = 396_000 - LEFT
    assert.deepEqual(told, {
      balance: [LEFT, 2_205, 1_000, USED, seconds(scene.clock.nowMs + 20 * DAY_MS)],
      rows: [
        ['transcription', 330, at],
        ['text_to_speech', 495, at],
        ['music_generation', 1_980, at],
        ['transcription', 990, at],
      ],
      report: {
        transcription: { uses: 2, credits: 1_320, seconds: 120, average: 660 },
        text_to_speech: { uses: 1, credits: 495, seconds: 0, average: 495 },
        music_generation: { uses: 1, credits: 1_980, seconds: 45, average: 1_980 },
      },
      days: { [at.slice(0, 10)]: USED },
      checks: [
        { sufficient: true, available: LEFT, required: 660, shortfall: 0 },
        { sufficient: true, available: LEFT, required: 1_320, shortfall: 0 },
        { sufficient: true, available: LEFT, required: 6, shortfall: 0 },
        { sufficient: false, available: LEFT, required: 396_000, shortfall: short },
      ],
      summary: { days: 30, credits: USED, by_service: { transcription: 1_320, text_to_speech: 495, music_generation: 1_980 }, count: 4 },
      'summary by a clock without a zone': "can't compare offset-naive and offset-aware datetimes",
      estimates: {
        voice_cloning_training: 3_300,
        voice_cloning_generation: 660,
        transcription: 19_800,
        transcription_with_diarization: 2_310,
        music_generation: 2_640,
        translation: 1_650,
        text_to_speech: 1_650,
      },
      alerts: ['critical', 'warning', null],
      bulk: [{ batches: [5, 2] }, { missing: short }],
    })
  })

test("what AudioPod's Python computes, from the same calls in TypeScript", async (t) => {
  const { audiopod, secret, call, account } = await startClientScene(t, 'sqlite')
  const get = async <Body>(path: string): Promise<Body> => {
    const answer = await fetch(new URL(path, audiopod), { headers: { authorization: `Bearer ${secret}` } })
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
    return (await answer.json()) as Body
  }
  const { total_available_credits: available } = await get<{ total_available_credits: number }>('/api/v1/credits')
  const costs = await get<Record<string, number>>('/api/v1/credits/multipliers')
  const logs =
    await get<{ service_type: string; credits_used: number; audio_duration?: number; created_at: string }[]>(
      '/api/v1/credits/usage?limit=1000',
    )
  assert.equal(available, LEFT)
  assert.equal(
    logs.reduce((sum, { credits_used }) => sum + credits_used, 0),
    USED,
  )
  assert.equal(
    logs.reduce((sum, { audio_duration = 0 }) => sum + audio_duration, 0),
    165,
  )
  for (const { created_at } of logs) assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  // What clients estimate is what is charged.
  const estimates: readonly (readonly [operation: string, quantities: object, credits: number])[] = [
    ['voice_cloning_generation', { second: 120 }, (120 / 60) * (costs.voice_cloning_generation ?? 0)],
    ['transcription', { second: 20 }, (20 / 60) * (costs.transcription ?? 0)],
    ['music_generation', { second: 10 }, (10 / 30) * (costs.music_generation ?? 0)],
    ['text_to_speech', { character: 100 }, (100 / 1000) * (costs.text_to_speech ?? 0)],
    ['video_download', {}, costs.video_download ?? 0],
  ]
  for (const [operation, quantities, credits] of estimates) {
    const { body } = await call('POST', '/v1/charges', { account, operation, quantities })
    assert.equal(Number(body.credits), credits, operation)
  }
})

/** ShortGenius' client as its page uses it: a value for 200, an error with its status for everything else. */
class ShortGenius {
  readonly #serverUrl: string
  readonly #bearerAuth: string

  constructor({ serverUrl, bearerAuth }: { readonly serverUrl: string; readonly bearerAuth: string }) {
    this.#serverUrl = serverUrl
    this.#bearerAuth = bearerAuth
  }

  getUsage(): Promise<{ readonly balance: { readonly credits: number } }> {
    return this.#send('GET', '/credits')
  }

  createVideo(body: object): Promise<{ readonly id: string }> {
    return this.#send('POST', '/videos', body)
  }

  async #send<Body>(method: string, path: string, body?: object): Promise<Body> {
    const headers = { authorization: `Bearer ${this.#bearerAuth}`, accept: 'application/json', 'content-type': 'application/json' }
    const answer = await fetch(`${this.#serverUrl}${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    const json = (await answer.json()) as { readonly message?: string }
    if (answer.status !== 200) throw new ApiError(answer.status, json.message ?? '')
    return json as Body
  }
}

class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

test("ShortGenius' TypeScript and Python: the balance, and the error when it is too small for a video", async (t) => {
  const scene = await startClientScene(t, 'sqlite')
  const { url, secret, call, account } = scene
  const client = new ShortGenius({ serverUrl: `${url}/shortgenius/v1`, bearerAuth: secret })
  assert.equal((await client.getUsage()).balance.credits, LEFT)
  assert.equal(typeof (await client.createVideo({ title: 'Foxes' })).id, 'string')
  await call('POST', '/v1/charges', { account, operation: 'other', amount: String(LEFT - 19) })
  assert.equal((await client.getUsage()).balance.credits, 9)
  await assert.rejects(client.createVideo({ title: 'Foxes' }), (error: ApiError) => {
    assert.deepEqual([error.status, error.message], [402, 'Insufficient credits'])
    return true
  })
  const told = await runPython(t, 'shortgenius', scene)
  if (told === null) return
  assert.deepEqual(told, { credits: 9, refused: [402, 'Insufficient credits'] })
})

test("VideoDB's Python: the three figures that its page reads", async (t) => {
  const scene = await startClientScene(t, 'sqlite')
  const answer = await fetch(`${scene.url}/videodb/billing/usage`, { headers: { 'x-access-token': scene.secret } })
  const { data } = (await answer.json()) as { data: Record<string, number> }
  assert.deepEqual([data.total_credits_used, data.monthly_limit, data.credits_remaining], [USED, 6_000, LEFT])
  const told = await runPython(t, 'videodb', scene)
  if (told === null) return
  assert.deepEqual(told, [USED, 6_000, LEFT])
})

/** What AudioPod's page sells. */
const OFFER = { currency: 'usd', credits_per_unit: '7500', min_minor: 100, max_minor: 100_000 }

test("AudioPod's Python buys when the balance is low, by key and as a user who has signed in", async (t) => {
  const scene = await startClientScene(t, 'sqlite')
  const { call, account } = scene
  assert.equal((await call('PUT', '/v1/topups/options', OFFER)).status, 200)
  await signUp(scene, EMAIL, { account, role: 'owner' })
  const told = await runPython(t, 'audiopod buys', scene)
  if (told === null) return
  const { bought, ...rest } = told as { bought: readonly { credits_to_receive: number; amount_usd: number; session_id: string }[] }
  assert.deepEqual(rest, { offer: { credits_per_dollar: 7500, min_amount_usd: 1, max_amount_usd: 1000, currency: 'USD' }, enough: null })
  assert.deepEqual(
    bought.map(({ credits_to_receive, amount_usd }) => [credits_to_receive, amount_usd]),
    [
      [375_000, 50],
      [187_500, 25],
    ],
  )
  const { body } = await call('GET', `/v1/checkout-sessions?account=${account}`)
  assert.deepEqual(
    body.data.map(({ id }: { id: string }) => id),
    bought.map(({ session_id }) => session_id).toReversed(),
  )
})

test("VideoDB's Python opens a checkout, and lists what was bought", async (t) => {
  const scene = await startClientScene(t, 'sqlite')
  const { checkout_session: paid } = await buyIn(scene, scene.account, { amount_minor: 5_000 })
  const told = await runPython(t, 'videodb buys', scene)
  if (told === null) return
  const { opened, ...rest } = told as { opened: readonly [string, string] }
  const day = new Date(scene.clock.nowMs).toISOString().slice(0, 10)
  assert.deepEqual(rest, {
    checkouts: [
      [opened[0], 50, 'pending'],
      [paid, 50, 'completed'],
    ],
    invoices: [[50, day, 'paid']],
  })
  assert.ok(opened[1].startsWith(`${scene.url}/sandbox/`))
})
