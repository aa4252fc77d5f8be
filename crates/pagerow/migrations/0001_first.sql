-- pagerow's own tables. {schema} is the quoted name of the schema they live in.

create table {schema}.connections (
    id           bigint generated always as identity primary key,
    name         text not null unique,
    owner        uuid,
    workspace    text,
    sealed_token bytea,
    created_at   timestamptz not null default now()
);
comment on table {schema}.connections is 'A Notion token and whom it belongs to.';

create table {schema}.mappings (
    connection_id bigint not null references {schema}.connections,
    name          text not null,
    fingerprint   text,
    last_full_at  timestamptz,
    last_sweep_at timestamptz,
    last_look_at  timestamptz,
    last_rows     bigint,
    last_pages    bigint,
    primary key (connection_id, name)
);
comment on table {schema}.mappings is 'What is known of each mapping beside its configuration.';

create table {schema}.links (
    id              bigint generated always as identity primary key,
    connection_id   bigint not null references {schema}.connections,
    mapping         text not null,
    row_key         text not null,
    page_id         uuid not null,
    base_postgres   json not null,
    base_notion     json not null,
    postgres_digest uuid not null,
    notion_digest   uuid not null,
    unsettled       boolean not null default false,
    created_at      timestamptz not null default now(),
    settled_at      timestamptz not null default now(),
    unique (connection_id, mapping, row_key),
    unique (connection_id, mapping, page_id)
);
comment on table {schema}.links is 'One row with one page, and what was last settled with each side.';
comment on column {schema}.links.base_postgres is 'By column; json, not jsonb, because a page may hold characters that jsonb refuses.';
comment on column {schema}.links.unsettled is 'Something of this record waits (a conflict, a parked field): both sides have to be looked at before anything is planned.';

create table {schema}.cursors (
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    side          text not null check (side in ('postgres', 'notion')),
    position      jsonb not null,
    moved_at      timestamptz not null default now(),
    primary key (connection_id, mapping, side)
);
comment on table {schema}.cursors is 'How far each side has been read; never past unsettled work.';

create table {schema}.runs (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    started_at    timestamptz not null default now(),
    finished_at   timestamptz,
    state         text not null check (state in ('running', 'done', 'partial', 'failed', 'stopped')),
    origin        text not null,
    plans         jsonb not null default '[]',
    overridden    jsonb not null default '[]',
    calls         bigint not null default 0,
    error         text,
    report        jsonb
);
comment on table {schema}.runs is 'Plans carried out: the unit of history.';

create table {schema}.steps (
    connection_id bigint not null references {schema}.connections,
    run_id        bigint not null references {schema}.runs on delete cascade,
    seq           integer not null,
    mapping       text not null,
    status        text not null check (status in ('planned', 'intended', 'done', 'stale', 'failed', 'unknown')),
    side          text not null,
    action        text not null,
    link_id       bigint,
    row_key       text,
    page_id       uuid,
    step          json not null,
    columns       json not null,
    intended_at   timestamptz not null default clock_timestamp(),
    finished_at   timestamptz,
    reason        json,
    primary key (connection_id, run_id, seq)
);
create index steps_open on {schema}.steps (connection_id, mapping) where status in ('intended', 'unknown');
create index steps_record on {schema}.steps (connection_id, mapping, row_key);
comment on table {schema}.steps is 'The journal: each step as it was planned, and what became of it.';

create table {schema}.conflicts (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text,
    page_id       uuid,
    column_name   text not null default '',
    conflict      json not null,
    property      text,
    opened_at     timestamptz not null default now(),
    closed_at     timestamptz,
    resolution    text,
    version       bigint not null default 1
);
create unique index conflicts_open on {schema}.conflicts (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name) where closed_at is null;
comment on table {schema}.conflicts is 'Fields that both sides changed to different values, and deletions that wait for an answer.';

create table {schema}.parked (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text,
    page_id       uuid,
    column_name   text not null default '',
    side          text not null,
    reason        json not null,
    value         json,
    attempts      integer not null default 1,
    next_try      timestamptz,
    content       uuid,
    version       bigint not null default 1,
    since         timestamptz not null default now()
);
create unique index parked_record on {schema}.parked (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''), column_name);
comment on table {schema}.parked is 'Records that cannot be written as they are, and why. A missing next_try waits for a person or for a change.';
comment on column {schema}.parked.content is 'What both sides held when a write failed: while they still do, it is not tried before its time.';

create table {schema}.revisits (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text,
    page_id       uuid,
    due_at        timestamptz not null default now(),
    version       bigint not null default 1
);
create unique index revisits_record on {schema}.revisits (connection_id, mapping, coalesce(row_key, ''), coalesce(page_id::text, ''));
comment on table {schema}.revisits is 'Records to look at again on both sides, because what was planned for them did not settle.';

create table {schema}.leases (
    connection_id bigint not null references {schema}.connections,
    name          text not null,
    holder        text not null,
    epoch         bigint not null default 1,
    expires_at    timestamptz not null,
    primary key (connection_id, name)
);
comment on table {schema}.leases is 'Who works on a connection. The epoch is the fencing number.';
