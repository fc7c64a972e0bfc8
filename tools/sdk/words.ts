/** Names in the ways of each language. */

/** `price_books` is `priceBooks`. */
export function camel(name: string): string {
  return name.replace(/[_-](\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** `price_books` is `PriceBooks`. */
export function pascal(name: string): string {
  const text = camel(name)
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** `CreditTypeCredits` is `Credit type credits.` */
export function sentences(name: string): string {
  const words = name.replace(/(?<!^)([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)
  return `${words}.`
}
