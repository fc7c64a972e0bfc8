/** `/v1/credits`: what an account has. Free, true at once, readable with the ordinary key and at zero balance. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type AccountState, timeOf } from '../../core/account.ts'
import { currentBudget } from '../../core/budget.ts'
import { FOREVER_MS } from '../../core/calendar.ts'
import { formatCredits } from '../../core/credits.ts'
import { perDay, runsOutMs } from '../../core/forecast.ts'
import { accountId, objectId } from '../../core/ids.ts'
import { isRefusal } from '../../core/refusals.ts'
import { dueOf } from '../../core/subscription.ts'
import { HOUR_MS } from '../../core/usage.ts'
import { viewAlerts } from '../../operations/alerts.ts'
import { findAccount } from '../../operations/find-account.ts'
import { PaceBook, type Paces } from '../../operations/paces.ts'
import {
  accountAt,
  accountInThePast,
  type CreditsView,
  type CreditTypeView,
  EXPIRING_SOON_MS,
  timeFor,
  viewCredits,
} from '../../operations/read-credits.ts'
import type { KeyRow, Store } from '../../stores/store.ts'
import { accountOf, keyOf } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { etagOf, matchesEtag } from '../etags.ts'
import { ProblemError } from '../problems.ts'
import { sendJson } from '../written-json.ts'
import { AlertState, renderAlertState } from './alert-bodies.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AutoTopupSummary, autoTopupTurns, renderAutoTopupSummary } from './auto-topup-bodies.ts'
import { NextRenewal, renderRenewals } from './plan-bodies.ts'
import {
  AccountIn,
  Amount,
  decimalMap,
  decimalOut,
  idParam,
  NullableAmount,
  NullableTime,
  nullable,
  nullableObject,
  PROBLEMS_ANSWER,
  Time,
  TimeIn,
} from './schemas.ts'
import { nullableAmountOut, nullableTimeOut, timeIn, timeOut } from './values.ts'

const CreditTypeBody = Type.Object({
  settled: decimalOut('What the account has, holds not taken off; below zero when it owes.'),
  held: decimalOut('Set aside by live holds.'),
  available: decimalOut('What can be charged or held now: settled − held.'),
  pending: decimalOut('Granted, and usable later.'),
  debt: decimalOut('What the account owes. The next grant repays it first.'),
  granted: Amount,
  spent: decimalOut('Charged, refunds taken off.'),
  expired: Amount,
  voided: Amount,
  sources: decimalMap('What is left, by where it came from.'),
  spent_per_day: nullable<string>('string', 'The pace of up to seven days; null: nothing was spent in them.', 'decimal'),
  runs_out_on: nullable<string>(
    'string',
    'The day, in UTC, on which the credits run out at that pace; null: there is none, or it is more than ten years away.',
    'date',
  ),
})

const CreditsBody = Type.Object(
  {
    object: Type.Literal('credits'),
    account: Type.String(),
    as_of: Time,
    can_spend: Type.Boolean(),
    blocked_reason: nullable<string>(
      'string',
      '`account_suspended`, `key_budget_exceeded`, `credits_in_flight` or `insufficient_credits`.',
    ),
    credit_types: Type.Record(Type.String(), CreditTypeBody),
    grants: Type.Array(
      Type.Object({
        id: Type.String(),
        credit_type: Type.String(),
        source: Type.String(),
        remaining: Amount,
        held: Amount,
        priority: Type.Integer(),
        effective_at: Time,
        expires_at: NullableTime,
      }),
      { description: 'Open grants, in burn order.' },
    ),
    expiring_soon: Type.Array(Type.Object({ grant: Type.String(), credit_type: Type.String(), amount: Amount, at: Time }), {
      description: `What expires within ${EXPIRING_SOON_MS / 86_400_000} days.`,
    }),
    key: nullableObject(
      Type.Object({
        id: Type.String(),
        name: Type.String(),
        budget: nullableObject(
          Type.Object({
            limit: NullableAmount,
            period: Type.String(),
            spent: Amount,
            held: Amount,
            remaining: NullableAmount,
            resets_at: NullableTime,
          }),
        ),
      }),
    ),
    next_renewal: nullableObject(NextRenewal),
    renewals: Type.Array(NextRenewal, { description: 'The next one of each subscription, soonest first.' }),
    alerts: Type.Array(AlertState, { description: 'What is told of before it matters, and whether it has been.' }),
    auto_top_up: nullableObject(AutoTopupSummary),
    top_up_url: nullable<string>('string', 'Where to buy credits.'),
    sequence: Type.Integer({ description: "Records in the account's journal." }),
  },
  { description: "An account's credits at one moment." },
)

function typeBody({
  settled,
  held,
  available,
  pending,
  debt,
  granted,
  spent,
  expired,
  voided,
  sources,
}: CreditTypeView): Omit<Static<typeof CreditTypeBody>, 'spent_per_day' | 'runs_out_on'> {
  return {
    settled: formatCredits(settled),
    held: formatCredits(held),
    available: formatCredits(available),
    pending: formatCredits(pending),
    debt: formatCredits(debt),
    granted: formatCredits(granted),
    spent: formatCredits(spent),
    expired: formatCredits(expired),
    voided: formatCredits(voided),
    sources: Object.fromEntries([...sources].map(([source, amount]) => [source, formatCredits(amount)])),
  }
}

function forecastBody(view: CreditsView, creditType: string, paces: Paces | null) {
  const pace = paces?.byType.get(creditType)
  if (!pace) return { spent_per_day: null, runs_out_on: null }
  const outMs = runsOutMs(view, creditType, pace)
  return { spent_per_day: formatCredits(perDay(pace)), runs_out_on: outMs === null ? null : timeOut(outMs).slice(0, 10) }
}

interface Beside {
  readonly key: KeyRow | null
  readonly topUpUrl: string | null
  /** Null: nobody knows how fast credits are spent. */
  readonly paces: Paces | null
}

function keyBody({ budget }: CreditsView, key: KeyRow): Static<typeof CreditsBody>['key'] {
  return {
    id: objectId('key', key.account, key.seq),
    name: key.terms.name,
    budget: budget && {
      limit: nullableAmountOut(budget.limit),
      period: budget.period,
      spent: formatCredits(budget.spent),
      held: formatCredits(budget.held),
      remaining: nullableAmountOut(budget.remaining),
      resets_at: nullableTimeOut(budget.resetsAtMs),
    },
  }
}

function creditsBody(view: CreditsView, { key, topUpUrl, paces }: Beside): Static<typeof CreditsBody> {
  const { state, asOfMs, types, grants, expiringSoon, blockedReason } = view
  const renewals = renderRenewals(state)
  return {
    object: 'credits',
    account: accountId(state.number),
    as_of: timeOut(asOfMs),
    can_spend: blockedReason === null,
    blocked_reason: blockedReason,
    credit_types: Object.fromEntries(
      types.map((type) => [type.creditType, { ...typeBody(type), ...forecastBody(view, type.creditType, paces) }]),
    ),
    grants: grants.map((grant) => ({
      id: objectId('grant', state.number, grant.seq),
      credit_type: grant.creditType,
      source: grant.source,
      remaining: formatCredits(grant.remaining),
      held: formatCredits(grant.held),
      priority: grant.priority,
      effective_at: timeOut(grant.effectiveAtMs),
      expires_at: nullableTimeOut(grant.expiresAtMs),
    })),
    expiring_soon: expiringSoon.map(({ grant, creditType, amount, atMs }) => ({
      grant: objectId('grant', state.number, grant),
      credit_type: creditType,
      amount: formatCredits(amount),
      at: timeOut(atMs),
    })),
    key: key && keyBody(view, key),
    next_renewal: renewals[0] ?? null,
    renewals,
    alerts: viewAlerts(view).map(renderAlertState),
    auto_top_up: renderAutoTopupSummary(state, asOfMs),
    top_up_url: topUpUrl,
    sequence: state.seq,
  }
}

/** An answer as it goes over the wire. It says nothing of the moment it was asked at but `as_of`, which is when it became true. */
interface Rendered {
  readonly text: string
  readonly etag: string
  /** Until then it stays true, unless the account changes. */
  readonly untilMs: number
  readonly paces: Paces | undefined
}

/**
 * Keeps the rendered answer of each state: states are values, so one that has not changed needs no second rendering. Time alone
 * changes an answer only when a grant starts or nears its end, a hold ends, a budget's window turns, or an hour ends in which credits were spent.
 */
export class RenderedCredits {
  readonly #rendered = new WeakMap<AccountState, Map<number, Rendered>>()
  readonly #topUpUrl: string | null
  readonly #paces: PaceBook

  constructor(topUpUrl: string | null, store: Pick<Store, 'usage'>) {
    this.#topUpUrl = topUpUrl
    this.#paces = new PaceBook(store)
  }

  /** Reads what an answer needs besides the state; null: it is there, without a promise in between. */
  prepare(stored: AccountState, ownMs: number): Promise<unknown> | null {
    const nowMs = timeOf(stored, ownMs)
    return this.#paces.known(stored.number, nowMs) ? null : this.#paces.read(stored.number, nowMs)
  }

  of(stored: AccountState, key: KeyRow | null, ownMs: number): Rendered {
    const nowMs = timeOf(stored, ownMs)
    const byKey = this.#rendered.get(stored)
    const known = byKey?.get(key?.seq ?? 0)
    const paces = this.#paces.known(stored.number, nowMs)
    if (known && nowMs < known.untilMs && known.paces === paces) return known
    const now = accountAt(stored, nowMs)
    const { state } = now
    const spending = paces && paces.byType.size > 0 ? paces : null
    const sinceMs = Math.max(state.atMs, lastTurn(state, nowMs), spending?.hourMs ?? 0)
    const beside = { key, topUpUrl: this.#topUpUrl, paces: spending }
    const text = JSON.stringify(creditsBody({ ...viewCredits(now, key), asOfMs: sinceMs }, beside))
    const made = {
      text,
      etag: etagOf(text),
      untilMs: Math.min(nextTurn(state, nowMs), paces ? paces.hourMs + HOUR_MS : FOREVER_MS),
      paces,
    }
    if (byKey) byKey.set(key?.seq ?? 0, made)
    else this.#rendered.set(stored, new Map([[key?.seq ?? 0, made]]))
    return made
  }
}

/** Moments at which the answer changes by time alone. */
function turns(state: AccountState, nowMs: number): readonly number[] {
  const grants = state.pools.flatMap((pool) => pool.grants)
  const ends = grants.flatMap(({ expiresAtMs }) => (expiresAtMs === null ? [] : [expiresAtMs - EXPIRING_SOON_MS, expiresAtMs]))
  return [
    ...ends,
    ...grants.map(({ effectiveAtMs }) => effectiveAtMs),
    ...state.holds.map(({ expiresAtMs }) => expiresAtMs),
    ...state.subscriptions.map(dueOf),
    ...autoTopupTurns(state),
    ...state.budgets.flatMap((budget) => {
      const { windowStartMs, windowEndMs } = currentBudget(budget, nowMs)
      return [windowStartMs, windowEndMs]
    }),
    ...state.alerts.flatMap(({ day, fired }) => [day?.endMs ?? 0, fired?.untilMs ?? 0]),
  ]
}

function nextTurn(state: AccountState, nowMs: number): number {
  return turns(state, nowMs).reduce((next, at) => (at > nowMs && at < next ? at : next), FOREVER_MS)
}

function lastTurn(state: AccountState, nowMs: number): number {
  return turns(state, nowMs).reduce((last, at) => (at <= nowMs && at > last ? at : last), 0)
}

const SCHEMA = {
  tags: ['credits'],
  response: { 200: CreditsBody, 304: Type.Null({ description: 'Nothing has changed since the ETag.' }), ...PROBLEMS_ANSWER },
} as const

export function creditsRoutes(app: NativeApp, { services }: NativeContext, rendered: RenderedCredits): void {
  /** Answers from the state in memory, without a promise in between when it is there. */
  const answer = async (
    request: FastifyRequest,
    reply: FastifyReply,
    { account, key }: { readonly account: number; readonly key: KeyRow | null },
  ): Promise<FastifyReply> => {
    const stored = await services.store.state(account)
    if (!stored) throw refusalError({ refused: 'account_not_found', detail: `No account has the id ${accountId(account)}.`, facts: {} })
    const nowMs = services.clock()
    const preparing = rendered.prepare(stored, nowMs)
    if (preparing) await preparing
    return send(request, reply, rendered.of(stored, key, nowMs))
  }

  app.get(
    '/credits',
    {
      config: { access: 'account' },
      schema: {
        ...SCHEMA,
        operationId: 'getCredits',
        summary: 'Get what the account has, can spend, and why not',
        description:
          'With the ordinary API key. Send `If-None-Match` with the last ETag: 304 when nothing has changed. `as_of` is when the answer became true.',
        querystring: Type.Object({ account: Type.Optional(AccountIn) }, { additionalProperties: false }),
      },
    },
    async (request, reply) => {
      const account = await accountOf(services, request, request.query.account)
      return answer(request, reply, { account, key: keyOf(request) })
    },
  )

  app.get(
    '/accounts/:account/credits',
    {
      config: { access: 'operator' },
      schema: {
        ...SCHEMA,
        operationId: 'getAccountCredits',
        summary: 'Get what an account has, or had at a moment',
        params: idParam('account', 'The account: its id, or `external:` and its external id.'),
        querystring: Type.Object({ at: Type.Optional(TimeIn) }, { additionalProperties: false }),
      },
    },
    async (request, reply) => {
      const account = await findAccount(services, request.params.account)
      if (typeof account !== 'number') throw refusalError(account)
      const { at } = request.query
      if (at === undefined) return answer(request, reply, { account, key: null })
      const atMs = timeIn(at, 'query/at')
      if (atMs > (await timeFor(services, account)))
        throw new ProblemError('invalid_request', 'query/at must not be in the future.', {
          errors: [{ pointer: 'query/at', detail: 'must not be in the future' }],
        })
      const then = await accountInThePast(services.store, account, atMs)
      if (isRefusal(then)) throw refusalError(then)
      const text = JSON.stringify(creditsBody(viewCredits(then, null), { key: null, topUpUrl: services.policy.topUpUrl, paces: null }))
      return sendJson(reply, text)
    },
  )
}

function send(request: FastifyRequest, reply: FastifyReply, { text, etag }: Rendered): FastifyReply {
  reply.header('etag', etag).header('cache-control', 'private, no-cache').header('vary', 'Authorization')
  if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return sendJson(reply, text)
}
