/** VideoDB: usage of the month, by operation, in its envelope. */

const answer = await fetch(`${process.env.OBOL_URL}/videodb/billing/usage`, { headers: { 'x-access-token': process.env.OBOL_KEY ?? '' } })
const { success, data } = (await answer.json()) as { success: boolean; data: Record<string, number | Record<string, number>> }

console.log(`Success: ${success}`)
console.log(`Total Credits Used: ${data.total_credits_used}`)
console.log(`Monthly Credit Limit: ${data.monthly_limit}`)
console.log(`Credits Remaining: ${data.credits_remaining}`)
for (const [operation, credits] of Object.entries(data.breakdown ?? {}).sort()) console.log(`  ${operation}: ${credits}`)
