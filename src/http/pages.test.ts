/** Lists: every item once, in both directions, while new ones arrive. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestObol } from '../../test/running/obol.ts'

interface Page {
  readonly object: string
  readonly url: string
  readonly has_more: boolean
  readonly next_cursor: string | null
  readonly data: readonly { readonly id: string }[]
}

/** Walks a list to its end by `next_cursor`; between pages something may happen. */
async function walk(
  { call }: Pick<TestObol, 'call'>,
  path: string,
  { cursor = 'starting_after', between = async () => {} }: { readonly cursor?: string; readonly between?: () => Promise<unknown> } = {},
): Promise<readonly (readonly string[])[]> {
  const pages: string[][] = []
  for (let next: string | null = '', count = 0; next !== null && count < 200; count++) {
    const { status, body, text } = await call(
      'GET',
      next === '' ? path : `${path.replace(/&(?:starting_after|ending_before)=\w+/, '')}&${cursor}=${next}`,
    )
    assert.equal(status, 200, text)
    const page: Page = body
    pages.push(page.data.map(({ id }) => id))
    assert.equal(page.has_more, page.next_cursor !== null)
    next = page.next_cursor
    await between()
  }
  return pages
}

test('lists', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')
  const make = {
    charges: () => call('POST', '/v1/charges', { account, operation: 'unit' }),
    grants: () => call('POST', '/v1/grants', { account, amount: '1' }),
    holds: () => call('POST', '/v1/holds', { account, operation: 'unit' }),
    keys: () => call('POST', '/v1/keys', { account }),
    accounts: () => call('POST', '/v1/accounts', { name: 'Another' }),
    journal: () => call('POST', '/v1/charges', { account, operation: 'unit' }),
  }
  type Kind = keyof typeof make
  const kinds = Object.keys(make) as Kind[]
  const pathOf = (kind: Kind, query: string): string => `/v1/${kind}?${kind === 'accounts' ? '' : `account=${account}&`}${query}`
  for (const kind of kinds) for (let count = 0; count < 7; count++) assert.equal((await make[kind]()).status, 201, kind)
  const idsOf = async (kind: Kind): Promise<readonly string[]> =>
    (await call('GET', pathOf(kind, 'limit=100'))).body.data.map(({ id }: { id: string }) => id)

  for (const kind of kinds) {
    await t.test(`of ${kind} come newest first, twenty at a time unless asked otherwise, and say what they are`, async () => {
      const ids = await idsOf(kind)
      const { body } = await call('GET', pathOf(kind, ''))
      assert.deepEqual([body.object, body.url], ['list', `/v1/${kind}`])
      assert.deepEqual(
        body.data.map(({ id }: { id: string }) => id),
        ids.slice(0, 20),
      )
      const times = body.data.map((item: { created_at?: string; at?: string }) => item.created_at ?? item.at)
      assert.deepEqual(times, times.toSorted().toReversed())
    })

    await t.test(`of ${kind} give each item once, forwards and backwards, whatever the size of a page`, async () => {
      const ids = await idsOf(kind)
      for (const limit of [1, 2, 3, ids.length - 1, ids.length, ids.length + 1]) {
        const pages = await walk(obol, pathOf(kind, `limit=${limit}`))
        assert.deepEqual(pages.flat(), ids, `limit ${limit}`)
        assert.ok(pages.every((page) => page.length <= limit))
        const back = await walk(obol, pathOf(kind, `limit=${limit}&ending_before=${ids.at(-1)}`), { cursor: 'ending_before' })
        assert.deepEqual(back.toReversed().flat(), ids.slice(0, -1), `limit ${limit}, backwards`)
      }
    })

    await t.test(`of ${kind} lose nothing and double nothing while new ones arrive`, async () => {
      const before = await idsOf(kind)
      const pages = await walk(obol, pathOf(kind, 'limit=3'), { between: make[kind] })
      assert.deepEqual(pages.flat(), before)
      const newer = await walk(obol, pathOf(kind, `limit=3&ending_before=${before[0]}`), { cursor: 'ending_before' })
      assert.deepEqual(newer.toReversed().flat(), (await idsOf(kind)).slice(0, -before.length), 'what arrived meanwhile')
    })

    await t.test(`of ${kind} end: after the last item there is none, and before the first there is none`, async () => {
      const ids = await idsOf(kind)
      for (const query of [`starting_after=${ids.at(-1)}`, `ending_before=${ids[0]}`]) {
        const { body } = await call('GET', pathOf(kind, query))
        assert.deepEqual([body.data, body.has_more, body.next_cursor], [[], false, null], query)
      }
    })

    await t.test(`of ${kind} refuse a cursor that is none of theirs, and two at once: 400 invalid_cursor`, async () => {
      const [id = ''] = await idsOf(kind)
      const wrong = kind === 'charges' ? 'hold_0000000000000001' : 'chg_0000000000000001'
      const queries = [
        ...['nonsense', '1', '""', wrong, id.slice(0, -1), `${id}0`, id.toUpperCase()].map(
          (cursor) => `starting_after=${encodeURIComponent(cursor)}`,
        ),
        'starting_after=',
        'ending_before=nonsense',
        `starting_after=${id}&ending_before=${id}`,
      ]
      for (const query of queries) {
        const { status, body } = await call('GET', pathOf(kind, query))
        assert.deepEqual([status, body.code], [400, 'invalid_cursor'], query)
      }
    })
  }

  await t.test('of accounts refuse the id of an account that does not exist as a cursor, instead of beginning anew', async () => {
    for (const name of ['starting_after', 'ending_before']) {
      const { status, body } = await call('GET', `/v1/accounts?${name}=acct_00000001`)
      assert.deepEqual([status, body.code], [400, 'invalid_cursor'], name)
    }
  })

  await t.test('of price books have the form of every list', async () => {
    const { body } = await call('GET', '/v1/price-book')
    assert.deepEqual(Object.keys(body).toSorted(), ['data', 'has_more', 'next_cursor', 'object', 'url'])
    assert.equal((await call('GET', '/v1/price-book?limit=1')).status, 200)
  })
})

test('filtered lists', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '10000')
  const { id: key } = await makeKey(obol, account)
  const times: string[] = []
  for (let count = 0; count < 12; count++) {
    const { body } = await call('POST', '/v1/charges', {
      ...(count % 3 === 0 ? { key } : { account }),
      operation: count % 2 === 0 ? 'unit' : 'transcription',
      quantity: '0.01',
    })
    times.push(body.created_at)
    clock.nowMs += 1_000
  }
  const all = (await call('GET', `/v1/charges?account=${account}&limit=100`)).body.data as readonly {
    id: string
    operation: string
    key: string | null
    created_at: string
  }[]

  await t.test('keep their filter from page to page', async () => {
    const range = `start=${times[3]}&end=${times[9]}`
    const table: readonly (readonly [query: string, matches: (charge: (typeof all)[number]) => boolean])[] = [
      ['operation=unit', ({ operation }) => operation === 'unit'],
      [`key=${key}`, (charge) => charge.key === key],
      [`operation=transcription&key=${key}`, (charge) => charge.operation === 'transcription' && charge.key === key],
      ['operation=nothing', () => false],
      [range, ({ created_at }) => created_at >= `${times[3]}` && created_at < `${times[9]}`],
      [
        `${range}&operation=unit`,
        ({ created_at, operation }) => created_at >= `${times[3]}` && created_at < `${times[9]}` && operation === 'unit',
      ],
      [`start=${times[11]}`, ({ created_at }) => created_at >= `${times[11]}`],
      [`end=${times[0]}`, () => false],
      [`start=${times[5]}&end=${times[5]}`, () => false],
    ]
    for (const [query, matches] of table) {
      const expected = all.filter(matches).map(({ id }) => id)
      for (const limit of [1, 2, 100]) {
        const pages = await walk(obol, `/v1/charges?account=${account}&${query}&limit=${limit}`)
        assert.deepEqual(pages.flat(), expected, `${query}, ${limit} at a time`)
      }
    }
  })

  await t.test('of holds go by how the holds ended, time included', async () => {
    const hold = async (ttl: number): Promise<string> =>
      (await call('POST', '/v1/holds', { account, operation: 'unit', ttl_seconds: ttl })).body.id
    const [captured, released, expired, live] = [await hold(600), await hold(600), await hold(60), await hold(600)]
    await call('POST', `/v1/holds/${captured}/capture`, {})
    await call('POST', `/v1/holds/${released}/release`, {})
    clock.nowMs += 60_000
    for (const [status, id] of Object.entries({ live, captured, released, expired })) {
      const { data } = (await call('GET', `/v1/holds?account=${account}&status=${status}`)).body
      assert.deepEqual(
        data.map((each: { id: string; status: string }) => [each.id, each.status]),
        [[id, status]],
      )
    }
  })

  await t.test('lead on past thousands of records that do not match', async () => {
    const other = await openAccount(obol, '1000')
    const first = (await call('POST', '/v1/charges', { account: other, operation: 'transcription', quantity: '0.01' })).body.id
    const batch = { charges: Array.from({ length: 1_000 }, () => ({ account: other, operation: 'unit', amount: '0.001' })) }
    for (let count = 0; count < 6; count++) await call('POST', '/v1/charges/batch', batch)
    const last = (await call('POST', '/v1/charges', { account: other, operation: 'transcription', quantity: '0.01' })).body.id
    const pages = await walk(obol, `/v1/charges?account=${other}&operation=transcription&limit=2`)
    assert.deepEqual(pages.flat(), [last, first])
  })
})
