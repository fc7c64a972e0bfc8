/** `obol users`: people who sign in, and the accounts that they belong to. */

import { Argument, type Command, Option } from 'commander'
import { CliError, type Client, EXIT, ServerError } from './client.ts'
import { ACCOUNT, AFTER_OPTION, client, JSON_OPTION, LIMIT_OPTION, type Paging, type Printing, query } from './options.ts'
import { print } from './output.ts'

const COLUMNS = ['id', 'email', 'status', 'is_operator', 'memberships', 'created_at']
const OFFER_COLUMNS = ['id', 'email', 'status', 'token', 'token_expires_at']
const USER = new Argument('<user>', 'its id or e-mail address')
const ROLES = ['owner', 'member'] as const

interface User {
  readonly id: string
}

interface Membership {
  readonly account: string
  readonly role: string
}

function membershipsText(memberships: readonly Membership[]): string {
  return memberships.map(({ account, role }) => `${account} (${role})`).join(', ') || '-'
}

const SHOWN = { columns: COLUMNS, shown: { memberships: membershipsText } }

/** Adds the commands about users. */
export function userCommands(program: Command): void {
  const users = program.command('users').description('people who sign in')
  inviteCommands(users)
  listCommand(users)
  accountCommands(users)
  changeCommands(users)
}

/** The path of a user who is named by id or address. Throws CliError when nobody has the address. */
async function pathOf({ call }: Client, user: string): Promise<string> {
  if (!user.includes('@')) return `/v1/users/${encodeURIComponent(user)}`
  const { body } = await call('GET', `/v1/users${query({ email: user })}`)
  const [found] = (body as { data: readonly User[] }).data
  if (found) return `/v1/users/${found.id}`
  throw new CliError(`user_not_found: No user has the address ${user}.`)
}

function inviteCommands(users: Command): void {
  users
    .command('invite <email>')
    .description('invite a user; the token, shown once, lets them choose a password')
    .option('--account <account>', 'account to belong to: its id, or external:<external id>')
    .addOption(new Option('--role <role>', 'what they may do in it (default: "member")').choices(ROLES))
    .option('--operator', 'may do all that the operator may')
    .addOption(JSON_OPTION)
    .action(async (email: string, options: Printing & { account?: string; role?: string; operator?: boolean }) => {
      const { account, role, operator = false, json = false } = options
      if (role !== undefined && account === undefined) throw new CliError('--role needs --account.', { exitCode: EXIT.usage })
      const membership = account === undefined ? {} : { account, role: role ?? 'member' }
      const { body } = await client().call('POST', '/v1/users', { email, is_operator: operator, ...membership })
      print(body, { json, columns: OFFER_COLUMNS })
    })
  users
    .command('bootstrap')
    .description('make the token of the first operator user anew, who then says their own address')
    .addOption(JSON_OPTION)
    .action(async ({ json = false }: Printing) => {
      print((await client().call('POST', '/v1/users/bootstrap')).body, { json, columns: OFFER_COLUMNS })
    })
  users
    .command('reset-password')
    .description('make a token with which a user chooses a new password; for one who has none yet, a new invitation')
    .addArgument(USER)
    .addOption(JSON_OPTION)
    .action(async (user: string, { json = false }: Printing) => {
      const server = client()
      print(await offer(server, await pathOf(server, user)), { json, columns: OFFER_COLUMNS })
    })
}

async function offer({ call }: Client, path: string): Promise<unknown> {
  try {
    return (await call('POST', `${path}/password-reset`)).body
  } catch (fault) {
    if (!(fault instanceof ServerError && fault.code === 'invitation_pending')) throw fault
    return (await call('POST', `${path}/invitation`)).body
  }
}

function listCommand(users: Command): void {
  users
    .command('list')
    .description('list users, newest first')
    .option('--account <account>', 'only those of an account: its id, or external:<external id>')
    .addOption(LIMIT_OPTION)
    .addOption(AFTER_OPTION)
    .addOption(JSON_OPTION)
    .action(async ({ account, limit, after, json = false }: Paging & { account?: string }) => {
      print((await client().call('GET', `/v1/users${query({ account, limit, starting_after: after })}`)).body, { json, ...SHOWN })
    })
}

function accountCommands(users: Command): void {
  users
    .command('join')
    .description('let a user into an account, or change their role in it')
    .addArgument(USER)
    .addArgument(ACCOUNT)
    .addOption(new Option('--role <role>', 'what they may do in it').choices(ROLES).default('member'))
    .addOption(JSON_OPTION)
    .action(async (user: string, account: string, { role, json = false }: Printing & { role: string }) => {
      const server = client()
      const path = `${await pathOf(server, user)}/memberships/${encodeURIComponent(account)}`
      print((await server.call('PUT', path, { role })).body, { json, ...SHOWN })
    })
  users
    .command('leave')
    .description('take a user out of an account, at once')
    .addArgument(USER)
    .addArgument(ACCOUNT)
    .addOption(JSON_OPTION)
    .action(async (user: string, account: string, { json = false }: Printing) => {
      const server = client()
      print((await server.call('DELETE', `${await pathOf(server, user)}/memberships/${encodeURIComponent(account)}`)).body, {
        json,
        ...SHOWN,
      })
    })
}

function changeCommands(users: Command): void {
  for (const [name, status, description] of [
    ['disable', 'disabled', 'sign a user out everywhere, at once, and let them in no more'],
    ['enable', 'active', 'let a user sign in again who was disabled'],
  ] as const)
    users
      .command(name)
      .description(description)
      .addArgument(USER)
      .addOption(JSON_OPTION)
      .action(async (user: string, { json = false }: Printing) => {
        const server = client()
        print((await server.call('PATCH', await pathOf(server, user), { status })).body, { json, ...SHOWN })
      })
}
