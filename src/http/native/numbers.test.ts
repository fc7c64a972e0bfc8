/** Numbers as callers may send them, through every field that takes one: exact, or refused. Never a float. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

/** A number as it stands in JSON, and what an amount of it is; null: it is none. */
type Row = readonly [json: string, amount: string | null]

const FORTY_DIGITS = '1234567890123456789012345678901234567890'

/** What an amount of credits may be. */
const AMOUNTS: readonly Row[] = [
  ['1', '1'],
  ['"1"', '1'],
  ['"1.0"', '1'],
  ['"1.50"', '1.5'],
  ['"0.000001"', '0.000001'],
  ['0.000001', '0.000001'],
  ['0.1', '0.1'],
  ['2147483647', '2147483647'],
  ['2147483648', '2147483648'],
  ['4294967296', '4294967296'],
  ['"2147483648.000001"', '2147483648.000001'],
  ['1e3', '1000'],
  ['9007199254.740993', '9007199254.740993'],
  ['"9007199254.740993"', '9007199254.740993'],
  ['"1099511627776.999999"', '1099511627776.999999'],
  ['9200000000000', '9200000000000'],
  ['"9200000000000"', '9200000000000'],
  ['"9200000000000.000000"', '9200000000000'],
  ['"9199999999999.999999"', '9199999999999.999999'],
  ['9.2e12', '9200000000000'],
  ['"9200000000000.000001"', null],
  ['9200000000001', null],
  ['9007199254740991', null],
  ['9007199254740992', null],
  ['9007199254740993', null],
  ['"9007199254740993"', null],
  ['4611686018427387904', null],
  ['"9223372036854775807"', null],
  ['1e13', null],
  ['1e21', null],
  ['1e308', null],
  ['1e309', null],
  [FORTY_DIGITS, null],
  [`"${FORTY_DIGITS}"`, null],
  [`"0.${FORTY_DIGITS}"`, null],
  ['0.0000001', null],
  ['"0.0000001"', null],
  ['1e-7', null],
  ['0.30000000000000004', null],
  ['-1', null],
  ['"-1"', null],
  ['-0.000001', null],
  ['"-0"', null],
  ['"-0.0"', null],
  ['"1e3"', null],
  ['"NaN"', null],
  ['"Infinity"', null],
  ['NaN', null],
  ['Infinity', null],
  ['"0x10"', null],
  ['"1,000"', null],
  ['"1 000"', null],
  ['" 1"', null],
  ['"1 "', null],
  ['"+1"', null],
  ['"01"', null],
  ['"1."', null],
  ['".5"', null],
  ['""', null],
  ['"１"', null],
  ['"٣"', null],
  ['"1\\u0000"', null],
  ['"1\\n"', null],
  ['true', null],
  ['null', null],
  ['[]', null],
  ['["1"]', null],
  ['{}', null],
]

/** Zero, where it makes sense. */
const ZEROS: readonly Row[] = [
  ['0', '0'],
  ['0.0', '0'],
  ['"0"', '0'],
  ['"0.000000"', '0'],
  ['0e5', '0'],
]

const MAX = '9200000000000'

test('amounts', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, MAX)
  const sequence = async (): Promise<number> => (await call('GET', `/v1/accounts/${account}/credits`)).body.sequence

  /** Sends each row; what is refused must have left nothing. */
  const assertRows = async (
    rows: readonly Row[],
    send: (json: string) => Promise<TestAnswer>,
    read: (body: TestAnswer['body']) => unknown,
  ): Promise<void> => {
    const wrong: string[] = []
    for (const [json, amount] of rows) {
      const before = await sequence()
      const answer = await send(json)
      const isRight =
        amount === null ? isRefused(answer) && (await sequence()) === before : answer.status < 300 && read(answer.body) === amount
      if (!isRight) wrong.push(`${json} is not ${amount ?? 'refused'}: ${answer.text.slice(0, 120)}`)
    }
    assert.deepEqual(wrong, [])
  }
  /** Refunds a charge at once, so that the next row finds the same balance. */
  const giveBack = async (made: TestAnswer): Promise<TestAnswer> => {
    if (made.status === 201 && made.body.credits !== '0') await call('POST', `/v1/charges/${made.body.id}/refund`, {})
    return made
  }

  await t.test('of a charge are exact or refused', async () => {
    const send = async (json: string): Promise<TestAnswer> =>
      giveBack(await call('POST', '/v1/charges', `{"account":"${account}","operation":"unit","amount":${json}}`))
    await assertRows([...AMOUNTS, ...ZEROS], send, ({ credits }) => credits)
  })

  await t.test('of a charge in a batch are exact or refused, each by itself', async () => {
    const send = async (json: string): Promise<TestAnswer> => {
      const answer = await call('POST', '/v1/charges/batch', `{"charges":[{"account":"${account}","operation":"unit","amount":${json}}]}`)
      const [item] = answer.body.data ?? []
      if (item?.charge) await giveBack({ ...answer, status: item.status, body: item.charge })
      return item ? { ...answer, status: item.status, body: item.charge ?? item.error } : answer
    }
    await assertRows([...AMOUNTS, ...ZEROS], send, ({ credits }) => credits)
  })

  await t.test('of a hold, an increase and a capture are exact or refused', async () => {
    const open = async (json: string): Promise<TestAnswer> => {
      const made = await call('POST', '/v1/holds', `{"account":"${account}","operation":"unit","amount":${json}}`)
      if (made.status === 201) await call('POST', `/v1/holds/${made.body.id}/release`, {})
      return made
    }
    await assertRows([...AMOUNTS, ...ZEROS], open, ({ credits }) => credits)
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '0', ttl_seconds: 86_400 })).body.id
    const refused = AMOUNTS.filter(([, amount]) => amount === null)
    for (const action of ['increase', 'capture'])
      await assertRows(
        refused,
        (json) => call('POST', `/v1/holds/${hold}/${action}`, `{"amount":${json}}`),
        () => null,
      )
    await assertRows(
      [
        ['"0.000001"', '0.000001'],
        ['1e3', '1000.000001'],
        ['2147483648', '2147484648.000001'],
      ],
      (json) => call('POST', `/v1/holds/${hold}/increase`, `{"amount":${json}}`),
      ({ credits }) => credits,
    )
  })

  await t.test('of a grant are exact or refused', async () => {
    const send = async (json: string): Promise<TestAnswer> => {
      const rich = await openAccount(obol, '0')
      const answer = await call('POST', '/v1/grants', `{"account":"${rich}","amount":${json}}`)
      const { sequence: records } = (await call('GET', `/v1/accounts/${rich}/credits`)).body
      assert.equal(records, answer.status === 201 ? 2 : 1, json)
      return answer
    }
    await assertRows([...AMOUNTS, ...ZEROS.map(([json]): Row => [json, null])], send, ({ amount }) => amount)
  })

  await t.test('of an adjustment are exact or refused, and may be below zero', async () => {
    const refused = AMOUNTS.filter(([json, amount]) => amount === null && !['-1', '"-1"', '-0.000001'].includes(json))
    const send = (json: string): Promise<TestAnswer> =>
      call('POST', '/v1/adjustments', `{"account":"${account}","reason":"test","amount":${json}}`)
    await assertRows([...refused, ...ZEROS.map(([json]): Row => [json, null])], send, () => null)
    await assertRows(
      [
        ['-1', '-1'],
        ['"-1.50"', '-1.5'],
        ['-0.000001', '-0.000001'],
        ['-2147483648', '-2147483648'],
      ],
      send,
      ({ credits }) => credits,
    )
  })

  await t.test('of a budget are exact or refused', async () => {
    const { id } = await makeKey(obol, account)
    for (const field of ['limit', 'max_per_charge']) {
      const rows = [...AMOUNTS, ...ZEROS].filter(([json]) => json !== 'null')
      await assertRows(
        rows,
        (json) => call('PATCH', `/v1/keys/${id}`, `{"budget":{"${field}":${json}}}`),
        ({ budget }) => budget[field],
      )
    }
  })

  await t.test('of a price book are exact or refused, in minimum and cap', async () => {
    for (const field of ['minimum', 'cap']) {
      const send = (json: string): Promise<TestAnswer> =>
        call(
          'POST',
          '/v1/price-book',
          `{"prices":[{"operation":"unit","rate":"1","per":{"quantity":1,"unit":"request"},"${field}":${json}}]}`,
        )
      const rows = [...AMOUNTS, ...ZEROS].map(([json, amount]): Row => [json, amount === null ? null : 'published'])
      await assertRows(rows, send, ({ version }) => (Number.isInteger(version) ? 'published' : null))
    }
    await publishTestPrices(obol)
  })

  await t.test('that are minus zero are zero or refused, the same as a number and as text', async () => {
    const statuses: number[] = []
    for (const json of ['-0', '-0.0', '"-0"', '"-0.0"'])
      statuses.push((await call('POST', '/v1/charges', `{"account":"${account}","operation":"unit","amount":${json}}`)).status)
    assert.equal(new Set(statuses).size, 1, `${statuses}`)
  })
})

function isRefused({ status, body }: TestAnswer): boolean {
  return status === 400 && ['invalid_request', 'invalid_json'].includes(body.code)
}

test('quantities and rates', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await call('POST', '/v1/price-book', {
    prices: [
      { operation: 'free', rate: 0, per: { quantity: 1, unit: 'unit' } },
      { operation: 'dear', rate: '999999999999999.999999999999', per: { quantity: 1, unit: 'unit' } },
      { operation: 'fine', rate: '0.000000000001', per: { quantity: '999999999999999', unit: 'unit' } },
      { operation: 'third', rate: 1, per: { quantity: 3, unit: 'unit' }, rounding: 'half_even' },
    ],
  })
  const account = await openAccount(obol, MAX)
  const charge = (operation: string, json: string): Promise<TestAnswer> =>
    call('POST', '/v1/charges', `{"account":"${account}","operation":"${operation}","quantity":${json}}`)

  await t.test('are kept with all their digits', async () => {
    for (const [json, quantity] of [
      ['0', '0'],
      ['"0.000000000001"', '0.000000000001'],
      ['1e-12', '0.000000000001'],
      ['0.1', '0.1'],
      ['2147483648', '2147483648'],
      ['"999999999999999"', '999999999999999'],
      ['"999999999999999.999999999999"', '999999999999999.999999999999'],
      ['999999999999999', '999999999999999'],
      ['"9007199254740.993000000001"', '9007199254740.993000000001'],
    ] as const) {
      const { status, body } = await charge('free', json)
      assert.deepEqual([status, body.quantities?.unit, body.credits], [201, quantity, '0'], json)
    }
  })

  await t.test('beyond their range or precision are refused, and so are those below zero', async () => {
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    for (const json of [
      '"1000000000000000"',
      '1e15',
      '9007199254740993',
      '"0.0000000000001"',
      '1e-13',
      '-1',
      '"-0"',
      '"1e3"',
      '"NaN"',
      'Infinity',
      `"${FORTY_DIGITS}"`,
      FORTY_DIGITS,
      'true',
      '[]',
    ]) {
      const { status, text } = await charge('free', json)
      assert.equal(status, 400, `${json}: ${text}`)
    }
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
  })

  await t.test('may multiply to more than anybody can have: that is refused, not wrapped round', async () => {
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    for (const json of ['1', '"999999999999999"', '"0.01"']) {
      const { status, body } = await charge('dear', json)
      assert.deepEqual([status, body.code], [400, 'amount_out_of_range'], json)
    }
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
  })

  await t.test('may multiply to less than a millionth: the house rounds up, and never to nothing', async () => {
    assert.equal((await charge('fine', '1')).body.credits, '0.000001')
    assert.equal((await charge('third', '1')).body.credits, '0.333333')
    assert.equal((await charge('third', '"0.0000015"')).body.credits, '0', 'half to even, as the price says')
  })
})

test('credits come back as decimal strings in their shortest form, everywhere', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '100.10')
  const { id: key, secret } = await makeKey(obol, account, { budget: { limit: 50.5, period: 'day', max_per_charge: '20.000000' } })
  const charge = (await call('POST', '/v1/charges', { key, operation: 'transcription', quantity: 0.015 })).body
  const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: 1.5 })).body
  const answers = [
    charge,
    hold,
    (await call('POST', `/v1/holds/${hold.id}/capture`, { amount: '0.50' })).body,
    (await call('POST', `/v1/charges/${charge.id}/refund`, { amount: 0.1 })).body,
    (await call('POST', '/v1/adjustments', { account, amount: -0.1, reason: 'test' })).body,
    (await call('GET', `/v1/charges/${charge.id}`)).body,
    (await call('GET', `/v1/charges/${charge.id}/explain`)).body,
    (await call('GET', '/v1/credits', undefined, { key: secret })).body,
    (await call('GET', `/v1/grants?account=${account}`)).body,
    (await call('GET', `/v1/holds?account=${account}`)).body,
    (await call('GET', `/v1/keys?account=${account}`)).body,
    (await call('GET', `/v1/journal?account=${account}`)).body,
    (await call('GET', `/v1/usage?account=${account}&group_by=operation`)).body,
    (await call('POST', '/v1/estimates', { key, items: [{ operation: 'transcription', quantity: { min: 0.1, max: 0.2 } }] })).body,
    (await call('POST', '/v1/keys/verify', { key })).body,
    (await call('POST', '/v1/charges', { account, operation: 'unit', amount: '1000000' })).body,
    (await call('GET', '/v1/events?limit=100')).body,
  ]
  const amounts: string[] = []
  for (const answer of answers) collect(answer, amounts)
  assert.ok(amounts.length > 150, `${amounts.length} amounts`)
  assert.deepEqual(
    amounts.filter((amount) => !/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/.test(amount) || amount === '-0'),
    [],
  )
  assert.equal(charge.credits, '9.9')
})

/** Fields that are credits, quantities or rates wherever they stand. */
const AMOUNT_FIELDS =
  /^(credits|settled|held|available|pending|debt|granted|spent|expired|voided|amount|remaining|limit|max_per_charge|refunded|charged|net|change|held_change|min|max|shortfall|required|drawn|overdrawn|quantity|billed_quantity|rate|per|multiply|(remaining|held)_(before|after))$/

function collect(value: unknown, amounts: string[], path = ''): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, field] of Object.entries(value)) {
    const at = `${path}/${name}`
    const isAmount = AMOUNT_FIELDS.test(name) || /\/(quantities|sources)$/.test(path)
    if (isAmount && typeof field !== 'object') {
      assert.equal(typeof field, 'string', `${at} is ${JSON.stringify(field)}`)
      amounts.push(field)
    } else collect(field, amounts, at)
  }
}
