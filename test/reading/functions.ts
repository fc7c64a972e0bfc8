/** Finds the functions of a source file and how long they are. */

/** One function. */
export interface SourceFunction {
  /** Where it begins. */
  readonly line: number
  /** From its first line to its last; blank ones, and those of functions inside it, are left out. */
  readonly lines: number
}

const ARROW = /=>\s*\{$/
const FUNCTION = /^\s*(?:export )?(?:async )?function\b/
const METHOD = /^\s+(?:static |async |get |set |override )*#?[A-Za-z_$][\w$]*\s*(?:<[^()]*>)?\((?:.*\{)?$/
const STATEMENT = /^\s*(?:if|for|while|switch|catch|return|throw|await|else|do|try)\b/

interface Span {
  readonly first: number
  readonly last: number
}

/**
 * The functions that take more than one line. It reads the layout, which Biome keeps the same everywhere: a function ends at the
 * first line that closes a brace, and nothing more than brackets, at the indentation at which it began.
 */
export function functionsOf(source: string): readonly SourceFunction[] {
  const lines = source.split('\n')
  const spans = lines.flatMap((text, first): readonly Span[] => {
    const begins = ARROW.test(text) || FUNCTION.test(text) || (METHOD.test(text) && !STATEMENT.test(text))
    const last = begins ? endOf(lines, first) : undefined
    return last === undefined ? [] : [{ first, last }]
  })
  const filled = (span: Span): number => lines.slice(span.first, span.last + 1).filter((line) => line.trim() !== '').length
  return spans.map((span) => {
    const inside = spans.filter((other) => other !== span && other.first >= span.first && other.last <= span.last)
    const direct = inside.filter((one) => !inside.some((other) => other !== one && other.first <= one.first && other.last >= one.last))
    const isOnSameLine = direct.some(({ first }) => first === span.first)
    return { line: span.first + 1, lines: isOnSameLine ? 0 : filled(span) - direct.reduce((sum, one) => sum + filled(one), 0) }
  })
}

/** The last line of what begins at a line; undefined: it has no body of its own, as a call or a type has none. */
function endOf(lines: readonly string[], first: number): number | undefined {
  const indent = /^\s*/.exec(lines[first] ?? '')?.[0] ?? ''
  for (let at = first + 1; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.trim() === '' || line.startsWith(`${indent} `)) continue
    if (!line.startsWith(indent)) return undefined
    const rest = line.slice(indent.length)
    if (/^\}[)\],;]*$/.test(rest)) return at
    // Parameters and their types end at the same indentation; the body follows.
    if (!/^[)}\]].*\{$|^\}: \{$/.test(rest)) return undefined
  }
  return undefined
}
