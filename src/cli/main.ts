/** The command line: every command on one screen. What only one command needs, and is large, is loaded when that command runs. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { hideSecrets } from '../auth/secrets.ts'
import type { Period } from '../core/calendar.ts'
import { DEFAULT_CREDIT_TYPE } from '../core/price-parsing.ts'
import { DEFAULT_PRIORITIES } from '../core/priorities.ts'
import { CliError, EXIT } from './client.ts'
import { importUsage, readUsageFile } from './import-usage.ts'
import type { Migration } from './migrate-store.ts'
import { ACCOUNT, AFTER_OPTION, client, JSON_OPTION, KEY_OPTION, LIMIT_OPTION, type Paging, type Printing, query, time } from './options.ts'
import { print } from './output.ts'
import { userCommands } from './user-commands.ts'
import { webhookCommands } from './webhook-commands.ts'

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }

function pairs(value: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, name, text] = /^([^=]+)=(.*)$/.exec(value) ?? []
  if (name === undefined || text === undefined) throw new InvalidArgumentError('Write it as name=value.')
  return { ...before, [name]: text }
}

/** Builds the command line. */
export function buildProgram(): Command {
  const program = new Command('obol')
    .description('The credits server for AI APIs.')
    .version(version)
    .showHelpAfterError('(add --help for what it takes)')
    .addHelpText(
      'after',
      '\nCommands that talk to a server use OBOL_URL (default http://127.0.0.1:4000) and OBOL_OPERATOR_KEY.\nSettings of the server are environment variables: docs/reference/settings.md.',
    )
  serverCommands(program)
  accountCommands(program)
  grantCommands(program)
  keyCommands(program)
  priceCommands(program)
  userCommands(program)
  webhookCommands(program)
  importCommands(program)
  return program
}

const MOVING = `
The journal is copied as it is; everything else is derived from it again. Both stores are verified and compared before the new one gets its
name: a move that is cut short leaves no store there, and the next one starts anew. The old store is only read.`

function serverCommands(program: Command): void {
  program
    .command('dev')
    .description('run a server with sample prices and accounts, and show how to use it')
    .action(async () => (await import('./run-server.ts')).dev(process.env))
  program
    .command('serve')
    .description('run a server')
    .action(async () => (await import('./run-server.ts')).serve(process.env))
  program
    .command('verify')
    .description('derive every balance again from the journal and compare; ends with 1 when anything differs')
    .addOption(JSON_OPTION)
    .action(async ({ json = false }: Printing) => (await import('./verify.ts')).verify(process.env, { json }))
  program
    .command('migrate-store')
    .description('move a stopped store to another place, or distribute one with Citus')
    .option('--from <store>', 'where it is: sqlite: and a path, or postgres://…')
    .option('--to <store>', 'where it is to be; nothing may be there yet (default: that of OBOL_DATABASE_URL)')
    .option('--distribute', 'spread the store of OBOL_DATABASE_URL over the nodes of a Citus cluster')
    .addOption(JSON_OPTION)
    .addHelpText('after', MOVING)
    .action(async (options: Migration) => (await import('./migrate-store.ts')).migrateStore(process.env, options))
}

const ACCOUNT_COLUMNS = ['id', 'name', 'external_id', 'status', 'created_at']

function accountCommands(program: Command): void {
  const accounts = program.command('accounts').description('who holds credits')
  accounts
    .command('create <name>')
    .description('open an account')
    .option('--external-id <id>', "the operator's own id for it")
    .option('--metadata <name=value>', 'attach a value; may be repeated', pairs)
    .addOption(KEY_OPTION)
    .addOption(JSON_OPTION)
    .action(async (name: string, options: Printing & { externalId?: string; metadata?: object; idempotencyKey?: string }) => {
      const { externalId, metadata, idempotencyKey, json = false } = options
      const { body } = await client().call(
        'POST',
        '/v1/accounts',
        { name, ...(externalId === undefined ? {} : { external_id: externalId }), ...(metadata ? { metadata } : {}) },
        idempotencyKey,
      )
      print(body, { json, columns: ACCOUNT_COLUMNS })
    })
  accounts
    .command('list')
    .description('list accounts, newest first')
    .addOption(LIMIT_OPTION)
    .addOption(AFTER_OPTION)
    .addOption(JSON_OPTION)
    .action(async ({ limit, after, json = false }: Paging) => {
      const { body } = await client().call('GET', `/v1/accounts${query({ limit, starting_after: after })}`)
      print(body, { json, columns: ACCOUNT_COLUMNS })
    })
  accounts
    .command('show')
    .description('show what an account has')
    .addArgument(ACCOUNT)
    .addOption(JSON_OPTION)
    .action(async (account: string, { json = false }: Printing) => {
      const { body } = await client().call('GET', `/v1/accounts/${encodeURIComponent(account)}/credits`)
      const { credit_types } = body as { credit_types: Readonly<Record<string, object>> }
      const data = Object.entries(credit_types).map(([credit_type, amounts]) => ({ credit_type, ...amounts }))
      print(json ? body : { data }, {
        json,
        columns: ['credit_type', 'settled', 'held', 'available', 'pending', 'debt', 'granted', 'spent', 'expired', 'voided'],
      })
    })
}

const SOURCES = Object.keys(DEFAULT_PRIORITIES)
const GRANT_COLUMNS = ['id', 'account', 'credit_type', 'amount', 'remaining', 'source', 'status', 'expires_at']

function grantCommands(program: Command): void {
  const grants = program.command('grants').description('credits given')
  grants
    .command('create')
    .description('give an account credits')
    .addArgument(ACCOUNT)
    .argument('<amount>', 'credits, such as 1000 or 0.5')
    .option('--credit-type <type>', 'kind of credits', 'credits')
    .addOption(new Option('--source <source>', 'where they come from').choices(SOURCES).default('promo'))
    .option('--expires-at <time>', 'when they end, such as 2027-01-01T00:00:00Z', time)
    .addOption(KEY_OPTION)
    .addOption(JSON_OPTION)
    .action(
      async (
        account: string,
        amount: string,
        options: Printing & { creditType: string; source: string; expiresAt?: string; idempotencyKey?: string },
      ) => {
        const { creditType, source, expiresAt, idempotencyKey, json = false } = options
        const grant = { account, amount, credit_type: creditType, source, ...(expiresAt === undefined ? {} : { expires_at: expiresAt }) }
        print((await client().call('POST', '/v1/grants', grant, idempotencyKey)).body, { json, columns: GRANT_COLUMNS })
      },
    )
  grants
    .command('list')
    .description("list an account's grants, newest first")
    .addArgument(ACCOUNT)
    .addOption(LIMIT_OPTION)
    .addOption(AFTER_OPTION)
    .addOption(JSON_OPTION)
    .action(async (account: string, { limit, after, json = false }: Paging) => {
      const { body } = await client().call('GET', `/v1/grants${query({ account, limit, starting_after: after })}`)
      print(body, { json, columns: GRANT_COLUMNS })
    })
  grants
    .command('void <grant>')
    .description('take back what is unspent of a grant')
    .option('--reason <text>', 'why, for whoever reads the journal')
    .addOption(JSON_OPTION)
    .action(async (grant: string, { reason, json = false }: Printing & { reason?: string }) => {
      print((await client().call('POST', `/v1/grants/${encodeURIComponent(grant)}/void`, reason === undefined ? {} : { reason })).body, {
        json,
        columns: GRANT_COLUMNS,
      })
    })
}

const PERIODS: readonly Period[] = ['lifetime', 'day', 'week', 'month']
const KEY_COLUMNS = ['id', 'account', 'name', 'hint', 'status', 'budget', 'expires_at', 'last_used_at']

interface KeyBudget {
  readonly limit: string | null
  readonly period: Period
  readonly spent: string
}

function budgetText({ limit, period, spent }: KeyBudget): string {
  return `${spent} of ${limit ?? 'any'} ${period === 'lifetime' ? 'ever' : `per ${period}`}`
}

function keyCommands(program: Command): void {
  const keys = program.command('keys').description('API keys of customers')
  keys
    .command('create')
    .description('make a key; its secret is shown once')
    .addArgument(ACCOUNT)
    .option('--name <name>', 'what it is for')
    .option('--limit <credits>', 'budget: credits per period')
    .addOption(new Option('--period <period>', 'budget: the period (default: "lifetime")').choices(PERIODS))
    .option('--expires-at <time>', 'when it ends, such as 2027-01-01T00:00:00Z', time)
    .addOption(KEY_OPTION)
    .addOption(JSON_OPTION)
    .action(
      async (
        account: string,
        options: Printing & { name?: string; limit?: string; period?: string; expiresAt?: string; idempotencyKey?: string },
      ) => {
        const { name, limit, period, expiresAt, idempotencyKey, json = false } = options
        if (period !== undefined && limit === undefined) throw new CliError('--period needs --limit.', { exitCode: EXIT.usage })
        const budget = limit === undefined ? {} : { budget: { limit, ...(period === undefined ? {} : { period }) } }
        const key = {
          account,
          ...(name === undefined ? {} : { name }),
          ...budget,
          ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
        }
        print((await client().call('POST', '/v1/keys', key, idempotencyKey)).body, {
          json,
          columns: ['id', 'account', 'name', 'secret', 'budget', 'expires_at'],
        })
      },
    )
  keys
    .command('list')
    .description("list an account's keys, newest first")
    .addArgument(ACCOUNT)
    .addOption(LIMIT_OPTION)
    .addOption(AFTER_OPTION)
    .addOption(JSON_OPTION)
    .action(async (account: string, { limit, after, json = false }: Paging) => {
      const { body } = await client().call('GET', `/v1/keys${query({ account, limit, starting_after: after })}`)
      print(body, { json, columns: KEY_COLUMNS, shown: { budget: budgetText } })
    })
  keys
    .command('rotate <key>')
    .description('give a key a new secret; the old one goes on working for a while')
    .option('--overlap <seconds>', 'how long the old one works', '86400')
    .addOption(JSON_OPTION)
    .action(async (key: string, { overlap, json = false }: Printing & { overlap: string }) => {
      if (!/^\d{1,9}$/.test(overlap)) throw new CliError('--overlap is a number of seconds.', { exitCode: EXIT.usage })
      print((await client().call('POST', `/v1/keys/${encodeURIComponent(key)}/rotate`, { overlap_seconds: Number(overlap) })).body, {
        json,
        columns: ['id', 'account', 'name', 'secret', 'previous_secret_until'],
      })
    })
  keys
    .command('revoke <key>')
    .description('end a key, at once and for ever')
    .addOption(JSON_OPTION)
    .action(async (key: string, { json = false }: Printing) => {
      print((await client().call('DELETE', `/v1/keys/${encodeURIComponent(key)}`)).body, { json, columns: KEY_COLUMNS })
    })
}

const PRICE_COLUMNS = ['operation', 'credit_type', 'rate', 'per', 'minimum', 'cap']

interface Price {
  readonly credit_type?: string | null
}

function perText({ quantity, unit }: { readonly quantity: number | string; readonly unit: string }): string {
  return `${quantity} ${unit}`
}

function priceCommands(program: Command): void {
  const prices = program.command('prices').description('what things cost')
  prices
    .command('check <file>')
    .description('check a price book without publishing it; ends with 1 when it has faults')
    .addOption(JSON_OPTION)
    .action(async (file: string, { json = false }: Printing) => (await import('./price-files.ts')).checkPrices(file, { json }))
  prices
    .command('publish <file>')
    .description('publish a price book: it replaces all prices from when it takes effect')
    .option('--effective-at <time>', 'when that is, such as 2027-01-01T00:00:00Z; default: now', time)
    .addOption(KEY_OPTION)
    .addOption(JSON_OPTION)
    .action(async (file: string, options: Printing & { effectiveAt?: string; idempotencyKey?: string }) => {
      const { effectiveAt, idempotencyKey, json = false } = options
      const { readPriceFile } = await import('./price-files.ts')
      const book = { ...readPriceFile(file), ...(effectiveAt === undefined ? {} : { effective_at: effectiveAt }) }
      print((await client().call('POST', '/v1/price-book', book, idempotencyKey)).body, {
        json,
        columns: ['version', 'effective_at', 'published_at'],
      })
    })
  prices
    .command('show')
    .description('show the prices in force')
    .addOption(JSON_OPTION)
    .action(async ({ json = false }: Printing) => {
      const { body } = await client().call('GET', '/v1/prices')
      const { prices } = body as { prices: readonly Price[] }
      const data = prices.map((price) => ({ ...price, credit_type: price.credit_type ?? DEFAULT_CREDIT_TYPE }))
      print(json ? body : { data }, { json, columns: PRICE_COLUMNS, shown: { per: perText } })
    })
}

const COLUMNS_OF_USAGE = `
Columns of the file, of which operation and either account or key are needed:
  account            who pays: an account's id, or external:<external id>
  key                or an API key that pays: its id or its secret
  operation          what was done
  quantity           how much of it
  quantity.<unit>    or how much of each unit, such as quantity.second
  attribute.<name>   what the price depends on besides, such as attribute.quality
  amount             credits, in place of the price
  credit_type        the type of that amount
  metadata.<name>    kept with the charge

A row is known by what it says. Two rows of a file that say the same are two charges; rows that an earlier import has charged are not
charged again, whatever their file was called. So give each row something of its own, such as metadata.id, or each file a --name.`

/** Rows after which the terminal is told how far an import is. */
const ROWS_PER_REPORT = 100

function importCommands(program: Command): void {
  const imports = program.command('import').description('bring in what happened elsewhere')
  imports
    .command('usage <file>')
    .description('charge each row of a CSV file, once however often it is imported')
    .option('--name <name>', 'name of the import: its rows are the same only as those of imports with this name')
    .addOption(JSON_OPTION)
    .addHelpText('after', COLUMNS_OF_USAGE)
    .action(async (file: string, { name = '', json = false }: Printing & { name?: string }) => {
      const rows = readUsageFile(file)
      const result = await importUsage(client(), rows, { name, progress: json ? () => {} : reporter(rows.length) })
      print(json ? result : { ...result, failures: result.failures.length }, { json, columns: ['rows', 'charged', 'replayed', 'failures'] })
      if (!json) for (const { line, code, detail } of result.failures) console.error(`line ${line}: ${code}: ${detail}`)
      if (result.failures.length > 0) process.exitCode = EXIT.failed
    })
}

/** Tells a terminal how far an import is; nobody else. */
function reporter(rows: number): (done: number) => void {
  if (!process.stderr.isTTY) return () => {}
  return (done) => {
    if (done % ROWS_PER_REPORT === 0 || done === rows) process.stderr.write(`\r${done} of ${rows} rows${done === rows ? '\n' : ''}`)
  }
}

/** Runs a command; failures that were foreseen are told in one line. */
export async function run(argv: readonly string[]): Promise<void> {
  const program = buildProgram()
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) command.exitOverride()
  try {
    await program.parseAsync(argv)
  } catch (fault) {
    if (fault instanceof CommanderError) process.exitCode = fault.exitCode === 0 ? 0 : EXIT.usage
    else if (fault instanceof CliError) {
      console.error(`obol: ${hideSecrets(fault.message)}`)
      process.exitCode = fault.exitCode
    } else throw fault
  }
}
