/** Invoices: plain rows that are final, numbered without gaps. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type InvoiceSeries, invoiceNumber } from '../../src/core/invoice.ts'
import type { InvoiceRow, NewInvoice } from '../../src/stores/invoices.ts'
import { type ContractKind, openTestStore, TEST_START_MS } from '../running/store.ts'

const NOW = TEST_START_MS
const FAR = Number.MAX_SAFE_INTEGER

function invoice(source: string, more: Partial<NewInvoice> = {}): NewInvoice {
  return { account: 1, series: 'INV', kind: 'receipt', source, purchase: null, issuedAtMs: NOW, body: `{"of":"${source}"}`, ...more }
}

function numbersOf(rows: readonly InvoiceRow[]): readonly string[] {
  return rows.map(invoiceNumber)
}

export function invoicesContract(kind: ContractKind): void {
  test('an invoice is what was issued, has the next number of its series, and is there once', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const one = await store.invoices.issue(invoice('one', { purchase: 7 }))
    assert.deepEqual(one, { ...invoice('one', { purchase: 7 }), ordinal: 1, number: 1 })
    const note = await store.invoices.issue(invoice('two', { series: 'CN', kind: 'credit_note' }))
    const other = await store.invoices.issue(invoice('three', { account: 2 }))
    assert.deepEqual([note.ordinal, note.number, other.ordinal, other.number], [2, 1, 1, 2])
    assert.deepEqual(await store.invoices.issue(invoice('one', { body: 'something else', series: 'CN' })), one)
    const reopened = await reopen()
    assert.deepEqual([await reopened.invoices.at(1, 1), await reopened.invoices.bySource('one')], [one, one])
    assert.deepEqual([await reopened.invoices.at(1, 3), await reopened.invoices.bySource('four')], [undefined, undefined])
    assert.equal((await reopened.invoices.issue(invoice('four'))).number, 3)
  })

  test('of many that are issued at once none is there twice, and no number is left out', async (t) => {
    const { store } = await openTestStore(t, kind)
    const series: readonly InvoiceSeries[] = ['INV', 'CN']
    const wanted = Array.from({ length: 24 }, (_, index) =>
      invoice(`source ${index % 16}`, { account: 1 + ((index % 16) % 3), series: series[index % 2] ?? 'INV' }),
    )
    const rows = await Promise.all(wanted.map((each) => store.invoices.issue(each)))
    const bySource = new Map(rows.map((row) => [row.source, row]))
    for (const row of rows) assert.deepEqual(row, bySource.get(row.source))
    for (const name of series) {
      const numbers = [...bySource.values()].filter((row) => row.series === name).map(({ number }) => number)
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        Array.from({ length: 8 }, (_, index) => index + 1),
      )
    }
    for (const account of [1, 2, 3]) {
      const listed = await store.invoices.list(account, { after: 0, limit: 100 })
      assert.deepEqual(
        listed.map(({ ordinal }) => ordinal),
        listed.map((_, index) => index + 1),
      )
    }
  })

  test('lists are of one account, in both directions, and by kind, purchase and time', async (t) => {
    const { store } = await openTestStore(t, kind)
    const { invoices } = store
    await invoices.issue(invoice('a', { purchase: 5 }))
    await invoices.issue(invoice('b', { purchase: 5, series: 'CN', kind: 'credit_note', issuedAtMs: NOW + 10 }))
    await invoices.issue(invoice('c', { purchase: 6, issuedAtMs: NOW + 20 }))
    await invoices.issue(invoice('d', { account: 2 }))
    const list = async (filter: Parameters<typeof invoices.list>[1]): Promise<readonly string[]> =>
      numbersOf(await invoices.list(1, filter))
    assert.deepEqual(await list({ limit: 10 }), ['INV-000002', 'CN-000001', 'INV-000001'])
    assert.deepEqual(await list({ limit: 2 }), ['INV-000002', 'CN-000001'])
    assert.deepEqual(await list({ limit: 2, before: 2 }), ['INV-000001'])
    assert.deepEqual(await list({ limit: 1, after: 1 }), ['CN-000001'])
    assert.deepEqual(await list({ limit: 10, kinds: ['credit_note'] }), ['CN-000001'])
    assert.deepEqual(await list({ limit: 10, purchase: 5 }), ['CN-000001', 'INV-000001'])
    assert.deepEqual(await list({ limit: 10, fromMs: NOW + 10, toMs: NOW + 20 }), ['CN-000001'])
    assert.deepEqual(await list({ limit: 10, kinds: ['receipt', 'invoice'], purchase: 5, after: 0 }), ['INV-000001'])
  })

  test('a purchase that was noted stays so until whoever noted it last lets it go', async (t) => {
    const { store, reopen } = await openTestStore(t, kind)
    const first = await store.invoices.note(1, 5, NOW)
    assert.deepEqual(first, { account: 1, purchase: 5, version: 1, notedAtMs: NOW })
    const second = await store.invoices.note(1, 5, NOW + 1)
    const other = await store.invoices.note(2, 5, NOW + 2)
    await store.invoices.settle(first)
    const { invoices } = await reopen()
    assert.deepEqual(await invoices.noted({ account: 1, beforeMs: FAR, limit: 10 }), [second])
    assert.deepEqual(await invoices.noted({ account: null, beforeMs: FAR, limit: 10 }), [second, other])
    assert.deepEqual(await invoices.noted({ account: null, beforeMs: FAR, limit: 1 }), [second])
    assert.deepEqual(await invoices.noted({ account: null, beforeMs: NOW + 1, limit: 10 }), [])
    await invoices.settle(second)
    assert.deepEqual(await invoices.noted({ account: null, beforeMs: FAR, limit: 10 }), [other])
  })
}
