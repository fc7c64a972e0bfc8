/** What was used in the last days: by service and by day, exactly. */

import { type Amount, compareAmounts, fromMicro, sumAmounts, toMicro } from './amounts.ts'
import type { UsageGroup } from './api/shapes.ts'
import { InvalidArgumentError } from './errors.ts'
import { groupBy } from './grouping.ts'
import type { Obol } from './obol.ts'
import type { CallOptions } from './resource.ts'

const DAY_MS = 86_400_000

/** What is summed up. */
export interface SummaryQuery {
  /** Default 30. */
  readonly days?: number
  /** Default `credits`: types are never added to each other. */
  readonly creditType?: string
  /** IANA name of the zone whose days count. Default UTC. */
  readonly timeZone?: string
  /** For the operator: whose usage. */
  readonly account?: string
  /** The end of the time; default now. */
  readonly until?: Date
}

/** What one operation came to. Amounts are credits, refunds taken off. */
export interface OperationUsage {
  readonly operation: string
  readonly credits: Amount
  readonly charges: number
  /** Credits per charge, cut to a millionth. */
  readonly average: Amount
  /** By unit, as decimals. */
  readonly quantities: Readonly<Record<string, string>>
}

/** A summary of usage. */
export interface UsageSummary {
  readonly creditType: string
  readonly days: number
  readonly credits: Amount
  readonly charges: number
  /** The dearest first. */
  readonly operations: readonly OperationUsage[]
  /** Each day on which something was used, the first one first: `2026-11-20`. */
  readonly daily: readonly { readonly day: string; readonly credits: Amount }[]
}

/** Sums usage up by operation and by day. The server adds up: nothing is lost however much was used. */
export async function summarizeUsage(obol: Obol, query: SummaryQuery = {}, options?: CallOptions): Promise<UsageSummary> {
  const { days = 30, creditType = 'credits', timeZone = 'UTC', account, until } = query
  if (!(days > 0)) throw new InvalidArgumentError(`days is ${days}: give more than 0.`)
  const end = until ?? new Date()
  const { data } = await obol.usage.get(
    {
      start: new Date(end.getTime() - days * DAY_MS),
      bucket: 'day',
      group_by: ['operation'],
      credit_type: creditType,
      time_zone: timeZone,
      ...(until === undefined ? {} : { end: until }),
      ...(account === undefined ? {} : { account }),
    },
    options,
  )
  const groups = data.flatMap(({ results }) => results)
  const daily = data
    .filter(({ results }) => results.length > 0)
    .map(({ start, results }) => ({ day: dayOf(start, timeZone), credits: netOf(results) }))
  return {
    creditType,
    days,
    credits: netOf(groups),
    charges: groups.reduce((sum, { charges }) => sum + charges, 0),
    operations: [...groupBy(groups, ({ operation }) => operation ?? '')]
      .map(operationUsage)
      .sort((a, b) => compareAmounts(b.credits, a.credits)),
    daily,
  }
}

function netOf(groups: readonly UsageGroup[]): Amount {
  return sumAmounts(groups.map(({ net }) => net))
}

/** The day of a moment, as its zone has it: `2026-11-20`. */
function dayOf(time: string, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(new Date(time))
}

function operationUsage([operation, groups]: readonly [operation: string, groups: readonly UsageGroup[]]): OperationUsage {
  const credits = netOf(groups)
  const charges = groups.reduce((sum, group) => sum + group.charges, 0)
  const average = charges === 0 ? '0' : fromMicro(toMicro(credits) / BigInt(charges))
  return { operation, credits, charges, average, quantities: addQuantities(groups) }
}

/** Quantities have up to 12 decimals: they are added as integers of that scale. */
const QUANTITY_DECIMALS = 12

function addQuantities(groups: readonly UsageGroup[]): Readonly<Record<string, string>> {
  const sums = new Map<string, bigint>()
  for (const { quantities } of groups)
    for (const [unit, text] of Object.entries(quantities)) sums.set(unit, (sums.get(unit) ?? 0n) + scaled(text))
  return Object.fromEntries([...sums].map(([unit, sum]) => [unit, unscaled(sum)]))
}

function scaled(text: string): bigint {
  const [whole = '0', decimals = ''] = text.split('.')
  return BigInt(whole + decimals.padEnd(QUANTITY_DECIMALS, '0'))
}

function unscaled(value: bigint): string {
  const digits = value.toString().padStart(QUANTITY_DECIMALS + 1, '0')
  const decimals = digits.slice(-QUANTITY_DECIMALS).replace(/0+$/, '')
  return `${digits.slice(0, -QUANTITY_DECIMALS)}${decimals === '' ? '' : `.${decimals}`}`
}
