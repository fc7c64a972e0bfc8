/** Finds what a source file imports, in every way in which one file can come to need another. */

import { codeOf, type Token } from './tokens.ts'

/** One import. */
export interface Import {
  /** What is imported, as it is written; null: it is computed, so nobody can tell. */
  readonly specifier: string | null
  readonly form: 'static' | 're-export' | 'dynamic' | 'require' | 'url'
  readonly line: number
}

/**
 * Every import of a source text: static ones and those of types, for their side effects, re-exports, `import()` as a call and as
 * a type, `require()`, and files that are named to be run as threads (`new URL('./x.ts', import.meta.url)`).
 */
export function importsOf(source: string): readonly Import[] {
  const code = codeOf(source)
  return code.flatMap((token, at): readonly Import[] => {
    if (token.kind !== 'word' || code[at - 1]?.text === '.') return []
    if (token.text === 'import') return importAt(code, at)
    if (token.text === 'export') return reExportAt(code, at)
    if (token.text === 'require' && code[at + 1]?.text === '(') return [called(code, at, 'require')]
    return token.text === 'URL' && code[at - 1]?.text === 'new' ? urlAt(code, at) : []
  })
}

function importAt(code: readonly Token[], at: number): readonly Import[] {
  const next = code[at + 1]
  const line = code[at]?.line ?? 0
  if (next?.text === '.') return []
  if (next?.text === '(') return [called(code, at, 'dynamic')]
  if (next?.kind === 'string') return [{ specifier: next.text, form: 'static', line }]
  const specifier = fromAfter(code, at)
  return specifier === null ? [] : [{ specifier, form: 'static', line }]
}

/** `export { … } from`, `export * from`, `export * as name from`, and the same of types. */
function reExportAt(code: readonly Token[], at: number): readonly Import[] {
  const first = code[at + 1]?.text === 'type' ? at + 2 : at + 1
  const opening = code[first]?.text
  if (opening !== '{' && opening !== '*') return []
  const end = opening === '*' ? first : closingAt(code, first)
  const isRenamed = opening === '*' && code[end + 1]?.text === 'as'
  const from = isRenamed ? end + 3 : end + 1
  const specifier = code[from + 1]
  if (code[from]?.text !== 'from' || specifier?.kind !== 'string') return []
  return [{ specifier: specifier.text, form: 're-export', line: code[at]?.line ?? 0 }]
}

function closingAt(code: readonly Token[], opening: number): number {
  let at = opening
  while (at < code.length && code[at]?.text !== '}') at++
  return at
}

/** The string after the `from` that an import statement leads to; an import has no other string. */
function fromAfter(code: readonly Token[], at: number): string | null {
  for (let next = at + 1; next < code.length; next++) {
    if (code[next]?.kind === 'string') return code[next - 1]?.text === 'from' ? (code[next]?.text ?? null) : null
  }
  return null
}

function called(code: readonly Token[], at: number, form: 'dynamic' | 'require'): Import {
  const [value, after] = code.slice(at + 2, at + 4)
  const isPlain = value?.kind === 'string' && (after?.text === ')' || after?.text === ',')
  return { specifier: isPlain ? value.text : null, form, line: code[at]?.line ?? 0 }
}

/** `new URL('./x.ts', import.meta.url)`. */
function urlAt(code: readonly Token[], at: number): readonly Import[] {
  const [, value, comma, word] = code.slice(at + 1, at + 5)
  if (value?.kind !== 'string' || comma?.text !== ',' || word?.text !== 'import') return []
  return [{ specifier: value.text, form: 'url', line: code[at]?.line ?? 0 }]
}
