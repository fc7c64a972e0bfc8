/** What was used this month, and what was paid: by operation, and with the receipt of each payment. */

import { fromMicro, Obol, toMicro } from '../../sdk/typescript/src/public.ts'

const customer = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const operator = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_OPERATOR_KEY })
const { account } = await customer.credits.get()

await operator.topupOptions.set({ currency: 'eur', credits_per_unit: '1000', min_minor: 500, max_minor: 50_000 })
for (const amount_minor of [1_000, 2_500]) {
  const { url } = await operator.checkoutSessions.create({ account, amount_minor })
  await fetch(url ?? '', { method: 'POST', body: new URLSearchParams({ action: 'pay' }) })
}

const charges = await customer.charges.list().toArray()
const used = new Map<string, bigint>()
for (const { operation, credits } of charges) used.set(operation, (used.get(operation) ?? 0n) + toMicro(credits))
for (const [operation, credits] of used) console.log(`${operation}: ${fromMicro(credits)} credits`)

for await (const { number, kind, about, total_minor, currency, pdf_url } of customer.invoices.list()) {
  console.log(`${kind} ${number} of a ${about}: ${total_minor} ${currency} cents`)
  const pdf = await fetch(pdf_url)
  console.log(`  ${pdf.headers.get('content-type')}`)
}
