/** Money: integers of the minor unit of a lower-case ISO 4217 currency. */

/** Currencies whose minor unit is not a hundredth. Krónur and Ugandan shillings have none by now, and providers count in hundredths of them all the same. */
const DIGITS: Readonly<Record<string, number>> = {
  bif: 0,
  clp: 0,
  djf: 0,
  gnf: 0,
  jpy: 0,
  kmf: 0,
  krw: 0,
  mga: 0,
  pyg: 0,
  rwf: 0,
  vnd: 0,
  vuv: 0,
  xaf: 0,
  xof: 0,
  xpf: 0,
  bhd: 3,
  iqd: 3,
  jod: 3,
  kwd: 3,
  lyd: 3,
  omr: 3,
  tnd: 3,
}

const HUNDREDTHS = 2

/** Digits after the point of a currency: `10^digits` minor units are one unit. */
export function minorDigits(currency: string): number {
  return Object.hasOwn(DIGITS, currency) ? (DIGITS[currency] ?? HUNDREDTHS) : HUNDREDTHS
}

/** Writes an amount of money for people: `12.50 EUR`, `1200 JPY`. */
export function formatMoney(amountMinor: number, currency: string): string {
  return `${writtenOut(amountMinor, currency)} ${currency.toUpperCase()}`
}

function writtenOut(amountMinor: number, currency: string): string {
  const digits = minorDigits(currency)
  const text = String(Math.abs(amountMinor)).padStart(digits + 1, '0')
  const written = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
  return `${amountMinor < 0 ? '-' : ''}${written}`
}

/** Writes an amount of money as a decimal in its shortest form: `12.5`, `1200`. */
export function moneyText(amountMinor: number, currency: string): string {
  return writtenOut(amountMinor, currency)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
}

const MONEY = /^(\d{1,12})(?:\.(\d{1,20}))?$/

/** Reads a decimal amount of money as minor units; undefined: it is none, or has a part of the smallest coin. */
export function parseMoney(text: string, currency: string): number | undefined {
  const [, whole, fraction = ''] = MONEY.exec(text) ?? []
  const digits = minorDigits(currency)
  const coins = fraction.replace(/0+$/, '')
  if (whole === undefined || coins.length > digits) return undefined
  return Number(`${whole}${coins.padEnd(digits, '0')}`)
}
