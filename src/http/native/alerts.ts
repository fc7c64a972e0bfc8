/** `/v1/alerts`: what an account's people want to be told of before it matters. */

import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { parseEmail } from '../../auth/emails.ts'
import {
  type AlertLevel,
  type AlertTerms,
  type AlertThreshold,
  type AlertWatch,
  MAX_ALERT_ADDRESSES,
  MAX_ALERTS,
} from '../../core/alert.ts'
import { isTimeZone } from '../../core/calendar.ts'
import { type Address, parseObjectId } from '../../core/ids.ts'
import { DEFAULT_CREDIT_TYPE } from '../../core/price-parsing.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import { createAlert, deleteAlert, readAlertAt, updateAlert, viewAlerts } from '../../operations/alerts.ts'
import { accountNow } from '../../operations/read-credits.ts'
import { accountOf, mayRead, requireScope } from '../access.ts'
import { refusalError } from '../error-handler.ts'
import { idempotencyOf } from '../idempotency.ts'
import { badInput } from '../problems.ts'
import { AlertBody, Level, renderAlert, Watch } from './alert-bodies.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { AccountIn, AmountIn, CreditType, idParam, PROBLEMS_ANSWER } from './schemas.ts'
import { nonNegativeIn, positiveIn } from './values.ts'
import { callerOf } from './work.ts'

const NOT_FOUND = refuse('alert_not_found', 'No alert has this id.')

const CHANGEABLE = {
  name: Type.Optional(Type.String({ maxLength: 200 })),
  level: Type.Optional(Level),
  threshold: Type.Optional(AmountIn),
  threshold_percent: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: 'Instead of `threshold`: percent of what plans give in the current period, or of the budget of the key.',
    }),
  ),
  email_owners: Type.Optional(Type.Boolean({ description: 'Whether the owners of the account are written to. Default: yes.' })),
  email_to: Type.Optional(
    Type.Array(Type.String({ maxLength: 254 }), { maxItems: MAX_ALERT_ADDRESSES, description: 'Addresses that are written to besides.' }),
  ),
} as const
const Changes = Type.Object(CHANGEABLE, { additionalProperties: false, minProperties: 1 })
const NewAlert = Type.Object(
  {
    account: Type.Optional(AccountIn),
    watch: Watch,
    credit_type: Type.Optional(Type.String({ ...CreditType, description: 'Default `credits`. Not of a `key_budget`.' })),
    key: Type.Optional(Type.String({ maxLength: 100, description: 'Id of the key whose budget is watched.' })),
    time_zone: Type.Optional(
      Type.String({ maxLength: 60, description: 'Of a `daily_spend`: IANA name of the zone whose days count. Default UTC.' }),
    ),
    ...CHANGEABLE,
  },
  { additionalProperties: false },
)

/** The terms that a body states; what it leaves out is left out. A balance may be watched down to nothing. */
function termsIn({ name, level, email_owners: emailOwners, email_to, ...body }: Static<typeof Changes>, mayBeZero: boolean) {
  const threshold = thresholdIn(body, mayBeZero)
  return {
    ...(name === undefined ? {} : { name }),
    ...(level === undefined ? {} : { level: level satisfies AlertLevel }),
    ...(threshold === undefined ? {} : { threshold }),
    ...(emailOwners === undefined ? {} : { emailOwners }),
    ...(email_to === undefined ? {} : { emailTo: addressesIn(email_to) }),
  } satisfies Partial<AlertTerms>
}

function thresholdIn(
  { threshold, threshold_percent: percent }: Pick<Static<typeof Changes>, 'threshold' | 'threshold_percent'>,
  mayBeZero: boolean,
): AlertThreshold | undefined {
  if (threshold !== undefined && percent !== undefined)
    throw badInput('#/threshold', 'and threshold_percent say the same: state one of them')
  if (percent !== undefined) return { in: 'percent', percent }
  if (threshold === undefined) return undefined
  return { in: 'credits', credits: (mayBeZero ? nonNegativeIn : positiveIn)(threshold, '#/threshold') }
}

/** Each once: two that are the same would be written to twice. */
function addressesIn(texts: readonly string[]): readonly string[] {
  const found = new Map<string, string>()
  for (const [index, text] of texts.entries()) {
    const email = parseEmail(text)
    if (!email) throw badInput(`#/email_to/${index}`, 'must be an e-mail address')
    if (!found.has(email.key)) found.set(email.key, email.text)
  }
  return [...found.values()]
}

function watchIn({ watch, credit_type, key, time_zone }: Static<typeof NewAlert>, account: number): AlertWatch {
  if (watch !== 'daily_spend' && time_zone !== undefined) throw badInput('#/time_zone', 'is only of what is spent in a day')
  if (watch === 'key_budget') {
    if (credit_type !== undefined) throw badInput('#/credit_type', "is not of a key's budget, which is one of all credit types")
    if (key === undefined) throw badInput('#/key', 'is required')
    const address = parseObjectId('key', key)
    if (address?.account !== account) throw refusalError(refuse('key_not_found', 'No API key has this id.'))
    return { of: watch, key: address.seq }
  }
  if (key !== undefined) throw badInput('#/key', 'is only of a `key_budget`')
  const creditType = credit_type ?? DEFAULT_CREDIT_TYPE
  if (watch === 'balance') return { of: watch, creditType }
  const timeZone = time_zone ?? 'UTC'
  if (!isTimeZone(timeZone)) throw badInput('#/time_zone', 'must be the IANA name of a time zone, such as Europe/Berlin')
  return { of: watch, creditType, timeZone }
}

/** The address of an alert that the caller may know of; another's is not found. */
function alertIn(request: FastifyRequest, id: string): Address {
  const address = parseObjectId('alert', id)
  if (!address || !mayRead(request, address.account)) throw refusalError(NOT_FOUND)
  return address
}

export function alertRoutes(app: NativeApp, context: NativeContext): void {
  createRoute(app, context)
  changeRoutes(app, context)
  readRoutes(app, context)
}

function createRoute(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/alerts',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'createAlert',
        tags: ['alerts'],
        summary: 'Set an alert',
        description: `By the operator for any account; for their own, by a key with the scope \`alerts:write\` or a user who is an owner. It fires once when what it watches reaches the threshold, at once if that is so already, and is armed again when that is clear of it. An account has ${MAX_ALERTS} at most.`,
        body: NewAlert,
        response: { 201: AlertBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      requireScope(request, 'alerts:write')
      const { body } = request
      if (request.identity?.kind === 'operator' && body.account === undefined) throw badInput('#/account', 'is required')
      const account = await accountOf(services, request, body.account)
      const watch = watchIn(body, account)
      const { threshold, ...stated } = termsIn(body, watch.of === 'balance')
      if (threshold === undefined) throw badInput('#/threshold', 'or threshold_percent is required')
      const terms = { name: '', level: 'warning' as const, emailOwners: true, emailTo: [], ...stated, threshold }
      const made = await createAlert(services, callerOf(request, idempotencyOf(request)), { account, watch, terms })
      if (isRefusal(made)) throw refusalError(made)
      if (made.isReplay) reply.header('idempotent-replayed', 'true')
      reply.code(201)
      return renderAlert(made.view)
    },
  )
}

function changeRoutes(app: NativeApp, { services }: NativeContext): void {
  const params = idParam('alert', 'Id of the alert.')
  const schema = { tags: ['alerts'], params, response: { 200: AlertBody, ...PROBLEMS_ANSWER } }

  app.patch(
    '/alerts/:alert',
    {
      config: { access: 'account' },
      schema: {
        ...schema,
        operationId: 'updateAlert',
        summary: 'Change an alert',
        description: 'What is left out stays as it is. What an alert watches never changes: set another one.',
        body: Changes,
      },
    },
    async (request) => {
      requireScope(request, 'alerts:write')
      const address = alertIn(request, request.params.alert)
      const known = await readAlertAt(services, address)
      if (isRefusal(known)) throw refusalError(known)
      const changes = termsIn(request.body, known.alert.watch.of === 'balance')
      const view = await updateAlert(services, callerOf(request, null), { address, changes })
      if (isRefusal(view)) throw refusalError(view)
      return renderAlert(view)
    },
  )

  app.delete(
    '/alerts/:alert',
    {
      config: { access: 'account' },
      schema: { ...schema, operationId: 'deleteAlert', summary: 'Delete an alert', description: 'The answer shows it as it was.' },
    },
    async (request) => {
      requireScope(request, 'alerts:write')
      const view = await deleteAlert(services, callerOf(request, null), alertIn(request, request.params.alert))
      if (isRefusal(view)) throw refusalError(view)
      return renderAlert(view)
    },
  )
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/alerts',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listAlerts',
        tags: ['alerts'],
        summary: "List an account's alerts, oldest first",
        querystring: Type.Object({ account: Type.Optional(AccountIn) }, { additionalProperties: false }),
        response: { 200: Type.Object({ object: Type.Literal('alerts'), data: Type.Array(AlertBody) }), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const now = await accountNow(services, await accountOf(services, request, request.query.account))
      if (isRefusal(now)) throw refusalError(now)
      return { object: 'alerts' as const, data: viewAlerts(now).map(renderAlert) }
    },
  )

  app.get(
    '/alerts/:alert',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getAlert',
        tags: ['alerts'],
        summary: 'Get an alert',
        params: idParam('alert', 'Id of the alert.'),
        response: { 200: AlertBody, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const view = await readAlertAt(services, alertIn(request, request.params.alert))
      if (isRefusal(view)) throw refusalError(view)
      return renderAlert(view)
    },
  )
}
