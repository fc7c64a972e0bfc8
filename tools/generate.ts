/** `npm run generate`: writes every generated file. With `--check`: writes none, and names those that are not as they should be. */

import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DEFAULT_PATIENCE, readAddress } from '../src/stores/postgres/address.ts'
import { prepareDatabase } from '../src/stores/postgres/database.ts'
import { openDatabase } from '../src/stores/sqlite/database.ts'
import { openSqliteStore } from '../src/stores/sqlite/sqlite-store.ts'
import { dropSchema, newSchema } from '../test/running/postgres.ts'
import { auditPage } from './reference/audit.ts'
import { commandsPage } from './reference/commands.ts'
import { eventsPage, journalPage } from './reference/journal.ts'
import { openapiPages } from './reference/openapi.ts'
import { MARK, type Page } from './reference/page.ts'
import { postgresSchemaPage } from './reference/postgres-schema.ts'
import { problemPages } from './reference/problems.ts'
import { schemaPage } from './reference/schema.ts'
import { settingsPage } from './reference/settings.ts'
import { sdkPages } from './sdk/pages.ts'

const root = join(import.meta.dirname, '..')

/** Every generated file, made from the code as it is. */
export async function generate(): Promise<readonly Page[]> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-generate-'))
  try {
    const file = join(folder, 'obol.db')
    const owned = openDatabase(file)
    const schema = schemaPage(owned.db)
    owned.close()
    const store = openSqliteStore({ file, onFault: raise })
    const openapi = await openapiPages(store)
    await store.close()
    return [
      ...openapi,
      schema,
      settingsPage(),
      commandsPage(),
      eventsPage(),
      journalPage(),
      auditPage(),
      ...problemPages(),
      ...sdkPages(openapi),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What takes a PostgreSQL to make: a test that has one says whether it is up to date. */
async function generateOnPostgres(): Promise<Page> {
  const url = await newSchema()
  await prepareDatabase(readAddress(url), DEFAULT_PATIENCE)
  try {
    return await postgresSchemaPage(url)
  } finally {
    await dropSchema(url)
  }
}

function raise(fault: unknown): void {
  throw fault
}

/** Generated files that are not as they should be, with what is wrong; those that nothing generates any more count too. */
export function staleFiles(pages: readonly Page[], folder: string): readonly { readonly path: string; readonly fault: string }[] {
  const wrong = pages.flatMap(({ path, text }) => {
    const file = join(folder, path)
    if (!existsSync(file)) return [{ path, fault: 'is missing' }]
    return readFileSync(file, 'utf8') === text ? [] : [{ path, fault: 'is out of date' }]
  })
  return [...wrong, ...leftOver(pages, folder).map((path) => ({ path, fault: 'is not generated any more' }))]
}

function leftOver(pages: readonly Page[], folder: string): readonly string[] {
  const known = new Set(pages.map(({ path }) => path))
  return globSync(['docs/reference/**/*.{md,json}', 'sdk/*/**/*.{ts,py,md}'], { cwd: folder })
    .filter((path) => !known.has(path) && readFileSync(join(folder, path), 'utf8').split('\n', 1)[0]?.includes(MARK))
    .sort()
}

function write(pages: readonly Page[], folder: string): void {
  for (const path of leftOver(pages, folder)) rmSync(join(folder, path))
  for (const { path, text } of pages) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

if (import.meta.main) {
  const pages = await generate()
  if (process.argv.includes('--check')) {
    const stale = staleFiles(pages, root)
    for (const { path, fault } of stale) console.error(`${path} ${fault}: run npm run generate`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    const all = [...pages, await generateOnPostgres()]
    write(all, root)
    console.log(`${all.length} files generated`)
  }
}
