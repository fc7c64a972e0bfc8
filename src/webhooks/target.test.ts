import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostOf, MAX_URL_LENGTH, reachOf, readTarget } from './target.ts'

test('addresses of endpoints are read as they will be asked for', () => {
  const table: readonly (readonly [text: string, href: string])[] = [
    ['https://hooks.example.com', 'https://hooks.example.com/'],
    ['HTTPS://Hooks.Example.COM:443/a?b=c', 'https://hooks.example.com/a?b=c'],
    ['https://hooks.example.com:8443/', 'https://hooks.example.com:8443/'],
    ['https://hooks.example.com:80/', 'https://hooks.example.com:80/'],
    ['http://10.0.0.1:3000/x', 'http://10.0.0.1:3000/x'],
    ['https://bücher.example/ä', 'https://xn--bcher-kva.example/%C3%A4'],
  ]
  for (const [text, href] of table) assert.equal(String(readTarget(text)), href, text)
})

test('what is no address of an endpoint is refused, each with its reason', () => {
  const table: readonly (readonly [text: string, why: RegExp])[] = [
    ['', /https address/],
    ['hooks.example.com', /https address/],
    ['ftp://hooks.example.com', /https address/],
    ['file:///etc/passwd', /https address/],
    ['https:hooks.example.com', /https address/],
    ['https://', /https address/],
    ['https://x:99999/', /https address/],
    ['https://[fe80::1%25eth0]/', /https address/],
    ['https://ada:secret@hooks.example.com/', /name or password/],
    ['https://ada@hooks.example.com/', /name or password/],
    ['https://hooks.example.com/#a', /fragment/],
    ['https://hooks.example.com/#', /fragment/],
    ['https://hooks.example.com:22/', /port/],
    ['https://hooks.example.com:1023/', /port/],
    ['http://hooks.example.com:25/', /port/],
    [`https://hooks.example.com/${'a'.repeat(MAX_URL_LENGTH)}`, /characters/],
    [`https://hooks.example.com/${'ä'.repeat(MAX_URL_LENGTH / 2)}`, /characters/],
  ]
  for (const [text, why] of table) assert.match(String(readTarget(text)), why, text)
})

test('without TLS nothing is reached but what the operator allows, and that by the operator alone', () => {
  const [plain, safe] = [new URL('http://x.test'), new URL('https://x.test')]
  assert.deepEqual([reachOf(plain, false), reachOf(plain, true)], [null, 'allowed'])
  assert.deepEqual([reachOf(safe, false), reachOf(safe, true)], ['public', 'public or allowed'])
})

test('a host is a name or an address, however it is written', () => {
  const table: readonly (readonly [text: string, host: string])[] = [
    ['https://2130706433/', '127.0.0.1'],
    ['https://0x7f.1/', '127.0.0.1'],
    ['https://0177.0.0.1/', '127.0.0.1'],
    ['https://127.1/', '127.0.0.1'],
    ['https://0/', '0.0.0.0'],
    ['https://①②⑦.0.0.1/', '127.0.0.1'],
    ['https://[::FFFF:127.0.0.1]/', '::ffff:7f00:1'],
    ['https://LocalHost./', 'localhost'],
  ]
  for (const [text, host] of table) assert.equal(hostOf(new URL(text)), host, text)
})
