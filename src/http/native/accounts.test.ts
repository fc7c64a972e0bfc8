import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccount, publishTestPrices, startTestObol, type TestAnswer } from '../../../test/running/obol.ts'

function assertProblem(answer: TestAnswer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
}

test('accounts', async (t) => {
  const obol = await startTestObol(t)
  const { call, clock } = obol
  await publishTestPrices(obol)
  const create = (body: object): Promise<TestAnswer> => call('POST', '/v1/accounts', body)
  const patch = (account: string, body: object): Promise<TestAnswer> => call('PATCH', `/v1/accounts/${account}`, body)

  await t.test('are opened with a name alone, and everything that they have is in the answer', async () => {
    const { status, body } = await create({ name: 'Acme' })
    assert.equal(status, 201)
    assert.match(body.id, /^acct_[0-9a-v]{8}$/)
    assert.deepEqual(body, {
      object: 'account',
      id: body.id,
      name: 'Acme',
      external_id: null,
      status: 'active',
      capture_policy: null,
      metadata: {},
      created_at: new Date(clock.nowMs).toISOString(),
    })
    assert.deepEqual((await call('GET', `/v1/accounts/${body.id}`)).body, body)
  })

  await t.test('keep all that the operator says of them', async () => {
    const said = { name: 'Łódź & Söhne 😀', external_id: 'user-42', capture_policy: 'cap', metadata: { plan: 'pro', note: '' } }
    const { body } = await create(said)
    for (const [field, value] of Object.entries(said)) assert.deepEqual(body[field], value, field)
  })

  await t.test('are found by their external id wherever an account is named', async () => {
    const external = 'customer/7@example.com: a+b é'
    const { id } = (await create({ name: 'Seven', external_id: external })).body
    const named = `external:${external}`
    const inPath = encodeURIComponent(named)
    assert.equal((await call('GET', `/v1/accounts/${inPath}`)).body.id, id)
    assert.equal((await call('POST', '/v1/grants', { account: named, amount: '10' })).body.account, id)
    assert.equal((await call('POST', '/v1/charges', { account: named, operation: 'unit' })).body.account, id)
    assert.equal((await call('POST', '/v1/holds', { account: named, operation: 'unit' })).body.account, id)
    assert.equal((await call('POST', '/v1/keys', { account: named })).body.account, id)
    assert.equal((await call('POST', '/v1/adjustments', { account: named, amount: 1, reason: 'found' })).body.account, id)
    assert.equal((await call('POST', '/v1/estimates', { account: named, items: [{ operation: 'unit' }] })).status, 200)
    for (const path of [`/v1/accounts/${inPath}/credits`, `/v1/credits?account=${inPath}`, `/v1/usage?account=${inPath}`])
      assert.equal((await call('GET', path)).body.account, id, path)
    for (const list of ['charges', 'grants', 'holds', 'keys', 'journal'])
      assert.ok((await call('GET', `/v1/${list}?account=${inPath}`)).body.data.length > 0, list)
    assert.equal((await patch(inPath, { name: 'Eight' })).body.name, 'Eight')
  })

  await t.test('are found by the longest external id that they may have, in any script', async () => {
    for (const external of ['x'.repeat(200), '/'.repeat(200), 'ä'.repeat(200), '😀'.repeat(200)]) {
      const { status, body } = await create({ name: 'Long', external_id: external })
      assert.equal(status, 201)
      const found = await call('GET', `/v1/accounts/${encodeURIComponent(`external:${external}`)}`)
      assert.deepEqual([found.status, found.body.id], [200, body.id], external.slice(0, 2))
    }
  })

  await t.test('have one external id each: another with the same is 409, and none is opened', async () => {
    const { id } = (await create({ name: 'First', external_id: 'unique' })).body
    const newest = (await call('GET', '/v1/accounts?limit=1')).body.data[0].id
    const options = { idempotencyKey: crypto.randomUUID() }
    assertProblem(await call('POST', '/v1/accounts', { name: 'Second', external_id: 'unique' }, options), 409, 'external_id_taken')
    assert.equal((await call('GET', '/v1/accounts?limit=1')).body.data[0].id, newest)
    await patch(id, { external_id: null })
    assert.equal(
      (await call('POST', '/v1/accounts', { name: 'Second', external_id: 'unique' }, options)).status,
      201,
      'and the same key serves',
    )
    assertProblem(await patch(id, { external_id: 'unique' }), 409, 'external_id_taken')
    assert.equal((await create({ name: 'Third', external_id: 'UNIQUE' })).status, 201, 'case counts')
  })

  await t.test('have one external id each, also when ten are opened with it at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => create({ name: 'Race', external_id: 'race' })))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, ...Array(9).fill(409)])
  })

  await t.test('change what is said and nothing else', async () => {
    const { body: before } = await create({ name: 'Before', external_id: 'before', metadata: { a: '1', b: '2' } })
    const table: readonly (readonly [changes: object, expected: object])[] = [
      [{ name: 'After' }, { name: 'After' }],
      [{ metadata: { c: '3' } }, { metadata: { c: '3' } }],
      [{ external_id: 'after' }, { external_id: 'after' }],
      [{ external_id: null }, { external_id: null }],
      [{ capture_policy: 'reject' }, { capture_policy: 'reject' }],
      [{ capture_policy: null }, { capture_policy: null }],
      [{ status: 'suspended' }, { status: 'suspended' }],
      [
        { status: 'active', name: 'Again' },
        { status: 'active', name: 'Again' },
      ],
    ]
    let expected = before
    for (const [changes, differences] of table) {
      expected = { ...expected, ...differences }
      const { status, body } = await patch(before.id, changes)
      assert.deepEqual([status, body], [200, expected], JSON.stringify(changes))
      assert.deepEqual((await call('GET', `/v1/accounts/${before.id}`)).body, expected)
    }
    assertProblem(await call('GET', '/v1/accounts/external:before'), 404, 'account_not_found')
  })

  await t.test('that are suspended take no new charges or holds, and everything else goes on', async () => {
    const account = await openAccount(obol, '100')
    const hold = (await call('POST', '/v1/holds', { account, operation: 'unit', amount: '10' })).body.id
    const charge = (await call('POST', '/v1/charges', { account, operation: 'unit' })).body.id
    await patch(account, { status: 'suspended' })
    for (const [path, body] of [
      ['/v1/charges', { account, operation: 'unit' }],
      ['/v1/holds', { account, operation: 'unit' }],
      [`/v1/holds/${hold}/increase`, { amount: '1' }],
    ] as const) {
      const { sequence } = (await call('GET', `/v1/accounts/${account}/credits`)).body
      assertProblem(await call('POST', path, body), 403, 'account_suspended')
      assert.equal((await call('GET', `/v1/accounts/${account}/credits`)).body.sequence, sequence)
    }
    assert.equal((await call('POST', `/v1/holds/${hold}/capture`, { amount: '5' })).status, 201)
    assert.equal((await call('POST', `/v1/charges/${charge}/refund`, {})).status, 201)
    assert.equal((await call('POST', '/v1/grants', { account, amount: '1' })).status, 201)
    const { body } = await call('GET', `/v1/accounts/${account}/credits`)
    assert.deepEqual([body.can_spend, body.blocked_reason, body.credit_types.credits.available], [false, 'account_suspended', '96'])
    await patch(account, { status: 'active' })
    assert.equal((await call('POST', '/v1/charges', { account, operation: 'unit' })).status, 201)
  })

  await t.test('that are not there are not found, by any name', async () => {
    for (const name of ['acct_00000001', 'external:nobody', 'external:', 'acct_', 'acct_zzzzzzzz', 'ACCT_00000001', 'nonsense']) {
      assertProblem(await call('GET', `/v1/accounts/${name}`), 404, 'account_not_found')
      assertProblem(await call('POST', '/v1/charges', { account: name, operation: 'unit' }), 404, 'account_not_found')
      assertProblem(await call('POST', '/v1/grants', { account: name, amount: '1' }), 404, 'account_not_found')
    }
  })
})

test('names that no text can hold', async (t) => {
  const obol = await startTestObol(t)
  const { call } = obol

  await t.test('half a character is refused or kept as it is: either way the ledger agrees with itself', async () => {
    for (const half of ['\ud800', 'a\udfffb', '\ud83d']) {
      for (const body of [{ name: half }, { name: 'Half', external_id: half }, { name: 'Half', metadata: { note: half } }]) {
        const answer = await call('POST', '/v1/accounts', body)
        if (answer.status === 201) {
          const { name, external_id, metadata } = answer.body
          assert.deepEqual([name, external_id, metadata], [body.name, body.external_id ?? null, body.metadata ?? {}], JSON.stringify(body))
        } else assertProblem(answer, 400, 'invalid_request')
      }
    }
    assert.deepEqual((await call('GET', '/v1/audit/verify')).body.differences, [])
  })
})
