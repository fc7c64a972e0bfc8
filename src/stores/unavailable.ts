/** Why a store cannot be opened. */

/** A store that cannot be opened, with a message that says what to do. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}
