-- Subscriptions, as their records fold: derived from the journal, and written with it. Those that have not ended are in their account's
-- state as well; here they are found, and kept when they have ended.
create table subscriptions (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  status text not null check (status in ('trialing', 'pending', 'active', 'past_due', 'paused', 'ended')),
  -- When the payment provider has to be asked something, by the store's time; null: nothing.
  asking_ms bigint,
  state text not null,
  primary key (bucket, account, seq)
);

-- Serves the background work that has subscriptions paid for, of all accounts.
create index subscriptions_asking on subscriptions (account, seq) where asking_ms is not null;

-- Plain rows, derived from nothing: what the operator offers for a period, in versions that are never edited.
create table plans (
  id text collate "C" not null,
  version bigint not null check (version > 0),
  -- One that is archived is not offered any more; who has it keeps it.
  is_archived smallint not null check (is_archived in (0, 1)),
  terms text not null,
  created_at_ms bigint not null,
  primary key (id, version)
);

-- Clocks that tests move. An account's own time is in its journal; here is where a clock stands, and which accounts follow it.
create table test_clocks (
  id text collate "C" primary key,
  name text not null,
  now_ms bigint not null,
  -- Every account that follows it has got so far; behind now_ms while it is being moved.
  reached_ms bigint not null check (reached_ms <= now_ms),
  created_at_ms bigint not null
);

create table test_clock_accounts (
  clock text collate "C" not null references test_clocks (id),
  account bigint not null,
  primary key (clock, account)
);
