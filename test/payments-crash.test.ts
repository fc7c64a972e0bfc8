/**
 * A server that is killed at any moment while customers pay, refunds are made and disputes come and go ends with exactly the credits that
 * the provider's own rows account for. It runs as a process and is killed with SIGKILL, again and again on one store.
 * OBOL_TEST_SEED repeats a run; OBOL_TEST_CRASHES sets its length.
 */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SandboxCheckout } from '../src/payments/sandbox/checkout.ts'
import { caller, OPERATOR_KEY, type TestAnswer, type TestObol } from './running/obol.ts'
import { onSchema } from './running/postgres.ts'
import { nodeAhead, runObol, type ServerProcess, startServer } from './running/process.ts'
import { Random } from './running/random.ts'
import { TEST_OPTIONS, until } from './running/sandbox.ts'
import { newPlace, STORE_KINDS, type StoreKind } from './running/store.ts'

const SEED = Number(process.env.OBOL_TEST_SEED ?? 20_261_128)
/** How often the server is killed. */
const CRASHES = Number(process.env.OBOL_TEST_CRASHES ?? 8)
/** Customers who buy at the same time. */
const CUSTOMERS = 6
const PRICE_MINOR = 1_000
/** Most steps that one life of the server acknowledges before it is killed, and the longest that it may take for them. */
const MAX_STEPS = 14
const PATIENCE_MS = 15_000
const POLL_MS = 5
/** So much later the last server starts that it asks the provider about every purchase. */
const MUCH_LATER_MS = 20 * 60_000

/** What may happen to a purchase, one after the other. */
const STORIES = [
  ['open', 'pay'],
  ['open', 'pay', 'come back'],
  ['open', 'pay', 'refund'],
  ['open', 'pay', 'refund', 'dispute', 'lose_dispute'],
  ['open', 'pay', 'dispute', 'win_dispute', 'refund'],
  ['open', 'pay', 'refund', 'fail_refund', 'refund again', 'dispute'],
  ['open', 'cancel'],
] as const satisfies readonly (readonly string[])[]

type Step = (typeof STORIES)[number][number]

/** A purchase, and what is still to happen to it. */
interface Plan {
  readonly customer: number
  /** Begins the idempotency keys of its requests. */
  readonly name: string
  readonly steps: Step[]
  session: { readonly id: string; readonly path: string } | null
  topup: string | null
}

interface Life {
  readonly server: ServerProcess
  readonly call: TestObol['call']
}

class World {
  readonly place: Awaited<ReturnType<typeof newPlace>>
  readonly #t: TestContext
  readonly #kind: StoreKind
  readonly #random = new Random(SEED)
  readonly plans: Plan[] = []
  /** Steps that were acknowledged. */
  #taken = 0
  account = ''

  constructor(t: TestContext, kind: StoreKind, place: World['place']) {
    this.#t = t
    this.#kind = kind
    this.place = place
  }

  get environment(): Readonly<Record<string, string>> {
    return { OBOL_DATABASE_URL: this.place.databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_PAYMENTS: 'sandbox', OBOL_LOG_LEVEL: 'info' }
  }

  async start(laterMs = 0): Promise<Life> {
    const server = await startServer(this.#t, 'serve', { env: this.environment, node: nodeAhead(laterMs) })
    return { server, call: caller(server.url) }
  }

  /** One life of the server, from its start until it is killed. */
  async live(): Promise<void> {
    const life = await this.start()
    const working = Promise.all(Array.from({ length: CUSTOMERS }, (_, index) => this.#work(life, index)))
    const target = this.#taken + this.#random.between(1, MAX_STEPS)
    for (let waitedMs = 0; this.#taken < target && waitedMs < PATIENCE_MS; waitedMs += POLL_MS) await sleep(POLL_MS)
    await sleep(this.#random.between(0, 60))
    life.server.signal('SIGKILL')
    await Promise.all([life.server.ended, working])
    assert.deepEqual((await this.place.audit()).differences, [], 'what the crash has left is sound')
  }

  /** Works until the server is gone: what it did not answer is asked again in its next life. */
  async #work(life: Life, customer: number): Promise<void> {
    for (;;) {
      let plan = this.plans.find((each) => each.customer === customer && each.steps.length > 0)
      if (!plan) {
        const story = STORIES[this.plans.length % STORIES.length] ?? STORIES[0]
        plan = { customer, name: `purchase-${this.plans.length}`, steps: [...story], session: null, topup: null }
        this.plans.push(plan)
      }
      if (!(await this.#goOn(life, plan))) return
    }
  }

  /** Goes on with a purchase; false: the server is gone. */
  async #goOn(life: Life, plan: Plan): Promise<boolean> {
    for (let [step] = plan.steps; step !== undefined; [step] = plan.steps) {
      try {
        await this.#take(step, life, plan)
      } catch (fault) {
        if (fault instanceof TypeError) return false
        throw fault
      }
      plan.steps.shift()
      this.#taken += 1
    }
    return true
  }

  async #take(step: Step, { server, call }: Life, plan: Plan): Promise<void> {
    const post = async (path: string, body: unknown, allowed: readonly number[]): Promise<TestAnswer> => {
      const answer = await call('POST', path, body, { idempotencyKey: `${plan.name} ${step}` })
      assert.ok(allowed.includes(answer.status), `${step}: ${answer.text}`)
      return answer
    }
    if (step === 'open') {
      const { body } = await post('/v1/checkout-sessions', { account: this.account, amount_minor: PRICE_MINOR }, [201])
      plan.session = { id: body.id, path: new URL(body.url).pathname }
      return
    }
    const { session } = plan
    assert.ok(session)
    if (step === 'pay' || step === 'come back') {
      // Customers who press twice; and who are back before any event is.
      const press = () =>
        fetch(`${server.url}${session.path}`, { method: 'POST', body: new URLSearchParams({ action: 'pay' }), redirect: 'manual' })
      const [{ status, headers }] = await Promise.all([press(), press()])
      assert.equal(status, 303)
      if (step === 'come back')
        await (await fetch(`${server.url}${new URL(headers.get('location') ?? '').pathname}`, { redirect: 'manual' })).text()
      return
    }
    if (step === 'cancel') {
      await post(`/v1/checkout-sessions/${session.id}/cancel`, undefined, [200])
      return
    }
    const topup = plan.topup ?? (await this.#paid(call, session.id))
    plan.topup = topup
    if (step === 'refund' || step === 'refund again') await post(`/v1/topups/${topup}/refund`, { amount_minor: 300 }, [200, 201, 202])
    else await post(`/v1/topups/${topup}/simulate`, { event: step }, [202, 409])
  }

  /** Waits until a purchase is paid. The server may be gone before. */
  async #paid(call: Life['call'], session: string): Promise<string> {
    const { body } = await until(
      () => call('GET', `/v1/checkout-sessions/${session}`),
      ({ body: { status } }) => status === 'paid',
    )
    return body.topup
  }

  /** What the provider's own rows say. */
  async sandbox(): Promise<readonly SandboxCheckout[]> {
    const select = 'select state from sandbox_checkouts'
    if (this.#kind === 'postgres') return (await onSchema<{ state: string }>(this.place.file, select)).map(({ state }) => JSON.parse(state))
    const db = new DatabaseSync(this.place.file, { readOnly: true })
    const rows = db.prepare(select).all()
    db.close()
    return rows.map(({ state }) => JSON.parse(String(state)))
  }
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

/** Credits that a checkout of the sandbox has left, and those of them that are frozen. */
function leftOf({ status, amountMinor, refunds, disputes }: SandboxCheckout): { readonly settled: number; readonly frozen: number } {
  if (status !== 'paid') return { settled: 0, frozen: 0 }
  const refunded = sum(refunds, (refund) => (refund.status === 'standing' ? refund.amountMinor : 0))
  const lost = sum(disputes, (dispute) => (dispute.status === 'lost' ? dispute.amountMinor : 0))
  return {
    settled: amountMinor - refunded - lost,
    frozen: sum(disputes, (dispute) => (dispute.status === 'open' ? dispute.amountMinor : 0)),
  }
}

/** All of an account's things. */
async function listed(call: TestObol['call'], path: string, account: string): Promise<readonly TestAnswer['body'][]> {
  const things: TestAnswer['body'][] = []
  for (let after = ''; ; after = `&starting_after=${things.at(-1).id}`) {
    const { body } = await call('GET', `${path}?account=${account}&limit=100${after}`)
    things.push(...body.data)
    if (!body.has_more) return things
  }
}

/** Every payment, refund, failed refund and lost dispute has one invoice, and numbers have no gaps. */
async function assertInvoiced(call: TestObol['call'], account: string, paid: readonly SandboxCheckout[]): Promise<void> {
  const invoices = await listed(call, '/v1/invoices', account)
  const about = (what: string): number => invoices.filter((invoice) => invoice.about === what).length
  const topups = invoices.filter((invoice) => invoice.about === 'payment').map((invoice) => invoice.purchase.topup)
  assert.deepEqual([topups.length, new Set(topups).size], [paid.length, paid.length])
  const failed = sum(paid, ({ refunds }) => refunds.filter(({ status }) => status === 'failed').length)
  const lost = sum(paid, ({ disputes }) => disputes.filter(({ status }) => status === 'lost').length)
  const credited = sum(paid, ({ refunds }) => refunds.length) - (about('refund') - about('failed_refund'))
  assert.equal(about('dispute'), lost)
  // A refund that had failed before it was heard of has neither its credit note nor what takes that back.
  assert.ok(credited === failed && about('failed_refund') <= failed)
  for (const series of ['TEST-INV', 'TEST-CN']) {
    const numbers = invoices.map(({ number }) => String(number)).filter((number) => number.startsWith(series))
    const wanted = numbers.map((_, index) => `${series}-${String(index + 1).padStart(6, '0')}`)
    assert.deepEqual(numbers.toSorted(), wanted)
  }
}

for (const kind of STORE_KINDS)
  test(`a server on ${kind} that is killed ${CRASHES} times while customers pay credits each payment once (seed ${SEED})`, async (t) => {
    const world = new World(t, kind, await newPlace(kind))
    t.after(() => world.place.remove())
    const { server, call } = await world.start()
    assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS)).status, 200)
    world.account = (await call('POST', '/v1/accounts', { name: 'Ada' })).body.id
    assert.equal((await server.stop()).code, 0)
    for (let crash = 0; crash < CRASHES; crash++) await world.live()

    const last = await world.start(MUCH_LATER_MS)
    const read = async () => {
      const checkouts = await world.sandbox()
      const topups = await listed(last.call, '/v1/topups', world.account)
      return { checkouts, topups, isTold: checkouts.every(({ events }) => events.length === 0) }
    }
    const isDone = (topup: TestAnswer['body']): boolean => topup.refunds.every(({ status }: { status: string }) => status !== 'requested')
    const { checkouts, topups } = await until(read, ({ isTold, topups: found }) => isTold && found.every(isDone))
    const paid = checkouts.filter(({ status }) => status === 'paid')
    t.diagnostic(
      `${checkouts.length} checkouts, ${paid.length} paid, ${sum(paid, ({ refunds }) => refunds.length)} refunds, ${sum(paid, ({ disputes }) => disputes.length)} disputes`,
    )
    assert.ok(paid.some(({ refunds }) => refunds.length > 0) && paid.some(({ disputes }) => disputes.length > 0))
    assert.deepEqual(topups.map((topup) => topup.checkout_session).toSorted(), paid.map(({ checkout }) => checkout).toSorted())
    const { credits } = (await last.call('GET', `/v1/credits?account=${world.account}`)).body.credit_types
    const settled = sum(checkouts, (checkout) => leftOf(checkout).settled)
    const frozen = sum(checkouts, (checkout) => leftOf(checkout).frozen)
    assert.deepEqual([credits.settled, credits.held, credits.debt], [String(settled), String(frozen), '0'])
    const asked = world.plans.flatMap(({ topup }) => topup ?? [])
    assert.equal(new Set(asked).size, asked.length, 'each purchase has a top-up of its own')
    await assertInvoiced(last.call, world.account, paid)
    assert.equal((await last.server.stop()).code, 0)
    const { code, stdout, stderr } = await runObol(['verify'], { env: world.environment })
    assert.deepEqual([code, stderr], [0, ''], stdout)
  })
