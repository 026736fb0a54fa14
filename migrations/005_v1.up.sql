-- What the routes under /v1 need: labels, what goes with a deleted connector, more about tasks and workers, answers that
-- workers give to questions, and answers kept for requests that come twice. Adds columns with constant defaults and empty
-- tables: takes no time. The index on events locks writes to them while it is built: about a second for a million.

alter table gantry.connectors
    add column labels jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
    add column keeps_positions boolean not null default false, -- of a deleted one: they stay for the next of its name
    add column drops_topics boolean not null default false;    -- of a deleted one: the topics it wrote to go with it

-- Positions of connectors that were deleted without them, until a connector of the same name and kind is created.
create table gantry.kept_positions (
    connector  text not null,
    kind       text not null check (kind in ('source', 'sink')),
    partition  text not null,
    "offset"   text not null,
    kept_at    timestamptz not null default clock_timestamp(),
    primary key (connector, kind, partition)
);

alter table gantry.task_status
    add column filtered bigint not null default 0,
    add column bad bigint not null default 0,
    add column dead_letters bigint not null default 0,
    add column retrying text not null default '', -- what is being tried again, and why
    add column retrying_since timestamptz;

alter table gantry.workers
    add column version text not null default '',
    add column cordoned boolean not null default false,        -- an operator wants it to drain
    add column rebalance_seq bigint not null default 0;        -- raised when it is to look at its share at once

create index events_by_name on gantry.events (connector, id);

-- Questions that only a worker can answer, and the answers. Both may hold data of users: they go when they expire.
create table gantry.probes (
    id          uuid primary key default gen_random_uuid(),
    request     json not null,
    answer      json,
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz not null
);
create index probes_by_expiry on gantry.probes (expires_at);

-- Answers to requests that carried an Idempotency-Key. Without a status the request is under way.
create table gantry.kept_answers (
    principal    text not null,
    key          text not null,
    fingerprint  text not null, -- of the request: another one with the same key is refused
    status       integer,
    header       jsonb,
    body         bytea,
    taken_at     timestamptz not null default clock_timestamp(),
    primary key (principal, key)
);
create index kept_answers_by_age on gantry.kept_answers (taken_at);
