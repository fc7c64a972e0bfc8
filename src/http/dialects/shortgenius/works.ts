/** What costs credits at ShortGenius: each request, the operation that prices it, and how much of it there is. */

import { type TSchema, Type } from 'typebox'
import { DRAFT, IMAGE, QUIZ_DRAFT, SERIES, SPEECH, TOPICS, VIDEO, type WorkAnswer } from './answers.ts'
import { type Measures, measuresOfSeries, measuresOfSpeech, measuresOfVideo, type WorkBody } from './measures.ts'

/** A request that costs credits. */
export interface Work {
  /** Below `/v1`. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  /** What the price book calls it. */
  readonly operation: string
  /** What is looked at here; other fields are the handler's. */
  readonly body: TSchema
  readonly measure: (body: WorkBody) => Measures
  readonly answer: WorkAnswer
}

/** Seconds: clients write them as a number or, for drafts, as a text. */
const Duration = Type.Optional(
  Type.Unsafe<number | string>({
    type: ['number', 'string'],
    minimum: 1,
    maximum: 86_400,
    pattern: '^[1-9]\\d{0,4}$',
    description: 'Seconds. Without it: as long as the narration takes.',
  }),
)
const Scenes = Type.Optional(
  Type.Array(Type.Object({ caption: Type.Optional(Type.String({ description: 'What is narrated.' })) }, { additionalProperties: true })),
)
const VideoIn = Type.Object({ duration: Duration, scenes: Scenes }, { additionalProperties: true })
const ScriptIn = Type.Object({ script: Type.String({ minLength: 1 }) }, { additionalProperties: true })
const AnythingIn = Type.Object({}, { additionalProperties: true })
const SpeechIn = Type.Object({ text: Type.String({ minLength: 1, description: 'What is said.' }) }, { additionalProperties: true })
const SeriesIn = Type.Object(
  { duration: Duration, topics: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 1_000 })) },
  { additionalProperties: true },
)
const TopicsIn = Type.Object(
  { number_of_topics: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) },
  { additionalProperties: true },
)

/** Topics of a request that does not say. */
const DEFAULT_TOPICS = 10

const draft = { operation: 'video.draft', body: VideoIn, measure: measuresOfVideo, answer: DRAFT } as const

export const WORKS: readonly Work[] = [
  { ...draft, path: '/videos/drafts', operationId: 'draftVideo', summary: 'Draft video' },
  { ...draft, path: '/videos/drafts/url', operationId: 'draftVideoFromUrl', summary: 'Draft video from URL' },
  { ...draft, path: '/videos/drafts/script', operationId: 'draftVideoFromScript', summary: 'Draft video from script', body: ScriptIn },
  { ...draft, path: '/videos/drafts/news', operationId: 'draftNewsVideo', summary: 'Draft news video' },
  { ...draft, path: '/videos/drafts/quiz', operationId: 'draftQuizVideo', summary: 'Draft quiz video', answer: QUIZ_DRAFT },
  {
    path: '/videos',
    operationId: 'createVideo',
    summary: 'Create video',
    operation: 'video.create',
    body: VideoIn,
    measure: measuresOfVideo,
    answer: VIDEO,
  },
  {
    path: '/videos/topics',
    operationId: 'generateVideoTopics',
    summary: 'Generate video topics',
    operation: 'video.topics',
    body: TopicsIn,
    measure: ({ number_of_topics: count = DEFAULT_TOPICS }) => ({ topic: Number(count) }),
    answer: TOPICS,
  },
  {
    path: '/series',
    operationId: 'createSeries',
    summary: 'Create series',
    operation: 'series.create',
    body: SeriesIn,
    measure: measuresOfSeries,
    answer: SERIES,
  },
  {
    path: '/images',
    operationId: 'createImage',
    summary: 'Create image',
    operation: 'image.create',
    body: AnythingIn,
    measure: () => ({ image: 1 }),
    answer: IMAGE,
  },
  {
    path: '/audio/speech',
    operationId: 'createSpeech',
    summary: 'Create speech',
    operation: 'speech.create',
    body: SpeechIn,
    measure: measuresOfSpeech,
    answer: SPEECH,
  },
]
