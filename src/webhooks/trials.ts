/** Trials: events that nothing made, sent to an endpoint because somebody wants to see whether it works. */

import { randomBytes, randomInt } from 'node:crypto'
import { attemptId } from '../core/ids.ts'
import { OverloadedError } from '../stores/store.ts'
import type { AttemptRow } from '../stores/webhooks/attempts.ts'
import type { EndpointOwner, EndpointRow } from '../stores/webhooks/endpoints.ts'
import { TEST_EVENT, testMessage } from './message.ts'
import type { Sender } from './sender.ts'
import { signedHeaders } from './signature.ts'

/** Trials that are on their way at a time: each may take as long as whoever is called. */
const MAX_TRIALS = 16
/** Those of one owner: who tries out what hangs holds up nobody else. */
const MAX_TRIALS_OF_ONE = 3

/** A trial takes no longer than any request: the server waits for it when it stops. */
const NEVER_GIVEN_UP = new AbortController().signal

/** Tries endpoints out. */
export class Trials {
  readonly #sender: Pick<Sender, 'send'>
  readonly #clock: () => number
  readonly #running: EndpointOwner[] = []
  #made = randomInt(2 ** 31)

  constructor(sender: Pick<Sender, 'send'>, clock: () => number) {
    this.#sender = sender
    this.#clock = clock
  }

  /** Sends one event, once and now. Throws OverloadedError when too many are on their way. */
  async send(endpoint: EndpointRow): Promise<AttemptRow> {
    const { owner } = endpoint
    const ofOwner = this.#running.filter((one) => one === owner).length
    if (this.#running.length >= MAX_TRIALS || ofOwner >= MAX_TRIALS_OF_ONE) throw new OverloadedError(`${ofOwner} trials are on their way`)
    this.#running.push(owner)
    try {
      const atMs = this.#clock()
      const startedMs = performance.now()
      const message = testMessage(`evt_test_${randomBytes(10).toString('hex')}`, endpoint.id, atMs)
      const { url, isByOperator } = endpoint
      const request = { url, isByOperator, headers: signedHeaders(message, endpoint, atMs), body: message.body }
      const { failure, statusCode } = await this.#sender.send(request, NEVER_GIVEN_UP)
      return {
        id: attemptId(atMs, ++this.#made),
        endpointId: endpoint.id,
        eventId: message.id,
        eventType: TEST_EVENT,
        cause: 'test',
        number: 1,
        atMs,
        durationMs: Math.floor(performance.now() - startedMs),
        outcome: failure === null ? 'delivered' : 'given_up',
        statusCode,
        failure,
        nextMs: null,
      }
    } finally {
      this.#running.splice(this.#running.indexOf(owner), 1)
    }
  }
}
