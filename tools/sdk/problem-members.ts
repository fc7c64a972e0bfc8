/** The members that problems have besides those of all: which, and what they are. A test makes each problem and compares. */

import type { Value } from './values.ts'

/** What a member is. */
export type MemberKind = 'decimal' | 'text' | 'integer' | 'time'

/** A member of a problem. */
export interface Member {
  readonly name: string
  readonly value: Value
}

const SHORT = {
  credit_type: 'text',
  required: 'decimal',
  available: 'decimal',
  settled: 'decimal',
  held: 'decimal',
  shortfall: 'decimal',
} as const

/** `?` at the end: it may be null. */
const MEMBERS: Readonly<Record<string, Readonly<Record<string, MemberKind | `${MemberKind}?`>>>> = {
  insufficient_credits: { ...SHORT, top_up_url: 'text?' },
  credits_in_flight: SHORT,
  key_budget_exceeded: {
    required: 'decimal',
    remaining: 'decimal',
    limit: 'decimal',
    spent: 'decimal',
    held: 'decimal',
    period: 'text',
    resets_at: 'time?',
  },
  key_charge_limit_exceeded: { required: 'decimal', limit: 'decimal' },
  operation_not_allowed: { operation: 'text' },
  price_not_configured: { operation: 'text', price_version: 'integer?' },
  quantity_required: { units: 'text' },
  unknown_unit: { unit: 'text', units: 'text' },
  grant_closed: { grant_status: 'text' },
  capture_exceeds_hold: { required: 'decimal', held: 'decimal', excess: 'decimal' },
  refund_exceeds_charge: { requested: 'decimal', refundable: 'decimal' },
  scope_required: { scope: 'text' },
  topup_amount_out_of_range: { min_minor: 'integer', max_minor: 'integer', currency: 'text' },
  topup_refund_exceeds_payment: { requested_minor: 'integer', refundable_minor: 'integer', currency: 'text' },
}

/** The members of a problem. */
export function membersOf(code: string): readonly Member[] {
  return Object.entries(MEMBERS[code] ?? {}).map(([name, kind]) => {
    const isNullable = kind.endsWith('?')
    return { name, value: { kind: kind.replace('?', '') as MemberKind, isNullable } }
  })
}

/** The codes that have members of their own. */
export const CODES_WITH_MEMBERS: readonly string[] = Object.keys(MEMBERS)
