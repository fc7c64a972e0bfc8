/** The hash chain over each account's records, and the hashes that name requests. */

import { hash } from 'node:crypto'
import type { JournalRow } from '../core/record-codec.ts'

/** What a journal row is chained over, besides the hash before it. */
export interface ChainedRow extends JournalRow {
  readonly keyHash: string | null
  readonly fingerprint: string | null
}

/** The hash before an account's first record: it ties the chain to its account. */
export function genesisHash(account: number): string {
  return hash('sha256', `obol journal 1 account ${account}`, 'base64url')
}

/**
 * The hash of a record: SHA-256, base64url, over the hash before it and every stored field. Fields before the body hold no
 * line breaks and the body comes last, so no two different rows give the same text.
 */
export function chainHash(previous: string, { seq, atMs, kind, keyHash, fingerprint, body }: ChainedRow): string {
  return hash('sha256', `${previous}\n${seq}\n${atMs}\n${kind}\n${keyHash ?? ''}\n${fingerprint ?? ''}\n${body}`, 'base64url')
}

/** Characters of a SHA-256 in base64url that name a request: 132 bits. */
const REQUEST_HASH_LENGTH = 22

/**
 * The hash by which an idempotency key is known. Keys are an account's own; those of what a provider says are in a scope of their own,
 * where no caller can take them first. The items of a batch are told apart by their
 * number; the first shares its hash with a request that is no batch, so that one key cannot serve both.
 */
export function keyHash(scope: number | `provider:${number}` | 'prices' | 'accounts', key: string, item = 0): string {
  const text = item === 0 ? `${scope}:${key}` : `${scope}#${item}:${key}`
  return hash('sha256', text, 'base64url').slice(0, REQUEST_HASH_LENGTH)
}

/** The hash of what was asked: method, path and body. */
export function fingerprintOf(method: string, path: string, canonicalBody: string): string {
  return hash('sha256', `${method}\n${path}\n${canonicalBody}`, 'base64url').slice(0, REQUEST_HASH_LENGTH)
}
