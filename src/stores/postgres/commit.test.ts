/** A commit that fails by itself may have happened, as it can where another node commits: it is asked for before it is done again. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../../../test/running/ledger.ts'
import { Observer } from '../../../test/running/observer.ts'
import { dropSchema, newSchema, onSchema } from '../../../test/running/postgres.ts'
import * as make from '../../../test/running/store-commands.ts'
import { openAccount } from '../../../test/running/store-commands.ts'
import { OutOfServiceError, type Store } from '../store.ts'
import { auditDatabase } from './audit.ts'
import { openPostgresStore } from './postgres-store.ts'

async function openObserved(t: TestContext): Promise<{ readonly store: Store; readonly observer: Observer; readonly url: string }> {
  const url = await newSchema()
  const observer = await Observer.start(url)
  const store = await openPostgresStore({ url: observer.url, reach: 'bucket', patience: { reconnectMs: 1_000 } })
  atEnd(t, async () => {
    await store.close()
    await observer.stop()
    const { differences } = await auditDatabase(url, 'bucket')
    await dropSchema(url)
    assert.deepEqual(differences, [])
  })
  return { store, observer, url }
}

const COMMITTED = Buffer.from('C\0\0\0\x0bCOMMIT\0', 'latin1')

/** The message of a fault without a code that says anything. */
function failure(): Buffer {
  const fields = Buffer.from('SERROR\0VERROR\0CXX000\0Mconnection to the remote node failed\0\0', 'latin1')
  const head = Buffer.alloc(5)
  head.write('E', 'latin1')
  head.writeInt32BE(4 + fields.length, 1)
  return Buffer.concat([head, fields])
}

test('a commit that is called failed and has happened is not made again', async (t) => {
  const { store, observer } = await openObserved(t)
  await openAccount(store, 1, 10)
  let times = 0
  observer.rewrite = (answer) => {
    const at = times === 0 ? answer.indexOf(COMMITTED) : -1
    if (at < 0) return answer
    times++
    return Buffer.concat([answer.subarray(0, at), failure(), answer.subarray(at + COMMITTED.length)])
  }
  assert.equal((await make.make(store, 1, make.charge(1))).seq, 3)
  assert.equal(times, 1, 'the commit was called failed')
  assert.equal((await store.state(1))?.seq, 3, 'there is one charge')
})

test('a commit that fails and has not happened is made again, and fails its caller when that goes on', async (t) => {
  const { store, url } = await openObserved(t)
  await openAccount(store, 1, 10)
  await onSchema(
    url,
    `create function no() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
     create constraint trigger not_now after insert on batches deferrable initially deferred for each row when (new.seqs <> '{}') execute function no()`,
  )
  const isSo = (fault: unknown): boolean => fault instanceof OutOfServiceError && /before the commit/.test(String(fault.cause))
  await assert.rejects(make.send(store, 1, make.charge(1)), isSo)
  await onSchema(url, 'drop trigger not_now on batches')
  assert.equal((await make.make(store, 1, make.charge(1))).seq, 3)
})
