/**
 * What the PostgreSQL store is measured against, on the same server and with the same guarantees: the charge as it is written by hand, a
 * transaction per request on a pool; and a ledger function in the database that is called once per batch.
 */

import pg from 'pg'
import { CommandQueue } from '../src/stores/queue.ts'
import { CHARGE, FUNDS, numberOf, PRIORITIES } from './accounts.ts'

/** Connections of the pool. */
const CONNECTIONS = 16
/** Charges of one call of the function, at most. */
const MAX_BATCH = 400

const SCHEMA = `
create table hand_accounts (id bigint primary key, balance bigint not null, hash text not null);
create table hand_grants (id bigserial primary key, account bigint not null, priority integer not null, expires_at timestamptz, remaining bigint not null check (remaining >= 0));
create index on hand_grants (account, priority, expires_at, id);
create table hand_charges (id bigserial primary key, account bigint not null, key text not null, operation text not null, credits bigint not null,
  draws jsonb not null, quantities jsonb not null, balance bigint not null, created_at timestamptz not null default now(), unique (account, key));
create table hand_rollups (account bigint, hour timestamptz, operation text, charges bigint not null, credits bigint not null, primary key (account, hour, operation));

create table function_accounts (id bigint primary key, seq bigint not null, remaining bigint[] not null, hour timestamptz not null, charges bigint not null, credits bigint not null)
  with (fillfactor = 70);
create table function_charges (account bigint not null, seq bigint not null, key text not null, operation text not null, credits bigint not null,
  draws bigint[] not null, quantities jsonb not null, balance bigint not null, created_at timestamptz not null default now(), unique (account, key));

-- Charges of a batch, one after the other on rows that are locked in one order; each is answered with the balance it left, or null.
create function charge_batch(accounts bigint[], keys text[], amount bigint) returns bigint[] language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  balances bigint[] := array_fill(null::bigint, array[cardinality(accounts)]);
  held function_accounts; place integer; known bigint; rest bigint; part bigint; draws bigint[]; last bigint := null; hour_now timestamptz := date_trunc('hour', now());
begin
  perform 1 from function_accounts where id = any(accounts) order by id for no key update;
  for place in select o from unnest(accounts) with ordinality t(a, o) order by a, o loop
    if last is distinct from accounts[place] then
      if last is not null then
        update function_accounts set seq = held.seq, remaining = held.remaining, hour = held.hour, charges = held.charges, credits = held.credits where id = held.id;
      end if;
      last := accounts[place];
      select * into held from function_accounts where id = last;
    end if;
    select c.balance into known from function_charges c where c.account = last and c.key = keys[place];
    if found then balances[place] := known; continue; end if;
    if (select sum(r) from unnest(held.remaining) r) < amount then continue; end if;
    rest := amount; draws := '{}';
    for grant_place in 1 .. cardinality(held.remaining) loop
      part := least(held.remaining[grant_place], rest);
      held.remaining[grant_place] := held.remaining[grant_place] - part;
      draws := draws || part; rest := rest - part;
      exit when rest = 0;
    end loop;
    held.seq := held.seq + 1;
    if held.hour <> hour_now then held.hour := hour_now; held.charges := 0; held.credits := 0; end if;
    held.charges := held.charges + 1; held.credits := held.credits + amount;
    balances[place] := (select sum(r) from unnest(held.remaining) r);
    insert into function_charges (account, seq, key, operation, credits, draws, quantities, balance)
      values (last, held.seq, keys[place], 'llm.chat', amount, draws, '{"input_tokens":374,"output_tokens":44}', balances[place]);
  end loop;
  if last is not null then
    update function_accounts set seq = held.seq, remaining = held.remaining, hour = held.hour, charges = held.charges, credits = held.credits where id = held.id;
  end if;
  return balances;
end $$;`

function poolOn(url: string, max: number): pg.Pool {
  const named = new URL(url)
  const schema = named.searchParams.get('schema')
  named.searchParams.delete('schema')
  return new pg.Pool({ connectionString: named.href, max, options: `-c search_path=${schema}` })
}

/** Makes the tables of both, and opens accounts with three grants each. */
export async function fillHandWritten(url: string, accounts: number): Promise<void> {
  const pool = poolOn(url, 1)
  const numbers = Array.from({ length: accounts }, (_, index) => numberOf(index))
  await pool.query(SCHEMA)
  await pool.query(
    `insert into hand_accounts select id, ${FUNDS * BigInt(PRIORITIES.length)}, repeat('x', 43) from unnest($1::bigint[]) t(id)`,
    [numbers],
  )
  await pool.query(
    `insert into hand_grants (account, priority, remaining) select id, p, ${FUNDS} from unnest($1::bigint[]) t(id), unnest($2::integer[]) p`,
    [numbers, PRIORITIES],
  )
  await pool.query(
    `insert into function_accounts select id, 0, array_fill(${FUNDS}::bigint, array[${PRIORITIES.length}]), now(), 0, 0 from unnest($1::bigint[]) t(id)`,
    [numbers],
  )
  await pool.query('vacuum analyze')
  await pool.end()
}

/** A ledger that charges. */
export interface ComparedLedger {
  /** Charges an account; gives its balance. */
  readonly charge: (account: number, key: string) => Promise<bigint>
  readonly close: () => Promise<void>
}

/** A transaction per charge: lock, look up, draw, record, count. */
export function handWritten(url: string): ComparedLedger {
  const pool = poolOn(url, CONNECTIONS)
  return {
    charge: async (account, key) => {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const balance = await chargeOn(client, account, key)
        await client.query('commit')
        return balance
      } catch (fault) {
        await client.query('rollback')
        throw fault
      } finally {
        client.release()
      }
    },
    close: () => pool.end(),
  }
}

async function chargeOn(client: pg.PoolClient, account: number, key: string): Promise<bigint> {
  const run = async (name: string, text: string, values: unknown[]) => (await client.query({ name, text, values })).rows
  const [head] = await run('h1', 'select balance, hash from hand_accounts where id = $1 for update', [account])
  const [known] = await run('h2', 'select balance from hand_charges where account = $1 and key = $2', [account, key])
  if (known) return BigInt(known.balance)
  const [grant] = await run(
    'h3',
    'select id, remaining from hand_grants where account = $1 and remaining > 0 and (expires_at is null or expires_at > now()) order by priority, expires_at, id',
    [account],
  )
  await run('h4', 'update hand_grants set remaining = remaining - $2 where id = $1', [grant.id, CHARGE])
  const balance = BigInt(head.balance) - CHARGE
  await run(
    'h5',
    'insert into hand_charges (account, key, operation, credits, draws, quantities, balance) values ($1, $2, $3, $4, $5, $6, $7)',
    [account, key, 'llm.chat', CHARGE, JSON.stringify([[grant.id, `${CHARGE}`]]), '{"input_tokens":374,"output_tokens":44}', balance],
  )
  await run(
    'h6',
    `insert into hand_rollups values ($1, date_trunc('hour', now()), 'llm.chat', 1, $2) on conflict (account, hour, operation) do update set charges = hand_rollups.charges + 1, credits = hand_rollups.credits + excluded.credits`,
    [account, CHARGE],
  )
  await run('h7', 'update hand_accounts set balance = $2, hash = $3 where id = $1', [account, balance, 'x'.repeat(43)])
  return balance
}

/** One call of the database's function for all charges that wait. */
export function ledgerFunction(url: string): ComparedLedger {
  const pool = poolOn(url, 1)
  const queue = new CommandQueue<{ readonly account: number; readonly key: string }, bigint>(
    { maxWaiting: 20_000, maxBatch: MAX_BATCH },
    async (batch, { resolve, reject }) => {
      const values = [batch.map(({ account }) => account), batch.map(({ key }) => key), CHARGE]
      const { rows } = await pool.query({ name: 'f', text: 'select charge_batch($1, $2, $3) as balances', values })
      const balances: readonly (string | null)[] = rows[0].balances
      return () => {
        for (const [index, balance] of balances.entries())
          if (balance === null) reject(index, new Error('the account is short of credits'))
          else resolve(index, BigInt(balance))
      }
    },
  )
  return { charge: (account, key) => queue.push({ account, key }), close: () => pool.end() }
}
