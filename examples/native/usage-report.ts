/** A report of the last 30 days: by service and by day, with what is worth a second look. */

import { compareAmounts, Obol, summarizeUsage } from '../../sdk/typescript/src/public.ts'

const obol = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const { credits, charges, operations, daily } = await summarizeUsage(obol, { days: 30 })

console.log(`${credits} credits in ${charges} charges`)
for (const { operation, credits: used, charges: count, average, quantities } of operations) {
  const amounts = Object.entries(quantities).map(([unit, quantity]) => `${quantity} ${unit}`)
  console.log(`  ${operation}: ${used} credits, ${count} times, ${average} each (${amounts.join(', ')})`)
}
for (const { day, credits: used } of daily) console.log(`  ${day}: ${used}`)

const [dearest] = operations
if (dearest) console.log(`${dearest.operation} costs you most`)
for (const { operation, charges: count, average } of operations)
  if (count > 10 && compareAmounts(average, '100') < 0) console.log(`Consider batching ${operation}`)
