/** Runs the `curl` lines of pages and of what Obol prints, on machines that have no curl too. */

/** A request that a curl line makes. */
export interface CurlRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** An answer: JSON is parsed. */
export interface CurlAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

const SHELL_PART = /'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\[\s\S])*)"|\\(?<escaped>[\s\S])|(?<plain>[^\s'"\\]+)|(?<space>\s+)/gy

/** Splits a line of shell into words: quotes, backslashes, and `$NAME` outside single quotes. Throws for variables that are not set. */
export function shellWords(line: string, variables: Readonly<Record<string, string>> = {}): readonly string[] {
  const parts = [...line.matchAll(SHELL_PART)]
  const read = parts.reduce((length, [text]) => length + text.length, 0)
  if (read < line.length) throw new Error(`cannot read as shell: ${line.slice(read)}`)
  const words: string[] = ['']
  for (const { groups = {} } of parts) {
    if (groups.space !== undefined) words.push('')
    else words.push(`${words.pop() ?? ''}${textOfPart(groups, variables)}`)
  }
  return words.filter((word) => word !== '')
}

function textOfPart(
  { single, double, escaped, plain }: Readonly<Record<string, string | undefined>>,
  variables: Readonly<Record<string, string>>,
): string {
  if (single !== undefined) return single
  if (escaped !== undefined) return escaped === '\n' ? '' : escaped
  if (plain !== undefined) return expand(plain, variables)
  return expand((double ?? '').replace(/\\(["\\$`])|\\\n/g, '$1'), variables)
}

function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{?([A-Z_]+)\}?/g, (_, name: string) => {
    const value = variables[name]
    if (value === undefined) throw new Error(`$${name} is not set`)
    return value
  })
}

/** Reads a curl line with the options that pages use. Throws for any other. */
export function readCurl(line: string, variables: Readonly<Record<string, string>> = {}): CurlRequest {
  const [program, ...words] = shellWords(line, variables)
  if (program !== 'curl') throw new Error(`not curl: ${line}`)
  const options = optionsOf(words)
  const [url] = options.get('') ?? []
  const [body = null] = options.get('-d') ?? []
  const [method = body === null ? 'GET' : 'POST'] = options.get('-X') ?? []
  if (url === undefined) throw new Error(`no address: ${line}`)
  const headers = (options.get('-H') ?? []).map((header) => {
    const [, name = '', text = ''] = /^([^:]+): *(.*)$/.exec(header) ?? []
    return [name.toLowerCase(), text]
  })
  return { method, url, headers: Object.fromEntries(headers) as Record<string, string>, body }
}

/** The values of each option; addresses are those of the option that has no name. */
function optionsOf(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const options = new Map<string, string[]>()
  const add = (name: string, value: string | undefined): void => {
    if (value === undefined) throw new Error(`${name} has no value`)
    options.set(name, [...(options.get(name) ?? []), value])
  }
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (/^-[XdH]$/.test(word)) add(word, words[++at])
    else if (/^https?:/.test(word)) add('', word)
    else if (word !== '-s') throw new Error(`unknown option of curl: ${word}`)
  }
  return options
}

/** Sends a request. */
export async function send({ method, url, headers, body }: CurlRequest): Promise<CurlAnswer> {
  const response = await fetch(url, { method, headers, ...(body === null ? {} : { body }) })
  const text = await response.text()
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson && text !== '' ? JSON.parse(text) : text }
}
