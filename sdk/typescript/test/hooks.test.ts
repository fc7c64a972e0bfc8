/** One suite for the hooks of all frameworks: real servers, real clients that stay or hang up, and what is charged in the end. */

import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import type { Settlement } from '../src/hooks/held-work.ts'
import type { RouteOptions } from '../src/hooks/route.ts'
import { Obol } from '../src/obol.ts'
import { type Asked, FRAMEWORKS, type Gates } from './served-work.ts'

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** How a client behaves: it stays, or hangs up so many ms after it asked, or after so many characters of the answer. */
interface Manners {
  readonly hangsUpAfterMs?: number
  readonly hangsUpAfterCharacters?: number
}

/** Sends a request. Null: the client hung up, or the server did. */
function ask(url: string, asked: Asked, { key, ...manners }: Manners & { readonly key: string | null }): Promise<Reply | null> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) }
    const outgoing = httpRequest(url, { method: 'POST', headers, agent: false }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (text.length >= (manners.hangsUpAfterCharacters ?? Number.POSITIVE_INFINITY)) outgoing.destroy()
      })
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }))
      incoming.on('error', () => resolve(null))
      incoming.on('close', () => resolve(null))
    })
    outgoing.on('error', () => resolve(null))
    outgoing.end(JSON.stringify(asked))
    if (manners.hangsUpAfterMs !== undefined) setTimeout(() => outgoing.destroy(), manners.hangsUpAfterMs)
  })
}

type Options = RouteOptions<unknown>
type Framework = keyof typeof FRAMEWORKS

interface Scene {
  readonly url: string
  readonly key: string
  readonly operator: Obol
  readonly account: string
  readonly clock: { nowMs: number }
  readonly gates: Gates
  readonly openGate: () => void
  readonly faults: readonly unknown[]
}

interface Setting {
  readonly credits?: string
  readonly operation?: string
  readonly operatorKey?: string
  /** Whether the credits cannot be reached. */
  readonly isAway?: boolean
}

async function start(t: TestContext, framework: Framework, options: Options = {}, setting: Setting = {}): Promise<Scene> {
  const { credits = '1000', operation = 'transcription', operatorKey = OPERATOR_KEY, isAway = false } = setting
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, credits)
  const { secret: key } = await makeKey(running, account)
  const operator = new Obol({ baseUrl: running.url, apiKey: OPERATOR_KEY })
  let openGate: () => void = () => undefined
  const gates: Gates = {
    opened: new Promise((resolve) => {
      openGate = resolve
    }),
    work: null,
  }
  const faults: unknown[] = []
  const url = await FRAMEWORKS[framework](t, {
    obol: new Obol({ baseUrl: isAway ? 'http://127.0.0.1:9' : running.url, apiKey: operatorKey }),
    terms: () => ({ operation, quantities: { second: 60 } }),
    options: { onFault: (fault) => faults.push(fault), ...options },
    gates,
  })
  return { url, key, operator, account, clock: running.clock, gates, openGate, faults }
}

const PATIENCE_MS = 10_000

/** The work that a request began, once it has begun. */
async function begun({ gates }: Scene): Promise<NonNullable<Gates['work']>> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 10) {
    if (gates.work) return gates.work
    await sleep(10)
  }
  throw new Error('no work has begun')
}

/** How the work of the one request ended. */
async function settled(scene: Scene): Promise<Settlement['outcome']> {
  const work = await begun(scene)
  const { outcome } = await Promise.race([work.done, sleep(PATIENCE_MS, { outcome: 'nothing within ten seconds' as never })])
  return outcome
}

/** What was charged, each amount, and what is available after all. */
async function books({ operator, account }: Scene): Promise<readonly [charged: readonly string[], held: string, available: string]> {
  const charges = await operator.charges.list({ account }).toArray()
  const { held = '', available = '' } = (await operator.accounts.credits(account)).credit_types.credits ?? {}
  return [charges.map(({ credits }) => credits), held, available]
}

/** What a request whose client stays comes to. Each second of work costs 11 credits; 60 seconds, 660 credits, are held. */
const STAYING: readonly (readonly [
  does: Asked['does'],
  status: number | null,
  outcome: Settlement['outcome'],
  charged: readonly string[],
])[] = [
  ['good', 200, 'captured', ['660']],
  ['captures', 200, 'captured', ['330']],
  ['captures twice', 200, 'captured', ['330']],
  ['captures and throws', 500, 'captured', ['330']],
  ['bad', 400, 'released', []],
  ['throws', 500, 'released', []],
  ['releases', 200, 'released', []],
  ['streams', 200, 'captured', ['110']],
  ['streams without counting', 200, 'captured', ['660']],
  ['streams and breaks', null, 'captured', ['33']],
  ['streams without counting and breaks', null, 'released', []],
]

for (const framework of Object.keys(FRAMEWORKS) as Framework[]) {
  for (const [does, status, outcome, charged] of STAYING)
    test(`${framework}: a handler that ${does} ends ${outcome}, with [${charged}] charged`, async (t) => {
      const scene = await start(t, framework)
      const reply = await ask(scene.url, { does }, scene)
      if (status !== null) assert.equal(reply?.status, status, reply?.text)
      assert.equal(await settled(scene), outcome)
      const left = charged[0] === undefined ? '1000' : String(1000 - Number(charged[0]))
      assert.deepEqual(await books(scene), [charged, '0', left])
      assert.deepEqual(scene.faults, [])
    })

  test(`${framework}: an answer says what it has cost when its handler captured`, async (t) => {
    const scene = await start(t, framework)
    const reply = await ask(scene.url, { does: 'captures' }, scene)
    assert.deepEqual([reply?.headers['x-credits-charged'], reply?.headers['x-credits-remaining']], ['330', '670'])
    assert.match(String(reply?.headers['x-credits-charge-id']), /^chg_/)
  })

  test(`${framework}: captures at once and again are one charge`, async (t) => {
    const scene = await start(t, framework)
    const reply = await ask(scene.url, { does: 'captures twice' }, scene)
    const { charges } = JSON.parse(reply?.text ?? '') as { charges: readonly string[] }
    assert.equal(new Set(charges).size, 1)
    assert.equal(charges.length, 3)
  })

  test(`${framework}: a client that hangs up early is charged for work that goes on to its end`, async (t) => {
    const scene = await start(t, framework)
    const asked = ask(scene.url, { does: 'waits' }, { ...scene, hangsUpAfterMs: 300 })
    await begun(scene)
    assert.equal(await asked, null)
    assert.deepEqual(await books(scene), [[], '660', '340'], 'the hold waits for the work')
    scene.openGate()
    assert.equal(await settled(scene), 'captured')
    assert.deepEqual(await books(scene), [['660'], '0', '340'])
  })

  test(`${framework}: a client that hangs up early is not charged where that is the rule, and the work is told to stop`, async (t) => {
    const scene = await start(t, framework, { whenClientLeaves: 'release' })
    await ask(scene.url, { does: 'waits' }, { ...scene, hangsUpAfterMs: 300 })
    const work = await begun(scene)
    assert.equal(await settled(scene), 'released')
    assert.ok(work.signal.aborted)
    scene.openGate()
    await sleep(50)
    assert.deepEqual(await books(scene), [[], '0', '1000'])
  })

  test(`${framework}: a stream whose client hangs up is read to its end, and charged for all of it`, async (t) => {
    const scene = await start(t, framework)
    assert.equal(await ask(scene.url, { does: 'streams' }, { ...scene, hangsUpAfterCharacters: 4 }), null)
    assert.equal(await settled(scene), 'captured')
    assert.deepEqual(await books(scene), [['110'], '0', '890'])
  })

  test(`${framework}: a stream whose client hangs up is charged as far as it came where that is the rule`, async (t) => {
    const scene = await start(t, framework, { whenClientLeaves: 'capture' })
    await ask(scene.url, { does: 'streams' }, { ...scene, hangsUpAfterCharacters: 4 })
    assert.equal(await settled(scene), 'captured')
    const [charged, held] = await books(scene)
    assert.equal(held, '0')
    assert.ok(Number(charged[0]) >= 11 && Number(charged[0]) < 110, `charged ${charged}`)
  })

  test(`${framework}: a stream that nobody counts is charged as the whole hold when its client hangs up`, async (t) => {
    const scene = await start(t, framework, { drainSeconds: 1 })
    await ask(scene.url, { does: 'streams without counting' }, { ...scene, hangsUpAfterCharacters: 4 })
    assert.equal(await settled(scene), 'captured')
    assert.deepEqual(await books(scene), [['660'], '0', '340'])
  })

  test(`${framework}: work that hangs is told to stop, and its hold gives everything back`, async (t) => {
    const scene = await start(t, framework, { ttlSeconds: 60, maxSeconds: 1 })
    const asked = ask(scene.url, { does: 'hangs' }, { ...scene, hangsUpAfterMs: 2_000 })
    const work = await begun(scene)
    assert.equal(await settled(scene), 'expired')
    assert.ok(work.signal.aborted)
    scene.clock.nowMs += 61_000
    assert.deepEqual(await books(scene), [[], '0', '1000'])
    await asked
  })

  test(`${framework}: work that ends after its hold has expired is recorded all the same, once`, async (t) => {
    const scene = await start(t, framework, { ttlSeconds: 60 })
    const asked = ask(scene.url, { does: 'waits and captures' }, scene)
    await begun(scene)
    scene.clock.nowMs += 61_000
    scene.openGate()
    assert.equal((await asked)?.status, 200)
    assert.equal(await settled(scene), 'captured')
    assert.deepEqual(await books(scene), [['220'], '0', '780'])
  })

  test(`${framework}: without credits the handler does not run, and the customer hears what is missing`, async (t) => {
    const scene = await start(t, framework, {}, { credits: '12.5' })
    const reply = await ask(scene.url, { does: 'good' }, scene)
    assert.equal(reply?.status, 402)
    assert.match(String(reply?.headers['content-type']), /^application\/problem\+json/)
    const { code, required, available, shortfall } = JSON.parse(reply?.text ?? '') as Readonly<Record<string, string>>
    assert.deepEqual([code, required, available, shortfall], ['insufficient_credits', '660', '12.5', '647.5'])
    assert.equal(scene.gates.work, null)
    assert.deepEqual(await books(scene), [[], '0', '12.5'])
  })

  test(`${framework}: a missing or wrong key is the customer's, and is answered with 401`, async (t) => {
    const scene = await start(t, framework)
    for (const key of [null, 'obol_live_nothing']) assert.equal((await ask(scene.url, { does: 'good' }, { key }))?.status, 401)
    assert.equal(scene.gates.work, null)
    assert.deepEqual(scene.faults, [])
  })

  test(`${framework}: what the operator has set up wrongly is a fault of theirs, told to them and not to the customer`, async (t) => {
    for (const wrong of [{ operation: 'never.priced' }, { operatorKey: 'not-the-operators' }]) {
      const scene = await start(t, framework, {}, wrong)
      const reply = await ask(scene.url, { does: 'good' }, scene)
      assert.equal(reply?.status, 500)
      assert.ok(!/priced|operators/.test(reply.text), reply.text)
      assert.equal(scene.faults.length, 1)
    }
  })

  test(`${framework}: work does not begin while the credits cannot be asked`, async (t) => {
    const scene = await start(t, framework, {}, { isAway: true })
    const reply = await ask(scene.url, { does: 'good' }, scene)
    assert.deepEqual([reply?.status, reply?.headers['retry-after']], [503, '5'])
    assert.equal(scene.gates.work, null)
  })

  test(`${framework}: a refusal can be said in the words of the API that it protects`, async (t) => {
    const renderRefusal: NonNullable<Options['renderRefusal']> = ({ body }) => ({ error: { message: body.detail, type: body.code } })
    const scene = await start(t, framework, { renderRefusal }, { credits: '0' })
    const reply = await ask(scene.url, { does: 'good' }, scene)
    assert.deepEqual(JSON.parse(reply?.text ?? ''), { error: { message: 'Needs 660 credits, available 0.', type: 'insufficient_credits' } })
    assert.match(String(reply?.headers['content-type']), /^application\/json/)
  })

  test(`${framework}: a request that has a name is worked on once`, async (t) => {
    const scene = await start(t, framework, { idempotencyKey: () => 'job-1' })
    assert.equal((await ask(scene.url, { does: 'good' }, scene))?.status, 200)
    const again = await ask(scene.url, { does: 'good' }, scene)
    assert.equal(again?.status, 409)
    assert.match(again.text, /request_repeated/)
    assert.deepEqual((await books(scene))[0], ['660'])
  })
}
