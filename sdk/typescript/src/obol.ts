/** The client of an Obol server. */

import { Resources } from './api/resources.ts'
import { type CreditsUpdate, type FollowCreditsOptions, followCredits } from './follow.ts'
import { type Client, type ClientOptions, makeCall, readOptions } from './transport.ts'

/**
 * A client: `new Obol({ baseUrl, apiKey })`. It keeps no connection and no state, and its calls may be made at once.
 *
 * A customer's key reads its own account; the operator's key may do everything, and belongs on the operator's servers alone.
 */
export class Obol extends Resources {
  readonly #client: Client

  constructor(options: ClientOptions) {
    const client = readOptions(options)
    super(makeCall(client))
    this.#client = client
  }

  /**
   * What the account has: at once as it is, and then each time that it changes, within a fraction of a second. One connection is kept for it,
   * and made again when it breaks; a key that does not work any more ends it with the server's error. The signal ends it without one.
   */
  followCredits(options: FollowCreditsOptions = {}): AsyncGenerator<CreditsUpdate, void, undefined> {
    return followCredits(this.#client, options)
  }
}
