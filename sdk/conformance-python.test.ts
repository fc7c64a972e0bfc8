/** One truth, in Python: every operation is a method of both clients, each is called on a real server, every problem has a class. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PROBLEMS } from '../src/http/problems.ts'
import { textOf } from '../test/reading/project.ts'
import { startConformanceObol } from '../test/running/conformance.ts'
import { OPERATOR_KEY } from '../test/running/obol.ts'
import { runPython } from '../test/running/python.ts'
import { type OpenApi, operationAt, readContract } from '../tools/sdk/contract.ts'

const CONTRACT = readContract(JSON.parse(textOf('openapi.json')) as OpenApi)

interface Told {
  readonly methods?: Readonly<Record<'sync' | 'async', readonly string[]>>
  readonly problems?: readonly string[]
  readonly client?: 'sync' | 'async'
  readonly method?: string
  readonly path?: string
}

/** What the SDK says that it has, and the requests that it made. */
async function ask(t: TestContext): Promise<readonly Told[]> {
  const { url } = await startConformanceObol(t)
  const { code, stdout, stderr } = await runPython(['-W', 'error', '-m', 'tests.conformance'], {
    OBOL_TEST_URL: url,
    OBOL_TEST_OPERATOR_KEY: OPERATOR_KEY,
  })
  assert.equal(code, 0, stderr)
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Told)
}

test('every operation has a method in both Python clients, is called by each, and every problem has its class', async (t) => {
  const told = await ask(t)
  const methods = told.find((one) => one.methods)?.methods
  const wanted = CONTRACT.operations.map(({ resource, method }) => `${resource}.${method}`)
  for (const client of ['sync', 'async'] as const) {
    assert.deepEqual(
      wanted.filter((name) => !methods?.[client].includes(name)),
      [],
      `methods of the ${client} client`,
    )
    const called = new Set(
      told.flatMap(({ client: by, method = '', path = '' }) => (by === client ? [operationAt(CONTRACT, { method, path })?.id] : [])),
    )
    assert.deepEqual(
      CONTRACT.operations.map(({ id }) => id).filter((id) => !called.has(id)),
      [],
      `operations that sdk/python/tests/every_operation.py does not call with the ${client} client`,
    )
  }
  assert.deepEqual(told.find((one) => one.problems)?.problems?.toSorted(), Object.keys(PROBLEMS).toSorted())
})
