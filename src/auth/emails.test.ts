import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseEmail } from './emails.ts'

test('an address is kept as it was written, and compared without case and composition', () => {
  for (const [given, text, key] of [
    ['Ada.Lovelace+obol@Example.COM', 'Ada.Lovelace+obol@Example.COM', 'ada.lovelace+obol@example.com'],
    ['jose\u0301@x.y', 'josé@x.y', 'josé@x.y'],
    ['Иван@почта.рф', 'Иван@почта.рф', 'иван@xn--80a1acny.xn--p1ai'],
    ['user@bücher.example', 'user@bücher.example', 'user@xn--bcher-kva.example'],
    ["o'brien!#$%&*/=?^_`{|}~-@x.y", "o'brien!#$%&*/=?^_`{|}~-@x.y", "o'brien!#$%&*/=?^_`{|}~-@x.y"],
    ['root@localhost', 'root@localhost', 'root@localhost'],
    ['İ@x.y', 'İ@x.y', 'i̇@x.y'],
  ] as const)
    assert.deepEqual(parseEmail(given), { text, key }, given)
})

test('addresses that look the same are the same', () => {
  for (const [one, other] of [
    ['ada@example.com', 'ADA@EXAMPLE.COM'],
    ['ada@example.com', 'ａｄａ@ｅxample.com'],
    ['jose\u0301@x.y', 'jos\u00e9@x.y'],
    ['ﬁona@x.y', 'fiona@x.y'],
    ['a@bücher.example', 'a@xn--bcher-kva.example'],
    ['a@BÜCHER.example', 'a@bu\u0308cher.example'],
  ] as const)
    assert.equal(parseEmail(one)?.key, parseEmail(other)?.key, one)
  assert.notEqual(parseEmail('ada@example.com')?.key, parseEmail('аda@example.com')?.key, 'a letter of another alphabet is another letter')
})

test('what is no address is none', () => {
  const none = [
    ...['', '@', 'ada', '@x.y', 'ada@', 'ada@@', 'a@b@c.d', 'ada @x.y', 'ada@x .y', ' ada@x.y', 'ada@x.y ', 'ada\t@x.y', 'ada@x.y\n'],
    ...['.ada@x.y', 'ada.@x.y', 'a..b@x.y', '"a b"@x.y', 'a(b)@x.y', 'a<b>@x.y', 'a,b@x.y', 'a;b@x.y', 'a:b@x.y', 'a\\b@x.y', 'a[b]@x.y'],
    ...[
      'a@x..y',
      'a@.x',
      'a@x.',
      'a@-x.y',
      'a@x-.y',
      'a@x_y.z',
      'a@1.2.3.4',
      'a@0x7f.1',
      'a@[::1]',
      'a@x:80',
      'a@x/y',
      'a@x%41.y',
      'a@xn--',
    ],
    ...[
      'a\u0000b@x.y',
      'a\u200bb@x.y',
      'a\u202eb@x.y',
      'a\ud83d@x.y',
      'a＠b@x.y',
      'a\u00a0b@x.y',
      'a；b@x.y',
      'ex\u00ad@x.y',
      'a@ex\u00adample.com',
    ],
    ...[`${'a'.repeat(65)}@x.y`, `${'é'.repeat(33)}@x.y`, `a@${'b'.repeat(64)}.y`, `a@${'b.'.repeat(126)}yz`, `${'ﷺ'.repeat(4)}@x.y`],
  ]
  for (const text of none) assert.equal(parseEmail(text), undefined, JSON.stringify(text))
  assert.ok(parseEmail(`${'a'.repeat(64)}@x.y`) && parseEmail(`a@${'b'.repeat(63)}.y`) && parseEmail(`a@${'b.'.repeat(125)}yz`))
})

test('the key of an address is an address with the same key, and never longer than one may be', () => {
  const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 70 })
  fc.assert(
    fc.property(part, part, (local, domain) => {
      const email = parseEmail(`${local}@${domain}`)
      if (!email) return
      assert.equal(parseEmail(email.key)?.key, email.key)
      assert.ok(Buffer.byteLength(email.key) <= 254 && Buffer.byteLength(email.text) <= 254)
    }),
    { numRuns: 2_000 },
  )
})
