/** Holds for work whose cost is known only at the end: open, change, capture, release. */

import { faultOf } from '../auth/key-ring.ts'
import type { CapturePolicy } from '../core/account.ts'
import type { Command } from '../core/command.ts'
import type { Microcredits } from '../core/credits.ts'
import type { CaptureCommand } from '../core/decisions/capture.ts'
import type { Address } from '../core/ids.ts'
import type { HoldOpened } from '../core/record.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Applied } from '../stores/store.ts'
import { namedQuantities, priceRequest, type WorkRequest } from './charge.ts'
import { refuseFault } from './find-account.ts'
import { priceUsage, type StatedUsage } from './price-work.ts'
import { runCommand, runOnObject } from './run-command.ts'
import type { Caller, Services } from './services.ts'

export interface HoldRequest extends WorkRequest {
  readonly ttlMs: number
  readonly policy: CapturePolicy | null
}

/** Sets credits aside: check and hold are one step. */
export async function openHold(services: Services, caller: Caller, request: HoldRequest): Promise<Applied | Refusal> {
  const { target, ttlMs, policy } = request
  const work = await priceRequest(services, request)
  const command = isRefusal(work) ? work : ({ kind: 'hold', ...work, ttlMs, policy } as const)
  return runCommand(services, caller, { account: target.account, command })
}

export interface CaptureHoldRequest extends Omit<StatedUsage, 'operation' | 'attributes'> {
  /** Null: what the usage costs, or all that is held when none is stated. */
  readonly amount: Microcredits | null
  /** Null: those of the hold. */
  readonly attributes: Readonly<Record<string, string>> | null
  readonly final: boolean
  readonly policy: CapturePolicy | null
  readonly metadata: Readonly<Record<string, string>> | null
}

/** Charges what the work really cost, at the prices that the hold was made under. */
export async function captureHold(
  services: Services,
  caller: Caller,
  { hold, request }: { readonly hold: Address; readonly request: CaptureHoldRequest },
): Promise<Applied | Refusal> {
  const opened = await openedHold(services, hold)
  if (isRefusal(opened)) return opened
  return runCommand(services, caller, { account: hold.account, command: await captureOf(services, opened, request) })
}

async function captureOf(services: Services, opened: HoldOpened, request: CaptureHoldRequest): Promise<Command | Refusal> {
  const priced = await priceCapture(services, opened, request)
  if (isRefusal(priced)) return priced
  const { seq: hold, creditType } = opened
  const { final, policy } = request
  return { kind: 'capture', hold, creditType, ...priced, final, policy, serverPolicy: services.policy.capturePolicy }
}

async function openedHold({ store }: Services, { account, seq }: Address): Promise<HoldOpened | Refusal> {
  const record = await store.record(account, seq)
  return record?.kind === 'hold' ? record : refuse('hold_not_found', 'No hold has this id.')
}

async function priceCapture(
  { prices, clock }: Services,
  opened: HoldOpened,
  request: CaptureHoldRequest,
): Promise<Pick<CaptureCommand, 'work' | 'credits' | 'priced'> | Refusal> {
  const { operation, key, creditType } = opened
  const { amount, quantity, quantities } = request
  const work = { operation, key, attributes: request.attributes ?? opened.attributes, metadata: request.metadata ?? opened.metadata }
  if (quantity === null && quantities === null) {
    const inherited = { ...work, quantities: opened.quantities, priceVersion: opened.priceVersion }
    return { work: inherited, credits: amount, priced: { credits: opened.credits, isInherited: true } }
  }
  const book = opened.priceVersion === null ? prices.at(clock()) : await prices.published(opened.priceVersion)
  const usage = { operation, quantity, quantities, attributes: work.attributes }
  if (amount !== null)
    return { work: { ...work, quantities: namedQuantities(book, usage), priceVersion: null }, credits: amount, priced: null }
  const priced = priceUsage(book, usage)
  if (isRefusal(priced)) return priced
  const offer = priced.offers.find((candidate) => candidate.creditType === creditType)
  if (!offer)
    return refuse('price_not_configured', `${operation} is not priced in ${creditType}, which the hold has set aside: state an amount.`, {
      operation,
      price_version: book?.version ?? null,
    })
  const { credits } = offer
  const counted = { ...work, quantities: priced.quantities, priceVersion: book?.version ?? null }
  return { work: counted, credits, priced: { credits, isInherited: false } }
}

/** Gives back all that a hold has set aside. */
export function releaseHold(services: Services, caller: Caller, { account, seq }: Address): Promise<Applied | Refusal> {
  return runOnObject(services, caller, { object: 'hold', account, command: { kind: 'release', hold: seq } })
}

/** Gives a hold more time, counted from now. */
export function extendHold(
  services: Services,
  caller: Caller,
  { hold, ttlMs }: { readonly hold: Address; readonly ttlMs: number },
): Promise<Applied | Refusal> {
  return runOnObject(services, caller, { object: 'hold', account: hold.account, command: { kind: 'extend', hold: hold.seq, ttlMs } })
}

/** Sets more credits aside for a hold, unless the key that it was opened for may not be used any more. */
export async function increaseHold(
  services: Services,
  caller: Caller,
  { hold, credits }: { readonly hold: Address; readonly credits: Microcredits },
): Promise<Applied | Refusal> {
  const command = (await faultOfHold(services, hold)) ?? ({ kind: 'increase', hold: hold.seq, credits } as const)
  return runOnObject(services, caller, { object: 'hold', account: hold.account, command })
}

async function faultOfHold({ store, clock }: Services, { account, seq }: Address): Promise<Refusal | null> {
  const opened = await store.record(account, seq)
  const key = opened?.kind === 'hold' && opened.key !== null ? await store.key(account, opened.key) : undefined
  const fault = key && faultOf(key, clock())
  return fault ? refuseFault(fault) : null
}
