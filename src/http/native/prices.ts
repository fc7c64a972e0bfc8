/** `/v1/prices`, `/v1/price-book` and `/v1/estimates`: what things cost. */

import { type Static, Type } from 'typebox'
import { formatCredits } from '../../core/credits.ts'
import { accountId } from '../../core/ids.ts'
import type { PriceRow } from '../../core/price-parsing.ts'
import { isRefusal } from '../../core/refusals.ts'
import { type PriceTrial, publishPrices, type TrialSum, tryPrices } from '../../operations/publish-prices.ts'
import type { PriceBookRow } from '../../stores/store.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { DEFAULT_PAGE, PAGE_QUERY } from '../pages.ts'
import { badInput, ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { BookBody } from './price-schema.ts'
import { Amount, decimalOut, nullable, PROBLEMS_ANSWER, Time, TimeIn } from './schemas.ts'
import { timeIn, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const BOOK_BODY_BYTES = 1_048_576

const Book = Type.Object({
  object: Type.Literal('price_book'),
  version: Type.Integer(),
  effective_at: Time,
  published_at: Time,
  prices: Type.Array(Type.Unsafe<PriceRow>({ type: 'object', additionalProperties: true })),
})

function renderBook({ version, effectiveAtMs, publishedAtMs, prices }: PriceBookRow): Static<typeof Book> {
  return { object: 'price_book', version, effective_at: timeOut(effectiveAtMs), published_at: timeOut(publishedAtMs), prices: [...prices] }
}

export function priceRoutes(app: NativeApp, context: NativeContext): void {
  readRoutes(app, context)
  publishRoute(app, context)
  trialRoute(app, context)
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  const { prices } = services

  app.get(
    '/prices',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getPrices',
        tags: ['prices'],
        summary: 'Get the prices in force',
        response: { 200: Book, ...PROBLEMS_ANSWER },
      },
    },
    async () => {
      const book = prices.at(services.clock())
      const row = book && prices.row(book.version)
      if (!row) throw new ProblemError('not_found', 'No price book has been published yet.')
      return renderBook(row)
    },
  )

  app.get(
    '/price-book',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listPriceBooks',
        tags: ['prices'],
        summary: 'List the versions of the price book, newest first',
        querystring: Type.Object(
          {
            limit: PAGE_QUERY.limit,
            starting_after: Type.Optional(Type.Integer({ minimum: 1, description: 'Version of the last one of the page before.' })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            url: Type.String(),
            has_more: Type.Boolean(),
            next_cursor: nullable<number>('integer', 'Goes on from here: `starting_after`.'),
            data: Type.Array(Type.Omit(Book, ['prices'], { title: 'PriceBookSummary' })),
          }),
          ...PROBLEMS_ANSWER,
        },
      },
    },
    async (request) => {
      const { limit = DEFAULT_PAGE, starting_after: before = Number.MAX_SAFE_INTEGER } = request.query
      const rows = prices.rows.filter(({ version }) => version < before)
      const data = rows.slice(0, limit).map(renderBook)
      const hasMore = rows.length > limit
      return {
        object: 'list' as const,
        url: '/v1/price-book',
        has_more: hasMore,
        next_cursor: hasMore ? (data.at(-1)?.version ?? null) : null,
        data,
      }
    },
  )

  app.get(
    '/price-book/:version',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getPriceBook',
        tags: ['prices'],
        summary: 'Get a version of the price book',
        params: Type.Object({ version: Type.Integer({ minimum: 1, description: 'Number of the version.' }) }),
        response: { 200: Book, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const row = prices.row(request.params.version)
      if (!row) throw new ProblemError('not_found', `There is no version ${request.params.version} of the price book.`)
      return renderBook(row)
    },
  )
}

function publishRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/price-book',
    {
      bodyLimit: BOOK_BODY_BYTES,
      config: { access: 'operator' },
      schema: {
        operationId: 'publishPriceBook',
        tags: ['prices'],
        summary: 'Publish a price book',
        description:
          'Checked whole, then in force for all operations from `effective_at` (default now): an operation that it leaves out has no price then. Versions are never edited; a charge names the one that priced it.',
        body: BookBody,
        response: { 201: Book, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { prices, effective_at } = request.body
      const effectiveAtMs = effective_at === undefined ? null : timeIn(effective_at, '#/effective_at')
      const published = await publishPrices(services, callerOf(request, idempotencyOf(request)), { prices, effectiveAtMs })
      if ('faults' in published)
        throw new ProblemError('invalid_request', `The price book has ${published.faults.length} faults.`, { errors: published.faults })
      if (isRefusal(published)) throw refusalError(published)
      if (published.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderBook(published.book)
    },
  )
}

const Sum = Type.Object({
  charges: Type.Integer(),
  charged: Amount,
  repriced: Amount,
  change: decimalOut('repriced − charged.'),
})
const TrialBody = Type.Object({
  object: Type.Literal('price_trial'),
  start: Time,
  end: Time,
  total: Sum,
  operations: Type.Record(Type.String(), Sum),
  accounts: Type.Array(Type.Object({ account: Type.String(), ...Sum.properties }), { description: 'Those that change most.' }),
  unpriced: Type.Record(Type.String(), Type.Integer(), {
    description: 'Charges that the draft cannot price, by the problem that they would have met.',
  }),
  named: Type.Integer({ description: 'Charges whose amount the caller named: prices do not touch them.' }),
  is_truncated: Type.Boolean({ description: 'The period has more records than a trial reads.' }),
})

function sumBody({ charges, charged, repriced }: TrialSum): Static<typeof Sum> {
  return { charges, charged: formatCredits(charged), repriced: formatCredits(repriced), change: formatCredits(repriced - charged) }
}

function trialBody(trial: PriceTrial, { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): Static<typeof TrialBody> {
  return {
    object: 'price_trial',
    start: timeOut(fromMs),
    end: timeOut(toMs),
    total: sumBody(trial.total),
    operations: Object.fromEntries([...trial.operations].map(([operation, sum]) => [operation, sumBody(sum)])),
    accounts: trial.accounts.map(({ account, ...sum }) => ({ account: accountId(account), ...sumBody(sum) })),
    unpriced: Object.fromEntries(trial.unpriced),
    named: trial.named,
    is_truncated: trial.isTruncated,
  }
}

function trialRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/price-book/trial',
    {
      bodyLimit: BOOK_BODY_BYTES,
      config: { access: 'operator' },
      schema: {
        operationId: 'tryPriceBook',
        tags: ['prices'],
        summary: 'Price a past period again under a draft',
        description:
          'Shows what the charges from `start` up to, not including, `end` would have cost, in sum and for each operation, and which accounts change most. Changes nothing.',
        body: Type.Object({ prices: BookBody.properties.prices, start: TimeIn, end: TimeIn }, { additionalProperties: false }),
        response: { 200: TrialBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { prices, start, end } = request.body
      const period = { fromMs: timeIn(start, '#/start'), toMs: timeIn(end, '#/end') }
      if (period.fromMs >= period.toMs) throw badInput('#/end', 'must be later than start')
      const trial = await tryPrices(services, prices, period)
      if ('faults' in trial)
        throw new ProblemError('invalid_request', `The price book has ${trial.faults.length} faults.`, { errors: trial.faults })
      return trialBody(trial, period)
    },
  )
}
