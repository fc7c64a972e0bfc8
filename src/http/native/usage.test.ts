/** Usage over time, against an independent sum of the charges and refunds that the test made. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MICRO = 1_000_000n

/** What the test saw happen. */
interface Seen {
  readonly atMs: number
  readonly operation: string
  readonly key: string | null
  readonly charged: bigint
  readonly refunded: bigint
}

function micros(text: string): bigint {
  const [whole = '0', decimals = ''] = text.split('.')
  return BigInt(whole) * MICRO + BigInt(decimals.padEnd(6, '0'))
}

/** The date that the calendars of a zone show, by Intl alone. */
function localDate(ms: number, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(ms)
}

/** Sums by some name, in order of the names. */
function sums(
  seen: readonly Seen[],
  nameOf: (event: Seen) => string,
): Readonly<Record<string, readonly [charged: bigint, refunded: bigint]>> {
  const totals: Record<string, readonly [bigint, bigint]> = {}
  for (const event of seen) {
    const [charged, refunded] = totals[nameOf(event)] ?? [0n, 0n]
    totals[nameOf(event)] = [charged + event.charged, refunded + event.refunded]
  }
  return Object.fromEntries(Object.entries(totals).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Numbers that look random and are the same in every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}

/** Charges at odd moments through days on which clocks change; some are refunded later. */
async function live(obol: Awaited<ReturnType<typeof startTestObol>>, account: string, keys: readonly string[]): Promise<readonly Seen[]> {
  const { call, clock } = obol
  const random = pseudoRandom(7)
  const seen: Seen[] = []
  const refundable: { id: string; operation: string; key: string | null; credits: string }[] = []
  clock.nowMs = Date.parse('2027-03-10T05:12:34.567Z')
  while (clock.nowMs < Date.parse('2027-04-02T00:00:00Z')) {
    clock.nowMs += Math.floor(random() * 5 * HOUR_MS)
    const operation = ['unit', 'transcription', 'llm.chat'][Math.floor(random() * 3)] ?? 'unit'
    const key = [null, ...keys][Math.floor(random() * (keys.length + 1))] ?? null
    const quantities = operation === 'llm.chat' ? { input_tokens: 1_234, output_tokens: Math.floor(random() * 999) } : undefined
    const quantity = operation === 'llm.chat' ? undefined : (random() * 3).toFixed(4)
    const { status, body } = await call('POST', '/v1/charges', {
      ...(key === null ? { account } : { key }),
      operation,
      quantity,
      quantities,
    })
    assert.equal(status, 201)
    seen.push({ atMs: clock.nowMs, operation, key, charged: micros(body.credits), refunded: 0n })
    refundable.push({ id: body.id, operation, key, credits: body.credits })
    if (random() < 0.2) {
      const [charge] = refundable.splice(Math.floor(random() * refundable.length), 1)
      clock.nowMs += Math.floor(random() * HOUR_MS)
      if (charge && (await call('POST', `/v1/charges/${charge.id}/refund`, {})).status === 201)
        seen.push({ atMs: clock.nowMs, operation: charge.operation, key: charge.key, charged: 0n, refunded: micros(charge.credits) })
    }
  }
  return seen
}

test('usage', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '10000000')
  const keys = [await makeKey(obol, account), await makeKey(obol, account)]
  const seen = await live(
    obol,
    account,
    keys.map(({ id }) => id),
  )
  const [firstKey] = keys
  assert.ok(seen.length > 150 && firstKey)
  const usage = async (query: string): Promise<TestAnswer['body']> => {
    const { status, body, text } = await call('GET', `/v1/usage?account=${account}&${query}`)
    assert.equal(status, 200, text)
    return body
  }
  const range = 'start=2027-03-10T00:00:00Z&end=2027-04-02T00:00:00Z'
  const inRange = (startMs: number, endMs: number): readonly Seen[] => seen.filter(({ atMs }) => atMs >= startMs && atMs < endMs)
  const figure = ({ charged, refunded }: { charged: string; refunded: string }): readonly [bigint, bigint] => [
    micros(charged),
    micros(refunded),
  ]
  const totalOf = (body: TestAnswer['body']): readonly [bigint, bigint] => {
    let total: readonly [bigint, bigint] = [0n, 0n]
    for (const { results } of body.data) for (const result of results) total = [total[0] + figure(result)[0], total[1] + figure(result)[1]]
    return total
  }
  const everything = Object.values(sums(inRange(Date.parse('2027-03-10T00:00:00Z'), Date.parse('2027-04-02T00:00:00Z')), () => 'all'))[0]

  for (const zone of [
    'UTC',
    'Asia/Kolkata',
    'Asia/Kathmandu',
    'America/New_York',
    'Europe/Berlin',
    'Pacific/Chatham',
    'Australia/Lord_Howe',
    'America/St_Johns',
  ]) {
    await t.test(`by day in ${zone} is what was charged and refunded between its midnights`, async () => {
      const body = await usage(`${range}&bucket=day&time_zone=${zone}`)
      assert.deepEqual([body.object, body.account, body.bucket, body.time_zone, body.group_by], ['usage', account, 'day', zone, []])
      for (const { start, end, results } of body.data) {
        const [startMs, endMs] = [Date.parse(start), Date.parse(end)]
        assert.equal(localDate(startMs, zone), localDate(endMs - 1, zone), `${start} to ${end} is one date`)
        if (end !== '2027-04-02T00:00:00.000Z') assert.notEqual(localDate(endMs, zone), localDate(startMs, zone))
        const expected = sums(inRange(startMs, endMs), () => 'all').all
        assert.deepEqual(results.map(figure), expected ? [expected] : [], start)
      }
      assert.deepEqual(totalOf(body), everything)
    })
  }

  await t.test('has a short day and a long one where the clocks change', async () => {
    const lengths = async (zone: string, start: string, end: string): Promise<readonly number[]> =>
      (await usage(`start=${start}&end=${end}&time_zone=${zone}`)).data.map(
        ({ start: from, end: to }: { start: string; end: string }) => (Date.parse(to) - Date.parse(from)) / HOUR_MS,
      )
    assert.deepEqual(await lengths('America/New_York', '2027-03-13T05:00:00Z', '2027-03-16T04:00:00Z'), [24, 23, 24])
    assert.deepEqual(await lengths('Europe/Berlin', '2026-10-23T22:00:00Z', '2026-10-26T23:00:00Z'), [24, 25, 24])
    assert.deepEqual(await lengths('Australia/Lord_Howe', '2027-04-02T13:00:00Z', '2027-04-04T13:30:00Z'), [24, 24.5])
  })

  await t.test('by month and by hour adds up to the same', async () => {
    for (const query of [
      `${range}&bucket=hour`,
      `${range}&bucket=month`,
      `${range}&bucket=month&time_zone=Asia/Kathmandu`,
      `${range}&bucket=hour&time_zone=Asia/Kolkata`,
    ])
      assert.deepEqual(totalOf(await usage(query)), everything, query)
    const months = (await usage(`${range}&bucket=month&time_zone=Asia/Kathmandu`)).data.map(({ start }: { start: string }) => start)
    assert.deepEqual(months, ['2027-03-10T00:00:00.000Z', '2027-03-31T18:15:00.000Z'])
  })

  await t.test('begins and ends where it is told to, to the millisecond, also inside an hour', async () => {
    for (const index of [3, 40, 90]) {
      const fromMs = seen[index]?.atMs ?? 0
      const toMs = seen[index + 25]?.atMs ?? 0
      const total = async (from: number, to: number): Promise<readonly [bigint, bigint]> =>
        totalOf(await usage(`start=${new Date(from).toISOString()}&end=${new Date(to).toISOString()}&bucket=day&time_zone=Asia/Kathmandu`))
      for (const [from, to] of [
        [fromMs, toMs],
        [fromMs + 1, toMs],
        [fromMs, toMs + 1],
      ] as const)
        assert.deepEqual(await total(from, to), sums(inRange(from, to), () => 'all').all)
    }
  })

  await t.test('is told apart by operation, key and credit type, alone and together', async () => {
    const all = inRange(Date.parse('2027-03-10T00:00:00Z'), Date.parse('2027-04-02T00:00:00Z'))
    for (const [groups, nameOf] of [
      [['operation'], ({ operation }: Seen) => operation],
      [['key'], ({ key }: Seen) => `${key}`],
      [['operation', 'key'], ({ operation, key }: Seen) => `${operation} ${key}`],
      [['credit_type'], () => 'credits'],
      [['operation', 'key', 'credit_type'], ({ operation, key }: Seen) => `${operation} ${key} credits`],
    ] as const) {
      const body = await usage(`${range}&bucket=month&${groups.map((group) => `group_by=${group}`).join('&')}`)
      assert.deepEqual(body.group_by, groups)
      const told: Seen[] = body.data.flatMap(({ results }: TestAnswer['body']) =>
        results.map((result: Record<string, string>) => {
          const [charged, refunded] = figure(result as { charged: string; refunded: string })
          return { name: groups.map((group) => `${result[group]}`).join(' '), charged, refunded }
        }),
      )
      assert.deepEqual(
        sums(told, (row) => (row as unknown as { name: string }).name),
        sums(all, nameOf),
        groups.join(),
      )
    }
  })

  await t.test('is filtered by operation, key and credit type', async () => {
    const all = inRange(Date.parse('2027-03-10T00:00:00Z'), Date.parse('2027-04-02T00:00:00Z'))
    for (const [query, matches] of [
      ['operation=unit', ({ operation }: Seen) => operation === 'unit'],
      [`key=${firstKey.id}`, ({ key }: Seen) => key === firstKey.id],
      [`operation=transcription&key=${firstKey.id}`, ({ operation, key }: Seen) => operation === 'transcription' && key === firstKey.id],
      ['credit_type=credits', () => true],
      ['credit_type=image_credits', () => false],
      ['operation=nothing', () => false],
    ] as const)
      assert.deepEqual(totalOf(await usage(`${range}&${query}`)), sums(all.filter(matches), () => 'all').all ?? [0n, 0n], query)
  })

  await t.test('counts charges, refunds and quantities, and what is left of them', async () => {
    const body = await usage(`${range}&bucket=month&group_by=operation&operation=llm.chat`)
    for (const { results } of body.data)
      for (const { charged, refunded, net, charges, refunds, quantities } of results) {
        assert.equal(micros(net.replace('-', '')) * (net.startsWith('-') ? -1n : 1n), micros(charged) - micros(refunded))
        assert.equal(quantities.input_tokens ?? '0', String(charges * 1_234))
        assert.ok(Number.isInteger(refunds))
      }
  })

  await t.test('of the last thirty days, to this moment, is what is answered when nothing is said', async () => {
    const { body } = await call('GET', '/v1/usage', undefined, { key: firstKey.secret })
    assert.equal(body.complete_through, new Date(clock.nowMs).toISOString())
    const [first] = body.data
    assert.equal(Math.round((clock.nowMs - Date.parse(first.start)) / DAY_MS), 30)
    assert.deepEqual(totalOf(body), sums(inRange(Date.parse(first.start), clock.nowMs + 1), () => 'all').all)
    const before = totalOf(body)
    const { credits } = (await call('POST', '/v1/charges', { account, operation: 'unit' })).body
    const after = totalOf((await call('GET', '/v1/usage', undefined, { key: firstKey.secret })).body)
    assert.equal(after[0] - before[0], micros(credits), 'true at once')
  })

  await t.test('has as many buckets as are allowed and not one more: 400 with the place', async () => {
    const start = Date.parse('2020-01-01T00:00:00Z')
    const month = (count: number): number => Date.UTC(2020, count)
    for (const [bucket, most, end] of [
      ['hour', 744, start + 744 * HOUR_MS],
      ['day', 366, start + 366 * DAY_MS],
      ['month', 120, month(120)],
    ] as const) {
      const query = (endMs: number): string => `start=2020-01-01T00:00:00Z&end=${new Date(endMs).toISOString()}&bucket=${bucket}`
      assert.equal((await usage(query(end))).data.length, most)
      const { status, body } = await call('GET', `/v1/usage?account=${account}&${query(end + 1)}`)
      assert.deepEqual([status, body.code, body.errors[0].pointer], [400, 'invalid_request', 'query/end'])
      assert.match(body.detail, new RegExp(`${most}`))
    }
    for (const query of ['start=2027-01-01T00:00:00Z&end=2027-01-01T00:00:00Z', 'start=2027-01-02T00:00:00Z&end=2027-01-01T00:00:00Z'])
      assert.equal((await call('GET', `/v1/usage?account=${account}&${query}`)).status, 400)
  })

  await t.test('is right also for an hour with more kinds of work than the account keeps in memory', async () => {
    const busy = await openAccount(obol, '1000')
    const charges = Array.from({ length: 300 }, (_, index) => ({ account: busy, operation: `op${index % 100}`, amount: '0.001' }))
    assert.equal((await call('POST', '/v1/charges/batch', { charges })).body.succeeded, 300)
    const { data } = (await call('GET', `/v1/usage?account=${busy}&group_by=operation`)).body
    const results = data.flatMap((bucket: TestAnswer['body']) => bucket.results)
    assert.equal(results.length, 100)
    assert.ok(results.every(({ charges: count, charged }: TestAnswer['body']) => count === 3 && charged === '0.003'))
  })
})
