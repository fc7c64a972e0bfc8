/** Credits are bought: over the API, on the sandbox's page, with what the sandbox tells over HTTP. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, startTestObol } from '../../../test/running/obol.ts'
import { openShop, TEST_OPTIONS, until } from '../../../test/running/sandbox.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

test('what is on offer is what the operator set last, for every customer to read', async (t) => {
  const { call, account } = await openShop(t)
  const { secret } = await makeKey({ call }, account)
  const { status, body } = await call('GET', '/v1/topups/options', undefined, { key: secret })
  const { created_at, ...offer } = body
  assert.equal(status, 200)
  assert.ok(created_at)
  const [pack] = TEST_OPTIONS.packs
  assert.deepEqual(offer, {
    object: 'topup_options',
    version: 1,
    provider: 'sandbox',
    mode: 'test',
    credit_type: 'credits',
    expires_in_days: null,
    ...TEST_OPTIONS,
    packs: [{ ...pack, credits: '5000' }],
  })
  assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS)).body.version, 1, 'the same is the same version')
  assert.equal((await call('PUT', '/v1/topups/options', { ...TEST_OPTIONS, min_minor: 600 })).body.version, 2)
  assert.equal((await call('PUT', '/v1/topups/options', TEST_OPTIONS, { key: secret })).status, 403)
})

test('options that cannot be sold are refused, and leave what was on offer', async (t) => {
  const { call } = await openShop(t)
  for (const wrong of [
    { min_minor: 2_000, max_minor: 1_000 },
    { credits_per_unit: '0' },
    { credits_per_unit: '-1' },
    { credits_per_unit: '0.000001', min_minor: 1 },
    { credits_per_unit: '9200000000000' },
    { currency: 'EUR' },
    { packs: [TEST_OPTIONS.packs[0], TEST_OPTIONS.packs[0]] },
    { packs: [{ id: 'x', name: 'X', amount_minor: 1, bonus_credits: '9200000000000' }] },
    { packs: [{ id: 'x', name: 'X', amount_minor: 0 }] },
    { surprise: true },
  ])
    assert.equal((await call('PUT', '/v1/topups/options', { ...TEST_OPTIONS, ...wrong })).status, 400, JSON.stringify(wrong))
  assert.equal((await call('GET', '/v1/topups/options')).body.version, 1)
})

test('a checkout session says what is bought, and where it is paid', async (t) => {
  const { call, account, open } = await openShop(t)
  const { secret } = await makeKey({ call }, account)
  const { status, body } = await call('POST', '/v1/checkout-sessions', { amount_minor: 1_234, metadata: { order: '7' } }, { key: secret })
  assert.equal(status, 201)
  assert.match(body.id, /^cs_[0-9a-v]{16}$/)
  assert.match(body.url, /^http:\/\/127\.0\.0\.1:\d+\/sandbox\/sbx_[\w-]{24}$/)
  assert.deepEqual(
    [body.account, body.status, body.provider, body.mode, body.amount_minor, body.currency, body.credits, body.bonus_credits, body.topup],
    [account, 'open', 'sandbox', 'test', 1_234, 'eur', '1234', null, null],
  )
  assert.deepEqual(body.metadata, { order: '7' })
  const pack = await open({ pack: 'big' })
  assert.deepEqual([pack.pack, pack.amount_minor, pack.credits, pack.bonus_credits], ['big', 5_000, '5000', '500'])
  assert.deepEqual((await call('GET', '/v1/checkout-sessions', undefined, { key: secret })).body.data, [pack, body])
  assert.deepEqual((await call('GET', `/v1/checkout-sessions/${body.id}`, undefined, { key: secret })).body, body)
})

test('the same request under the same key opens one checkout session, however it has become', async (t) => {
  const { call, account, open, press, session } = await openShop(t)
  const first = await open({ amount_minor: 1_000 }, { idempotencyKey: 'k' })
  const again = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 }, { idempotencyKey: 'k' })
  assert.deepEqual([again.status, again.headers.get('idempotent-replayed'), again.body], [201, 'true', first])
  await press(first, 'pay')
  const paid = await until(
    () => session(first.id),
    ({ status }) => status === 'paid',
  )
  const later = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 }, { idempotencyKey: 'k' })
  assert.deepEqual(later.body, paid)
  const other = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 2_000 }, { idempotencyKey: 'k' })
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused'])
  const unnamed = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 }, { idempotencyKey: null })
  assert.deepEqual([unnamed.status, unnamed.body.code], [400, 'idempotency_key_required'])
})

test('what cannot be bought is refused, and opens nothing', async (t) => {
  const { call, account } = await openShop(t)
  const cases: readonly (readonly [body: object, status: number, code: string])[] = [
    [{ amount_minor: 499 }, 400, 'topup_amount_out_of_range'],
    [{ amount_minor: 100_001 }, 400, 'topup_amount_out_of_range'],
    [{ amount_minor: 0 }, 400, 'invalid_request'],
    [{ amount_minor: -500 }, 400, 'invalid_request'],
    [{ amount_minor: 500.5 }, 400, 'invalid_request'],
    [{ amount_minor: '500' }, 400, 'invalid_request'],
    [{}, 400, 'invalid_request'],
    [{ pack: 'small' }, 404, 'pack_not_found'],
    [{ pack: 'big', amount_minor: 5_000 }, 400, 'invalid_request'],
    [{ amount_minor: 500, credits: '100000' }, 400, 'invalid_request'],
    [{ amount_minor: 500, success_url: 'javascript:alert(1)' }, 400, 'invalid_request'],
    [{ amount_minor: 500, success_url: '/relative' }, 400, 'invalid_request'],
    [{ amount_minor: 500, cancel_url: 'https://name:word@example.com/' }, 400, 'invalid_request'],
    [{ amount_minor: 500, success_url: `https://example.com/${'ł'.repeat(400)}` }, 400, 'invalid_request'],
    [{ amount_minor: 500, account: 'acct_00000000' }, 404, 'account_not_found'],
  ]
  for (const [body, status, code] of cases) {
    const answer = await call('POST', '/v1/checkout-sessions', { account, ...body })
    assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(body))
  }
  assert.deepEqual((await call('GET', `/v1/checkout-sessions?account=${account}`)).body.data, [])
})

test('another account’s checkout sessions and top-ups are not found', async (t) => {
  const shop = await openShop(t)
  const { call, open, buy } = shop
  const other = (await makeKey(shop, await openAccount(shop, '0'))).secret
  const { id } = await open()
  const topup = await buy()
  for (const [method, path] of [
    ['GET', `/v1/checkout-sessions/${id}`],
    ['POST', `/v1/checkout-sessions/${id}/cancel`],
    ['GET', `/v1/topups/${topup.id}`],
    ['GET', '/v1/checkout-sessions/cs_zzzz'],
    ['GET', `/v1/topups/${id}`],
    ['GET', `/v1/checkout-sessions/${topup.id}`],
  ] as const)
    assert.equal((await call(method, path, undefined, { key: other })).status, 404, path)
  for (const list of ['/v1/checkout-sessions', '/v1/topups'])
    assert.deepEqual((await call('GET', list, undefined, { key: other })).body.data, [])
  assert.equal((await call('POST', `/v1/topups/${topup.id}/refund`, {}, { key: other })).status, 403)
})

test('a server that sells nothing says so', async (t) => {
  const off = await startTestObol(t)
  const account = await openAccount(off, '0')
  for (const answer of [
    await off.call('GET', '/v1/topups/options'),
    await off.call('PUT', '/v1/topups/options', TEST_OPTIONS),
    await off.call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 }),
  ])
    assert.deepEqual([answer.status, answer.body.code], [409, 'topups_not_offered'])
  const nothingSet = await startTestObol(t, { OBOL_PAYMENTS: 'sandbox' })
  assert.equal((await nothingSet.call('GET', '/v1/topups/options')).body.code, 'topups_not_offered')
})

test('what is paid is there, as a top-up with its bonus, and marked as play', async (t) => {
  const { call, account, buy, credits } = await openShop(t)
  const topup = await buy({ pack: 'big', metadata: { order: '9' } })
  assert.deepEqual(await credits(), ['5500', '0', '0'])
  assert.deepEqual(
    [
      topup.status,
      topup.mode,
      topup.provider,
      topup.amount_minor,
      topup.total_minor,
      topup.credits,
      topup.bonus_credits,
      topup.refundable_minor,
    ],
    ['paid', 'test', 'sandbox', 5_000, 5_000, '5000', '500', 5_000],
  )
  assert.deepEqual(topup.metadata, { order: '9' })
  const grants = await Promise.all(topup.grants.map(async (id: string) => (await call('GET', `/v1/grants/${id}`)).body))
  assert.deepEqual(
    grants.map(({ source, amount, cost, metadata, status }) => [source, amount, cost, metadata, status]),
    [
      ['topup', '5000', { amount_minor: 5_000, currency: 'eur' }, { topup: topup.id, mode: 'test' }, 'open'],
      ['promo', '500', null, { topup: topup.id, mode: 'test' }, 'open'],
    ],
  )
  const { body } = await call('GET', `/v1/events?limit=100`)
  const events = body.data.filter((event: { account: string }) => event.account === account).map(({ type }: { type: string }) => type)
  assert.deepEqual(events.slice(1), [
    'checkout.created',
    'checkout.linked',
    'topup.paid',
    'grant.created',
    'credits.recovered',
    'grant.created',
  ])
  const journal = (await call('GET', `/v1/journal?account=${account}`)).body.data
  assert.deepEqual(
    journal.slice(0, 4).map(({ kind, actor, subject }: Record<string, string>) => [kind, actor, subject]),
    [
      ['grant', 'provider', topup.grants[1]],
      ['topup', 'provider', topup.id],
      ['checkout_linked', 'provider', topup.checkout_session],
      ['checkout_opened', 'operator', topup.checkout_session],
    ],
  )
})

test('a declined card gives nothing, and another may be tried', async (t) => {
  const { open, press, session, credits } = await openShop(t)
  const opened = await open()
  const declined = await press(opened, 'decline')
  assert.equal(declined.status, 303)
  const page = await (await fetch(new URL(declined.headers.get('location') ?? '', opened.url))).text()
  assert.match(page, /declined/)
  assert.deepEqual([(await session(opened.id)).status, await credits()], ['open', ['0', '0', '0']])
  await press(opened, 'pay')
  await until(credits, ([available]) => available === '1000')
})

test('money that takes its time is pending, and is credited when it arrives', async (t) => {
  const { open, press, session, credits, clock } = await openShop(t)
  const [arrives, fails] = [await open(), await open()]
  await press(arrives, 'pay_later')
  await press(fails, 'pay_later_in_vain')
  for (const { id } of [arrives, fails]) {
    const { status, url } = await until(
      () => session(id),
      (now) => now.status === 'pending',
    )
    assert.deepEqual([status, url], ['pending', null])
  }
  clock.nowMs += 2 * HOUR_MS
  assert.equal(
    (
      await until(
        () => session(arrives.id),
        ({ status }) => status === 'paid',
      )
    ).topup !== null,
    true,
  )
  await until(
    () => session(fails.id),
    ({ status }) => status === 'failed',
  )
  assert.deepEqual(await credits(), ['1000', '0', '0'])
})

test('a checkout session that nobody pays expires, and its page takes nothing any more', async (t) => {
  const { open, press, session, credits, clock } = await openShop(t)
  const opened = await open()
  clock.nowMs += HOUR_MS
  assert.deepEqual([(await session(opened.id)).status, (await session(opened.id)).url], ['expired', null])
  await press(opened, 'pay')
  await until(
    () => session(opened.id),
    ({ status }) => status === 'expired',
  )
  assert.deepEqual(await credits(), ['0', '0', '0'])
})

test('a canceled checkout session takes no money; one that is paid cannot be canceled', async (t) => {
  const { call, open, press, session, buy, credits } = await openShop(t)
  const opened = await open()
  for (let time = 0; time < 2; time++) {
    const { status, body } = await call('POST', `/v1/checkout-sessions/${opened.id}/cancel`)
    assert.deepEqual([status, body.status, body.url], [200, 'canceled', null])
  }
  await press(opened, 'pay')
  assert.equal((await session(opened.id)).status, 'canceled')
  const paid = await buy()
  const refused = await call('POST', `/v1/checkout-sessions/${paid.checkout_session}/cancel`)
  assert.deepEqual([refused.status, refused.body.code, refused.body.checkout_status], [409, 'checkout_closed', 'paid'])
  assert.deepEqual(await credits(), ['1000', '0', '0'])
  const raced = await open()
  await press(raced, 'pay')
  const late = await call('POST', `/v1/checkout-sessions/${raced.id}/cancel`)
  assert.deepEqual([late.status, late.body.checkout_status], [409, 'paid'], 'paid at the last moment')
  assert.deepEqual(await credits(), ['2000', '0', '0'])
})

test('an account has so many open checkout sessions and no more', async (t) => {
  const { call, account, open } = await openShop(t)
  for (let count = 0; count < 50; count++) await open()
  const { status, body } = await call('POST', '/v1/checkout-sessions', { account, amount_minor: 1_000 })
  assert.deepEqual([status, body.code], [409, 'too_many_open_checkouts'])
})

test('lists lead from page to page, in both directions', async (t) => {
  const { call, account, buy } = await openShop(t)
  const topups: string[] = []
  for (let count = 0; count < 3; count++) topups.unshift((await buy()).id)
  const page = async (query: string) => (await call('GET', `/v1/topups?account=${account}&limit=2${query}`)).body
  const ids = ({ data }: { readonly data: readonly { readonly id: string }[] }) => data.map(({ id }) => id)
  const first = await page('')
  assert.deepEqual([ids(first), first.has_more], [topups.slice(0, 2), true])
  const second = await page(`&starting_after=${first.next_cursor}`)
  assert.deepEqual([ids(second), second.has_more], [topups.slice(2), false])
  assert.deepEqual(ids(await page(`&ending_before=${topups[2]}`)), topups.slice(0, 2))
  const { checkout_session } = (await call('GET', `/v1/topups/${topups[0]}`)).body
  assert.equal((await page(`&starting_after=${checkout_session}`)).code, 'invalid_cursor')
  assert.equal((await page(`&starting_after=${topups[0]?.slice(0, -1)}0`)).code, 'invalid_cursor')
})

test('a bonus that is bought has an end of its own', async (t) => {
  const { buy, credits, clock } = await openShop(t)
  await buy({ pack: 'big' })
  clock.nowMs += 31 * DAY_MS
  assert.deepEqual(await credits(), ['5000', '0', '0'])
})
