/** AudioPod: balance, what things cost, whether it suffices, and what was used by service. */

const base = `${process.env.OBOL_URL}/audiopod/api/v1`
const headers = { authorization: `Bearer ${process.env.OBOL_KEY}` }

async function read<Body>(path: string): Promise<Body> {
  const answer = await fetch(`${base}${path}`, { headers })
  if (!answer.ok) throw new Error(`${path} is answered with ${answer.status}`)
  return (await answer.json()) as Body
}

interface Balance {
  readonly credits_balance: number
  readonly payg_balance: number
  readonly total_available_credits: number
  readonly total_credits_used: number
}

interface UsageRow {
  readonly service_type: string
  readonly credits_used: number
  readonly audio_duration?: number
}

const balance = await read<Balance>('/credits')
console.log(`Total Available Credits: ${balance.total_available_credits}`)
console.log(`Subscription: ${balance.credits_balance}, pay as you go: ${balance.payg_balance}, used: ${balance.total_credits_used}`)

const costs = await read<Readonly<Record<string, number>>>('/credits/multipliers')
const required = (120 / 60) * (costs.voice_cloning_generation ?? 0)
const shortfall = Math.max(0, required - balance.total_available_credits)
console.log(shortfall === 0 ? `Enough for two minutes of voice: ${required}` : `Need ${shortfall} more credits`)

const rows = await read<readonly UsageRow[]>('/credits/usage?limit=1000')
const byService = Map.groupBy(rows, ({ service_type }) => service_type)
console.log(`Usage by service, of ${rows.length} rows:`)
for (const [service, used] of [...byService].sort()) {
  const credits = used.reduce((sum, row) => sum + row.credits_used, 0)
  const seconds = used.reduce((sum, row) => sum + (row.audio_duration ?? 0), 0)
  console.log(`  ${service}: ${credits} credits, ${used.length} times, ${seconds} s`)
}
