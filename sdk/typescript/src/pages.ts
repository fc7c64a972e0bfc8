/** Lists that are read page by page. Nothing is asked before somebody wants to know. */

import { UnexpectedAnswerError } from './errors.ts'
import type { Call, CallOptions, CallRequest } from './resource.ts'

/** One page of a list. */
export interface Page<Item> {
  readonly data: readonly Item[]
  readonly has_more: boolean
  /** Goes on from here; null: there is no more. */
  readonly next_cursor: string | number | null
}

/** A list: `for await (const item of list)` reads all of it; `list.page()` one page. */
export class Pages<Item> implements AsyncIterable<Item> {
  readonly #call: Call
  readonly #request: CallRequest
  readonly #options: CallOptions | undefined

  constructor(call: Call, request: CallRequest, options?: CallOptions) {
    this.#call = call
    this.#request = request
    this.#options = options
  }

  /** The first page, from where the query says. */
  page(): Promise<Page<Item>> {
    return this.#call(this.#request, this.#options)
  }

  /** Every page from the first on. With `ending_before` in the query, it goes back to newer ones. */
  async *pages(): AsyncGenerator<Page<Item>, void, undefined> {
    const asked: { readonly ending_before?: unknown } = this.#request.query ?? {}
    const direction = asked.ending_before === undefined ? 'starting_after' : 'ending_before'
    let request = this.#request
    let cursor: Page<Item>['next_cursor'] = null
    for (;;) {
      const page: Page<Item> = await this.#call(request, this.#options)
      yield page
      if (!page.has_more || page.next_cursor === null) return
      if (page.next_cursor === cursor) throw stuck(this.#request.path)
      cursor = page.next_cursor
      request = { ...this.#request, query: { ...asked, [direction]: cursor } }
    }
  }

  /** Every item of every page. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const { data } of this.pages()) yield* data
  }

  /** Items as a list: all of them, or the first so many. */
  async toArray({ limit = Number.POSITIVE_INFINITY }: { readonly limit?: number } = {}): Promise<readonly Item[]> {
    const items: Item[] = []
    if (limit <= 0) return items
    for await (const item of this) if (items.push(item) >= limit) break
    return items
  }
}

function stuck(path: string): UnexpectedAnswerError {
  return new UnexpectedAnswerError(`${path} leads from a page to the same page.`, 200, {
    requestId: null,
    idempotencyKey: null,
    attempts: 1,
  })
}
