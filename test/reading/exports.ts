/** Finds what a source file exports, and whether anybody says what it is. */

import { basename } from 'node:path'
import { tokensOf } from './tokens.ts'

/** One exported thing. */
export interface Export {
  readonly name: string
  readonly line: number
  readonly isDocumented: boolean
}

const EXPORT = /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) ([\w$]+)/

/**
 * What a file exports. An export is documented by the comment right above it; by the one above a group of exports of a line each;
 * by the file's first comment, when it bears the file's name; and, if it is a schema, by a description of its own.
 */
export function exportsOf(path: string, source: string): readonly Export[] {
  const lines = source.split('\n')
  const [first] = tokensOf(source)
  const hasHeader = first?.kind === 'comment' && first.line === 1 && first.text.startsWith('/**')
  const found: Export[] = []
  for (const [index, text] of lines.entries()) {
    const name = EXPORT.exec(text)?.[1]
    if (name === undefined) continue
    const above = lines[index - 1]?.trim() ?? ''
    const isInGroup = found.at(-1)?.line === index && found.at(-1)?.isDocumented === true
    const isDocumented =
      /\*\/$/.test(above) || isInGroup || (hasHeader && bearsName(name, path)) || /\bdescription:/.test(statementAt(lines, index))
    found.push({ name, line: index + 1, isDocumented })
  }
  return found
}

/** `accountRoutes` bears the name of accounts.ts, `ChargeBody` that of charge-bodies.ts. */
function bearsName(name: string, path: string): boolean {
  const words = basename(path, '.ts')
    .split('-')
    .map((word) => word.replace(/ies$/, 'y').replace(/s$/, ''))
  return name.toLowerCase().replaceAll('_', '').includes(words.join(''))
}

/** The lines of a statement: up to the next one that begins at the margin. */
function statementAt(lines: readonly string[], index: number): string {
  const after = lines.slice(index + 1).findIndex((line) => /^\S/.test(line) && !/^[)}\]]/.test(line))
  return lines.slice(index, after < 0 ? undefined : index + 1 + after).join('\n')
}
