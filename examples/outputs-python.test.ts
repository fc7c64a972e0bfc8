/** The examples in Python print exactly what those in TypeScript do. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hasPython } from '../test/running/python.ts'
import { outputFile, runExample } from './running-example.ts'

for (const example of globSync('{native,dialects}/*.py', { cwd: import.meta.dirname }).sort())
  test(`examples/${example} prints what is committed`, async (t) => {
    assert.ok(hasPython(), 'the examples in Python need python3, 3.10 or newer: apt-get install python3')
    assert.equal(await runExample(t, example), readFileSync(outputFile(example), 'utf8'))
  })
