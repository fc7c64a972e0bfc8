import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Networks, parseNetwork } from './networks.ts'

const INTERNAL = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.1', '127.255.255.255'],
  ['169.254.169.254'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.1.1'],
  ['198.18.0.0', '198.19.255.255', '198.51.100.7', '203.0.113.9'],
  ['224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255'],
  ['::', '::1', '::7f00:1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe'],
  ['64:ff9b::7f00:1', '64:ff9b::10.0.0.1', '64:ff9b:1::1', '100::1', '2001::1', '2001:db8::1', '2002:7f00:1::1', '2002::'],
  ['::ffff:0:7f00:1', '64:ff9a::1', '1fff::1', '4000::1', 'fbff::1'],
  ['fc00::1', 'fd12:3456::1', 'fe80::1', 'febf::1', 'fec0::1', 'ff02::1', '3fff::1', '5f00::1'],
].flat()

const PUBLIC = [
  ['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
  ['169.253.255.255', '172.15.255.255', '172.32.0.0', '192.0.1.1', '192.167.255.255', '192.169.0.0', '198.17.255.255', '223.255.255.255'],
  ['2606:4700:4700::1111', '2a00:1450::1', '2001:4860:4860::8888', '::ffff:8.8.8.8', '2003::1', '2000::1', '3ffe:ffff::1'],
].flat()

const networksOf = (...texts: readonly string[]): Networks =>
  new Networks(texts.map((text) => parseNetwork(text) ?? assert.fail(`${text} is no network`)))

test('addresses that are not public are out of reach, and public ones are not', () => {
  const networks = networksOf()
  for (const address of INTERNAL) assert.ok(!networks.isWithin('public', address), address)
  for (const address of PUBLIC) assert.ok(networks.isWithin('public', address), address)
  for (const address of [...INTERNAL, ...PUBLIC]) assert.ok(!networks.isWithin('allowed', address), address)
})

test('networks that the operator allows are within reach of those alone who may go there', () => {
  const networks = networksOf('10.1.0.0/16', '127.0.0.1/32', 'fd00::/8')
  for (const address of ['10.1.255.255', '127.0.0.1', '::ffff:10.1.2.3', '::ffff:127.0.0.1', 'fd99::1'])
    assert.deepEqual(
      (['public', 'allowed', 'public or allowed'] as const).map((reach) => networks.isWithin(reach, address)),
      [false, true, true],
      address,
    )
  for (const address of ['10.2.0.0', '127.0.0.2', 'fc00::1'])
    for (const reach of ['public', 'allowed', 'public or allowed'] as const) assert.ok(!networks.isWithin(reach, address), address)
  assert.deepEqual(
    (['public', 'allowed', 'public or allowed'] as const).map((reach) => networks.isWithin(reach, '8.8.8.8')),
    [true, false, true],
  )
})

test('a network is an address and a length that it can have', () => {
  assert.deepEqual(parseNetwork('10.0.0.0/8'), { address: '10.0.0.0', prefix: 8, family: 'ipv4' })
  assert.deepEqual(parseNetwork('fd00::/128'), { address: 'fd00::', prefix: 128, family: 'ipv6' })
  for (const text of [
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    'fd00::/129',
    'x/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '0x7f.0.0.1/8',
    ' 10.0.0.0/8',
  ])
    assert.equal(parseNetwork(text), undefined, text)
})

test('what is no address is a fault, and not within any reach', () => {
  assert.throws(() => networksOf().isWithin('public', 'localhost'), /localhost is no address/)
})
