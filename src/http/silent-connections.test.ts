import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { startTestObol } from '../../test/running/obol.ts'

test('a server that stops does not wait for connections on which nothing was asked', async (t) => {
  const { obol, call } = await startTestObol(t)
  const { port, hostname } = new URL(obol.address)
  const silent = Array.from({ length: 5 }, () => connect(Number(port), hostname))
  t.after(() => {
    for (const socket of silent) socket.destroy()
  })
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  assert.equal((await call('GET', '/livez')).status, 200, 'it has accepted what was connected before')
  const ended = silent.map((socket) => once(socket.resume(), 'close'))
  const startedMs = performance.now()
  await obol.close()
  assert.ok(performance.now() - startedMs < 10_000, `it took ${performance.now() - startedMs} ms`)
  await Promise.all(ended)
})
