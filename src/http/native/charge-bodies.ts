/** Charges as they are answered. */

import { type Static, Type } from 'typebox'
import { availableOf } from '../../core/balance.ts'
import { formatCredits, type Microcredits, ZERO } from '../../core/credits.ts'
import { formatDecimals } from '../../core/decimal.ts'
import { accountId, objectId } from '../../core/ids.ts'
import { type ChargeRecord, type CreditsRecord, DEBT, drawsOf } from '../../core/record.ts'
import { Amount, Balance, decimalMap, nullable, StringMap, Time } from './schemas.ts'
import { timeOut } from './values.ts'

/** A part of a charge that one grant paid. */
const GrantDraw = Type.Object(
  { grant: nullable<string>('string', 'The grant; null: the account owes it.'), credits: Amount },
  { title: 'GrantDraw' },
)

/** A charge. */
export const Charge = Type.Object(
  {
    object: Type.Literal('charge'),
    id: Type.String(),
    account: Type.String(),
    operation: Type.String(),
    credits: Amount,
    credit_type: Type.String(),
    quantities: decimalMap(),
    attributes: StringMap,
    price_version: nullable<number>('integer', 'The price book version that priced it; null: the caller named the amount.'),
    key: nullable<string>('string', 'The API key that it counts against.'),
    hold: nullable<string>('string', 'The hold that it captured.'),
    status: Type.Union([Type.Literal('charged'), Type.Literal('partly_refunded'), Type.Literal('refunded')]),
    refunded: Amount,
    balance: Balance,
    grants: Type.Array(GrantDraw, { description: 'What paid for it, in draw order.' }),
    sequence: Type.Integer({ description: "Its place in the account's journal." }),
    metadata: StringMap,
    created_at: Time,
  },
  { description: 'A charge. `balance` is what the account had right after it.' },
)

export type ChargeBody = Static<typeof Charge>

/** Writes a charge. */
export function renderCharge(account: number, record: ChargeRecord, refunded: Microcredits = ZERO): ChargeBody {
  const { seq, operation, credits, creditType, quantities, attributes, priceVersion, key, metadata, atMs } = record
  return {
    object: 'charge',
    id: objectId('chg', account, seq),
    account: accountId(account),
    operation,
    credits: formatCredits(credits),
    credit_type: creditType,
    quantities: formatDecimals(quantities),
    attributes,
    price_version: priceVersion,
    key: key === null ? null : objectId('key', account, key),
    hold: record.kind === 'charge' ? null : objectId('hold', account, record.hold),
    status: refunded === 0n ? 'charged' : refunded < credits ? 'partly_refunded' : 'refunded',
    refunded: formatCredits(refunded),
    balance: renderBalance(record),
    grants: drawsOf(record).map(({ grant, remaining }) => ({
      grant: grant === DEBT ? null : objectId('grant', account, grant),
      credits: formatCredits(-remaining),
    })),
    sequence: seq,
    metadata,
    created_at: timeOut(atMs),
  }
}

/** Writes the balance that a record left. */
export function renderBalance({ creditType, balance }: CreditsRecord): Static<typeof Balance> {
  return {
    credit_type: creditType,
    settled: formatCredits(balance.settled),
    held: formatCredits(balance.held),
    available: formatCredits(availableOf(balance)),
  }
}
