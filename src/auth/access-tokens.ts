/**
 * Access tokens: short-lived JWTs (RFC 9068), signed with Ed25519 by a key that is replaced every month. `jti` is a secret whose hash alone is
 * kept: the signature says that this server made the token, the store says what it opens.
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, errors, type JWK, jwtVerify, SignJWT } from 'jose'
import type { SigningKeyRow, SigningKeys } from '../stores/signing-keys.ts'

/** How long an access token works. */
export const ACCESS_MS = 15 * 60_000
/** A key signs so long; the next one is there for a day before it signs, so that whoever keeps a copy of the public keys has it. */
const KEY_MS = 30 * 86_400_000
const LEAD_MS = 86_400_000
/** How long after its last signature a key is kept: tokens live no longer, and clocks differ by less. */
const LINGER_MS = ACCESS_MS + 5 * 60_000
/** An unknown key is looked for in the store so often, at most: anybody may invent names of keys. */
const RELOAD_MS = 1_000

const ALGORITHM = 'EdDSA'
const TYPE = 'at+jwt'
const AUDIENCE = 'urn:obol:api'

/** What a token says of whom it is for. Obol itself believes only the store. */
export interface TokenSubject {
  readonly user: string
  /** Id of the account that it opens; null: what operators may. */
  readonly account: string | null
  readonly role: 'owner' | 'member' | 'operator'
}

/** A token that was made. */
export interface MadeToken {
  readonly token: string
  readonly expiresAtMs: number
}

/** A token whose signature, purpose and time are right. */
export interface VerifiedToken {
  readonly jti: string
  readonly user: string
  readonly key: string
  readonly expiresAtMs: number
}

/** Public keys, as anybody may fetch them (RFC 7517). */
export interface KeySet {
  readonly keys: readonly JWK[]
}

interface SigningKey extends Pick<SigningKeyRow, 'number' | 'signsFromMs'> {
  readonly id: string
  readonly public: JWK
  readonly signer: KeyObject
  readonly verifier: KeyObject
}

/** What access tokens are made with. */
export interface AccessTokensOptions {
  readonly keys: SigningKeys
  readonly clock: () => number
  /** Who says so: the server's public address. */
  readonly issuer: string
}

/** Makes and checks access tokens. */
export class AccessTokens {
  readonly #store: SigningKeys
  readonly #clock: () => number
  readonly #issuer: string
  #keys: readonly SigningKey[] = []
  #loadedAtMs = 0

  private constructor({ keys, clock, issuer }: AccessTokensOptions) {
    this.#store = keys
    this.#clock = clock
    this.#issuer = issuer
  }

  /** Reads the keys of the store, and makes the first one. */
  static async open(options: AccessTokensOptions): Promise<AccessTokens> {
    const tokens = new AccessTokens(options)
    await tokens.maintain()
    return tokens
  }

  /** Reads the keys, makes the next one when its time has come, and destroys those that nothing can be signed with any more. */
  async maintain(): Promise<void> {
    await this.#load()
    const nowMs = this.#clock()
    const newest = this.#keys.at(-1)
    if (!newest) await this.#add(1, nowMs)
    else if (nowMs >= newest.signsFromMs + KEY_MS - LEAD_MS)
      await this.#add(newest.number + 1, Math.max(nowMs + LEAD_MS, newest.signsFromMs + KEY_MS))
    const oldest = this.#published()[0]
    if (oldest && this.#keys[0] !== oldest) await this.#store.removeBefore(oldest.number)
  }

  /** Signs with a new key from now on, and destroys the others: every access token that there is stops working. */
  async replaceKeys(): Promise<void> {
    await this.#load()
    const number = (this.#keys.at(-1)?.number ?? 0) + 1
    await this.#add(number, this.#clock())
    await this.#store.removeBefore(number)
    await this.#load()
  }

  async #add(number: number, signsFromMs: number): Promise<void> {
    await this.#store.add({ number, key: newKey(), signsFromMs })
    await this.#load()
  }

  async #load(): Promise<void> {
    this.#loadedAtMs = this.#clock()
    const rows = await this.#store.all()
    const known = new Map(this.#keys.map((key) => [key.number, key]))
    this.#keys = await Promise.all(rows.map((row) => known.get(row.number) ?? readKey(row)))
  }

  /** The keys that a token may be signed with, or will soon be. */
  #published(): readonly SigningKey[] {
    const nowMs = this.#clock()
    return this.#keys.filter((_, index) => {
      const next = this.#keys[index + 1]
      return next === undefined || next.signsFromMs + LINGER_MS > nowMs
    })
  }

  /** The public keys. */
  keySet(): KeySet {
    return { keys: this.#published().map((key) => key.public) }
  }

  /** Makes a token; `jti` is what its holder is known by. */
  async sign({ user, account, role }: TokenSubject, jti: string): Promise<MadeToken> {
    const nowMs = this.#clock()
    const key = this.#keys.findLast(({ signsFromMs }) => signsFromMs <= nowMs) ?? this.#keys[0]
    if (!key) throw new Error('there is no key to sign with')
    // Times of tokens are whole seconds: rounded so that none works for less time than it says.
    const expiresAt = Math.ceil((nowMs + ACCESS_MS) / 1000)
    const token = await new SignJWT({ ...(account === null ? {} : { account }), role })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.id })
      .setIssuer(this.#issuer)
      .setAudience(AUDIENCE)
      .setSubject(user)
      .setJti(jti)
      .setIssuedAt(Math.floor(nowMs / 1000))
      .setExpirationTime(expiresAt)
      .sign(key.signer)
    return { token, expiresAtMs: expiresAt * 1000 }
  }

  /** Checks a token: who made it, for what, and until when. */
  async verify(token: string): Promise<VerifiedToken | 'invalid' | 'expired'> {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, ({ kid }) => this.#verifier(kid), {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer: this.#issuer,
        audience: AUDIENCE,
        requiredClaims: ['exp', 'iat', 'sub', 'jti'],
        currentDate: new Date(this.#clock()),
      })
      const { jti, sub, exp } = payload
      if (jti === undefined || sub === undefined || exp === undefined) return 'invalid'
      return { jti, user: sub, key: protectedHeader.kid ?? '', expiresAtMs: exp * 1000 }
    } catch (fault) {
      if (fault instanceof errors.JWTExpired) return 'expired'
      if (fault instanceof errors.JOSEError) return 'invalid'
      throw fault
    }
  }

  /** Whether a key that a token was found to be signed with is still one. */
  hasKey(id: string): boolean {
    return this.#published().some((key) => key.id === id)
  }

  async #verifier(id: string | undefined): Promise<KeyObject> {
    const find = (): SigningKey | undefined => this.#published().find((key) => key.id === id)
    if (!find() && this.#clock() - this.#loadedAtMs >= RELOAD_MS) await this.#load()
    const key = find()
    if (!key) throw new errors.JWKSNoMatchingKey()
    return key.verifier
  }
}

/** A secret that a token names its holder by: 128 random bits. */
export function newTokenId(): string {
  return randomBytes(16).toString('base64url')
}

function newKey(): string {
  return JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))
}

async function readKey({ number, key, signsFromMs }: SigningKeyRow): Promise<SigningKey> {
  const signer = createPrivateKey({ key: JSON.parse(key), format: 'jwk' })
  const verifier = createPublicKey(signer)
  const open = verifier.export({ format: 'jwk' }) as JWK
  const id = await calculateJwkThumbprint(open)
  return { number, signsFromMs, id, public: { ...open, kid: id, alg: ALGORITHM, use: 'sig' }, signer, verifier }
}
