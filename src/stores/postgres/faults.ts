/** What a fault of PostgreSQL means: whether anything was done, and whether to try again. */

import { OutOfServiceError } from '../store.ts'

/** What a fault says of the statement that met it. */
export type Verdict =
  /** The server has not answered: it may have done it or not. */
  | 'lost'
  /** Nothing was done, and nothing will be on this session; another one may find a server that can. */
  | 'elsewhere'
  /** Nothing was done; the same may work now. */
  | 'again'
  /** Nothing was done, because another commit came first: a key, a name, or a state that moved on. */
  | 'overtaken'
  /** Nothing was done, and nothing can be until somebody sees to the server: its disk is full, say. */
  | 'unable'
  /** Nothing was done, and nothing else will come of it. */
  | 'refused'

/** The server goes down: what a session was told last may have taken effect all the same. */
const DOWN = new Set(['57P01', '57P02'])
/** The server is not up yet, ended an idle session, or takes no writes: it is a standby, or was made read-only. */
const ELSEWHERE = new Set(['57P03', '57P05', '25P03', '25006'])
/** Serialization failure, deadlock, lock not to be had in time, statement cancelled, too many connections. */
const PASSING = new Set(['40001', '40P01', '55P03', '57014', '53300'])
/** Disk full, out of memory, a limit of the server's own settings, a disk that fails. */
const UNABLE = new Set(['53000', '53100', '53200', '53400', '58000', '58030'])
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

/** The fault of a statement: whatever is no answer of the server, nor a value in it that cannot be read, means that none came. */
export function faultOf(fault: unknown): unknown {
  if (isAnswer(fault) || fault instanceof RangeError) return fault
  return new ConnectionLostError(`the connection to PostgreSQL was lost: ${messageOf(fault)}`, { cause: fault })
}

/** What a fault says of the statement that met it. */
export function verdictOn(fault: unknown): Verdict {
  if (fault instanceof ConnectionLostError) return 'lost'
  if (!isAnswer(fault)) return 'refused'
  if (DOWN.has(fault.code) || fault.code.startsWith('08')) return 'lost'
  if (ELSEWHERE.has(fault.code)) return 'elsewhere'
  if (PASSING.has(fault.code)) return 'again'
  if (UNABLE.has(fault.code)) return 'unable'
  return isOvertaken(fault) ? 'overtaken' : 'refused'
}

/** Citus tells what a node said without the constraint, and sometimes without the code: then only the text is left. */
function isOvertaken({ code, message }: Error & ServerFault): boolean {
  if (code === UNIQUE_VIOLATION) return true
  if (code === CHECK_VIOLATION || code === INTERNAL_ERROR) return message.includes(STALE) || message.startsWith('duplicate key value')
  return false
}

/** What a caller is told whose statement came to nothing for the server's sake: that it may be sent again, and not where the server is. */
export function outOfService(fault: unknown): OutOfServiceError {
  if (fault instanceof OutOfServiceError) return fault
  const text = verdictOn(fault) === 'unable' ? 'The database is out of room, or its disk fails.' : 'The database does not answer.'
  return new OutOfServiceError(text, { cause: fault })
}

/** The code of a fault, if the server has answered with one. */
export function codeOf(fault: unknown): string | undefined {
  return isAnswer(fault) ? fault.code : undefined
}

/** The text of a fault. */
export function messageOf(fault: unknown): string {
  // A refused connection to a name with several addresses is one fault with many in it, and no text of its own.
  if (fault instanceof AggregateError && fault.message === '') return fault.errors.map(messageOf).join('; ')
  return fault instanceof Error ? fault.message : String(fault)
}
