import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommandQueue, type Settlement } from './queue.ts'
import { OverloadedError } from './store.ts'

type Work = (batch: readonly string[], settlement: Settlement<string>) => void

/** A queue whose batches are noted; unless told otherwise, each item is answered with itself in capitals. */
function queueOf({ maxWaiting = 100, maxBatch = 10 }: { readonly maxWaiting?: number; readonly maxBatch?: number }, work?: Work) {
  const batches: (readonly string[])[] = []
  const queue = new CommandQueue<string, string>({ maxWaiting, maxBatch }, (batch, settlement) => {
    batches.push(batch)
    if (work) work(batch, settlement)
    else for (const [index, item] of batch.entries()) settlement.resolve(index, item.toUpperCase())
  })
  return { queue, batches }
}

test('what is pushed in one turn is one batch, in order, and each caller hears its own answer', async () => {
  const { queue, batches } = queueOf({})
  const answers = await Promise.all(['a', 'b', 'c'].map((item) => queue.push(item)))
  assert.deepEqual(answers, ['A', 'B', 'C'])
  assert.deepEqual(batches, [['a', 'b', 'c']])
})

test('nothing runs in the turn in which it is pushed, and nothing waits longer than the next', async () => {
  const { queue, batches } = queueOf({})
  const answer = queue.push('a')
  assert.deepEqual([batches, queue.length], [[], 1])
  await Promise.resolve()
  assert.deepEqual(batches, [])
  await nextTurn()
  assert.deepEqual([batches, queue.length], [[['a']], 0])
  assert.equal(await answer, 'A')
})

test('a batch is no longer than allowed, and what is left over makes the next ones', async () => {
  const { queue, batches } = queueOf({ maxBatch: 3 })
  await Promise.all([...'abcdefg'].map((item) => queue.push(item)))
  assert.deepEqual(batches, [['a', 'b', 'c'], ['d', 'e', 'f'], ['g']])
})

test('what arrives while a batch runs goes into the next one', async () => {
  const more: Promise<string>[] = []
  const { queue, batches } = queueOf({}, (batch, { resolve }) => {
    if (batch.includes('a')) more.push(queue.push('c'), queue.push('d'))
    for (const [index, item] of batch.entries()) resolve(index, item)
  })
  await Promise.all([queue.push('a'), queue.push('b')])
  assert.deepEqual(await Promise.all(more), ['c', 'd'])
  assert.deepEqual(batches, [
    ['a', 'b'],
    ['c', 'd'],
  ])
})

test('one item that is rejected does not touch the others', async () => {
  const { queue } = queueOf({}, (batch, { resolve, reject }) => {
    for (const [index, item] of batch.entries()) item === 'bad' ? reject(index, new Error('no')) : resolve(index, item)
  })
  const outcomes = await Promise.allSettled(['a', 'bad', 'c'].map((item) => queue.push(item)))
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message)),
    ['a', 'no', 'c'],
  )
})

test('a worker that throws fails those it had not answered, and the queue goes on', async () => {
  const fault = new Error('broken')
  const { queue } = queueOf({}, (batch, { resolve }) => {
    resolve(0, 'answered')
    if (batch.includes('break')) throw fault
    for (const [index, item] of batch.entries()) resolve(index, item)
  })
  const outcomes = await Promise.allSettled([queue.push('a'), queue.push('break'), queue.push('c')])
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason)),
    ['answered', fault, fault],
  )
  assert.equal(await queue.push('d'), 'answered')
})

test('more than may wait is turned away at once, never reaches the worker, and is welcome again later', async () => {
  const { queue, batches } = queueOf({ maxWaiting: 2 })
  const accepted = [queue.push('a'), queue.push('b')]
  await assert.rejects(queue.push('c'), OverloadedError)
  assert.deepEqual([queue.length, batches], [2, []])
  assert.deepEqual(await Promise.all(accepted), ['A', 'B'])
  assert.equal(await queue.push('c'), 'C')
  assert.deepEqual(batches, [['a', 'b'], ['c']])
})

test('draining by hand works off one batch at once, and the scheduled turn finds nothing left', async () => {
  const { queue, batches } = queueOf({ maxBatch: 2 })
  const answers = [...'abc'].map((item) => queue.push(item))
  queue.drainOnce()
  assert.deepEqual([batches, queue.length], [[['a', 'b']], 1])
  queue.drainOnce()
  queue.drainOnce()
  assert.deepEqual(await Promise.all(answers), ['A', 'B', 'C'])
  await nextTurn()
  assert.deepEqual(batches, [['a', 'b'], ['c']])
})
