-- The ledger. `journal` is the truth; every table below the line is derived from it, written back in sweeps and rebuilt from the
-- journal's tail after a crash.

-- Values that the server keeps for itself.
create table settings (
  name text primary key,
  value text not null
) strict, without rowid;

-- What happened, one row per record, in commit order. Appending is the only write that a charge waits for.
create table journal (
  position integer primary key,
  account integer not null,
  seq integer not null check (seq > 0),
  at_ms integer not null,
  kind text not null,
  key_hash text check (length(key_hash) = 22),
  fingerprint text check (length(fingerprint) = 22),
  hash text not null check (length(hash) = 43),
  body text not null
) strict;

create trigger journal_rows_are_never_changed before update on journal
begin
  select raise(abort, 'the journal is append-only');
end;

create trigger journal_rows_are_never_deleted before delete on journal
begin
  select raise(abort, 'the journal is append-only');
end;

-- Published price books, never edited.
create table price_books (
  version integer primary key,
  effective_at_ms integer not null,
  published_at_ms integer not null,
  prices text not null,
  key_hash text unique,
  fingerprint text
) strict;

-- Accounts and API keys: written with their records, because external ids and secrets must be unique at once. An account's
-- `position` is that of its first record: accounts are listed in the order in which they were opened.
create table accounts (
  number integer primary key check (number between 0 and 1099511627775),
  name text not null,
  external_id text unique,
  metadata text not null,
  capture_policy text check (capture_policy in ('reject', 'cap', 'overdraft')),
  status text not null check (status in ('active', 'suspended')),
  created_at_ms integer not null,
  position integer not null unique
) strict;

create table api_keys (
  account integer not null,
  seq integer not null,
  previous_until_ms integer,
  hint text not null,
  terms text not null,
  created_at_ms integer not null,
  revoked_at_ms integer,
  last_used_at_ms integer,
  primary key (account, seq)
) strict, without rowid;

-- Every secret that a key ever had; those before the last rotation work until then at most.
create table key_secrets (
  hash text primary key,
  account integer not null,
  key integer not null,
  until_ms integer
) strict, without rowid;

create index key_secrets_of_key on key_secrets (account, key);

-- Written back in sweeps ---------------------------------------------------------------------------------------------------

-- One compact row per account: what its records fold to, up to and including `seq`.
create table account_states (
  account integer primary key,
  seq integer not null,
  hash text not null,
  state text not null
) strict;

-- When each account next changes by time alone. Its own table, so that a state row moves no index entry.
create table due_accounts (
  due_ms integer not null,
  account integer not null,
  primary key (due_ms, account)
) strict, without rowid;

-- Serves an account's history and lookups by id: ids carry account and sequence.
create table account_records (
  account integer not null,
  seq integer not null,
  position integer not null,
  primary key (account, seq)
) strict, without rowid;

-- Serves idempotency: a prefix of the key's hash leads to the rows that may bear it.
create table idempotency_keys (
  prefix integer not null,
  position integer not null,
  primary key (prefix, position)
) strict, without rowid;

-- Hours that are over. The open hour is in the account's state; parts of one hour add up. Key 0: no key. Sums of credits are texts:
-- they may pass what a 64-bit integer holds.
create table rollups (
  account integer not null,
  hour_ms integer not null,
  operation text not null,
  key integer not null,
  credit_type text not null,
  charges integer not null,
  credits text not null,
  refunds integer not null,
  refunded text not null,
  quantities text not null,
  primary key (account, hour_ms, operation, key, credit_type)
) strict, without rowid;

create table grants (
  account integer not null,
  seq integer not null,
  status text not null check (status in ('open', 'spent', 'expired', 'voided')),
  primary key (account, seq)
) strict, without rowid;

create table holds (
  account integer not null,
  seq integer not null,
  status text not null check (status in ('live', 'captured', 'released', 'expired')),
  credits integer not null check (credits >= 0),
  held integer not null check (held >= 0),
  expires_at_ms integer not null,
  late_charge integer,
  primary key (account, seq)
) strict, without rowid;

create table refunds (
  account integer not null,
  charge integer not null,
  refunded integer not null check (refunded > 0),
  primary key (account, charge)
) strict, without rowid;
