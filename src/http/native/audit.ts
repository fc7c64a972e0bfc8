/** `GET /v1/audit/verify`: everything derived again from the journal, and compared. */

import { Type } from 'typebox'
import { accountId } from '../../core/ids.ts'
import type { AuditReport } from '../../stores/store.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { nullable, PROBLEMS_ANSWER } from './schemas.ts'

const Report = Type.Object({
  object: Type.Literal('audit'),
  ok: Type.Boolean(),
  checked: Type.Object({ accounts: Type.Integer(), records: Type.Integer(), idempotency_keys: Type.Integer(), rollups: Type.Integer() }),
  differences: Type.Array(
    Type.Object({
      check: Type.String({ description: 'Which check failed; docs/reference/audit.md explains each.' }),
      account: nullable<string>('string'),
      sequence: nullable<number>('integer', "The record in the account's journal."),
      detail: Type.String(),
    }),
  ),
})

export function renderAudit({ checked, differences }: AuditReport) {
  return {
    object: 'audit',
    ok: differences.length === 0,
    checked: { accounts: checked.accounts, records: checked.records, idempotency_keys: checked.keys, rollups: checked.rollups },
    differences: differences.map(({ check, account, seq, detail }) => ({
      check,
      account: account === null ? null : accountId(account),
      sequence: seq,
      detail,
    })),
  } as const
}

export function auditRoutes(app: NativeApp, { services }: NativeContext): void {
  let running: Promise<AuditReport> | null = null

  app.get(
    '/audit/verify',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'verifyLedger',
        tags: ['audit'],
        summary: 'Verify the whole ledger',
        description:
          'Folds every journal again, checks the hash chains, and compares balances, roll-ups, holds, grants, refunds, keys and indexes with what the server keeps. Reads one moment, beside running charges. Asked twice at once, it runs once.',
        response: { 200: Report, ...PROBLEMS_ANSWER },
      },
    },
    async () => {
      running ??= services.store.audit().finally(() => {
        running = null
      })
      return renderAudit(await running)
    },
  )
}
