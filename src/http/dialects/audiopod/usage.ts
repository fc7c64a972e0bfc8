/** `/api/v1/credits/usage`: what was used, newest first. */

import { setImmediate } from 'node:timers/promises'
import { type Static, Type } from 'typebox'
import type { Decimal } from '../../../core/decimal.ts'
import { DEFAULT_CREDIT_TYPE } from '../../../core/price-parsing.ts'
import { secondsIn } from '../../../core/pricing.ts'
import { type ChargeRecord, drawsOf, isCharge } from '../../../core/record.ts'
import { GrantHistory } from '../../../operations/grant-history.ts'
import type { RecordPage, Store } from '../../../stores/store.ts'
import { badInput } from '../../problems.ts'
import { accountOfCustomer, customerOf } from '../customer.ts'
import type { DialectApp, DialectContext } from '../dialect.ts'
import { creditsOut, decimalOut, number } from '../numbers.ts'
import { Time, timeOut } from '../times.ts'
import { uuidOf } from '../uuids.ts'

const MAX_LOGS = 1_000
const DEFAULT_LOGS = 100

const UsageLog = Type.Object({
  id: Type.String({ format: 'uuid' }),
  user_credits_id: Type.String({ format: 'uuid', description: 'The account.' }),
  credits_used: number('What it cost, less what was given back.', [15]),
  service_type: Type.String({ description: 'The operation.', examples: ['voice_cloning'] }),
  audio_duration: Type.Optional(number('Seconds; left out where time was not what was counted.', [180])),
  credit_source: Type.Unsafe<'subscription' | 'payg'>({
    type: 'string',
    enum: ['subscription', 'payg'],
    description: 'Where most of it came from.',
  }),
  created_at: Time,
  usage_metadata: Type.Record(Type.String(), Type.String()),
})

const Query = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_LOGS, description: `Rows, at most; default ${DEFAULT_LOGS}.` })),
  service_type: Type.Optional(Type.String({ maxLength: 100, description: 'Only this operation.' })),
  start_date: Type.Optional(Type.String({ maxLength: 40, description: 'Only from this day or time on.' })),
  end_date: Type.Optional(Type.String({ maxLength: 40, description: 'Only before this time, or up to the end of this day.' })),
})

/** Which charges to list. */
interface Wanted {
  readonly limit: number
  readonly operation?: string
  readonly fromMs?: number
  readonly toMs?: number
}

const DAY_MS = 86_400_000
const DATE = /^\d{4}-\d\d-\d\d$/
const WITHOUT_ZONE = /^\d{4}-\d\d-\d\d[T ][\d:.]+$/

/** Reads a day or a time, in UTC unless it says otherwise. Throws invalid_request. */
function timeIn(field: 'start_date' | 'end_date', text: string): number {
  const ms = Date.parse(WITHOUT_ZONE.test(text) ? `${text}Z` : text)
  if (Number.isNaN(ms)) throw badInput(`query/${field}`, 'must be a date such as 2024-01-15, or a time such as 2024-01-15T10:30:00Z')
  return field === 'end_date' && DATE.test(text) ? ms + DAY_MS : ms
}

function wantedOf({ limit = DEFAULT_LOGS, service_type: operation, start_date: start, end_date: end }: Static<typeof Query>): Wanted {
  return {
    limit,
    ...(operation === undefined ? {} : { operation }),
    ...(start === undefined ? {} : { fromMs: timeIn('start_date', start) }),
    ...(end === undefined ? {} : { toMs: timeIn('end_date', end) }),
  }
}

/** The newest charges that are wanted. Pages may be short of their limit, so they are read until there are enough. */
async function newestCharges(store: Store, account: number, wanted: Wanted): Promise<readonly ChargeRecord[]> {
  const found: ChargeRecord[] = []
  let before: number | null = Number.MAX_SAFE_INTEGER
  while (before !== null && found.length < wanted.limit) {
    const page: RecordPage = await store.records(account, { ...wanted, kinds: ['charge', 'capture', 'late_capture'], before })
    found.push(...page.records.filter(isCharge).filter(({ creditType }) => creditType === DEFAULT_CREDIT_TYPE))
    before = page.next
    await setImmediate()
  }
  return found.slice(0, wanted.limit)
}

function sourceOf(charge: ChargeRecord, topUps: ReadonlySet<number>): 'subscription' | 'payg' {
  const drawn = drawsOf(charge).map(({ grant, remaining }) => ({ isBought: topUps.has(grant), credits: -remaining }))
  const sum = (isBought: boolean): bigint =>
    drawn.filter((draw) => draw.isBought === isBought).reduce((total, { credits }) => total + credits, 0n)
  return sum(true) > sum(false) ? 'payg' : 'subscription'
}

/** Seconds of audio, as far as time was counted. */
function durationOf({ quantities }: ChargeRecord): { readonly audio_duration?: ReturnType<typeof decimalOut> } {
  const times = Object.entries(quantities).flatMap(([unit, quantity]) => {
    const seconds = secondsIn(unit)
    return seconds === undefined ? [] : [quantity * seconds]
  })
  return times.length === 0 ? {} : { audio_duration: decimalOut(times.reduce((total, each) => total + each, 0n) as Decimal) }
}

export function usageRoute(app: DialectApp, { services }: DialectContext): void {
  const { store } = services
  const history = new GrantHistory(store, DEFAULT_CREDIT_TYPE)

  app.get(
    '/api/v1/credits/usage',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getUsageHistory',
        tags: ['Credits'],
        summary: 'Get usage logs, newest first',
        querystring: Query,
        response: { 200: Type.Array(UsageLog) },
      },
    },
    async (request) => {
      const { state } = await accountOfCustomer(services, customerOf(request))
      const account = state.number
      const charges = await newestCharges(store, account, wantedOf(request.query))
      const { topUps } = await history.of(state)
      const refunded = await store.refunds(
        account,
        charges.map(({ seq }) => seq),
      )
      return charges.map((charge) => ({
        id: uuidOf({ account, seq: charge.seq }),
        user_credits_id: uuidOf({ account, seq: 0 }),
        credits_used: creditsOut(charge.credits - (refunded.get(charge.seq) ?? 0n)),
        service_type: charge.operation,
        ...durationOf(charge),
        credit_source: sourceOf(charge, topUps),
        created_at: timeOut(charge.atMs),
        usage_metadata: { ...charge.attributes, ...charge.metadata },
      }))
    },
  )
}
