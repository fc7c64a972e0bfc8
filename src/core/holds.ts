/** Live holds: what each has set aside, and how records change them. */

import type { HoldPart, OpenHold } from './account.ts'
import { type Microcredits, micro } from './credits.ts'
import type { HoldAfter, HoldExtended, HoldIncreased, HoldOpened, HoldReleased, JournalRecord, Movement } from './record.ts'

/** Credits that a live hold has set aside. */
export function heldBy(hold: OpenHold): Microcredits {
  return micro(hold.parts.reduce((sum, part) => sum + part.held, 0n))
}

/** The live holds after a record. */
export function evolveHolds(holds: readonly OpenHold[], record: JournalRecord): readonly OpenHold[] {
  switch (record.kind) {
    case 'hold':
      return [...holds, openedHold(record)]
    case 'hold_extended':
      return change(holds, record.hold, (hold) => checked(record, { ...hold, expiresAtMs: record.after.expiresAtMs }))
    case 'hold_increased':
      return change(holds, record.hold, (hold) => checked(record, increased(hold, record)))
    case 'capture':
      return change(holds, record.hold, (hold) => (record.final ? null : { ...hold, parts: takeFromFront(hold.parts, record.unheld) }))
    case 'hold_released':
      return change(holds, record.hold, (hold) => {
        checked(record, { ...hold, parts: [] })
        return null
      })
    case 'hold_expired':
      return change(holds, record.hold, () => null)
    default:
      return holds
  }
}

function openedHold(record: HoldOpened): OpenHold {
  return {
    seq: record.seq,
    creditType: record.creditType,
    operation: record.operation,
    key: record.key,
    createdAtMs: record.atMs,
    expiresAtMs: record.expiresAtMs,
    policy: record.policy,
    total: record.credits,
    parts: heldParts(record.movements),
  }
}

function increased(hold: OpenHold, { credits, movements }: HoldIncreased): OpenHold {
  return { ...hold, total: micro(hold.total + credits), parts: [...hold.parts, ...heldParts(movements)] }
}

/** The hold, if a record leaves of it what it says. */
function checked({ seq, after }: HoldExtended | HoldIncreased | HoldReleased, hold: OpenHold): OpenHold {
  const { total, held, expiresAtMs } = holdAfter(hold)
  if (after.total !== total || after.held !== held || after.expiresAtMs !== expiresAtMs)
    throw new Error(`record ${seq} disagrees with what is left of hold ${hold.seq}`)
  return hold
}

/** What a hold has left, as a record of its change says it. */
export function holdAfter(hold: OpenHold): HoldAfter {
  return { total: hold.total, held: heldBy(hold), expiresAtMs: hold.expiresAtMs }
}

function heldParts(movements: readonly Movement[]): readonly HoldPart[] {
  return movements.map(({ grant, held }) => ({ grant, held }))
}

function change(holds: readonly OpenHold[], seq: number, to: (hold: OpenHold) => OpenHold | null): readonly OpenHold[] {
  const hold = holds.find((candidate) => candidate.seq === seq)
  if (!hold) throw new Error(`hold ${seq} is not live`)
  const next = to(hold)
  return next ? holds.map((candidate) => (candidate === hold ? next : candidate)) : holds.filter((candidate) => candidate !== hold)
}

/** What is left of a hold's parts once credits have been taken in draw order. */
function takeFromFront(parts: readonly HoldPart[], credits: Microcredits): readonly HoldPart[] {
  let left: bigint = credits
  const rest: HoldPart[] = []
  for (const part of parts) {
    const taken = left < part.held ? left : part.held
    left -= taken
    if (taken < part.held) rest.push({ grant: part.grant, held: micro(part.held - taken) })
  }
  return rest
}
