/** Lines of results: printed as they are found, and written to bench/RESULTS.md when that is asked for. */

/** A line of the results. */
export interface Line {
  readonly part: string
  readonly what: string
  readonly figure: string
  readonly goal: string
  readonly detail: string
}

const lines: Line[] = []

/** Prints a line and keeps it. */
export function report(line: Line): void {
  lines.push(line)
  console.log(`${line.part.padEnd(9)} ${line.what.padEnd(76)} ${line.figure.padStart(8)}  ${line.goal.padEnd(8)} ${line.detail}`)
}

/** Columns of the table of results. */
export const TABLE_HEAD = '| part | what | figure | goal | detail | when |\n|---|---|---|---|---|---|'

/** All lines so far as rows of a table, in which rows that an earlier table has of other things stay as they are. */
export function mergedTable(earlier: string, day: string): string {
  const rows = new Map(rowsOf(earlier))
  for (const { part, what, figure, goal, detail } of lines)
    rows.set(`${part} | ${what}`, `| ${part} | ${what} | **${figure}** | ${goal} | ${detail} | ${day} |`)
  return [...rows.values()].join('\n')
}

/** Rows by what they are about. */
function rowsOf(table: string): readonly (readonly [string, string])[] {
  const [, body = ''] = table.split(`${TABLE_HEAD}\n`)
  return body.split('\n').flatMap((row) => {
    const [, part, what] =
      row
        .split(' | ', 2)
        .join(' | ')
        .match(/^\| (.+?) \| (.+)$/) ?? []
    return part === undefined ? [] : [[`${part} | ${what}`, row] as const]
  })
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** What was measured in one round. */
export interface Figures {
  readonly perSecond: number
  readonly p50?: number
  readonly p99?: number
  readonly cpuMicroseconds?: number
}

/** Everything that was measured, by the name of who was measured, round by round. */
export type Rounds<Result extends Figures = Figures> = ReadonlyMap<string, readonly Result[]>

/** Measures contenders in turn, round by round, so that a machine which changes its speed changes it for all of them. */
export async function interleaved<Plan, Result extends Figures>(
  contenders: Readonly<Record<string, Plan>>,
  rounds: number,
  measure: (plan: Plan) => Promise<Result>,
): Promise<Rounds<Result>> {
  const results = new Map<string, Result[]>(Object.keys(contenders).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const [name, plan] of Object.entries(contenders)) results.get(name)?.push(await measure(plan))
  return results
}

/** A comparison of two contenders. */
export interface Comparison {
  readonly part: string
  readonly what: string
  readonly of: string
  readonly to: string
  readonly goal: string
}

/** Reports how many times as fast one contender is as another: formed within each round, the median, and all rounds. */
export function compare(results: Rounds, { part, what, of, to, goal }: Comparison): void {
  const base = results.get(to) ?? []
  const ratios = (results.get(of) ?? []).map(({ perSecond }, round) => perSecond / (base[round]?.perSecond ?? Number.NaN))
  const shown = ratios.map((ratio) => ratio.toFixed(2)).join(' ')
  report({ part, what, figure: median(ratios).toFixed(2), goal, detail: `${rateOf(results, of)}; ${rateOf(results, to)} [${shown}]` })
}

/** Medians of a contender, in words. */
export function rateOf(results: Rounds, of: string): string {
  const all = results.get(of) ?? []
  const figure = (read: (figures: Figures) => number | undefined): number => median(all.flatMap((figures) => read(figures) ?? []))
  const has = (read: (figures: Figures) => number | undefined): boolean => all.some((figures) => read(figures) !== undefined)
  const rate = `${of} ${Math.round(figure(({ perSecond }) => perSecond))}/s`
  const waits = has(({ p50 }) => p50)
    ? `, p50 ${figure(({ p50 }) => p50).toFixed(1)} ms, p99 ${figure(({ p99 }) => p99).toFixed(1)} ms`
    : ''
  const cpu = has(({ cpuMicroseconds }) => cpuMicroseconds) ? `, ${figure((figures) => figures.cpuMicroseconds).toFixed(1)} µs CPU` : ''
  return `${rate}${waits}${cpu}`
}
