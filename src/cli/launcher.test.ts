/** bin/obol.js: on a Node that is too old, it finds the one that the repository brings, and is that one to whoever calls. */

import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { OPERATOR_KEY, startTestObol } from '../../test/running/obol.ts'
import { makeFolder, type ProcessOptions, runObol, startServer } from '../../test/running/process.ts'
import { makeClient } from './client.ts'

/** A Node that says it is an old one. What it starts is not told so. */
const OLD_NODE = [
  process.execPath,
  '--import',
  `data:text/javascript,${encodeURIComponent("Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })")}`,
] as const satisfies ProcessOptions['node']

test('an older Node runs commands as a newer one does: what they print, and how they end', async (t) => {
  const { url } = await startTestObol(t)
  const env = { OBOL_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY }
  for (const args of [['--version'], ['accounts', 'list', '--json'], ['accounts', 'show', 'external:nobody'], ['fly']]) {
    const [old, current] = await Promise.all([runObol(args, { env, node: OLD_NODE }), runObol(args, { env })])
    assert.deepEqual(old, current, args.join(' '))
  }
  const unreachable = { OBOL_URL: 'http://127.0.0.1:9', OBOL_OPERATOR_KEY: OPERATOR_KEY }
  assert.equal((await runObol(['accounts', 'list'], { env: unreachable, node: OLD_NODE })).code, 69)
  assert.equal((await runObol(['serve'], { env: { OBOL_PORT: 'x' }, node: OLD_NODE })).code, 78)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  test(`${signal} to an older Node stops the server that runs behind it, gracefully`, async (t) => {
    const server = await startServer(t, 'serve', { cwd: makeFolder(t), env: { OBOL_OPERATOR_KEY: OPERATOR_KEY }, node: OLD_NODE })
    assert.equal((await makeClient(server.url, OPERATOR_KEY).call('GET', '/v1/accounts')).status, 200)
    const { code, stdout } = await server.stop(signal)
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`"${signal}: stopping"`))
    await assert.rejects(fetch(`${server.url}/livez`))
  })

test('an older Node without the one that the repository brings says what to do', async (t) => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, 'bin'))
  const launcher = join(folder, 'bin/obol.mjs')
  copyFileSync(join(import.meta.dirname, '../../bin/obol.js'), launcher)
  const { code, stdout, stderr } = await runObol(['--version'], { node: OLD_NODE, launcher })
  assert.deepEqual([code, stdout], [78, ''])
  assert.match(stderr, /^obol: this is Node 20\.19\.0, and Obol needs 24\.16 or newer\.\nRun "npm ci" first/)
})
