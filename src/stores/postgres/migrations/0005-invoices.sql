-- Invoices, receipts, credit notes and statements: plain rows, derived from nothing once they are there, and final. A number is one more
-- than the highest of its series, taken by the statement that adds the row: so there are no gaps, and no number twice.
create table invoices (
  account bigint not null,
  -- 1, 2, 3 … within the account: with it, the id.
  ordinal bigint not null check (ordinal > 0),
  series text not null check (series in ('INV', 'CN', 'ST', 'TEST-INV', 'TEST-CN')),
  number bigint not null check (number > 0),
  kind text not null check (kind in ('receipt', 'invoice', 'credit_note', 'statement')),
  -- Names what it is for: nothing has two.
  source text collate "C" not null unique,
  -- Sequence of the purchase; null: it is for none.
  purchase bigint,
  issued_at_ms bigint not null,
  body text not null,
  primary key (account, ordinal),
  unique (series, number)
);

create function invoices_are_final() returns trigger language plpgsql as
$$ begin raise exception 'an invoice is final'; end $$;
create trigger invoices_are_never_changed before update or delete or truncate on invoices
  for each statement execute function invoices_are_final();

-- Purchases that may lack an invoice: noted before the ledger hears of money, and let go when they have all of theirs. What a crash
-- leaves in between is found here.
create table purchases_to_invoice (
  account bigint not null,
  purchase bigint not null,
  -- Rises when it is noted again: only who has read it may let it go.
  version bigint not null,
  noted_at_ms bigint not null,
  primary key (account, purchase)
);

-- Serves the task that sees to those that were left.
create index purchases_to_invoice_by_time on purchases_to_invoice (noted_at_ms);

-- What was bought before there were invoices gets its own.
insert into purchases_to_invoice (account, purchase, version, noted_at_ms)
select account, seq, 1, 0 from purchases where status = 'paid';
