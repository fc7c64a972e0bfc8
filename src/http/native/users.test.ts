/** The operator manages users, and owners see those of their account: over HTTP, on both stores. */

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openAccount, type TestAnswer } from '../../../test/running/obol.ts'
import { PASSWORD, type Person, signIn, signUp } from '../../../test/running/people.ts'
import { startServers, type TestServer } from '../../../test/running/servers.ts'
import { STORE_KINDS, type StoreKind } from '../../../test/running/store.ts'

interface Scene {
  readonly first: TestServer
  readonly call: TestServer['call']
  readonly clock: { nowMs: number }
  readonly account: string
  readonly other: string
}

async function openScene(t: TestContext, kind: StoreKind): Promise<Scene> {
  const { first, clock } = await startServers(t, kind)
  return { first, call: first.call, clock, account: await openAccount(first, '0'), other: await openAccount(first, '0') }
}

function told({ status, body }: TestAnswer): readonly [number, string | undefined] {
  return [status, body?.code]
}

interface UserBody {
  readonly id: string
  readonly email: string
}

function emailsOf({ body }: TestAnswer): readonly string[] {
  return body.data.map(({ email }: UserBody) => email)
}

for (const kind of STORE_KINDS)
  describe(`users as the operator manages them, on a ${kind} store`, () => {
    test('are invited with a token that is shown once, and are what was said of them', async (t) => {
      const { call, clock, account } = await openScene(t, kind)
      const invited = await call('POST', '/v1/users', { email: 'Ada@Example.com', account, role: 'owner' })
      const { token, token_expires_at, ...user } = invited.body
      assert.equal(invited.status, 201)
      assert.match(token, /^obol_invitation_[0-9A-Za-z]{38}$/)
      assert.equal(Date.parse(token_expires_at), clock.nowMs + 7 * 86_400_000)
      const created_at = new Date(clock.nowMs).toISOString()
      const memberships = [{ account, role: 'owner' }]
      assert.deepEqual(user, {
        object: 'user',
        id: user.id,
        email: 'Ada@Example.com',
        status: 'invited',
        is_operator: false,
        memberships,
        disabled_at: null,
        created_at,
      })
      assert.match(user.id, /^user_[0-9a-v]{16}$/)
      assert.deepEqual((await call('GET', `/v1/users/${user.id}`)).body, user, 'and the token is in no other answer')
      await call('POST', '/v1/auth/accept-invitation', { token, password: PASSWORD }, { key: null })
      assert.deepEqual((await call('GET', `/v1/users/${user.id}`)).body, { ...user, status: 'active' })
    })

    test('have an address of their own, however it is written', async (t) => {
      const { call } = await openScene(t, kind)
      assert.equal((await call('POST', '/v1/users', { email: 'José@bücher.example' })).status, 201)
      for (const email of ['jose\u0301@BÜCHER.example', 'JOSÉ@xn--bcher-kva.example'])
        assert.deepEqual(told(await call('POST', '/v1/users', { email })), [409, 'email_taken'], email)
      for (const email of [
        'ada',
        'ada @example.com',
        '"ada lovelace"@example.com',
        'ada@-example.com',
        `${'a'.repeat(65)}@example.com`,
        'a\u0000b@x.y',
      ])
        assert.deepEqual(told(await call('POST', '/v1/users', { email })), [400, 'invalid_email'], email)
    })

    test('are invited to an account that is there, in a role that there is', async (t) => {
      const { call, account } = await openScene(t, kind)
      const email = 'ada@example.com'
      for (const [body, answer] of [
        [{ email, account: 'acct_00000001', role: 'member' }, [404, 'account_not_found']],
        [{ email, account: 'external:nobody', role: 'member' }, [404, 'account_not_found']],
        [{ email, account }, [400, 'invalid_request']],
        [{ email, role: 'owner' }, [400, 'invalid_request']],
        [{ email, account, role: 'admin' }, [400, 'invalid_request']],
        [{ email, password: PASSWORD }, [400, 'invalid_request']],
        [{ account, role: 'member' }, [400, 'invalid_request']],
      ] as const)
        assert.deepEqual(told(await call('POST', '/v1/users', body)), answer, JSON.stringify(body))
      assert.deepEqual((await call('GET', '/v1/users')).body.data, [], 'what was refused left nobody behind')
    })

    test('are invited again while they have not accepted; then their password is reset', async (t) => {
      const { call, account } = await openScene(t, kind)
      const { body } = await call('POST', '/v1/users', { email: 'ada@example.com', account, role: 'member' })
      assert.deepEqual(told(await call('POST', `/v1/users/${body.id}/password-reset`)), [409, 'invitation_pending'])
      const again = await call('POST', `/v1/users/${body.id}/invitation`)
      assert.equal(again.status, 201)
      const accept = (token: string): Promise<TestAnswer> =>
        call('POST', '/v1/auth/accept-invitation', { token, password: PASSWORD }, { key: null })
      assert.deepEqual(told(await accept(body.token)), [401, 'invalid_one_time_token'])
      assert.equal((await accept(again.body.token)).status, 200)
      assert.deepEqual(told(await call('POST', `/v1/users/${body.id}/invitation`)), [409, 'invitation_accepted'])
      assert.equal((await call('POST', `/v1/users/${body.id}/password-reset`)).status, 201)
    })

    test('accept for the invited address alone, and once they have somewhere to go', async (t) => {
      const { call, account } = await openScene(t, kind)
      const { body } = await call('POST', '/v1/users', { email: 'ada@example.com' })
      const accept = (email?: string): Promise<TestAnswer> =>
        call(
          'POST',
          '/v1/auth/accept-invitation',
          { token: body.token, password: PASSWORD, ...(email === undefined ? {} : { email }) },
          { key: null },
        )
      assert.deepEqual(told(await accept('bob@example.com')), [400, 'invalid_email'])
      assert.deepEqual(told(await accept()), [403, 'no_membership'])
      assert.equal((await call('GET', `/v1/users/${body.id}`)).body.status, 'invited', 'a refusal changes nothing')
      await call('PUT', `/v1/users/${body.id}/memberships/${account}`, { role: 'member' })
      assert.equal((await accept('ADA@example.com')).status, 200)
    })

    test('are changed: their address, whether they are operators, whether they may sign in', async (t) => {
      const { first, call, account, clock } = await openScene(t, kind)
      const ada = await signUp(first, 'ada@example.com', { account, role: 'member' })
      await signUp(first, 'bob@example.com', { account, role: 'member' })
      const change = (body: object): Promise<TestAnswer> => call('PATCH', `/v1/users/${ada.id}`, body)
      assert.deepEqual(told(await change({ email: 'BOB@example.com' })), [409, 'email_taken'])
      assert.deepEqual(told(await change({ email: 'nobody' })), [400, 'invalid_email'])
      for (const body of [{}, { status: 'invited' }, { memberships: [] }, { password: PASSWORD }, { id: 'user_0000000000000001' }])
        assert.deepEqual(told(await change(body)), [400, 'invalid_request'], JSON.stringify(body))
      assert.equal((await change({ email: 'ada@other.example' })).body.email, 'ada@other.example')
      assert.deepEqual(told(await signIn(first, 'ada@example.com')), [401, 'invalid_credentials'])
      assert.equal((await signIn(first, 'ada@other.example')).status, 200)
      const disabled = await change({ status: 'disabled' })
      assert.deepEqual([disabled.body.status, Date.parse(disabled.body.disabled_at)], ['disabled', clock.nowMs])
      assert.deepEqual((await change({ status: 'active', is_operator: true })).body.is_operator, true)
      for (const id of ['user_0000000000000001', 'nonsense', '%00', 'user_000000000000000%00', 'ada@other.example'])
        for (const [method, path, body] of [
          ['PATCH', '', { status: 'active' }],
          ['GET', ''],
          ['POST', '/invitation'],
          ['POST', '/password-reset'],
          ['PUT', `/memberships/${account}`, { role: 'member' }],
          ['DELETE', `/memberships/${account}`],
        ] as const)
          assert.deepEqual(told(await call(method, `/v1/users/${id}${path}`, body)), [404, 'user_not_found'], `${method} ${id}${path}`)
    })

    test('belong to several accounts, each in a role, and are taken out one by one', async (t) => {
      const { first, call, account, other, clock } = await openScene(t, kind)
      const { id } = await signUp(first, 'ada@example.com', { account, role: 'member' })
      clock.nowMs += 1
      await call('PATCH', `/v1/accounts/${other}`, { external_id: 'other' })
      const joined = await call('PUT', `/v1/users/${id}/memberships/external:other`, { role: 'member' })
      const both = [
        { account, role: 'member' },
        { account: other, role: 'member' },
      ]
      assert.deepEqual(joined.body.memberships, both)
      const raised = await call('PUT', `/v1/users/${id}/memberships/${account}`, { role: 'owner' })
      assert.deepEqual(raised.body.memberships, [{ account, role: 'owner' }, both[1]])
      for (const [path, code] of [
        [`/v1/users/user_0000000000000001/memberships/${account}`, 'user_not_found'],
        [`/v1/users/${id}/memberships/acct_00000001`, 'account_not_found'],
        [`/v1/users/${id}/memberships/external:nobody`, 'account_not_found'],
      ] as const) {
        assert.deepEqual(told(await call('PUT', path, { role: 'member' })), [404, code], `PUT ${path}`)
        assert.deepEqual(told(await call('DELETE', path)), [404, code], `DELETE ${path}`)
      }
      assert.deepEqual((await call('DELETE', `/v1/users/${id}/memberships/${account}`)).body.memberships, [both[1]])
      assert.deepEqual(told(await call('DELETE', `/v1/users/${id}/memberships/${account}`)), [404, 'membership_not_found'])
      assert.deepEqual((await signIn(first, 'ada@example.com')).body.account, other)
    })

    test('are listed newest first, by pages, for all or for one account', async (t) => {
      const { call, account, other, clock } = await openScene(t, kind)
      const made: UserBody[] = []
      for (let number = 1; number <= 5; number++) {
        clock.nowMs += 1
        made.unshift(
          (await call('POST', '/v1/users', { email: `user${number}@example.com`, account: number % 2 ? account : other, role: 'member' }))
            .body,
        )
      }
      const emails = made.map(({ email }) => email)
      assert.deepEqual(emailsOf(await call('GET', '/v1/users')), emails)
      const page = await call('GET', '/v1/users?limit=2')
      assert.deepEqual([emailsOf(page), page.body.has_more, page.body.next_cursor], [emails.slice(0, 2), true, made[1]?.id])
      const second = await call('GET', `/v1/users?limit=2&starting_after=${made[1]?.id}`)
      assert.deepEqual([emailsOf(second), second.body.has_more], [emails.slice(2, 4), true])
      const back = await call('GET', `/v1/users?limit=2&ending_before=${made[3]?.id}`)
      assert.deepEqual([emailsOf(back), back.body.has_more], [emails.slice(1, 3), true])
      assert.deepEqual(emailsOf(await call('GET', `/v1/users?account=${account}`)), [
        'user5@example.com',
        'user3@example.com',
        'user1@example.com',
      ])
      for (const query of [
        'starting_after=nonsense',
        `starting_after=${made[0]?.id}&account=${other}`,
        `starting_after=${made[0]?.id}&ending_before=${made[1]?.id}`,
      ])
        assert.deepEqual(told(await call('GET', `/v1/users?${query}`)), [400, 'invalid_cursor'], query)
    })

    test('an owner sees the users of the account, and of each only what is of it, and takes them out', async (t) => {
      const { first, call, account, other } = await openScene(t, kind)
      const owner = await signUp(first, 'owner@example.com', { account, role: 'owner' })
      const both = await signUp(first, 'both@example.com', { account, role: 'member' })
      await call('PUT', `/v1/users/${both.id}/memberships/${other}`, { role: 'owner' })
      const stranger = await signUp(first, 'stranger@example.com', { account: other, role: 'member' })
      const as = (who: Person, method: string, path: string): Promise<TestAnswer> => call(method, path, undefined, { key: who.access })
      const list = await as(owner, 'GET', '/v1/users')
      assert.deepEqual(new Set(emailsOf(list)), new Set([owner.email, both.email]))
      assert.deepEqual((await as(owner, 'GET', `/v1/users/${both.id}`)).body.memberships, [{ account, role: 'member' }])
      assert.deepEqual(told(await as(owner, 'GET', `/v1/users/${stranger.id}`)), [404, 'user_not_found'])
      assert.deepEqual(emailsOf(await as(owner, 'GET', `/v1/users?email=${stranger.email}`)), [])
      assert.deepEqual(told(await as(owner, 'GET', `/v1/users?account=${other}`)), [404, 'account_not_found'])
      assert.deepEqual(told(await as(owner, 'DELETE', `/v1/users/${stranger.id}/memberships/${other}`)), [404, 'user_not_found'])
      assert.deepEqual(told(await as(owner, 'DELETE', `/v1/users/${both.id}/memberships/${other}`)), [404, 'account_not_found'])
      const out = await as(owner, 'DELETE', `/v1/users/${both.id}/memberships/${account}`)
      assert.deepEqual([out.status, out.body.memberships], [200, []])
      assert.deepEqual(told(await as(both, 'GET', '/v1/credits')), [401, 'session_ended'])
      assert.deepEqual((await call('GET', `/v1/users/${both.id}`)).body.memberships, [{ account: other, role: 'owner' }])
      const itself = await as(owner, 'DELETE', `/v1/users/${owner.id}/memberships/${account}`)
      assert.deepEqual([itself.status, told(await as(owner, 'GET', '/v1/credits'))], [200, [401, 'session_ended']])
    })
  })
