import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { exportJWK, type JWK, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import { openTestStore } from '../../test/running/store.ts'
import type { Store } from '../stores/store.ts'
import { ACCESS_MS, AccessTokens, newTokenId } from './access-tokens.ts'

const DAY_MS = 86_400_000
const ISSUER = 'https://credits.example.com'
const SUBJECT = { user: 'user_0000000000000001', account: 'acct_00000001', role: 'owner' } as const

interface Scene {
  readonly store: Store
  readonly clock: { nowMs: number }
  readonly tokens: AccessTokens
  readonly open: (issuer?: string) => Promise<AccessTokens>
  /** The private key that signs, as the store has it. */
  readonly stolen: () => Promise<{ readonly key: JWK; readonly kid: string }>
}

async function openTokens(t: TestContext): Promise<Scene> {
  const { store, clock } = await openTestStore(t)
  const open = (issuer = ISSUER): Promise<AccessTokens> => AccessTokens.open({ keys: store.signingKeys, clock: () => clock.nowMs, issuer })
  const tokens = await open()
  const stolen = async (): Promise<{ readonly key: JWK; readonly kid: string }> => {
    const [row] = await store.signingKeys.all()
    return { key: JSON.parse(row?.key ?? '') as JWK, kid: tokens.keySet().keys[0]?.kid ?? '' }
  }
  return { store, clock, tokens, open, stolen }
}

const claims = (nowMs: number): Readonly<Record<string, unknown>> => ({
  iss: ISSUER,
  aud: 'urn:obol:api',
  sub: SUBJECT.user,
  jti: 'x',
  iat: Math.floor(nowMs / 1000),
  exp: Math.floor((nowMs + ACCESS_MS) / 1000),
})

test('a token says who it is for, and works for a quarter of an hour', async (t) => {
  const { tokens, clock } = await openTokens(t)
  const jti = newTokenId()
  const { token, expiresAtMs } = await tokens.sign(SUBJECT, jti)
  const [head = '', body = ''] = token.split('.')
  const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())
  const kid = tokens.keySet().keys[0]?.kid
  assert.deepEqual(read(head), { alg: 'EdDSA', typ: 'at+jwt', kid })
  const { nowMs } = clock
  assert.deepEqual(read(body), { ...claims(nowMs), jti, account: SUBJECT.account, role: 'owner' })
  assert.equal(expiresAtMs, nowMs + ACCESS_MS)
  assert.deepEqual(await tokens.verify(token), { jti, user: SUBJECT.user, key: kid, expiresAtMs })
  clock.nowMs = expiresAtMs - 1
  assert.notEqual(typeof (await tokens.verify(token)), 'string')
  clock.nowMs = expiresAtMs
  assert.equal(await tokens.verify(token), 'expired')
  assert.ok(token.length < 1_000)
})

test('anybody can check a token with the public keys, which have nothing private', async (t) => {
  const { tokens, clock } = await openTokens(t)
  const { token } = await tokens.sign({ ...SUBJECT, account: null, role: 'operator' }, 'x')
  const [key] = tokens.keySet().keys
  assert.deepEqual(Object.keys(key ?? {}).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  const { payload } = await jwtVerify(token, key ?? {}, { algorithms: ['EdDSA'], currentDate: new Date(clock.nowMs) })
  assert.deepEqual([payload.sub, payload.role, 'account' in payload], [SUBJECT.user, 'operator', false])
})

test('a token that was not made here, or not for this, is none', async (t) => {
  const { tokens, clock, stolen } = await openTokens(t)
  const { key, kid } = await stolen()
  const good = claims(clock.nowMs)
  const signed = (payload: object, header: object = {}, by: Parameters<SignJWT['sign']>[0] = key): Promise<string> =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid, ...header }).sign(by)
  assert.notEqual(typeof (await tokens.verify(await signed(good))), 'string', 'what is signed as it should be is right')
  const stranger = generateKeyPairSync('ed25519')
  const { token } = await tokens.sign(SUBJECT, 'x')
  const [head = '', body = '', signature = ''] = token.split('.')
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const publicKey = Buffer.from(key.x ?? '', 'base64url')
  const unsignedHs = `${encoded({ alg: 'HS256', typ: 'at+jwt', kid })}.${encoded(good)}`
  const forged: Readonly<Record<string, string>> = {
    'signed by another key': await signed(good, {}, stranger.privateKey),
    'signed by the key that it brings': await signed(good, { jwk: await exportJWK(stranger.publicKey) }, stranger.privateKey),
    'of a key that nobody knows': await signed(good, { kid: 'another' }),
    'of no key': await signed(good, { kid: undefined }),
    'signed by the public key as a secret': `${unsignedHs}.${createHmac('sha256', publicKey).update(unsignedHs).digest('base64url')}`,
    'of no algorithm': new UnsecuredJWT({ ...good }).encode(),
    'of another type': await signed(good, { typ: 'JWT' }),
    'of no type': await signed(good, { typ: undefined }),
    'for another audience': await signed({ ...good, aud: 'urn:other' }),
    'for no audience': await signed({ ...good, aud: undefined }),
    'of another issuer': await signed({ ...good, iss: 'https://other.example' }),
    'without an end': await signed({ ...good, exp: undefined }),
    'without a subject': await signed({ ...good, sub: undefined }),
    'without a name of its own': await signed({ ...good, jti: undefined }),
    'with a critical extension': await new SignJWT({ ...good })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid, crit: ['obol'], obol: 1 })
      .sign(key, { crit: { obol: true } }),
    'whose claims were altered': `${head}.${encoded({ ...good, sub: 'user_0000000000000002' })}.${signature}`,
    'whose signature was cut off': `${head}.${body}.`,
    'whose signature was altered': `${head}.${body}.${signature.slice(0, -4)}AAAA`,
    'that is no token': 'a.b.c',
    'that is nothing': '..',
  }
  for (const [name, text] of Object.entries(forged)) assert.equal(await tokens.verify(text), 'invalid', name)
  assert.equal(await tokens.verify(await signed({ ...good, exp: Math.floor(clock.nowMs / 1000) - 1 })), 'expired')
})

test('a server of another address takes none of its tokens', async (t) => {
  const { tokens, open } = await openTokens(t)
  const other = await open('https://other.example')
  const { token } = await tokens.sign(SUBJECT, 'x')
  assert.equal(await other.verify(token), 'invalid')
})

test('keys are replaced every month: the next is public a day before it signs, the last as long as its tokens work', async (t) => {
  const { tokens, clock, open } = await openTokens(t)
  const ids = (of = tokens): readonly (string | undefined)[] => of.keySet().keys.map(({ kid }) => kid)
  const at = async (ms: number): Promise<void> => {
    clock.nowMs = startMs + ms
    await tokens.maintain()
  }
  const startMs = clock.nowMs
  const [first] = ids()
  await at(29 * DAY_MS - 1)
  assert.deepEqual(ids(), [first])
  await at(29 * DAY_MS)
  const [, second] = ids()
  assert.deepEqual(ids(), [first, second])
  assert.notEqual(first, second)
  await at(30 * DAY_MS - 1)
  const { token } = await tokens.sign(SUBJECT, 'x')
  assert.equal(
    (await tokens.verify(token)) !== 'invalid' && JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid,
    first,
  )
  await at(30 * DAY_MS)
  assert.deepEqual(ids(), [first, second])
  assert.notEqual(typeof (await tokens.verify(token)), 'string')
  const later = await tokens.sign(SUBJECT, 'y')
  await at(30 * DAY_MS + 20 * 60_000)
  assert.deepEqual(ids(), [second])
  assert.equal(await tokens.verify(token), 'invalid')
  const other = await open()
  assert.deepEqual(ids(other), [second], 'and the old one is destroyed')
  clock.nowMs = later.expiresAtMs - 1
  assert.deepEqual(await other.verify(later.token), await tokens.verify(later.token))
})

test('a server that was stopped for long goes on with its key until the next one has been public for a day', async (t) => {
  const { tokens, clock, open } = await openTokens(t)
  const [first] = tokens.keySet().keys
  clock.nowMs += 400 * DAY_MS
  const again = await open()
  assert.equal(again.keySet().keys.length, 2)
  const kidOf = async (): Promise<unknown> =>
    (JSON.parse(Buffer.from((await again.sign(SUBJECT, 'x')).token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid
  assert.equal(await kidOf(), first?.kid)
  clock.nowMs += DAY_MS
  assert.notEqual(await kidOf(), first?.kid)
})

test('servers that start together have one key, and one finds the key that another has made', async (t) => {
  const { tokens, clock, open } = await openTokens(t)
  const others = await Promise.all([open(), open(), open()])
  for (const other of others) assert.deepEqual(other.keySet(), tokens.keySet())
  const [other] = others
  assert.ok(other)
  await other.replaceKeys()
  const { token } = await other.sign(SUBJECT, 'x')
  assert.equal(await tokens.verify(token), 'invalid', 'in the second in which it has looked')
  clock.nowMs += 1_000
  assert.notEqual(typeof (await tokens.verify(token)), 'string')
})

test('when keys are replaced at once, every token that there is stops working', async (t) => {
  const { tokens, clock, open, store } = await openTokens(t)
  clock.nowMs += 29 * DAY_MS
  await tokens.maintain()
  const other = await open()
  const { token } = await tokens.sign(SUBJECT, 'x')
  const [before] = tokens.keySet().keys
  await tokens.replaceKeys()
  assert.equal(await tokens.verify(token), 'invalid')
  assert.equal(tokens.hasKey(before?.kid ?? ''), false)
  await other.maintain()
  assert.equal(await other.verify(token), 'invalid')
  assert.equal((await store.signingKeys.all()).length, 1)
  assert.notEqual(typeof (await other.verify((await tokens.sign(SUBJECT, 'y')).token)), 'string')
})
