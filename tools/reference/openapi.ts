/** openapi.json and those of the dialects: the documents that the server gives, from a server that is built and never listens. */

import { pino } from 'pino'
import { AccessTokens } from '../../src/auth/access-tokens.ts'
import { InFlight } from '../../src/auth/in-flight.ts'
import { KeyRing } from '../../src/auth/key-ring.ts'
import { Passwords } from '../../src/auth/passwords.ts'
import { RateLimiter } from '../../src/auth/rate-limiter.ts'
import { hashSecret, KEY_PREFIX } from '../../src/auth/secrets.ts'
import { SignInThrottle } from '../../src/auth/sign-in-throttle.ts'
import { SignedIn } from '../../src/auth/signed-in.ts'
import { type DialectName, INSTALLED_DIALECTS } from '../../src/http/dialects/installed.ts'
import { Mounts } from '../../src/http/dialects/mounts.ts'
import { buildServer } from '../../src/http/server.ts'
import { PriceList } from '../../src/operations/price-list.ts'
import type { Store } from '../../src/stores/store.ts'
import { Networks } from '../../src/webhooks/networks.ts'
import { Sender } from '../../src/webhooks/sender.ts'
import { Trials } from '../../src/webhooks/trials.ts'
import { MARK, type Page } from './page.ts'

/** What the file says of itself; the server's own document does not. */
export const GENERATED_FIELD = 'x-generated'

/** Where the document of a dialect is kept. */
export function dialectFile(name: DialectName): string {
  return `docs/reference/dialects/${name}.json`
}

const NAMES = Object.keys(INSTALLED_DIALECTS) as readonly DialectName[]

/** The documents, each in the order in which the server writes it. */
export async function openapiPages(store: Store): Promise<readonly Page[]> {
  const tokens = await AccessTokens.open({ keys: store.signingKeys, clock: Date.now, issuer: 'urn:obol' })
  const sender = new Sender({ networks: new Networks([]), resolve: async () => [] })
  const http = await buildServer({
    services: {
      store,
      sending: { sender, trials: new Trials(sender, Date.now) },
      signIn: {
        tokens,
        passwords: new Passwords(),
        throttle: new SignInThrottle(Date.now),
        signedIn: new SignedIn(tokens, store.sessions, Date.now),
        refreshing: new InFlight(),
      },
      prices: new PriceList(store),
      keyRing: new KeyRing(store, Date.now),
      policy: {
        capturePolicy: 'overdraft',
        refundGrantDays: 30,
        makeGoodPercent: 100,
        testClocks: true,
        topUpUrl: null,
        keyPrefix: KEY_PREFIX,
      },
      payments: null,
      invoicing: { kind: 'receipt', seller: { name: null, address: [], taxId: null, contact: null }, tax: null, note: null },
      clock: Date.now,
    },
    limiter: new RateLimiter(Date.now),
    operatorKeyHash: hashSecret('nobody calls this server'),
    defaultRateLimit: { requests: 1, windowSeconds: 1 },
    operatorRateLimit: null,
    publicUrl: 'http://127.0.0.1:4000',
    dialects: { names: NAMES, mounts: new Mounts([]), handlers: {} },
    trustedProxies: null,
    logger: pino({ level: 'silent' }),
    logRequests: false,
  })
  const page = async (url: string, path: string): Promise<Page> => {
    const text = JSON.stringify((await http.inject(url)).json<Record<string, unknown>>(), null, 2)
    return { path, text: `{ ${JSON.stringify(GENERATED_FIELD)}: ${JSON.stringify(MARK)},\n${text.slice('{\n'.length)}\n` }
  }
  try {
    return [
      await page('/openapi.json', 'openapi.json'),
      ...(await Promise.all(NAMES.map((name) => page(`/${name}/openapi.json`, dialectFile(name))))),
    ]
  } finally {
    await http.close()
    await sender.close()
  }
}
