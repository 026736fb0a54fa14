-- What the REST API shows of a connector's past: whether it has been stopped since it last ran, and which topics it has
-- used; and how verbose all processes are to be. Adds columns with constant defaults and empty tables: takes no time.

alter table gantry.connectors
    add column emptied boolean not null default false, -- stopped since it last ran: it has no tasks
    add column topics_reset_at timestamptz not null default '-infinity'; -- what was used before is forgotten

create table gantry.used_topics (
    uid      bigint not null references gantry.connectors on delete cascade,
    topic    text not null check (topic <> ''),
    used_at  timestamptz not null default clock_timestamp(),
    primary key (uid, topic)
);

-- What an operator wants all processes to log. Each takes over what has been set since it started.
create sequence gantry.log_changes as bigint no cycle;

create table gantry.log_levels (
    logger  text primary key check (logger <> ''),
    level   text not null check (level <> ''),
    change  bigint not null default nextval('gantry.log_changes'),
    set_at  timestamptz not null default clock_timestamp()
);
