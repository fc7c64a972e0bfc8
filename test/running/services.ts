/** What operations work with, for tests that call them without a server. */

import { AccessTokens } from '../../src/auth/access-tokens.ts'
import { InFlight } from '../../src/auth/in-flight.ts'
import { KeyRing } from '../../src/auth/key-ring.ts'
import { Passwords } from '../../src/auth/passwords.ts'
import { KEY_PREFIX } from '../../src/auth/secrets.ts'
import { SignInThrottle } from '../../src/auth/sign-in-throttle.ts'
import { SignedIn } from '../../src/auth/signed-in.ts'
import type { Payments } from '../../src/operations/payments.ts'
import { PriceList } from '../../src/operations/price-list.ts'
import type { Services } from '../../src/operations/services.ts'
import type { Store } from '../../src/stores/store.ts'
import { dnsResolve } from '../../src/webhooks/names.ts'
import { Networks } from '../../src/webhooks/networks.ts'
import { Sender } from '../../src/webhooks/sender.ts'
import { Trials } from '../../src/webhooks/trials.ts'

/** Services on a store, with the policy of a server that was told nothing. */
export async function servicesOn(
  store: Store,
  { clock, payments }: { readonly clock: () => number; readonly payments: Payments | null },
): Promise<Services> {
  const tokens = await AccessTokens.open({ keys: store.signingKeys, clock, issuer: 'urn:obol' })
  const signedIn = new SignedIn(tokens, store.sessions, clock)
  const sender = new Sender({ networks: new Networks([]), resolve: dnsResolve() })
  return {
    store,
    prices: new PriceList(store),
    keyRing: new KeyRing(store, clock),
    signIn: { tokens, passwords: new Passwords(), throttle: new SignInThrottle(clock), signedIn, refreshing: new InFlight() },
    policy: {
      capturePolicy: 'overdraft',
      refundGrantDays: 30,
      makeGoodPercent: 100,
      testClocks: true,
      topUpUrl: null,
      keyPrefix: KEY_PREFIX,
    },
    payments,
    invoicing: { kind: 'receipt', seller: { name: null, address: [], taxId: null, contact: null }, tax: null, note: null },
    sending: { sender, trials: new Trials(sender, clock) },
    clock,
  }
}
