/** Splits TypeScript into tokens, so that tests which read the source are not fooled by comments, strings and templates. */

/** What a token is. The text parts of a template are tokens of their own; what stands in its `${}` is read as code. */
export type TokenKind = 'word' | 'string' | 'template' | 'number' | 'regex' | 'punctuation' | 'comment'

/** One token, with its text as it stands in the source. */
export interface Token {
  readonly kind: TokenKind
  /** For strings: what they say, quotes taken off. */
  readonly text: string
  /** From 1. */
  readonly line: number
  /** Where it begins in the source. */
  readonly start: number
  /** Where what follows it begins. */
  readonly end: number
}

const SPACE = /\s+/y
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const STRING = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y
const NUMBER = /\d[\w.]*/y
const WORD = /[#@]?[A-Za-z_$][\w$]*/y
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y
const PUNCTUATION = /=>|\?\?=|\?\?|\?\.|\.\.\.|[-+*/%&|^<>=!]=+|&&|\|\||\+\+|--|[\s\S]/y

/** After these a slash begins a regular expression; after anything else that ends a value it divides. */
const BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'await', 'yield'])

/** The tokens of a source text, comments included. */
export function tokensOf(source: string): readonly Token[] {
  return new Lexer(source).run()
}

/** The tokens without the comments: the code itself. */
export function codeOf(source: string): readonly Token[] {
  return tokensOf(source).filter(({ kind }) => kind !== 'comment')
}

/** The source with its layout, in which comments and the insides of strings, templates and regular expressions are blank. */
export function blanked(source: string): string {
  let text = ''
  let done = 0
  for (const token of tokensOf(source)) {
    const [from, to] = insideOf(token)
    text += source.slice(done, from) + source.slice(from, to).replace(/[^\n]/g, ' ')
    done = to
  }
  return text + source.slice(done)
}

/** What says something rather than being code: from where to where. A template's text begins after its first quote. */
function insideOf({ kind, text, start, end }: Token): readonly [from: number, to: number] {
  if (kind === 'comment') return [start, end]
  if (kind === 'string' || kind === 'regex') return [start + 1, end - 1]
  return kind === 'template' ? [start, end - (text.endsWith('${') ? 2 : 1)] : [end, end]
}

class Lexer {
  readonly #source: string
  readonly #tokens: Token[] = []
  /** Open braces inside each template that is being read, innermost last. */
  readonly #braces: number[] = []
  #at = 0
  #line = 1
  #start = 0
  #startLine = 1
  #last: Token | null = null

  constructor(source: string) {
    this.#source = source
  }

  run(): readonly Token[] {
    while (this.#at < this.#source.length) this.#step()
    return this.#tokens
  }

  #step(): void {
    if (this.#match(SPACE) !== null) return
    const comment = this.#match(COMMENT)
    if (comment !== null) this.#push('comment', comment)
    else if (!this.#value()) this.#punctuation()
  }

  /** Reads a string, regular expression, number or word, if one stands here. */
  #value(): boolean {
    const string = this.#match(STRING)
    if (string !== null) return this.#push('string', string.slice(1, -1))
    const regex = this.#mayBeRegex() ? this.#match(REGEX) : null
    if (regex !== null) return this.#push('regex', regex)
    const number = this.#match(NUMBER)
    if (number !== null) return this.#push('number', number)
    const word = this.#match(WORD)
    return word !== null && this.#push('word', word)
  }

  #punctuation(): void {
    const text = this.#match(PUNCTUATION) ?? ''
    const open = this.#braces.length - 1
    const depth = this.#braces[open]
    if (text === '`') this.#template()
    else if (text === '}' && depth === 0) {
      this.#braces.pop()
      this.#template()
    } else {
      if (depth !== undefined && text === '{') this.#braces[open] = depth + 1
      if (depth !== undefined && text === '}') this.#braces[open] = depth - 1
      this.#push('punctuation', text)
    }
  }

  /** Reads the text of a template up to its end, or to where code stands in it. */
  #template(): void {
    const text = this.#match(TEMPLATE_TEXT)
    if (text === null) throw new Error(`the template on line ${this.#line} does not end`)
    this.#push('template', text)
    if (text.endsWith('${')) this.#braces.push(0)
  }

  #mayBeRegex(): boolean {
    const last = this.#last
    if (last === null) return true
    if (last.kind === 'word') return BEFORE_REGEX.has(last.text)
    return last.kind === 'template' ? last.text.endsWith('${') : last.kind === 'punctuation' && !/^[)\]}]$/.test(last.text)
  }

  #push(kind: TokenKind, text: string): true {
    const token = { kind, text, line: this.#startLine, start: this.#start, end: this.#at }
    this.#tokens.push(token)
    if (kind !== 'comment') this.#last = token
    return true
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const [text] = pattern.exec(this.#source) ?? []
    if (text === undefined || text === '') return null
    this.#start = this.#at
    this.#startLine = this.#line
    this.#at += text.length
    this.#line += text.split('\n').length - 1
    return text
  }
}
