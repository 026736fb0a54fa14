-- The catalog: what is wanted, what is planned, who owns what, and how far it has come.
-- The schema "gantry" exists: catalog.Migrate creates it, because the table of versions lies in it too.
-- Runs on an empty database: locks nothing that anyone uses.

-- One row: which Temporal namespace this catalog belongs to.
create table gantry.environment (
    only_row    boolean primary key default true check (only_row),
    id          uuid not null default gen_random_uuid(),
    namespace   text not null check (namespace <> ''),
    bound_at    timestamptz not null default clock_timestamp()
);

-- One row: no epoch is ever granted at or below it. Raised when the rows that remember epochs are removed.
create table gantry.epoch_floor (
    only_row    boolean primary key default true check (only_row),
    epoch       bigint not null
);
insert into gantry.epoch_floor (epoch) values (0);

-- A uid is never reused, not by a catalog that was restored from an older backup, and hardly ever by another
-- installation: targets know connectors by it. Milliseconds since 1970 and a counter, below 2^53 until the year 2248.
create sequence gantry.connector_uids as bigint no cycle;

create table gantry.connectors (
    uid                  bigint primary key default ((extract(epoch from clock_timestamp()) * 1000)::bigint << 10)
                             + (nextval('gantry.connector_uids') & 1023),
    name                 text not null unique check (name <> ''),
    class                text not null check (class <> ''),
    kind                 text not null check (kind in ('source', 'sink')),
    desired              text not null check (desired in ('RUNNING', 'PAUSED', 'STOPPED', 'DELETED')),
    revision             bigint not null default 1 check (revision > 0),
    generation           bigint not null default 0, -- of the plan; 0 = never planned
    planned_revision     bigint not null default 0, -- the config revision that the plan was made from
    position_generation  bigint not null default 0, -- raised by each edit by an operator
    restart_seq          bigint not null default 0,
    author               text not null,             -- of the last change
    created_at           timestamptz not null default clock_timestamp(),
    updated_at           timestamptz not null default clock_timestamp()
);

create table gantry.revisions (
    uid      bigint not null references gantry.connectors on delete cascade,
    number   bigint not null check (number > 0),
    class    text not null,
    config   jsonb not null check (jsonb_typeof(config) = 'object'),
    author   text not null,
    at       timestamptz not null default clock_timestamp(),
    primary key (uid, number)
);

create table gantry.restarts (
    uid          bigint not null references gantry.connectors on delete cascade,
    seq          bigint not null,
    connector    boolean not null,
    all_tasks    boolean not null,
    only_failed  boolean not null,
    task         integer check (task >= 0),
    author       text not null,
    at           timestamptz not null default clock_timestamp(),
    primary key (uid, seq)
);

create table gantry.planned_tasks (
    uid     bigint not null references gantry.connectors on delete cascade,
    task    integer not null check (task >= 0),
    hash    text not null,
    config  jsonb not null check (jsonb_typeof(config) = 'object'),
    queues  jsonb not null check (jsonb_typeof(queues) = 'array'),
    primary key (uid, task)
);

-- A task that has ever been owned: its writer number and who may commit. It outlives the plan, so that neither the epoch
-- nor the writer starts over. Writer numbers travel in every message, as unsigned 32-bit numbers; they are drawn at random,
-- because installations that share a topic must not have the same ones: readers would take one for an older owner of the
-- other. Every commit locks and moves this row; nothing renews a lease through it.
create table gantry.tasks (
    uid           bigint not null references gantry.connectors on delete cascade,
    task          integer not null check (task >= 0),
    writer        bigint not null unique check (writer between 1 and 4294967295),
    epoch         bigint not null default 0,
    token         uuid,                      -- null = nobody may commit
    commit_seq    bigint not null default 0, -- of the owner's last commit: makes a repeated one do nothing
    round         bigint not null default 0, -- of the group commit that moved the row last
    records       bigint not null default 0,
    bytes         bigint not null default 0,
    committed_at  timestamptz,
    failures      integer not null default 0, -- in a row
    failure       text not null default '',
    primary key (uid, task)
) with (fillfactor = 50);

-- The time that an owner has. Apart from tasks, so that commits never make a renewal wait.
create table gantry.leases (
    uid         bigint not null,
    task        integer not null,
    token       uuid,                     -- null = released
    owner       text not null default '', -- the worker
    attempt     text not null default '',
    attempt_no  integer not null default 0,
    expires_at  timestamptz not null default '-infinity',
    primary key (uid, task),
    foreign key (uid, task) references gantry.tasks on delete cascade
) with (fillfactor = 50);

-- Who waits for a task. Its owner reads this with each renewal.
create table gantry.claimants (
    token        uuid primary key,
    uid          bigint not null,
    task         integer not null,
    owner        text not null,
    attempt      text not null,
    attempt_no   integer not null,
    waits_until  timestamptz not null,
    foreign key (uid, task) references gantry.tasks on delete cascade
);
create index claimants_of_task on gantry.claimants (uid, task);

-- Every start of a task.
create table gantry.epochs (
    uid         bigint not null,
    task        integer not null,
    epoch       bigint not null,
    owner       text not null,
    attempt     text not null,
    attempt_no  integer not null,
    granted_at  timestamptz not null default clock_timestamp(),
    ended_at    timestamptz, -- when it was released or superseded
    released    boolean not null default false,
    primary key (uid, task, epoch),
    foreign key (uid, task) references gantry.tasks on delete cascade
);

-- How far a connector has come. Partitions move between its tasks, so the key has no task; the columns task and epoch
-- say who committed last (null: an operator). Text, not jsonb: the canonical form must come back byte for byte.
create table gantry.positions (
    uid           bigint not null references gantry.connectors on delete cascade,
    partition     text not null check (json_typeof(partition::json) = 'object' and octet_length(partition) <= 2000),
    "offset"      text not null check (json_typeof("offset"::json) = 'object'),
    task          integer,
    epoch         bigint,
    committed_at  timestamptz not null default clock_timestamp(),
    primary key (uid, partition)
) with (fillfactor = 70);

-- Queues that a task may have sent to beyond its position.
create table gantry.open_queues (
    uid     bigint not null,
    task    integer not null,
    topic   text not null check (topic <> ''),
    broker  text not null check (broker <> ''),
    queue   integer not null check (queue >= 0),
    low     bigint not null check (low >= 0), -- lowest queue offset of a record that the position does not cover
    seq     bigint not null check (seq >= 0), -- the number that the message at or after low carries
    epoch   bigint not null,
    primary key (uid, task, topic, broker, queue),
    foreign key (uid, task) references gantry.tasks on delete cascade
) with (fillfactor = 70);

-- Fences outlive their connector, as the messages they fence do.
create table gantry.fences (
    topic     text not null check (topic <> ''),
    broker    text not null check (broker <> ''),
    queue     integer not null check (queue >= 0),
    writer    bigint not null check (writer between 1 and 4294967295),
    epoch     bigint not null,
    term      bigint not null check (term between 0 and 4294967295),
    "offset"  bigint not null check ("offset" >= 0),
    primary key (topic, broker, queue, writer, epoch, term)
);

create table gantry.schemas (
    fingerprint  text primary key check (fingerprint <> ''),
    body         json not null, -- json, not jsonb: the fingerprint is that of these bytes
    created_at   timestamptz not null default clock_timestamp()
);

create table gantry.queue_maps (
    uid        bigint not null references gantry.connectors on delete cascade,
    topic      text not null check (topic <> ''),
    version    integer not null check (version > 0),
    queues     jsonb not null check (jsonb_typeof(queues) = 'array' and jsonb_array_length(queues) > 0),
    frozen_at  timestamptz not null default clock_timestamp(),
    primary key (uid, topic, version)
);

create table gantry.connector_status (
    uid         bigint primary key references gantry.connectors on delete cascade,
    state       text not null check (state in ('UNASSIGNED', 'RUNNING', 'PAUSED', 'STOPPED', 'FAILED', 'RESTARTING')),
    worker      text not null,
    trace       text not null,
    updated_at  timestamptz not null default clock_timestamp()
);

create table gantry.task_status (
    uid              bigint not null references gantry.connectors on delete cascade,
    task             integer not null check (task >= 0),
    state            text not null check (state in ('UNASSIGNED', 'RUNNING', 'PAUSED', 'STOPPED', 'FAILED', 'RESTARTING')),
    worker           text not null,
    epoch            bigint not null,
    trace            text not null,
    records          bigint not null,
    bytes            bigint not null,
    lag_records      bigint not null, -- -1 = unknown
    lag_bytes        bigint not null, -- -1 = unknown
    rate_per_second  double precision not null,
    last_record_at   timestamptz,
    next_retry_at    timestamptz,
    retries          bigint not null,
    updated_at       timestamptz not null default clock_timestamp(),
    primary key (uid, task)
) with (fillfactor = 50);

create table gantry.workers (
    id             text primary key check (id <> ''),
    host           text not null,
    "group"        text not null,
    capacity       integer not null check (capacity >= 0),
    running        integer not null check (running >= 0),
    draining       boolean not null,
    first_seen_at  timestamptz not null default clock_timestamp(),
    seen_at        timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- What happened, when and why. Names no row of connectors, because it outlives them.
create table gantry.events (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    uid        bigint not null,
    connector  text not null,
    task       integer,
    kind       text not null check (kind <> ''),
    author     text not null,
    detail     text not null
);
create index events_of_connector on gantry.events (uid, id);
