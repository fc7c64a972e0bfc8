/** `npm run check`: format and lint, types, dead code, OpenAPI rules, and generated files that are up to date. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)

/** Each is a command that ends with 0 when all is well. */
const CHECKS: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'format and lint', command: [bin('biome'), 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: [bin('tsc'), '-p', '.'] },
  { name: 'types of the SDK, without Node', command: [bin('tsc'), '-p', 'sdk/typescript', '--noEmit'] },
  { name: 'dead code', command: [bin('knip'), '--no-progress'] },
  { name: 'generated files', command: [process.execPath, 'tools/generate.ts', '--check'] },
  { name: 'OpenAPI', command: [bin('redocly'), 'lint', 'openapi.json', 'docs/reference/dialects/*.json', '--format=stylish'] },
]

let failures = 0
for (const { name, command } of CHECKS) {
  const [program = '', ...values] = command
  const startedMs = Date.now()
  const { status, error } = spawnSync(program, values, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  })
  if (error) console.error(error.message)
  console.log(`${status === 0 ? '✔' : '✖'} ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`)
  if (status !== 0) failures++
}
process.exitCode = failures === 0 ? 0 : 1
