-- Background work is done by one server at a time: by the one that claimed it last, while `until` is ahead by the database's own clock.
-- Unlogged, because a claim that is lost with a crash is simply made again; what is done under it is right whoever does it.
create unlogged table claims (
  work text collate "C" primary key,
  holder uuid not null,
  until timestamptz not null
);
