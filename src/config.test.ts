import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigError, MIN_OPERATOR_KEY, readConfig, readNamed, SETTINGS, type SettingName } from './config.ts'

/** The faults that an environment has, a line each. */
function faultsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    readConfig(environment)
  } catch (fault) {
    assert.ok(fault instanceof ConfigError)
    return fault.message.split('\n')
  }
  return []
}

function secretFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'obol-config-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'secret')
  writeFileSync(file, text)
  return file
}

test('every setting has a value when nothing is set, or null where it has no default', () => {
  const { config, unknown } = readConfig({})
  assert.deepEqual(config, {
    OBOL_HOST: '127.0.0.1',
    OBOL_PORT: 4000,
    OBOL_DATABASE_URL: 'sqlite:./data/obol.db',
    OBOL_OPERATOR_KEY: null,
    OBOL_KEY_PREFIX: 'obol_live_',
    OBOL_PUBLIC_URL: null,
    OBOL_TRUSTED_PROXIES: null,
    OBOL_WEBHOOK_ALLOWED_CIDRS: null,
    OBOL_DIALECTS: ['shortgenius', 'audiopod', 'videodb', 'evolink'],
    OBOL_DIALECT_HOSTS: null,
    OBOL_DIALECT_PORTS: null,
    OBOL_SHORTGENIUS_HANDLER_URL: null,
    OBOL_SHORTGENIUS_HANDLER_SECONDS: 60,
    OBOL_TOP_UP_URL: null,
    OBOL_PAYMENTS: 'off',
    STRIPE_SECRET_KEY: null,
    STRIPE_WEBHOOK_SECRET: null,
    STRIPE_API_BASE: 'https://api.stripe.com',
    OBOL_INVOICE_KIND: 'receipt',
    OBOL_SELLER_NAME: null,
    OBOL_SELLER_ADDRESS: null,
    OBOL_SELLER_TAX_ID: null,
    OBOL_SELLER_CONTACT: null,
    OBOL_TAX: null,
    OBOL_INVOICE_NOTE: null,
    OBOL_SMTP_URL: null,
    OBOL_MAIL_FROM: null,
    OBOL_CAPTURE_POLICY: 'overdraft',
    OBOL_REFUND_GRANT_DAYS: 30,
    OBOL_MAKE_GOOD_PERCENT: 100,
    OBOL_TEST_CLOCKS: 'off',
    OBOL_RATE_LIMIT: { requests: 600, windowSeconds: 60 },
    OBOL_OPERATOR_RATE_LIMIT: null,
    OBOL_ACCOUNT_CACHE: 200_000,
    OBOL_POSTGRES_BATCH: 'any',
    OBOL_LOG_LEVEL: 'info',
    OBOL_LOG_REQUESTS: false,
  })
  assert.deepEqual(unknown, [])
})

test('every default is a value that the setting may be', () => {
  for (const [name, { fallback, parse }] of Object.entries(SETTINGS))
    if (fallback !== null) assert.notEqual(parse(fallback), undefined, name)
})

/** What each setting is read as. */
const READ: readonly (readonly [name: SettingName, text: string, value: unknown])[] = [
  ['OBOL_HOST', '0.0.0.0', '0.0.0.0'],
  ['OBOL_PORT', '0', 0],
  ['OBOL_PORT', '65535', 65_535],
  ['OBOL_DATABASE_URL', 'sqlite:/var/lib/obol/obol.db', 'sqlite:/var/lib/obol/obol.db'],
  ['OBOL_DATABASE_URL', 'postgres://obol@db/obol', 'postgres://obol@db/obol'],
  ['OBOL_OPERATOR_KEY', 'x'.repeat(MIN_OPERATOR_KEY), 'x'.repeat(MIN_OPERATOR_KEY)],
  ['OBOL_KEY_PREFIX', 'sk-', 'sk-'],
  ['OBOL_PUBLIC_URL', 'https://credits.example.com/', 'https://credits.example.com'],
  ['OBOL_TRUSTED_PROXIES', '127.0.0.1, 10.0.0.0/8,::1,fd00::/8', ['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8']],
  ['OBOL_DIALECTS', 'off', []],
  ['OBOL_DIALECTS', 'evolink, audiopod', ['evolink', 'audiopod']],
  [
    'OBOL_DIALECT_HOSTS',
    'audiopod:API.audiopod.example,audiopod:localhost',
    [
      { dialect: 'audiopod', value: 'api.audiopod.example' },
      { dialect: 'audiopod', value: 'localhost' },
    ],
  ],
  ['OBOL_DIALECT_PORTS', 'audiopod:4101', [{ dialect: 'audiopod', value: 4_101 }]],
  ['OBOL_SHORTGENIUS_HANDLER_URL', 'https://a:b@example.com/work/', 'https://a:b@example.com/work'],
  ['OBOL_SHORTGENIUS_HANDLER_SECONDS', '300', 300],
  ['OBOL_TOP_UP_URL', 'https://example.com/buy?from=obol', 'https://example.com/buy?from=obol'],
  ['OBOL_PAYMENTS', 'sandbox', 'sandbox'],
  ['STRIPE_SECRET_KEY', 'rk_live_0123456789', 'rk_live_0123456789'],
  ['STRIPE_WEBHOOK_SECRET', 'whsec_0123456789', 'whsec_0123456789'],
  ['STRIPE_API_BASE', 'http://127.0.0.1:12111/', 'http://127.0.0.1:12111'],
  ['OBOL_INVOICE_KIND', 'receipt', 'receipt'],
  ['OBOL_SELLER_NAME', ' Spółka Łódź ', 'Spółka Łódź'],
  ['OBOL_SELLER_ADDRESS', 'ul. Piotrkowska 1| 90-001 Łódź |Poland', ['ul. Piotrkowska 1', '90-001 Łódź', 'Poland']],
  ['OBOL_SELLER_TAX_ID', 'PL5250000000', 'PL5250000000'],
  ['OBOL_SELLER_CONTACT', 'billing@example.com', 'billing@example.com'],
  ['OBOL_TAX', 'VAT 23', { name: 'VAT', percent: '23' }],
  ['OBOL_TAX', 'Sales tax 8.875 %', { name: 'Sales tax', percent: '8.875' }],
  ['OBOL_INVOICE_NOTE', 'Thank you.', 'Thank you.'],
  [
    'OBOL_WEBHOOK_ALLOWED_CIDRS',
    '10.0.0.0/8, fd00::/8',
    [
      { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
      { address: 'fd00::', prefix: 8, family: 'ipv6' },
    ],
  ],
  ['OBOL_SMTP_URL', 'smtps://obol:a%40b@mail.example.com', 'smtps://obol:a%40b@mail.example.com'],
  ['OBOL_MAIL_FROM', 'obol@example.com', 'obol@example.com'],
  ['OBOL_CAPTURE_POLICY', 'cap', 'cap'],
  ['OBOL_REFUND_GRANT_DAYS', '1', 1],
  ['OBOL_MAKE_GOOD_PERCENT', '0', 0],
  ['OBOL_TEST_CLOCKS', 'on', 'on'],
  ['OBOL_RATE_LIMIT', '10/1', { requests: 10, windowSeconds: 1 }],
  ['OBOL_OPERATOR_RATE_LIMIT', '6000/60', { requests: 6_000, windowSeconds: 60 }],
  ['OBOL_ACCOUNT_CACHE', '100', 100],
  ['OBOL_POSTGRES_BATCH', 'any', 'any'],
  ['OBOL_POSTGRES_BATCH', 'bucket', 'bucket'],
  ['OBOL_LOG_LEVEL', 'silent', 'silent'],
  ['OBOL_LOG_REQUESTS', 'true', true],
]

test('every setting is read as what it says', () => {
  for (const [name, text, value] of READ) assert.deepEqual(readNamed({ [name]: text }, [name])[name], value, `${name}=${text}`)
  assert.deepEqual([...new Set(READ.map(([name]) => name))], Object.keys(SETTINGS), 'each has a row')
})

/** What each setting may not be. */
const REFUSED: readonly (readonly [name: SettingName, ...texts: string[]])[] = [
  ['OBOL_PORT', 'x', '-1', '65536', '4000.5', '0x10', '1e3', ' 4000'],
  ['OBOL_DATABASE_URL', 'mysql://x', 'postgres:', 'sqlite:', 'sqlite://x/y', '/var/obol.db', './obol.db'],
  ['OBOL_OPERATOR_KEY', 'x'.repeat(MIN_OPERATOR_KEY - 1), `${'x'.repeat(MIN_OPERATOR_KEY)} y`, 'ü'.repeat(MIN_OPERATOR_KEY)],
  ['OBOL_KEY_PREFIX', 'ap', '_', '9p_', 'ap.', 'obol_admin_', 'a p_', `${'a'.repeat(20)}_`, 'ü_'],
  ['OBOL_PUBLIC_URL', 'example.com', 'ftp://example.com', 'https://', 'javascript:alert(1)'],
  [
    'OBOL_TRUSTED_PROXIES',
    'loopback',
    '127.0.0.1,',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '10.0.0.0/8/8',
    '10.0.0/8',
    'fd00::/129',
    '127.0.0.1 10.0.0.1',
  ],
  ['OBOL_WEBHOOK_ALLOWED_CIDRS', 'localhost', '10.0.0.1', '10.0.0.0/33', '10.0.0.0/8,', '10.0.0.0/8 127.0.0.1/32', 'fd00::/129'],
  ['OBOL_DIALECTS', 'none', 'evolink,evolink', 'evolink audiopod', 'Evolink', 'off,evolink'],
  ['OBOL_DIALECT_HOSTS', 'evolink', 'evolink:', 'evolink:a b', 'evolink:a/b', 'evolink:a:80', 'other:a', 'evolink:a,videodb:A'],
  ['OBOL_DIALECT_PORTS', 'evolink', 'evolink:x', 'evolink:65536', '4101', 'other:4101'],
  ['OBOL_SHORTGENIUS_HANDLER_URL', 'example.com', 'file:///etc/passwd', 'https://example.com/?a=b'],
  ['OBOL_SHORTGENIUS_HANDLER_SECONDS', '0', '301', '1.5'],
  ['OBOL_TOP_UP_URL', 'example.com', '/buy'],
  ['OBOL_PAYMENTS', 'Stripe', 'on', 'paypal'],
  ['STRIPE_SECRET_KEY', 'pk_live_0123456789', 'sk_live_', 'sk_live_0123 456789'],
  ['STRIPE_WEBHOOK_SECRET', 'secret', 'whsec_'],
  ['STRIPE_API_BASE', 'api.stripe.com'],
  ['OBOL_INVOICE_KIND', 'bill', 'Receipt'],
  ['OBOL_SELLER_NAME', ' ', 'two\nlines', 'x'.repeat(201)],
  ['OBOL_SELLER_ADDRESS', '|', 'a||b', 'a|b|c|d|e|f|g|h|i', 'x'.repeat(101)],
  ['OBOL_SELLER_TAX_ID', 'x'.repeat(51)],
  ['OBOL_SELLER_CONTACT', '\t'],
  ['OBOL_TAX', 'VAT', '23', 'VAT 100', 'VAT -5', 'VAT 1.2345', 'VAT 2,5'],
  ['OBOL_INVOICE_NOTE', 'x'.repeat(501)],
  [
    'OBOL_SMTP_URL',
    'mail.example.com',
    'http://mail.example.com',
    'smtp://',
    'smtp://name@mail.example.com',
    'smtp://mail.example.com/?tls=no',
  ],
  ['OBOL_MAIL_FROM', 'Obol', 'Obol <obol@example.com>'],
  ['OBOL_CAPTURE_POLICY', 'Cap', 'never'],
  ['OBOL_REFUND_GRANT_DAYS', '0', '3651', '1.5'],
  ['OBOL_RATE_LIMIT', '600', '0/60', '600/0', '600/60/1', '600 / 60', '-1/60'],
  ['OBOL_OPERATOR_RATE_LIMIT', 'none'],
  ['OBOL_ACCOUNT_CACHE', '99', '10000001'],
  ['OBOL_POSTGRES_BATCH', 'Any', 'buckets', '1'],
  ['OBOL_LOG_LEVEL', 'INFO', 'trace'],
  ['OBOL_LOG_REQUESTS', 'yes', '1', 'TRUE'],
]

test('a setting that may not be so is refused with what it may be, and what it was unless that is a secret', () => {
  for (const [name, ...texts] of REFUSED)
    for (const text of texts) {
      const [fault = '', ...more] = faultsOf({ [name]: text })
      assert.deepEqual(more, [], `${name}=${text}`)
      assert.ok(fault.startsWith(`${name} must be ${SETTINGS[name].form}`), `${name}=${text}: ${fault}`)
      if ('isSecret' in SETTINGS[name]) assert.equal(fault, `${name} must be ${SETTINGS[name].form}.`, `${name} is not shown`)
      else assert.ok(fault.endsWith(`, not ${JSON.stringify(text)}.`), fault)
    }
})

test('an own host or port of a dialect that is not served is a fault', () => {
  const served = { OBOL_DIALECTS: 'evolink', OBOL_DIALECT_PORTS: 'evolink:1,videodb:2', OBOL_DIALECT_HOSTS: 'audiopod:a' }
  assert.deepEqual(faultsOf(served), [
    'OBOL_DIALECT_HOSTS names audiopod, which OBOL_DIALECTS leaves out.',
    'OBOL_DIALECT_PORTS names videodb, which OBOL_DIALECTS leaves out.',
  ])
})

test('all faults are told at once', () => {
  const faults = faultsOf({ OBOL_PORT: 'x', OBOL_LOG_LEVEL: 'loud', OBOL_RATE_LIMIT: '1' })
  assert.deepEqual(
    faults.map((fault) => fault.split(' ', 1)[0]),
    ['OBOL_PORT', 'OBOL_RATE_LIMIT', 'OBOL_LOG_LEVEL'],
  )
})

test('whoever makes out invoices must say who sells', () => {
  const seller = { OBOL_INVOICE_KIND: 'invoice', OBOL_SELLER_NAME: 'Ada', OBOL_SELLER_ADDRESS: 'Street 1' }
  assert.equal(readConfig(seller).config.OBOL_INVOICE_KIND, 'invoice')
  for (const missing of ['OBOL_SELLER_NAME', 'OBOL_SELLER_ADDRESS'])
    assert.deepEqual(faultsOf({ ...seller, [missing]: '' }), [`OBOL_INVOICE_KIND is invoice: set ${missing} as well.`])
})

test('who is told one of where mail goes and whom it is from must be told the other', () => {
  const from = { OBOL_MAIL_FROM: 'obol@example.com' }
  assert.deepEqual(faultsOf(from), ['OBOL_SMTP_URL and OBOL_MAIL_FROM need each other: set OBOL_SMTP_URL as well.'])
  assert.deepEqual(faultsOf({ ...from, OBOL_SMTP_URL: 'smtp://127.0.0.1' }), [])
})

test('whoever sells through Stripe must say with which key, how its events are signed, and where customers come back to', () => {
  const stripe = {
    OBOL_PAYMENTS: 'stripe',
    STRIPE_SECRET_KEY: 'sk_test_0123456789',
    STRIPE_WEBHOOK_SECRET: 'whsec_0123456789',
    OBOL_PUBLIC_URL: 'https://obol.example',
  }
  assert.equal(readConfig(stripe).config.OBOL_PAYMENTS, 'stripe')
  for (const missing of ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'OBOL_PUBLIC_URL'])
    assert.deepEqual(faultsOf({ ...stripe, [missing]: '' }), [`OBOL_PAYMENTS is stripe: set ${missing} as well.`])
  assert.deepEqual(faultsOf({ OBOL_PAYMENTS: 'stripe' }), [
    'OBOL_PAYMENTS is stripe: set STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and OBOL_PUBLIC_URL as well.',
  ])
})

test('a setting that is empty counts as not set', () => {
  const empty = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, '']))
  assert.deepEqual(readConfig(empty), readConfig({}))
})

test('a setting may be read from a file, without the white space around it', (t) => {
  const key = 'a-secret-of-the-operator-in-a-file'
  const file = secretFile(t, `\n${key}\n\n`)
  const { config, unknown } = readConfig({ OBOL_OPERATOR_KEY_FILE: file, OBOL_PORT_FILE: secretFile(t, '4321\n') })
  assert.deepEqual([config.OBOL_OPERATOR_KEY, config.OBOL_PORT, unknown], [key, 4321, []])
  assert.equal(readConfig({ OBOL_OPERATOR_KEY_FILE: file, OBOL_OPERATOR_KEY: '' }).config.OBOL_OPERATOR_KEY, key)
})

test('a file that cannot be read, that holds what may not be, or that stands beside a value is a fault', (t) => {
  assert.match(faultsOf({ OBOL_OPERATOR_KEY_FILE: '/nowhere/key' })[0] ?? '', /^OBOL_OPERATOR_KEY_FILE cannot be read: ENOENT/)
  const file = secretFile(t, 'too-short')
  assert.deepEqual(faultsOf({ OBOL_OPERATOR_KEY_FILE: file }), [`OBOL_OPERATOR_KEY must be ${SETTINGS.OBOL_OPERATOR_KEY.form}.`])
  assert.deepEqual(faultsOf({ OBOL_PORT: '1', OBOL_PORT_FILE: file }), ['OBOL_PORT and OBOL_PORT_FILE are both set; set one.'])
})

test('names that look like settings and are none are returned, and nothing else is', () => {
  const environment = { OBOL_PROT: '1', OBOL_PORT_FIEL: 'x', OBOL_URL: 'x', OBOL_TEST_X: '1', PATH: '/bin', OBOLUS: '1' }
  assert.deepEqual(readConfig(environment).unknown, ['OBOL_PROT', 'OBOL_PORT_FIEL'])
})
