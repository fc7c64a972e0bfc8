/** Receipts, invoices, credit notes and statements, from the payment to the PDF. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pagesOf } from '../../../test/reading/pdf.ts'
import { makeKey, openAccount, type TestAnswer } from '../../../test/running/obol.ts'
import { openShop, type Shop, until } from '../../../test/running/sandbox.ts'
import { STORE_KINDS } from '../../../test/running/store.ts'

type Body = TestAnswer['body']

const SELLER = {
  OBOL_INVOICE_KIND: 'invoice',
  OBOL_SELLER_NAME: 'Spółka Głosowa',
  OBOL_SELLER_ADDRESS: 'ul. Piotrkowska 1|90-001 Łódź|Poland',
  OBOL_SELLER_TAX_ID: 'PL5250000000',
  OBOL_SELLER_CONTACT: 'faktury@example.com',
  OBOL_TAX: 'VAT 23',
  OBOL_INVOICE_NOTE: 'Zapłacono z góry',
}

async function listed({ call, account }: Shop, query = ''): Promise<readonly Body[]> {
  const { status, body, text } = await call('GET', `/v1/invoices?account=${account}${query}`)
  assert.equal(status, 200, text)
  return body.data
}

function told(invoices: readonly Body[]): readonly (readonly [string, string, string, number | null])[] {
  return invoices.map(({ number, kind, about, total_minor }) => [number, kind, about, total_minor])
}

for (const kind of STORE_KINDS)
  test(`what is paid has a receipt at once, and what goes back has credit notes, on ${kind}`, async (t) => {
    const shop = await openShop(t, {}, kind)
    const { call, account } = shop
    const { secret } = await makeKey(shop, account)
    assert.deepEqual(await listed(shop), [])
    const topup = await shop.buy({ pack: 'big' })
    // As the customer looks: with the account's own key.
    const { body: own } = await call('GET', '/v1/invoices', undefined, { key: secret })
    assert.deepEqual(told(own.data), [['TEST-INV-000001', 'receipt', 'payment', 5_000]])
    const [receipt] = own.data
    assert.deepEqual(
      [
        receipt.object,
        receipt.account,
        receipt.mode,
        receipt.currency,
        receipt.net_minor,
        receipt.tax,
        receipt.corrects,
        receipt.statement,
      ],
      ['invoice', account, 'test', 'eur', 5_000, null, null, null],
    )
    const { paid_at, payment, ...purchase } = receipt.purchase
    assert.deepEqual(purchase, { topup: topup.id, credit_type: 'credits', credits: '5000', bonus_credits: '500', provider: 'sandbox' })
    assert.deepEqual([payment, paid_at], [topup.payment, topup.created_at])
    assert.deepEqual(receipt.seller, { name: null, address: [], tax_id: null, contact: null })
    assert.deepEqual(receipt.buyer, { name: 'Test', address: [], tax_id: null, email: null, external_id: null })

    assert.equal((await call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor: 2_000 })).status, 201)
    const [note] = await listed(shop)
    assert.deepEqual([note.number, note.kind, note.total_minor], ['TEST-CN-000001', 'credit_note', 2_000])
    assert.deepEqual(note.corrects, { id: receipt.id, number: 'TEST-INV-000001' })
    await call('POST', `/v1/topups/${topup.id}/simulate`, { event: 'fail_refund' })
    await until(
      () => listed(shop),
      (invoices) => invoices.length === 3,
    )
    await call('POST', `/v1/topups/${topup.id}/simulate`, { event: 'dispute' })
    await until(
      () => shop.topup(topup.id),
      ({ status }) => status === 'disputed',
    )
    await call('POST', `/v1/topups/${topup.id}/simulate`, { event: 'lose_dispute' })
    const all = await until(
      () => listed(shop),
      (invoices) => invoices.length === 4,
    )
    assert.deepEqual(told(all), [
      ['TEST-CN-000002', 'credit_note', 'dispute', 5_000],
      ['TEST-INV-000002', 'receipt', 'failed_refund', 2_000],
      ['TEST-CN-000001', 'credit_note', 'refund', 2_000],
      ['TEST-INV-000001', 'receipt', 'payment', 5_000],
    ])
    assert.deepEqual(all[1].corrects, { id: note.id, number: note.number })
  })

test('invoices are listed by kind, top-up and time, in pages, and read by id', async (t) => {
  const shop = await openShop(t)
  const { call, clock } = shop
  const one = await shop.buy()
  clock.nowMs += 60_000
  const two = await shop.buy({ amount_minor: 700 })
  await call('POST', `/v1/topups/${two.id}/refund`, {})
  assert.deepEqual(told(await listed(shop, `&topup=${one.id}`)), [['TEST-INV-000001', 'receipt', 'payment', 1_000]])
  assert.deepEqual(told(await listed(shop, '&kind=credit_note')), [['TEST-CN-000001', 'credit_note', 'refund', 700]])
  const at = encodeURIComponent(new Date(clock.nowMs).toISOString())
  assert.equal((await listed(shop, `&start=${at}`)).length, 2)
  assert.equal((await listed(shop, `&end=${at}`)).length, 1)
  const first = await call('GET', `/v1/invoices?account=${shop.account}&limit=2`)
  assert.deepEqual([first.body.has_more, first.body.data.length], [true, 2])
  const rest = await listed(shop, `&starting_after=${first.body.next_cursor}`)
  assert.deepEqual(told(rest), [['TEST-INV-000001', 'receipt', 'payment', 1_000]])
  const { status, body } = await call('GET', `/v1/invoices/${rest[0].id}`)
  assert.deepEqual([status, { ...body, pdf_url: '' }], [200, { ...rest[0], pdf_url: '' }])
  for (const [query, code] of [
    ['&topup=topup_0000000000000001', 'topup_not_found'],
    ['&kind=bill', 'invalid_request'],
    ['&start=yesterday', 'invalid_request'],
    [`&starting_after=${one.id}`, 'invalid_cursor'],
  ])
    assert.equal((await call('GET', `/v1/invoices?account=${shop.account}${query}`)).body.code, code)
})

test('an invoice has the seller and the tax of the day it was issued, and the buyer as the account says', async (t) => {
  const shop = await openShop(t, SELLER)
  const { call, account } = shop
  const metadata = {
    billing_name: 'Zażółć Gęślą',
    billing_address: 'Rynek 1\n50-001 Wrocław',
    billing_tax_id: 'PL1',
    billing_email: 'z@example.com',
  }
  await call('PATCH', `/v1/accounts/${account}`, { metadata })
  const topup = await shop.buy()
  await call('PATCH', `/v1/accounts/${account}`, { metadata: {}, name: 'Another name' })
  for (const amount_minor of [333, 333]) await call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor })
  await call('POST', `/v1/topups/${topup.id}/refund`, {})
  const [third, second, first, invoice] = await listed(shop)
  assert.deepEqual([invoice.kind, invoice.net_minor, invoice.tax], ['invoice', 813, { name: 'VAT', percent: '23', amount_minor: 187 }])
  assert.deepEqual(invoice.buyer, {
    name: 'Zażółć Gęślą',
    address: ['Rynek 1', '50-001 Wrocław'],
    tax_id: 'PL1',
    email: 'z@example.com',
    external_id: null,
  })
  assert.deepEqual(invoice.seller.address, ['ul. Piotrkowska 1', '90-001 Łódź', 'Poland'])
  assert.deepEqual(
    [first, second, third].map(({ net_minor, tax }) => [net_minor, tax.amount_minor]),
    [
      [271, 62],
      [271, 62],
      [271, 63],
    ],
    'the tax of the credit notes is that of the invoice',
  )
  assert.equal(first.buyer.name, 'Another name')
})

test('the PDF has the embedded font, every name right, a name of its own, and an ETag', async (t) => {
  const shop = await openShop(t, SELLER)
  const { call, account } = shop
  const { secret } = await makeKey(shop, account)
  await call('PATCH', `/v1/accounts/${account}`, { name: 'Łódź Ελληνικά Кириллица <b>&amp;' })
  const topup = await shop.buy({ pack: 'big' })
  await call('POST', `/v1/topups/${topup.id}/refund`, { amount_minor: 2_500 })
  const [note, invoice] = await listed(shop)
  const get = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(new URL(path, shop.url), { headers })
  const authorization = `Bearer ${secret}`
  const answer = await get(`/v1/invoices/${invoice.id}/pdf`, { authorization })
  assert.deepEqual(
    [answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')],
    [200, 'application/pdf', 'inline; filename="TEST-INV-000001.pdf"'],
  )
  const bytes = new Uint8Array(await answer.arrayBuffer())
  assert.match(Buffer.from(bytes).toString('latin1'), /\/FontFile2/)
  const [page = ''] = await pagesOf(bytes)
  for (const text of [
    'Invoice',
    'TEST-INV-000001',
    'Spółka Głosowa',
    '90-001 Łódź',
    'PL5250000000',
    'Łódź Ελληνικά Кириллица <b>&amp;',
    'Zapłacono z góry',
  ])
    assert.ok(page.includes(text), `${text} in ${page}`)
  for (const text of ['5000 credits, and 500 as a bonus', '40.65 EUR', 'VAT 23 %', '9.35 EUR', '50.00 EUR', 'TEST: nothing real was paid'])
    assert.ok(page.includes(text), `${text} in ${page}`)
  const etag = answer.headers.get('etag') ?? ''
  const again = await get(`/v1/invoices/${invoice.id}/pdf`, { authorization, 'if-none-match': etag })
  assert.deepEqual([again.status, await again.text()], [304, ''])

  const [credit = ''] = await pagesOf(new Uint8Array(await (await get(note.pdf_url)).arrayBuffer()))
  for (const text of ['Credit note', 'TEST-CN-000001', 'Refund on TEST-INV-000001', '-25.00 EUR']) assert.ok(credit.includes(text), credit)
})

test('a link opens its PDF without a key, for a month, and no other', async (t) => {
  const shop = await openShop(t)
  const { call, account, clock } = shop
  await shop.buy()
  await shop.buy()
  const [second, first] = await listed(shop)
  const statusOf = async (url: string): Promise<number> => (await fetch(url)).status
  assert.deepEqual(await Promise.all([statusOf(first.pdf_url), statusOf(second.pdf_url)]), [200, 200])
  const altered = [
    first.pdf_url.replace(first.id, second.id),
    first.pdf_url.replace(/until=(\d+)/, (_: string, day: string) => `until=${Number(day) + 1}`),
    first.pdf_url.replace(/token=./, 'token='),
    first.pdf_url.replace(/\?.*/, ''),
    first.pdf_url.replace(first.id, 'inv_0000000000000001'),
  ]
  for (const url of altered) assert.equal(await statusOf(url), 404, url)
  clock.nowMs += 32 * 86_400_000
  assert.equal(await statusOf(first.pdf_url), 404)
  assert.equal(await statusOf((await listed(shop, '&limit=1'))[0].pdf_url), 200)

  const other = await makeKey(shop, await openAccount(shop, '0'))
  for (const path of [`/v1/invoices/${first.id}`, `/v1/invoices/${first.id}/pdf`]) {
    assert.equal((await call('GET', path, undefined, { key: other.secret })).body.code, 'invoice_not_found')
    assert.equal((await call('GET', path, undefined, { key: null })).status, 401)
  }
  for (const [method, body] of [['GET'], ['POST', { account, month: '2020-01' }]] as const) {
    const path = method === 'GET' ? `/v1/invoices?account=${account}` : '/v1/invoices'
    assert.equal((await call(method, path, body, { key: other.secret })).body.code, 'account_not_found')
  }
})
