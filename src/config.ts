/** Every setting: its name, what it means, what it may be, and what it is when nobody says. */

import { readFileSync } from 'node:fs'
import { parseEmail } from './auth/emails.ts'
import { isKeyPrefix, KEY_PREFIX } from './auth/secrets.ts'
import type { CapturePolicy } from './core/account.ts'
import {
  DIALECT_NAMES,
  dialectHosts,
  dialects,
  httpAddress,
  integer,
  internalNetworks,
  line,
  lines,
  networks,
  ofDialects,
  oneOf,
  rateLimit,
  smtpAddress,
  tax,
  text,
} from './setting-values.ts'

/** How one setting is read. */
interface Setting<Value> {
  readonly meaning: string
  /** What it is when it is not set, as text; null: nothing. */
  readonly fallback: string | null
  /** Its value must not be shown. */
  readonly isSecret?: true
  /** Reads its text. Returns undefined for text that it may not be. */
  readonly parse: (text: string) => Value | undefined
  /** What it may be, for the message when it is not. */
  readonly form: string
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const

/** Shortest operator key. */
export const MIN_OPERATOR_KEY = 24

/** Every setting of the server. */
export const SETTINGS = {
  OBOL_HOST: { meaning: 'Address to listen on.', fallback: '127.0.0.1', parse: text, form: 'a host name or address' },
  OBOL_PORT: {
    meaning: 'Port to listen on; 0: any that is free.',
    fallback: '4000',
    parse: integer(0, 65_535),
    form: 'a port from 0 to 65535',
  },
  OBOL_DATABASE_URL: {
    meaning: 'Where the store is: `sqlite:` and the path of its file, or the address of a PostgreSQL database (15 or newer).',
    fallback: 'sqlite:./data/obol.db',
    isSecret: true,
    parse: (value: string) => (/^(sqlite:(?!\/\/)|postgres(ql)?:\/\/).+/.test(value) ? value : undefined),
    form: '`sqlite:` and a path, such as sqlite:./data/obol.db, or an address such as postgres://user:password@host:5432/database',
  },
  OBOL_OPERATOR_KEY: {
    meaning: `The operator's key: any secret of ${MIN_OPERATOR_KEY} characters or more. Without it one is made and printed once, when the store is made.`,
    fallback: null,
    isSecret: true,
    parse: (value: string) => (/^[\x21-\x7e]+$/.test(value) && value.length >= MIN_OPERATOR_KEY ? value : undefined),
    form: `${MIN_OPERATOR_KEY} or more printable characters without spaces`,
  },
  OBOL_KEY_PREFIX: {
    meaning: 'What the secrets of new customer keys begin with. Keys that were made under another prefix keep working.',
    fallback: KEY_PREFIX,
    parse: (value: string) => (isKeyPrefix(value) ? value : undefined),
    form: 'a letter and up to 19 letters, digits, _ or -, with _ or - at the end, such as ap_',
  },
  OBOL_PUBLIC_URL: {
    meaning: 'Address of the server as its users see it. Without it: that of host and port. `OBOL_PAYMENTS=stripe` needs it.',
    fallback: null,
    parse: httpAddress,
    form: 'an http or https address',
  },
  OBOL_TRUSTED_PROXIES: {
    meaning:
      'Proxies in front of the server, whose `X-Forwarded-For` is believed: it says where sign-ins come from, which are limited by address. Without it: none is believed.',
    fallback: null,
    parse: networks,
    form: 'addresses and networks separated by commas, such as 127.0.0.1,10.0.0.0/8',
  },
  OBOL_DIALECTS: {
    meaning: "Other products' APIs that are served, each below its name: `/evolink/v1/credits`.",
    fallback: DIALECT_NAMES.join(','),
    parse: dialects,
    form: `off, or some of ${DIALECT_NAMES.join(', ')}, with commas between them`,
  },
  OBOL_DIALECT_HOSTS: {
    meaning: 'Host names at which a dialect is served without the prefix, for clients that take a base address but no path.',
    fallback: null,
    parse: dialectHosts,
    form: 'dialect:host, such as audiopod:api.audiopod.example, with commas between them; each host once',
  },
  OBOL_DIALECT_PORTS: {
    meaning: 'Ports at which a dialect is served without the prefix; 0: any that is free.',
    fallback: null,
    parse: ofDialects(integer(0, 65_535)),
    form: 'dialect:port, such as audiopod:4101, with commas between them',
  },
  OBOL_SHORTGENIUS_HANDLER_URL: {
    meaning:
      'Address of your service that does the work which the ShortGenius dialect charges; it may have a name and password. Without it the work is answered with samples.',
    fallback: null,
    isSecret: true,
    parse: (value: string) => (/[?#]/.test(value) ? undefined : httpAddress(value)),
    form: 'an http or https address without a query',
  },
  OBOL_SHORTGENIUS_HANDLER_SECONDS: {
    meaning: 'Longest that this service may take for one request.',
    fallback: '60',
    parse: integer(1, 300),
    form: 'a number from 1 to 300',
  },
  OBOL_TOP_UP_URL: {
    meaning: 'Where customers buy credits: given with `insufficient_credits` and in `GET /v1/credits`.',
    fallback: null,
    parse: httpAddress,
    form: 'an http or https address',
  },
  OBOL_PAYMENTS: {
    meaning:
      'How credits are paid for: `stripe`; `sandbox`, which takes no money and gives credits all the same, for trying out; `off`: not at all. `obol dev` uses the sandbox unless told otherwise.',
    fallback: 'off',
    parse: oneOf('sandbox', 'stripe', 'off'),
    form: 'sandbox, stripe or off',
  },
  STRIPE_SECRET_KEY: {
    meaning: "Stripe's secret or restricted key, with `OBOL_PAYMENTS=stripe`. A test key sells for play money.",
    fallback: null,
    isSecret: true,
    parse: (value: string) => (/^[sr]k_(live|test)_\w{8,}$/.test(value) ? value : undefined),
    form: 'a key that begins with sk_live_, sk_test_, rk_live_ or rk_test_',
  },
  STRIPE_WEBHOOK_SECRET: {
    meaning: 'Secret of the webhook endpoint that leads to `/v1/payments/stripe/events`, with `OBOL_PAYMENTS=stripe`.',
    fallback: null,
    isSecret: true,
    parse: (value: string) => (/^whsec_\S{8,}$/.test(value) ? value : undefined),
    form: 'a secret that begins with whsec_',
  },
  STRIPE_API_BASE: {
    meaning: "Address of Stripe's API.",
    fallback: 'https://api.stripe.com',
    parse: httpAddress,
    form: 'an http or https address',
  },
  OBOL_INVOICE_KIND: {
    meaning:
      'What customers get for a payment: a `receipt`, or an `invoice` with your name and address on it, which have to be set then. Which of them you owe, and what else has to be on it, is for your tax adviser.',
    fallback: 'receipt',
    parse: oneOf('receipt', 'invoice'),
    form: 'receipt or invoice',
  },
  OBOL_SELLER_NAME: {
    meaning: 'Who sells, on receipts, invoices and statements.',
    fallback: null,
    parse: line(200),
    form: 'a line of text',
  },
  OBOL_SELLER_ADDRESS: {
    meaning: "The seller's address, its lines separated by `|`, such as `ul. Piotrkowska 1|90-001 Łódź|Poland`.",
    fallback: null,
    parse: lines,
    form: '1 to 8 lines of text with | between them',
  },
  OBOL_SELLER_TAX_ID: { meaning: "The seller's tax number.", fallback: null, parse: line(50), form: 'a line of text' },
  OBOL_SELLER_CONTACT: { meaning: 'Where customers ask about invoices.', fallback: null, parse: line(200), form: 'a line of text' },
  OBOL_TAX: {
    meaning:
      'A tax that is contained in your prices, by name and percent, such as `VAT 23`: shown on what is issued from then on. Tax that the payment provider adds on top is shown whether or not this is set.',
    fallback: null,
    parse: tax,
    form: 'a name and a percentage with at most 3 decimals, such as VAT 23',
  },
  OBOL_INVOICE_NOTE: {
    meaning: 'Printed at the foot of invoices, such as a wording that your law asks for.',
    fallback: null,
    parse: line(500),
    form: 'a line of text of at most 500 characters',
  },
  OBOL_WEBHOOK_ALLOWED_CIDRS: {
    meaning:
      'Internal networks to which webhooks may be sent, with or without TLS. Only endpoints whose address the operator named reach them; everybody else reaches public addresses alone, by https.',
    fallback: null,
    parse: internalNetworks,
    form: 'networks separated by commas, such as 10.0.0.0/8,127.0.0.1/32',
  },
  OBOL_SMTP_URL: {
    meaning:
      'SMTP server that e-mails about alerts are handed to; it may have a name and password, which go to servers elsewhere only encrypted. Without it none are sent. Needs `OBOL_MAIL_FROM`.',
    fallback: null,
    isSecret: true,
    parse: smtpAddress,
    form: 'an address such as smtp://name:password@mail.example.com:587, or smtps://',
  },
  OBOL_MAIL_FROM: {
    meaning: 'Whom these e-mails are from.',
    fallback: null,
    parse: (value: string) => parseEmail(value)?.text,
    form: 'an e-mail address',
  },
  OBOL_CAPTURE_POLICY: {
    meaning: 'What a capture above its hold does when neither request, hold nor account says.',
    fallback: 'overdraft',
    parse: oneOf<CapturePolicy>('reject', 'cap', 'overdraft'),
    form: 'reject, cap or overdraft',
  },
  OBOL_REFUND_GRANT_DAYS: {
    meaning: 'Days that refunded credits live whose own grant has ended.',
    fallback: '30',
    parse: integer(1, 3_650),
    form: 'a number from 1 to 3650',
  },
  OBOL_MAKE_GOOD_PERCENT: {
    meaning: 'Of a charge whose work is reported as failed, in percent, that is given back by itself.',
    fallback: '100',
    parse: integer(0, 100),
    form: 'a number from 0 to 100',
  },
  OBOL_TEST_CLOCKS: {
    meaning:
      'Whether accounts may be opened that live by a clock which tests move: `on` or `off`. `obol dev` has them unless told otherwise. Never on a server with real customers.',
    fallback: 'off',
    parse: oneOf('on', 'off'),
    form: 'on or off',
  },
  OBOL_RATE_LIMIT: {
    meaning: 'Requests per seconds for each customer key that has no limit of its own.',
    fallback: '600/60',
    parse: rateLimit,
    form: 'requests/seconds, such as 600/60',
  },
  OBOL_OPERATOR_RATE_LIMIT: {
    meaning: 'Requests per seconds for the operator key. Without it: no limit.',
    fallback: null,
    parse: rateLimit,
    form: 'requests/seconds, such as 6000/60',
  },
  OBOL_ACCOUNT_CACHE: {
    meaning: 'Accounts that the embedded store keeps in memory, at most.',
    fallback: '200000',
    parse: integer(100, 10_000_000),
    form: 'a number from 100 to 10000000',
  },
  OBOL_POSTGRES_BATCH: {
    meaning:
      'What one commit on PostgreSQL may hold: `any` accounts, or those of one `bucket` only, as a store needs that is distributed with Citus.',
    fallback: 'any',
    parse: oneOf('any', 'bucket'),
    form: 'any or bucket',
  },
  OBOL_LOG_LEVEL: { meaning: 'Least level that is logged.', fallback: 'info', parse: oneOf(...LOG_LEVELS), form: LOG_LEVELS.join(', ') },
  OBOL_LOG_REQUESTS: {
    meaning: 'Log every request, not only failures.',
    fallback: 'false',
    parse: (value: string) => (value === 'true' ? true : value === 'false' ? false : undefined),
    form: 'true or false',
  },
} as const satisfies Record<string, Setting<unknown>>

/** The name of a setting. */
export type SettingName = keyof typeof SETTINGS

/** The values of all settings; null for those that are not set and have no fallback. */
export type Config = {
  readonly [Name in SettingName]:
    | Exclude<ReturnType<(typeof SETTINGS)[Name]['parse']>, undefined>
    | ((typeof SETTINGS)[Name]['fallback'] extends null ? null : never)
}

/** Environment variables by their names. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Thrown with every fault of the settings at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** The last one because Stripe sends customers back there. */
const STRIPE_NEEDS = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'OBOL_PUBLIC_URL'] as const satisfies readonly SettingName[]

function inWords(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

const INVOICE_NEEDS = ['OBOL_SELLER_NAME', 'OBOL_SELLER_ADDRESS'] as const satisfies readonly SettingName[]

/** Names that other parts of Obol read: not settings of the server, and not misspelt ones. */
const OTHERS = new Set(['OBOL_URL'])

/**
 * Reads the settings from the environment: `NAME`, or `NAME_FILE` with the path of a file that holds the value.
 * Throws ConfigError. Names that nobody knows are returned, for a warning.
 */
export function readConfig(environment: Environment): {
  readonly config: Config
  readonly unknown: readonly string[]
} {
  const config = readNamed(environment, Object.keys(SETTINGS) as SettingName[])
  refuseUnserved(config)
  const missing = config.OBOL_PAYMENTS === 'stripe' ? STRIPE_NEEDS.filter((name) => config[name] === null) : []
  if (missing.length > 0) throw new ConfigError(`OBOL_PAYMENTS is stripe: set ${inWords(missing)} as well.`)
  const unsaid = config.OBOL_INVOICE_KIND === 'invoice' ? INVOICE_NEEDS.filter((name) => config[name] === null) : []
  if (unsaid.length > 0) throw new ConfigError(`OBOL_INVOICE_KIND is invoice: set ${inWords(unsaid)} as well.`)
  const mail = (['OBOL_SMTP_URL', 'OBOL_MAIL_FROM'] as const).filter((name) => config[name] === null)
  if (mail.length === 1) throw new ConfigError(`OBOL_SMTP_URL and OBOL_MAIL_FROM need each other: set ${inWords(mail)} as well.`)
  const known = (name: string): boolean => name in SETTINGS || OTHERS.has(name) || (name.endsWith('_FILE') && name.slice(0, -5) in SETTINGS)
  const unknown = Object.keys(environment).filter((name) => name.startsWith('OBOL_') && !name.startsWith('OBOL_TEST_') && !known(name))
  return { config, unknown }
}

/** Refuses an own host or port of a dialect that is not served. Throws ConfigError. */
function refuseUnserved({ OBOL_DIALECTS: served, ...config }: Config): void {
  const faults = (['OBOL_DIALECT_HOSTS', 'OBOL_DIALECT_PORTS'] as const).flatMap((name) =>
    (config[name] ?? [])
      .filter(({ dialect }) => !served.includes(dialect))
      .map(({ dialect }) => `${name} names ${dialect}, which OBOL_DIALECTS leaves out.`),
  )
  if (faults.length > 0) throw new ConfigError(faults.join('\n'))
}

/** Reads some settings, as `readConfig` reads them all. Throws ConfigError with the faults of these. */
export function readNamed<Name extends SettingName>(environment: Environment, names: readonly Name[]): Pick<Config, Name> {
  const faults: string[] = []
  const values: Record<string, unknown> = {}
  for (const name of names) {
    const setting: Setting<unknown> = SETTINGS[name]
    const given = readText(environment, name, faults) ?? setting.fallback
    const value = given === null ? null : setting.parse(given)
    if (value === undefined) faults.push(`${name} must be ${setting.form}${setting.isSecret ? '' : `, not ${JSON.stringify(given)}`}`)
    values[name] = value
  }
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `${fault}.`).join('\n'))
  return values as Pick<Config, Name>
}

function readText(environment: Environment, name: string, faults: string[]): string | null {
  const value = environment[name]
  const file = environment[`${name}_FILE`]
  if (file === undefined) return value === undefined || value === '' ? null : value
  if (value !== undefined && value !== '') {
    faults.push(`${name} and ${name}_FILE are both set; set one`)
    return null
  }
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    faults.push(`${name}_FILE cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
    return null
  }
}

/** The path of a SQLite store's file; null: the store is a PostgreSQL database. */
export function sqliteFile(databaseUrl: string): string | null {
  return databaseUrl.startsWith('sqlite:') ? databaseUrl.slice('sqlite:'.length) : null
}
