/** The client of an Obol server. */

import { Resources } from './api/resources.ts'
import { type ClientOptions, makeCall } from './transport.ts'

/**
 * A client: `new Obol({ baseUrl, apiKey })`. It keeps no connection and no state, and its calls may be made at once.
 *
 * A customer's key reads its own account; the operator's key may do everything, and belongs on the operator's servers alone.
 */
export class Obol extends Resources {
  constructor(options: ClientOptions) {
    super(makeCall(options))
  }
}
