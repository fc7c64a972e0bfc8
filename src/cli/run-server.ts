/** `obol dev` and `obol serve`: the server as a process, from its settings to its graceful stop. */

import { type Obol, type ObolOptions, startObol } from '../app.ts'
import { makeSecret, OPERATOR_PREFIX } from '../auth/secrets.ts'
import type { Config, Environment } from '../config.ts'
import { StoreUnavailableError } from '../stores/unavailable.ts'
import { CliError, EXIT, makeClient } from './client.ts'
import { type DevSecrets, devSecretsFile, readDevSecrets, saveDevSecrets } from './dev-secrets.ts'
import { openSampleUser } from './sample-user.ts'
import { offerSampleTopups, openSampleAccounts, publishSamplePrices } from './samples.ts'
import { readSettings } from './settings.ts'

/** Longest that a stop may take before the process ends all the same. */
const STOP_MS = 25_000

/** Runs an empty server. */
export async function serve(environment: Environment): Promise<void> {
  const { config, unknown } = readSettings(environment)
  const signals = hearSignals()
  const obol = await start(config, {
    onOperatorKey: (key) =>
      console.log(`\nOperator key, shown this once:\n\n  ${key}\n\nSet it as OBOL_OPERATOR_KEY wherever the API is called from.\n`),
    onFirstOperator: (token) => console.log(firstOperator(config, token)),
    extend: ({ log }) => {
      for (const name of unknown) log.warn(`${name} is not a setting and is ignored; docs/reference/settings.md lists them`)
    },
  })
  if (config.OBOL_PAYMENTS === 'sandbox') obol.log.warn(SANDBOX_WARNING)
  signals.stop(obol)
}

function firstOperator({ OBOL_PUBLIC_URL, OBOL_HOST, OBOL_PORT }: Config, token: string): string {
  const url = OBOL_PUBLIC_URL ?? `http://${OBOL_HOST}:${OBOL_PORT}`
  const body = `{"token":"${token}","email":"you@example.com","password":"…"}`
  return `
First operator user: whoever sends this token within 24 hours, with an e-mail address and a password of 15 characters or more. Shown this once:

  ${token}

  curl -s ${url}/v1/auth/accept-invitation -H "Content-Type: application/json" -d '${body}'

"obol users bootstrap" makes another one.
`
}

const SANDBOX_WARNING =
  'OBOL_PAYMENTS is sandbox: every customer can have credits for nothing. Set stripe or off where credits are worth something.'

/** Runs a server with sample prices and accounts, and shows how to use it. */
export async function dev(environment: Environment): Promise<void> {
  const { config } = readSettings(environment)
  const signals = hearSignals()
  const file = devSecretsFile(config.OBOL_DATABASE_URL)
  const known = readDevSecrets(file)
  const operator_key = config.OBOL_OPERATOR_KEY ?? known?.operator_key ?? makeSecret(OPERATOR_PREFIX)
  const obol = await start({
    ...config,
    OBOL_OPERATOR_KEY: operator_key,
    OBOL_LOG_LEVEL: environment.OBOL_LOG_LEVEL ? config.OBOL_LOG_LEVEL : 'warn',
    OBOL_PAYMENTS: environment.OBOL_PAYMENTS ? config.OBOL_PAYMENTS : 'sandbox',
    OBOL_TEST_CLOCKS: environment.OBOL_TEST_CLOCKS ? config.OBOL_TEST_CLOCKS : 'on',
  })
  signals.stop(obol)
  try {
    const secrets = await addSamples(obol, { ...known, operator_key }, file)
    console.log(welcome(obol, secrets, { file, dialects: config.OBOL_DIALECTS }))
  } catch (fault) {
    await obol.close()
    throw fault
  }
}

/** Publishes the sample prices and opens the sample accounts, so far as they are not there. Keys that still work stay. */
async function addSamples(obol: Obol, known: DevSecrets, file: string): Promise<DevSecrets> {
  const client = makeClient(obol.address, known.operator_key)
  saveDevSecrets(file, known)
  await publishSamplePrices(client)
  if (obol.services.payments !== null) await offerSampleTopups(client)
  const accounts = await openSampleAccounts(client, { known: known.accounts ?? [], nowMs: Date.now() })
  const user = await openSampleUser(client, { account: accounts[0]?.id ?? '', known: known.user })
  const secrets = { ...known, accounts, user }
  saveDevSecrets(file, secrets)
  return secrets
}

async function start(config: Config, options: ObolOptions = {}): Promise<Obol> {
  try {
    return await startObol(config, options)
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw new CliError(cause.message, { exitCode: EXIT.unavailable, cause })
    throw isUnlistenable(cause) ? unlistenable(cause, config) : cause
  }
}

/** Why a port cannot be listened on. */
interface Unlistenable extends Error {
  readonly code: string
  /** Undefined where the host, and not the port, is the reason. */
  readonly port?: number
}

function isUnlistenable(cause: unknown): cause is Unlistenable {
  return cause instanceof Error && 'code' in cause && ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(String(cause.code))
}

function unlistenable(cause: Unlistenable, { OBOL_HOST: host, OBOL_PORT: main }: Config): CliError {
  const { code, port = main } = cause
  const setting = port === main ? 'OBOL_PORT' : 'OBOL_DIALECT_PORTS'
  const message = `${host}:${port} cannot be listened on (${code}). Stop what uses it, or set ${setting}.`
  return new CliError(message, { exitCode: EXIT.unavailable, cause })
}

interface Signals {
  /** From now on a signal stops this server; one that came before stops it at once. */
  readonly stop: (obol: Obol) => void
}

/**
 * The first signal stops gracefully: running requests end, what was accepted is durable. The second ends the process. Signals are heard
 * from before the start, because whoever reads that the server listens may stop it in the same moment.
 */
function hearSignals(): Signals {
  let server: Obol | null = null
  let heard: string | null = null
  const hear = (signal: string): void => {
    if (heard !== null) process.exit(EXIT.failed)
    heard = signal
    if (server !== null) stopServer(server, signal)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => hear(signal))
  return {
    stop: (obol) => {
      server = obol
      if (heard !== null) stopServer(obol, heard)
    },
  }
}

function stopServer(obol: Obol, signal: string): void {
  obol.log.info(`${signal}: stopping`)
  setTimeout(() => process.exit(EXIT.failed), STOP_MS).unref()
  obol.close().then(
    () => process.exit(0),
    (fault: unknown) => {
      obol.log.fatal({ err: fault }, 'the stop failed')
      process.exit(EXIT.failed)
    },
  )
}

interface WelcomeFacts {
  /** Of the secrets. */
  readonly file: string
  readonly dialects: readonly string[]
}

function welcome({ address, ownPorts }: Obol, { operator_key, accounts = [], user }: DevSecrets, { file, dialects }: WelcomeFacts): string {
  const [first] = accounts
  const shown = accounts.map(({ id, name, key }) => `  ${name.padEnd(14)} ${id}  ${key}`).join('\n')
  return `
Obol is running at ${address}

  API reference  ${address}/docs
  Dialects       ${dialectsAt(dialects, ownPorts)}
  Operator key   ${operator_key}

Accounts and their keys
${shown}

A user, who owns the first one (POST /v1/auth/token)
  ${user?.email}  ${user?.password}

What does ${first?.name} have?

  curl -s ${address}/v1/credits -H "Authorization: Bearer ${first?.key}"

Charge 90 seconds of transcription (the second time, the key makes it a replay):

  curl -s ${address}/v1/charges -H "Authorization: Bearer ${operator_key}" -H "Content-Type: application/json" -H "Idempotency-Key: my-first-charge" -d '{"account":"${first?.id}","operation":"transcription","quantities":{"second":90}}'

Buy credits, on a checkout page that takes no money (open its "url" in a browser):

  curl -s ${address}/v1/checkout-sessions -H "Authorization: Bearer ${first?.key}" -H "Content-Type: application/json" -H "Idempotency-Key: my-first-checkout" -d '{"amount_minor":1000}'

Stop with Ctrl-C. These secrets are kept in ${file} for the next start; "obol serve" keeps none.
`
}

/** Where other products' APIs are: below the address, or on ports of their own. */
function dialectsAt(dialects: readonly string[], ownPorts: Obol['ownPorts']): string {
  const places = dialects.map((name) => ownPorts.find(({ dialect }) => dialect === name)?.address ?? `/${name}`)
  return places.length === 0 ? 'off' : `${places.join('  ')}  (docs/guides/dialects.md)`
}
