/** `npm test`: every test there is, or those in the files that are named. Ends with a line `N passed, N failed`. */

import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { hasPython } from '../test/running/python.ts'
import { missingRuntimes } from '../test/running/runtimes.ts'

const root = join(import.meta.dirname, '..')
/** Test files that run beside each other: the machines that tests run on have two cores. */
const FILES_AT_ONCE = 2
/** Longest that one test file may take. */
const FILE_TIMEOUT_MS = 10 * 60_000

/** Tests of what is written in Python. Where there is none they are not run, and that is said. */
const IN_PYTHON = /python\.test\.ts$/

const [, , ...named] = process.argv
const patterns = named.length > 0 ? named : ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts', 'sdk/**/*.test.ts']
const found = globSync(patterns, { cwd: root })
if (found.length === 0) throw new Error(`no test files match ${patterns.join(' ')}`)
const withoutPython = named.length === 0 && !hasPython()
const notRun = withoutPython ? found.filter((file) => IN_PYTHON.test(file)) : []
const files = found.filter((file) => !notRun.includes(file)).map((file) => join(root, file))

let passed = 0
let failed = 0
const skipped: string[] = []

// Whatever a test runs, in a process of its own or in a thread, compiles only what no other has compiled before.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'tests')
const events = run({ files: files.sort(), concurrency: FILES_AT_ONCE, timeout: FILE_TIMEOUT_MS })
events.on('test:pass', ({ name, skip, todo, details }) => {
  if (details.type === 'suite') return
  if (skip !== undefined || todo !== undefined) skipped.push(name)
  else passed++
})
events.on('test:fail', () => {
  failed++
})
await pipeline(events, new spec(), process.stdout, { end: false })
// A test that does not run proves nothing, so it counts as one that fails.
for (const name of skipped) console.log(`skipped: ${name}`)
const missing = named.length === 0 ? missingRuntimes() : []
if (missing.length > 0) console.log(`not run: the SDKs with ${missing.join(', ')}: npm run runtimes installs them`)
for (const file of notRun) console.log(`not run: ${file} needs python3, 3.10 or newer`)
console.log(`\n${passed} passed, ${failed + skipped.length} failed`)
process.exitCode = failed + skipped.length === 0 ? 0 : 1
