/** What an e-mail about alerts says. */

import type { AlertNews } from '../core/alert.ts'
import { formatCredits } from '../core/credits.ts'
import { objectId } from '../core/ids.ts'
import type { JournalRecord } from '../core/record.ts'
import type { Letter } from './smtp.ts'

/** What there is to tell of, and to whom. */
export interface AlertLetter {
  readonly account: { readonly number: number; readonly name: string }
  readonly record: JournalRecord
  readonly recipient: string
  /** Where credits are bought; null: nowhere that Obol knows. */
  readonly topUpUrl: string | null
}

/** The alerts that a record has made fire, those that matter most first. */
export function firedBy({ alerts = [] }: JournalRecord): readonly AlertNews[] {
  const fired = alerts.filter(({ turn }) => turn === 'fired')
  return [...fired.filter(({ level }) => level === 'critical'), ...fired.filter(({ level }) => level === 'warning')]
}

/** Writes the letter; undefined: there is nothing to tell of. */
export function alertLetter({ account, record, recipient, topUpUrl }: AlertLetter): Letter | undefined {
  const fired = firedBy(record)
  const [first] = fired
  if (!first) return undefined
  const name = oneLine(account.name)
  const lines = fired.map((news) => `- ${first.level === news.level ? '' : `${news.level}: `}${sentence(account.number, news)}`)
  const text = [
    `Account ${name}, at ${new Date(first.atMs).toISOString()}:`,
    '',
    ...lines,
    ...(topUpUrl === null ? [] : ['', `Credits: ${topUpUrl}`]),
    '',
  ].join('\n')
  return { id: `${objectId('evt', account.number, record.seq)}.alerts`, to: recipient, subject: `${titleOf(first)}: ${name}`, text }
}

function titleOf({ level, watch }: AlertNews): string {
  const what = { balance: 'credits are low', daily_spend: 'spending is high', key_budget: "a key's budget is low" }[watch.of]
  return `${level === 'critical' ? 'Critical' : 'Warning'}: ${what}`
}

function sentence(account: number, { watch, credits, threshold }: AlertNews): string {
  const [now, at] = [formatCredits(credits), formatCredits(threshold)]
  switch (watch.of) {
    case 'balance':
      return `${now} ${watch.creditType} are left (alert at ${at})`
    case 'daily_spend':
      return `${now} ${watch.creditType} were spent today, ${watch.timeZone} (alert at ${at})`
    case 'key_budget':
      return `${now} credits of the budget of ${objectId('key', account, watch.key)} are spent (alert at ${at})`
  }
}

/** What somebody named an account must not begin a line of its own. */
function oneLine(name: string): string {
  return name
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 100)
}
