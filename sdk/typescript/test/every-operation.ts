/** Calls every operation of the API once, through the SDK. A new operation is a line here: the conformance test names what is missing. */

import type { Obol } from '../src/obol.ts'

/** The two clients that operations are called with. */
export interface Clients {
  readonly operator: Obol
  /** Makes a client of a customer's key. */
  readonly customer: (key: string) => Obol
  /** A client without a key. */
  readonly nobody: Obol
}

/** Some moments of a life: an account, its keys, prices, grants, charges, holds, and everything that can be read of them. */
export async function callEveryOperation({ operator, customer, nobody }: Clients): Promise<void> {
  const prices = [{ operation: 'unit', rate: '1', per: { quantity: 1, unit: 'request' } }]
  const book = await operator.priceBooks.publish({ prices })
  await operator.priceBooks.list().page()
  await operator.priceBooks.get(book.version)
  const account = await operator.accounts.create({ name: 'Conformance', external_id: 'conformance' })
  await operator.accounts.update(account.id, { metadata: { by: 'the SDK' } })
  await operator.accounts.get('external:conformance')
  await operator.accounts.list().page()
  await callGrants(operator, account.id)
  await callKeys(operator, customer, account.id)
  await callCharges(operator, account.id)
  await callHolds(operator, account.id)
  await callHistory(operator, account.id)
  await callPurchases(operator, account.id)
  await callInvoices(operator, account.id)
  await callWebhooks(operator)
  await callPlans(operator, account.id)
  await callAlerts(operator, account.id)
  await callUsers({ operator, customer, nobody }, account.id)
  const start = new Date(Date.now() - 60_000)
  await operator.priceBooks.tryOut({ prices, start, end: new Date(start.getTime() + 120_000) })
  await operator.audit.verify()
}

async function callGrants(operator: Obol, account: string): Promise<void> {
  const grant = await operator.grants.create({ account, amount: '1000', source: 'topup', cost: { amount_minor: 1000, currency: 'eur' } })
  await operator.grants.get(grant.id)
  await operator.grants.list({ account }).page()
  const promo = await operator.grants.create({ account, amount: '5', source: 'promo', expires_at: new Date(Date.now() + 400 * 86_400_000) })
  await operator.grants.void(promo.id, { reason: 'a mistake' })
  await operator.adjustments.create({ account, amount: '-1', reason: 'a correction' })
}

async function callKeys(operator: Obol, customer: Clients['customer'], account: string): Promise<void> {
  const key = await operator.keys.create({ account, name: 'one', budget: { limit: '500', period: 'month' }, scopes: ['keys:write'] })
  const own = customer(key.secret ?? '')
  await own.keys.own()
  await own.credits.get()
  await own.prices.get()
  await own.estimates.create({ items: [{ operation: 'unit', quantity: { min: 1, max: '2.5' } }] })
  await operator.keys.verify({ key: key.secret ?? '' })
  await operator.keys.update(key.id, { name: 'two' })
  await operator.keys.get(key.id)
  await operator.keys.list({ account }).page()
  await operator.keys.rotate(key.id, { overlap_seconds: 60 })
  await operator.keys.revoke(key.id)
}

async function callCharges(operator: Obol, account: string): Promise<void> {
  const charge = await operator.charges.create({ account, operation: 'unit', quantity: 2, metadata: { job: '1' } })
  await operator.charges.get(charge.id)
  await operator.charges.explain(charge.id)
  await operator.charges.refund(charge.id, { amount: '0.5', reason: 'noise' })
  await operator.charges.reportOutcome(charge.id, { status: 'failed', reason: 'the model crashed' })
  const charges = [
    { account, operation: 'unit' },
    { account, operation: 'unit', quantity: 1_000_000 },
  ]
  await operator.charges.createBatch({ charges })
  await operator.charges.list({ account }).page()
}

async function callHolds(operator: Obol, account: string): Promise<void> {
  const hold = await operator.holds.create({ account, operation: 'unit', quantity: 10, ttl_seconds: 60 })
  await operator.holds.extend(hold.id, { ttl_seconds: 120 })
  await operator.holds.increase(hold.id, { amount: '5' })
  await operator.holds.capture(hold.id, { quantity: 3, final: false })
  await operator.holds.release(hold.id)
  await operator.holds.get(hold.id)
  await operator.holds.list({ account }).page()
}

async function callHistory(operator: Obol, account: string): Promise<void> {
  await operator.accounts.credits(account)
  await operator.usage.get({ account, bucket: 'hour', group_by: ['operation', 'credit_type'] })
  await operator.journal.list({ account }).page()
  await operator.events.list({ limit: 5 })
}

async function callPurchases(operator: Obol, account: string): Promise<void> {
  await operator.topupOptions.set({ currency: 'eur', credits_per_unit: '100', min_minor: 500, max_minor: 100_000 })
  await operator.topupOptions.get()
  const dropped = await operator.checkoutSessions.create({ account, amount_minor: 500 })
  await operator.checkoutSessions.cancel(dropped.id)
  const { id, url } = await operator.checkoutSessions.create({ account, amount_minor: 1_000 })
  // The customer pays on the page, which leads back to the server.
  await fetch(url ?? '', { method: 'POST', body: new URLSearchParams({ action: 'pay' }) })
  const { topup } = await operator.checkoutSessions.get(id)
  await operator.checkoutSessions.list({ account }).page()
  await operator.topups.refund(topup ?? '', { amount_minor: 100, reason: 'noise' })
  await operator.topups.simulate(topup ?? '', { event: 'dispute' })
  await operator.topups.get(topup ?? '')
  await operator.topups.list({ account }).page()
  const consent = { by: 'Ada', text: 'terms of 2026' }
  await operator.autoTopups.set({ threshold: '10', target: '500', monthly_cap_minor: 5_000, consent }, { account })
  await operator.autoTopups.get({ account })
  await operator.autoTopups.delete({ account })
}

async function callInvoices(operator: Obol, account: string): Promise<void> {
  const { data } = await operator.invoices.list({ account }).page()
  await operator.invoices.get(data[0]?.id ?? '')
  await operator.invoices.issueStatement({ account: 'external:before', month: new Date().toISOString().slice(0, 7) })
}

async function callWebhooks(operator: Obol): Promise<void> {
  const { id } = await operator.webhookEndpoints.create({ url: 'https://hooks.example.com/obol', events: ['charge.*'] })
  await operator.webhookEndpoints.get(id)
  await operator.webhookEndpoints.list().page()
  await operator.webhookEndpoints.update(id, { description: 'of the SDK' })
  await operator.webhookEndpoints.rotateSecret(id, { overlap_seconds: 60 })
  await operator.webhookEndpoints.test(id)
  await operator.webhookEndpoints.attempts(id).page()
  const { data } = await operator.events.list({ limit: 1 })
  await operator.webhookEndpoints.resend(id, { event: data[0]?.id ?? '' })
  await operator.webhookEndpoints.replay(id, { start: new Date(Date.now() - 60_000) })
  await operator.webhookEndpoints.delete(id)
}

async function callPlans({ plans, subscriptions, paymentMethods, testClocks }: Obol, account: string): Promise<void> {
  const price = { amount_minor: 900, currency: 'eur' }
  await plans.set('pro', { name: 'Pro', credits: [{ amount: '100', rollover: { percent: 50, cap: '20' } }], price })
  await plans.set('free', { name: 'Free', credits: [{ amount: '10' }], period: { unit: 'week', count: 1 } })
  await plans.set('more', { name: 'More', credits: [{ amount: '20' }], period: { unit: 'week', count: 1 } })
  await plans.get('pro', { version: 1 })
  await plans.list().page()
  const { id: paid } = await subscriptions.create({ account, plan: 'pro' })
  await subscriptions.openPaymentPage(paid)
  await subscriptions.cancel(paid, { at: 'now' })
  const { id } = await subscriptions.create({ account, plan: 'free' })
  await subscriptions.previewChange(id, { plan: 'more' })
  await subscriptions.change(id, { plan: 'more' })
  await subscriptions.pause(id)
  await subscriptions.resume(id)
  await subscriptions.get(id)
  await subscriptions.list({ account }).page()
  await paymentMethods.get({ account })
  await paymentMethods.delete({ account })
  const clock = await testClocks.create({ name: 'a month', now: '2031-01-31T09:00:00Z' })
  await testClocks.advance(clock.id, { to: '2031-02-28T09:00:00Z' })
  await testClocks.get(clock.id)
  await testClocks.list().page()
}

async function callAlerts({ alerts }: Obol, account: string): Promise<void> {
  const { id } = await alerts.create({ account, watch: 'balance', threshold: '10', level: 'critical', email_to: ['lin@example.com'] })
  await alerts.create({ account, watch: 'daily_spend', threshold_percent: 20, time_zone: 'Europe/Berlin' })
  await alerts.update(id, { threshold: '20', email_owners: false })
  await alerts.get(id)
  await alerts.list({ account })
  await alerts.delete(id)
}

const PASSWORD = 'correct horse battery staple'

async function callUsers({ operator, customer, nobody }: Clients, account: string): Promise<void> {
  await operator.users.inviteFirstOperator()
  const offer = await operator.users.invite({ email: 'lin@example.com', account, role: 'owner' })
  const { token } = await operator.users.renewInvitation(offer.id)
  const accepted = await nobody.auth.acceptInvitation({ token, password: PASSWORD })
  const user = customer(accepted.access_token)
  await user.me.get()
  await user.me.changePassword({ current_password: PASSWORD, password: `${PASSWORD}!` })
  const reset = await operator.users.offerPasswordReset(offer.id)
  await nobody.auth.resetPassword({ token: reset.token, password: PASSWORD })
  const tokens = await nobody.auth.signIn({ email: 'lin@example.com', password: PASSWORD })
  const { refresh_token } = await nobody.auth.refresh({ refresh_token: tokens.refresh_token })
  await nobody.auth.signOut({ refresh_token })
  await operator.users.list().page()
  await operator.users.get(offer.id)
  await operator.users.update(offer.id, { status: 'active' })
  await operator.users.setMembership(offer.id, account, { role: 'member' })
  await operator.users.endMembership(offer.id, account)
  await operator.auth.replaceSigningKeys()
  await nobody.auth.signingKeys()
}
