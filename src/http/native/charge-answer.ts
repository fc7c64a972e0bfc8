/** The answer to a charge or capture: written straight as text, because of all answers it is the one that is sent most. */

import type { FastifyReply } from 'fastify'
import { availableOf } from '../../core/balance.ts'
import { formatCredits } from '../../core/credits.ts'
import { formatDecimal } from '../../core/decimal.ts'
import { accountId, objectId } from '../../core/ids.ts'
import { type ChargeRecord, DEBT, drawsOf, isCharge } from '../../core/record.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { Applied } from '../../stores/store.ts'
import { setCreditHeaders } from '../credit-headers.ts'
import { refusalError } from '../error-handler.ts'
import { sendJson } from '../written-json.ts'
import { timeOut } from './values.ts'

/** Answers with the charge that a command made. Throws the problem when it was refused. */
export function sendCharge(reply: FastifyReply, outcome: Applied | Refusal): FastifyReply {
  if (isRefusal(outcome)) throw refusalError(outcome)
  const record = chargeOf(outcome)
  setCreditHeaders(reply.code(201), outcome, record)
  return sendJson(reply, writeCharge(outcome.account, record))
}

/** The record of the charge that a command made. */
export function chargeOf({ records: [record] }: Applied): ChargeRecord {
  if (record && isCharge(record)) return record
  throw new Error('the command made no charge')
}

/**
 * The JSON of a charge that was just made: what `renderCharge` says of one that nothing was refunded of. Ids, amounts, and the names
 * of operations and credit types hold nothing that JSON escapes.
 */
export function writeCharge(account: number, record: ChargeRecord): string {
  const { seq, operation, credits, creditType, quantities, attributes, priceVersion, key, metadata, balance, atMs } = record
  const hold = record.kind === 'charge' ? null : record.hold
  return (
    `{"object":"charge","id":"${objectId('chg', account, seq)}","account":"${accountId(account)}","operation":"${operation}"` +
    `,"credits":"${formatCredits(credits)}","credit_type":"${creditType}","quantities":${writeQuantities(quantities)}` +
    `,"attributes":${JSON.stringify(attributes)},"price_version":${priceVersion}` +
    `,"key":${key === null ? null : `"${objectId('key', account, key)}"`},"hold":${hold === null ? null : `"${objectId('hold', account, hold)}"`}` +
    `,"status":"charged","refunded":"0","balance":{"credit_type":"${creditType}","settled":"${formatCredits(balance.settled)}"` +
    `,"held":"${formatCredits(balance.held)}","available":"${formatCredits(availableOf(balance))}"}` +
    `,"grants":[${writeDraws(account, record)}],"sequence":${seq},"metadata":${JSON.stringify(metadata)},"created_at":"${timeOut(atMs)}"}`
  )
}

function writeQuantities(quantities: ChargeRecord['quantities']): string {
  let text = ''
  for (const unit in quantities) text += `${text === '' ? '' : ','}${JSON.stringify(unit)}:"${formatDecimal(quantities[unit] ?? 0n)}"`
  return `{${text}}`
}

function writeDraws(account: number, record: ChargeRecord): string {
  let text = ''
  for (const { grant, remaining } of drawsOf(record)) {
    const id = grant === DEBT ? null : `"${objectId('grant', account, grant)}"`
    text += `${text === '' ? '' : ','}{"grant":${id},"credits":"${formatCredits(-remaining)}"}`
  }
  return text
}
