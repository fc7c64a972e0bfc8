import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPERATOR_KEY, openAccount, startTestObol } from '../../test/running/obol.ts'
import { PASSWORD, signIn } from '../../test/running/people.ts'
import { type Ended, runObol } from '../../test/running/process.ts'

test('users are invited, listed, moved, disabled and given new passwords from the command line', async (t) => {
  const obol = await startTestObol(t)
  const { call, url } = obol
  const account = await openAccount(obol, '0')
  const run = (...args: readonly string[]): Promise<Ended> =>
    runObol(['users', ...args], { env: { OBOL_URL: url, OBOL_OPERATOR_KEY: OPERATOR_KEY } })
  const json = async (...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> => {
    const { code, stdout, stderr } = await run(...args, '--json')
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    return JSON.parse(stdout) as Readonly<Record<string, unknown>>
  }
  const accept = (token: unknown, path = 'accept-invitation'): Promise<{ status: number }> =>
    call('POST', `/v1/auth/${path}`, { token, password: PASSWORD }, { key: null })

  await t.test('an invitation is printed with its token, and lets in', async () => {
    const { stdout } = await run('invite', 'ada@example.com', '--account', account, '--role', 'owner')
    assert.match(
      stdout,
      /^id +user_\w{16}\nemail +ada@example\.com\nstatus +invited\ntoken +obol_invitation_\w{38}\ntoken_expires_at +\S+\n$/,
    )
    assert.equal((await accept(/obol_invitation_\w+/.exec(stdout)?.[0])).status, 200)
    const refused = await run('invite', 'ADA@example.com')
    assert.deepEqual([refused.code, refused.stderr], [1, 'obol: email_taken: A user has this e-mail address already.\n'])
    assert.deepEqual(
      [(await run('invite', 'x@y.z', '--role', 'owner')).code, (await run('invite', 'x@y.z', '--role', 'king')).code],
      [2, 2],
    )
  })

  await t.test('operators are invited as such, and the first one by the token that a server prints', async () => {
    assert.equal((await json('invite', 'root@example.com', '--operator')).is_operator, true)
    const first = await json('bootstrap')
    assert.deepEqual([first.email, first.is_operator], [null, true])
  })

  await t.test('users are listed with their accounts', async () => {
    const { stdout } = await run('list', '--account', account)
    const [head, row, ...more] = stdout.trimEnd().split('\n')
    assert.match(head ?? '', /^id +email +status +is_operator +memberships +created_at$/)
    assert.match(row ?? '', new RegExp(`^user_\\w+ +ada@example\\.com +active +false +${account} \\(owner\\) +20`))
    assert.deepEqual(more, [])
    assert.equal(((await json('list')) as { data: unknown[] }).data.length, 3)
  })

  await t.test('a user is named by address or id, let into accounts and taken out', async () => {
    const other = await openAccount(obol, '0')
    const joined = await json('join', 'ADA@example.com', other)
    const memberships = [
      { account, role: 'owner' },
      { account: other, role: 'member' },
    ]
    assert.deepEqual(new Set(joined.memberships as object[]), new Set(memberships))
    const left = await run('leave', String(joined.id), account)
    assert.match(left.stdout, new RegExp(`memberships +${other} \\(member\\)\\n`))
    const unknown = await run('leave', 'nobody@example.com', account)
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'obol: user_not_found: No user has the address nobody@example.com.\n'])
  })

  await t.test('a user is disabled and enabled', async () => {
    assert.equal((await json('disable', 'ada@example.com')).status, 'disabled')
    assert.equal((await signIn(obol, 'ada@example.com')).body.code, 'user_disabled')
    assert.equal((await json('enable', 'ada@example.com')).status, 'active')
    assert.equal((await signIn(obol, 'ada@example.com')).status, 200)
  })

  await t.test('a user gets a token for a new password; one without a password, another invitation', async () => {
    assert.equal((await accept((await json('reset-password', 'ada@example.com')).token, 'password-reset/confirm')).status, 200)
    assert.equal((await accept((await json('reset-password', 'root@example.com')).token)).status, 200)
  })
})
