/** `obol verify`: derives every balance again from the journal. Reads the store itself, whether or not a server is running. */

import { type Config, sqliteFile } from '../config.ts'
import { renderAudit } from '../http/native/audit.ts'
import { auditDatabase } from '../stores/postgres/audit.ts'
import { auditFile } from '../stores/sqlite/audit.ts'
import type { AuditReport } from '../stores/store.ts'
import { StoreUnavailableError } from '../stores/unavailable.ts'
import { CliError, EXIT } from './client.ts'
import { readSettings } from './settings.ts'

/** Verifies the store of the settings; the process ends with 1 when anything differs. */
export async function verify(
  environment: Readonly<Record<string, string | undefined>>,
  { json }: { readonly json: boolean },
): Promise<void> {
  const { config } = readSettings(environment)
  const report = renderAudit(await audit(config))
  if (json) console.log(JSON.stringify(report, null, 2))
  else {
    const { accounts, records, idempotency_keys, rollups } = report.checked
    console.log(`${accounts} accounts, ${records} records, ${idempotency_keys} idempotency keys and ${rollups} roll-ups checked.`)
    for (const { check, account, sequence, detail } of report.differences)
      console.log(`${check}: ${account ?? 'the store'}${sequence === null ? '' : ` record ${sequence}`}: ${detail}`)
    console.log(report.ok ? 'Everything adds up.' : `${report.differences.length} differences.`)
  }
  if (!report.ok) process.exitCode = EXIT.failed
}

async function audit({ OBOL_DATABASE_URL: url, OBOL_POSTGRES_BATCH: reach }: Config): Promise<AuditReport> {
  const file = sqliteFile(url)
  try {
    return file === null ? await auditDatabase(url, reach) : auditFile(file)
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw new CliError(cause.message, { exitCode: EXIT.unavailable, cause })
    throw cause
  }
}
