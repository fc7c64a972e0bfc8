/** Problems of webhooks: endpoints, and what is sent to them again. */

import { refusal } from './problem.ts'

/** The problems that refusals about webhooks are answered with. */
export const WEBHOOK_PROBLEMS = {
  webhook_endpoint_not_found: refusal(
    'webhook_endpoint_not_found',
    404,
    'Webhook endpoint not found',
    'Check the id; `GET /v1/webhook-endpoints` lists endpoints.',
  ),
  webhook_url_taken: refusal(
    'webhook_url_taken',
    409,
    'Webhook address taken',
    'Use the endpoint that has it. If its secret is lost, give it another one: `POST /v1/webhook-endpoints/{webhook_endpoint}/rotate`.',
  ),
  webhook_address_refused: refusal(
    'webhook_address_refused',
    400,
    'Webhook address refused',
    'Use an https address that everybody can reach. The operator may allow internal networks (`OBOL_WEBHOOK_ALLOWED_CIDRS`), and then has to name the address.',
  ),
  webhook_endpoint_disabled: refusal(
    'webhook_endpoint_disabled',
    409,
    'Webhook endpoint disabled',
    'Enable it with `PATCH /v1/webhook-endpoints/{webhook_endpoint}` and `{"status":"enabled"}`.',
  ),
  webhook_replay_running: refusal(
    'webhook_replay_running',
    409,
    'Replay running',
    'Wait until the endpoint is not `replaying` any more, or disable and enable it to end the replay.',
  ),
  too_many_webhook_endpoints: refusal(
    'too_many_webhook_endpoints',
    409,
    'Too many webhook endpoints',
    'Remove endpoints that are not used, or let one hear of more events.',
  ),
  too_many_resends: refusal(
    'too_many_resends',
    409,
    'Too many resends',
    'Wait until those that wait have been accepted, or replay the time in which the events happened.',
  ),
  event_not_found: refusal('event_not_found', 404, 'Event not found', 'Use the `id` of an event that the endpoint was or would be sent.'),
} as const
