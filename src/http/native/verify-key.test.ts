import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

const HOUR_MS = 3_600_000

test('a key that is verified', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const verify = (key: string, more: object = {}): Promise<TestAnswer> => call('POST', '/v1/keys/verify', { key, ...more })
  const assertCode = async (code: string, key: string, more: object = {}): Promise<TestAnswer['body']> => {
    const { status, body } = await verify(key, more)
    assert.deepEqual([status, body.object, body.code, body.valid], [200, 'key_verification', code, code === 'valid'])
    return body
  }

  await t.test('is valid by its secret and by its id, with what it may do and what its account has', async () => {
    const account = await openAccount(obol, '12.5')
    const { id, secret } = await makeKey(obol, account, { name: 'App', budget: { limit: '5' }, metadata: { user: '7' } })
    for (const key of [secret, id]) {
      const body = await assertCode('valid', key)
      assert.deepEqual([body.account, body.available, body.key.id, body.key.metadata], [account, '12.5', id, { user: '7' }])
      assert.equal(body.key.budget.remaining, '5')
      assert.ok(!JSON.stringify(body).includes(secret))
    }
  })

  await t.test('that is none is told apart from one that has ended, and nothing more is said of it', async () => {
    const account = await openAccount(obol)
    const revoked = await makeKey(obol, account)
    await call('DELETE', `/v1/keys/${revoked.id}`)
    const expired = await makeKey(obol, account, { expires_at: new Date(clock.nowMs + HOUR_MS).toISOString() })
    const rotated = await makeKey(obol, account)
    await call('POST', `/v1/keys/${rotated.id}/rotate`, { overlap_seconds: 0 })
    clock.nowMs += HOUR_MS
    for (const [key, code] of [
      ['nonsense', 'invalid_key'],
      ['key_0000000000000001', 'key_not_found'],
      [revoked.secret, 'key_revoked'],
      [revoked.id, 'key_revoked'],
      [expired.secret, 'key_expired'],
      [expired.id, 'key_expired'],
      [rotated.secret, 'key_expired'],
    ] as const) {
      const { account: whose, key: shown, available } = await assertCode(code, key)
      assert.deepEqual([whose, shown, available], [null, null, null], code)
    }
  })

  await t.test('says why it cannot be used now: suspended, another operation, no budget, no credits, credits only held', async () => {
    const account = await openAccount(obol, '10')
    const { id } = await makeKey(obol, account, { operations: ['unit'], budget: { limit: '8' } })
    await assertCode('valid', id, { operation: 'unit' })
    await assertCode('operation_not_allowed', id, { operation: 'image' })
    await call('POST', '/v1/charges', { key: id, operation: 'unit', amount: '8' })
    await assertCode('key_budget_exceeded', id)
    await call('PATCH', `/v1/keys/${id}`, { budget: null })
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '2' })).body.id
    await assertCode('credits_in_flight', id)
    await call('POST', `/v1/holds/${hold}/capture`, {})
    await assertCode('insufficient_credits', id)
    await call('POST', '/v1/grants', { account, amount: '1' })
    await assertCode('valid', id)
    await call('PATCH', `/v1/accounts/${account}`, { status: 'suspended' })
    await assertCode('account_suspended', id)
  })

  await t.test('costs nothing and writes nothing', async () => {
    const account = await openAccount(obol, '10')
    const { secret } = await makeKey(obol, account)
    const before = (await call('GET', `/v1/accounts/${account}/credits`)).text
    for (let count = 0; count < 5; count++) await verify(secret, { operation: 'unit' })
    assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).text, before)
  })
})
