/** Price books in files: JSON, as `POST /v1/price-book` takes them. */

import { readFileSync } from 'node:fs'
import { parsePrices } from '../core/price-parsing.ts'
import { bookFaults, type PriceBookIn } from '../http/native/price-schema.ts'
import { CliError, EXIT } from './client.ts'
import { print } from './output.ts'

/** Reads a file. Throws CliError when it is not a price book, with every fault. */
export function readPriceFile(file: string): PriceBookIn {
  const { book, faults } = parseFile(file)
  if (book && faults.length === 0) return book
  throw new CliError(`${file} is not a price book:${faults.map(({ pointer, detail }) => `\n  ${pointer} ${detail}`).join('')}`, {
    exitCode: EXIT.failed,
  })
}

/** Checks a file and says what it found. */
export function checkPrices(file: string, { json }: { readonly json: boolean }): void {
  const { book, faults } = parseFile(file)
  const operations = new Set(book?.prices.map(({ operation }) => operation)).size
  if (json) console.log(JSON.stringify({ ok: faults.length === 0, operations, faults }, null, 2))
  else if (faults.length === 0) console.log(`${file}: ${operations} operations, no faults.`)
  else print({ data: faults }, { json, columns: ['pointer', 'detail'] })
  if (faults.length > 0) process.exitCode = EXIT.failed
}

function parseFile(file: string): {
  readonly book: PriceBookIn | null
  readonly faults: readonly { readonly pointer: string; readonly detail: string }[]
} {
  const sent = readJson(file)
  const shape = bookFaults(sent)
  if (shape.length > 0) return { book: null, faults: shape }
  const book = sent as PriceBookIn
  const parsed = parsePrices(book.prices)
  return { book, faults: 'faults' in parsed ? parsed.faults : [] }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new CliError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { exitCode: EXIT.usage, cause })
  }
}
