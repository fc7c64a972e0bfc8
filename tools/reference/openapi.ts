/** openapi.json: the document that the server gives at `/openapi.json`, from a server that is built and never listens. */

import { pino } from 'pino'
import { KeyRing } from '../../src/auth/key-ring.ts'
import { RateLimiter } from '../../src/auth/rate-limiter.ts'
import { hashSecret, KEY_PREFIX } from '../../src/auth/secrets.ts'
import { buildServer } from '../../src/http/server.ts'
import { PriceList } from '../../src/operations/price-list.ts'
import type { Store } from '../../src/stores/store.ts'
import { MARK, type Page } from './page.ts'

/** What the file says of itself; the server's own document does not. */
export const GENERATED_FIELD = 'x-generated'

/** The document, in the order in which the server writes it. */
export async function openapiPage(store: Store): Promise<Page> {
  const http = await buildServer({
    services: {
      store,
      prices: new PriceList(store),
      keyRing: new KeyRing(store, Date.now),
      policy: { capturePolicy: 'overdraft', refundGrantDays: 30, topUpUrl: null, keyPrefix: KEY_PREFIX },
      clock: Date.now,
    },
    limiter: new RateLimiter(Date.now),
    operatorKeyHash: hashSecret('nobody calls this server'),
    defaultRateLimit: { requests: 1, windowSeconds: 1 },
    operatorRateLimit: null,
    publicUrl: 'http://127.0.0.1:4000',
    logger: pino({ level: 'silent' }),
    logRequests: false,
  })
  try {
    const document = (await http.inject('/openapi.json')).json<Record<string, unknown>>()
    const text = JSON.stringify(document, null, 2)
    return { path: 'openapi.json', text: `{ ${JSON.stringify(GENERATED_FIELD)}: ${JSON.stringify(MARK)},\n${text.slice('{\n'.length)}\n` }
  } finally {
    await http.close()
  }
}
