/** The only file that knows all parts: it builds them from the settings and hands them to each other. The stores and Stripe are loaded where they are in use. */

import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import { AccessTokens } from './auth/access-tokens.ts'
import { InFlight } from './auth/in-flight.ts'
import { KeyRing } from './auth/key-ring.ts'
import { Passwords } from './auth/passwords.ts'
import { RateLimiter } from './auth/rate-limiter.ts'
import { hashSecret, hiderOf, makeSecret, OPERATOR_PREFIX } from './auth/secrets.ts'
import { SignInThrottle } from './auth/sign-in-throttle.ts'
import { SignedIn } from './auth/signed-in.ts'
import { type Background, startBackground } from './background.ts'
import { type Config, sqliteFile } from './config.ts'
import { returnPath } from './http/checkout/return-page.ts'
import { Mounts } from './http/dialects/mounts.ts'
import { type OwnPort, openOwnPorts } from './http/dialects/own-ports.ts'
import { renderEvent } from './http/native/events.ts'
import { buildServer, type DialectSettings } from './http/server.ts'
import { SilentConnections } from './http/silent-connections.ts'
import { redaction } from './logging.ts'
import { Mailer } from './mail/mailer.ts'
import { Smtp } from './mail/smtp.ts'
import { inviteFirstOperator } from './operations/manage-users.ts'
import type { Payments } from './operations/payments.ts'
import { PriceList } from './operations/price-list.ts'
import type { Services, SignInParts } from './operations/services.ts'
import type { Provider } from './payments/provider.ts'
import { Sandbox } from './payments/sandbox/sandbox.ts'
import type { Store } from './stores/store.ts'
import { dnsResolve, type Resolve } from './webhooks/names.ts'
import { Networks } from './webhooks/networks.ts'
import { Sender } from './webhooks/sender.ts'
import { Trials } from './webhooks/trials.ts'
import { Webhooks } from './webhooks/webhooks.ts'

/** A running Obol. */
export interface Obol {
  readonly services: Services
  readonly http: FastifyInstance
  /** Where it listens, once it does. */
  readonly address: string
  /** Dialects that have a port of their own, and where. */
  readonly ownPorts: readonly OwnPort[]
  readonly log: Logger
  readonly close: () => Promise<void>
}

/** What may differ from the settings: tests have their own clock and log. */
export interface ObolOptions {
  readonly clock?: () => number
  readonly log?: Logger
  /** Shown the operator key that this start makes, once. */
  readonly onOperatorKey?: (key: string) => void
  /** Shown the token of the first operator user, once, when no server on the store has made one before. Without it none is made. */
  readonly onFirstOperator?: (token: string) => void
  /** Gives the addresses of names that webhooks are sent to; by default DNS does. */
  readonly resolve?: Resolve
  /** Given the server before it listens: benches add the route that does nothing. */
  readonly extend?: (http: FastifyInstance) => void
}

/** Builds and starts everything. Throws StoreUnavailableError when the store cannot be opened. */
export async function startObol(config: Config, options: ObolOptions = {}): Promise<Obol> {
  const clock = options.clock ?? Date.now
  const log = options.log ?? pino({ level: config.OBOL_LOG_LEVEL, ...redaction(hiderOf(config.OBOL_KEY_PREFIX)) })
  const store = await openStore(config, { clock, log })
  const prices = new PriceList(store)
  await prices.load()
  const operatorKeyHash = await hashOfOperatorKey(config, store, options.onOperatorKey)
  const publicUrl = (): string => config.OBOL_PUBLIC_URL ?? http.listeningOrigin
  const payments = await paymentsOf(config, { store, clock, publicUrl })
  const sender = new Sender({ networks: new Networks(config.OBOL_WEBHOOK_ALLOWED_CIDRS ?? []), resolve: options.resolve ?? dnsResolve() })
  const services: Services = {
    store,
    prices,
    policy: policyOf(config),
    payments,
    invoicing: invoicingOf(config),
    clock,
    keyRing: new KeyRing(store, clock),
    sending: { sender, trials: new Trials(sender, clock) },
    signIn: await openSignIn(config, store, clock),
  }
  await offerFirstOperator(services, options.onFirstOperator)
  const mounts = new Mounts((config.OBOL_DIALECT_HOSTS ?? []).map(({ dialect, value: host }) => ({ dialect, host })))
  const http = await buildServer({
    services,
    limiter: new RateLimiter(clock),
    operatorKeyHash,
    defaultRateLimit: config.OBOL_RATE_LIMIT,
    operatorRateLimit: config.OBOL_OPERATOR_RATE_LIMIT,
    publicUrl: config.OBOL_PUBLIC_URL,
    dialects: { names: config.OBOL_DIALECTS, mounts, handlers: handlersOf(config) },
    trustedProxies: config.OBOL_TRUSTED_PROXIES,
    logger: log,
    logRequests: config.OBOL_LOG_REQUESTS,
  })
  options.extend?.(http)
  const background = startBackground(services, {
    log,
    webhooks: makeWebhooks(services, log),
    mailer: mailerOf(config, { store, clock, log }),
    ownUrl: () => (http.server.listening ? http.listeningOrigin : null),
  })
  const ownPorts: OwnPort[] = []
  const silent = new SilentConnections()
  silent.watch(http.server)
  const close = closer({ http, silent, ownPorts, background, sender, store })
  try {
    await http.ready()
    const ports = (config.OBOL_DIALECT_PORTS ?? []).map(({ dialect, value: port }) => ({ dialect, port }))
    ownPorts.push(...(await openOwnPorts(http, { host: config.OBOL_HOST, ports, mounts })))
    for (const own of ownPorts) {
      silent.watch(own.server)
      log.info(`${own.dialect} is at ${own.address}`)
    }
    return { services, http, address: await http.listen({ host: config.OBOL_HOST, port: config.OBOL_PORT }), ownPorts, log, close }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** The settings that decide what operations do. */
function policyOf(config: Config): Services['policy'] {
  return {
    capturePolicy: config.OBOL_CAPTURE_POLICY,
    refundGrantDays: config.OBOL_REFUND_GRANT_DAYS,
    makeGoodPercent: config.OBOL_MAKE_GOOD_PERCENT,
    testClocks: config.OBOL_TEST_CLOCKS === 'on',
    topUpUrl: config.OBOL_TOP_UP_URL,
    keyPrefix: config.OBOL_KEY_PREFIX,
  }
}

/** How invoices are made out. */
function invoicingOf(config: Config): Services['invoicing'] {
  const { OBOL_SELLER_NAME: name, OBOL_SELLER_ADDRESS: address, OBOL_SELLER_TAX_ID: taxId, OBOL_SELLER_CONTACT: contact } = config
  const seller = { name, address: address ?? [], taxId, contact }
  return { kind: config.OBOL_INVOICE_KIND, seller, tax: config.OBOL_TAX, note: config.OBOL_INVOICE_NOTE }
}

function makeWebhooks({ store, clock, sending }: Services, log: Logger): Webhooks {
  return new Webhooks({
    store,
    sender: sending.sender,
    show: renderEvent,
    clock,
    chance: Math.random,
    onDisabled: ({ id, owner }, reason) => log.warn({ endpoint: id, owner, reason }, 'a webhook endpoint was disabled'),
    onFault: (fault) => log.error({ err: fault }, 'delivering to a webhook endpoint failed; it goes on in a few seconds'),
  })
}

/** Who writes to people; null: nobody. */
function mailerOf(config: Config, { store, clock, log }: Pick<PaymentParts, 'store' | 'clock'> & { readonly log: Logger }): Mailer | null {
  const { OBOL_SMTP_URL: url, OBOL_MAIL_FROM: from, OBOL_TOP_UP_URL: topUpUrl } = config
  if (url === null || from === null) return null
  return new Mailer({ store, clock, topUpUrl, smtp: new Smtp({ url, from }), onFailure: (failure) => log.warn(failure) })
}

/** The services that do the work of dialects. */
function handlersOf({ OBOL_SHORTGENIUS_HANDLER_URL: url, OBOL_SHORTGENIUS_HANDLER_SECONDS: seconds }: Config): DialectSettings['handlers'] {
  return url === null ? {} : { shortgenius: { url, timeoutMs: seconds * 1000 } }
}

async function openStore(config: Config, { clock, log }: { readonly clock: () => number; readonly log: Logger }): Promise<Store> {
  const { OBOL_DATABASE_URL: url, OBOL_ACCOUNT_CACHE: maxCachedAccounts, OBOL_POSTGRES_BATCH: reach } = config
  const file = sqliteFile(url)
  if (file === null) {
    const { openPostgresStore } = await import('./stores/postgres/postgres-store.ts')
    return openPostgresStore({ url, maxCachedAccounts, clock, reach })
  }
  const { openSqliteStore } = await import('./stores/sqlite/sqlite-store.ts')
  const onFault = (fault: unknown): void => log.error({ err: fault }, 'writing back failed; it is tried again')
  return openSqliteStore({ file, clock, maxCachedAccounts, onFault })
}

interface PaymentParts {
  readonly store: Store
  readonly clock: () => number
  /** Address of the server as its users see it. */
  readonly publicUrl: () => string
}

/** How credits are paid for; null: not at all. */
async function paymentsOf(config: Config, { store, clock, publicUrl }: PaymentParts): Promise<Payments | null> {
  const provider = await providerOf(config, { store, clock, publicUrl })
  return provider && { provider, returnUrl: (checkout) => `${publicUrl()}${returnPath(store.secret, checkout)}` }
}

async function providerOf(config: Config, { store, clock, publicUrl }: PaymentParts): Promise<Provider | null> {
  if (config.OBOL_PAYMENTS === 'sandbox')
    return new Sandbox({ checkouts: store.sandboxCheckouts, secret: store.secret, clock, pagesUrl: () => `${publicUrl()}/sandbox` })
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret, STRIPE_API_BASE: apiBase } = config
  if (config.OBOL_PAYMENTS === 'off' || secretKey === null || webhookSecret === null) return null
  const { StripeProvider } = await import('./payments/stripe/stripe.ts')
  return new StripeProvider({ secretKey, webhookSecret, apiBase, clock })
}

const OPERATOR_KEY_HASH = 'operator_key_hash'

/** That of the settings; else the one that the store knows; else that of a new one: of servers that start together, one makes it for all. */
async function hashOfOperatorKey(config: Config, store: Store, show: ObolOptions['onOperatorKey']): Promise<string> {
  if (config.OBOL_OPERATOR_KEY !== null) return hashSecret(config.OBOL_OPERATOR_KEY)
  const known = await store.setting(OPERATOR_KEY_HASH)
  if (known !== undefined) return known
  const made = makeSecret(OPERATOR_PREFIX)
  const kept = await store.keepSetting(OPERATOR_KEY_HASH, hashSecret(made))
  if (kept === hashSecret(made)) show?.(made)
  return kept
}

/** Says whose tokens they are where the server does not know its own address. */
const NAMELESS_ISSUER = 'urn:obol'

async function openSignIn(
  { OBOL_PUBLIC_URL: issuer }: Config,
  { signingKeys: keys, sessions }: Store,
  clock: () => number,
): Promise<SignInParts> {
  const tokens = await AccessTokens.open({ keys, clock, issuer: issuer ?? NAMELESS_ISSUER })
  return {
    tokens,
    passwords: new Passwords(),
    throttle: new SignInThrottle(clock),
    signedIn: new SignedIn(tokens, sessions, clock),
    refreshing: new InFlight(),
  }
}

async function offerFirstOperator(services: Services, show: ObolOptions['onFirstOperator']): Promise<void> {
  const token = show ? await inviteFirstOperator(services) : null
  if (token !== null) show?.(token)
}

/** Connections that a last answer has left idle are closed so often while the server stops: Node closes those only that are idle before. */
const HANG_UP_MS = 50

interface Running {
  readonly http: FastifyInstance
  readonly silent: SilentConnections
  readonly ownPorts: readonly OwnPort[]
  readonly background: Background
  readonly sender: Sender
  readonly store: Store
}

/** Stops in the order in which nothing is lost: no new requests, then no new work, then the store. */
function closer({ http, silent, ownPorts, background, sender, store }: Running): () => Promise<void> {
  let closing: Promise<void> | null = null
  const closeAll = async (): Promise<void> => {
    const servers = [http.server, ...ownPorts.map(({ server }) => server)]
    const hangUp = (): void => {
      for (const server of servers) server.closeIdleConnections()
      silent.hangUp()
    }
    const hangingUp = setInterval(hangUp, HANG_UP_MS)
    const others = ownPorts.map(({ server }) => new Promise<void>((done, fail) => server.close((fault) => (fault ? fail(fault) : done()))))
    await Promise.all([http.close(), ...others]).finally(() => clearInterval(hangingUp))
    await background.stop()
    await sender.close()
    await store.close()
  }
  return () => {
    closing ??= closeAll()
    return closing
  }
}
