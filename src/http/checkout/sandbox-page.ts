/** `/sandbox/…`: the page on which customers of the sandbox pay, or do not. A plain form: it needs no script. */

import type { FastifyInstance } from 'fastify'
import { formatMoney } from '../../core/currency.ts'
import type { SandboxAction, SandboxCheckout } from '../../payments/sandbox/checkout.ts'
import type { Sandbox } from '../../payments/sandbox/sandbox.ts'
import { html, sendPage } from '../html.ts'
import { ProblemError } from '../problems.ts'

/** What payments without the customer come to from the next time on. */
const LATER = {
  pay_once: 'is declined',
  pay_stolen: 'is stolen',
  pay_confirming: 'has to be confirmed',
  pay_lost: 'pays, and the first answer is lost,',
} as const satisfies Partial<Record<SandboxAction, string>>
const ACTIONS: readonly SandboxAction[] = [
  'pay',
  ...(Object.keys(LATER) as (keyof typeof LATER)[]),
  'decline',
  'pay_later',
  'pay_later_in_vain',
]
const PAGE = { config: { access: 'public' }, schema: { hide: true } } as const
/** Bytes of a form with one field. */
const FORM_BYTES = 1_024

/** Serves the pages of a sandbox. */
export async function sandboxPages(app: FastifyInstance, { sandbox }: { readonly sandbox: Sandbox }): Promise<void> {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: FORM_BYTES }, (_request, text, done) =>
    done(null, new URLSearchParams(text as string)),
  )

  app.get<{ Params: { reference: string }; Querystring: { declined?: string } }>('/sandbox/:reference', PAGE, async (request, reply) => {
    const checkout = found(await sandbox.read(request.params.reference))
    return sendPage(reply, { title: 'Checkout', body: checkoutBody(checkout, request.query.declined !== undefined) })
  })

  app.post<{ Params: { reference: string }; Body: URLSearchParams }>('/sandbox/:reference', PAGE, async (request, reply) => {
    const { reference } = request.params
    const chosen = request.body instanceof URLSearchParams ? request.body.get('action') : null
    const action = ACTIONS.find((candidate) => candidate === chosen)
    if (!action) throw new ProblemError('invalid_request', 'The form has no known action.')
    const { returnUrl } = found(await sandbox.act(reference, action))
    // Seen other: going back, or reloading, does not send the form again.
    return reply.redirect(action === 'decline' ? `${reference}?declined` : returnUrl, 303)
  })
}

function found(checkout: SandboxCheckout | undefined): SandboxCheckout {
  if (!checkout) throw new ProblemError('not_found', 'There is no such checkout.')
  return checkout
}

const NOTE = html`<div class="note">Test mode. No real money is paid here.</div>`

function checkoutBody(checkout: SandboxCheckout, isDeclined: boolean): ReturnType<typeof html> {
  const { title, amountMinor, currency, status, cancelUrl, returnUrl } = checkout
  const bought = html`<h1>${title}</h1>
<p class="price">${formatMoney(amountMinor, currency)}</p>`
  if (status !== 'open')
    return html`${NOTE}
<section>
${bought}
<p class="said" role="status">${SAID[status]}</p>
<a class="button first" href="${returnUrl}">Continue</a>
</section>`
  const declined = isDeclined
    ? [html`<p class="said" role="alert">The bank declined the payment. Nothing was paid; you can try again.</p>`]
    : []
  const once = checkout.keepsMethod
    ? Object.entries(LATER).map(
        ([action, what]) => html`<button name="action" value="${action}">Pay with a card that ${what} from the next time on</button>`,
      )
    : []
  return html`${NOTE}
<section>
${bought}
${declined}
<p>Choose what happens to this payment.</p>
<form method="post">
<button class="first" name="action" value="pay">Pay ${formatMoney(amountMinor, currency)}</button>
${once}
<button name="action" value="decline">Let the bank decline it</button>
<button name="action" value="pay_later">Pay by slow transfer</button>
<button name="action" value="pay_later_in_vain">Pay by slow transfer that fails</button>
</form>
<a class="quiet" href="${cancelUrl}">Cancel and go back</a>
</section>`
}

const SAID: Readonly<Record<Exclude<SandboxCheckout['status'], 'open'>, string>> = {
  paid: 'This is paid.',
  pending: 'The money is on its way.',
  expired: 'This checkout has expired. Nothing was paid.',
  failed: 'The payment failed. Nothing was paid.',
}
