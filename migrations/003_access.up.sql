-- Who may use the API, and what they did. New tables only: locks nothing that anyone uses.

-- Bearer tokens. The text of a token is nowhere, only its SHA-256: it has 256 random bits, so nothing slower is needed.
create table gantry.tokens (
    name        text primary key check (name <> ''),
    hash        bytea not null unique check (octet_length(hash) = 32),
    role        text not null check (role in ('viewer', 'operator', 'editor', 'admin')),
    scope       text not null default '*', -- which connectors
    author      text not null,
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz,               -- null = never
    used_at     timestamptz                -- to the minute; null = never
);

-- Every change that was asked for, with its outcome. Names no row of connectors, because it outlives them.
create table gantry.audit (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    principal  text not null,
    address    text not null,
    operation  text not null check (operation <> ''),
    method     text not null,
    path       text not null,
    connector  text not null,    -- empty if the path names none
    status     integer not null  -- of the HTTP answer
);
create index audit_of_connector on gantry.audit (connector, id);
create index audit_at on gantry.audit (at);
