/** What commands print: a table for people, JSON for programs. */

/** Columns of a table by their names, and how those are shown whose values are not plain. */
export interface Table {
  readonly columns: readonly string[]
  readonly shown?: Readonly<Record<string, (value: never) => string>>
}

/** Prints JSON when asked to, and a table of the given columns otherwise. */
export function print(value: unknown, { json, ...table }: Table & { readonly json: boolean }): void {
  if (json) console.log(JSON.stringify(value, null, 2))
  else if (isList(value)) printTable(value, table)
  else printFields(value as Fields, table)
}

type Fields = Readonly<Record<string, unknown>>

interface List {
  readonly data: readonly Fields[]
  readonly has_more?: boolean
  readonly next_cursor?: string | null
}

function isList(value: unknown): value is List {
  return typeof value === 'object' && value !== null && 'data' in value && Array.isArray(value.data)
}

function printFields(fields: Fields, { columns, shown = {} }: Table): void {
  const width = Math.max(...columns.map((column) => column.length))
  for (const column of columns) console.log(`${column.padEnd(width)}  ${cell(fields[column], shown[column])}`)
}

/** Whoever looks at a terminal is told when there is more; programs read that from the JSON. */
function printTable({ data, has_more = false, next_cursor = null }: List, { columns, shown = {} }: Table): void {
  const cells = [columns, ...data.map((row) => columns.map((column) => cell(row[column], shown[column])))]
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)))
  for (const row of cells)
    console.log(
      row
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  if (has_more && process.stderr.isTTY) console.error(`There are more: --after ${next_cursor}`)
}

function cell(value: unknown, show?: (value: never) => string): string {
  if (value === null || value === undefined || value === '') return '-'
  if (show) return show(value as never)
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
