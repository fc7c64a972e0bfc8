/** What the sandbox tells, over HTTP: believed for its signature, for five minutes, and as a hint only. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openShop, type Shop } from '../../../test/running/sandbox.ts'
import { openTestStore } from '../../../test/running/store.ts'
import type { CheckoutOrder } from '../provider.ts'
import { Sandbox } from './sandbox.ts'

interface Letter {
  readonly body: string
  readonly signature: string
}

interface Telling extends Shop {
  /** An event about a checkout session, signed as the sandbox signs. */
  readonly letter: (session: { readonly url: string }, type?: string) => Letter
  readonly tell: (letter: Partial<Letter>, provider?: string) => Promise<readonly [status: number, body: unknown]>
}

async function openTelling(t: TestContext): Promise<Telling> {
  const shop = await openShop(t)
  const provider = shop.obol.services.payments?.provider
  assert.ok(provider instanceof Sandbox)
  const letter: Telling['letter'] = ({ url }, type = 'checkout.paid') =>
    provider.letterOf(url.split('/').at(-1) ?? '', { id: 'sbx_evt_test', type, attempts: 0, dueMs: 0 })
  const tell: Telling['tell'] = async ({ body = '{}', signature }, name = 'sandbox') => {
    const headers = { 'content-type': 'application/json', ...(signature === undefined ? {} : { 'sandbox-signature': signature }) }
    const answer = await fetch(`${shop.url}/v1/payments/${name}/events`, { method: 'POST', headers, body })
    return [answer.status, await answer.json()]
  }
  return { ...shop, letter, tell }
}

async function openSandbox(t: TestContext) {
  const { store, clock } = await openTestStore(t)
  const pagesUrl = (): string => 'https://obol.example/sandbox'
  const sandbox = new Sandbox({ checkouts: store.sandboxCheckouts, secret: store.secret, clock: () => clock.nowMs, pagesUrl })
  const order: CheckoutOrder = {
    checkout: 'cs_0000000100000002',
    account: 'acct_00000001',
    amountMinor: 1_000,
    currency: 'eur',
    title: '1000 credits',
    expiresAtMs: clock.nowMs + 3_600_000,
    returnUrl: 'https://obol.example/back',
    cancelUrl: 'https://obol.example/back',
    keepsMethod: false,
    customer: null,
  }
  return { sandbox, clock, order }
}

test('an event is refused unless the sandbox signed its body just now, and then nothing is looked up', async (t) => {
  const { open, session, letter, tell, clock } = await openTelling(t)
  const opened = await open()
  const other = await open()
  const { body, signature } = letter(opened)
  const changed = [
    { body },
    { body, signature: '' },
    { body, signature: 'nonsense' },
    { body, signature: signature.replace(/v1=./, (start) => `v1=${start.endsWith('0') ? '1' : '0'}`) },
    { body, signature: signature.replace(/t=\d+/, (text) => `t=${Number(text.slice(2)) + 1}`) },
    { body: `${body} `, signature },
    { body: letter(other).body, signature },
    { signature },
  ]
  for (const each of changed) {
    const [status, answer] = await tell(each)
    assert.deepEqual([status, (answer as { code: string }).code], [400, 'signature_invalid'], JSON.stringify(each))
  }
  assert.equal((await tell({ body, signature }))[0], 200)
  assert.equal((await tell({ body, signature }, 'stripe'))[0], 404, 'a provider that is not used')
  clock.nowMs += 301_000
  assert.equal((await tell({ body, signature }))[0], 400, 'an old event')
  clock.nowMs -= 602_000
  assert.equal((await tell({ body, signature }))[0], 400, 'an event of the future')
  clock.nowMs += 301_000
  assert.equal((await session(opened.id)).status, 'open')
})

test('an event that lies changes nothing: what is true is looked up', async (t) => {
  const { open, session, letter, tell, credits } = await openTelling(t)
  const opened = await open()
  for (const type of ['checkout.paid', 'refund.created', 'dispute.created', 'nonsense'])
    assert.deepEqual(await tell(letter(opened, type)), [200, { received: true }])
  assert.deepEqual([(await session(opened.id)).status, await credits()], ['open', ['0', '0', '0']])
  const nowhere = letter({ url: 'https://x.test/sbx_nothing' })
  assert.deepEqual(await tell(nowhere), [200, { received: true, ignored: 'no checkout of this server' }])
})

test('an event that is sent many times at once credits a payment once', async (t) => {
  const { open, press, session, letter, tell, credits } = await openTelling(t)
  const opened = await open()
  const told = letter(opened)
  await press(opened, 'pay')
  const answers = await Promise.all(Array.from({ length: 30 }, () => tell(told)))
  assert.deepEqual(new Set(answers.map(([status]) => status)), new Set([200]))
  assert.equal((await session(opened.id)).status, 'paid')
  assert.deepEqual(await credits(), ['1000', '0', '0'])
})

test('an event that Obol could not take is told again, later each time, until it is taken', async (t) => {
  const { sandbox, clock, order } = await openSandbox(t)
  const { reference } = await sandbox.makeCheckout(order)
  await sandbox.act(reference, 'pay')
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]) {
    const [event, ...more] = await sandbox.dueEvents(reference)
    assert.ok(event && more.length === 0)
    await sandbox.noteTold(reference, event.id, false)
    clock.nowMs += pauseMs - 1
    assert.deepEqual([await sandbox.dueEvents(reference), await sandbox.due(10)], [[], []])
    clock.nowMs += 1
    assert.equal((await sandbox.due(10)).length, 1)
  }
  const [event] = await sandbox.dueEvents(reference)
  await sandbox.noteTold(reference, event?.id ?? '', true)
  await sandbox.noteTold(reference, event?.id ?? '', false)
  assert.deepEqual(await sandbox.due(10), [])
})

test('whatever is asked for twice, at once or later, is done once', async (t) => {
  const { sandbox, order } = await openSandbox(t)
  const pages = await Promise.all([sandbox.makeCheckout(order), sandbox.makeCheckout(order), sandbox.makeCheckout(order)])
  assert.equal(new Set(pages.map(({ reference }) => reference)).size, 1)
  const reference = pages[0]?.reference ?? ''
  await Promise.all(Array.from({ length: 10 }, () => sandbox.act(reference, 'pay')))
  assert.equal((await sandbox.read(reference))?.events.length, 1)
  const payment = (await sandbox.look(reference))?.payment
  assert.ok(payment)
  const refund = () => sandbox.refund({ payment, request: 'trf_0000000100000003', amountMinor: 600 })
  const refunds = await Promise.all([refund(), refund(), refund()])
  assert.deepEqual(new Set(refunds.map((each) => JSON.stringify(each))).size, 1)
  assert.deepEqual(await sandbox.refund({ payment, request: 'trf_0000000100000004', amountMinor: 600 }), {
    refused: 'Not so much can be refunded.',
  })
  assert.deepEqual((await sandbox.look(reference))?.refunds.length, 1)
})

test('a name that is none of a checkout is that of none', async (t) => {
  const { sandbox } = await openSandbox(t)
  for (const name of ['', 'sbx_', '\0', `sbx_${'x'.repeat(24)}`, `sbx_${'x'.repeat(5_000)}`])
    assert.deepEqual(
      [await sandbox.look(name), await sandbox.act(name, 'pay'), await sandbox.happen(name, 'dispute')],
      [undefined, undefined, false],
    )
})
