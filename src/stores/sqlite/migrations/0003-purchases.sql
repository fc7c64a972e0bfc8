-- Purchases, as their records fold: derived from the journal and written back in sweeps like the other tables of accounts. What time
-- alone changes (an expired checkout, credits that expired unspent) has columns of its own, so that it is written without a look at the rest.
create table purchases (
  account integer not null,
  seq integer not null,
  status text not null check (status in ('open', 'pending', 'paid', 'expired', 'failed', 'canceled')),
  opened_at_ms integer not null,
  -- Whether the provider has to be asked what became of it.
  watched integer not null check (watched in (0, 1)),
  -- Credits of its grants that expired or were voided, unspent.
  ended integer not null check (ended >= 0),
  state text not null,
  primary key (account, seq)
) strict, without rowid;

-- Serves the reconciler, which asks for purchases of all accounts that wait for news.
create index purchases_watched on purchases (account, seq) where watched = 1;

-- Plain rows, derived from nothing: what the operator sells, in versions that are never edited.
create table topup_options (
  version integer primary key check (version > 0),
  options text not null,
  created_at_ms integer not null
) strict;

-- The other side of the sandbox: checkouts as a payment provider keeps them. Each row is one JSON value, replaced as a whole by whoever
-- has read the version that it replaces.
create table sandbox_checkouts (
  id text primary key,
  -- Obol's id of the checkout: asked for twice, one is made.
  checkout text not null unique,
  version integer not null,
  -- When there is something to do or to tell; null: nothing.
  due_ms integer,
  state text not null
) strict, without rowid;

-- Serves the sandbox's own clock.
create index sandbox_checkouts_due on sandbox_checkouts (due_ms) where due_ms is not null;
