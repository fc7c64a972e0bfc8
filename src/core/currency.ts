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
  const digits = minorDigits(currency)
  const text = String(Math.abs(amountMinor)).padStart(digits + 1, '0')
  const written = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`
  return `${amountMinor < 0 ? '-' : ''}${written} ${currency.toUpperCase()}`
}
