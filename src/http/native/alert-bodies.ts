/** Alerts as the API shows them: whole, in short beside a balance, and as news in a record of the journal. */

import { type Static, Type } from 'typebox'
import type { AlertLevel, AlertNews, AlertWatch } from '../../core/alert.ts'
import { formatCredits } from '../../core/credits.ts'
import { accountId, objectId } from '../../core/ids.ts'
import type { AlertView } from '../../operations/alerts.ts'
import { Amount, decimalOut, NullableAmount, NullableTime, nullable, Time } from './schemas.ts'
import { nullableAmountOut, nullableTimeOut, timeOut } from './values.ts'

const WATCHES = ['balance', 'daily_spend', 'key_budget'] as const satisfies readonly AlertWatch['of'][]
const LEVELS = ['warning', 'critical'] as const satisfies readonly AlertLevel[]

/** What an alert watches. */
export const Watch = Type.Unsafe<AlertWatch['of']>({
  type: 'string',
  enum: [...WATCHES],
  description:
    '`balance`: what the account has of a credit type, but for what disputes have frozen; `daily_spend`: what is charged of it in a day; `key_budget`: what is charged to a key in the period of its budget.',
})

/** How much an alert matters. */
export const Level = Type.Unsafe<AlertLevel>({ type: 'string', enum: [...LEVELS], description: 'Default `warning`.' })

const WATCHED = {
  watch: Watch,
  level: Level,
  credit_type: nullable<string>('string', 'Null: it watches a key.'),
  key: nullable<string>('string', 'Id of the key whose budget it watches.'),
}

const STATE = {
  status: Type.Unsafe<'armed' | 'fired'>({
    type: 'string',
    enum: ['armed', 'fired'],
    description: '`fired`: it has told of a crossing, and is not armed again yet.',
  }),
  current: nullable<string>('string', 'What it watches, in credits; null: there is nothing to compare.', 'decimal'),
  fires_at: nullable<string>('string', 'What its threshold comes to, in credits; null: as above.', 'decimal'),
  fired_at: NullableTime,
}

/** An alert. */
export const AlertBody = Type.Object(
  {
    object: Type.Literal('alert'),
    id: Type.String(),
    account: Type.String(),
    name: Type.String(),
    ...WATCHED,
    time_zone: nullable<string>('string', 'Of a `daily_spend`: whose days count.'),
    threshold: NullableAmount,
    threshold_percent: nullable<number>('integer', 'Null: the threshold is an amount.'),
    email_owners: Type.Boolean(),
    email_to: Type.Array(Type.String()),
    ...STATE,
    created_at: Time,
  },
  { title: 'Alert', description: 'Somebody wants to be told of something before it matters.' },
)

/** An alert beside a balance. */
export const AlertState = Type.Object({ alert: Type.String(), ...WATCHED, ...STATE }, { title: 'AlertState' })

/** What a record tells of an alert. */
export const AlertNewsBody = Type.Object(
  {
    alert: Type.String(),
    turn: Type.Unsafe<AlertNews['turn']>({ type: 'string', enum: ['fired', 'recovered'] }),
    ...WATCHED,
    current: decimalOut('What it watches, in credits.'),
    fires_at: Amount,
  },
  { title: 'AlertNews' },
)

function watchedOut(account: number, watch: AlertWatch, level: AlertLevel) {
  const isOfKey = watch.of === 'key_budget'
  return {
    watch: watch.of,
    level,
    credit_type: isOfKey ? null : watch.creditType,
    key: isOfKey ? objectId('key', account, watch.key) : null,
  }
}

function stateOut({ alert: { fired }, isFired, reading }: AlertView) {
  return {
    status: isFired ? ('fired' as const) : ('armed' as const),
    current: reading && formatCredits(reading.credits),
    fires_at: reading && formatCredits(reading.threshold),
    fired_at: nullableTimeOut(isFired && fired ? fired.atMs : null),
  }
}

/** Writes an alert. */
export function renderAlert(view: AlertView): Static<typeof AlertBody> {
  const { account, alert } = view
  const { seq, watch, terms, createdAtMs } = alert
  const { threshold } = terms
  return {
    object: 'alert',
    id: objectId('alert', account, seq),
    account: accountId(account),
    name: terms.name,
    ...watchedOut(account, watch, terms.level),
    time_zone: watch.of === 'daily_spend' ? watch.timeZone : null,
    threshold: nullableAmountOut(threshold.in === 'credits' ? threshold.credits : null),
    threshold_percent: threshold.in === 'percent' ? threshold.percent : null,
    email_owners: terms.emailOwners,
    email_to: [...terms.emailTo],
    ...stateOut(view),
    created_at: timeOut(createdAtMs),
  }
}

/** Writes an alert as it is shown beside a balance. */
export function renderAlertState(view: AlertView): Static<typeof AlertState> {
  const { account, alert } = view
  return { alert: objectId('alert', account, alert.seq), ...watchedOut(account, alert.watch, alert.terms.level), ...stateOut(view) }
}

/** Writes what a record tells of an alert. */
export function renderAlertNews(account: number, { alert, turn, watch, level, credits, threshold }: AlertNews) {
  return {
    alert: objectId('alert', account, alert),
    turn,
    ...watchedOut(account, watch, level),
    current: formatCredits(credits),
    fires_at: formatCredits(threshold),
  }
}
