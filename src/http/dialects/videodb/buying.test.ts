/** VideoDB's checkouts and invoices, as its pages and its clients read them. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pagesOf } from '../../../../test/reading/pdf.ts'
import { type DialectCall, dialectCaller, type Scene, startScene, surfaceOf } from '../../../../test/running/dialects.ts'
import { makeKey, openAccount, type TestAnswer } from '../../../../test/running/obol.ts'
import { press, until } from '../../../../test/running/sandbox.ts'
import { STORE_KINDS, type StoreKind } from '../../../../test/running/store.ts'

const OFFER = {
  currency: 'usd',
  credits_per_unit: '10',
  min_minor: 100,
  max_minor: 100_000,
  packs: [{ id: 'plan-basic', name: 'Basic', amount_minor: 2_550, credits: '300' }],
}

type Body = TestAnswer['body']

interface Selling extends Scene {
  readonly ask: DialectCall
  readonly get: (path: string) => Promise<Body>
  readonly post: (path: string, body: unknown) => Promise<TestAnswer>
  /** Opens a checkout and pays it. */
  readonly buy: (body: unknown) => Promise<void>
}

async function startSelling(t: TestContext, kind: StoreKind = 'sqlite'): Promise<Selling> {
  const scene = await startScene(t, { amount: '0', kind, environment: { OBOL_PAYMENTS: 'sandbox', OBOL_SELLER_NAME: 'Wideo Łódź' } })
  const ask = dialectCaller(scene, surfaceOf('videodb'))
  assert.equal((await scene.call('PUT', '/v1/topups/options', OFFER)).status, 200)
  const get = async (path: string): Promise<Body> => {
    const { status, headers, body, text } = await ask(scene.secret, 'GET', path)
    assert.deepEqual([status, headers.get('content-type'), body.success], [200, 'application/json; charset=utf-8', true], text)
    assert.equal('status' in body, false, 'clients take a status for that of a job')
    return body.data
  }
  const post: Selling['post'] = (path, body) => ask(scene.secret, 'POST', path, { body })
  const buy: Selling['buy'] = async (body) => {
    const { status, body: opened } = await post('/billing/checkout', body)
    assert.equal(status, 200)
    assert.equal((await press({ url: opened.data.url }, 'pay')).status, 303)
    await until(
      () => get('/billing/checkouts?limit=1'),
      ([newest]) => newest.status === 'completed',
    )
  }
  return { ...scene, ask, get, post, buy }
}

for (const kind of STORE_KINDS)
  test(`a checkout has its page by every name, and is completed when it is paid, on ${kind}`, async (t) => {
    const { get, post } = await startSelling(t, kind)
    const { status, headers, body } = await post('/billing/checkout', { mode: 'payment', plan_id: 'plan-other', amount: 50 })
    assert.deepEqual([status, headers.get('content-type'), body.success], [200, 'application/json; charset=utf-8', true])
    const { url, id } = body.data
    assert.match(url, /^http.*\/sandbox\//)
    assert.match(id, /^cs_/)
    assert.deepEqual(body, {
      success: true,
      data: { url, id },
      id,
      checkout_url: url,
      checkoutUrl: url,
      session_id: id,
      sessionId: id,
      payment_url: url,
      paymentUrl: url,
    })
    const row = { id, amount: 50, currency: 'usd' }
    const [open] = await get('/billing/checkouts')
    const { created_at, createdAt, ...listed } = open
    assert.deepEqual([listed, created_at], [{ ...row, status: 'pending' }, createdAt])
    assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.equal((await press({ url }, 'pay')).status, 303)
    const [paid] = await until(
      () => get('/billing/checkouts'),
      ([newest]) => newest.status === 'completed',
    )
    assert.deepEqual([paid.id, paid.amount], [id, 50])
    assert.equal((await get('/billing/usage')).credit_balance, 500)
  })

test('topup is the same checkout, with the address that its page names, and packs have their price', async (t) => {
  const { get, post, call } = await startSelling(t)
  const topup = await post('/billing/topup', { amount: 12.5, currency: 'USD', redirect_url: 'https://app.example/done' })
  assert.deepEqual([topup.status, typeof topup.body.payment_url, typeof topup.body.session_id], [200, 'string', 'string'])
  const pack = await post('/billing/checkout', { plan_id: 'plan-basic', successUrl: 'https://a.example/', cancelUrl: 'https://b.example/' })
  assert.equal(pack.status, 200)
  const rows = await get('/billing/checkouts')
  assert.deepEqual(
    rows.map(({ amount }: Body) => amount),
    [25.5, 12.5],
  )
  const { body } = await call('GET', `/v1/checkout-sessions/${pack.body.id}`)
  assert.deepEqual([body.pack, body.credits, body.metadata], ['plan-basic', '300', { dialect: 'videodb' }])
  assert.equal((await call('POST', `/v1/checkout-sessions/${pack.body.id}/cancel`)).status, 200)
  assert.equal((await get('/billing/checkouts'))[0].status, 'expired')
})

test('what cannot be bought opens nothing', async (t) => {
  const { get, post } = await startSelling(t)
  for (const body of [
    {},
    { amount: 0 },
    { amount: -5 },
    { amount: 0.5 },
    { amount: 10.001 },
    { amount: 'fifty' },
    { amount: 5_000 },
    { amount: 50, mode: 'subscription' },
    { amount: 50, currency: 'eur' },
    { amount: 50, success_url: 'javascript:alert(1)' },
    { amount: 50, cancel_url: 'https://user:secret@a.example/' },
    { plan_id: 'plan-unknown' },
  ]) {
    const { status, body: said } = await post('/billing/checkout', body)
    assert.ok(status >= 400 && status < 500, JSON.stringify(body))
    assert.deepEqual([said.success, typeof said.message], [false, 'string'])
  }
  assert.deepEqual(await get('/billing/checkouts'), [])
})

test('invoices are those of the page, their PDF opens as it stands, and lists have limit and offset', async (t) => {
  const scene = await startSelling(t)
  const { get, buy, call, account, clock, ask } = scene
  assert.deepEqual(await get('/billing/invoices'), [])
  await buy({ amount: 100 })
  await buy({ plan_id: 'plan-basic' })
  const [{ id: topup }] = (await call('GET', `/v1/topups?account=${account}`)).body.data
  assert.equal((await call('POST', `/v1/topups/${topup}/refund`, {})).status, 201)
  const rows = await get('/billing/invoices')
  const seconds = `${new Date(clock.nowMs).toISOString().slice(0, 19)}Z`
  assert.deepEqual(
    rows.map(({ id: _, pdf_url: __, ...row }: Body) => row),
    [
      ['TEST-CN-000001', -25.5],
      ['TEST-INV-000002', 25.5],
      ['TEST-INV-000001', 100],
    ].map(([number, amount]) => ({ number, amount, currency: 'usd', status: 'paid', created_at: seconds, date: seconds.slice(0, 10) })),
  )
  const answer = await fetch(rows[2].pdf_url)
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/pdf'])
  const [page = ''] = await pagesOf(new Uint8Array(await answer.arrayBuffer()))
  for (const text of ['TEST-INV-000001', 'Wideo Łódź', '100.00 USD', '1000 credits']) assert.ok(page.includes(text), page)

  const numbers = async (query: string): Promise<readonly string[]> =>
    (await get(`/billing/invoices?${query}`)).map(({ number }: Body) => number)
  assert.deepEqual(await numbers('limit=1'), ['TEST-CN-000001'])
  assert.deepEqual(await numbers('limit=1&offset=1'), ['TEST-INV-000002'])
  assert.deepEqual(await numbers('limit=10&offset=2'), ['TEST-INV-000001'])
  assert.deepEqual(await numbers('offset=3'), [])
  for (const query of ['limit=0', 'limit=-1', 'limit=101', 'offset=-1', 'limit=many']) {
    const refused = await ask(scene.secret, 'GET', `/billing/invoices?${query}`)
    assert.deepEqual([refused.status, refused.body.success], [400, false], query)
  }
  // A statement has no amount: it is not among them.
  const month = new Date(clock.nowMs).toISOString().slice(0, 7)
  clock.nowMs += 32 * 86_400_000
  assert.equal((await call('POST', '/v1/invoices', { account, month })).status, 201)
  assert.equal((await get('/billing/invoices')).length, 3)

  const { secret: other } = await makeKey(scene, await openAccount(scene, '0'))
  assert.deepEqual((await ask(other, 'GET', '/billing/invoices')).body, { success: true, data: [] })
})
