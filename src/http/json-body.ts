/** Reads JSON bodies without letting a number lose digits on the way. */

import { ProblemError } from './problems.ts'

/** A number of 16 characters or more, or with an exponent, may have digits that a JavaScript number cannot keep. */
const RISKY_NUMBER = /[[:,]\s*-?\d(?:[\d.]{15}|[\d.]*[eE])/
/** An own `__proto__` key is harmless until someone copies the object, and half a character until someone stores it; nobody needs one. */
const RISKY_TEXT = /__proto__|\\u(?:005f|d[89a-f])/i

/** Parses a body. Throws invalid_json. */
export function parseJson(text: string): unknown {
  try {
    if (RISKY_TEXT.test(text) || RISKY_NUMBER.test(text)) return JSON.parse(text, checkValue)
    return JSON.parse(text)
  } catch (cause) {
    throw cause instanceof ProblemError ? cause : notJson(cause)
  }
}

function notJson(cause: unknown): ProblemError {
  const reason = cause instanceof Error ? cause.message : 'it cannot be read'
  return new ProblemError('invalid_json', `The body is not JSON: ${reason}.`, {}, { cause })
}

function checkValue(name: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (name === '__proto__') throw new ProblemError('invalid_json', 'The body has a field named __proto__.')
  if (!name.isWellFormed() || (typeof value === 'string' && !value.isWellFormed()))
    throw new ProblemError('invalid_request', 'The body has half of a character: a surrogate without its other half.')
  if (typeof value === 'number' && context?.source !== undefined && !isExact(value, context.source)) {
    throw new ProblemError(
      'invalid_json',
      `The number ${context.source.slice(0, 60)} has more digits than JSON readers keep. Write it as a string.`,
    )
  }
  return value
}

/** Longest number that is looked at. */
const MAX_NUMBER_LENGTH = 100

/** Whether a number's own text says the same as the one that was sent. */
function isExact(value: number, source: string): boolean {
  return source.length <= MAX_NUMBER_LENGTH && Number.isFinite(value) && normalized(String(value)) === normalized(source)
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** A number as its digits without zeros around them, and the power of ten of the last: `-1.50e3` is `-15e2`. */
function normalized(text: string): string {
  const [, sign = '', whole = '', decimals = '', exponent = '0'] = NUMBER.exec(text) ?? []
  const digits = `${whole}${decimals}`
  const significant = digits.replace(/0+$/, '')
  const power = Number(exponent) - decimals.length + digits.length - significant.length
  const bare = significant.replace(/^0+/, '')
  return bare === '' ? '0' : `${sign}${bare}e${power}`
}
