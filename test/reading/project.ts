/** The files of the project, as tests that read them see them. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the repository. */
export const ROOT = join(import.meta.dirname, '../..')

/** What is not the project's own text: dependencies, the history, the stores of servers that were started here. */
const NOT_OURS = new Set(['node_modules', '.git', 'data'])

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

/** The text of a file of the project. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function pathsIn(folder: string, under: string): readonly string[] {
  return readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => {
    const path = under === '' ? entry.name : `${under}/${entry.name}`
    // In a worktree, the history is a file that says where it is.
    if (NOT_OURS.has(path)) return []
    if (entry.isDirectory()) return pathsIn(folder, path)
    return entry.isFile() && !/\.(db|png|ico|woff2?)(-\w+)?$/.test(entry.name) ? [path] : []
  })
}
