import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booked, codeOf, DAY_MS, HOUR_MS, MemoryAccount, START_MS, seqOf, toMicro } from '../../../test/running/memory-account.ts'
import { MAX_KEYS } from '../account.ts'

const BUDGET = { limit: toMicro(10), period: 'day', timeZone: 'UTC', maxPerCharge: null } as const

test('an account begins with a record of who it is, active and without credits', () => {
  const account = new MemoryAccount('cap')
  assert.deepEqual(account.journal, [
    {
      kind: 'account_created',
      seq: 1,
      atMs: START_MS,
      actor: 'operator',
      requestId: 'req_1',
      events: [],
      name: 'Ada',
      externalId: null,
      metadata: {},
      capturePolicy: 'cap',
      clock: null,
    },
  ])
  assert.deepEqual([account.state.status, account.state.capturePolicy, account.state.pools], ['active', 'cap', []])
})

test('an update changes what it names, keeps the rest, and its record says all of it', () => {
  const account = new MemoryAccount('cap')
  booked(account.update({ externalId: 'cus_1', metadata: { team: 'a' } }))
  const { record } = booked(account.update({ status: 'suspended', capturePolicy: null }))
  assert.ok(record.kind === 'account_updated')
  const { name, externalId, metadata, status, capturePolicy } = record
  assert.deepEqual(
    { name, externalId, metadata, status, capturePolicy },
    { name: 'Ada', externalId: 'cus_1', metadata: { team: 'a' }, status: 'suspended', capturePolicy: null },
  )
  assert.deepEqual([account.state.status, account.state.capturePolicy], ['suspended', null])
})

test('every command books what was due before it, those that move no credits too', () => {
  const commands: Readonly<Record<string, (account: MemoryAccount, key: number) => unknown>> = {
    update: (account) => account.update({ name: 'Bo' }),
    'new key': (account) => account.createKey(),
    'changed key': (account, key) => account.updateKey(key, { name: 'new' }),
    'rotated key': (account, key) => account.rotateKey(key),
    'revoked key': (account, key) => account.revokeKey(key),
  }
  for (const [what, command] of Object.entries(commands)) {
    const account = new MemoryAccount()
    const key = seqOf(account.createKey())
    account.grant(10, { expiresAtMs: START_MS + HOUR_MS })
    account.wait(HOUR_MS)
    command(account, key)
    assert.equal(account.journal.at(-2)?.kind, 'grant_expired', what)
  }
})

test('a key keeps its terms and its secret in its record, and counts as one of the keys of the account', () => {
  const account = new MemoryAccount()
  const { record } = booked(account.createKey(BUDGET))
  assert.ok(record.kind === 'key_created')
  assert.deepEqual([record.terms.budget, record.secret.hash], [BUDGET, 'hash'])
  assert.equal(account.state.keys, 1)
})

test('a change of a key keeps the terms that it does not name', () => {
  const account = new MemoryAccount()
  const key = seqOf(account.createKey(BUDGET))
  booked(account.updateKey(key, { name: 'batch', operations: ['transcription'] }))
  const { record } = booked(account.updateKey(key, { expiresAtMs: START_MS + DAY_MS }))
  assert.ok(record.kind === 'key_updated')
  const { name, operations, expiresAtMs, budget } = record.terms
  assert.deepEqual(
    { name, operations, expiresAtMs, budget },
    { name: 'batch', operations: ['transcription'], expiresAtMs: START_MS + DAY_MS, budget: BUDGET },
  )
})

test('a rotated key has a new secret, and the old one works until the overlap ends', () => {
  const account = new MemoryAccount()
  const key = seqOf(account.createKey())
  const ends = [0, HOUR_MS].map((overlapMs) => {
    const { record } = booked(account.rotateKey(key, overlapMs))
    return record.kind === 'key_rotated' ? [record.key, record.secret.hash, record.previousUntilMs] : record.kind
  })
  assert.deepEqual(ends, [
    [key, 'other', START_MS],
    [key, 'other', START_MS + HOUR_MS],
  ])
})

test('a revoked key cannot be changed or rotated, and revoking it again changes nothing', () => {
  const account = new MemoryAccount()
  const key = seqOf(account.createKey())
  booked(account.revokeKey(key))
  const records = account.journal.length
  const answers = [account.updateKey(key, { name: 'x' }), account.rotateKey(key), account.revokeKey(key)]
  assert.deepEqual(answers.map(codeOf), ['key_already_revoked', 'key_already_revoked', 'ok'])
  assert.equal(account.journal.length, records)
})

test('what was never a key is not found, a grant included', () => {
  const account = new MemoryAccount()
  const grant = seqOf(account.grant(1))
  for (const id of [grant, 999])
    assert.deepEqual(
      [account.updateKey(id, { name: 'x' }), account.rotateKey(id), account.revokeKey(id)].map(codeOf),
      Array(3).fill('key_not_found'),
    )
})

test(`an account has at most ${MAX_KEYS} keys, and room again when one is revoked`, () => {
  const account = new MemoryAccount()
  const key = seqOf(account.createKey())
  account.quickly(() => {
    for (let count = 1; count < MAX_KEYS; count += 1) booked(account.createKey())
  })
  assert.equal(codeOf(account.createKey()), 'too_many_keys')
  booked(account.revokeKey(key))
  assert.deepEqual([account.createKey(), account.createKey()].map(codeOf), ['ok', 'too_many_keys'])
})
