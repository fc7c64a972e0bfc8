/** `/v1/accounts`: who holds credits. For the operator. */

import { type Static, Type } from 'typebox'
import type { AccountStatus, CapturePolicy } from '../../core/account.ts'
import { accountId, parseAccountId } from '../../core/ids.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { findAccount } from '../../operations/find-account.ts'
import { createAccount, updateAccount } from '../../operations/manage-account.ts'
import type { AccountRow, SeqPage } from '../../stores/store.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { DEFAULT_PAGE, listBody, PAGE_QUERY, type PageQuery } from '../pages.ts'
import { ProblemError } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { idParam, listOf, Metadata, nullable, PROBLEMS_ANSWER, StringMap, Time } from './schemas.ts'
import { timeOut } from './values.ts'
import { callerOf } from './work.ts'

const Name = Type.String({ minLength: 1, maxLength: 200 })
const ExternalId = Type.String({ minLength: 1, maxLength: 200, description: "The operator's own id for the account. Unique." })
const CapturePolicyIn = Type.Unsafe<CapturePolicy | null>({
  type: ['string', 'null'],
  enum: ['reject', 'cap', 'overdraft', null],
  description: "What captures above a hold do, unless request or hold say; null: the server's policy.",
})

const Account = Type.Object(
  {
    object: Type.Literal('account'),
    id: Type.String(),
    name: Type.String(),
    external_id: nullable<string>('string'),
    status: Type.Unsafe<AccountStatus>({ type: 'string', enum: ['active', 'suspended'] }),
    capture_policy: nullable<string>('string'),
    metadata: StringMap,
    created_at: Time,
  },
  { description: 'An account.' },
)

function renderAccount({ number, name, externalId, status, capturePolicy, metadata, createdAtMs }: AccountRow): Static<typeof Account> {
  return {
    object: 'account',
    id: accountId(number),
    name,
    external_id: externalId,
    status,
    capture_policy: capturePolicy,
    metadata,
    created_at: timeOut(createdAtMs),
  }
}

const params = idParam('account', 'The account: its id, or `external:` and its external id.')

export function accountRoutes(app: NativeApp, context: NativeContext): void {
  writeRoutes(app, context)
  readRoutes(app, context)
}

function writeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/accounts',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createAccount',
        tags: ['accounts'],
        summary: 'Open an account',
        body: Type.Object(
          {
            name: Name,
            external_id: Type.Optional(ExternalId),
            capture_policy: Type.Optional(CapturePolicyIn),
            metadata: Type.Optional(Metadata),
            test_clock: Type.Optional(
              Type.String({ maxLength: 50, description: 'Id of the test clock that the account lives by, for ever. For tests alone.' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: Account, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { name, external_id: externalId = null, capture_policy: capturePolicy = null, metadata = {} } = request.body
      const profile = { name, externalId, capturePolicy, metadata, testClock: request.body.test_clock ?? null }
      const made = await createAccount(services, callerOf(request, idempotencyOf(request)), profile)
      if (isRefusal(made)) throw refusalError(made)
      if (made.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderAccount(made.account)
    },
  )

  app.patch(
    '/accounts/:account',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'updateAccount',
        tags: ['accounts'],
        summary: 'Change, suspend or reactivate an account',
        description:
          'A suspended account can be read, credited and refunded, and its holds can be captured; it takes no new charges or holds.',
        params,
        body: Type.Object(
          {
            name: Type.Optional(Name),
            external_id: Type.Optional(Type.Unsafe<string | null>({ ...ExternalId, type: ['string', 'null'] })),
            status: Type.Optional(Type.Unsafe<AccountStatus>({ type: 'string', enum: ['active', 'suspended'] })),
            capture_policy: Type.Optional(CapturePolicyIn),
            metadata: Type.Optional(Metadata),
          },
          { additionalProperties: false, minProperties: 1 },
        ),
        response: { 200: Account, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { name, external_id: externalId, status, capture_policy: capturePolicy, metadata } = request.body
      const account = await findAccount(services, request.params.account)
      if (typeof account !== 'number') throw refusalError(account)
      const changes = {
        ...(name === undefined ? {} : { name }),
        ...(externalId === undefined ? {} : { externalId }),
        ...(status === undefined ? {} : { status }),
        ...(capturePolicy === undefined ? {} : { capturePolicy }),
        ...(metadata === undefined ? {} : { metadata }),
      }
      const changed = await updateAccount(services, callerOf(request, null), { account, changes })
      if (isRefusal(changed)) throw refusalError(changed)
      return renderAccount(changed)
    },
  )
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/accounts',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listAccounts',
        tags: ['accounts'],
        summary: 'List accounts, newest first',
        querystring: Type.Object(PAGE_QUERY, { additionalProperties: false }),
        response: { 200: listOf(Account), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const page = await accountPage(services, request.query)
      return listBody('/v1/accounts', page, await services.store.accounts(page), renderAccount)
    },
  )

  app.get(
    '/accounts/:account',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getAccount',
        tags: ['accounts'],
        summary: 'Get an account',
        params,
        response: { 200: Account, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const number = await findAccount(services, request.params.account)
      const account = typeof number === 'number' ? await services.store.account(number) : undefined
      if (!account)
        throw refusalError(
          typeof number === 'number' ? refuse('account_not_found', `No account is named ${request.params.account}.`) : number,
        )
      return renderAccount(account)
    },
  )
}

async function accountPage(
  { store }: NativeContext['services'],
  { limit = DEFAULT_PAGE, starting_after, ending_before }: PageQuery,
): Promise<SeqPage> {
  if (starting_after !== undefined && ending_before !== undefined)
    throw new ProblemError('invalid_cursor', 'Give starting_after or ending_before, not both.')
  const cursor = async (field: string, id: string): Promise<number> => {
    const number = parseAccountId(id)
    if (number === undefined || (await store.account(number)) === undefined)
      throw new ProblemError('invalid_cursor', `${field} is not the id of an account.`)
    return number
  }
  if (starting_after !== undefined) return { limit: limit + 1, before: await cursor('starting_after', starting_after) }
  if (ending_before !== undefined) return { limit: limit + 1, after: await cursor('ending_before', ending_before) }
  return { limit: limit + 1 }
}
