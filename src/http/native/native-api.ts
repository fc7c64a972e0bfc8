/** The native API: every resource on one screen. */

import type { FastifyInstance } from 'fastify'
import { accountRoutes } from './accounts.ts'
import { alertRoutes } from './alerts.ts'
import type { NativeApp, NativeContext } from './app.ts'
import { auditRoutes } from './audit.ts'
import { authRoutes } from './auth.ts'
import { autoTopupRoutes } from './auto-topup.ts'
import { chargeRoutes } from './charges.ts'
import { checkoutSessionRoutes } from './checkout-sessions.ts'
import { creditsRoutes, RenderedCredits } from './credits.ts'
import { creditsStreamRoute } from './credits-stream.ts'
import { estimateRoutes } from './estimates.ts'
import { eventRoutes } from './events.ts'
import { grantRoutes } from './grants.ts'
import { holdRoutes } from './holds.ts'
import { invoiceRoutes } from './invoices.ts'
import { journalRoutes } from './journal.ts'
import { keyRoutes } from './keys.ts'
import { meRoutes } from './me.ts'
import { outcomeRoutes } from './outcomes.ts'
import { paymentEventRoutes } from './payment-events.ts'
import { planRoutes } from './plans.ts'
import { priceRoutes } from './prices.ts'
import { refundRoutes } from './refunds.ts'
import { sandboxRoutes } from './sandbox.ts'
import { ProblemBody } from './schemas.ts'
import { subscriptionPaymentRoutes } from './subscription-payments.ts'
import { subscriptionRoutes } from './subscriptions.ts'
import { testClockRoutes } from './test-clocks.ts'
import { topupOptionsRoutes } from './topup-options.ts'
import { topupRoutes } from './topups.ts'
import { usageRoutes } from './usage.ts'
import { userRoutes } from './users.ts'
import { verifyKeyRoutes } from './verify-key.ts'
import { webhookRoutes } from './webhook-endpoints.ts'

export async function nativeApi(instance: FastifyInstance, context: NativeContext): Promise<void> {
  const app = instance as unknown as NativeApp
  app.addSchema(ProblemBody)
  const credits = new RenderedCredits(context.services.policy.topUpUrl, context.services.store)
  creditsRoutes(app, context, credits)
  creditsStreamRoute(app, context, credits)
  keyRoutes(app, context)
  verifyKeyRoutes(app, context)
  alertRoutes(app, context)
  usageRoutes(app, context)
  chargeRoutes(app, context)
  refundRoutes(app, context)
  outcomeRoutes(app, context)
  holdRoutes(app, context)
  journalRoutes(app, context)
  eventRoutes(app, context)
  priceRoutes(app, context)
  estimateRoutes(app, context)
  accountRoutes(app, context)
  grantRoutes(app, context)
  authRoutes(app, context)
  meRoutes(app, context)
  userRoutes(app, context)
  topupOptionsRoutes(app, context)
  checkoutSessionRoutes(app, context)
  topupRoutes(app, context)
  invoiceRoutes(app, context)
  autoTopupRoutes(app, context)
  planRoutes(app, context)
  subscriptionRoutes(app, context)
  subscriptionPaymentRoutes(app, context)
  testClockRoutes(app, context)
  sandboxRoutes(app, context)
  await instance.register(paymentEventRoutes, { services: context.services })
  webhookRoutes(app, context)
  auditRoutes(app, context)
}
