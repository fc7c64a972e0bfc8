/** How the text of a setting is read into its value. Each reader returns undefined for text that the setting may not be. */

import { isIP } from 'node:net'
import type { RateLimit } from './auth/rate-limiter.ts'
import type { Tax } from './core/invoice.ts'
import { type DialectName, INSTALLED_DIALECTS } from './http/dialects/installed.ts'
import { type Network, parseNetwork } from './webhooks/networks.ts'

/** Takes any text as it is. */
export const text = (text: string): string => text

/** Reads a whole number within bounds, which it may be as well. */
export function integer(min: number, max: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    return value >= min && value <= max ? value : undefined
  }
}

/** Reads one of some words. */
export function oneOf<Value extends string>(...values: readonly Value[]): (text: string) => Value | undefined {
  return (text) => values.find((value) => value === text)
}

/** Reads an http or https address; undefined: it is none. A slash at its end is left out. */
export function httpAddress(text: string): string | undefined {
  return /^https?:\/\//.test(text) && URL.canParse(text) ? text.replace(/\/+$/, '') : undefined
}

/** Reads `requests/seconds`. */
export function rateLimit(text: string): RateLimit | undefined {
  const [, requests, windowSeconds] = /^([1-9]\d{0,6})\/([1-9]\d{0,5})$/.exec(text) ?? []
  return requests !== undefined && windowSeconds !== undefined
    ? { requests: Number(requests), windowSeconds: Number(windowSeconds) }
    : undefined
}

/** The names of all dialects. */
export const DIALECT_NAMES = Object.keys(INSTALLED_DIALECTS) as readonly DialectName[]

function dialectName(text: string): DialectName | undefined {
  return DIALECT_NAMES.find((name) => name === text)
}

/** Reads names of dialects, separated by commas, each once; `off`: none. */
export function dialects(text: string): readonly DialectName[] | undefined {
  if (text === 'off') return []
  const names = text.split(',').map((name) => dialectName(name.trim()))
  return names.every((name) => name !== undefined) && new Set(names).size === names.length ? names : undefined
}

/** Reads pairs such as `audiopod:4101,evolink:4102`. */
export function ofDialects<Value>(parse: (text: string) => Value | undefined): (text: string) => readonly OfDialect<Value>[] | undefined {
  return (text) => {
    const pairs = text.split(',').map((pair) => {
      const [, name = '', rest = ''] = /^([^:]+):(.+)$/.exec(pair.trim()) ?? []
      const [dialect, value] = [dialectName(name), parse(rest)]
      return dialect === undefined || value === undefined ? undefined : { dialect, value }
    })
    return pairs.every((pair) => pair !== undefined) ? pairs : undefined
  }
}

/** Reads pairs such as `audiopod:api.example.com`, no host twice. */
export function dialectHosts(text: string): readonly OfDialect<string>[] | undefined {
  const hosts = ofDialects(hostName)(text)
  return new Set(hosts?.map(({ value }) => value)).size === hosts?.length ? hosts : undefined
}

/** What a setting says of one dialect. */
export interface OfDialect<Value> {
  readonly dialect: DialectName
  readonly value: Value
}

function hostName(text: string): string | undefined {
  return /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(text) ? text.toLowerCase() : undefined
}

/** Reads addresses and networks (`10.0.0.0/8`), separated by commas; undefined: one of them is none. */
export function networks(text: string): readonly string[] | undefined {
  const named = text.split(',').map((network) => network.trim())
  return named.every(isNetwork) ? named : undefined
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && (prefix === undefined ? bits > 0 : integer(1, bits)(prefix) !== undefined)
}

/** Reads one line that can be printed. */
export function line(maxLength: number): (text: string) => string | undefined {
  return (value) => (value.length <= maxLength && /^\P{Cc}*$/u.test(value) && value.trim() !== '' ? value.trim() : undefined)
}

const MAX_ADDRESS_LINES = 8

/** Reads the lines of an address, separated by `|`. */
export function lines(value: string): readonly string[] | undefined {
  const each = value.split('|').map(line(100))
  return each.length <= MAX_ADDRESS_LINES && each.every((one) => one !== undefined) ? each : undefined
}

/** Reads a tax's name and percentage, such as `VAT 23`. */
export function tax(value: string): Tax | undefined {
  const [, name, percent] = /^(\P{Cc}{1,40}?) +(\d{1,2}(?:\.\d{1,3})?) ?%?$/u.exec(value.trim()) ?? []
  return name === undefined || percent === undefined ? undefined : { name, percent }
}

/** Reads networks that webhooks may be sent to, separated by commas. */
export function internalNetworks(text: string): readonly Network[] | undefined {
  const networks = text.split(',').map((part) => parseNetwork(part.trim()))
  return networks.every((network) => network !== undefined) ? networks : undefined
}

/** Reads the address of an SMTP server, with a name and password or without; undefined: it is none. */
export function smtpAddress(text: string): string | undefined {
  if (!/^smtps?:\/\/[^/?#]+\/?$/.test(text) || !URL.canParse(text)) return undefined
  const { hostname, username, password } = new URL(text)
  return hostname !== '' && (username === '') === (password === '') ? text : undefined
}
