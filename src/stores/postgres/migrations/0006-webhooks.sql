-- Webhooks: who is to hear of events, how far each has heard, and what became of each attempt. Plain rows: not part of the ledger. What
-- is to be told is in the journal, so rows here are bounded by accounts and endpoints, however far behind an endpoint is.

create table webhook_endpoints (
  id text collate "C" primary key,
  -- The account whose events it hears; -1: the operator's, which hears those of all.
  owner bigint not null,
  url text collate "C" not null,
  -- Its address was named by the operator: it may be in an internal network that the operator allows.
  by_operator bigint not null check (by_operator in (0, 1)),
  description text collate "C" not null,
  -- JSON: which events; an empty list: all.
  filter text collate "C" not null,
  -- What is sent is signed with it; with the one before as well until a time.
  secret text collate "C" not null,
  previous_secret text,
  previous_until_ms bigint,
  -- It hears of what happens from then on.
  since_ms bigint not null,
  disabled_at_ms bigint,
  disabled_reason text check (disabled_reason in ('requested', 'gone', 'failing')),
  -- Rounds of attempts since one was accepted, and when the first of them failed.
  failures bigint not null,
  failing_since_ms bigint,
  -- When there is something to do; not before another time, which an overloaded endpoint is given.
  due_ms bigint not null,
  not_before_ms bigint not null,
  -- Counts what was told to it, so that whoever lets go of it knows whether there is more.
  wakes bigint not null,
  -- The process that took it on last, and writes down what came of requests to it; null: nobody delivers to it.
  taken_by text collate "C",
  created_at_ms bigint not null,
  unique (owner, url),
  check ((previous_secret is null) = (previous_until_ms is null)),
  check ((disabled_at_ms is null) = (disabled_reason is null))
);

-- Who has something to do.
create index webhook_endpoints_due on webhook_endpoints (due_ms) where disabled_at_ms is null;

-- Whom the operator may want to tell that nothing is sent to them any more.
create index webhook_endpoints_failed on webhook_endpoints (disabled_at_ms, id) where disabled_reason <> 'requested';

-- How far one endpoint has heard of one account. Places count the events of an account; what lies between the two is waiting.
create table webhook_deliveries (
  endpoint_id text collate "C" not null references webhook_endpoints (id) on delete cascade,
  account bigint not null,
  -- Empty: what happens. Else the id of the event that is sent again, or of the replay.
  cause text collate "C" not null,
  done_place bigint not null,
  told_place bigint not null,
  -- Of the event that is next.
  attempts bigint not null,
  first_attempt_ms bigint,
  due_ms bigint not null,
  primary key (endpoint_id, account, cause)
);

-- What an endpoint is to be sent next.
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, due_ms) where done_place < told_place;
-- What has long been heard is removed, and what was sent again at once.
create index webhook_deliveries_done on webhook_deliveries (due_ms) where done_place >= told_place and cause = '';
create index webhook_deliveries_done_again on webhook_deliveries (due_ms) where done_place >= told_place and cause <> '';

-- What was sent, and what became of it; removed after a while.
create table webhook_attempts (
  endpoint_id text collate "C" not null references webhook_endpoints (id) on delete cascade,
  -- Orders as the times do.
  id text collate "C" not null,
  event_id text collate "C" not null,
  event_type text collate "C" not null,
  cause text collate "C" not null,
  number bigint not null,
  at_ms bigint not null,
  duration_ms bigint not null,
  outcome text collate "C" not null check (outcome in ('delivered', 'failed', 'given_up')),
  status_code bigint,
  failure text,
  next_ms bigint,
  primary key (endpoint_id, id)
);

create index webhook_attempts_by_time on webhook_attempts (at_ms);

-- How far the feed has been told to endpoints: one row, made when that is first written.
create table webhook_feed (
  single bigint primary key check (single = 1),
  position bigint not null
);

-- Parts of the feed that the operator's endpoints are to hear again; one at a time for each. Those of an account need no scan.
create table webhook_replays (
  endpoint_id text collate "C" primary key references webhook_endpoints (id) on delete cascade,
  id text collate "C" not null,
  start_ms bigint not null,
  end_ms bigint not null,
  -- How far the feed has been looked through; null: not begun.
  position bigint
);
