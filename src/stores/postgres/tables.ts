/** The tables of a store by how they can be spread over nodes. The migrations say what each is for. */

/** Tables that belong to the ledger: each begins its keys with the bucket, and each statement on it names its buckets. */
export const LEDGER_TABLES = [
  'journal',
  'account_states',
  'accounts',
  'api_keys',
  'grants',
  'holds',
  'refunds',
  'purchases',
  'subscriptions',
  'auto_topups',
  'rollups',
  'batches',
] as const

/** Directories whose rows are committed together with those of the ledger, wherever these are. */
export const SHARED_DIRECTORIES = ['key_secrets', 'external_ids', 'opening_keys'] as const

/** Tables that no commit to the ledger touches. */
export const OWN_TABLES = ['feed', 'feed_head', 'price_books', 'settings', 'schema_version', 'claims'] as const

/** What has to change before the ledger can be distributed: a unique key has to have its bucket in it, for only one node looks. */
export const MADE_DISTRIBUTABLE = `drop index journal_keys;
  create unique index journal_keys on journal (bucket, key_hash) where key_hash is not null`

/** The name of the setting of a store whose ledger is distributed: since when. */
export const DISTRIBUTED = 'distributed'
