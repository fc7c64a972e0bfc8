/** What work is answered with when no handler does it: samples that have the product's shape, and say that they are samples. */

import { type TProperties, type TSchema, Type } from 'typebox'
import type { WorkBody } from './measures.ts'

/** What a sample is made from. */
export interface SampleFacts {
  readonly id: string
  readonly account: string
  readonly createdAt: string
}

/** An answer to work. */
export interface WorkAnswer {
  readonly schema: TSchema
  readonly sample: (body: WorkBody, facts: SampleFacts) => unknown
}

const NOTE = 'This is a sample. The credits were charged, and nothing was made: this server has no handler for the work.'

/** In every sample that is an object. */
const SAMPLE = { sample: true, note: NOTE } as const

const SAMPLE_FIELDS = {
  sample: Type.Optional(Type.Literal(true, { description: 'Nothing was made.' })),
  note: Type.Optional(Type.String()),
} as const

function textIn(body: WorkBody, field: string, otherwise: string): string {
  const value = body[field]
  return typeof value === 'string' ? value : otherwise
}

/** A handler may answer with more than clients need. */
function openObject(fields: TProperties): TSchema {
  return Type.Object(fields, { additionalProperties: true })
}

function nullableText(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], description })
}

/** A video that is to be rendered. */
export const VIDEO: WorkAnswer = {
  schema: openObject({
    id: Type.String(),
    title: Type.String(),
    caption: Type.String(),
    created_at: Type.String({ format: 'date-time' }),
    series_id: Type.String(),
    publishing_state: Type.String({ examples: ['pending'] }),
    publish_at: nullableText('When it will be published; null: not.'),
    ...SAMPLE_FIELDS,
  }),
  sample: (body, { id, createdAt }) => ({
    id,
    title: textIn(body, 'title', 'Sample video'),
    caption: textIn(body, 'caption', NOTE),
    created_at: createdAt,
    updated_at: createdAt,
    series_id: id,
    publishing_state: 'skipped',
    publish_at: body.publish_at ?? null,
    ...SAMPLE,
  }),
}

/** An image. */
export const IMAGE: WorkAnswer = {
  schema: openObject({
    id: Type.String(),
    url: nullableText('Where it is; null: not made yet.'),
    type: Type.String(),
    state: Type.String({ examples: ['pending', 'placeholder'] }),
    created_at: Type.String({ format: 'date-time' }),
    prompt: Type.String(),
    is_nsfw: Type.Boolean(),
    ...SAMPLE_FIELDS,
  }),
  sample: (body, { id, createdAt }) => ({
    id,
    url: null,
    type: 'GeneratedImage',
    state: 'placeholder',
    created_at: createdAt,
    updated_at: createdAt,
    prompt: textIn(body, 'prompt', ''),
    is_nsfw: false,
    aspect_ratio: body.aspect_ratio ?? '9:16',
    image_style_id: body.image_style_id ?? null,
    ...SAMPLE,
  }),
}

/** Speech. */
export const SPEECH: WorkAnswer = {
  schema: openObject({
    id: Type.String(),
    created_at: Type.String({ format: 'date-time' }),
    url: nullableText('Where it is; null: not made yet.'),
    user_id: Type.String(),
    state: Type.String({ examples: ['pending'] }),
    text: Type.String(),
    voice: openObject({ id: Type.String(), name: Type.String() }),
    ...SAMPLE_FIELDS,
  }),
  sample: (body, { id, account, createdAt }) => ({
    id,
    created_at: createdAt,
    updated_at: createdAt,
    url: null,
    user_id: account,
    state: 'pending',
    text: textIn(body, 'text', ''),
    voice: {
      id: textIn(body, 'voice_id', 'sample'),
      name: 'Sample',
      description: NOTE,
      tags: null,
      preview_url: null,
      locale: null,
      source: 'OpenAI',
    },
    ...SAMPLE,
  }),
}

const DRAFT_FIELDS = { title: Type.String(), caption: Type.String() } as const

/** A video that is written and not rendered. */
export const DRAFT: WorkAnswer = {
  schema: openObject({
    ...DRAFT_FIELDS,
    scenes: Type.Array(openObject({ caption: Type.String() })),
    ...SAMPLE_FIELDS,
  }),
  sample: (body) => ({
    title: textIn(body, 'topic', 'Sample draft'),
    caption: NOTE,
    scenes: [{ title: 'Sample scene', caption: textIn(body, 'script', 'A sample scene.'), first_image_description: 'A sample image.' }],
    ...SAMPLE,
  }),
}

/** A quiz that is written and not rendered. */
export const QUIZ_DRAFT: WorkAnswer = {
  schema: openObject({ ...DRAFT_FIELDS, quiz: openObject({}), ...SAMPLE_FIELDS }),
  sample: (body) => ({
    title: textIn(body, 'topic', 'Sample quiz'),
    caption: NOTE,
    quiz: {
      questions: [
        {
          question: 'Is this a sample?',
          options: [
            { text: 'Yes', correct: true },
            { text: 'No', correct: false },
          ],
        },
      ],
      results: { header: 'Sample', explanation: NOTE, categories: [{ score_range: '0-1', title: 'Sample' }] },
    },
    ...SAMPLE,
  }),
}

/** Topics, as a bare list: that they are samples stands in each of them. */
export const TOPICS: WorkAnswer = {
  schema: Type.Array(Type.String()),
  sample: ({ parent_topic: parent }) => [`Sample topic: ${typeof parent === 'string' ? parent : 'anything'}`],
}

/** A series of videos. */
export const SERIES: WorkAnswer = {
  schema: openObject({
    id: Type.String(),
    created_at: Type.String({ format: 'date-time' }),
    next_posting_at: nullableText('When its next video will be published; null: not.'),
    type: Type.String(),
    aspect_ratio: Type.String(),
    locale: Type.String(),
    ...SAMPLE_FIELDS,
  }),
  sample: (body, { id, createdAt }) => ({
    id,
    created_at: createdAt,
    updated_at: createdAt,
    next_posting_at: null,
    type: 'Series',
    schedule: null,
    name: textIn(body, 'parent_topic', 'Sample series'),
    aspect_ratio: body.aspect_ratio ?? '9:16',
    soundtrack_behavior: 'FullMusic',
    // Clients know `auto` in requests only.
    locale: textIn(body, 'locale', 'auto') === 'auto' ? 'en-US' : body.locale,
    soundtrack: { tracks: [], recommendations: [], playback_rate: 100, volume: 100 },
    styles: null,
    image_style: {},
    voice: { voices: [], playback_rate: 100, volume: 100 },
    connections: [],
    ...SAMPLE,
  }),
}
