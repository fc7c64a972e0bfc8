/** Statements whose connection is lost: what only reads is tried again, and of what writes it is not claimed that it failed. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { atEnd } from '../../../test/running/ledger.ts'
import { dropSchema, newSchema, onSchema } from '../../../test/running/postgres.ts'
import { TcpProxy } from '../../../test/running/proxy.ts'
import { DEFAULT_PATIENCE, readAddress } from './address.ts'
import { prepareDatabase } from './database.ts'
import { Readers } from './readers.ts'
import { OutcomeUnknownError } from './session.ts'
import { PostgresStatements } from './statements.ts'

interface Proxied {
  readonly statements: PostgresStatements
  readonly proxy: TcpProxy
  readonly counted: () => Promise<number>
}

async function openProxied(t: TestContext, reconnectMs = DEFAULT_PATIENCE.reconnectMs): Promise<Proxied> {
  const url = await newSchema()
  await prepareDatabase(readAddress(url), DEFAULT_PATIENCE)
  await onSchema(url, 'create table counter (number bigint not null)')
  await onSchema(url, 'insert into counter (number) values (0)')
  const proxy = await TcpProxy.start(url)
  const readers = new Readers(readAddress(proxy.url), { ...DEFAULT_PATIENCE, reconnectMs })
  atEnd(t, async () => {
    proxy.mishap = () => null
    await readers.close()
    await proxy.stop()
    await dropSchema(url)
  })
  const counted = async (): Promise<number> =>
    (await onSchema<{ number: number }>(url, 'select number::integer as number from counter'))[0]?.number ?? -1
  return { statements: new PostgresStatements(readers), proxy, counted }
}

const COUNT = 'update counter set number = number + ? returning number'

test('a select is answered although its connection is lost', async (t) => {
  const { statements, proxy } = await openProxied(t)
  for (const mishap of ['cut before', 'cut after'] as const) {
    let left = 2
    proxy.mishap = (data) => (data.includes('plain ') && left-- > 0 ? mishap : null)
    assert.deepEqual(await statements.all('select number from counter where number < ?', [9]), [{ number: 0 }])
    assert.ok(left <= 0)
  }
})

for (const [mishap, after] of [
  ['cut before', 0],
  ['cut after', 1],
] as const)
  test(`a write whose connection is ${mishap} it arrives is not done twice, and its outcome is said to be unknown`, async (t) => {
    const { statements, proxy, counted } = await openProxied(t)
    proxy.mishap = (data) => (data.includes('update counter') ? mishap : null)
    await assert.rejects(statements.all(COUNT, [1]), OutcomeUnknownError)
    proxy.mishap = () => null
    // The server may still be at what arrived when the loss is told.
    for (let looks = 1; looks < 200 && (await counted()) !== after; looks++) await setTimeout(25)
    assert.equal(await counted(), after)
    assert.deepEqual(await statements.all(COUNT, [10]), [{ number: after + 10 }])
  })

test('a write waits for a server that cannot be reached, and was not sent when that takes too long', async (t) => {
  const { statements, proxy, counted } = await openProxied(t, 1_500)
  proxy.isDown = true
  const back = setTimeout(400).then(() => {
    proxy.isDown = false
  })
  assert.deepEqual(await statements.all(COUNT, [1]), [{ number: 1 }])
  await back
  proxy.isDown = true
  proxy.cutAll()
  await setTimeout(50)
  await assert.rejects(statements.all(COUNT, [1]), (fault) => fault instanceof Error && !(fault instanceof OutcomeUnknownError))
  assert.equal(await counted(), 1)
})
