/** src/stores/postgres/schema.sql: what the migrations build in a PostgreSQL, for people to read. */

import pg from 'pg'
import { MARK, type Page } from './page.ts'

interface Table {
  readonly name: string
  readonly isLogged: boolean
  readonly options: string | null
  readonly columns: readonly string[]
  readonly constraints: readonly string[]
  readonly indexes: readonly string[]
  readonly triggers: readonly string[]
}

/** Each list in an order of its own: columns as they are, the primary key first, everything else by name. */
const TABLES = `
  select c.relname as name, c.relpersistence = 'p' as "isLogged", array_to_string(c.reloptions, ', ') as options,
    array(select concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> t.typcollation then 'collate ' || quote_ident(l.collname) end,
        'default ' || pg_get_expr(d.adbin, d.adrelid), case when a.attnotnull then 'not null' end)
      from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation l on l.oid = a.attcollation
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
    array(select 'constraint ' || quote_ident(o.conname) || ' ' || pg_get_constraintdef(o.oid) from pg_constraint o
      where o.conrelid = c.oid and o.contype in ('p', 'u', 'c', 'f') order by o.contype <> 'p', o.conname) as constraints,
    array(select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class n on n.oid = i.indexrelid
      where i.indrelid = c.oid and not exists (select 1 from pg_constraint o where o.conindid = i.indexrelid) order by n.relname) as indexes,
    array(select pg_get_triggerdef(g.oid) from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal order by g.tgname) as triggers
  from pg_class c where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p') order by c.relname`
const FUNCTIONS = 'select pg_get_functiondef(oid) as text from pg_proc where pronamespace = $1::regnamespace order by proname'

/** The schema of a URL as it is. Tables by name, each with its indexes and triggers below it; then functions. */
export async function postgresSchemaPage(url: string): Promise<Page> {
  const named = new URL(url)
  const schema = named.searchParams.get('schema') ?? ''
  named.searchParams.delete('schema')
  const client = new pg.Client({ connectionString: named.href, options: `-c search_path=${schema}` })
  await client.connect()
  try {
    const tables = (await client.query<Table>(TABLES, [schema])).rows
    const functions = (await client.query<{ text: string }>(FUNCTIONS, [schema])).rows
    const [version] = (await client.query<{ version: number }>('select version from schema_version')).rows
    const shown = (text: string): string => lowerCase(text.replaceAll(`${schema}.`, ''))
    const statements = [...tables.flatMap((table) => statementsOf(table)), ...functions.map(({ text }) => text.trim())].map(shown)
    const head = `-- ${MARK}\n\n-- The schema after migration ${version?.version}. The migrations say why it is so.`
    return { path: 'src/stores/postgres/schema.sql', text: `${head}\n\n${statements.map((text) => `${text};\n`).join('\n')}` }
  } finally {
    await client.end()
  }
}

function statementsOf({ name, isLogged, options, columns, constraints, indexes, triggers }: Table): readonly string[] {
  const rows = [...columns, ...constraints].map((row) => `  ${row}`).join(',\n')
  return [
    `create ${isLogged ? '' : 'unlogged '}table ${name} (\n${rows}\n)${options === null ? '' : ` with (${options})`}`,
    ...indexes,
    ...triggers,
  ]
}

/** PostgreSQL shouts its keywords; what is quoted is left as it is. */
function lowerCase(text: string): string {
  return text.replace(/'[^']*'|"[^"]*"|\b[A-Z]{2,}\b/g, (part) => (/^['"]/.test(part) ? part : part.toLowerCase()))
}
