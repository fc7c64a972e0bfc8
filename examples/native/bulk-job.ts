/** Many files: the whole job is checked first, then done in batches, each as large as the credits reach. Each file is held and captured. */

import { affordableBatch, estimateJob, Obol, withHeldWork } from '../../sdk/typescript/src/public.ts'

const customer = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_KEY })
const operator = new Obol({ baseUrl: process.env.OBOL_URL, apiKey: process.env.OBOL_OPERATOR_KEY })
const key = process.env.OBOL_KEY ?? ''

interface File {
  readonly name: string
  readonly minutes: number
}

const files = Array.from({ length: 40 }, (_, index): File => ({ name: `file-${index + 1}`, minutes: 1 + (index % 3) }))
const work = ({ minutes }: File) => ({ operation: 'transcription', quantities: { minute: minutes } })

const { requirements } = await estimateJob(customer, files.map(work))
console.log(`${files.length} files need ${requirements[0]?.max}, ${requirements[0]?.shortfall} more than there is`)

let rest: readonly File[] = files
for (;;) {
  const next = await affordableBatch(customer, rest, { size: 8, work })
  if (next.batch.length === 0) break
  for (const file of next.batch) {
    await withHeldWork(operator, { key, ...work(file) }, async (held) => {
      // The real work is here; it came to a little less than was held.
      held.count({ quantities: { minute: file.minutes - 0.25 } })
    })
  }
  console.log(`${next.batch.length} files done`)
  rest = next.rest
}
console.log(rest.length === 0 ? 'All done' : `${rest.length} files wait for credits`)
