-- Subscriptions, as their records fold: derived from the journal and written back in sweeps like the other tables of accounts. Those that
-- have not ended are in their account's state as well; here they are found, and kept when they have ended.
create table subscriptions (
  account integer not null,
  seq integer not null,
  status text not null check (status in ('trialing', 'pending', 'active', 'past_due', 'paused', 'ended')),
  -- When the payment provider has to be asked something, by the store's time; null: nothing.
  asking_ms integer,
  state text not null,
  primary key (account, seq)
) strict, without rowid;

-- Serves the background work that has subscriptions paid for, of all accounts.
create index subscriptions_asking on subscriptions (account, seq) where asking_ms is not null;

-- Plain rows, derived from nothing: what the operator offers for a period, in versions that are never edited.
create table plans (
  id text not null,
  version integer not null check (version > 0),
  -- One that is archived is not offered any more; who has it keeps it.
  is_archived integer not null check (is_archived in (0, 1)),
  terms text not null,
  created_at_ms integer not null,
  primary key (id, version)
) strict, without rowid;

-- Clocks that tests move. An account's own time is in its journal; here is where a clock stands, and which accounts follow it.
create table test_clocks (
  id text primary key,
  name text not null,
  now_ms integer not null,
  -- Every account that follows it has got so far; behind now_ms while it is being moved.
  reached_ms integer not null check (reached_ms <= now_ms),
  created_at_ms integer not null
) strict, without rowid;

create table test_clock_accounts (
  clock text not null references test_clocks (id),
  account integer not null,
  primary key (clock, account)
) strict, without rowid;
