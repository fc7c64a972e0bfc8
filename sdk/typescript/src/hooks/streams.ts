/** Streams of work that a hold pays for: what passes is counted, and the end of the stream is the end of the work. */

import type { CaptureHoldBody } from '../api/shapes.ts'

/** What was used so far, in all: not since the last time. */
export type Used = Pick<CaptureHoldBody, 'amount' | 'quantity' | 'quantities' | 'attributes' | 'metadata'>

/**
 * What becomes of work whose client has gone. `drain`: it goes on to its end, and is charged as if the client were there; `capture`: it
 * is told to stop, and charged for what was counted, or for the whole hold; `release`: it is told to stop, and is free.
 */
export type WhenClientLeaves = 'drain' | 'capture' | 'release'

/** The work that a stream belongs to. */
export interface Streaming {
  readonly whenClientLeaves: WhenClientLeaves
  readonly isEnding: boolean
  readonly done: Promise<unknown>
  openStream(): (isGood: boolean) => void
  count(used: Used): void
  leave(when: { readonly hasBegun: boolean }): void
  reportFault(fault: unknown): void
}

/** Reads what was used so far, in all, from a piece of a stream; undefined: it does not say. */
export type Counter<Chunk> = (chunk: Chunk) => Used | undefined

/** Passes a stream on. A client that cancels it has gone: then the stream is read on without it, or given up, as the work's options say. */
export function wrapStream<Chunk>(work: Streaming, source: ReadableStream<Chunk>, counter?: Counter<Chunk>): ReadableStream<Chunk> {
  const reader = source.getReader()
  const end = work.openStream()
  let hasBegun = false
  let hasLeft = false
  const read = async (): Promise<Awaited<ReturnType<typeof reader.read>>> => {
    const result = await reader.read()
    if (result.done) end(true)
    else note(work, result.value, counter)
    return result
  }
  return new ReadableStream<Chunk>(
    {
      async pull(controller) {
        try {
          const { done, value } = await read()
          // Whoever left while this was read does not want it any more.
          if (hasLeft) return
          if (done) controller.close()
          else {
            hasBegun = true
            controller.enqueue(value)
          }
        } catch (fault) {
          end(false)
          if (!hasLeft) controller.error(fault)
        }
      },
      async cancel(reason) {
        hasLeft = true
        work.leave({ hasBegun })
        if (work.whenClientLeaves === 'drain') void readOn(work, { read, end, giveUp: () => reader.cancel(reason) })
        else await giveUp(() => reader.cancel(reason), end)
      },
    },
    // Nothing is read ahead: what was read is what the client was sent.
    { highWaterMark: 0 },
  )
}

/** Passes on what can be iterated, such as a stream of Node. */
export async function* wrapIterable<Chunk>(
  work: Streaming,
  source: AsyncIterable<Chunk>,
  counter?: Counter<Chunk>,
): AsyncGenerator<Chunk, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const end = work.openStream()
  const read = async (): Promise<IteratorResult<Chunk>> => {
    const result = await iterator.next()
    if (result.done) end(true)
    else note(work, result.value, counter)
    return result
  }
  // Set while the client has a piece in hand: what ends the stream then, by a return or a throw, is the client.
  let isWithClient = false
  let hasBegun = false
  try {
    for (let next = await read(); !next.done; next = await read()) {
      hasBegun = true
      isWithClient = true
      yield next.value
      isWithClient = false
    }
  } finally {
    if (!isWithClient) end(false)
    else {
      work.leave({ hasBegun })
      if (work.whenClientLeaves === 'drain') void readOn(work, { read, end, giveUp: async () => iterator.return?.() })
      else await giveUp(async () => iterator.return?.(), end)
    }
  }
}

/** A counter that fails costs nobody the stream. */
function note<Chunk>(work: Streaming, chunk: Chunk, counter: Counter<Chunk> | undefined): void {
  try {
    const used = counter?.(chunk)
    if (used !== undefined) work.count(used)
  } catch (fault) {
    work.reportFault(fault)
  }
}

interface Source {
  readonly read: () => Promise<{ readonly done?: boolean | undefined }>
  readonly end: (isGood: boolean) => void
  readonly giveUp: () => Promise<unknown>
}

/** Reads to the end for nobody, until the work is ended: by the stream, or by time. */
async function readOn(work: Streaming, { read, end, giveUp: cancel }: Source): Promise<void> {
  let isRead = false
  const stopped = work.done
    .then(async () => {
      if (!isRead) await cancel()
    })
    .catch((fault: unknown) => work.reportFault(fault))
  try {
    while (!(await read()).done) if (work.isEnding) break
    isRead = true
    await stopped
  } catch (fault) {
    isRead = true
    work.reportFault(fault)
    end(false)
  }
}

/** Tells the source that nobody listens any more; the hold is ended by then. */
async function giveUp(cancel: () => Promise<unknown>, end: (isGood: boolean) => void): Promise<void> {
  end(false)
  await cancel()
}
