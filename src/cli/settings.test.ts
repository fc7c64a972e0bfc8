/** The server that a command talks to, and the key that it shows there. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OPERATOR_KEY, startTestObol } from '../../test/running/obol.ts'
import { makeFolder } from '../../test/running/process.ts'
import { CliError, EXIT } from './client.ts'
import { devSecretsFile, saveDevSecrets } from './dev-secrets.ts'
import { clientFromEnvironment } from './settings.ts'

/** A folder's store, which need not be there. */
function storeIn(t: TestContext): string {
  return `sqlite:${join(makeFolder(t), 'data/obol.db')}`
}

function isConfigFault(says: RegExp): (fault: unknown) => boolean {
  return (fault) => fault instanceof CliError && fault.exitCode === EXIT.config && says.test(fault.message)
}

test('the operator key may be in a file', async (t) => {
  const { url } = await startTestObol(t)
  const file = join(makeFolder(t), 'key')
  writeFileSync(file, `${OPERATOR_KEY}\n`)
  const { call } = clientFromEnvironment({ OBOL_URL: url, OBOL_OPERATOR_KEY_FILE: file })
  assert.equal((await call('GET', '/v1/accounts')).status, 200)
})

test('a key that cannot be one is refused before it is sent, and not shown', () => {
  assert.throws(
    () => clientFromEnvironment({ OBOL_OPERATOR_KEY: 'short key\n' }),
    isConfigFault(/^OBOL_OPERATOR_KEY must be 24 or more [a-z ]+\.$/),
  )
})

test('the secrets of obol dev are found beside its store, and serve on this machine alone', async (t) => {
  const { url } = await startTestObol(t)
  const OBOL_DATABASE_URL = storeIn(t)
  const from = (OBOL_URL: string) => clientFromEnvironment({ OBOL_DATABASE_URL, OBOL_URL, OBOL_OPERATOR_KEY: '' })
  assert.throws(() => from(url), isConfigFault(/^No operator key/))
  saveDevSecrets(devSecretsFile(OBOL_DATABASE_URL), { operator_key: OPERATOR_KEY })
  assert.equal((await from(url).call('GET', '/v1/accounts')).status, 200)
  for (const elsewhere of ['http://example.com', 'http://127.0.0.1.example.com', 'http://localhost@example.com'])
    assert.throws(() => from(elsewhere), isConfigFault(/^No operator key/), elsewhere)
})

test('a file of secrets that holds something else is told', (t) => {
  const OBOL_DATABASE_URL = storeIn(t)
  const file = devSecretsFile(OBOL_DATABASE_URL)
  mkdirSync(dirname(file))
  for (const [text, says] of [
    ['{', /dev-secrets\.json cannot be read: /],
    ['{}', /dev-secrets\.json holds no secrets of obol dev\. Remove it/],
    ['null', /dev-secrets\.json holds no secrets of obol dev\. Remove it/],
  ] as const) {
    writeFileSync(file, text)
    assert.throws(() => clientFromEnvironment({ OBOL_DATABASE_URL }), isConfigFault(says))
  }
})
