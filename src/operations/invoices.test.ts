/** Invoices of purchases whatever is cut short, and whoever issues them. On each store. */

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { onSchema } from '../../test/running/postgres.ts'
import * as bought from '../../test/running/purchases.ts'
import { servicesOn } from '../../test/running/services.ts'
import { openTestStore, STORE_KINDS, type StoreKind } from '../../test/running/store.ts'
import * as make from '../../test/running/store-commands.ts'
import { openPostgresStore } from '../stores/postgres/postgres-store.ts'
import type { Store } from '../stores/store.ts'
import { issueNoted, listInvoices, withInvoices } from './invoices.ts'
import type { Services } from './services.ts'

const ADA = 1
const FAR = { account: null, beforeMs: Number.MAX_SAFE_INTEGER, limit: 100 }

interface Scene {
  readonly store: Store
  readonly services: Services
  readonly clock: { nowMs: number }
  readonly file: string
  /** Opens a checkout, and gives its place. */
  readonly open: () => Promise<{ readonly account: number; readonly purchase: number }>
  readonly pay: (purchase: number) => Promise<void>
  readonly numbers: () => Promise<readonly string[]>
}

async function openScene(t: TestContext, kind: StoreKind): Promise<Scene> {
  const { store, clock, file } = await openTestStore(t, kind)
  const services = await servicesOn(store, { clock: () => clock.nowMs, payments: null })
  await make.openAccount(store, ADA, 0)
  return {
    store,
    services,
    clock,
    file,
    open: async () => ({ account: ADA, purchase: await make.seqOf(store, ADA, bought.openCheckout()) }),
    pay: async (purchase) => {
      await make.make(store, ADA, bought.fulfil(purchase))
    },
    numbers: async () => (await listInvoices(services, ADA, { after: 0, limit: 100 })).map(({ number }) => number),
  }
}

/** Runs SQL past Obol. */
async function runOn(kind: StoreKind, file: string, sql: string): Promise<void> {
  if (kind === 'postgres') {
    await onSchema(file, sql)
    return
  }
  const db = new DatabaseSync(file)
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}

for (const kind of STORE_KINDS) {
  test(`a payment that was put on record by a server that died then has its invoice when the customer looks (${kind})`, async (t) => {
    const { store, services, open, pay, numbers } = await openScene(t, kind)
    const place = await open()
    const dying = withInvoices(services, place, async () => {
      await pay(place.purchase)
      throw new Error('the server is killed')
    })
    await assert.rejects(dying, /is killed/)
    assert.equal((await store.invoices.list(ADA, { limit: 1 })).length, 0)
    assert.deepEqual(await numbers(), ['TEST-INV-000001'])
    assert.deepEqual(await numbers(), ['TEST-INV-000001'])
  })

  test(`what was left is issued by a task, and let go when nobody can be at it any more (${kind})`, async (t) => {
    const { store, services, clock, open, pay } = await openScene(t, kind)
    const place = await open()
    await store.invoices.note(place.account, place.purchase, clock.nowMs)
    const count = async (): Promise<number> => (await store.invoices.list(ADA, { limit: 10 })).length
    await issueNoted(services)
    clock.nowMs += make.MINUTE_MS
    // It is noted, and the ledger has yet to hear of the payment: however slow that is, the invoice is not forgotten.
    await issueNoted(services)
    assert.deepEqual([await count(), (await store.invoices.noted(FAR)).length], [0, 1])
    await pay(place.purchase)
    await issueNoted(services)
    assert.deepEqual([await count(), (await store.invoices.noted(FAR)).length], [1, 1])
    clock.nowMs += 2 * make.HOUR_MS
    await issueNoted(services)
    assert.deepEqual([await count(), (await store.invoices.noted(FAR)).length], [1, 0])
  })

  test(`what is told while another one issues is not let go with it (${kind})`, async (t) => {
    const { store, services, open, pay } = await openScene(t, kind)
    const place = await open()
    await withInvoices(services, place, async () => {
      await pay(place.purchase)
      await store.invoices.note(place.account, place.purchase, services.clock())
    })
    assert.equal((await store.invoices.noted(FAR)).length, 1)
    await withInvoices(services, place, async () => undefined)
    assert.equal((await store.invoices.noted(FAR)).length, 0)
  })

  test(`credit notes never give back more than was paid, whatever a refund and a dispute say together (${kind})`, async (t) => {
    const { store, services, open, pay, numbers } = await openScene(t, kind)
    const place = await open()
    const { purchase } = place
    const totals = async (): Promise<readonly number[]> => {
      const views = await listInvoices(services, ADA, { after: 0, limit: 10 })
      return views.map(({ body }) => (body.about === 'month' ? 0 : body.money.totalMinor))
    }
    await withInvoices(services, place, async () => {
      await pay(purchase)
      await make.make(store, ADA, bought.refundTopup(purchase, 'first', 300))
      await make.make(store, ADA, bought.closeDispute(purchase, 'lost', 'dispute', 1_000))
    })
    assert.deepEqual(await totals(), [1_000, 300, 700])
    await withInvoices(services, place, async () => {
      await make.make(store, ADA, bought.refundTopup(purchase, 'second', 200))
    })
    assert.deepEqual(await totals(), [1_000, 300, 700], 'nothing is left that could be given back')
    await withInvoices(services, place, async () => {
      await make.make(store, ADA, bought.reverseRefund(purchase, 'first', { amountMinor: 300 }))
    })
    assert.deepEqual(await totals(), [1_000, 300, 700, 300, 200], 'the failed refund has left room for the second')
    const named = ['TEST-INV-000001', 'TEST-CN-000001', 'TEST-CN-000002', 'TEST-INV-000002', 'TEST-CN-000003']
    assert.deepEqual(await numbers(), named)
  })

  test(`many that tell of the same payments at once leave one invoice of each, without gaps (${kind})`, async (t) => {
    const { services, open, pay, numbers } = await openScene(t, kind)
    const places = [await open(), await open(), await open()]
    for (const { purchase } of places) await pay(purchase)
    await Promise.all([...places, ...places, ...places].map((place) => withInvoices(services, place, async () => undefined)))
    assert.deepEqual(await numbers(), ['TEST-INV-000001', 'TEST-INV-000002', 'TEST-INV-000003'])
  })
}

test('two nodes on one PostgreSQL that issue at once leave no gap and no double', async (t) => {
  const { services, file, clock, open, pay, numbers } = await openScene(t, 'postgres')
  const store = await openPostgresStore({ url: file, clock: () => clock.nowMs })
  t.after(() => store.close())
  const other = await servicesOn(store, { clock: () => clock.nowMs, payments: null })
  const places = await Promise.all(Array.from({ length: 8 }, open))
  for (const { purchase } of places) await pay(purchase)
  const issue = (place: (typeof places)[number]): Promise<void>[] => [
    withInvoices(services, place, async () => undefined),
    withInvoices(other, place, async () => undefined),
  ]
  await Promise.all([...places.flatMap(issue), issueNoted(other, ADA), issueNoted(services, ADA)])
  assert.deepEqual(
    await numbers(),
    places.map((_, index) => `TEST-INV-00000${index + 1}`),
  )
})

for (const kind of STORE_KINDS)
  test(`an invoice cannot be changed or removed in the store itself (${kind})`, async (t) => {
    const { file, services, open, pay, numbers } = await openScene(t, kind)
    const place = await open()
    await withInvoices(services, place, () => pay(place.purchase))
    for (const sql of ["update invoices set body = '{}'", 'delete from invoices']) await assert.rejects(runOn(kind, file, sql), /final/)
    assert.deepEqual(await numbers(), ['TEST-INV-000001'])
  })
