/** An alert tells that credits run low, and the account buys more by itself, with the card that its customer left, within a cap. */

import { Obol } from '../../sdk/typescript/src/public.ts'

const customer = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const operator = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_OPERATOR_KEY })
const { account } = await customer.credits.get()

await operator.topupOptions.set({ currency: 'eur', credits_per_unit: '1000', min_minor: 500, max_minor: 50_000 })
// The customer pays once on a page and leaves the card. The sandbox's page takes a form, and no money.
const { url } = await operator.checkoutSessions.create({ account, amount_minor: 1_000, save_payment_method: true })
await fetch(url ?? '', { method: 'POST', body: new URLSearchParams({ action: 'pay' }) })

await operator.alerts.create({ account, watch: 'balance', threshold: '10000', name: 'Running low' })
const consent = { by: 'Ada Lovelace', text: 'terms of 2026-11' }
await operator.autoTopups.set({ threshold: '5000', target: '20000', monthly_cap_minor: 5_000, consent }, { account })

const use = (minute: number) =>
  operator.charges.create({ key: process.env.OBOL_KEY ?? '', operation: 'transcription', quantities: { minute } })
let isFirst = true
for await (const { credits, changes } of customer.followCredits()) {
  if (isFirst) {
    console.log(`${credits.credit_types.credits?.available} credits`)
    await use(41)
    isFirst = false
  }
  for (const { alerts = [], events } of changes) {
    for (const { turn, level, current } of alerts) console.log(turn === 'fired' ? `${level}: only ${current} credits left` : 'enough again')
    if (events.includes('auto_topup.triggered')) console.log('buying more')
  }
  if (changes.some(({ kind }) => kind === 'topup')) {
    console.log(`${credits.credit_types.credits?.available} credits`)
    break
  }
}

const { auto_topup: standing } = await customer.autoTopups.get()
console.log(`${standing?.spent_this_month_minor} of ${standing?.monthly_cap_minor} ${standing?.currency} cents spent this month`)
