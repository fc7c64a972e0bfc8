/** How much a request is, in every unit that a price may be per. */

import { type Decimal, ONE } from '../../../core/decimal.ts'
import type { OperationPrice } from '../../../core/price-book.ts'
import { isSameDimension } from '../../../core/pricing.ts'

/** The body of a request. Its schema has checked the fields that are read here. */
export type WorkBody = Readonly<Record<string, unknown>>

/** Whole numbers by unit, in the singular. */
export type Measures = Readonly<Record<string, number>>

/** Those of the measures that a price asks for, under the names that it has for them. */
export function quantitiesFor({ components }: OperationPrice, measures: Measures): Readonly<Record<string, Decimal>> {
  const quantities: Record<string, Decimal> = {}
  for (const { unit } of components)
    for (const [name, count] of Object.entries(measures)) {
      const isIt = unit === name || unit === `${name}s`
      if (isIt || isSameDimension(unit, name)) quantities[isIt ? unit : name] = (BigInt(count) * ONE) as Decimal
    }
  return quantities
}

/** Characters narrated in a second: 150 words a minute. */
const CHARACTERS_PER_SECOND = 15

/** Characters as people count them. */
export function charactersIn(text: string): number {
  return [...text].length
}

/** Whatever a video says: what its scenes narrate, or the questions of its quiz. */
export function narrationOf({ scenes, quiz, script }: WorkBody): string {
  return [...textsIn(scenes, 'caption'), ...allTextsIn(quiz), ...(typeof script === 'string' ? [script] : [])].join(' ')
}

function textsIn(list: unknown, field: string): readonly string[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown) => {
    const text = typeof item === 'object' && item !== null ? (item as WorkBody)[field] : undefined
    return typeof text === 'string' ? [text] : []
  })
}

/** Every text of a tree, in order. */
function allTextsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(allTextsIn) : []
}

/** Length of a video: what the request asks for, or as long as its narration takes. At least a second: no video is nothing. */
export function secondsOf(body: WorkBody): number {
  const stated = Number(body.duration ?? 0)
  return Math.max(1, Math.ceil(stated), stated > 0 ? 0 : Math.ceil(charactersIn(narrationOf(body)) / CHARACTERS_PER_SECOND))
}

/** What a video, or the draft of one, may be priced by. */
export function measuresOfVideo(body: WorkBody): Measures {
  const scenes = Array.isArray(body.scenes) ? body.scenes.length : 0
  return { video: 1, second: secondsOf(body), scene: Math.max(1, scenes), character: Math.max(1, charactersIn(narrationOf(body))) }
}

/** What a series may be priced by: as many videos as it has topics. */
export function measuresOfSeries(body: WorkBody): Measures {
  const videos = Math.max(1, Array.isArray(body.topics) ? body.topics.length : 0)
  return { video: videos, second: secondsOf(body) * videos }
}

/** What speech may be priced by. */
export function measuresOfSpeech({ text }: WorkBody): Measures {
  const characters = charactersIn(String(text))
  return { character: characters, second: Math.ceil(characters / CHARACTERS_PER_SECOND) }
}
