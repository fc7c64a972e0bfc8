/** Obol on PostgreSQL, as it is run: by its settings, over HTTP, one server or two beside each other on one database. */

import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { type Node, startNode, startNodes } from './running/nodes.ts'
import { makeKey, openAccount, publishTestPrices, type TestAnswer } from './running/obol.ts'
import { runObol } from './running/process.ts'

async function availableOf({ call }: Node, account: string): Promise<string> {
  return (await call('GET', `/v1/accounts/${account}/credits`)).body.credit_types.credits.available
}

function countOf(answers: readonly TestAnswer[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

test('a server on PostgreSQL charges, holds, captures, refunds and tells what happened', async (t) => {
  const { nodes } = await startNodes(t, 1)
  const [node] = nodes
  const { call } = node
  await publishTestPrices(node)
  const account = await openAccount(node, '1000', { metadata: { note: 'ß' } })
  const { secret, id: key } = await makeKey(node, account, { budget: { limit: '500', period: 'month' } })
  const charge = (await call('POST', '/v1/charges', { key, operation: 'llm.chat', quantities: { input_tokens: 374, output_tokens: 44 } }))
    .body
  assert.deepEqual([charge.credits, charge.balance.available], ['0.0825', '999.9175'])
  const hold = (await call('POST', '/v1/holds', { account, operation: 'transcription', quantity: '0.5' })).body
  const capture = (await call('POST', `/v1/holds/${hold.id}/capture`, { quantity: '0.25' })).body
  assert.deepEqual([capture.credits, capture.balance.held], ['165', '0'])
  assert.equal((await call('POST', `/v1/charges/${capture.id}/refund`, { amount: '65' })).body.balance.available, '899.9175')
  assert.equal((await call('GET', '/v1/credits', undefined, { key: secret })).body.key.budget.spent, '0.0825')
  const { data } = (await call('GET', `/v1/usage?account=${account}&group_by=operation`)).body
  const results = data.flatMap((bucket: { results: { operation: string; net: string }[] }) => bucket.results)
  assert.deepEqual(
    results.map(({ operation, net }: { operation: string; net: string }) => [operation, net]),
    [
      ['llm.chat', '0.0825'],
      ['transcription', '100'],
    ],
  )
  const journal = (await call('GET', `/v1/journal?account=${account}`)).body.data
  assert.deepEqual(
    journal.map(({ kind }: { kind: string }) => kind),
    ['refund', 'capture', 'hold', 'charge', 'key_created', 'grant', 'account_created'],
  )
  const events = (await call('GET', '/v1/events?limit=100')).body.data
  assert.equal(events.length, 9)
  assert.equal((await call('GET', '/v1/audit/verify')).body.ok, true)
})

test('what was charged is there after a restart, a replay is one, and obol verify finds it sound', async (t) => {
  const { url, nodes } = await startNodes(t, 1)
  const [node] = nodes
  const account = await openAccount(node, '100')
  const body = { account, operation: 'unit', amount: '40' }
  const first = await node.call('POST', '/v1/charges', body, { idempotencyKey: 'once' })
  const other = await startNode(url)
  const again = await other.call('POST', '/v1/charges', body, { idempotencyKey: 'once' })
  assert.deepEqual([again.status, again.headers.get('idempotent-replayed'), again.body], [201, 'true', first.body])
  await other.obol.close()
  const { code, stdout } = await runObol(['verify', '--json'], { env: { OBOL_DATABASE_URL: url }, cwd: tmpdir() })
  assert.deepEqual([code, JSON.parse(stdout).ok], [0, true])
})

test('two servers on one database never overspend: 100 charges of 1 against 60 make exactly 60', async (t) => {
  const { nodes } = await startNodes(t, 2)
  const [first] = nodes
  const account = await openAccount(first, '60')
  const charge = (index: number): Promise<TestAnswer> =>
    (nodes[index % 2] ?? first).call('POST', '/v1/charges', { account, operation: 'unit', amount: '1' })
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => charge(index)))
  assert.deepEqual(countOf(answers), { 201: 60, 402: 40 })
  for (const node of nodes) assert.equal(await availableOf(node, account), '0')
})

test('one idempotency key that both servers get fifty times is charged once', async (t) => {
  const { nodes } = await startNodes(t, 2)
  const [first] = nodes
  const account = await openAccount(first, '60')
  const body = { account, operation: 'unit', amount: '7' }
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => (nodes[index % 2] ?? first).call('POST', '/v1/charges', body, { idempotencyKey: 'one' })),
  )
  assert.deepEqual(countOf(answers), { 201: 50 })
  assert.equal(new Set(answers.map(({ body: { id } }) => id)).size, 1)
  assert.equal(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1)
  assert.equal(await availableOf(first, account), '53')
})

test('what one server publishes or revokes, the other knows within a second', async (t) => {
  const { nodes } = await startNodes(t, 2)
  const [first, second = first] = nodes
  await publishTestPrices(first)
  const account = await openAccount(first, '60')
  const { secret, id } = await makeKey(first, account)
  assert.equal((await second.call('GET', '/v1/credits', undefined, { key: secret })).status, 200)
  await first.call('DELETE', `/v1/keys/${id}`)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  assert.equal((await second.call('GET', '/v1/credits', undefined, { key: secret })).status, 401)
  assert.equal((await second.call('POST', '/v1/charges', { account, operation: 'unit' })).body.credits, '1')
})
