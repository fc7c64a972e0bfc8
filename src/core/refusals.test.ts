import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal, REFUSALS, refuse } from './refusals.ts'

const CODES = Object.entries(REFUSALS)

test('every code has a meaning, written as sentences', () => {
  assert.notEqual(CODES.length, 0)
  for (const [code, meaning] of CODES) assert.match(meaning, /^[A-Z]\S* .+\.$/, code)
})

test('every code is lower-case words that clients can switch on', () => {
  for (const [code] of CODES) assert.match(code, /^[a-z]+(_[a-z]+)*$/)
})

test('no two codes mean the same', () => {
  assert.equal(new Set(CODES.map(([, meaning]) => meaning)).size, CODES.length)
})

test('a refusal keeps its code, its sentence and its facts', () => {
  assert.deepEqual(refuse('unknown_unit', 'Not per that.', { unit: 'that', count: 1, other: null }), {
    refused: 'unknown_unit',
    detail: 'Not per that.',
    facts: { unit: 'that', count: 1, other: null },
  })
})

test('a refusal without facts has none', () => {
  assert.deepEqual(refuse('key_revoked', 'Gone.').facts, {})
})

test('refusals are told from results', () => {
  assert.equal(isRefusal(refuse('key_revoked', 'Gone.')), true)
  for (const result of [{}, { credits: 1n, lines: [] }, { code: 'key_revoked' }, []]) assert.equal(isRefusal(result), false)
})
