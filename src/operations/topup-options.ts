/** What is on offer: read, and set by the operator. */

import { type Microcredits, micro } from '../core/credits.ts'
import { faultInOptions, type TopupOptions, type TopupPack } from '../core/topup-options.ts'
import type { Services } from './services.ts'

/** One version of what is on offer. */
export interface OfferedOptions extends TopupOptions {
  readonly version: number
  readonly createdAtMs: number
}

/** What is on offer now; undefined: nothing was ever set. */
export async function readTopupOptions({ store }: Pick<Services, 'store'>): Promise<OfferedOptions | undefined> {
  const row = await store.topupOptions.latest()
  return row && { ...decode(row.options), version: row.version, createdAtMs: row.createdAtMs }
}

/** Times that a version is numbered anew when others are set at the same time. */
const MAX_ATTEMPTS = 20

/** Sets what is on offer. What is the same already stays the version that it is. Returns the fault of one that is wrong. */
export async function setTopupOptions(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  options: TopupOptions,
): Promise<OfferedOptions | { readonly fault: string }> {
  const fault = faultInOptions(options)
  if (fault !== null) return { fault }
  const text = encode(options)
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const latest = await store.topupOptions.latest()
    if (latest?.options === text) return { ...options, version: latest.version, createdAtMs: latest.createdAtMs }
    const row = { version: (latest?.version ?? 0) + 1, options: text, createdAtMs: clock() }
    if (await store.topupOptions.add(row)) return { ...options, version: row.version, createdAtMs: row.createdAtMs }
  }
  throw new Error('the options are set by too many at once')
}

type Written<Amounts> = Omit<Amounts, 'creditsPerUnit' | 'credits' | 'bonus'>
interface EncodedPack extends Written<TopupPack> {
  readonly credits: string | null
  readonly bonus: string | null
}
interface EncodedOptions extends Omit<Written<TopupOptions>, 'packs'> {
  readonly creditsPerUnit: string
  readonly packs: readonly EncodedPack[]
}

function encode({ currency, creditType, creditsPerUnit, minMinor, maxMinor, lifeDays, packs }: TopupOptions): string {
  const text = (amount: Microcredits | null): string | null => amount?.toString() ?? null
  const encoded: EncodedOptions = {
    currency,
    creditType,
    creditsPerUnit: creditsPerUnit.toString(),
    minMinor,
    maxMinor,
    lifeDays,
    packs: packs.map(({ id, name, amountMinor, credits, bonus, bonusDays }) => {
      return { id, name, amountMinor, credits: text(credits), bonus: text(bonus), bonusDays }
    }),
  }
  return JSON.stringify(encoded)
}

function decode(text: string): TopupOptions {
  const { creditsPerUnit, packs, ...options } = JSON.parse(text) as EncodedOptions
  const amount = (value: string | null): Microcredits | null => (value === null ? null : micro(BigInt(value)))
  return {
    ...options,
    creditsPerUnit: micro(BigInt(creditsPerUnit)),
    packs: packs.map(({ credits, bonus, ...pack }) => ({ ...pack, credits: amount(credits), bonus: amount(bonus) })),
  }
}
