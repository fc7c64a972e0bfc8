/**
 * Servers are killed with SIGKILL while they send webhooks, in the middle of requests, charges going on: whatever was charged is told, in
 * the order of each account's journal; what was on its way may be told again. On PostgreSQL another server takes over, on one file the next.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJournal } from './running/history.ts'
import { caller, OPERATOR_KEY, openAccount, publishTestPrices, type TestObol } from './running/obol.ts'
import { type ServerProcess, startServer } from './running/process.ts'
import { type Receiver, startReceiver, until } from './running/receiver.ts'
import { newPlace, STORE_KINDS } from './running/store.ts'
import { readMessage } from './running/webhooks.ts'

type Call = TestObol['call']

const KILLS = { sqlite: 3, postgres: 1 } as const
/** Charges that are told before a server is killed, and how many requests later that is: in the middle of one. */
const TOLD_BEFORE = 12
/** Credits that last for as long as a test may take. */
const ENOUGH = '1000000'
/** Longest that it takes until all is told: a claim has to end first. */
const PATIENCE_MS = 40_000

/** What a kill cut off has no answer; any other fault is one of the test. */
function cutOff(fault: unknown): undefined {
  if (!(fault instanceof TypeError)) throw fault
}

/** Charges accounts in turn through whichever server there is, until it is stopped; what fails was cut off by a kill. */
function startCharging(call: () => Call, accounts: readonly string[]): { readonly stop: () => Promise<void> } {
  let isStopped = false
  const charging = accounts.map(async (account) => {
    while (!isStopped) {
      const answer = await call()('POST', '/v1/charges', { account, operation: 'unit' }).catch(cutOff)
      if (answer) assert.equal(answer.status, 201, answer.text)
      await sleep(answer ? 10 : 50)
    }
  })
  return {
    stop: async () => {
      isStopped = true
      await Promise.all(charging)
    },
  }
}

/** Kills a server while it waits for the answer to an event, the charges before which were told. */
async function killInTheMiddle(server: ServerProcess, receiver: Receiver): Promise<void> {
  const before = receiver.received.length
  await until(() => receiver.received.length >= before + TOLD_BEFORE, 'events are told', PATIENCE_MS)
  const killed = Promise.withResolvers<void>()
  receiver.answer = () => {
    server.signal('SIGKILL')
    killed.resolve()
    return 200
  }
  await killed.promise
  receiver.answer = () => 200
  await server.ended
}

/** Sequences of what an endpoint was told of an account; what comes again right after itself is left out. */
function toldOf({ received }: Receiver, secret: string, account: string): readonly number[] {
  return received
    .map((request) => readMessage(request, secret))
    .flatMap((message) => (message.account === account ? [message.sequence] : []))
    .filter((sequence, index, all) => sequence !== all[index - 1])
}

async function startOn(t: TestContext, databaseUrl: string): Promise<ServerProcess> {
  const env = { OBOL_DATABASE_URL: databaseUrl, OBOL_OPERATOR_KEY: OPERATOR_KEY, OBOL_WEBHOOK_ALLOWED_CIDRS: '127.0.0.1/32' }
  return startServer(t, 'serve', { env })
}

for (const kind of STORE_KINDS)
  test(`servers on ${kind} that are killed while they send leave nothing out and keep the order`, async (t) => {
    const place = await newPlace(kind)
    t.after(() => place.remove())
    const receiver = await startReceiver(t)
    let server = await startOn(t, place.databaseUrl)
    let call = caller(server.url)
    await publishTestPrices({ call })
    const accounts = [await openAccount({ call }, ENOUGH), await openAccount({ call }, ENOUGH)]
    const endpoint = (await call('POST', '/v1/webhook-endpoints', { url: receiver.url, events: ['charge.created'] })).body
    const charging = startCharging(() => call, accounts)
    for (let kill = 0; kill < KILLS[kind]; kill++) {
      const other = kind === 'postgres' ? await startOn(t, place.databaseUrl) : undefined
      await killInTheMiddle(server, receiver)
      server = other ?? (await startOn(t, place.databaseUrl))
      call = caller(server.url)
    }
    const before = receiver.received.length
    await until(() => receiver.received.length > before, 'the next server goes on', PATIENCE_MS)
    await charging.stop()
    for (const account of accounts) {
      const charged = (await readJournal(call, account)).flatMap(({ kind: what, sequence }) =>
        what === 'charge' ? [Number(sequence)] : [],
      )
      await until(() => toldOf(receiver, endpoint.secret, account).length >= charged.length, 'all is told', PATIENCE_MS)
      assert.deepEqual(
        toldOf(receiver, endpoint.secret, account),
        charged.toSorted((a, b) => a - b),
      )
    }
    assert.equal((await call('GET', `/v1/webhook-endpoints/${endpoint.id}`)).body.status, 'enabled')
    await server.stop()
    assert.deepEqual((await place.audit()).differences, [])
  })
