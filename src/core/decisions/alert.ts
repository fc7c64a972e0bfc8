/** Alerts: set, changed, taken away. What one has to tell at once is told by the record that sets it. */

import type { AccountState } from '../account.ts'
import { type AlertTerms, type AlertWatch, MAX_ALERTS } from '../alert.ts'
import type { Context, Decision } from '../draft.ts'
import { openDraft } from '../due.ts'
import { type Refusal, refuse } from '../refusals.ts'
import type { Facts } from './facts.ts'

/** An alert to set. */
export interface CreateAlertCommand {
  readonly watch: AlertWatch
  readonly terms: AlertTerms
}

/** Sets an alert. Refuses too_many_alerts, and a key that is not there or is revoked. */
export function decideCreateAlert(
  state: AccountState,
  { watch, terms }: CreateAlertCommand,
  context: Context & { readonly facts: Pick<Facts, 'key'> },
): Decision | Refusal {
  const draft = openDraft(state, context)
  if (draft.state.alerts.length >= MAX_ALERTS) return refuse('too_many_alerts', `The account has ${MAX_ALERTS} alerts; delete some first.`)
  if (watch.of === 'key_budget') {
    const key = context.facts.key(watch.key)
    if (key === null) return refuse('key_not_found', 'No API key has this id.')
    if (key.isRevoked) return refuse('key_already_revoked', 'The API key was revoked: nothing is spent with it.')
  }
  draft.append({ kind: 'alert_created', watch, terms, events: [] })
  return draft.done()
}

/** What is to change of an alert; what is left out stays as it is. */
export interface UpdateAlertCommand {
  /** Sequence of the alert's record. */
  readonly alert: number
  readonly changes: Partial<AlertTerms>
}

const NOT_FOUND = refuse('alert_not_found', 'No alert has this id.')

/** Changes an alert. One that has fired stays so until what it watches is clear of the new threshold. Refuses alert_not_found. */
export function decideUpdateAlert(state: AccountState, { alert, changes }: UpdateAlertCommand, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  const known = draft.state.alerts.find(({ seq }) => seq === alert)
  if (!known) return NOT_FOUND
  draft.append({ kind: 'alert_updated', alert, terms: { ...known.terms, ...changes }, events: [] })
  return draft.done()
}

/** Takes an alert away. Refuses alert_not_found. */
export function decideDeleteAlert(state: AccountState, { alert }: { readonly alert: number }, context: Context): Decision | Refusal {
  const draft = openDraft(state, context)
  if (!draft.state.alerts.some(({ seq }) => seq === alert)) return NOT_FOUND
  draft.append({ kind: 'alert_deleted', alert, events: [] })
  return draft.done()
}
