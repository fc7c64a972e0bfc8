/** Problems of alerts. */

import { refusal } from './problem.ts'

/** The problems that refusals about alerts are answered with. */
export const ALERT_PROBLEMS = {
  alert_not_found: refusal('alert_not_found', 404, 'Alert not found', 'Check the id; `GET /v1/alerts` lists the alerts of an account.'),
  too_many_alerts: refusal('too_many_alerts', 409, 'Too many alerts', 'Delete alerts that are not needed, or change one of them.'),
} as const
