/** src/stores/sqlite/schema.sql: what the migrations build, for people to read. */

import type { DatabaseSync } from 'node:sqlite'
import { MARK, type Page } from './page.ts'

interface SchemaRow {
  readonly type: string
  readonly sql: string
}

/** Tables by name, each with its indexes and triggers below it. */
export function schemaPage(db: DatabaseSync): Page {
  const rows = db
    .prepare("select type, sql from sqlite_schema where sql is not null order by tbl_name, type <> 'table', type, name")
    .all() as unknown as SchemaRow[]
  const { user_version: version } = db.prepare('pragma user_version').get() as { user_version: number }
  const statements = rows.map(({ sql }) => `${sql.replace(/^CREATE (UNIQUE )?[A-Z]+/, (head) => head.toLowerCase())};\n`)
  const head = `-- ${MARK}\n\n-- The schema after migration ${version}. The migrations say why it is so.`
  return { path: 'src/stores/sqlite/schema.sql', text: `${head}\n\n${statements.join('\n')}` }
}
