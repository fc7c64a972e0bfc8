/** Compares what a page shows of an answer with the answer. */

/** Stands for whatever a page leaves out: the rest of a text, other fields, further items. */
const REST = '…'

/**
 * Where an answer is not as it is shown; empty: it is. Fields that are not shown may only be there if the page says so (`"…": "…"`),
 * so that no page shows half an answer as if it were all of it.
 */
export function differences(shown: unknown, actual: unknown, at = 'the answer'): readonly string[] {
  if (typeof shown === 'string') return differentText(shown, actual, at)
  if (Array.isArray(shown)) return differentList(shown, actual, at)
  if (typeof shown === 'object' && shown !== null) return differentObject(shown, actual, at)
  return shown === actual ? [] : [`${at} is ${JSON.stringify(actual)}, not ${JSON.stringify(shown)}`]
}

function differentText(shown: string, actual: unknown, at: string): readonly string[] {
  const pattern = shown
    .split(REST)
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('.*')
  const isSame = typeof actual === 'string' && new RegExp(`^${pattern}$`, 's').test(actual)
  return isSame ? [] : [`${at} is ${JSON.stringify(actual)}, not ${JSON.stringify(shown)}`]
}

function differentList(shown: readonly unknown[], actual: unknown, at: string): readonly string[] {
  if (!Array.isArray(actual)) return [`${at} is no list`]
  const isOpen = shown.at(-1) === REST
  const items = isOpen ? shown.slice(0, -1) : shown
  if (isOpen ? actual.length < items.length : actual.length !== items.length)
    return [`${at} has ${actual.length} items, not ${items.length}`]
  return items.flatMap((item, index) => differences(item, actual[index], `${at}[${index}]`))
}

function differentObject(shown: object, actual: unknown, at: string): readonly string[] {
  if (typeof actual !== 'object' || actual === null) return [`${at} is ${JSON.stringify(actual)}, not an object`]
  const fields = Object.entries(shown).filter(([name]) => name !== REST)
  const missing = fields.filter(([name]) => !(name in actual)).map(([name]) => `${at} has no ${name}`)
  const known = fields.filter(([name]) => name in actual)
  const unshown = REST in shown ? [] : Object.keys(actual).filter((name) => !(name in shown))
  return [
    ...missing,
    ...known.flatMap(([name, value]) => differences(value, (actual as Record<string, unknown>)[name], `${at}.${name}`)),
    ...unshown.map((name) => `${at} also has ${name}, which is not shown: show it, or end with "…": "…"`),
  ]
}
