/** How much is left: by credit type, by where it came from, and what this key may still spend. Free, and true at once. */

import { isAtLeast, Obol } from '../../sdk/typescript/src/public.ts'

const obol = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const credits = await obol.credits.get()

for (const [type, { available, held, sources }] of Object.entries(credits.credit_types)) {
  console.log(`${type}: ${available} available, ${held} held`)
  for (const [source, left] of Object.entries(sources)) console.log(`  from ${source}: ${left}`)
}
console.log(`This key may spend ${credits.key?.budget?.remaining ?? 'everything'} more`)

const { available = '0' } = credits.credit_types.credits ?? {}
console.log(isAtLeast(available, '30000') ? 'Plenty of credits' : 'Low on credits! Consider buying more.')
