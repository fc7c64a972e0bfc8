/** ShortGenius: the balance, a check before expensive work, and 402 where credits do not reach. */

const base = `${process.env.OBOL_URL}/shortgenius/v1`
const headers = { authorization: `Bearer ${process.env.OBOL_KEY}`, 'content-type': 'application/json' }

const answer = await fetch(`${base}/credits`, { headers })
const { balance } = (await answer.json()) as { balance: Record<string, number> }
console.log('Credit Balance:')
for (const [type, credits] of Object.entries(balance)) console.log(`  ${type}: ${credits}`)
if ((balance.credits ?? 0) < 30_000) console.log('Low on credits!')

const drafted = await fetch(`${base}/videos/drafts`, { method: 'POST', headers, body: JSON.stringify({ topic: 'Foxes' }) })
console.log(`A draft: ${drafted.status}`)

for (const title of ['A day of foxes', 'A day of badgers']) {
  const video = await fetch(`${base}/videos`, { method: 'POST', headers, body: JSON.stringify({ title, duration: 86_400 }) })
  const { message = 'made' } = (await video.json()) as { message?: string }
  console.log(`${title}: ${video.status} ${message}`)
}
