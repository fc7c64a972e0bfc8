/** Users sign in, stay signed in, and are signed out: over HTTP, on both stores. */

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, type TestAnswer } from '../../../test/running/obol.ts'
import { PASSWORD, type Person, refresh, signIn, signUp, tokensOf } from '../../../test/running/people.ts'
import { type Servers, startServers, type TestServer } from '../../../test/running/servers.ts'
import { STORE_KINDS, type StoreKind } from '../../../test/running/store.ts'
import { refreshSession } from '../../operations/sign-in.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

interface Scene extends Servers {
  readonly account: string
  readonly other: string
  readonly ada: Person
  /** Asks with a bearer. */
  readonly get: (path: string, token: string) => Promise<TestAnswer>
}

async function openScene(t: TestContext, kind: StoreKind, options: Parameters<typeof startServers>[2] = {}): Promise<Scene> {
  const servers = await startServers(t, kind, options)
  const { first } = servers
  await publishTestPrices(first)
  const [account, other] = [await openAccount(first, '100'), await openAccount(first, '5')]
  const ada = await signUp(first, 'Ada@Example.com', { account, role: 'owner' })
  return { ...servers, account, other, ada, get: (path, token) => first.call('GET', path, undefined, { key: token }) }
}

/** Status and code of an answer. */
function told({ status, body }: TestAnswer): readonly [number, string | undefined] {
  return [status, body?.code]
}

/** What an answer says of who asks and why not, without what names the request. */
function essence({ status, body, headers }: TestAnswer): unknown {
  const { request_id: _, ...rest } = body
  return { status, rest, headers: [...headers.keys()].filter((name) => name !== 'ratelimit') }
}

for (const kind of STORE_KINDS)
  describe(`users on a ${kind} store`, () => {
    test('sign in by e-mail address and password, and their token is taken wherever a key of the account is', async (t) => {
      const { first, ada, account, other, get, clock } = await openScene(t, kind)
      const answer = await signIn(first, 'ada@EXAMPLE.com')
      const { access_token, refresh_token, refresh_expires_at, ...rest } = answer.body
      assert.deepEqual(rest, { object: 'tokens', token_type: 'Bearer', expires_in: 900, user: ada.id, account, role: 'owner' })
      assert.match(access_token, /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
      assert.match(refresh_token, /^obol_refresh_[0-9A-Za-z]{38}$/)
      assert.equal(Date.parse(refresh_expires_at), clock.nowMs + 30 * DAY_MS)
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      for (const path of ['/v1/credits', '/v1/usage', '/v1/charges', '/v1/holds', '/v1/grants', '/v1/journal', '/v1/keys', '/v1/prices'])
        assert.equal((await get(path, access_token)).status, 200, path)
      const credits = (await get('/v1/credits', access_token)).body
      assert.deepEqual([credits.account, credits.credit_types.credits.available, credits.key], [account, '100', null])
      assert.deepEqual(told(await get(`/v1/credits?account=${other}`, access_token)), [404, 'account_not_found'])
      assert.deepEqual(told(await get('/v1/accounts', access_token)), [403, 'operator_key_required'])
      assert.deepEqual(told(await get('/v1/key', access_token)), [400, 'invalid_request'])
      const estimate = await first.call('POST', '/v1/estimates', { items: [{ operation: 'unit' }] }, { key: access_token })
      assert.deepEqual([estimate.status, estimate.body.affordable.balance], [200, true])
    })

    test('an owner makes keys, recorded in the owner’s name; a member reads, and is refused', async (t) => {
      const { first, ada, account, get } = await openScene(t, kind)
      const bob = await signUp(first, 'bob@example.com', { account, role: 'member' })
      const made = await first.call('POST', '/v1/keys', { name: 'mine' }, { key: ada.access })
      assert.deepEqual([made.status, made.body.account], [201, account])
      const { data } = (await get('/v1/journal', bob.access)).body
      assert.deepEqual([data[0].kind, data[0].actor], ['key_created', ada.id])
      assert.deepEqual(told(await first.call('POST', '/v1/keys', { scopes: ['keys:write'] }, { key: ada.access })), [
        403,
        'operator_key_required',
      ])
      const asMember = (method: string, path: string, body?: object): Promise<TestAnswer> =>
        first.call(method, path, body, { key: bob.access })
      for (const answer of [
        await asMember('POST', '/v1/keys', {}),
        await asMember('PATCH', `/v1/keys/${made.body.id}`, { name: 'x' }),
        await asMember('POST', `/v1/keys/${made.body.id}/rotate`, {}),
        await asMember('DELETE', `/v1/keys/${made.body.id}`),
        await asMember('GET', '/v1/users'),
        await asMember('GET', `/v1/users/${bob.id}`),
        await asMember('DELETE', `/v1/users/${bob.id}/memberships/${account}`),
      ])
        assert.deepEqual([...told(answer), answer.body.role], [403, 'role_required', 'owner'], answer.body.instance)
      assert.equal((await asMember('GET', '/v1/keys')).body.data.length, 1)
    })

    test('whoever is unknown, has another password, or has none yet, is answered the same', async (t) => {
      const { first, account } = await openScene(t, kind)
      assert.equal((await first.call('POST', '/v1/users', { email: 'invited@example.com', account, role: 'member' })).status, 201)
      const wrong = await signIn(first, 'ada@example.com', 'not the right password')
      assert.deepEqual(told(wrong), [401, 'invalid_credentials'])
      for (const [email, password] of [
        ['nobody@example.com', PASSWORD],
        ['invited@example.com', PASSWORD],
        ['no address at all', PASSWORD],
        ['a\u0000@example.com', PASSWORD],
        ['\u0000', PASSWORD],
        ['ada@example.com', 'x'],
        ['ada@example.com', '\u0000'],
      ] as const)
        assert.deepEqual(essence(await signIn(first, email, password)), essence(wrong), email)
    })

    test('a refresh token gets the next pair, once; sent again it is taken for a copy, and its session ends', async (t) => {
      const { first, ada, get, log } = await openScene(t, kind)
      const two = tokensOf(await refresh(first, ada.refresh))
      for (const token of [ada.access, two.access]) assert.equal((await get('/v1/me', token)).status, 200)
      const three = tokensOf(await refresh(first, two.refresh))
      assert.deepEqual(told(await refresh(first, ada.refresh)), [401, 'refresh_token_reused'])
      for (const token of [ada.access, two.access, three.access]) assert.deepEqual(told(await get('/v1/me', token)), [401, 'session_ended'])
      assert.deepEqual(told(await refresh(first, three.refresh)), [401, 'session_ended'])
      assert.ok(log.some((line) => line.includes('a refresh token was used again')))
      assert.equal((await signIn(first, ada.email)).status, 200)
    })

    test('of many requests with one refresh token one is answered with tokens, and no other', async (t) => {
      const { first, ada } = await openScene(t, kind)
      const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(first, ada.refresh)))
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      for (const answer of answers.filter(({ status }) => status !== 200))
        assert.match(`${told(answer)}`, /^401,(?:refresh_token_used|refresh_token_reused|session_ended)$/)
    })

    test('of two requests that meet, one is answered with tokens, and that session goes on', async (t) => {
      const { first, ada, get } = await openScene(t, kind)
      const { services } = first.obol
      const request = { token: ada.refresh, account: null }
      const [one, other] = await Promise.all([refreshSession(services, request), refreshSession(services, request)])
      const [won, lost] = 'refused' in one ? [other, one] : [one, other]
      assert.ok('refused' in lost && !('refused' in won))
      assert.equal(lost.refused, 'refresh_token_used')
      assert.equal((await get('/v1/me', won.access)).status, 200)
      assert.equal((await refresh(first, won.refresh)).status, 200)
    })

    test('access tokens work for a quarter of an hour, sessions for thirty days', async (t) => {
      const { first, ada, get, clock } = await openScene(t, kind)
      clock.nowMs += 15 * MINUTE_MS - 1
      assert.equal((await get('/v1/credits', ada.access)).status, 200)
      clock.nowMs += 1_000
      assert.deepEqual(told(await get('/v1/credits', ada.access)), [401, 'token_expired'])
      let { refresh: token } = ada
      for (let day = 1; day < 30; day++) {
        clock.nowMs += DAY_MS
        token = tokensOf(await refresh(first, token)).refresh
      }
      clock.nowMs += DAY_MS - 15 * MINUTE_MS - 999
      assert.deepEqual(told(await refresh(first, token)), [401, 'session_ended'])
    })

    test('signing out ends a session, its access tokens at once, and no other', async (t) => {
      const { first, ada, get } = await openScene(t, kind)
      const other = tokensOf(await signIn(first, ada.email))
      const out = (token: string): Promise<TestAnswer> => first.call('POST', '/v1/auth/logout', { refresh_token: token }, { key: null })
      assert.equal((await get('/v1/me', ada.access)).status, 200)
      const answer = await out(ada.refresh)
      assert.deepEqual([answer.status, answer.body], [200, { object: 'logout' }])
      assert.deepEqual(told(await get('/v1/me', ada.access)), [401, 'session_ended'])
      assert.deepEqual(told(await refresh(first, ada.refresh)), [401, 'session_ended'])
      assert.equal((await get('/v1/me', other.access)).status, 200)
      for (const token of [ada.refresh, `${ada.refresh.slice(0, -1)}x`, 'nonsense'])
        assert.deepEqual((await out(token)).body, { object: 'logout' })
      assert.equal((await get('/v1/me', other.access)).status, 200)
    })

    test('say who they are and where they belong', async (t) => {
      const { first, ada, account, other, get, clock } = await openScene(t, kind)
      clock.nowMs += 1
      await first.call('PUT', `/v1/users/${ada.id}/memberships/${other}`, { role: 'member' })
      const me = { object: 'me', id: ada.id, email: 'Ada@Example.com', is_operator: false }
      const accounts = [
        { account, name: 'Test', role: 'owner' },
        { account: other, name: 'Test', role: 'member' },
      ]
      assert.deepEqual((await get('/v1/me', ada.access)).body, { ...me, account, role: 'owner', accounts })
      const there = tokensOf(await signIn(first, ada.email, PASSWORD, { account: other }))
      assert.deepEqual((await get('/v1/me', there.access)).body, { ...me, account: other, role: 'member', accounts })
      assert.equal((await get('/v1/credits', there.access)).body.account, other)
      const back = tokensOf(await refresh(first, there.refresh, { account }))
      assert.equal((await get('/v1/credits', back.access)).body.account, account)
      const third = await openAccount(first, '0')
      for (const named of [third, 'acct_00000001', 'external:nobody', 'nonsense']) {
        assert.deepEqual(told(await signIn(first, ada.email, PASSWORD, { account: named })), [404, 'account_not_found'], named)
        assert.deepEqual(told(await refresh(first, back.refresh, { account: named })), [404, 'account_not_found'], named)
      }
      assert.equal((await refresh(first, back.refresh)).status, 200, 'a refused refresh leaves the token as it was')
      for (const key of [(await makeKey(first, account)).secret, OPERATOR_KEY])
        assert.deepEqual(told(await get('/v1/me', key)), [403, 'user_required'])
    })

    test('change their password, which ends every session, and go on with the tokens of the answer', async (t) => {
      const { first, ada, account, get } = await openScene(t, kind)
      const elsewhere = tokensOf(await signIn(first, ada.email))
      const change = (current: string, password: string, token = ada.access): Promise<TestAnswer> =>
        first.call('POST', '/v1/me/password', { current_password: current, password }, { key: token })
      const next = 'quite another battery'
      assert.deepEqual(told(await change('not the right password', next)), [403, 'wrong_password'])
      for (const bad of ['short', PASSWORD, 'aaaaaaaaaaaaaaaaaaa', 'ada@example.com 1'])
        assert.deepEqual(told(await change(PASSWORD, bad)), [400, 'password_unacceptable'], bad)
      assert.equal((await get('/v1/me', ada.access)).status, 200, 'what is refused ends nothing')
      const answer = await change(PASSWORD, next)
      const tokens = tokensOf(answer)
      assert.deepEqual([answer.body.account, answer.body.role], [account, 'owner'])
      assert.equal((await get('/v1/me', tokens.access)).status, 200)
      for (const { access, refresh: token } of [ada, elsewhere]) {
        assert.deepEqual(told(await get('/v1/me', access)), [401, 'session_ended'])
        assert.deepEqual(told(await refresh(first, token)), [401, 'session_ended'])
      }
      assert.deepEqual(told(await signIn(first, ada.email, PASSWORD)), [401, 'invalid_credentials'])
      assert.equal((await signIn(first, ada.email, next)).status, 200)
    })

    test('get a new password by a token of the operator’s, once, within a day', async (t) => {
      const { first, ada, get, clock } = await openScene(t, kind)
      const offer = async (): Promise<string> => (await first.call('POST', `/v1/users/${ada.id}/password-reset`)).body.token
      const confirm = (token: string, password = 'a new one with many words'): Promise<TestAnswer> =>
        first.call('POST', '/v1/auth/password-reset/confirm', { token, password }, { key: null })
      const [replaced, late] = [await offer(), await offer()]
      assert.match(late, /^obol_reset_[0-9A-Za-z]{38}$/)
      assert.deepEqual(told(await confirm(replaced)), [401, 'invalid_one_time_token'])
      clock.nowMs += DAY_MS
      assert.deepEqual(told(await confirm(late)), [401, 'invalid_one_time_token'])
      assert.equal((await signIn(first, ada.email)).status, 200, 'until then the old password works')
      const token = await offer()
      assert.deepEqual(told(await confirm(token, 'too short')), [400, 'password_unacceptable'])
      const misplaced = await first.call(
        'POST',
        '/v1/auth/accept-invitation',
        { token, password: 'a new one with many words' },
        { key: null },
      )
      assert.deepEqual(told(misplaced), [401, 'invalid_one_time_token'])
      const answers = await Promise.all(Array.from({ length: 5 }, () => confirm(token)))
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401])
      const tokens = tokensOf(answers.find(({ status }) => status === 200) ?? assert.fail())
      assert.equal((await get('/v1/me', tokens.access)).status, 200)
      assert.deepEqual(told(await get('/v1/me', ada.access)), [401, 'token_expired'])
      assert.deepEqual(told(await refresh(first, ada.refresh)), [401, 'session_ended'])
      assert.equal((await signIn(first, ada.email, 'a new one with many words')).status, 200)
      for (const nonsense of ['', 'x', `obol_reset_${'x'.repeat(38)}`])
        assert.equal((await confirm(nonsense)).status, nonsense === '' ? 400 : 401)
    })

    test('are signed out within the moment in which they are disabled or taken out of the account', async (t) => {
      const { first, ada, account, get } = await openScene(t, kind)
      const bob = await signUp(first, 'bob@example.com', { account, role: 'member' })
      for (const { access } of [ada, bob]) assert.equal((await get('/v1/credits', access)).status, 200)
      await first.call('PATCH', `/v1/users/${ada.id}`, { status: 'disabled' })
      assert.deepEqual(told(await get('/v1/credits', ada.access)), [401, 'session_ended'])
      assert.deepEqual(told(await refresh(first, ada.refresh)), [401, 'session_ended'])
      assert.deepEqual(told(await signIn(first, ada.email)), [403, 'user_disabled'])
      assert.deepEqual(told(await signIn(first, ada.email, 'not the right password')), [401, 'invalid_credentials'])
      await first.call('PATCH', `/v1/users/${ada.id}`, { status: 'active' })
      assert.deepEqual(told(await get('/v1/credits', ada.access)), [401, 'session_ended'], 'an ended session stays so')
      assert.equal((await signIn(first, ada.email)).status, 200)
      await first.call('DELETE', `/v1/users/${bob.id}/memberships/${account}`)
      assert.deepEqual(told(await get('/v1/credits', bob.access)), [401, 'session_ended'])
      assert.deepEqual(told(await refresh(first, bob.refresh)), [401, 'session_ended'])
      assert.deepEqual(told(await signIn(first, bob.email)), [403, 'no_membership'])
    })

    test('who are operators may what the operator may, in their own name, as long as they are', async (t) => {
      const { first, account, get } = await openScene(t, kind)
      const root = await signUp(first, 'root@example.com', { is_operator: true })
      const answer = await signIn(first, root.email)
      assert.deepEqual([answer.body.account, answer.body.role], [null, 'operator'])
      assert.equal((await get('/v1/accounts', root.access)).status, 200)
      const grant = await first.call('POST', '/v1/grants', { account, amount: '3' }, { key: root.access })
      assert.equal(grant.status, 201)
      assert.equal((await first.call('GET', `/v1/journal?account=${account}`)).body.data[0].actor, root.id)
      assert.deepEqual(
        told(await get('/v1/credits', root.access)),
        [400, 'invalid_request'],
        'as for the operator key, the account is named',
      )
      assert.equal((await get(`/v1/credits?account=${account}`, root.access)).status, 200)
      await first.call('PATCH', `/v1/users/${root.id}`, { is_operator: false })
      assert.deepEqual(told(await get('/v1/accounts', root.access)), [401, 'session_ended'])
      assert.deepEqual(told(await refresh(first, root.refresh)), [401, 'session_ended'])
      assert.deepEqual(told(await signIn(first, root.email)), [403, 'no_membership'])
      await first.call('PUT', `/v1/users/${root.id}/memberships/${account}`, { role: 'owner' })
      await first.call('PATCH', `/v1/users/${root.id}`, { is_operator: true })
      const customer = tokensOf(await signIn(first, root.email, PASSWORD, { account }))
      assert.deepEqual(
        told(await get('/v1/accounts', customer.access)),
        [403, 'operator_key_required'],
        'in an account they are its customer',
      )
    })

    test('tokens that are altered, forged or of another kind open nothing', async (t) => {
      const { first, ada, get } = await openScene(t, kind)
      const [head = '', body = '', signature = ''] = ada.access.split('.')
      const { account: _, ...claims } = JSON.parse(Buffer.from(body, 'base64url').toString())
      const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
      for (const forged of [
        `${head}.${encoded({ ...claims, role: 'operator' })}.${signature}`,
        `${encoded({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
        `${encoded({ alg: 'none', typ: 'at+jwt' })}.${body}.${signature}`,
        `${head}.${body}.${signature.slice(0, -4)}AAAA`,
        'a.b.c',
      ])
        for (const path of ['/v1/me', '/v1/credits', '/v1/accounts'])
          assert.deepEqual(told(await get(path, forged)), [401, 'invalid_token'], `${path} ${forged}`)
      assert.deepEqual(told(await get('/v1/me', ada.refresh)), [401, 'invalid_key'], 'a refresh token opens nothing by itself')
      assert.deepEqual(told(await refresh(first, ada.access)), [400, 'invalid_request'])
      for (const token of ['nonsense', `${ada.refresh.slice(0, -1)}x`, 'obol_refresh_'])
        assert.deepEqual(told(await refresh(first, token)), [401, 'invalid_refresh_token'], token)
      assert.equal((await get('/v1/me', ada.access)).status, 200)
    })

    test('the keys that sign are public, and replaced at once when the operator says so', async (t) => {
      const { first, ada, get } = await openScene(t, kind)
      const fetched = await first.call('GET', '/.well-known/jwks.json', undefined, { key: null })
      assert.deepEqual([fetched.status, fetched.headers.get('cache-control'), fetched.body.keys.length], [200, 'public, max-age=300', 1])
      assert.deepEqual(Object.keys(fetched.body.keys[0]).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
      assert.equal((await get('/v1/me', ada.access)).status, 200)
      const replaced = await first.call('POST', '/v1/auth/signing-keys/replace')
      assert.equal(replaced.status, 200)
      assert.deepEqual(told(await get('/v1/me', ada.access)), [401, 'invalid_token'])
      assert.equal((await get('/v1/me', tokensOf(await refresh(first, ada.refresh)).access)).status, 200)
      const { body } = await first.call('GET', '/.well-known/jwks.json', undefined, { key: null })
      assert.deepEqual(body, replaced.body)
      assert.notEqual(body.keys[0].kid, fetched.body.keys[0].kid)
    })

    test('the first operator user is offered once, says their address, and is there after a restart', async (t) => {
      const offered: string[] = []
      const { first, restart, clock } = await startServers(t, kind, { onFirstOperator: (token) => offered.push(token) })
      assert.equal(offered.length, 1)
      const accept = (call: TestServer['call'], token: string, email?: string): Promise<TestAnswer> =>
        call('POST', '/v1/auth/accept-invitation', { token, password: PASSWORD, ...(email === undefined ? {} : { email }) }, { key: null })
      const [token = ''] = offered
      assert.deepEqual(told(await accept(first.call, token)), [400, 'invalid_email'])
      assert.deepEqual(told(await accept(first.call, token, 'no address')), [400, 'invalid_email'])
      clock.nowMs += DAY_MS
      assert.deepEqual(told(await accept(first.call, token, 'root@example.com')), [401, 'invalid_one_time_token'])
      const again = await first.call('POST', '/v1/users/bootstrap')
      assert.deepEqual([again.status, again.body.email, again.body.status, again.body.is_operator], [201, null, 'invited', true])
      await first.call('POST', '/v1/users', { email: 'taken@example.com' })
      assert.deepEqual(told(await accept(first.call, again.body.token, 'Taken@example.com')), [409, 'email_taken'])
      const accepted = await accept(first.call, again.body.token, 'root@example.com')
      assert.deepEqual([accepted.status, accepted.body.role], [200, 'operator'])
      assert.deepEqual(told(await first.call('POST', '/v1/users/bootstrap')), [409, 'invitation_accepted'])
      const second = await restart()
      assert.equal(offered.length, 1)
      assert.equal((await second.call('GET', '/v1/users', undefined, { key: accepted.body.access_token })).body.data.length, 2)
      assert.equal((await signIn(second, 'ROOT@example.com')).status, 200)
    })

    test('nothing secret of theirs is in the log, whatever goes wrong', async (t) => {
      const { first, ada, get, log } = await openScene(t, kind, { environment: { OBOL_LOG_REQUESTS: 'true' } })
      const { body: offer } = await first.call('POST', `/v1/users/${ada.id}/password-reset`)
      await signIn(first, ada.email, 'hunter2 hunter3 hunter4')
      await first.call('POST', '/v1/auth/token', `{"email":"${ada.email}","password":"${PASSWORD}"`, { key: null })
      await first.call('POST', '/v1/auth/token', { email: ada.email, password: PASSWORD, pasword: PASSWORD }, { key: null })
      await get(`/v1/users/${ada.access}`, ada.access)
      await get(`/v1/charges?x=${ada.refresh}`, ada.access)
      await refresh(first, ada.refresh)
      await first.call(
        'POST',
        '/v1/auth/password-reset/confirm',
        { token: offer.token, password: 'hunter5 hunter6 hunter7' },
        { key: null },
      )
      await first.obol.services.store.close()
      assert.equal((await signIn(first, ada.email)).status, 500)
      const text = log.join('\n')
      assert.ok(log.length > 10)
      for (const secret of [PASSWORD, 'hunter', ada.access, ada.refresh, offer.token, ada.access.split('.')[2] ?? ''])
        assert.ok(!text.includes(secret), `the log has ${secret.slice(0, 20)}`)
      assert.ok(!text.toLowerCase().includes(ada.email.toLowerCase()), 'nor addresses of e-mail')
    })
  })
