/** The keys that access tokens are signed with, shared by all nodes. */

import type { Statements } from './statements.ts'

/** A key. */
export interface SigningKeyRow {
  /** 1, 2, 3 … in the order in which they were made. */
  readonly number: number
  /** The private key, as its owner writes it. */
  readonly key: string
  /** It signs from then on, until the next one does. */
  readonly signsFromMs: number
}

/** Signing keys, kept as they are: the decision record on sign-in says why. */
export class SigningKeys {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** All there are, oldest first. */
  all(): Promise<readonly SigningKeyRow[]> {
    return this.#statements.all<SigningKeyRow>('select number, key, signs_from_ms as "signsFromMs" from signing_keys order by number', [])
  }

  /** Adds a key; of nodes that add one of the same number, the first does. */
  async add({ number, key, signsFromMs }: SigningKeyRow): Promise<void> {
    await this.#statements.all('insert into signing_keys (number, key, signs_from_ms) values (?, ?, ?) on conflict (number) do nothing', [
      number,
      key,
      signsFromMs,
    ])
  }

  /** Destroys the keys before a number. */
  async removeBefore(number: number): Promise<void> {
    await this.#statements.all('delete from signing_keys where number < ?', [number])
  }
}
