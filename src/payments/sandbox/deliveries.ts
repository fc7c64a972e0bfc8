/** The sandbox's own clock and postman: money on its way arrives, checkouts expire, and Obol is told of each over HTTP. */

import type { Sandbox } from './sandbox.ts'
import { SIGNATURE_HEADER } from './signatures.ts'

/** Checkouts that one turn looks at. */
const CHECKOUTS_AT_ONCE = 50
/** Longest that an event may take to be confirmed. */
const TIMEOUT_MS = 10_000

/** Where Obol hears events, and who is told why it did not hear one: that one is told again later. */
export interface Delivery {
  readonly url: string
  readonly onFailure: (reason: string) => void
}

/** Tells all events that are due, each until it is confirmed. */
export async function deliverEvents(sandbox: Sandbox, { url, onFailure }: Delivery): Promise<void> {
  for (const { id } of await sandbox.due(CHECKOUTS_AT_ONCE))
    for (const event of await sandbox.dueEvents(id)) {
      const failure = await deliver(url, sandbox.letterOf(id, event))
      if (failure !== null) onFailure(`${event.type} ${event.id}: ${failure}`)
      await sandbox.noteTold(id, event.id, failure === null)
    }
}

/** Why an event was not confirmed; null: it was. */
async function deliver(url: string, { body, signature }: ReturnType<Sandbox['letterOf']>): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    await response.body?.cancel()
    return response.ok ? null : `answered with ${response.status}`
  } catch (fault) {
    // Nobody listens, or not in time.
    if (fault instanceof TypeError || (fault instanceof DOMException && fault.name === 'TimeoutError')) return fault.message
    throw fault
  }
}
