/** Tells when credits run low, at two thresholds, and once for each. */

import { Obol, watchCredits } from '../../sdk/typescript/src/public.ts'

const customer = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const operator = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_OPERATOR_KEY })
const use = (minute: number) =>
  operator.charges.create({ key: process.env.OBOL_KEY ?? '', operation: 'transcription', quantities: { minute } })

for await (const { level, available } of watchCredits(customer, { warning: '5000', critical: '500', everyMs: 50 })) {
  if (level === 'enough') {
    console.log(`${available} credits`)
    await use(30)
  } else if (level === 'warning') {
    console.log(`WARNING: ${available} credits remaining`)
    await use(2)
  } else {
    console.log(`CRITICAL: only ${available} credits remaining!`)
    break
  }
}
