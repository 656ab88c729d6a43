-- Money is in whole cents, and what leaves or enters as JSON is text: a bigint holds more than a JSON number does.
create table if not exists accounts (
  id integer primary key generated always as identity,
  owner text not null,
  balance bigint not null check (balance >= 0)
);

-- The id is the client's choice: a transfer sent twice is a transfer made once.
create table if not exists transfers (
  id uuid primary key,
  from_account integer not null references accounts,
  to_account integer not null references accounts check (to_account <> from_account),
  amount bigint not null check (amount > 0),
  created_at timestamptz not null default now()
);
