/** `/v1/charges`: credits taken for operations. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type Address, objectId, parseObjectId } from '../../core/ids.ts'
import { type ChargeRecord, isCharge } from '../../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import { charge, chargeEach, chargeTogether, type WorkRequest } from '../../operations/charge.ts'
import { explainCharge } from '../../operations/explain-charge.ts'
import type { Caller } from '../../operations/services.ts'
import type { Applied, RecordQuery } from '../../stores/store.ts'
import { accountOf, mayRead } from '../access.ts'
import { exportLimit, MAX_EXPORTED, sendExport, wantsCsv } from '../csv.ts'
import { type ProblemMembers, problemBody, refusalError } from '../error-handler.ts'
import { requiredIdempotency } from '../idempotency.ts'
import { PAGE_QUERY, recordList, seqPage } from '../pages.ts'
import { badInput, PROBLEMS, ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { chargeOf, sendCharge } from './charge-answer.ts'
import { Charge, type ChargeBody, renderCharge } from './charge-bodies.ts'
import { ExplanationBody, renderExplanation, renderLines } from './explanation-bodies.ts'
import { AccountIn, idParam, KeyIn, listOf, Operation, PROBLEMS_ANSWER, ProblemBody, TimeIn } from './schemas.ts'
import { timeIn } from './values.ts'
import { callerOf, WORK_FIELDS, workIn } from './work.ts'

/** Most charges of one batch. */
export const MAX_BATCH_CHARGES = 1_000
const BATCH_BODY_BYTES = 1_048_576

const WorkBody = Type.Object(WORK_FIELDS, { additionalProperties: false })
const BatchBody = Type.Object(
  {
    charges: Type.Array(WorkBody, { minItems: 1, maxItems: MAX_BATCH_CHARGES }),
    atomic: Type.Optional(
      Type.Boolean({ description: 'All or none: the charges must be of one account. Default false: each succeeds or fails by itself.' }),
    ),
  },
  { additionalProperties: false },
)
const BatchItem = Type.Object({
  charge: Type.Optional(Charge),
  error: Type.Optional(ProblemBody),
  status: Type.Integer({ description: 'The status that the charge alone would have had.' }),
  replayed: Type.Boolean({ description: 'An earlier request with this key had made it.' }),
})
const Batch = Type.Object({
  object: Type.Literal('charge_batch'),
  succeeded: Type.Integer(),
  failed: Type.Integer(),
  data: Type.Array(BatchItem),
})
const DetailedCharge = Type.Object({ ...Charge.properties, lines: ExplanationBody.properties.lines }, { title: 'DetailedCharge' })

const CHARGE_KINDS = ['charge', 'capture', 'late_capture'] as const

export function chargeRoutes(app: NativeApp, context: NativeContext): void {
  const { services } = context

  app.post(
    '/charges',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createCharge',
        tags: ['charges'],
        summary: 'Charge an account, or a key and its account',
        description:
          'Prices the work and takes the credits in one step, durable before the answer. Needs an `Idempotency-Key`. Short of credits: 402, and nothing is written.',
        body: WorkBody,
        response: { 201: Charge, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request, requiredIdempotency(request))
      const work = await workIn(context, request.body)
      return sendCharge(reply, await charge(services, caller, work))
    },
  )

  app.post(
    '/charges/batch',
    {
      bodyLimit: BATCH_BODY_BYTES,
      config: { access: 'operator' },
      schema: {
        operationId: 'createCharges',
        tags: ['charges'],
        summary: 'Charge many at once',
        description:
          'Each charge succeeds or fails by itself, unless `atomic`. The one `Idempotency-Key` names them all by their place: sending the batch again charges only what had failed.',
        body: BatchBody,
        response: { 200: Batch, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const chargeAll = request.body.atomic ? chargeAtomically : chargeItems
      const items = await chargeAll(context, request, callerOf(request, requiredIdempotency(request)))
      if (items.every((item) => 'charge' in item && item.replayed)) reply.header('idempotent-replayed', 'true')
      const succeeded = items.filter((item) => 'charge' in item).length
      return { object: 'charge_batch', succeeded, failed: items.length - succeeded, data: items } as const
    },
  )

  readRoutes(app, context)
}

type BatchRequest = FastifyRequest & { readonly body: Static<typeof BatchBody> }
type BatchItemBody = { charge: ChargeBody; status: 201; replayed: boolean } | { error: ProblemMembers; status: number; replayed: false }

/** Charges in the order of the batch; each item keeps its own name, so that it can be sent again with the others. */
async function chargeItems(context: NativeContext, request: BatchRequest, caller: Caller): Promise<readonly BatchItemBody[]> {
  const prepared: (WorkRequest | ProblemError)[] = []
  for (const [place, item] of request.body.charges.entries()) prepared.push(await workIn(context, item, pointerOf(place)).catch(asProblem))
  const works = prepared.flatMap((work, place) => (work instanceof ProblemError ? [] : [{ place, work }]))
  const outcomes = await chargeEach(context.services, caller, works)
  const byPlace = new Map(works.map(({ place }, index) => [place, outcomes[index]]))
  return prepared.map((work, place) => itemBody(work instanceof ProblemError ? work : byPlace.get(place), request, context))
}

function pointerOf(place: number): string {
  return `#/charges/${place}`
}

function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  throw error
}

/** Says of a problem which charge of the batch it is about. */
function failAt(index: number): (error: unknown) => never {
  return (error) => {
    const { code, message, members } = asProblem(error)
    throw new ProblemError(code, message, { ...members, index })
  }
}

function itemBody(
  outcome: ProblemError | Applied | Refusal | undefined,
  request: BatchRequest,
  { problems }: NativeContext,
): BatchItemBody {
  if (!outcome) throw new Error('a charge of the batch has no outcome')
  if ('records' in outcome) return { charge: renderCharge(outcome.account, chargeOf(outcome)), status: 201, replayed: outcome.isReplay }
  const problem = outcome instanceof ProblemError ? outcome : refusalError(outcome)
  return { error: problemBody(problem, request, problems), status: PROBLEMS[problem.code].status, replayed: false }
}

async function chargeAtomically(context: NativeContext, { body }: BatchRequest, caller: Caller): Promise<readonly BatchItemBody[]> {
  const requests: WorkRequest[] = []
  for (const [place, item] of body.charges.entries()) requests.push(await workIn(context, item, pointerOf(place)).catch(failAt(place)))
  const other = requests.findIndex(({ target }) => target.account !== requests[0]?.target.account)
  if (other >= 0) throw badInput(`${pointerOf(other)}/account`, 'must be the same for all charges of an atomic batch')
  const outcome = await chargeTogether(context.services, caller, requests)
  if (isRefusal(outcome)) throw refusalError(outcome)
  const replayed = outcome.isReplay
  return outcome.records.filter(isCharge).map((record) => ({ charge: renderCharge(outcome.account, record), status: 201, replayed }))
}

const ListQuery = Type.Object(
  {
    account: Type.Optional(AccountIn),
    operation: Type.Optional(Operation),
    key: Type.Optional(KeyIn),
    start: Type.Optional(TimeIn),
    end: Type.Optional(TimeIn),
    format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('csv')])),
    ...PAGE_QUERY,
  },
  { additionalProperties: false },
)

function readRoutes(app: NativeApp, context: NativeContext): void {
  listRoute(app, context)
  getRoutes(app, context)
}

function listRoute(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/charges',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listCharges',
        tags: ['charges'],
        summary: 'List charges, newest first',
        description: `From \`start\` up to, not including, \`end\`. A page may be short of its limit and still have more: follow \`has_more\`. As CSV (\`format=csv\` or \`Accept: text/csv\`): up to ${MAX_EXPORTED} rows, with a Link to the rest.`,
        querystring: ListQuery,
        response: { 200: listOf(Charge), ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { query } = request
      const account = await accountOf(services, request, query.account)
      const page = seqPage(query, { account, prefixes: ['chg'] })
      const wanted = wantsCsv(request, query.format)
      const limit = wanted ? exportLimit(query) : page.limit
      const { records, next } = await services.store.records(account, { ...page, ...filterIn(query, account), limit })
      const charges = records.filter(isCharge)
      const refunded = await services.store.refunds(
        account,
        charges.map(({ seq }) => seq),
      )
      const render = (record: ChargeRecord): ChargeBody => renderCharge(account, record, refunded.get(record.seq))
      const cursor = next === null ? null : objectId('chg', account, next)
      if (!wanted) return recordList('/v1/charges', page, { items: charges.map(render), next: cursor })
      return sendExport(request, reply, {
        header: CSV_HEADER,
        items: charges.map((record) => [csvRow(render(record))]),
        page,
        next: cursor,
      })
    },
  )
}

function filterIn({ start, end, operation, key }: Static<typeof ListQuery>, account: number): Omit<RecordQuery, 'limit'> {
  return {
    kinds: CHARGE_KINDS,
    ...(start === undefined ? {} : { fromMs: timeIn(start, 'query/start') }),
    ...(end === undefined ? {} : { toMs: timeIn(end, 'query/end') }),
    ...(operation === undefined ? {} : { operation }),
    ...(key === undefined ? {} : { key: keySeq(key, account) }),
  }
}

function getRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/charges/:charge',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getCharge',
        tags: ['charges'],
        summary: 'Get a charge, with the lines of its price',
        params: idParam('charge', 'Id of the charge.'),
        response: { 200: DetailedCharge, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const address = readable(request, request.params.charge)
      const explanation = await explainCharge(services, address)
      if (isRefusal(explanation)) throw refusalError(explanation)
      return { ...renderCharge(address.account, explanation.record, explanation.refunded), lines: renderLines(explanation) }
    },
  )

  app.get(
    '/charges/:charge/explain',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'explainCharge',
        tags: ['charges'],
        summary: 'Explain a charge: price, grants, order',
        params: idParam('charge', 'Id of the charge.'),
        response: { 200: ExplanationBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const body = await renderExplanation(services, readable(request, request.params.charge))
      if ('refused' in body) throw refusalError(body)
      return body
    },
  )
}

/** The address of a charge that the caller may know of; another's is not found. */
function readable(request: Parameters<typeof mayRead>[0], id: string): Address {
  const address = parseObjectId('chg', id)
  if (!address || !mayRead(request, address.account)) throw refusalError(refuse('charge_not_found', 'No charge has this id.'))
  return address
}

function keySeq(id: string, account: number): number {
  const address = parseObjectId('key', id)
  if (address?.account !== account) throw badInput('query/key', 'is not the id of a key of this account')
  return address.seq
}

const CSV_HEADER = [
  'id',
  'created_at',
  'operation',
  'credits',
  'credit_type',
  'refunded',
  'status',
  'key',
  'hold',
  'price_version',
  'quantities',
  'attributes',
  'metadata',
  'balance_available',
  'sequence',
] as const

function csvRow(row: ChargeBody): (string | number | null)[] {
  return [
    row.id,
    row.created_at,
    row.operation,
    row.credits,
    row.credit_type,
    row.refunded,
    row.status,
    row.key,
    row.hold,
    row.price_version,
    JSON.stringify(row.quantities),
    JSON.stringify(row.attributes),
    JSON.stringify(row.metadata),
    row.balance.available,
    row.sequence,
  ]
}
