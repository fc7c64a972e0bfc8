/** API keys as they are presented: which open an account, which do not, and what is noted of them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, OPERATOR_KEY, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../test/running/obol.ts'
import { KEY_PREFIX, makeSecret, OPERATOR_PREFIX } from './secrets.ts'

const HOUR_MS = 3_600_000

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('API keys', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const account = await openAccount(obol)
  const asks = (secret: string): Promise<TestAnswer> => call('GET', '/v1/credits', undefined, { key: secret })

  await t.test('a key opens its own account', async () => {
    const { secret, id } = await makeKey(obol, account, { name: 'Laptop' })
    const { status, body } = await asks(secret)
    assert.deepEqual([status, body.account, body.key.id, body.key.name], [200, account, id, 'Laptop'])
  })

  await t.test(
    'a text that is no key of this server opens nothing: 401 invalid_key, in the same words whatever is wrong with it',
    async () => {
      const { secret } = await makeKey(obol, account)
      const wrong = {
        'a mistyped character': `${secret.slice(0, -8)}${secret.at(-8) === 'a' ? 'b' : 'a'}${secret.slice(-7)}`,
        'the end is missing': secret.slice(0, -1),
        'another prefix': secret.replace('obol_live_', 'obol_test_'),
        'well formed and unknown': makeSecret(KEY_PREFIX),
        'an operator key of another server': makeSecret(OPERATOR_PREFIX),
        "almost the operator's": `${OPERATOR_KEY.slice(0, -1)}X`,
        'its id': (await makeKey(obol, account)).id,
        'its hint': `obol_live_…${secret.slice(-4)}`.replace('…', ''),
        'one character': 'x',
      }
      const bodies = new Set<string>()
      for (const [what, text] of Object.entries(wrong)) {
        const answer = await asks(text)
        assertProblem(answer, 401, 'invalid_key')
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer', what)
        bodies.add(JSON.stringify({ ...answer.body, request_id: null }))
      }
      assert.equal(bodies.size, 1, [...bodies].join('\n'))
    },
  )

  await t.test('a header that is no Bearer credential is none: 401 authentication_required', async () => {
    const { secret } = await makeKey(obol, account)
    const headers = [
      '',
      'Bearer',
      'Bearer ',
      `Basic ${btoa(`${secret}:`)}`,
      secret,
      `Token ${secret}`,
      `Bearer ${secret} extra`,
      `Bearer ${'a'.repeat(2_049)}`,
    ]
    for (const authorization of headers) {
      const answer = await call('GET', '/v1/credits', undefined, { key: null, headers: { authorization } })
      assertProblem(answer, 401, 'authentication_required')
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    }
    for (const authorization of [`bearer ${secret}`, `BEARER ${secret}`, `Bearer  ${secret}  `])
      assert.equal((await call('GET', '/v1/credits', undefined, { key: null, headers: { authorization } })).status, 200, authorization)
  })

  await t.test('a key in the query is not looked at', async () => {
    const { secret } = await makeKey(obol, account)
    for (const name of ['key', 'api_key', 'token', 'access_token'])
      assertProblem(await call('GET', `/v1/credits?${name}=${secret}`, undefined, { key: null }), 401, 'authentication_required')
  })

  await t.test('a revoked key is refused at once, though it was used a moment before', async () => {
    const { id, secret } = await makeKey(obol, account)
    assert.equal((await asks(secret)).status, 200)
    const revoked = await call('DELETE', `/v1/keys/${id}`)
    assert.deepEqual([revoked.status, revoked.body.status, typeof revoked.body.revoked_at], [200, 'revoked', 'string'])
    assertProblem(await asks(secret), 401, 'key_revoked')
    assertProblem(await call('POST', '/v1/charges', { key: id, operation: 'unit' }), 401, 'key_revoked')
    assertProblem(await call('POST', '/v1/charges', { key: secret, operation: 'unit' }), 401, 'key_revoked')
  })

  await t.test('a revoked key stays as it was: what would change it is a conflict, and tells nobody to authenticate', async () => {
    const { id } = await makeKey(obol, account, { name: 'Old' })
    await call('DELETE', `/v1/keys/${id}`)
    const before = (await call('GET', `/v1/keys/${id}`)).body
    for (const answer of [await call('PATCH', `/v1/keys/${id}`, { name: 'New' }), await call('POST', `/v1/keys/${id}/rotate`, {})]) {
      assertProblem(answer, 409, 'key_already_revoked')
      assert.equal(answer.headers.get('www-authenticate'), null, '401 is about the key that asks')
    }
    assert.deepEqual((await call('GET', `/v1/keys/${id}`)).body, before)
  })

  await t.test('revoking twice is the same as once, so that a lost answer can be asked for again', async () => {
    const { id } = await makeKey(obol, account)
    const first = await call('DELETE', `/v1/keys/${id}`)
    const second = await call('DELETE', `/v1/keys/${id}`)
    assert.deepEqual([second.status, second.body], [200, first.body])
  })

  await t.test('a key expires at its moment, not before, and works again when its end is moved', async () => {
    const endMs = clock.nowMs + HOUR_MS
    const { id, secret } = await makeKey(obol, account, { expires_at: new Date(endMs).toISOString() })
    clock.nowMs = endMs - 1
    assert.equal((await asks(secret)).status, 200)
    clock.nowMs = endMs
    assertProblem(await asks(secret), 401, 'key_expired')
    assertProblem(await call('POST', '/v1/charges', { key: secret, operation: 'unit' }), 401, 'key_expired')
    assertProblem(await call('POST', '/v1/holds', { key: id, operation: 'unit' }), 401, 'key_expired')
    assert.equal((await call('GET', `/v1/keys/${id}`)).body.status, 'expired')
    assert.equal((await call('PATCH', `/v1/keys/${id}`, { expires_at: null })).body.status, 'active')
    assert.equal((await asks(secret)).status, 200)
  })

  await t.test(
    'after a rotation both secrets work until the overlap ends, then the old one is expired and the new one goes on',
    async () => {
      const { id, secret: old } = await makeKey(obol, account)
      const { status, body } = await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 3600 })
      const untilMs = clock.nowMs + HOUR_MS
      assert.deepEqual([status, body.id, body.previous_secret_until], [200, id, new Date(untilMs).toISOString()])
      assert.match(body.secret, /^obol_live_[0-9A-Za-z]{38}$/)
      assert.notEqual(body.secret, old)
      assert.equal(body.hint, `obol_live_…${body.secret.slice(-4)}`)
      for (const secret of [old, body.secret]) assert.equal((await asks(secret)).body.key.id, id)
      clock.nowMs = untilMs - 1
      assert.equal((await asks(old)).status, 200)
      clock.nowMs = untilMs
      assertProblem(await asks(old), 401, 'key_expired')
      assert.equal((await asks(body.secret)).status, 200)
      assert.equal((await call('GET', `/v1/keys/${id}`)).body.previous_secret_until, null)
    },
  )

  await t.test('a rotation without overlap ends the old secret at once; without a wish the overlap is one day', async () => {
    const { id, secret } = await makeKey(obol, account)
    assert.equal((await asks(secret)).status, 200)
    const { body } = await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 0 })
    assertProblem(await asks(secret), 401, 'key_expired')
    assert.equal((await asks(body.secret)).status, 200)
    const again = await call('POST', `/v1/keys/${id}/rotate`, {})
    assert.equal(again.body.previous_secret_until, new Date(clock.nowMs + 24 * HOUR_MS).toISOString())
  })

  await t.test('a rotated key that is revoked is refused by both of its secrets', async () => {
    const { id, secret } = await makeKey(obol, account)
    const { body } = await call('POST', `/v1/keys/${id}/rotate`, {})
    await call('DELETE', `/v1/keys/${id}`)
    for (const each of [secret, body.secret]) assertProblem(await asks(each), 401, 'key_revoked')
  })

  await t.test('a second rotation does not cut the overlap short that the first one promised', async () => {
    const { id, secret } = await makeKey(obol, account)
    await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 3600 })
    await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 3600 })
    assert.equal((await asks(secret)).status, 200, 'the first secret was promised an hour')
  })

  await t.test('a secret that rotations have replaced is expired, not unknown: nobody is sent to look for a typing error', async () => {
    const { id, secret } = await makeKey(obol, account)
    await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 0 })
    await call('POST', `/v1/keys/${id}/rotate`, { overlap_seconds: 0 })
    assertProblem(await asks(secret), 401, 'key_expired')
  })

  await t.test('the last use of a key is noted, by itself or by a charge that shows its secret', async () => {
    const quiet = await makeKey(obol, account)
    const reading = await makeKey(obol, account)
    const charged = await makeKey(obol, account)
    await asks(reading.secret)
    await call('POST', '/v1/charges', { key: charged.secret, operation: 'unit' })
    const usedAt = new Date(clock.nowMs).toISOString()
    clock.nowMs += HOUR_MS
    await obol.obol.services.keyRing.saveUses()
    const lastUse = async (id: string): Promise<string | null> => (await call('GET', `/v1/keys/${id}`)).body.last_used_at
    assert.deepEqual([await lastUse(quiet.id), await lastUse(reading.id), await lastUse(charged.id)], [null, usedAt, usedAt])
  })

  await t.test('nothing that the server logged holds a key', () => {
    const leaks = obol.log.filter((line) => line.includes('obol_live_') || line.includes(OPERATOR_KEY))
    assert.deepEqual(leaks, [])
  })
})
