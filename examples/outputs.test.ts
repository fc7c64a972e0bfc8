/** The examples in TypeScript print what is committed beside them. `UPDATE_OUTPUTS=1` writes it anew. */

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { outputFile, runExample } from './running-example.ts'

const EXAMPLES = globSync('{native,dialects}/*.ts', { cwd: import.meta.dirname }).sort()

test('there is an example in both languages of everything', () => {
  const python = globSync('{native,dialects}/*.py', { cwd: import.meta.dirname }).sort()
  assert.ok(EXAMPLES.length >= 10)
  assert.deepEqual(
    python.map((file) => file.replace('.py', '.ts')),
    EXAMPLES,
  )
})

for (const example of EXAMPLES)
  test(`examples/${example} prints what is committed`, async (t) => {
    const printed = await runExample(t, example)
    const file = outputFile(example)
    if (process.env.UPDATE_OUTPUTS === '1') writeFileSync(file, printed)
    assert.equal(printed, existsSync(file) ? readFileSync(file, 'utf8') : null)
  })
