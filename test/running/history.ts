/** What clients asked a server and were answered, and what its journal says of it. */

import assert from 'node:assert/strict'
import { parse } from 'csv-parse/sync'
import type { Operation } from '../linearizability.ts'
import type { TestObol } from './obol.ts'
import { type Attempt, answerIn, type Workload } from './workload.ts'

type Call = TestObol['call']

/** Runs clients against a server, each asking one thing after the other, until so many operations are recorded. */
export async function recordHistory(
  { call, workload }: { readonly call: Call; readonly workload: Workload },
  { clients, operations }: { readonly clients: number; readonly operations: number },
): Promise<readonly Operation[]> {
  const history: Operation[] = []
  let left = operations
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const attempt = workload.draw()
      const operation = await ask(call, attempt)
      workload.learn(attempt, operation.answer)
      history.push(operation)
    }
  }
  await Promise.all(Array.from({ length: clients }, work))
  return history
}

/** Sends an attempt and writes down what came of it. */
export async function ask(call: Call, attempt: Attempt): Promise<Operation> {
  const { account, action, method, path, body, name } = attempt
  const calledAt = performance.now()
  const answer = answerIn(attempt, await call(method, path, body, { idempotencyKey: name }))
  return { account, action, calledAt, returnedAt: performance.now(), answer, isUnknown: false }
}

/** A record of the journal, as the CSV export has it. */
export interface JournalLine {
  readonly sequence: number
  readonly kind: string
  /** Id of what it is about. */
  readonly subject: string
  readonly actor: string
}

/** Most records of one export. */
const MAX_RECORDS = 10_000

/** Every record of an account, oldest first, whose sequence must have no gap. */
export async function readJournal(call: Call, account: string): Promise<readonly JournalLine[]> {
  const rows = await readCsv(call, `/v1/journal?account=${account}&format=csv`)
  const bySequence = new Map(rows.map(({ sequence, kind = '', subject = '', actor = '' }) => [Number(sequence), { kind, subject, actor }]))
  const lines = [...bySequence].map(([sequence, line]) => ({ sequence, ...line })).sort((a, b) => a.sequence - b.sequence)
  assert.deepEqual(
    lines.map(({ sequence }) => sequence),
    Array.from(lines, (_, index) => index + 1),
    `the journal of ${account} has no gaps`,
  )
  return lines
}

/** All charges of an account, newest first, by the names of their columns. */
export function readCharges(call: Call, account: string): Promise<readonly Readonly<Record<string, string>>[]> {
  return readCsv(call, `/v1/charges?account=${account}&format=csv`)
}

async function readCsv(call: Call, path: string): Promise<readonly Readonly<Record<string, string>>[]> {
  const { status, text, headers } = await call('GET', path)
  assert.equal(status, 200, text)
  assert.equal(headers.get('link'), null, `${path} has fewer than ${MAX_RECORDS} records`)
  return parse(text, { columns: true })
}

/** The history with the numbers of its releases, which their answers do not have. */
export function withReleases(history: readonly Operation[], journal: readonly JournalLine[]): readonly Operation[] {
  const sequences = new Map(journal.flatMap(({ kind, subject, sequence }) => (kind === 'hold_released' ? [[subject, sequence]] : [])))
  return history.map((operation) => {
    const { action, answer } = operation
    if (action.do !== 'release' || !answer.ok) return operation
    const sequence = sequences.get(action.hold) ?? assert.fail(`the journal has the release of ${action.hold}`)
    return { ...operation, answer: { ...answer, sequence } }
  })
}
