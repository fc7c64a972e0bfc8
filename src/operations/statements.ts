/** Monthly statements: what an account had, what moved, and what each operation used. Final when issued, once per account and month. */

import { setImmediate } from 'node:timers/promises'
import { isTimeZone, type Window, windowAt } from '../core/calendar.ts'
import { formatCredits } from '../core/credits.ts'
import { formatDecimal } from '../core/decimal.ts'
import { accountId } from '../core/ids.ts'
import { invoiceNumber } from '../core/invoice.ts'
import {
  decodeInvoiceBody,
  encodeInvoiceBody,
  type StatementBody,
  type StatementInvoice,
  type StatementType,
  type StatementUsage,
} from '../core/invoice-body.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { StatementSums, type TypeStatement } from '../core/statement.ts'
import type { InvoiceRow } from '../stores/invoices.ts'
import type { AccountRow, RecordPage } from '../stores/store.ts'
import { buyerOf, type InvoiceView, issueNoted, readInvoice } from './invoices.ts'
import { readUsage, type UsageGroup } from './read-usage.ts'
import type { Services } from './services.ts'

/** Operations of one statement; the others are added up. */
const MAX_OPERATIONS = 500
/** Invoices that one statement lists. */
const MAX_INVOICES = 500
const RECORDS_AT_ONCE = 500

/** A month of a calendar: `2026-11`. */
export type Month = string

const MONTH = /^(2\d{3})-(0[1-9]|1[0-2])$/

/** The month that a text names; undefined: none. */
export function parseMonth(text: string): Month | undefined {
  return MONTH.test(text) ? text : undefined
}

/** When a month begins and ends in a time zone. */
export function windowOf(month: Month, timeZone: string): Window {
  return windowAt('month', timeZone, Date.parse(`${month}-15T12:00:00Z`))
}

/** The zone in which an account's months are counted: `time_zone` of its metadata, else UTC. */
function zoneOf({ metadata }: AccountRow): string {
  const { time_zone: named } = metadata
  return named !== undefined && isTimeZone(named) ? named : 'UTC'
}

/** Which statement is asked for. */
export interface StatementRequest {
  readonly account: number
  readonly month: Month
}

/** A statement, and whether it had been issued before. */
export interface IssuedStatement {
  readonly view: InvoiceView
  readonly isReplay: boolean
}

/** Issues the statement of a past month, or gives the one that was. Refuses month_not_over, month_before_account, account_not_found, account_has_test_clock. */
export async function issueStatement(services: Services, request: StatementRequest): Promise<IssuedStatement | Refusal> {
  const known = await services.store.invoices.bySource(sourceOf(request))
  const row = known ?? (await writeStatement(services, request, { evenIfEmpty: true }))
  if (row === null) throw new Error('a statement that is asked for is issued even if nothing moved')
  if (isRefusal(row)) return row
  const view = await readInvoice(services, { account: row.account, seq: row.ordinal })
  return isRefusal(view) ? view : { view, isReplay: known !== undefined }
}

/** Issues a month's statement of an account in which something moved, unless it has one. */
export async function issueStatementIfAny(services: Services, request: StatementRequest): Promise<void> {
  if (await services.store.invoices.bySource(sourceOf(request))) return
  await writeStatement(services, request, { evenIfEmpty: false })
}

function sourceOf({ account, month }: StatementRequest): string {
  return `statement ${account} ${month}`
}

/** The months of such an account are over whenever somebody says so. */
const HAS_TEST_CLOCK = refuse('account_has_test_clock', 'An account that lives by a test clock gets no monthly statements.')

async function writeStatement(
  services: Services,
  request: StatementRequest,
  { evenIfEmpty }: { readonly evenIfEmpty: boolean },
): Promise<InvoiceRow | Refusal | null> {
  const { store, invoicing, clock } = services
  const { account, month } = request
  const row = await store.account(account)
  if (!row) return refuse('account_not_found', `No account has the id ${accountId(account)}.`)
  if ((await store.state(account))?.clock) return HAS_TEST_CLOCK
  const timeZone = zoneOf(row)
  const window = windowOf(month, timeZone)
  const nowMs = clock()
  if (window.endMs > nowMs)
    return refuse('month_not_over', `${month} ends in ${timeZone} at ${isoOf(window.endMs)}.`, { ends_at: isoOf(window.endMs) })
  if (row.createdAtMs >= window.endMs) return refuse('month_before_account', `The account was opened at ${isoOf(row.createdAtMs)}.`)
  const types = await typesIn(services, account, window)
  if (isRefusal(types)) return types
  if (types.isEmpty && !evenIfEmpty) return null
  const body: StatementBody = {
    about: 'month',
    seller: invoicing.seller,
    buyer: buyerOf(row),
    note: invoicing.note,
    month,
    timeZone,
    ...window,
    creditTypes: types.statements.map(typeOut),
    usage: await usageIn(services, account, { ...window, timeZone, nowMs }),
    ...(await invoicesIn(services, account, window)),
  }
  const head = { account, series: 'ST', kind: 'statement', source: sourceOf(request), purchase: null, issuedAtMs: nowMs } as const
  return store.invoices.issue({ ...head, body: encodeInvoiceBody(body) })
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

interface TypesIn {
  readonly statements: readonly TypeStatement[]
  readonly isEmpty: boolean
}

/** What moved, worked back from what the account has now. All that is due is booked first, so that the journal has it. */
async function typesIn({ store }: Services, account: number, window: Window): Promise<TypesIn | Refusal> {
  const booked = await store.transact({ account, command: { kind: 'book_due' }, idempotency: null, actor: 'time', requestId: null })
  if (isRefusal(booked)) return booked
  const state = await store.state(account)
  if (!state) throw new Error(`account ${account} has no state`)
  const sums = new StatementSums(window)
  // Nothing that is older took effect in the month: what time does is booked later, never sooner.
  for (let after: number | null = state.atMs < window.startMs ? null : 0; after !== null; ) {
    const page: RecordPage = await store.records(account, { limit: RECORDS_AT_ONCE, after, fromMs: window.startMs })
    const known = page.records.filter(({ seq }) => seq <= state.seq)
    for (const record of known) sums.count(record)
    after = known.length < page.records.length ? null : page.next
    await setImmediate()
  }
  return { statements: sums.statement(state.pools), isEmpty: sums.isEmpty }
}

function typeOut(type: TypeStatement): StatementType {
  return {
    creditType: type.creditType,
    opening: formatCredits(type.opening),
    purchased: formatCredits(type.purchased),
    fromPlans: formatCredits(type.fromPlans),
    granted: formatCredits(type.granted),
    used: formatCredits(type.used),
    returned: formatCredits(type.returned),
    expired: formatCredits(type.expired),
    takenBack: formatCredits(type.takenBack),
    voided: formatCredits(type.voided),
    closing: formatCredits(type.closing),
  }
}

async function usageIn(
  { store }: Services,
  account: number,
  { startMs, endMs, timeZone, nowMs }: Window & { readonly timeZone: string; readonly nowMs: number },
): Promise<readonly StatementUsage[]> {
  const query = {
    account,
    fromMs: startMs,
    toMs: endMs,
    bucket: 'month',
    timeZone,
    nowMs,
    groupBy: ['operation', 'credit_type'],
    operation: null,
    key: null,
    creditType: null,
  } as const
  const [month] = await readUsage(store, query, [{ startMs, endMs }])
  const groups = month?.groups ?? []
  return [...groups.slice(0, MAX_OPERATIONS).map(usageOut), ...others(groups.slice(MAX_OPERATIONS))]
}

function usageOut({ operation, creditType, charges, charged, refunded, quantities }: UsageGroup): StatementUsage {
  return {
    operation,
    creditType: creditType ?? '',
    charges,
    used: formatCredits(charged),
    returned: formatCredits(refunded),
    quantities: Object.fromEntries(Object.entries(quantities).map(([unit, quantity]) => [unit, formatDecimal(quantity)])),
  }
}

/** What there is no room for, added up by credit type. */
function others(groups: readonly UsageGroup[]): readonly StatementUsage[] {
  return [...Map.groupBy(groups, ({ creditType }) => creditType)].map(([creditType, some]) =>
    usageOut({
      operation: null,
      key: null,
      creditType,
      charges: some.reduce((sum, { charges }) => sum + charges, 0),
      charged: some.reduce((sum, { charged }) => sum + charged, 0n),
      refunds: 0,
      refunded: some.reduce((sum, { refunded }) => sum + refunded, 0n),
      quantities: {},
    }),
  )
}

/** Invoices that were issued in the month, oldest first. */
async function invoicesIn(
  services: Services,
  account: number,
  { startMs, endMs }: Window,
): Promise<Pick<StatementBody, 'invoices' | 'invoicesLeftOut'>> {
  await issueNoted(services, account)
  const rows: InvoiceRow[] = []
  for (let after = 0; ; ) {
    const page = await services.store.invoices.list(account, { fromMs: startMs, toMs: endMs, after, limit: MAX_INVOICES })
    rows.push(...page.filter(({ kind }) => kind !== 'statement'))
    if (page.length < MAX_INVOICES) break
    after = page.at(-1)?.ordinal ?? 0
  }
  return { invoices: rows.slice(0, MAX_INVOICES).map(invoiceOut), invoicesLeftOut: Math.max(0, rows.length - MAX_INVOICES) }
}

function invoiceOut(row: InvoiceRow): StatementInvoice {
  const body = decodeInvoiceBody(row.body)
  if (body.about === 'month') throw new Error(`${row.source} is a statement`)
  const { currency, totalMinor } = body.money
  const isCredit = row.kind === 'credit_note'
  return {
    number: invoiceNumber(row),
    kind: row.kind,
    issuedAtMs: row.issuedAtMs,
    currency,
    totalMinor: isCredit ? -totalMinor : totalMinor,
  }
}
