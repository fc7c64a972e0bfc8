/**
 * `npm run bench`: measures Obol against what it is compared with, on this machine, in one run. Rounds are interleaved and ratios are
 * formed within a round, because machines change their speed; the median of the rounds is what counts.
 *
 *   npm run bench                     everything on SQLite and PostgreSQL that fits in some minutes
 *   npm run bench -- http store       some of: http, reads, latency, store, scale, postgres-http, postgres-store
 *   npm run bench -- profile          where the time of a charge goes, by who spends it
 *   npm run bench -- history          a journal of ten million charges: some minutes more; postgres-history: a quarter of an hour
 *   npm run bench -- postgres-growth  PostgreSQL with a million accounts: some minutes more
 *   npm run bench -- --rounds 9       more rounds (default 5)
 *   npm run bench -- --record         writes the figures to bench/RESULTS.md, and leaves those of other parts there
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchHistory, HISTORY_PARTS } from './history.ts'
import { benchPostgres, POSTGRES_PARTS } from './postgres.ts'
import { benchProfile } from './profile.ts'
import { mergedTable, TABLE_HEAD } from './report.ts'
import { benchSqlite, SQLITE_PARTS } from './sqlite.ts'

/** Parts that take long and run only when they are named. */
const ON_DEMAND = [...HISTORY_PARTS, 'postgres-growth', 'profile']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
})
const effort = { rounds: Number(values.rounds), seconds: Number(values.seconds) }
const known = [...SQLITE_PARTS, ...POSTGRES_PARTS, ...HISTORY_PARTS, 'profile']
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) throw new Error(`there is no part named ${unknown.join(', ')}; there are ${known.join(', ')}`)
const wanted = positionals.length > 0 ? positionals : known.filter((name) => !ON_DEMAND.includes(name))

/** Writes the figures of this run over those that were there of the same things. */
function recordResults(): void {
  const [cpu] = cpus()
  const file = join(import.meta.dirname, 'RESULTS.md')
  const day = new Date().toISOString().slice(0, 10)
  const text = `# Results

Written by \`npm run bench -- --record\`. Ratios are formed within a round and the median of the rounds is given, all rounds behind it: absolute
figures depend on the machine and on what else it does, ratios less. What the profile says of them is in
[decision 0018](../docs/decisions/0018-where-a-charge-spends-its-time.md).

- machine of the last run: ${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}
- the last run: \`npm run bench -- ${process.argv.slice(2).join(' ')}\` (${effort.rounds} rounds of ${effort.seconds} s; load generator, servers and databases share the cores)
- SQLite: WAL, \`synchronous=FULL\`; PostgreSQL: \`fsync\` and \`synchronous_commit\` on. Every answer comes after a full sync

${TABLE_HEAD}
${mergedTable(readFileSync(file, 'utf8'), day)}
`
  writeFileSync(file, text)
}

await benchSqlite(wanted, effort)
await benchPostgres(wanted, effort)
if (wanted.includes('profile')) await benchProfile(effort)
await benchHistory(wanted)
if (values.record) recordResults()
