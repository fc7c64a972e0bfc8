/** Server-sent events, cut wherever a network may cut them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventReader } from './server-sent-events.ts'

const TEXT =
  'retry: 3000\n\nid: 7\ndata: {"a":1}\n\n: still here\n\nevent: end\r\ndata: one\r\ndata:two\r\ndata\r\n\r\nid\rdata: three\r\rdata: no end\n'
const EVENTS = [
  { type: 'message', data: '{"a":1}', id: '7' },
  { type: 'end', data: 'one\ntwo\n', id: '7' },
  { type: 'message', data: 'three', id: '' },
]

test('events are read whole, wherever the text is cut', () => {
  for (let size = 1; size <= TEXT.length; size++) {
    const reader = new EventReader()
    const events = []
    for (let start = 0; start < TEXT.length; start += size) events.push(...reader.read(TEXT.slice(start, start + size)))
    assert.deepEqual(events, EVENTS, `in pieces of ${size}`)
  }
})

test('what has no end is not kept', () => {
  const long = 'x'.repeat(1_048_576)
  const lines = new EventReader()
  assert.throws(() => {
    for (let nth = 0; nth < 6; nth++) lines.read(`data: ${long}\n`)
  }, /an event has no end/)
  const line = new EventReader()
  assert.throws(() => {
    for (let nth = 0; nth < 6; nth++) line.read(long)
  }, /a line has no end/)
})
