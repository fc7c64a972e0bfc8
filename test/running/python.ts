/** Runs Python for the tests of the Python SDK. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** The folder of the Python SDK. */
export const PYTHON_SDK = join(import.meta.dirname, '../../sdk/python')
/** Longest that a run may take, on a machine with much else to do. */
const TIMEOUT_MS = 240_000

const IS_NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 10))'

/** Whether there is a Python that the SDK is for. */
export function hasPython(): boolean {
  return spawnSync('python3', ['-c', IS_NEW_ENOUGH]).status === 0
}

/** How a run ended, and what it said. */
export interface PythonRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs Python in the folder of the SDK. It writes nothing there. Throws, with what to install, where there is none. */
export async function runPython(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  cwd = PYTHON_SDK,
): Promise<PythonRun> {
  if (!hasPython()) throw new Error('The tests of the Python SDK need python3, 3.10 or newer, on the path: apt-get install python3')
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...environment }
  const child = spawn('python3', words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { code, stdout, stderr }
}
