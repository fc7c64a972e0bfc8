/** The server that is measured: Obol, with routes more. One does nothing; the others charge as it is written by hand. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { startObol } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { accountId, parseAccountId } from '../src/core/ids.ts'
import { createKey } from '../src/operations/manage-keys.ts'
import { numberOf, openAccounts } from './accounts.ts'
import { HandWritten } from './hand-written.ts'
import { type ComparedLedger, fillHandWritten, handWritten, ledgerFunction } from './hand-written-postgres.ts'
import { beginProfile, type Spent } from './profiler.ts'

export const OPERATOR_KEY = 'the-operator-key-of-the-benches'

export interface ServerPlan {
  readonly accounts: number
  /** The PostgreSQL schema to run on; null: a SQLite file of its own. */
  readonly postgres: string | null
  /** Another server has opened the accounts of the schema. */
  readonly isSecond?: boolean
}

/** What a server is told once it is ready; it answers all but the last. */
export type ServerMessage = 'begin profile' | 'end profile' | 'stop'

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

function extraRoutes(http: FastifyInstance, ledgers: Readonly<Record<string, ComparedLedger>>): void {
  http.post('/noop', { config: { access: 'public' }, schema: { body: BODY, response: { 201: ANSWER } } }, (_request, reply) => {
    reply.code(201).send({ id: 'chg_0123456789abcdef', balance: '1000' })
  })
  http.get('/noop', { config: { access: 'public' }, schema: { response: { 200: ANSWER } } }, (_request, reply) => {
    reply.send({ id: 'chg_0123456789abcdef', balance: '1000' })
  })
  for (const [name, ledger] of Object.entries(ledgers))
    http.post<{ Body: { account: string } }>(
      `/${name}`,
      { config: { access: 'public' }, schema: { body: BODY, response: { 201: ANSWER } } },
      async (request, reply) => {
        const account = parseAccountId(request.body.account) ?? 0
        const balance = await ledger.charge(account, String(request.headers['idempotency-key']))
        return reply.code(201).send({ id: 'chg_0123456789abcdef', balance: balance.toString() })
      },
    )
}

function comparedLedgers({ accounts, postgres }: ServerPlan, folder: string): Readonly<Record<string, ComparedLedger>> {
  if (postgres === null) {
    const ledger = new HandWritten(join(folder, 'hand-written.db'))
    ledger.fill(accounts)
    const charge: ComparedLedger['charge'] = async (account, key) => {
      ledger.begin()
      const balance = ledger.charge(account, key)
      ledger.commit()
      return balance
    }
    return { 'hand-written': { charge, close: async () => ledger.close() } }
  }
  return { 'hand-written': handWritten(postgres), 'ledger-function': ledgerFunction(postgres) }
}

const CALLER = { idempotency: null, actor: 'operator', requestId: null } as const
const PRICES = [
  { operation: 'llm.chat', rate: '150', per: { quantity: 1_000_000, unit: 'input_tokens' } },
  { operation: 'llm.chat', rate: '600', per: { quantity: 1_000_000, unit: 'output_tokens' } },
]
const KEY_TERMS = {
  name: 'bench',
  budget: null,
  rateLimit: { requests: 1_000_000, windowSeconds: 1 },
  expiresAtMs: null,
  operations: null,
  scopes: [],
  metadata: {},
}

async function serve(plan: ServerPlan): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-bench-'))
  const ledgers = comparedLedgers(plan, folder)
  const { config } = readConfig({
    OBOL_PORT: '0',
    OBOL_DATABASE_URL: plan.postgres ?? `sqlite:${join(folder, 'obol.db')}`,
    OBOL_OPERATOR_KEY: OPERATOR_KEY,
    OBOL_LOG_LEVEL: 'error',
  })
  const obol = await startObol(config, { extend: (http) => extraRoutes(http, ledgers) })
  const { store, prices } = obol.services
  if (!plan.isSecond) {
    await store.publishPrices({ prices: PRICES, effectiveAtMs: null, idempotency: null })
    await prices.load()
    await openAccounts(store, plan.accounts)
    if (plan.postgres !== null) await fillHandWritten(plan.postgres, plan.accounts)
  }
  const accountsFile = join(folder, 'accounts.txt')
  writeFileSync(accountsFile, Array.from({ length: plan.accounts }, (_, index) => accountId(numberOf(index))).join('\n'))
  const made = await createKey(obol.services, CALLER, { account: numberOf(0), terms: KEY_TERMS })
  if ('refused' in made || made.secret === null) throw new Error('the key was not made')
  const stop = async (): Promise<void> => {
    await obol.close()
    for (const ledger of Object.values(ledgers)) await ledger.close()
    rmSync(folder, { recursive: true })
    process.disconnect()
  }
  let endProfile: (() => Promise<Spent>) | null = null
  const obey = async (message: ServerMessage): Promise<void> => {
    if (message === 'stop') return stop()
    if (message === 'begin profile') endProfile = await beginProfile()
    process.send?.(message === 'end profile' ? await endProfile?.() : 'begun')
  }
  process.on('message', (message: ServerMessage) => {
    obey(message).catch((fault: unknown) => {
      throw fault
    })
  })
  const ready: ServerReady = { port: Number(new URL(obol.address).port), accountsFile, key: made.secret }
  process.send?.(ready)
}

if (process.send) {
  process.once('message', (plan: ServerPlan) => {
    serve(plan).catch((fault: unknown) => {
      throw fault
    })
  })
}
