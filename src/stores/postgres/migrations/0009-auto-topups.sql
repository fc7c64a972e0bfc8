-- Accounts that were ever to be topped up by themselves: derived from the journal, and written with it. What is known of it is in the
-- account's state; here those are found that wait.
create table auto_topups (
  bucket smallint not null,
  account bigint not null,
  -- When the payment provider has to be asked something, by the store's time; null: nothing.
  asking_ms bigint,
  primary key (bucket, account)
);

-- Serves the background work that tops accounts up, of all accounts.
create index auto_topups_asking on auto_topups (account) where asking_ms is not null;
