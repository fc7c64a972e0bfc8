/** The server that is measured: Obol, with two routes more. One does nothing; one charges as it is written by hand. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { startObol } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import type { Microcredits } from '../src/core/credits.ts'
import { accountId } from '../src/core/ids.ts'
import { createKey } from '../src/operations/manage-keys.ts'
import { HandWritten } from './hand-written.ts'

export const OPERATOR_KEY = 'the-operator-key-of-the-benches'

export interface ServerPlan {
  readonly accounts: number
}

export interface ServerReady {
  readonly port: number
  /** A file with the ids of the accounts, one per line. */
  readonly accountsFile: string
  /** A customer's key. */
  readonly key: string
}

const BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    account: { type: 'string' },
    operation: { type: 'string' },
    quantities: { type: 'object', additionalProperties: { type: 'number' } },
  },
} as const
const ANSWER = { type: 'object', properties: { id: { type: 'string' }, balance: { type: 'string' } } } as const

function extraRoutes(http: FastifyInstance, ledger: HandWritten, indexOf: ReadonlyMap<string, number>): void {
  http.post('/noop', { config: { access: 'public' }, schema: { body: BODY, response: { 201: ANSWER } } }, (_request, reply) => {
    reply.code(201).send({ id: 'chg_0123456789abcdef', balance: '1000' })
  })
  http.get('/noop', { config: { access: 'public' }, schema: { response: { 200: ANSWER } } }, (_request, reply) => {
    reply.send({ id: 'chg_0123456789abcdef', balance: '1000' })
  })
  http.post<{ Body: { account: string } }>(
    '/hand-written',
    { config: { access: 'public' }, schema: { body: BODY, response: { 201: ANSWER } } },
    (request, reply) => {
      ledger.begin()
      const balance = ledger.charge(indexOf.get(request.body.account) ?? 0, String(request.headers['idempotency-key']))
      ledger.commit()
      reply.code(201).send({ id: 'chg_0123456789abcdef', balance: balance.toString() })
    },
  )
}

const FUNDS = 100_000_000_000n as Microcredits

async function serve({ accounts }: ServerPlan): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-bench-'))
  const ledger = new HandWritten(join(folder, 'hand-written.db'))
  ledger.fill(accounts)
  const indexOf = new Map<string, number>()
  const { config } = readConfig({
    OBOL_PORT: '0',
    OBOL_DATABASE_URL: `sqlite:${join(folder, 'obol.db')}`,
    OBOL_OPERATOR_KEY: OPERATOR_KEY,
    OBOL_LOG_LEVEL: 'error',
  })
  const obol = await startObol(config, { extend: (http) => extraRoutes(http, ledger, indexOf) })
  const { store, prices } = obol.services
  const rows = [
    { operation: 'llm.chat', rate: '150', per: { quantity: 1_000_000, unit: 'input_tokens' } },
    { operation: 'llm.chat', rate: '600', per: { quantity: 1_000_000, unit: 'output_tokens' } },
  ]
  await store.publishPrices({ prices: rows, effectiveAtMs: null, idempotency: null })
  await prices.load()
  const caller = { idempotency: null, actor: 'operator', requestId: null } as const
  const open = async (index: number): Promise<void> => {
    const account = 1_000_003 + index * 1_097_511
    indexOf.set(accountId(account), index)
    await store.transact({
      ...caller,
      account,
      command: { kind: 'create_account', name: 'bench', externalId: null, metadata: {}, capturePolicy: null },
    })
    for (const priority of [20, 30, 40]) {
      const grant = {
        amount: FUNDS,
        source: 'plan',
        priority,
        effectiveAtMs: null,
        expiresAtMs: null,
        paid: false,
        cost: null,
        metadata: {},
      } as const
      await store.transact({ ...caller, account, command: { kind: 'grant', creditType: 'credits', grant } })
    }
  }
  for (let from = 0; from < accounts; from += 500)
    await Promise.all(Array.from({ length: Math.min(500, accounts - from) }, (_, index) => open(from + index)))
  const accountsFile = join(folder, 'accounts.txt')
  writeFileSync(accountsFile, [...indexOf.keys()].join('\n'))
  const terms = {
    name: 'bench',
    budget: null,
    rateLimit: { requests: 1_000_000, windowSeconds: 1 },
    expiresAtMs: null,
    operations: null,
    scopes: [],
    metadata: {},
  }
  const made = await createKey(obol.services, caller, { account: 1_000_003, terms })
  if ('refused' in made || made.secret === null) throw new Error('the key was not made')
  const ready: ServerReady = { port: Number(new URL(obol.address).port), accountsFile, key: made.secret }
  process.once('message', () => {
    obol.close().then(
      () => {
        ledger.close()
        rmSync(folder, { recursive: true })
        process.disconnect()
      },
      (fault: unknown) => {
        throw fault
      },
    )
  })
  process.send?.(ready)
}

if (process.send) {
  process.once('message', (plan: ServerPlan) => {
    serve(plan).catch((fault: unknown) => {
      throw fault
    })
  })
}
