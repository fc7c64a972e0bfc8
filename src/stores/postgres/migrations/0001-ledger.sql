-- The ledger on PostgreSQL: a journal that is only ever appended to, one compact state per account, and tables that are derived.
--
-- Ledger tables begin with `bucket`, the account's number modulo 256: numbers are random, so buckets are even. Every statement on
-- them names its buckets, and every primary key begins with it, so that the tables can be distributed by it. What has to be found without
-- knowing an account, or is small, is in directories, which have no bucket. Order is never a database sequence nor now(): within an
-- account it is `seq`, given out by the version-checked write of the account's state; over all accounts it is `feed.last_position`,
-- given to committed batches by one claimed numberer. Amounts of an account fit 64 bits; sums of all time do not.

-- The ledger ---------------------------------------------------------------------------------------------------------------

-- One row per commit. `id` is made by the process that writes: with it an outcome that was lost on the way is found out, and a
-- commit that is given up is kept from ever happening.
create table batches (
  bucket smallint not null,
  id uuid not null,
  -- Orders batches that wait for their positions as they follow from each other.
  tick bigint not null,
  -- The latest time of its records.
  at_ms bigint not null,
  -- Accounts whose states were to be moved on, and those that were: a stale one fails the whole commit.
  states integer not null,
  moved integer not null,
  -- Its records, in the order in which they were decided; none: the batch was given up.
  accounts bigint[] not null,
  seqs bigint[] not null,
  -- Whether it has its place in the feed. One that has may still say no, for a moment.
  is_numbered boolean not null default false,
  primary key (bucket, id),
  constraint batches_on_stale_states check (moved = states),
  constraint batches_records check (cardinality(accounts) = cardinality(seqs))
);
-- The numberer finds batches that wait for their place.
create index batches_waiting on batches (tick, id) where not is_numbered and seqs <> '{}';

create table journal (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null check (seq > 0),
  at_ms bigint not null,
  kind text not null,
  key_hash text collate "C" check (length(key_hash) = 22),
  fingerprint text collate "C" check (length(fingerprint) = 22),
  hash text collate "C" not null check (length(hash) = 43),
  body text not null,
  primary key (bucket, account, seq)
);
-- A key is its account's own, and names one record; it is looked for in its bucket. Those of openings are found by the directory
-- opening_keys. The one unique key without its bucket: with it, charges took a twentieth longer. It gets it when the table is distributed.
create unique index journal_keys on journal (key_hash) where key_hash is not null;

create function journal_is_append_only() returns trigger language plpgsql as
$$ begin raise exception 'the journal is append-only'; end $$;
create trigger journal_rows_are_never_changed before update or delete or truncate on journal
  for each statement execute function journal_is_append_only();

-- What decisions are made from. A write names the hash that it follows from.
create table account_states (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  hash text collate "C" not null,
  tick bigint not null,
  due_ms bigint,
  state text not null,
  primary key (bucket, account)
) with (fillfactor = 70);
-- Background work asks what is due.
create index account_states_due on account_states (due_ms) where due_ms is not null;

-- Texts that people write are kept as JSON: it can hold what a PostgreSQL text cannot.
create table accounts (
  bucket smallint not null,
  number bigint not null check (number between 0 and 1099511627775),
  name text not null,
  external_id text collate "C",
  metadata text not null,
  capture_policy text check (capture_policy in ('reject', 'cap', 'overdraft')),
  status text not null check (status in ('active', 'suspended')),
  created_at_ms bigint not null,
  -- Order of opening: the batch's tick, and the place in it.
  opened_tick bigint not null,
  opened_place integer not null,
  primary key (bucket, number)
);
-- Accounts are listed as they were opened: over all buckets, or bucket by bucket.
create index accounts_by_opening on accounts (opened_tick, opened_place, number);
create index accounts_by_opening_in_bucket on accounts (bucket, opened_tick, opened_place, number);

create table api_keys (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  previous_until_ms bigint,
  hint text not null,
  terms text not null,
  created_at_ms bigint not null,
  revoked_at_ms bigint,
  last_used_at_ms bigint,
  primary key (bucket, account, seq)
);

create table grants (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  status text not null check (status in ('open', 'spent', 'expired', 'voided')),
  primary key (bucket, account, seq)
);

create table holds (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  status text not null check (status in ('live', 'captured', 'released', 'expired')),
  credits bigint not null check (credits >= 0),
  held bigint not null check (held >= 0),
  expires_at_ms bigint not null,
  late_charge bigint,
  primary key (bucket, account, seq)
);

create table refunds (
  bucket smallint not null,
  account bigint not null,
  charge bigint not null,
  refunded bigint not null check (refunded > 0),
  primary key (bucket, account, charge)
);

-- Hours that are over. One that had many rows is written in parts, each with the record that closed it; they add up.
create table rollups (
  bucket smallint not null,
  account bigint not null,
  hour_ms bigint not null,
  operation text collate "C" not null,
  key bigint not null,
  credit_type text collate "C" not null,
  closed_by bigint not null,
  charges bigint not null,
  credits numeric not null,
  refunds bigint not null,
  refunded numeric not null,
  quantities text not null,
  primary key (bucket, account, hour_ms, operation, key, credit_type, closed_by)
);

-- Directories that are written together with the ledger -------------------------------------------------------------------

-- Found by the secret alone: its request names no account.
create table key_secrets (
  hash text collate "C" primary key,
  account bigint not null,
  key bigint not null,
  until_ms bigint
);
create index key_secrets_of_key on key_secrets (account, key);

-- Whose an external id is, before its account is known.
create table external_ids (
  external_id text collate "C" primary key,
  account bigint not null unique
);

-- Idempotency keys of openings: a request that is sent again is for another number, so its key leads to the account opened first.
create table opening_keys (
  key_hash text collate "C" primary key,
  account bigint not null
);

-- Directories that are written by themselves -------------------------------------------------------------------------------

-- The order of all batches. A position is that of a batch's last record.
create table feed (
  last_position bigint primary key,
  records integer not null check (records > 0),
  -- The latest time of all records up to that position.
  high_ms bigint not null,
  bucket smallint not null,
  batch uuid not null unique
);
-- The feed is searched by time.
create index feed_times on feed (high_ms, last_position);

-- How far the feed has been numbered: one row, locked by whoever numbers.
create table feed_head (
  single boolean primary key default true check (single),
  position bigint not null,
  high_ms bigint not null,
  tick bigint not null
);
insert into feed_head (position, high_ms, tick) values (0, 0, 0);

create table price_books (
  version integer primary key,
  effective_at_ms bigint not null,
  published_at_ms bigint not null,
  prices text not null,
  key_hash text collate "C" unique,
  fingerprint text collate "C"
);

create table settings (
  name text collate "C" primary key,
  value text not null
);
