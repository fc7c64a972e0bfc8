-- Purchases, as their records fold: derived from the journal, and written with it. What time alone changes (an expired checkout, credits
-- that expired unspent) has columns of its own, so that it is written without a look at the rest.
create table purchases (
  bucket smallint not null,
  account bigint not null,
  seq bigint not null,
  status text not null check (status in ('open', 'pending', 'paid', 'expired', 'failed', 'canceled')),
  opened_at_ms bigint not null,
  -- Whether the provider has to be asked what became of it.
  watched boolean not null,
  -- Credits of its grants that expired or were voided, unspent.
  ended bigint not null check (ended >= 0),
  state text not null,
  primary key (bucket, account, seq)
);

-- Serves the reconciler, which asks for purchases of all accounts that wait for news.
create index purchases_watched on purchases (account, seq) where watched;
