/** The files of the project, as tests that read them see them. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MARK } from '../../tools/reference/page.ts'

/** The folder of the repository. */
export const ROOT = join(import.meta.dirname, '../..')

/** What is not the project's own text: dependencies, the history, the stores of servers that were started here, what was built. */
const NOT_OURS = new Set(['node_modules', '.git', 'data', 'dist', '.runtimes'])

/** A file of the project. */
export interface ProjectFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** Every text file of the project whose path matches, in order of their paths. */
export function filesOf(pattern: RegExp, folder = ROOT): readonly ProjectFile[] {
  return pathsIn(folder, '')
    .filter((path) => pattern.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }))
}

/** The source of the server, tests left out. */
export function sourceFiles(): readonly ProjectFile[] {
  return filesOf(/^src\/.*\.ts$/).filter(({ path }) => !path.endsWith('.test.ts'))
}

/** The source of the TypeScript SDK, tests and what is generated left out. */
export function sdkFiles(): readonly ProjectFile[] {
  return filesOf(/^sdk\/typescript\/src\/.*\.ts$/).filter(({ path, text }) => !path.endsWith('.test.ts') && !isGenerated(text))
}

/** The Python of the SDK, tests and what is generated left out. */
export function pythonFiles(): readonly ProjectFile[] {
  return filesOf(/^sdk\/python\/.*\.py$/).filter(({ path, text }) => !path.includes('/tests/') && !isGenerated(text))
}

function isGenerated(text: string): boolean {
  return text.split('\n', 1)[0]?.includes(MARK) ?? false
}

/** The text of a file of the project. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function pathsIn(folder: string, under: string): readonly string[] {
  return readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => {
    const path = under === '' ? entry.name : `${under}/${entry.name}`
    // In a worktree, the history is a file that says where it is.
    if (NOT_OURS.has(path) || entry.name === '__pycache__') return []
    if (entry.isDirectory()) return pathsIn(folder, path)
    return entry.isFile() && !/\.(db|png|ico|woff2?)(-\w+)?$/.test(entry.name) ? [path] : []
  })
}
