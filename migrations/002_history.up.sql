-- Where a task's closed queues ended, checkpoints that it can go back to, and when schemas were written to their topic.
-- Adds columns with constant defaults and empty tables: it takes no time, and locks open_queues and schemas for a moment.

-- tail and tail_seq name a message of the writer that the position covers, the newest known: as long as it is there, the
-- broker has lost nothing that is covered. tail_seq 0: nothing is covered yet, or an older version has written the row.
alter table gantry.open_queues
    add column tail      bigint not null default -1,
    add column tail_seq  bigint not null default 0 check (tail_seq >= 0),
    add column base      bigint not null default -1; -- where the queue ended when the task first opened it; -1 = not known

-- Queues that a task has closed: where they ended, so that numbers go on when they are opened again.
create table gantry.closed_queues (
    uid       bigint not null,
    task      integer not null,
    topic     text not null check (topic <> ''),
    broker    text not null check (broker <> ''),
    queue     integer not null check (queue >= 0),
    low       bigint not null check (low >= 0), -- the queue's end, as far as the task knew it
    seq       bigint not null check (seq >= 0), -- the number of the writer's next message
    tail      bigint not null,
    tail_seq  bigint not null check (tail_seq >= 0),
    base      bigint not null,
    epoch     bigint not null,
    closed_at timestamptz not null default clock_timestamp(),
    primary key (uid, task, topic, broker, queue),
    foreign key (uid, task) references gantry.tasks on delete cascade
) with (fillfactor = 70);

-- Points in a connector's position history. A task's are thinned out as they age; number counts them.
create table gantry.checkpoints (
    uid         bigint not null references gantry.connectors on delete cascade,
    version     bigint generated always as identity,
    task        integer check (task >= 0), -- null: made by an edit of an operator
    number      bigint not null check (number > 0),
    epoch       bigint not null,
    plan_hash   text not null,             -- of the task; a task goes back under the same plan only
    generation  bigint not null,           -- of the position
    author      text not null,
    queues      jsonb not null check (jsonb_typeof(queues) = 'array'), -- all that the task has ever sent to
    at          timestamptz not null default clock_timestamp(),
    primary key (uid, version)
);
create index checkpoints_of_task on gantry.checkpoints (uid, task, version);

-- What a point changed. The position at a version is, of each partition, the row with the highest version up to it.
create table gantry.checkpoint_positions (
    uid        bigint not null,
    partition  text not null,
    version    bigint not null,
    "offset"   text, -- null: the partition was removed
    primary key (uid, partition, version),
    foreign key (uid, version) references gantry.checkpoints on delete cascade
);
create index checkpoint_positions_of_version on gantry.checkpoint_positions (uid, version);

alter table gantry.schemas
    add column published_at timestamptz; -- when it was last written to the schema topic; null = never
