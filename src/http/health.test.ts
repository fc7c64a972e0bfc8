import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestObol } from '../../test/running/obol.ts'

test('a server that runs is alive and ready, for anybody who asks', async (t) => {
  const { call } = await startTestObol(t)
  for (const path of ['/livez', '/healthz', '/readyz']) {
    const { status, body, headers } = await call('GET', path, undefined, { key: null })
    assert.deepEqual([status, body, headers.get('cache-control')], [200, { status: 'ok' }, 'no-store'], path)
    assert.equal((await call('HEAD', path, undefined, { key: null })).status, 200, path)
  }
})

test('a server whose store does not answer is alive, so that nobody kills it, and is not ready', async (t) => {
  const { call, obol } = await startTestObol(t)
  await obol.services.store.close()
  assert.equal((await call('GET', '/livez', undefined, { key: null })).status, 200)
  const { status, body, headers } = await call('GET', '/readyz', undefined, { key: null })
  assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'not_ready', '1'])
})

test('health checks and other public pages are not documented as operations; keys that services fetch are', async (t) => {
  const { call } = await startTestObol(t)
  const { body } = await call('GET', '/openapi.json', undefined, { key: null })
  assert.deepEqual(
    Object.keys(body.paths).filter((path) => !path.startsWith('/v1/')),
    ['/.well-known/jwks.json'],
  )
})
