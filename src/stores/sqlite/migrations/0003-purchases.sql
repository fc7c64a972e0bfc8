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
