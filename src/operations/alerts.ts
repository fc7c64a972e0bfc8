/** Alerts: set, changed, deleted, and read as they are now. They are a part of their account's state. */

import type { Alert, AlertTerms } from '../core/alert.ts'
import { hasFired, readAlert } from '../core/alert-rules.ts'
import type { AlertCommand } from '../core/command.ts'
import type { CreateAlertCommand } from '../core/decisions/alert.ts'
import type { Address } from '../core/ids.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import { type AccountAt, accountNow } from './read-credits.ts'
import { runCommand } from './run-command.ts'
import type { Caller, Services } from './services.ts'

/** An alert at a moment. */
export interface AlertView {
  readonly account: number
  readonly alert: Alert
  readonly isFired: boolean
  /** What it watches, and what its threshold comes to; null: there is nothing to compare. */
  readonly reading: { readonly credits: bigint; readonly threshold: bigint } | null
}

/** What a command made of an alert. */
export interface AlertChanged {
  readonly view: AlertView
  readonly isReplay: boolean
}

const NOT_FOUND = refuse('alert_not_found', 'No alert has this id.')

function viewOf({ state, asOfMs }: AccountAt, alert: Alert): AlertView {
  return { account: state.number, alert, isFired: hasFired(state, alert, asOfMs), reading: readAlert(state, alert, asOfMs) }
}

/** An account's alerts at a moment, oldest first. */
export function viewAlerts(now: AccountAt): readonly AlertView[] {
  return now.state.alerts.map((alert) => viewOf(now, alert))
}

/** Sets an alert. Refuses account_not_found, too_many_alerts, and a key that is not there or is revoked. */
export async function createAlert(
  services: Services,
  caller: Caller,
  { account, ...command }: CreateAlertCommand & { readonly account: number },
): Promise<AlertChanged | Refusal> {
  const outcome = await runCommand(services, caller, { account, command: { kind: 'create_alert', ...command } })
  if (isRefusal(outcome)) return outcome
  const [record] = outcome.records
  if (record?.kind !== 'alert_created') throw new Error('the command set no alert')
  const view = await readAlertAt(services, { account, seq: record.seq })
  // Whoever sends a request again after the alert was deleted is shown it as it was made.
  const { seq, atMs: createdAtMs, watch, terms } = record
  const made = { account, alert: { seq, createdAtMs, watch, terms, fired: null, day: null }, isFired: false, reading: null }
  return { view: isRefusal(view) ? made : view, isReplay: outcome.isReplay }
}

/** Changes an alert. Refuses alert_not_found. */
export async function updateAlert(
  services: Services,
  caller: Caller,
  { address, changes }: { readonly address: Address; readonly changes: Partial<AlertTerms> },
): Promise<AlertView | Refusal> {
  const refusal = await run(services, caller, address, { kind: 'update_alert', alert: address.seq, changes })
  return refusal ?? readAlertAt(services, address)
}

/** Deletes an alert; gives it as it was. Refuses alert_not_found. */
export async function deleteAlert(services: Services, caller: Caller, address: Address): Promise<AlertView | Refusal> {
  const before = await readAlertAt(services, address)
  return (await run(services, caller, address, { kind: 'delete_alert', alert: address.seq })) ?? before
}

async function run(services: Services, caller: Caller, { account }: Address, command: AlertCommand): Promise<Refusal | undefined> {
  const outcome = await runCommand(services, caller, { account, command })
  if (!isRefusal(outcome)) return undefined
  return outcome.refused === 'account_not_found' ? NOT_FOUND : outcome
}

/** An alert as it is now. Refuses alert_not_found. */
export async function readAlertAt(services: Services, { account, seq }: Address): Promise<AlertView | Refusal> {
  const now = await accountNow(services, account)
  const view = isRefusal(now) ? undefined : viewAlerts(now).find(({ alert }) => alert.seq === seq)
  return view ?? NOT_FOUND
}
