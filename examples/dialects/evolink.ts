/** Evolink: what this key and its account have left, and what a wrong key is answered with. */

async function read(key: string): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const answer = await fetch(`${process.env.OBOL_URL}/evolink/v1/credits`, { headers: { authorization: `Bearer ${key}` } })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

interface Remaining {
  readonly remaining_credits: number
  readonly used_credits: number
  readonly unlimited_credits?: boolean
}

const { data } = (await read(process.env.OBOL_KEY ?? '')).body as { readonly data: { readonly token: Remaining; readonly user: Remaining } }
console.log(
  `This key: ${data.token.remaining_credits} left, ${data.token.used_credits} used${data.token.unlimited_credits ? ', unlimited' : ''}`,
)
console.log(`The account: ${data.user.remaining_credits} left, ${data.user.used_credits} used`)

const { status, body } = await read('nobodys-key')
const { code, type } = body.error as { readonly code: number; readonly type: string }
console.log(`A wrong key: ${status} ${code} ${type}`)
