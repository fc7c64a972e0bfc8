/** `/v1/test-clocks`: time that tests move. */

import { randomBytes } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { isRefusal } from '../../core/refusals.ts'
import { advanceTestClock, listTestClocks, MAX_STEP_MS, makeTestClock, readTestClock } from '../../operations/test-clocks.ts'
import type { TestClockRow } from '../../stores/test-clocks.ts'
import { refusalError } from '../error-handler.ts'
import { DEFAULT_PAGE, PAGE_QUERY } from '../pages.ts'
import { badInput } from '../problems.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { idParam, listOf, optionalBody, PROBLEMS_ANSWER, Time, TimeIn } from './schemas.ts'
import { timeIn, timeOut } from './values.ts'
import { callerOf } from './work.ts'

const TestClock = Type.Object(
  {
    object: Type.Literal('test_clock'),
    id: Type.String(),
    name: Type.String(),
    now: Time,
    status: Type.Unsafe<'ready' | 'advancing'>({
      type: 'string',
      enum: ['ready', 'advancing'],
      description: '`advancing`: not every account that lives by it has got so far.',
    }),
    created_at: Time,
  },
  { description: 'A clock that tests move: accounts that were opened with it live by it.' },
)

function renderClock({ id, name, nowMs, reachedMs, createdAtMs }: TestClockRow): Static<typeof TestClock> {
  return {
    object: 'test_clock',
    id,
    name,
    now: timeOut(nowMs),
    status: reachedMs < nowMs ? 'advancing' : 'ready',
    created_at: timeOut(createdAtMs),
  }
}

/** Where clocks may stand. */
const EARLIEST_MS = Date.UTC(2000, 0, 1)
const LATEST_MS = Date.UTC(2200, 0, 1)

function clockTimeIn(text: string, pointer: string): number {
  const ms = timeIn(text, pointer)
  if (ms < EARLIEST_MS || ms > LATEST_MS) throw badInput(pointer, 'must be a time from the year 2000 to 2200')
  return ms
}

const params = idParam('test_clock', 'Id of the test clock.')

export function testClockRoutes(app: NativeApp, context: NativeContext): void {
  writeRoutes(app, context)
  readRoutes(app, context)
}

function writeRoutes(app: NativeApp, { services }: NativeContext): void {
  app.post(
    '/test-clocks',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createTestClock',
        tags: ['test-clocks'],
        summary: 'Make a test clock',
        description:
          'Open accounts with it (`test_clock` of `POST /v1/accounts`): all that time does to them follows it, and nothing else.',
        body: optionalBody({
          name: Type.Optional(Type.String({ maxLength: 100 })),
          now: Type.Optional(Type.String({ ...TimeIn, description: 'Where it begins; default: now.' })),
        }),
        response: { 201: TestClock, ...PROBLEMS_ANSWER },
      },
    },
    async (request, reply) => {
      const { name = '', now } = request.body ?? {}
      const nowMs = now === undefined ? null : clockTimeIn(now, '#/now')
      const made = await makeTestClock(services, { id: `clk_${randomBytes(12).toString('base64url')}`, name, nowMs })
      if (isRefusal(made)) throw refusalError(made)
      reply.code(201)
      return renderClock(made)
    },
  )

  app.post(
    '/test-clocks/:test_clock/advance',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'advanceTestClock',
        tags: ['test-clocks'],
        summary: 'Move a test clock, and every account that lives by it',
        description: `Holds, expiries, budgets, renewals and payments follow. At most two years at once; a time that it has passed changes nothing.`,
        params,
        body: Type.Object({ to: TimeIn }, { additionalProperties: false }),
        response: { 200: TestClock, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { test_clock: id } = request.params
      const toMs = clockTimeIn(request.body.to, '#/to')
      const before = await readTestClock(services, id)
      if (isRefusal(before)) throw refusalError(before)
      if (toMs - before.nowMs > MAX_STEP_MS) throw badInput('#/to', 'is more than two years away: go there in steps')
      const moved = await advanceTestClock(services, callerOf(request, null), id, toMs)
      if (isRefusal(moved)) throw refusalError(moved)
      return renderClock(moved)
    },
  )
}

function readRoutes(app: NativeApp, { services }: NativeContext): void {
  app.get(
    '/test-clocks',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listTestClocks',
        tags: ['test-clocks'],
        summary: 'List test clocks, by their ids',
        querystring: Type.Object(
          { limit: PAGE_QUERY.limit, starting_after: Type.Optional(Type.String({ maxLength: 50 })) },
          { additionalProperties: false },
        ),
        response: { 200: listOf(TestClock), ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const { limit = DEFAULT_PAGE, starting_after: after = '' } = request.query
      const rows = await listTestClocks(services, { after, limit: limit + 1 })
      if (isRefusal(rows)) throw refusalError(rows)
      const data = rows.slice(0, limit).map(renderClock)
      const has_more = rows.length > limit
      return { object: 'list' as const, url: '/v1/test-clocks', has_more, next_cursor: has_more ? (data.at(-1)?.id ?? null) : null, data }
    },
  )

  app.get(
    '/test-clocks/:test_clock',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getTestClock',
        tags: ['test-clocks'],
        summary: 'Get a test clock',
        params,
        response: { 200: TestClock, ...PROBLEMS_ANSWER },
      },
    },
    async (request) => {
      const clock = await readTestClock(services, request.params.test_clock)
      if (isRefusal(clock)) throw refusalError(clock)
      return renderClock(clock)
    },
  )
}
