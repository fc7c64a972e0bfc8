/** Exports: CSV text, page by page. */

import { UnexpectedAnswerError } from './errors.ts'
import type { AnswerFacts, Call, CallOptions, CallRequest } from './resource.ts'

const NEXT = /<([^>]*)>\s*;\s*rel="?next"?/

/** An export: `for await (const part of csv)` gives parts that make one file together, `csv.text()` the whole file. */
export class CsvPages implements AsyncIterable<string> {
  readonly #call: Call
  readonly #request: CallRequest
  readonly #options: CallOptions

  constructor(call: Call, request: CallRequest, options: CallOptions = {}) {
    this.#call = call
    this.#request = { ...request, query: { ...request.query, format: 'csv' }, isExport: true }
    this.#options = options
  }

  /** The file in parts. The line of names is in the first alone. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    let request = this.#request
    let isFirst = true
    for (;;) {
      let facts: AnswerFacts | null = null
      const onAnswer = (answer: AnswerFacts): void => {
        facts = answer
        this.#options.onAnswer?.(answer)
      }
      const text: string = await this.#call(request, { ...this.#options, onAnswer })
      yield isFirst ? text : text.slice(text.indexOf('\n') + 1)
      isFirst = false
      const next = nextQuery(facts)
      if (next === null) return
      if (JSON.stringify(next) === JSON.stringify(request.query)) throw stuck(request.path)
      request = { ...request, query: next }
    }
  }

  /** The whole file. */
  async text(): Promise<string> {
    let text = ''
    for await (const part of this) text += part
    return text
  }
}

/** What the next part is asked with; null: this was the last. */
function nextQuery(facts: AnswerFacts | null): Readonly<Record<string, readonly string[]>> | null {
  const [, target] = NEXT.exec(facts?.headers.get('link') ?? '') ?? []
  if (target === undefined) return null
  const { searchParams } = new URL(target, 'http://obol.invalid')
  return Object.fromEntries([...searchParams.keys()].map((name) => [name, searchParams.getAll(name)]))
}

function stuck(path: string): UnexpectedAnswerError {
  return new UnexpectedAnswerError(`${path} leads from a part to the same part.`, 200, {
    requestId: null,
    idempotencyKey: null,
    attempts: 1,
  })
}
