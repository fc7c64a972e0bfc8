/** What somebody who has installed the package does first. Runs on every runtime; prints what came of it. */

import { fromMicro, InsufficientCreditsError, Obol, toMicro, verifyWebhook, WebhookVerificationError } from '@obol/sdk'
import { credits as onExpress } from '@obol/sdk/express'
import { credits as onFastify } from '@obol/sdk/fastify'
import { credits as onHono } from '@obol/sdk/hono'
import { withCredits } from '@obol/sdk/next'

const { baseUrl, apiKey, account } = JSON.parse(process.env.SMOKE)
const obol = new Obol({ baseUrl, apiKey })
const charge = await obol.charges.create({ account, operation: 'unit', quantity: 1.5 })
const short = await obol.charges.create({ account, operation: 'unit', quantity: 1_000_000 }).catch((error) => error)
const charges = await obol.charges.list({ account, limit: 1 }).toArray({ limit: 3 })
const csv = await obol.charges.csv({ account }).text()
const gone = await obol.credits.get({ account }, { signal: AbortSignal.abort() }).catch((error) => error.name)
const forged = await verifyWebhook({ body: '{}', headers: {}, secret: 'whsec_YQ==' }).catch(
  (error) => error instanceof WebhookVerificationError,
)
const POST = withCredits(
  obol,
  () => ({ account, operation: 'unit' }),
  async () => Response.json({ is: 'done' }),
)
const response = await POST(new Request('http://next.test', { method: 'POST' }))

console.log(
  JSON.stringify({
    credits: charge.credits,
    short: short instanceof InsufficientCreditsError,
    charges: charges.length >= 1,
    csv: csv.startsWith('id,'),
    gone,
    forged,
    exact: fromMicro(toMicro('0.1') + toMicro('0.2')),
    hooks: [onExpress, onFastify, onHono].every((hook) => typeof hook(obol, 'unit') === 'function'),
    next: [response.status, await response.text()],
  }),
)
