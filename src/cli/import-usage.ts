/** `obol import usage FILE.csv`: charges each row of a file, once however often the file is imported. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { CliError, type Client, EXIT, ServerError } from './client.ts'
import { inLanes } from './lanes.ts'

/** Payers whose rows are charged side by side. */
const PAYERS_AT_ONCE = 16
/** Times that a row is sent which the server had no time for. */
const MAX_TRIES = 10

/** What became of an import. */
export interface ImportResult {
  readonly rows: number
  readonly charged: number
  /** Rows that an earlier import had charged. */
  readonly replayed: number
  /** Rows that were refused, by their lines. */
  readonly failures: readonly { readonly line: number; readonly code: string; readonly detail: string }[]
}

/** A row, as the body of `POST /v1/charges`. */
export interface UsageRow {
  /** Line of the file at which it begins. */
  readonly line: number
  readonly charge: Readonly<Record<string, unknown>>
}

/** Reads a file of usage. Throws CliError for one that cannot be imported, before anything is charged. */
export function readUsageFile(file: string): readonly UsageRow[] {
  const [header, ...rows] = parseFile(file)
  if (header === undefined || rows.length === 0) throw new CliError(`${file} has no rows.`, { exitCode: EXIT.usage })
  checkColumns(file, header.cells)
  return rows.map(({ line, cells }) => ({ line, charge: chargeOf(header.cells, cells) }))
}

interface Line {
  readonly line: number
  readonly cells: readonly string[]
}

/** What the parser tells of a record: its cells, its text, and the line at which it ends. */
interface Parsed {
  readonly record: readonly string[]
  readonly raw: string
  readonly info: { readonly lines: number }
}

/** Line ends are made the same first: the parser counts those of Windows twice in quotes, and they are no part of what a row says. */
function parseFile(file: string): readonly Line[] {
  try {
    const text = readFileSync(file, 'utf8').replace(/\r\n?/g, '\n')
    const parsed = parse(text, {
      bom: true,
      trim: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      info: true,
      raw: true,
    })
    return (parsed as unknown as readonly Parsed[]).map(({ record, raw, info }) => ({
      line: info.lines - (raw.trim().split('\n').length - 1),
      cells: record,
    }))
  } catch (cause) {
    throw new CliError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { exitCode: EXIT.usage, cause })
  }
}

const PLAIN = ['account', 'key', 'operation', 'quantity', 'amount', 'credit_type'] as const
const DOTTED = { quantity: 'quantities', attribute: 'attributes', metadata: 'metadata' } as const

function checkColumns(file: string, columns: readonly string[]): void {
  const unknown = columns.filter((column) => !PLAIN.some((name) => name === column) && dotted(column) === undefined)
  if (unknown.length > 0) {
    throw new CliError(
      `${file} has columns that nobody knows: ${unknown.join(', ')}. Known: ${PLAIN.join(', ')}, quantity.<unit>, attribute.<name>, metadata.<name>.`,
      { exitCode: EXIT.usage },
    )
  }
  const [twice] = columns.filter((column, place) => columns.indexOf(column) !== place)
  if (twice !== undefined) throw new CliError(`${file} has the column ${twice} twice.`, { exitCode: EXIT.usage })
  if (!columns.includes('operation') || !(columns.includes('account') || columns.includes('key')))
    throw new CliError(`${file} needs the columns operation, and account or key.`, { exitCode: EXIT.usage })
}

function dotted(column: string): readonly [field: (typeof DOTTED)[keyof typeof DOTTED], name: string] | undefined {
  const [, prefix, name] = /^(quantity|attribute|metadata)\.(.+)$/.exec(column) ?? []
  return prefix === undefined || name === undefined ? undefined : [DOTTED[prefix as keyof typeof DOTTED], name]
}

function chargeOf(columns: readonly string[], cells: readonly string[]): UsageRow['charge'] {
  const charge: Record<string, unknown> = {}
  for (const [place, column] of columns.entries()) {
    const value = cells[place] ?? ''
    if (value === '') continue
    const [field, name] = dotted(column) ?? []
    if (field === undefined || name === undefined) charge[column] = value
    else charge[field] = { ...(charge[field] as object | undefined), [name]: value }
  }
  return charge
}

/** How rows are imported. */
export interface ImportOptions {
  /** Rows are the same as those of other imports only under the same name. */
  readonly name: string
  /** Told after each row how many are done. */
  readonly progress: (done: number) => void
}

/**
 * Charges rows. Each is named by what it says and its place among those that say the same, so importing a file again charges
 * nothing, importing one that has grown charges what is new, and after a failure what had failed.
 */
export async function importUsage(client: Client, rows: readonly UsageRow[], options: ImportOptions): Promise<ImportResult> {
  // A key that is not the operator's fails here, once: later, `invalid_key` is a row's own.
  await client.call('GET', '/v1/accounts?limit=1')
  const failures: ImportResult['failures'][number][] = []
  const counts = { charged: 0, replayed: 0 }
  let done = 0
  await inLanes(lanesOf(nameRows(rows, options.name)), PAYERS_AT_ONCE, async (row) => {
    const outcome = await chargeRow(client, row)
    if (outcome instanceof ServerError) failures.push({ line: row.line, code: outcome.code, detail: outcome.detail })
    else counts[outcome]++
    options.progress(++done)
  })
  return { rows: rows.length, ...counts, failures: failures.sort((one, other) => one.line - other.line) }
}

interface NamedRow extends UsageRow {
  readonly name: string
}

function nameRows(rows: readonly UsageRow[], importName: string): readonly NamedRow[] {
  const seen = new Map<string, number>()
  return rows.map((row) => {
    const hash = createHash('sha256')
      .update(`${importName}\n${contentsOf(row)}`)
      .digest('hex')
      .slice(0, 32)
    const place = seen.get(hash) ?? 0
    seen.set(hash, place + 1)
    return { ...row, name: `import-${hash}-${place}` }
  })
}

/** What a row says, whatever the order of its columns. */
function contentsOf({ charge }: UsageRow): string {
  return JSON.stringify(charge, (_name, value: unknown) =>
    typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).sort()) : value,
  )
}

/** Rows of one payer keep their order. Where payers are named in different ways, two names may be one payer, so all rows keep it. */
function lanesOf(rows: readonly NamedRow[]): readonly (readonly NamedRow[])[] {
  const payers = Map.groupBy(rows, ({ charge }) => String(charge.account ?? charge.key ?? ''))
  const ways = new Set([...payers.keys()].filter((payer) => payer !== '').map((payer) => payer.split(/[_:]/, 1)[0]))
  return ways.size > 1 ? [rows] : [...payers.values()]
}

/** Charges a row. A refusal is the row's own; a server that cannot answer stops the import. */
async function chargeRow({ call }: Client, row: NamedRow): Promise<'charged' | 'replayed' | ServerError> {
  for (let tries = 1; ; tries++) {
    try {
      const { replayed } = await call('POST', '/v1/charges', row.charge, row.name)
      return replayed ? 'replayed' : 'charged'
    } catch (fault) {
      const isBusy = fault instanceof ServerError && BUSY.has(fault.code)
      if (fault instanceof ServerError && fault.status < 500 && !isBusy) return fault
      if (!isBusy || tries === MAX_TRIES) throw stopped(fault, row)
      await new Promise((resolve) => setTimeout(resolve, (fault.retryAfter ?? 1) * 1_000))
    }
  }
}

/** Answers that are different soon. */
const BUSY: ReadonlySet<string> = new Set(['rate_limited', 'overloaded'])

function stopped(fault: unknown, { line }: NamedRow): unknown {
  if (!(fault instanceof CliError)) return fault
  const { message, exitCode } = fault
  return new CliError(`${message}\nThe import stopped at line ${line}. Import the file again: it goes on where it stopped.`, {
    exitCode,
    cause: fault,
  })
}
