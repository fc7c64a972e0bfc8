/** `obol verify`: derives every balance again from the journal. Reads the store itself, whether or not a server is running. */

import { renderAudit } from '../http/native/audit.ts'
import { auditFile } from '../stores/sqlite/audit.ts'
import { StoreUnavailableError } from '../stores/sqlite/database.ts'
import { CliError, EXIT } from './client.ts'
import { readSettings } from './settings.ts'

/** Verifies the store of the settings; the process ends with 1 when anything differs. */
export function verify(environment: Readonly<Record<string, string | undefined>>, { json }: { readonly json: boolean }): void {
  const { config } = readSettings(environment)
  const report = renderAudit(audit(config.OBOL_DATABASE_URL.slice('sqlite:'.length)))
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

function audit(file: string): ReturnType<typeof auditFile> {
  try {
    return auditFile(file)
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw new CliError(cause.message, { exitCode: EXIT.unavailable, cause })
    throw cause
  }
}
