/** Work that cannot be paid for: asked beforehand, and refused where it is charged. 402 says what is missing; nothing was written. */

import { checkSufficiency, InsufficientCreditsError, KeyBudgetExceededError, Obol } from '../../sdk/typescript/src/public.ts'

const customer = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const operator = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_OPERATOR_KEY })

const work = { operation: 'speech_translation', quantities: { minute: 10 } }
const { isSufficient, required, available, shortfall } = await checkSufficiency(customer, work)
console.log(isSufficient ? 'It can be paid for' : `It needs ${required}, there are ${available}: ${shortfall} short`)

try {
  // What the operator's server does with the customer's key, before it begins to work.
  await operator.holds.create({ key: process.env.OBOL_KEY ?? '', ...work })
} catch (error) {
  if (error instanceof InsufficientCreditsError) console.log(`${error.status} ${error.code}: ${error.shortfall} ${error.creditType} short`)
  else if (error instanceof KeyBudgetExceededError) console.log(`The key's budget has ${error.remaining} left`)
  else throw error
}
