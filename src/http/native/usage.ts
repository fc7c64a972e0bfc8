/** `/v1/usage`: what was used, over time. */

import { type Static, Type } from 'typebox'
import { isTimeZone } from '../../core/calendar.ts'
import { formatCredits } from '../../core/credits.ts'
import { formatDecimals } from '../../core/decimal.ts'
import { accountId, objectId, parseObjectId } from '../../core/ids.ts'
import { timeFor } from '../../operations/read-credits.ts'
import {
  type Bucket,
  bucketsOf,
  type GroupBy,
  MAX_BUCKETS,
  readUsage,
  type UsageBucket,
  type UsageGroup,
} from '../../operations/read-usage.ts'
import { accountOf } from '../access.ts'
import { sendCsv, wantsCsv } from '../csv.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import {
  AccountIn,
  Amount,
  CreditType,
  decimalMap,
  decimalOut,
  KeyIn,
  nullable,
  Operation,
  PROBLEMS_ANSWER,
  Time,
  TimeIn,
} from './schemas.ts'
import { timeIn, timeOut } from './values.ts'

const DAY_MS = 86_400_000
const GROUPS = ['operation', 'key', 'credit_type'] as const satisfies readonly GroupBy[]

const Group = Type.Object({
  operation: nullable<string>('string'),
  key: nullable<string>('string'),
  credit_type: nullable<string>('string'),
  charges: Type.Integer(),
  charged: Amount,
  refunds: Type.Integer(),
  refunded: Amount,
  net: decimalOut('charged − refunded; below zero when more was refunded in this bucket than charged.'),
  quantities: decimalMap(),
})

const Usage = Type.Object({
  object: Type.Literal('usage'),
  account: Type.String(),
  bucket: Type.String(),
  time_zone: Type.String(),
  group_by: Type.Array(Type.String()),
  complete_through: Type.String({
    format: 'date-time',
    description: 'Everything up to here is in it: usage is counted in the step that charges.',
  }),
  data: Type.Array(Type.Object({ start: Time, end: Time, results: Type.Array(Group) })),
})

function groupBody(account: number, group: UsageGroup): Static<typeof Group> {
  const { operation, key, creditType, charges, charged, refunds, refunded, quantities } = group
  return {
    operation,
    key: key === null ? null : objectId('key', account, key),
    credit_type: creditType,
    charges,
    charged: formatCredits(charged),
    refunds,
    refunded: formatCredits(refunded),
    net: formatCredits(charged - refunded),
    quantities: formatDecimals(quantities),
  }
}

const Query = Type.Object(
  {
    account: Type.Optional(AccountIn),
    start: Type.Optional(TimeIn),
    end: Type.Optional(TimeIn),
    bucket: Type.Optional(Type.Unsafe<Bucket>({ type: 'string', enum: ['hour', 'day', 'month'], description: 'Default `day`.' })),
    time_zone: Type.Optional(
      Type.String({ maxLength: 60, description: 'IANA name of the zone whose days and months count. Default UTC.' }),
    ),
    group_by: Type.Optional(
      Type.Array(Type.Unsafe<GroupBy>({ type: 'string', enum: [...GROUPS] }), {
        maxItems: 3,
        uniqueItems: true,
        description: 'Repeat it for more than one.',
      }),
    ),
    operation: Type.Optional(Operation),
    key: Type.Optional(KeyIn),
    credit_type: Type.Optional(CreditType),
    format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('csv')])),
  },
  { additionalProperties: false },
)

export function usageRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/usage',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getUsage',
        tags: ['usage'],
        summary: 'Add usage up over time',
        description: `From \`start\` (default 30 days ago) up to, not including, \`end\` (default now), in buckets of an hour, day or month: at most ${MAX_BUCKETS.hour}, ${MAX_BUCKETS.day} and ${MAX_BUCKETS.month} of them. Exact to this moment.`,
        querystring: Query,
        response: { 200: Usage, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { query } = request
      const account = await accountOf(services, request, query.account)
      const nowMs = await timeFor(services, account)
      const asked = {
        ...rangeIn(query, nowMs),
        account,
        nowMs,
        groupBy: query.group_by ?? [],
        operation: query.operation ?? null,
        key: keyIn(query.key, account),
        creditType: query.credit_type ?? null,
      }
      const buckets = bucketsOf(asked)
      if (!buckets)
        throw badInput('query/end', `is too far from start: at most ${MAX_BUCKETS[asked.bucket]} buckets of one ${asked.bucket}`)
      const data = await readUsage(services.store, asked, buckets)
      if (wantsCsv(request, query.format)) return sendCsv(reply, CSV_HEADER, csvRows(account, data))
      return {
        object: 'usage' as const,
        account: accountId(account),
        bucket: asked.bucket,
        time_zone: asked.timeZone,
        group_by: asked.groupBy,
        complete_through: timeOut(nowMs),
        data: data.map(({ startMs, endMs, groups }) => ({
          start: timeOut(startMs),
          end: timeOut(endMs),
          results: groups.map((group) => groupBody(account, group)),
        })),
      }
    },
  )
}

function rangeIn(
  { start, end, bucket = 'day', time_zone: timeZone = 'UTC' }: Static<typeof Query>,
  nowMs: number,
): { fromMs: number; toMs: number; bucket: Bucket; timeZone: string } {
  if (!isTimeZone(timeZone)) throw badInput('query/time_zone', 'must be the IANA name of a time zone, such as Europe/Berlin')
  const toMs = end === undefined ? nowMs + 1 : timeIn(end, 'query/end')
  const fromMs = start === undefined ? toMs - 30 * DAY_MS : timeIn(start, 'query/start')
  if (fromMs >= toMs) throw badInput('query/end', 'must be later than start')
  return { fromMs, toMs, bucket, timeZone }
}

function keyIn(id: string | undefined, account: number): number | null {
  if (id === undefined) return null
  const address = parseObjectId('key', id)
  if (address?.account !== account) throw badInput('query/key', 'is not the id of a key of this account')
  return address.seq
}

const CSV_HEADER = [
  'start',
  'end',
  'operation',
  'key',
  'credit_type',
  'charges',
  'charged',
  'refunds',
  'refunded',
  'net',
  'quantities',
] as const

function csvRows(account: number, data: readonly UsageBucket[]): (string | number | null)[][] {
  return data.flatMap(({ startMs, endMs, groups }) =>
    groups.map((group) => {
      const body = groupBody(account, group)
      return [
        timeOut(startMs),
        timeOut(endMs),
        body.operation,
        body.key,
        body.credit_type,
        body.charges,
        body.charged,
        body.refunds,
        body.refunded,
        body.net,
        JSON.stringify(body.quantities),
      ]
    }),
  )
}
