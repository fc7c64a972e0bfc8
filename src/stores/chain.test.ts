import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ChainedRow, chainHash, fingerprintOf, genesisHash, keyHash } from './chain.ts'

const ROW: ChainedRow = {
  seq: 7,
  atMs: 1_795_177_800_000,
  kind: 'charge',
  keyHash: 'k'.repeat(22),
  fingerprint: 'f'.repeat(22),
  body: '{"a":1}',
}

const sha = (text: string): string => createHash('sha256').update(text, 'utf8').digest('base64url')

test('hashes are SHA-256 over a text that anyone can write down, so that a journal can be checked without Obol', () => {
  assert.equal(genesisHash(42), sha('obol journal 1 account 42'))
  const text = ['before', '7', '1795177800000', 'charge', ROW.keyHash, ROW.fingerprint, '{"a":1}'].join('\n')
  assert.equal(chainHash('before', ROW), sha(text))
  assert.equal(chainHash('before', { ...ROW, keyHash: null, fingerprint: null }), sha('before\n7\n1795177800000\ncharge\n\n\n{"a":1}'))
  assert.equal(keyHash(42, 'order 1'), sha('42:order 1').slice(0, 22))
  assert.equal(keyHash('accounts', 'order 1', 3), sha('accounts#3:order 1').slice(0, 22))
  assert.equal(fingerprintOf('POST', '/v1/charges', '{}'), sha('POST\n/v1/charges\n{}').slice(0, 22))
})

test('hashes never change: every journal that was ever written hangs on them', () => {
  assert.deepEqual(
    [genesisHash(42), chainHash(genesisHash(42), ROW), keyHash(42, 'order 1'), fingerprintOf('POST', '/v1/charges', '{}')],
    [
      'tmfuzNB82GxDL-BiRbHJW5IxAXIGTD_ZP8VMkWPUY8Q',
      'Mp88VQcI2ivSPbQ88nwMWyZNu0EiziyuXGNg1h_etfg',
      '7ffv5q3g8K4IY_NRwZF-pV',
      'qXEDf1WU1lnpn3msdiuhbC',
    ],
  )
})

test('no field of a row can change without its hash', () => {
  const changes: Readonly<Record<string, Partial<ChainedRow>>> = {
    seq: { seq: 8 },
    atMs: { atMs: ROW.atMs + 1 },
    kind: { kind: 'refund' },
    keyHash: { keyHash: 'K'.repeat(22) },
    'no keyHash': { keyHash: null },
    fingerprint: { fingerprint: 'F'.repeat(22) },
    'no fingerprint': { fingerprint: null },
    body: { body: '{"a":2}' },
    'space in the body': { body: '{"a": 1}' },
  }
  const hashes = Object.values(changes).map((change) => chainHash('before', { ...ROW, ...change }))
  assert.equal(new Set([...hashes, chainHash('before', ROW), chainHash('other', ROW)]).size, hashes.length + 2)
  assert.notEqual(genesisHash(1), genesisHash(2))
})

test('rows that differ have texts that differ, whatever their bodies hold', () => {
  const field = fc.constantFrom(null, 'k'.repeat(22), 'f'.repeat(22))
  const body = fc.oneof(fc.json(), fc.string(), fc.constantFrom('\n', '\n\n', '1\n2', `${'k'.repeat(22)}\n`))
  const row = fc.record({ seq: fc.nat(9), atMs: fc.nat(9), kind: fc.constantFrom('a', 'b'), keyHash: field, fingerprint: field, body })
  fc.assert(
    fc.property(row, row, (a, b) => {
      const isSame = JSON.stringify(a) === JSON.stringify(b)
      assert.equal(chainHash('x', a) === chainHash('x', b), isSame)
    }),
    { seed: 1, numRuns: 2_000 },
  )
})

test('a key has one hash per account, surface and place in a batch, and two never share one', () => {
  const scope = fc.oneof(fc.nat(3), fc.constantFrom('prices' as const, 'accounts' as const))
  const key = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('1', ':', '#1:', '1:1', '#1', 'accounts', '2#1:x'))
  const named = fc.tuple(scope, key, fc.nat(2))
  fc.assert(
    fc.property(named, named, (a, b) => {
      assert.equal(keyHash(...a) === keyHash(...b), JSON.stringify(a) === JSON.stringify(b))
      assert.equal(keyHash(...a).length, 22)
    }),
    { seed: 2, numRuns: 5_000 },
  )
})

test('the first item of a batch shares its hash with a request that is no batch', () => {
  assert.equal(keyHash(1, 'k'), keyHash(1, 'k', 0))
  assert.notEqual(keyHash(1, 'k'), keyHash(1, 'k', 1))
})

test('requests that differ in method, path or body have different fingerprints', () => {
  const asked = [
    ['POST', '/v1/charges', '{}'],
    ['PUT', '/v1/charges', '{}'],
    ['POST', '/v1/charge', 's{}'],
    ['POST', '/v1/charges', '{"amount":1}'],
    ['POST', '/v1/charges', '{"amount":"1"}'],
  ] as const
  assert.equal(new Set(asked.map(([method, path, body]) => fingerprintOf(method, path, body))).size, asked.length)
})
