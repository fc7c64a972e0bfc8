/** `/v1/plans`: what is offered for a period. */

import { Type } from 'typebox'
import { isRefusal } from '../../core/refusals.ts'
import { listPlans, readPlan, setPlan } from '../../operations/plans.ts'
import { refusalError } from '../error-handler.ts'
import { DEFAULT_PAGE, PAGE_QUERY } from '../pages.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { Plan, PlanIn, planIn, renderPlan } from './plan-bodies.ts'
import { idParam, listOf, PROBLEMS_ANSWER } from './schemas.ts'

const PlanId = Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,49}$', description: 'Id of the plan.' })

export function planRoutes(app: NativeApp, { services }: NativeContext): void {
  app.put(
    '/plans/:plan',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'setPlan',
        tags: ['plans'],
        summary: 'Set a plan',
        description:
          'A new version from now on, unless it says what the one in force says. Who subscribed to an earlier version keeps that one until their plan is changed.',
        params: Type.Object({ plan: PlanId }),
        body: PlanIn,
        response: { 200: Plan, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const plan = await setPlan(services, planIn(request.params.plan, request.body))
      if ('fault' in plan) throw badInput('#', plan.fault)
      return renderPlan(plan)
    },
  )

  app.get(
    '/plans',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'listPlans',
        tags: ['plans'],
        summary: 'List plans, by their ids',
        description: 'Archived ones are listed as well: look at `archived`.',
        querystring: Type.Object({ limit: PAGE_QUERY.limit, starting_after: Type.Optional(PlanId) }, { additionalProperties: false }),
        response: { 200: listOf(Plan), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { limit = DEFAULT_PAGE, starting_after: after = '' } = request.query
      const rows = await listPlans(services, { after, limit: limit + 1 })
      const data = rows.slice(0, limit).map(renderPlan)
      const has_more = rows.length > limit
      return { object: 'list' as const, url: '/v1/plans', has_more, next_cursor: has_more ? (data.at(-1)?.id ?? null) : null, data }
    },
  )

  app.get(
    '/plans/:plan',
    {
      config: { access: 'account' },
      schema: {
        operationId: 'getPlan',
        tags: ['plans'],
        summary: 'Get a plan, in the version in force or in another',
        params: idParam('plan', 'Id of the plan.'),
        querystring: Type.Object(
          { version: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })) },
          { additionalProperties: false },
        ),
        response: { 200: Plan, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const plan = await readPlan(services, request.params.plan, request.query.version ?? null)
      if (isRefusal(plan)) throw refusalError(plan)
      return renderPlan(plan)
    },
  )
}
