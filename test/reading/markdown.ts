/** Reads the project's pages: their blocks of code, their links and their headings. */

/** A fenced block: what stands behind its fence, and its text. */
export interface Block {
  readonly language: string
  /** The words behind the language: `run HOLD=id`. Readers do not see them; tests act on them. */
  readonly notes: readonly string[]
  readonly text: string
  readonly line: number
}

/** The fenced blocks of a page, in order. */
export function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(/^```(\S*)([^\n]*)\n([\s\S]*?)^```$/gm)].map(({ 1: language = '', 2: notes = '', 3: text = '', index }) => ({
    language,
    notes: notes.split(' ').filter((note) => note !== ''),
    text,
    line: page.slice(0, index).split('\n').length,
  }))
}

/** The page without its blocks and comments, so that what only looks like prose is not read as such. */
function proseOf(page: string): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ')
  return page.replace(/^```[\s\S]*?^```$/gm, blank).replace(/<!--[\s\S]*?-->/g, blank)
}

/** A link of a page, as it is written. */
export interface Link {
  readonly target: string
  readonly line: number
}

/** The links of a page, in order: `[text](target)` and `<https://…>`. */
export function linksOf(page: string): readonly Link[] {
  // Code is no link, but it may be what a link says.
  const prose = proseOf(page).replace(/`[^`\n]*`(\]?)/g, (code, closing: string) => ' '.repeat(code.length - closing.length) + closing)
  return [...prose.matchAll(/\]\(([^)\s]+)\)|<(https?:[^>\s]+)>/g)].map(({ 1: target, 2: address, index }) => ({
    target: target ?? address ?? '',
    line: prose.slice(0, index).split('\n').length,
  }))
}

/** The anchors of a page's headings, as code hosts write them. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const seen = new Map<string, number>()
  const anchors = [...proseOf(page).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading = '']) => {
    const base = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-')
    const count = seen.get(base) ?? 0
    seen.set(base, count + 1)
    return count === 0 ? base : `${base}-${count}`
  })
  return new Set(anchors)
}

/** The cells of the tables of a page: each row as its cells. Heads and the lines below them are left out. */
export function rowsOf(page: string): readonly (readonly string[])[] {
  const lines = proseOf(page).split('\n')
  return lines
    .filter((line, at) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line) && !/^\|[\s|:-]+\|$/.test(lines[at + 1] ?? ''))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    )
}
