/** Every dialect, by the name that is its path prefix. Deleting one is deleting its folder and its line here. */

import type { Dialect } from './dialect.ts'

/** They are loaded when they are switched on. */
export const INSTALLED_DIALECTS = {
  shortgenius: async () => (await import('./shortgenius/shortgenius.ts')).shortgenius,
  audiopod: async () => (await import('./audiopod/audiopod.ts')).audiopod,
  videodb: async () => (await import('./videodb/videodb.ts')).videodb,
  evolink: async () => (await import('./evolink/evolink.ts')).evolink,
} as const satisfies Readonly<Record<string, () => Promise<Dialect>>>

/** The name of a dialect. */
export type DialectName = keyof typeof INSTALLED_DIALECTS
