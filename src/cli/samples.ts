/** What `obol dev` starts with: prices, two accounts with keys, and a little history. All of it through the ordinary API. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, makeClient, ServerError } from './client.ts'

/** The sample price book, which anybody may publish. */
export const SAMPLE_PRICES_FILE = join(import.meta.dirname, '../../examples/price-book.json')

/** A sample account, with its key in clear. */
export interface SampleAccount {
  readonly id: string
  readonly name: string
  readonly key: string
}

const DAY_MS = 86_400_000

interface Sample {
  readonly name: string
  readonly external_id: string
  readonly grants: readonly {
    readonly amount: string
    readonly credit_type?: string
    readonly source: string
    readonly expiresInDays?: number
  }[]
  readonly key: Readonly<Record<string, unknown>>
  readonly charges: readonly Readonly<Record<string, unknown>>[]
}

const SAMPLES: readonly Sample[] = [
  {
    name: "Ada's Audio",
    external_id: 'ada',
    grants: [
      { amount: '20000', source: 'plan', expiresInDays: 30 },
      { amount: '500', source: 'promo', expiresInDays: 5 },
      { amount: '7500', source: 'topup' },
    ],
    key: { name: 'production', budget: { limit: '10000', period: 'month' } },
    charges: [
      { operation: 'transcription', quantities: { second: 300 }, metadata: { file: 'interview.wav' } },
      { operation: 'text_to_speech', quantity: 2500, metadata: { voice: 'nova' } },
      { operation: 'music_generation', quantity: 45 },
      { operation: 'llm.chat', quantities: { input_tokens: 1834, output_tokens: 412 } },
    ],
  },
  {
    name: 'Brenda Video',
    external_id: 'brenda',
    grants: [
      { amount: '217', source: 'plan', expiresInDays: 30 },
      { amount: '40', credit_type: 'high_quality_video_credits', source: 'plan', expiresInDays: 30 },
      { amount: '25', credit_type: 'animated_video_credits', source: 'promo' },
      { amount: '100', credit_type: 'image_credits', source: 'topup' },
    ],
    key: { name: 'studio' },
    charges: [
      { operation: 'video.draft' },
      { operation: 'video.create', quantity: 1.5 },
      { operation: 'image.create', quantity: 4, attributes: { quality: 'premium' } },
      { operation: 'speech.create', quantity: 1800 },
    ],
  },
]

/** Publishes the sample prices, if no price book is in force. */
export async function publishSamplePrices({ call }: Client): Promise<void> {
  const { body } = await call('GET', '/v1/price-book')
  if ((body as { data: readonly unknown[] }).data.length > 0) return
  await call('POST', '/v1/price-book', JSON.parse(readFileSync(SAMPLE_PRICES_FILE, 'utf8')), 'sample-prices')
}

const SAMPLE_TOPUPS = {
  currency: 'eur',
  credits_per_unit: '750',
  min_minor: 500,
  max_minor: 100_000,
  packs: [
    { id: 'starter', name: 'Starter', amount_minor: 1_000 },
    { id: 'studio', name: 'Studio', amount_minor: 10_000, bonus_credits: '7500', bonus_expires_in_days: 365 },
  ],
}

/** Offers sample top-ups, if nothing is on offer. */
export async function offerSampleTopups({ call }: Client): Promise<void> {
  try {
    await call('GET', '/v1/topups/options')
  } catch (fault) {
    if (!(fault instanceof ServerError) || fault.code !== 'topups_not_offered') throw fault
    await call('PUT', '/v1/topups/options', SAMPLE_TOPUPS)
  }
}

/**
 * Opens the sample accounts. What is there already is found again by the names of its requests. Keys that are known and still
 * work stay as they are.
 */
export async function openSampleAccounts(client: Client, samples: KnownSamples): Promise<readonly SampleAccount[]> {
  const accounts: SampleAccount[] = []
  for (const sample of SAMPLES) accounts.push(await openSample(client, sample, samples))
  return accounts
}

interface KnownSamples {
  readonly known: readonly SampleAccount[]
  readonly nowMs: number
}

async function openSample(client: Client, sample: Sample, { known, nowMs }: KnownSamples): Promise<SampleAccount> {
  const { name, external_id, grants, charges } = sample
  for (const account of known) if (account.name === name && (await isOpenedBy(client, account))) return account
  const made = (await client.call('POST', '/v1/accounts', { name, external_id }, `sample-${external_id}`)).body as {
    id: string
    created_at: string
  }
  const account = made.id
  for (const [index, { expiresInDays, ...grant }] of grants.entries()) {
    const expires_at = expiresInDays === undefined ? null : daysAfter(made.created_at, expiresInDays)
    if (expires_at === null || Date.parse(expires_at) > nowMs)
      await client.call('POST', '/v1/grants', { account, ...grant, expires_at }, `sample-grant-${index}`)
  }
  const key = await makeSampleKey(client, { account, ...sample.key })
  for (const [index, charge] of charges.entries())
    await client.call('POST', '/v1/charges', { key: key.id, ...charge }, `sample-charge-${index}`)
  return { id: account, name, key: key.secret }
}

/** Counted from when the account was opened, so that the same request says the same at every start. */
function daysAfter(time: string, days: number): string {
  return new Date(Date.parse(time) + days * DAY_MS).toISOString()
}

/** Whether a key that was kept is still that of its account: the store may be another one, or the key revoked. */
async function isOpenedBy({ url }: Client, { id, key }: SampleAccount): Promise<boolean> {
  try {
    const { body } = await makeClient(url, key).call('GET', '/v1/key')
    return (body as { account: string }).account === id
  } catch (fault) {
    if (fault instanceof ServerError && fault.status === 401) return false
    throw fault
  }
}

/** Makes the key. One that was made before gets a new secret, since nobody knows its old one; one that was revoked, a successor. */
async function makeSampleKey({ call }: Client, body: object): Promise<{ readonly id: string; readonly secret: string }> {
  const made = await call('POST', '/v1/keys', body, 'sample-key')
  const { id, secret, status } = made.body as MadeKey
  if (!made.replayed) return { id, secret }
  const renewed = status === 'revoked' ? await call('POST', '/v1/keys', body) : await call('POST', `/v1/keys/${id}/rotate`, {})
  return { id, secret: (renewed.body as MadeKey).secret }
}

interface MadeKey {
  readonly id: string
  readonly secret: string
  readonly status: string
}
