/** Commits a batch on a session, and finds out what became of a commit whose answer was lost. */

import { randomUUID } from 'node:crypto'
import type { DecidedBatch } from '../batch.ts'
import { OutOfServiceError } from '../store.ts'
import { ConnectionLostError, verdictOn } from './faults.ts'
import { noticesOf, tellAll } from './notices.ts'
import { profileWrites } from './profiles.ts'
import { type KnownPurchases, purchaseWrites } from './purchases.ts'
import { derivedRows } from './rows.ts'
import { BEGIN, COMMIT, OutcomeUnknownError, pauseAfter, ROLLBACK, type Session } from './session.ts'
import { bucketOfBatch, type CommitName, GIVE_UP, writesOf } from './write.ts'

/** How a batch is committed. */
export interface CommitOptions {
  /** Orders it after all that it follows from. */
  readonly tick: number
  /** Its transaction has begun, and holds the locks. */
  readonly isBegun: boolean
  /** Those that the batch was decided on, as they were before it. */
  readonly purchases: KnownPurchases
}

/**
 * Commits a batch, which must have records: everything it needs is sent in one turn. Throws the server's fault or ConnectionLostError
 * when nothing was done, or OutcomeUnknownError.
 */
export async function commitBatch(session: Session, batch: DecidedBatch, { tick, isBegun, purchases }: CommitOptions): Promise<void> {
  const name = { bucket: bucketOfBatch(batch), id: randomUUID(), tick }
  const rows = derivedRows(batch)
  const notices = noticesOf(batch)
  const told = notices.length > 0 ? [tellAll(session.schema, notices)] : []
  const parts = [
    ...writesOf(batch, name, { rows, reach: session.run.reach }),
    ...profileWrites(batch, tick),
    ...purchaseWrites(rows.purchases, purchases),
    ...told,
  ]
  const isAlone = !isBegun && parts.length === 1
  const writes = [
    ...(isBegun || isAlone ? [] : [{ statement: BEGIN, values: [] }]),
    ...parts,
    ...(isAlone ? [] : [{ statement: COMMIT, values: [] }]),
  ]
  const answers = await Promise.allSettled(writes.map(({ statement, values }) => session.run(statement, values)))
  const failedAt = answers.findIndex(({ status }) => status === 'rejected')
  const failed = answers[failedAt]
  if (failed?.status !== 'rejected') return
  // A commit that fails by itself may have happened all the same: on Citus it is another node's.
  const isCertain = isAlone || failedAt < writes.length - 1
  if (isCertain && (await isOpen(session, failed.reason))) throw failed.reason
  session.drop()
  if (await hasHappened(session, name)) return
  throw new ConnectionLostError('the connection to PostgreSQL was lost before the commit', { cause: failed.reason })
}

/** Whether a fault is one that the session has outlived. A server that goes down over a full disk says so, and may have committed first. */
async function isOpen(session: Session, fault: unknown): Promise<boolean> {
  const verdict = verdictOn(fault)
  if (verdict !== 'unable') return verdict !== 'lost'
  try {
    await session.run(ROLLBACK, [])
    return true
  } catch (next) {
    return verdictOn(next) !== 'lost'
  }
}

/** Whether a commit took effect. If it had not, it is given up: what may still be on its way to the server comes to nothing. */
async function hasHappened(session: Session, { bucket, id, tick }: CommitName): Promise<boolean> {
  const endMs = performance.now() + session.patience.reconnectMs
  for (let attempt = 1; ; attempt++) {
    try {
      await session.open()
      const [batch] = await session.run<{ hasHappened: boolean }>(GIVE_UP, [bucket, id, tick])
      return batch?.hasHappened === true
    } catch (fault) {
      session.drop()
      if (fault instanceof OutOfServiceError || verdictOn(fault) === 'refused' || performance.now() > endMs)
        throw new OutcomeUnknownError(
          'The connection to PostgreSQL was lost during a commit, and it cannot be asked what became of it. Send the request again under the same Idempotency-Key.',
          { cause: fault },
        )
      await pauseAfter(attempt)
    }
  }
}
