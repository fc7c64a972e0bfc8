import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OverloadedError } from '../stores/store.ts'
import { faultOfPassword, MAX_PASSWORD_BYTES } from './password-rules.ts'
import { Passwords } from './passwords.ts'

const passwords = new Passwords()

test('a password is kept as an Argon2id hash with a salt of its own, and found right again', async () => {
  const [one, other] = [await passwords.hash('correct horse battery'), await passwords.hash('correct horse battery')]
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.notEqual(one, other)
  for (const kept of [one, other]) assert.equal(await passwords.isRight('correct horse battery', kept), true)
  for (const wrong of ['correct horse batterx', 'Correct horse battery', 'correct horse battery ', ''])
    assert.equal(await passwords.isRight(wrong, one), false, wrong)
  assert.equal(passwords.isOutdated(one), false)
})

test('the same characters are the same password however they are composed, and no others are', async () => {
  const kept = await passwords.hash('cr\u00e8me br\u00fbl\u00e9e')
  assert.equal(await passwords.isRight('cre\u0300me bru\u0302le\u0301e', kept), true)
  assert.equal(await passwords.isRight('creme brulee', kept), false)
  assert.equal(await passwords.isRight('ｃ\u00e8me br\u00fbl\u00e9e', kept), false)
})

test('a hash of other parameters, made elsewhere, is read and told to be outdated', async () => {
  // The example of RFC 9106's reference implementation, of Argon2id with 64 MiB, two passes and one lane.
  const kept = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  assert.equal(await passwords.isRight('password', kept), true)
  assert.equal(await passwords.isRight('passwore', kept), false)
  assert.equal(passwords.isOutdated(kept), true)
})

test('where there is no password, or none that can be read, nothing is right, and it takes as long', async () => {
  const kept = await passwords.hash('correct horse battery')
  const timed = async (against: string | null): Promise<number> => {
    const startedMs = performance.now()
    assert.equal(await passwords.isRight('a wrong one, as long', against), false)
    return performance.now() - startedMs
  }
  const times: { known: number[]; none: number[] } = { known: [], none: [] }
  for (let round = 0; round < 9; round++) {
    times.known.push(await timed(kept))
    times.none.push(await timed(round % 2 === 0 ? null : '$2b$10$something'))
  }
  const [known, none] = [times.known, times.none].map((list) => list.toSorted((a, b) => a - b)[4] ?? 0)
  assert.ok(
    known !== undefined && none !== undefined && none > known / 2 && none < known * 2,
    `${none} ms without a password, ${known} with one`,
  )
})

test('of too many at once some are turned away, and the others are hashed in turn', async () => {
  const all = await Promise.allSettled(Array.from({ length: 90 }, () => passwords.isRight('x', null)))
  const refused = all.filter((one) => one.status === 'rejected')
  assert.ok(refused.length >= 90 - 64 - 2 && refused.length < 90 - 60, `${refused.length} were turned away`)
  for (const { reason } of refused) assert.ok(reason instanceof OverloadedError)
  assert.equal(await passwords.isRight('x', null), false, 'and then there is room again')
})

const ADA = { text: 'Ada.Lovelace@Example.com', key: 'ada.lovelace@example.com' }

test('a password that may be chosen is long and no pattern, and may be anything else', () => {
  const fine = [
    ...[
      'correct horse battery staple',
      'wrong horse 1815',
      'Пятнадцать букв!',
      '十五文字以上の合言葉は長いほど良い',
      '🙂🙃😉😊😇🥰😍🤩😘😗☺😚😙🥲😋',
      '\ttabs and spaces ',
    ],
    ...['   leading spaces', 'ada.lovelace counts to 1815', 'a\u0000 is a character', `${'x'.repeat(400)} and some more words`],
  ]
  for (const password of fine) assert.equal(faultOfPassword(password, ADA), null, password)
  for (const [password, fault] of [
    ['fourteen chars', /15 characters/],
    ['e\u0301'.repeat(14), /15 characters/],
    ['🙂🙃😉😊😇🥰😍🤩😘😗☺😚😙🥲', /15 characters/],
    ['aaaaaaaaaaaaaaaaaaaa', /different/],
    ['1212121212121212121', /different/],
    ['passwordpassword', /over and over/],
    ['PasswordpasswordPass', /over and over/],
    ['123456781234567812', /over and over/],
    ['abcdefghijklmnop', /order/],
    ['qwertyuiopasdfghjkl', /order/],
    ['12345678901234567', /order|over/],
    ['zyxwvutsrqponmlkj', /order/],
    ['ada.lovelace@example.com', /e-mail/],
    ['Ada.Lovelace@EXAMPLE.com1815', /e-mail/],
    ['example.com 1815', /e-mail/],
    ['half \ud83d of a character', /text/],
    [`${'long words '.repeat(50)}?!`, /bytes/],
    [`${'ß'.repeat(MAX_PASSWORD_BYTES / 2)}abcdef`, /bytes/],
  ] as const)
    assert.match(faultOfPassword(password, ADA) ?? 'none', fault, password)
})
