/** Times as these products write them: RFC 3339 in UTC, whole seconds. */

import { Type } from 'typebox'

/** Writes a time: `2024-01-15T10:30:00Z`. */
export function timeOut(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** A time of the answer's schema. */
export const Time = Type.String({ format: 'date-time', examples: ['2024-01-15T10:30:00Z'] })
