/** `/v1/journal`: what happened, record by record. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { eventsOf } from '../../core/events.ts'
import { accountId, type IdPrefix, objectId } from '../../core/ids.ts'
import { DEBT, isCharge, type JournalRecord, movesCredits } from '../../core/record.ts'
import { purchaseOf, subscriptionOf } from '../../core/record-subjects.ts'
import { accountOf } from '../access.ts'
import { exportLimit, MAX_EXPORTED, sendExport, wantsCsv } from '../csv.ts'
import { PAGE_QUERY, recordList, seqPage } from '../pages.ts'
import { AlertNewsBody, renderAlertNews } from './alert-bodies.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { renderBalance } from './charge-bodies.ts'
import { AccountIn, Amount, Balance, decimalOut, listOf, nullable, PROBLEMS_ANSWER, Time, TimeIn } from './schemas.ts'
import { timeIn, timeOut } from './values.ts'

const Entry = Type.Object({
  grant: nullable<string>('string', 'Null: the debt.'),
  change: decimalOut('Change of what remains.'),
  held_change: Amount,
  remaining_before: Amount,
  remaining_after: Amount,
  held_before: Amount,
  held_after: Amount,
})

/** A record as it is answered. */
export const RecordBody = Type.Object(
  {
    object: Type.Literal('journal_record'),
    id: Type.String(),
    account: Type.String(),
    sequence: Type.Integer(),
    kind: Type.String({ description: 'What happened; docs/reference/journal.md lists the kinds.' }),
    subject: nullable<string>(
      'string',
      'Id of the charge, grant, hold, refund, adjustment, key, alert, top-up, checkout session or subscription that it is about.',
    ),
    actor: Type.String({ description: '`operator`, `provider`, `time`, or the id of an API key or a user.' }),
    request_id: nullable<string>('string'),
    credit_type: nullable<string>('string'),
    entries: Type.Array(Entry),
    balance: Type.Optional(Balance),
    events: Type.Array(Type.String()),
    alerts: Type.Optional(Type.Array(AlertNewsBody, { description: 'Alerts that it made fire, or that are armed again.' })),
    at: Time,
  },
  { description: 'One record of the journal, with its entries: one movement on one grant each.' },
)

/** A record as it is written. */
export type RecordOut = Static<typeof RecordBody>

function subjectOf(account: number, record: JournalRecord): string | null {
  const named = (prefix: IdPrefix, seq: number): string => objectId(prefix, account, seq)
  if (isCharge(record)) return named('chg', record.seq)
  if ('hold' in record) return named('hold', record.hold)
  switch (record.kind) {
    case 'grant':
      return named(record.grant.source === 'adjustment' ? 'adj' : 'grant', record.seq)
    case 'grant_expired':
    case 'grant_voided':
      return named('grant', record.grant)
    case 'hold':
      return named('hold', record.seq)
    case 'refund':
      return named('rfd', record.seq)
    case 'outcome_reported':
      return named('chg', record.charge)
    case 'subscription_granted':
      return named('grant', record.seq)
    case 'adjustment':
      return named('adj', record.seq)
    case 'key_created':
      return named('key', record.seq)
    case 'key_updated':
    case 'key_rotated':
    case 'key_revoked':
      return named('key', record.key)
    case 'alert_created':
      return named('alert', record.seq)
    case 'alert_updated':
    case 'alert_deleted':
      return named('alert', record.alert)
    case 'topup':
      return named('topup', record.seq)
    default: {
      const purchase = purchaseOf(record)
      if (purchase !== null) return named('cs', purchase)
      const subscription = subscriptionOf(record)
      return subscription === null ? null : named('sub', subscription)
    }
  }
}

/** Writes a record. */
export function renderRecord(account: number, record: JournalRecord): RecordOut {
  const moved = movesCredits(record) ? record : null
  return {
    object: 'journal_record',
    id: objectId('rec', account, record.seq),
    account: accountId(account),
    sequence: record.seq,
    kind: record.kind,
    subject: subjectOf(account, record),
    actor: record.actor,
    request_id: record.requestId,
    credit_type: moved?.creditType ?? null,
    entries: (moved?.movements ?? []).map(({ grant, remaining, held, remainingAfter, heldAfter }) => ({
      grant: grant === DEBT ? null : objectId('grant', account, grant),
      change: formatCredits(remaining),
      held_change: formatCredits(held),
      remaining_before: formatCredits(remainingAfter - remaining),
      remaining_after: formatCredits(remainingAfter),
      held_before: formatCredits(heldAfter - held),
      held_after: formatCredits(heldAfter),
    })),
    ...(moved ? { balance: renderBalance(moved) } : {}),
    events: [...eventsOf(record)],
    ...(record.alerts ? { alerts: record.alerts.map((news) => renderAlertNews(account, news)) } : {}),
    at: timeOut(record.atMs),
  }
}

export function journalRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/journal',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listJournal',
        tags: ['journal'],
        summary: 'List the journal, newest first',
        description: `Every record of the account, with each movement on each grant. As CSV (\`format=csv\` or \`Accept: text/csv\`): one line per entry, up to ${MAX_EXPORTED} records, with a Link to the rest.`,
        querystring: Type.Object(
          {
            account: Type.Optional(AccountIn),
            start: Type.Optional(TimeIn),
            end: Type.Optional(TimeIn),
            format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('csv')])),
            ...PAGE_QUERY,
          },
          { additionalProperties: false },
        ),
        response: { 200: listOf(RecordBody), ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { query } = request
      const account = await accountOf(services, request, query.account)
      const page = seqPage(query, { account, prefixes: ['rec'] })
      const wanted = wantsCsv(request, query.format)
      const range = {
        ...(query.start === undefined ? {} : { fromMs: timeIn(query.start, 'query/start') }),
        ...(query.end === undefined ? {} : { toMs: timeIn(query.end, 'query/end') }),
      }
      const { records, next } = await services.store.records(account, {
        ...page,
        ...range,
        limit: wanted ? exportLimit(query) : page.limit,
      })
      const items = records.map((record) => renderRecord(account, record))
      const cursor = next === null ? null : objectId('rec', account, next)
      if (wanted) return sendExport(request, reply, { header: CSV_HEADER, items: items.map(csvRows), page, next: cursor })
      return recordList('/v1/journal', page, { items, next: cursor })
    },
  )
}

const CSV_HEADER = [
  'id',
  'sequence',
  'at',
  'kind',
  'subject',
  'actor',
  'request_id',
  'credit_type',
  'grant',
  'change',
  'held_change',
  'remaining_before',
  'remaining_after',
  'held_before',
  'held_after',
  'balance_available',
] as const

/** One line per entry; a record without entries has one all the same. */
function csvRows(record: RecordOut): (string | number | null)[][] {
  const { id, sequence, at, kind, subject, actor, request_id, credit_type, entries } = record
  const head = [id, sequence, at, kind, subject, actor, request_id, credit_type]
  const available = record.balance?.available ?? null
  if (entries.length === 0) return [[...head, null, null, null, null, null, null, null, available]]
  return entries.map((entry) => [
    ...head,
    entry.grant ?? 'debt',
    entry.change,
    entry.held_change,
    entry.remaining_before,
    entry.remaining_after,
    entry.held_before,
    entry.held_after,
    available,
  ])
}
