-- People who sign in. Plain rows: not part of the ledger, derived from nothing. Only hashes of what lets somebody in are kept, but for the
-- keys that sign tokens: what they sign names a secret of which the hash alone is here.

create table users (
  id text collate "C" primary key,
  -- As it was written; null: the first operator user, until they have said who they are.
  email text,
  -- As addresses are compared.
  email_key text collate "C" unique,
  -- Argon2id, as a PHC string; null: none has been chosen yet.
  password text,
  is_operator smallint not null check (is_operator in (0, 1)),
  disabled_at_ms bigint,
  -- Sessions of an earlier one are over.
  epoch integer not null,
  -- The one token that a new password may be set by, once.
  one_time_hash text collate "C" unique,
  one_time_purpose text collate "C" check (one_time_purpose in ('invitation', 'password_reset')),
  one_time_until_ms bigint,
  created_at_ms bigint not null,
  check ((email is null) = (email_key is null)),
  check (email is not null or password is null),
  check ((one_time_hash is null) = (one_time_purpose is null) and (one_time_hash is null) = (one_time_until_ms is null))
);

-- Lists of users, newest first.
create index users_by_time on users (created_at_ms, id);

create table memberships (
  user_id text collate "C" not null references users (id) on delete cascade,
  account bigint not null,
  role text collate "C" not null check (role in ('owner', 'member')),
  created_at_ms bigint not null,
  primary key (user_id, account)
);

-- Who belongs to an account.
create index memberships_of_account on memberships (account, user_id);

create table sessions (
  id text collate "C" primary key,
  user_id text collate "C" not null references users (id) on delete cascade,
  epoch integer not null,
  -- A keyed hash of the address that it was opened from.
  address_mark text collate "C" not null,
  created_at_ms bigint not null,
  until_ms bigint not null,
  ended_at_ms bigint,
  ended_by text collate "C" check (ended_by in ('sign_out', 'reuse')),
  check ((ended_at_ms is null) = (ended_by is null))
);

-- A user's sessions: those beyond the limit end, and addresses are known again.
create index sessions_of_user on sessions (user_id, created_at_ms);
-- Those that are over are removed.
create index sessions_by_end on sessions (until_ms);

-- Every pair of tokens that a session was given. A refresh token has been used when a pair follows it, and one pair at most does.
create table session_tokens (
  refresh_hash text collate "C" primary key,
  access_hash text collate "C" not null unique,
  session_id text collate "C" not null references sessions (id) on delete cascade,
  -- What the access token opens; null: what operators may.
  account bigint,
  follows text collate "C" unique,
  created_at_ms bigint not null
);

create index session_tokens_of_session on session_tokens (session_id);

-- Keys that access tokens are signed with, each from a time on, until the next one's.
create table signing_keys (
  number integer primary key,
  key text not null,
  signs_from_ms bigint not null
);
