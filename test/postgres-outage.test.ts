/**
 * A server whose database goes away, is read-only or full, or becomes that of a newer Obol: it lives, says that it is not ready, does
 * nothing by halves, and goes on as soon as it can.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from './running/ledger.ts'
import { type Node, startNodes } from './running/nodes.ts'
import { openAccount } from './running/obol.ts'
import { newDatabase, onSchema, testServer } from './running/postgres.ts'

/** Longest that it may take until a server has noticed something, on a machine with much else to do. */
const NOTICE_MS = 20_000

async function readiness({ call }: Node): Promise<string> {
  assert.equal((await call('GET', '/livez', undefined, { key: null })).status, 200, 'it lives')
  const { status, body, headers } = await call('GET', '/readyz', undefined, { key: null })
  if (status === 200) return 'ready'
  assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'not_ready', '1'])
  return body.detail
}

/** Waits until a server says of itself that it is as expected. */
async function untilIt(node: Node, says: RegExp): Promise<void> {
  const endMs = performance.now() + NOTICE_MS
  for (;;) {
    const said = await readiness(node)
    if (says.test(said)) return
    assert.ok(performance.now() < endMs, `it says: ${said}`)
    await sleep(50)
  }
}

/** Ends all sessions on a database: new ones come about under the settings that it has by then. */
async function endSessions(name: string): Promise<void> {
  const { url } = await testServer()
  await onSchema(url, 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
}

test('while the database is read-only a server is not ready, and answers what reads; then it is again', async (t) => {
  const { url, drop } = await newDatabase()
  atEnd(t, drop)
  const { nodes } = await startNodes(t, 1, url)
  const [node] = nodes
  const account = await openAccount(node, '60')
  const name = new URL(url).pathname.slice(1)
  const { url: server } = await testServer()
  await onSchema(server, `alter database ${name} set default_transaction_read_only = on`)
  await endSessions(name)
  await untilIt(node, /read-only/)
  assert.equal((await node.call('GET', `/v1/credits?account=${account}`)).status, 200)
  await onSchema(server, `alter database ${name} set default_transaction_read_only = off`)
  await endSessions(name)
  await untilIt(node, /^ready$/)
  assert.equal((await node.call('POST', '/v1/charges', { account, operation: 'unit', amount: '1' })).status, 201)
})

test('a server that meets a newer schema while it runs is not ready; where the schema is its own again, it is', async (t) => {
  const { url, nodes } = await startNodes(t, 1)
  const [node] = nodes
  await untilIt(node, /^ready$/)
  await onSchema(url, 'update schema_version set version = version + 1')
  await untilIt(node, /newer Obol/)
  await onSchema(url, 'update schema_version set version = version - 1')
  await untilIt(node, /^ready$/)
})

test('a server whose PostgreSQL is killed or stopped under it is not ready, and is again when it is back', async (t) => {
  const { crash } = await testServer()
  if (crash === null) return
  const { nodes } = await startNodes(t, 2)
  const [node] = nodes
  const account = await openAccount(node, '1000')
  for (const how of ['SIGKILL', 'SIGQUIT'] as const) {
    const crashing = crash(how)
    await untilIt(node, /does not answer/)
    // Sent while it is away, and answered when it is back.
    const charged = Promise.all(nodes.map(({ call }) => call('POST', '/v1/charges', { account, operation: 'unit', amount: '1' })))
    await crashing
    for (const one of nodes) await untilIt(one, /^ready$/)
    assert.deepEqual(
      (await charged).map(({ status }) => status),
      [201, 201],
    )
  }
  const { body } = await node.call('GET', `/v1/credits?account=${account}`)
  assert.equal(body.credit_types.credits.available, '996')
})

test('while the disk of the database is full charges are answered 503, nothing is half done, and the same requests work once there is room', async (t) => {
  const { url, nodes } = await startNodes(t, 2)
  const [node] = nodes
  const account = await openAccount(node, '60')
  const charge = (key: string, amount: string) =>
    node.call('POST', '/v1/charges', { account, operation: 'unit', amount }, { idempotencyKey: key })
  await charge('before', '1')
  await onSchema(
    url,
    `create function no_room() returns trigger language plpgsql as
       $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
     create trigger no_room before insert on journal for each statement execute function no_room()`,
  )
  const full = await charge('a', '1')
  assert.deepEqual([full.status, full.body.code, full.headers.get('retry-after')], [503, 'not_ready', '1'])
  assert.match(full.body.detail, /out of room.*same Idempotency-Key/)
  assert.ok(
    node.log.some((line) => /out of service/.test(line) && /No space left on device/.test(line)),
    'the log says why',
  )
  assert.equal((await charge('b', '1000')).body.code, 'insufficient_credits')
  assert.equal((await charge('before', '1')).headers.get('idempotent-replayed'), 'true')
  const opened = await node.call('POST', '/v1/accounts', { name: 'Bob', external_id: 'bob' }, { idempotencyKey: 'bob' })
  assert.equal(opened.status, 503)
  assert.equal((await node.call('GET', '/v1/accounts/external:bob')).status, 404)
  assert.equal((await node.call('GET', `/v1/credits?account=${account}`)).body.credit_types.credits.available, '59')
  await onSchema(url, 'drop trigger no_room on journal')
  const after = await charge('a', '1')
  assert.deepEqual([after.status, after.headers.get('idempotent-replayed'), after.body.balance.available], [201, null, '58'])
  assert.equal((await node.call('POST', '/v1/accounts', { name: 'Bob', external_id: 'bob' }, { idempotencyKey: 'bob' })).status, 201)
})
