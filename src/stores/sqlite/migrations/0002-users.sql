-- People who sign in. Plain rows: not part of the ledger, derived from nothing. Only hashes of what lets somebody in are kept, but for the
-- keys that sign tokens: what they sign names a secret of which the hash alone is here.

create table users (
  id text primary key,
  -- As it was written; null: the first operator user, until they have said who they are.
  email text,
  -- As addresses are compared.
  email_key text unique,
  -- Argon2id, as a PHC string; null: none has been chosen yet.
  password text,
  is_operator integer not null check (is_operator in (0, 1)),
  disabled_at_ms integer,
  -- Sessions of an earlier one are over.
  epoch integer not null,
  -- The one token that a new password may be set by, once.
  one_time_hash text unique,
  one_time_purpose text check (one_time_purpose in ('invitation', 'password_reset')),
  one_time_until_ms integer,
  created_at_ms integer not null,
  check ((email is null) = (email_key is null)),
  check (email is not null or password is null),
  check ((one_time_hash is null) = (one_time_purpose is null) and (one_time_hash is null) = (one_time_until_ms is null))
) strict, without rowid;

-- Lists of users, newest first.
create index users_by_time on users (created_at_ms, id);

create table memberships (
  user_id text not null references users (id) on delete cascade,
  account integer not null,
  role text not null check (role in ('owner', 'member')),
  created_at_ms integer not null,
  primary key (user_id, account)
) strict, without rowid;

-- Who belongs to an account.
create index memberships_of_account on memberships (account, user_id);

create table sessions (
  id text primary key,
  user_id text not null references users (id) on delete cascade,
  epoch integer not null,
  -- A keyed hash of the address that it was opened from.
  address_mark text not null,
  created_at_ms integer not null,
  until_ms integer not null,
  ended_at_ms integer,
  ended_by text check (ended_by in ('sign_out', 'reuse')),
  check ((ended_at_ms is null) = (ended_by is null))
) strict, without rowid;

-- A user's sessions: those beyond the limit end, and addresses are known again.
create index sessions_of_user on sessions (user_id, created_at_ms);
-- Those that are over are removed.
create index sessions_by_end on sessions (until_ms);

-- Every pair of tokens that a session was given. A refresh token has been used when a pair follows it, and one pair at most does.
create table session_tokens (
  refresh_hash text primary key,
  access_hash text not null unique,
  session_id text not null references sessions (id) on delete cascade,
  -- What the access token opens; null: what operators may.
  account integer,
  follows text unique,
  created_at_ms integer not null
) strict, without rowid;

create index session_tokens_of_session on session_tokens (session_id);

-- Keys that access tokens are signed with, each from a time on, until the next one's.
create table signing_keys (
  number integer primary key,
  key text not null,
  signs_from_ms integer not null
) strict;
