import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  accountId,
  attemptId,
  endpointId,
  eventId,
  type IdPrefix,
  MAX_ACCOUNT_NUMBER,
  MAX_SEQUENCE,
  objectId,
  parseAccountId,
  parseAttemptId,
  parseEndpointId,
  parseEventId,
  parseObjectId,
  parseUserId,
  replayId,
  userId,
} from './ids.ts'

const PREFIXES: readonly IdPrefix[] = ['key', 'grant', 'chg', 'hold', 'rfd', 'adj', 'rec', 'evt']
const EXTREMES = [0, 1, 31, 32, 1023, 1024, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 35, MAX_ACCOUNT_NUMBER - 1, MAX_ACCOUNT_NUMBER]
const anyAccount = fc.integer({ min: 0, max: MAX_ACCOUNT_NUMBER })
const anySeq = fc.integer({ min: 0, max: MAX_SEQUENCE })
const anyPrefix = fc.constantFrom(...PREFIXES)

test('a user’s id has all of its random bits, and always the same length', () => {
  assert.deepEqual(
    [userId(0n), userId(2n ** 80n - 1n), userId(31n)],
    ['user_0000000000000000', 'user_vvvvvvvvvvvvvvvv', 'user_000000000000000v'],
  )
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 80n - 1n), fc.bigInt(0n, 2n ** 80n - 1n), (one, other) => {
      assert.match(userId(one), /^user_[0-9a-v]{16}$/)
      assert.equal(parseUserId(userId(one)), userId(one))
      assert.equal(userId(one) === userId(other), one === other)
    }),
  )
})

test('what is no user’s id is none', () => {
  for (const text of [
    '',
    'user_',
    'user_000000000000000',
    'user_00000000000000000',
    'user_000000000000000w',
    'USER_0000000000000000',
    'user_000000000000000\0',
    'user_0000000000000000\n',
    'key_0000000000000000',
  ])
    assert.equal(parseUserId(text), undefined, JSON.stringify(text))
})

test('ids look as the documentation shows them', () => {
  const table: readonly (readonly [string, string])[] = [
    [accountId(0), 'acct_00000000'],
    [accountId(MAX_ACCOUNT_NUMBER), 'acct_vvvvvvvv'],
    [objectId('chg', parseAccountId('acct_1k2m3n4p') ?? -1, 0x4f), 'chg_1k2m3n4p0000002f'],
    [objectId('hold', 0, 1), 'hold_0000000000000001'],
    [objectId('key', MAX_ACCOUNT_NUMBER, MAX_SEQUENCE), 'key_vvvvvvvvvvvvvvvv'],
  ]
  for (const [id, text] of table) assert.equal(id, text)
})

test('every account number is read back from its id', () => {
  for (const account of EXTREMES) assert.equal(parseAccountId(accountId(account)), account)
  fc.assert(fc.property(anyAccount, (account) => parseAccountId(accountId(account)) === account))
})

test('every address is read back from an id of its kind', () => {
  for (const account of EXTREMES)
    for (const seq of EXTREMES) assert.deepEqual(parseObjectId('chg', objectId('chg', account, seq)), { account, seq })
  fc.assert(
    fc.property(anyPrefix, anyAccount, anySeq, (prefix, account, seq) => {
      assert.deepEqual(parseObjectId(prefix, objectId(prefix, account, seq)), { account, seq })
    }),
  )
})

test('the id of one kind never stands for a thing of another kind', () => {
  fc.assert(
    fc.property(anyPrefix, anyPrefix, anyAccount, anySeq, (prefix, other, account, seq) => {
      fc.pre(prefix !== other)
      assert.equal(parseObjectId(other, objectId(prefix, account, seq)), undefined)
      assert.equal(parseAccountId(objectId(prefix, account, seq)), undefined)
      assert.equal(parseObjectId(prefix, accountId(account)), undefined)
    }),
  )
})

test('different addresses have different ids', () => {
  const address = fc.tuple(anyAccount, anySeq)
  fc.assert(
    fc.property(address, address, (a, b) => {
      assert.equal(objectId('chg', ...a) === objectId('chg', ...b), a[0] === b[0] && a[1] === b[1])
    }),
  )
})

test('the ids of an account order as its records were made', () => {
  fc.assert(
    fc.property(anyPrefix, anyAccount, fc.uniqueArray(anySeq), (prefix, account, seqs) => {
      const ordered = [...seqs].sort((a, b) => a - b).map((seq) => objectId(prefix, account, seq))
      assert.deepEqual([...ordered].sort(), ordered)
    }),
  )
})

test('each event of a record has an id of its own, which names the record and stands for nothing else', () => {
  assert.equal(eventId(0, 0x4f, 1), 'evt_000000000000002f_1')
  fc.assert(
    fc.property(anyAccount, anySeq, fc.nat(), (account, seq, index) => {
      const id = eventId(account, seq, index)
      assert.equal(id.startsWith(objectId('evt', account, seq)), true)
      assert.notEqual(id, eventId(account, seq, index + 1))
      for (const prefix of PREFIXES) assert.equal(parseObjectId(prefix, id), undefined)
    }),
  )
})

test('an account id of any other form is refused', () => {
  const bad = [
    '',
    'acct_',
    'acct',
    '1k2m3n4p',
    'acct_1k2m3n4',
    'acct_1k2m3n4p0',
    'acct_1k2m3n4p0000002f',
    'acct_1K2M3N4P',
    'ACCT_1k2m3n4p',
    'acct-1k2m3n4p',
    'acct_1k2m3n4w',
    'acct_1k2m3n4z',
    'acct_1k2m3n4_',
    'acct_-1234567',
    'acct_1k2m3n.p',
    'acct_1k2m3n4é',
    ' acct_1k2m3n4p',
    'acct_1k2m3n4p ',
    'acct_1k2m3n4p\n',
    'xacct_1k2m3n4p',
    'key_1k2m3n4p',
  ]
  assert.deepEqual(
    bad.filter((id) => parseAccountId(id) !== undefined),
    [],
  )
})

test('an object id of any other form is refused', () => {
  const bad = [
    '',
    'chg_',
    'chg',
    '1k2m3n4p0000002f',
    'chg_1k2m3n4p',
    'chg_1k2m3n4p0000002',
    'chg_1k2m3n4p0000002f0',
    'chg_1K2M3N4P0000002F',
    'chg_1k2m3n4p0000002F',
    'CHG_1k2m3n4p0000002f',
    'Chg_1k2m3n4p0000002f',
    'chg-1k2m3n4p0000002f',
    'chg_1k2m3n4p0000002w',
    'chg_1k2m3n4w0000002f',
    'chg_1k2m3n4p_000002f',
    'chg_1k2m3n4p-000002f',
    'chg_1k2m3n4p 000002f',
    ' chg_1k2m3n4p0000002f',
    'chg_1k2m3n4p0000002f ',
    'chg_1k2m3n4p0000002f\n',
    'chgs_1k2m3n4p0000002f',
    '_1k2m3n4p0000002f',
    'hold_1k2m3n4p0000002f',
  ]
  assert.deepEqual(
    bad.filter((id) => parseObjectId('chg', id) !== undefined),
    [],
  )
})

test('the record and the place of an event are read back from its id', () => {
  fc.assert(
    fc.property(anyAccount, anySeq, fc.integer({ min: 0, max: 15 }), (account, seq, index) => {
      assert.deepEqual(parseEventId(eventId(account, seq, index)), { account, seq, index })
    }),
  )
  for (const text of [
    '',
    'evt_0000000000000001',
    'evt_0000000000000001_',
    'evt_0000000000000001_x',
    'rec_0000000000000001_0',
    'evt_000000000000001_0',
  ])
    assert.equal(parseEventId(text), undefined, text)
})

test('ids of endpoints, attempts and replays are random or ordered by time, and no other text is one', () => {
  assert.deepEqual(
    [endpointId(0n), endpointId(2n ** 80n - 1n), endpointId(2n ** 80n)],
    [`whe_${'0'.repeat(16)}`, `whe_${'v'.repeat(16)}`, endpointId(0n)],
  )
  assert.equal(replayId(31n), 'whr_000000000000000v')
  assert.equal(parseEndpointId(endpointId(77n)), endpointId(77n))
  for (const text of ['', 'whe_', 'whe_000000000000000', 'whe_000000000000000w', 'wha_0000000000000000', 'whe_00000000000000000'])
    assert.equal(parseEndpointId(text), undefined, text)
  const early = attemptId(Date.UTC(2026, 10, 20), 2 ** 32 - 1)
  assert.equal(parseAttemptId(early), early)
  assert.equal(parseAttemptId(endpointId(1n)), undefined)
  assert.ok(early < attemptId(Date.UTC(2026, 10, 20) + 1, 0))
  assert.ok(attemptId(Date.UTC(2026, 10, 20), 1) < attemptId(Date.UTC(2026, 10, 20), 2))
  assert.equal(attemptId(Date.UTC(2200, 0), 0).length, 20)
})
