/** Exports: every row, readable by any spreadsheet, and nothing in them that a spreadsheet would run. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fastify from 'fastify'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestObol } from '../../test/running/obol.ts'
import { sendCsv } from './csv.ts'

type Row = Readonly<Record<string, string>>

/** Reads an export with a parser that is not ours. */
function read(text: string): readonly Row[] {
  return parse(text, { columns: true, record_delimiter: '\r\n' })
}

/** Every row of an export, page after page. */
async function readAll({ call }: Pick<TestObol, 'call'>, path: string, key?: string): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (let next: string | null = path, pages = 0; next !== null && pages < 50; pages++) {
    const { status, text, headers } = await call('GET', next, undefined, key === undefined ? {} : { key })
    assert.equal(status, 200, text.slice(0, 300))
    rows.push(...read(text))
    next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1] ?? null
  }
  return rows
}

/** What our writer makes of cells, over HTTP. */
async function written(rows: readonly (readonly (string | number | null)[])[]): Promise<string> {
  const app = fastify()
  app.get('/', (_request, reply) => sendCsv(reply, ['a', 'b'], rows))
  const { body } = await app.inject('/')
  await app.close()
  return body
}

test('cells that a spreadsheet would run as a formula are kept as text; numbers stay numbers', async () => {
  // What OWASP ASVS 5.0 names in 1.2.10, and the carriage return, which Excel takes as a beginning too.
  const formulas = ['=1+1', "=cmd|' /C calc'!A0", '+1+1', '@SUM(A1)', '-1+2', '-cmd', '\t=1', '\r=1', '\0=1', '--1', '-']
  const text = await written(formulas.map((formula) => [formula, 1]))
  for (const [index, row] of read(text).entries()) assert.equal(row.a, `'${formulas[index]}`)
  const plain = ['0', '-1', '-1.5', '-0.000001', '1095.3996', 'a=b', 'chg_1', '{"a":"=1"}']
  assert.deepEqual(
    read(await written(plain.map((cell) => [cell, null]))).map(({ a }) => a),
    plain,
  )
})

test('quotes, commas and line breaks come back as they were, and nothing else is quoted', async () => {
  const cells = ['a"b', 'a,b', 'a\r\nb', 'a\nb', 'a\rb', '"', '""', ' a ', 'ä😀', '']
  const text = await written(cells.map((cell) => [cell, 'x']))
  assert.deepEqual(
    read(text).map(({ a }) => a),
    cells,
  )
  assert.equal(
    await written([
      ['plain', 1.5],
      [null, 'b'],
    ]),
    'a,b\r\nplain,1.5\r\n,b\r\n',
  )
})

test('exports', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000', { metadata: { note: 'a "quoted", note' } })
  const { id: key, secret } = await makeKey(obol, account)
  const metadata = { note: '=HYPERLINK("http://evil")', text: 'a,"b"\r\nc' }
  await call('POST', '/v1/charges', { key, operation: 'unit', metadata, attributes: { quality: 'premium' } })
  const hold = (await call('POST', '/v1/holds', { account, operation: 'transcription', quantity: '0.1' })).body
  await call('POST', `/v1/holds/${hold.id}/capture`, { quantity: '0.05' })
  const refunded = (await call('POST', '/v1/charges', { account, operation: 'unit', quantity: 3 })).body
  await call('POST', `/v1/charges/${refunded.id}/refund`, { amount: '1' })

  await t.test('of charges say what the list says', async () => {
    const { body } = await call('GET', `/v1/charges?account=${account}`)
    const { text, headers } = await call('GET', `/v1/charges?account=${account}&format=csv`)
    assert.deepEqual([headers.get('content-type'), headers.get('link')], ['text/csv; charset=utf-8', null])
    const rows = read(text)
    assert.equal(rows.length, 3)
    for (const [index, row] of rows.entries()) {
      const charge = body.data[index]
      const { quantities, attributes, metadata: kept, ...plain } = row
      assert.deepEqual(
        [JSON.parse(quantities ?? ''), JSON.parse(attributes ?? ''), JSON.parse(kept ?? '')],
        [charge.quantities, charge.attributes, charge.metadata],
      )
      assert.deepEqual(plain, {
        id: charge.id,
        created_at: charge.created_at,
        operation: charge.operation,
        credits: charge.credits,
        credit_type: charge.credit_type,
        refunded: charge.refunded,
        status: charge.status,
        key: charge.key ?? '',
        hold: charge.hold ?? '',
        price_version: String(charge.price_version),
        balance_available: charge.balance.available,
        sequence: String(charge.sequence),
      })
    }
    assert.deepEqual(
      rows.map(({ status }) => status),
      ['partly_refunded', 'charged', 'charged'],
    )
  })

  await t.test('of the journal have a line for each entry, and one for a record without any', async () => {
    const { body } = await call('GET', `/v1/journal?account=${account}`)
    const rows = read((await call('GET', `/v1/journal?account=${account}&format=csv`)).text)
    const expected = body.data.flatMap(({ id, entries }: { id: string; entries: { grant: string; change: string }[] }) =>
      entries.length === 0 ? [[id, '', '']] : entries.map(({ grant, change }) => [id, grant, change]),
    )
    assert.deepEqual(
      rows.map(({ id, grant, change }) => [id, grant, change]),
      expected,
    )
  })

  await t.test('of usage add up to what was charged and refunded', async () => {
    const rows = read((await call('GET', `/v1/usage?account=${account}&format=csv&group_by=operation&group_by=key`)).text)
    const figures = rows.map(({ operation, key: by, charges, charged, refunds, refunded: back, net, quantities }) => ({
      operation,
      key: by,
      figures: [charges, charged, refunds, back, net],
      quantities: JSON.parse(quantities ?? ''),
    }))
    assert.deepEqual(
      figures.toSorted((a, b) => `${a.operation}${a.key}`.localeCompare(`${b.operation}${b.key}`)),
      [
        { operation: 'transcription', key: '', figures: ['1', '33', '0', '0', '33'], quantities: { minute: '0.05' } },
        { operation: 'unit', key: '', figures: ['1', '3', '1', '1', '2'], quantities: { request: '3' } },
        { operation: 'unit', key, figures: ['1', '1', '0', '0', '1'], quantities: { request: '1' } },
      ],
    )
  })

  await t.test('come by Accept header too, unless the query asks for JSON; customers export their own', async () => {
    const headers = { accept: 'text/csv' }
    for (const path of ['/v1/charges', '/v1/journal', '/v1/usage']) {
      assert.equal(
        (await call('GET', path, undefined, { key: secret, headers })).headers.get('content-type'),
        'text/csv; charset=utf-8',
        path,
      )
      assert.equal(
        (await call('GET', `${path}?format=json`, undefined, { key: secret, headers })).headers.get('content-type'),
        'application/json; charset=utf-8',
      )
      assert.equal(
        (await call('GET', `${path}?format=csv`, undefined, { key: secret })).headers.get('content-type'),
        'text/csv; charset=utf-8',
        path,
      )
    }
  })

  await t.test('have as many rows as `limit` asks for, and a Link to the rest', async () => {
    const { text, headers } = await call('GET', `/v1/charges?account=${account}&format=csv&limit=2`)
    assert.equal(read(text).length, 2)
    assert.match(headers.get('link') ?? '', /rel="next"/)
  })

  await t.test('run in the order of the list, also backwards', async () => {
    const { data } = (await call('GET', `/v1/charges?account=${account}`)).body
    const { text } = await call('GET', `/v1/charges?account=${account}&format=csv&ending_before=${data[2].id}`)
    assert.deepEqual(
      read(text).map(({ id }) => id),
      [data[0].id, data[1].id],
    )
  })

  await t.test('of an account without anything are a header and no row', async () => {
    const empty = await openAccount(obol, '0')
    for (const path of ['/v1/charges', '/v1/usage']) {
      const { status, text } = await call('GET', `${path}?account=${empty}&format=csv`)
      assert.deepEqual([status, read(text).length, text.split('\r\n').length], [200, 0, 2], path)
    }
  })
})

test('exports of a long history', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol, '1000')
  const batch = { charges: Array.from({ length: 1_000 }, () => ({ account, operation: 'unit', amount: '0.001' })) }
  for (let count = 0; count < 6; count++) assert.equal((await call('POST', '/v1/charges/batch', batch)).status, 200)
  const { sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
  assert.equal(sequence, 6_002)

  await t.test('lose no charge and double none: each page links to the next', async () => {
    const rows = await readAll(obol, `/v1/charges?account=${account}&format=csv`)
    assert.deepEqual([rows.length, new Set(rows.map(({ id }) => id)).size], [6_000, 6_000])
  })

  await t.test('lose no charge when they begin at a cursor, in either direction', async () => {
    const rows = await readAll(obol, `/v1/charges?account=${account}&format=csv`)
    const [newest, oldest] = [rows[0]?.id, rows.at(-1)?.id]
    assert.equal((await readAll(obol, `/v1/charges?account=${account}&format=csv&starting_after=${newest}`)).length, 5_999)
    const back = await readAll(obol, `/v1/charges?account=${account}&format=csv&ending_before=${oldest}`)
    assert.equal(back.length, 5_999)
  })

  await t.test('lose no record of the journal: what one answer cannot hold, a Link leads to', async () => {
    const rows = await readAll(obol, `/v1/journal?account=${account}&format=csv`)
    assert.equal(new Set(rows.map(({ sequence: seq }) => seq)).size, 6_002)
  })
})
