/**
 * `npm run bench`: measures Obol against what it is compared with, on this machine, in one run. Rounds are interleaved and ratios are
 * formed within a round, because machines change their speed; the median of the rounds is what counts.
 *
 *   npm run bench                     everything on SQLite and PostgreSQL that fits in some minutes
 *   npm run bench -- http store       some of: http, reads, latency, store, scale, postgres-http, postgres-store
 *   npm run bench -- history          reads on a journal of ten million records: some minutes more
 *   npm run bench -- postgres-growth  PostgreSQL with a million accounts: some minutes more
 *   npm run bench -- --rounds 9       more rounds (default 5)
 *   npm run bench -- --record         writes the figures to bench/RESULTS.md
 */

import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchHistory } from './history.ts'
import { benchPostgres, POSTGRES_PARTS } from './postgres.ts'
import { report, tableOfLines } from './report.ts'
import { benchSqlite, SQLITE_PARTS } from './sqlite.ts'

/** Parts that take long and run only when they are named. */
const ON_DEMAND = ['history', 'postgres-growth']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
})
const effort = { rounds: Number(values.rounds), seconds: Number(values.seconds) }
const known = [...SQLITE_PARTS, ...POSTGRES_PARTS, 'history']
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) throw new Error(`there is no part named ${unknown.join(', ')}; there are ${known.join(', ')}`)
const wanted = positionals.length > 0 ? positionals : known.filter((name) => !ON_DEMAND.includes(name))

function recordResults(): void {
  const [cpu] = cpus()
  const text = `# Results

Written by \`npm run bench -- --record\`. Ratios are formed within a round and the median of the rounds is given, all rounds behind it: absolute
figures depend on the machine and on what else it does, ratios hardly do.

- when: ${new Date().toISOString().slice(0, 10)}
- machine: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}
- command: \`npm run bench -- ${process.argv.slice(2).join(' ')}\` (${effort.rounds} rounds of ${effort.seconds} s; load generator, servers and databases share the cores)
- SQLite: WAL, \`synchronous=FULL\`; PostgreSQL: \`fsync\` and \`synchronous_commit\` on. Every answer comes after a full sync

| part | what | figure | goal | detail |
|---|---|---|---|---|
${tableOfLines()}
`
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text)
}

await benchSqlite(wanted, effort)
await benchPostgres(wanted, effort)
if (wanted.includes('history')) for (const line of await benchHistory()) report(line)
if (values.record) recordResults()
