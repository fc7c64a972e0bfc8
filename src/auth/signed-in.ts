/** Who has signed in, by their access tokens, kept in memory for a moment. */

import type { UserId } from '../core/ids.ts'
import type { Sessions, Standing } from '../stores/sessions.ts'
import type { Role } from '../stores/users.ts'
import type { AccessTokens, VerifiedToken } from './access-tokens.ts'
import { hashSecret } from './secrets.ts'

/** How long what the store says of a token is believed: what another server changes is known here after that. */
const BELIEVED_MS = 1_000
/** Tokens kept in memory, at most; then they are read anew. */
const MAX_KEPT_TOKENS = 50_000

/** Why a token opens nothing. */
export type TokenFault = 'invalid_token' | 'token_expired' | 'session_ended'

/** A user whose token works. */
export interface SignedInUser {
  readonly id: UserId
  /** Null: what operators may. */
  readonly account: number | null
  /** Null where the account is. */
  readonly role: Role | null
}

interface KeptToken {
  readonly token: VerifiedToken
  readonly user: SignedInUser
  readonly readAtMs: number
}

/** Finds users by their access tokens. */
export class SignedIn {
  readonly #tokens: AccessTokens
  readonly #sessions: Sessions
  readonly #clock: () => number
  readonly #kept = new Map<string, KeptToken>()
  /** Counts how often all was forgotten: what was read before is not kept after. */
  #age = 0

  constructor(tokens: AccessTokens, sessions: Sessions, clock: () => number) {
    this.#tokens = tokens
    this.#sessions = sessions
    this.#clock = clock
  }

  /** Whether a text may be an access token: API keys have no dots. */
  static mayBeToken(text: string): boolean {
    return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)
  }

  /** The user of a token's hash, if it works now and was looked at a moment ago: the way nearly every request takes. */
  findKept(hash: string): SignedInUser | undefined {
    const kept = this.#kept.get(hash)
    const nowMs = this.#clock()
    const isBelieved = kept !== undefined && nowMs - kept.readAtMs < BELIEVED_MS && nowMs < kept.token.expiresAtMs
    return isBelieved ? kept.user : undefined
  }

  /** The user of a token, or why it opens nothing. */
  async find(text: string): Promise<SignedInUser | TokenFault> {
    const hash = hashSecret(text)
    const token = this.#known(hash) ?? (await this.#tokens.verify(text))
    if (typeof token === 'string') return token === 'expired' ? 'token_expired' : 'invalid_token'
    const [age, readAtMs] = [this.#age, this.#clock()]
    const standing = await this.#sessions.standing(hashSecret(token.jti), readAtMs)
    const user = standing?.userId === token.user ? userOf(standing) : null
    if (user === null) this.#kept.delete(hash)
    else if (age === this.#age) this.#keep(hash, { token, user, readAtMs })
    return user ?? 'session_ended'
  }

  /** What was found of a token before, so that its signature need not be checked again. */
  #known(hash: string): VerifiedToken | undefined {
    const token = this.#kept.get(hash)?.token
    return token !== undefined && token.expiresAtMs > this.#clock() && this.#tokens.hasKey(token.key) ? token : undefined
  }

  #keep(hash: string, kept: KeptToken): void {
    if (this.#kept.size >= MAX_KEPT_TOKENS) this.#kept.clear()
    this.#kept.set(hash, kept)
  }

  /** Forgets everybody: something has changed of users, memberships or sessions. */
  forget(): void {
    this.#age++
    this.#kept.clear()
  }
}

/** Null: the session is over, or its user may not open that account, or any. */
function userOf({ userId: id, account, role, isOperator, isLive }: Standing): SignedInUser | null {
  if (!isLive) return null
  if (account === null) return isOperator ? { id, account, role: null } : null
  return role === null ? null : { id, account, role }
}
