/** What a fault of PostgreSQL means: whether anything was done, and whether to try again. */

/** What a fault says of the statement that met it. */
export type Verdict =
  /** The server has not answered: it may have done it or not. */
  | 'lost'
  /** Nothing was done; the same may work now. */
  | 'again'
  /** Nothing was done, because another commit came first: a key, a name, or a state that moved on. */
  | 'overtaken'
  /** Nothing was done, and nothing else will come of it. */
  | 'refused'

/** The server goes down, is not up yet, ended the session, or became a standby: another session may find one that works. */
const ENDINGS = new Set(['57P01', '57P02', '57P03', '57P05', '25P03', '25006'])
/** Serialization failure, deadlock, lock not to be had in time, statement cancelled, too many connections. */
const PASSING = new Set(['40001', '40P01', '55P03', '57014', '53300'])
const UNIQUE_VIOLATION = '23505'
const CHECK_VIOLATION = '23514'
const INTERNAL_ERROR = 'XX000'

/** The check that fails a commit on states that have moved on. */
const STALE = 'batches_on_stale_states'

interface ServerFault {
  readonly code?: string
  readonly severity?: string
}

/** Whether a fault came from the server itself, as an answer. */
function isAnswer(fault: unknown): fault is Error & ServerFault & { readonly code: string } {
  return fault instanceof Error && 'severity' in fault && 'code' in fault && typeof fault.code === 'string'
}

/** Thrown when a statement was sent and no answer came. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError'
}

/** The fault of a statement: whatever is no answer of the server means that none came. */
export function faultOf(fault: unknown): unknown {
  return isAnswer(fault) ? fault : new ConnectionLostError(`the connection to PostgreSQL was lost: ${messageOf(fault)}`, { cause: fault })
}

/** What a fault says of the statement that met it. */
export function verdictOn(fault: unknown): Verdict {
  if (fault instanceof ConnectionLostError) return 'lost'
  if (!isAnswer(fault)) return 'refused'
  if (ENDINGS.has(fault.code) || fault.code.startsWith('08')) return 'lost'
  if (PASSING.has(fault.code)) return 'again'
  return isOvertaken(fault) ? 'overtaken' : 'refused'
}

/** Citus tells what a node said without the constraint, and sometimes without the code: then only the text is left. */
function isOvertaken({ code, message }: Error & ServerFault): boolean {
  if (code === UNIQUE_VIOLATION) return true
  if (code === CHECK_VIOLATION || code === INTERNAL_ERROR) return message.includes(STALE) || message.startsWith('duplicate key value')
  return false
}

/** The text of a fault. */
export function messageOf(fault: unknown): string {
  // A refused connection to a name with several addresses is one fault with many in it, and no text of its own.
  if (fault instanceof AggregateError && fault.message === '') return fault.errors.map(messageOf).join('; ')
  return fault instanceof Error ? fault.message : String(fault)
}
