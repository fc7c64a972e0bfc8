/** People who sign in: a session gives the access token that calls are sent with, and gets the next one in time. */

import type { SignInBody, Tokens } from './api/shapes.ts'
import { Obol } from './obol.ts'
import type { CallOptions } from './resource.ts'
import type { ClientOptions } from './transport.ts'

/** How a session is opened: the server, and who hears of new tokens. */
export interface SessionOptions extends Omit<ClientOptions, 'apiKey'> {
  /** Told of each new pair, before it is used: a refresh token works once, so whoever keeps it keeps the new one. */
  readonly onTokens?: (tokens: Tokens) => void
}

/** So much earlier than it ends is an access token replaced. */
const EARLY_MS = 30_000

/**
 * A user who is signed in: `new Obol({ baseUrl, apiKey: session.key })`. Refreshes are made one at a time and sent once: the server takes a
 * refresh token that comes twice for a stolen one, and ends the session.
 */
export class Session {
  /** Gives an access token that works: for `apiKey`. Throws what the server says when the session is over. */
  readonly key = (): Promise<string> => this.#accessToken()
  readonly #obol: Obol
  readonly #onTokens: (tokens: Tokens) => void
  #tokens: Tokens
  #freshUntilMs: number
  #refreshing: Promise<string> | null = null

  private constructor(obol: Obol, tokens: Tokens, onTokens: (tokens: Tokens) => void) {
    this.#obol = obol
    this.#onTokens = onTokens
    this.#tokens = tokens
    this.#freshUntilMs = Date.now() + tokens.expires_in * 1_000 - EARLY_MS
  }

  /** Signs in with e-mail address and password. */
  static async signIn({ onTokens = () => undefined, ...options }: SessionOptions, who: SignInBody, call?: CallOptions): Promise<Session> {
    const obol = new Obol({ ...options, apiKey: null })
    const tokens = await obol.auth.signIn(who, call)
    onTokens(tokens)
    return new Session(obol, tokens, onTokens)
  }

  /** Goes on with tokens of before: those of an invitation that was accepted, or those that were kept. */
  static resume({ onTokens = () => undefined, ...options }: SessionOptions, tokens: Tokens): Session {
    return new Session(new Obol({ ...options, apiKey: null }), tokens, onTokens)
  }

  /** The tokens of the moment. */
  get tokens(): Tokens {
    return this.#tokens
  }

  /** Ends the session on the server. */
  async signOut(call?: CallOptions): Promise<void> {
    await this.#obol.auth.signOut({ refresh_token: this.#tokens.refresh_token }, call)
  }

  async #accessToken(): Promise<string> {
    if (Date.now() < this.#freshUntilMs) return this.#tokens.access_token
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #refresh(): Promise<string> {
    const tokens = await this.#obol.auth.refresh({ refresh_token: this.#tokens.refresh_token })
    this.#tokens = tokens
    this.#freshUntilMs = Date.now() + tokens.expires_in * 1_000 - EARLY_MS
    this.#onTokens(tokens)
    return tokens.access_token
  }
}
