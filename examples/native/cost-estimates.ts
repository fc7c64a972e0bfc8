/** What work would cost, in credits and in money, before it is done. A quote pins the prices. */

import { estimateJob, inMoney, Obol } from '../../sdk/typescript/src/public.ts'

const obol = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
/** What a credit costs here: a tenth of a cent. */
const CREDITS_PER_DOLLAR = '1000'

for (const work of [
  { operation: 'voice_cloning_training' },
  { operation: 'voice_cloning_generation', quantities: { second: 120 } },
  { operation: 'transcription', quantities: { second: 1800 } },
  { operation: 'transcription_with_diarization', quantities: { minute: 2 } },
  { operation: 'music_generation', quantities: { second: 60 } },
  { operation: 'text_to_speech', quantities: { character: 5000 } },
  { operation: 'transcription', quantities: { minute: { min: 1, max: 3 } } },
]) {
  const { requirements, isAffordable } = await estimateJob(obol, [work])
  const { min = '0', max = '0' } = requirements[0] ?? {}
  const range = min === max ? max : `${min} to ${max}`
  console.log(`${work.operation}: ${range} credits, $${inMoney(max, CREDITS_PER_DOLLAR)}, ${isAffordable ? 'affordable' : 'too dear'}`)
}
