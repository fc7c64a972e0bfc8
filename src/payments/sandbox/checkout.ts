/** A checkout of the sandbox, as its own row says it, and what may happen to one. */

/** A refund of the sandbox. */
export interface SandboxRefund {
  readonly id: string
  readonly request: string | null
  readonly amountMinor: number
  readonly status: 'standing' | 'failed'
}

/** A dispute of the sandbox. */
export interface SandboxDispute {
  readonly id: string
  readonly amountMinor: number
  readonly status: 'open' | 'won' | 'lost'
}

/** An event that Obol has not confirmed yet. */
export interface SandboxEvent {
  readonly id: string
  readonly type: string
  readonly attempts: number
  readonly dueMs: number
}

/** What customers may do on the page of a checkout. */
export type SandboxAction = 'pay' | keyof typeof TROUBLED | 'decline' | 'pay_later' | 'pay_later_in_vain'

/** Cards with which something is wrong from the next time on, by the action that pays with them. */
export const TROUBLED = {
  pay_once: 'sbx_card_declines',
  pay_stolen: 'sbx_card_stolen',
  pay_confirming: 'sbx_card_asks',
  pay_lost: 'sbx_card_loses_answers',
} as const satisfies Readonly<Record<string, SandboxMethod>>

/** A card of the sandbox, by what payments without the customer come to. */
export type SandboxMethod = 'sbx_card_works' | 'sbx_card_declines' | 'sbx_card_stolen' | 'sbx_card_asks' | 'sbx_card_loses_answers'

/** A checkout of the sandbox. */
export interface SandboxCheckout {
  readonly checkout: string
  readonly amountMinor: number
  readonly currency: string
  readonly title: string
  readonly expiresAtMs: number
  readonly returnUrl: string
  readonly cancelUrl: string
  /** Whether what is paid with is kept for later. */
  readonly keepsMethod?: boolean
  /** What was paid with, and what later payments by it come to; none: nothing was kept. */
  readonly method?: SandboxMethod | null
  /** Why a payment without the customer failed. */
  readonly decline?: { readonly code: string; readonly mayRetry: boolean } | null
  readonly status: 'open' | 'pending' | 'paid' | 'expired' | 'failed'
  /** When money that is on its way arrives, and whether it does; null: none is. */
  readonly arrival: { readonly atMs: number; readonly isInVain: boolean } | null
  readonly refunds: readonly SandboxRefund[]
  readonly disputes: readonly SandboxDispute[]
  readonly events: readonly SandboxEvent[]
}

/** How long money takes that is on its way. */
export const ARRIVAL_MS = 20_000

/** A change of a checkout, and the event that tells of it; null: nothing has changed. */
export interface SandboxChange {
  readonly after: Omit<SandboxCheckout, 'events'>
  readonly event: string
}

/** What time has done. */
export function passTime(before: SandboxCheckout, nowMs: number): SandboxChange | null {
  if (before.status === 'open' && nowMs >= before.expiresAtMs) return { after: { ...before, status: 'expired' }, event: 'checkout.expired' }
  if (before.status !== 'pending' || before.arrival === null || nowMs < before.arrival.atMs) return null
  const { isInVain } = before.arrival
  return {
    after: { ...before, status: isInVain ? 'failed' : 'paid', arrival: null },
    event: isInVain ? 'checkout.payment_failed' : 'checkout.paid',
  }
}

/** What a customer does on the page. A declined card leaves the checkout open: another may be tried. */
export function act(before: SandboxCheckout, action: SandboxAction, nowMs: number): SandboxChange | null {
  if (before.status !== 'open' || action === 'decline') return null
  if (isTroubled(action) && !before.keepsMethod) return null
  if (action === 'pay' || isTroubled(action))
    return { after: { ...before, status: 'paid', ...keptOf(before, action) }, event: 'checkout.paid' }
  const arrival = { atMs: nowMs + ARRIVAL_MS, isInVain: action === 'pay_later_in_vain' }
  return { after: { ...before, status: 'pending', arrival }, event: 'checkout.completed' }
}

function isTroubled(action: SandboxAction): action is keyof typeof TROUBLED {
  return Object.hasOwn(TROUBLED, action)
}

function keptOf({ keepsMethod = false }: SandboxCheckout, action: 'pay' | keyof typeof TROUBLED): Pick<SandboxCheckout, 'method'> {
  return keepsMethod ? { method: action === 'pay' ? 'sbx_card_works' : TROUBLED[action] } : {}
}

/** Ends a checkout that is not paid. */
export function expire(before: SandboxCheckout): SandboxChange | null {
  return before.status === 'open' ? { after: { ...before, status: 'expired' }, event: 'checkout.expired' } : null
}

/** What can still be refunded or disputed. */
export function refundableMinor({ status, amountMinor, refunds, disputes }: SandboxCheckout): number {
  if (status !== 'paid') return 0
  const refunded = refunds.reduce((sum, refund) => (refund.status === 'standing' ? sum + refund.amountMinor : sum), 0)
  return disputes.reduce((left, dispute) => (dispute.status === 'won' ? left : left - dispute.amountMinor), amountMinor - refunded)
}

/** Adds a refund. */
export function addRefund(before: SandboxCheckout, refund: SandboxRefund): SandboxChange {
  return { after: { ...before, refunds: [...before.refunds, refund] }, event: 'refund.created' }
}

/** Lets the last refund that stands fail. */
export function failRefund(before: SandboxCheckout): SandboxChange | null {
  const last = before.refunds.findLast(({ status }) => status === 'standing')
  if (!last) return null
  const refunds = before.refunds.map((refund) => (refund === last ? { ...refund, status: 'failed' as const } : refund))
  return { after: { ...before, refunds }, event: 'refund.failed' }
}

/** Opens a dispute of all that has not gone back. */
export function openDispute(before: SandboxCheckout, id: string): SandboxChange | null {
  const amountMinor = refundableMinor(before)
  if (amountMinor <= 0) return null
  return { after: { ...before, disputes: [...before.disputes, { id, amountMinor, status: 'open' }] }, event: 'dispute.created' }
}

/** Ends the open dispute. */
export function closeDispute(before: SandboxCheckout, status: 'won' | 'lost'): SandboxChange | null {
  if (!before.disputes.some((dispute) => dispute.status === 'open')) return null
  const disputes = before.disputes.map((dispute) => (dispute.status === 'open' ? { ...dispute, status } : dispute))
  return { after: { ...before, disputes }, event: 'dispute.closed' }
}

/** When there is something to do or to tell next; null: nothing. */
export function dueMs({ status, expiresAtMs, arrival, events }: SandboxCheckout): number | null {
  const times = events.map((event) => event.dueMs)
  if (status === 'open') times.push(expiresAtMs)
  if (arrival !== null) times.push(arrival.atMs)
  return times.length === 0 ? null : Math.min(...times)
}
