-- E-mails about alerts: what is to be sent to whom, and how far the feed has been read for that. Plain rows: not part of the ledger. What a
-- mail says is in the journal; a row that is done stays for a while, so that the same news is not told again.
create table mails (
  account integer not null,
  -- Of the record that it tells of.
  seq integer not null,
  recipient text not null,
  attempts integer not null,
  due_ms integer not null,
  -- When it was sent, or given up; null: it waits.
  done_ms integer,
  primary key (account, seq, recipient)
) strict, without rowid;

-- What is to be sent next.
create index mails_due on mails (due_ms) where done_ms is null;
-- What is removed after a while.
create index mails_done on mails (done_ms) where done_ms is not null;

-- One row, made when the feed is first read.
create table mail_feed (
  single integer primary key check (single = 1),
  position integer not null
) strict;
