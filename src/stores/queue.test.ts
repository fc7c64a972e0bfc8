import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommandQueue, type Settlement } from './queue.ts'
import { OverloadedError } from './store.ts'

type Work = (batch: readonly string[], settlement: Settlement<string>) => void

interface Limits {
  readonly maxWaiting?: number
  readonly maxBatch?: number
  readonly groupOf?: (item: string) => number
}

/** A queue whose batches are noted; unless told otherwise, each item is answered with itself in capitals. */
function queueOf({ maxWaiting = 100, maxBatch = 10, groupOf }: Limits, work?: Work) {
  const batches: (readonly string[])[] = []
  const queue = new CommandQueue<string, string>({ maxWaiting, maxBatch, groupOf }, (batch, settlement) => {
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

const byDigit = (item: string): number => Number(item[1])

test('items of one batch have one group, and each group keeps its order', async () => {
  const { queue, batches } = queueOf({ groupOf: byDigit })
  await Promise.all(['a1', 'b2', 'c1', 'd3', 'e2', 'f1'].map((item) => queue.push(item)))
  assert.deepEqual(batches, [['a1', 'c1', 'f1'], ['b2', 'e2'], ['d3']])
  assert.equal(queue.length, 0)
})

test('a group with more than a batch waits behind the others for its rest', async () => {
  const { queue, batches } = queueOf({ groupOf: byDigit, maxBatch: 2 })
  await Promise.all(['a1', 'b1', 'c1', 'd1', 'e1', 'f2', 'g3'].map((item) => queue.push(item)))
  assert.deepEqual(batches, [['a1', 'b1'], ['f2'], ['g3'], ['c1', 'd1'], ['e1']])
})

test('what waits in all groups together is bounded', async () => {
  const { queue } = queueOf({ groupOf: byDigit, maxWaiting: 3 })
  const pushed = ['a1', 'b2', 'c3'].map((item) => queue.push(item))
  await assert.rejects(queue.push('d4'), OverloadedError)
  await assert.rejects(queue.pushAll(['e1', 'f1']), OverloadedError)
  assert.deepEqual(await Promise.all(pushed), ['A1', 'B2', 'C3'])
})
