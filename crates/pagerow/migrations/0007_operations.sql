-- Recoveries that may be interrupted and taken up again.

create table {schema}.operations (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    kind          text not null,
    form          int not null,
    state         text not null default 'open' check (state in ('open', 'done', 'cancelled', 'outdated')),
    retrievals    jsonb not null default '{}',
    started_at    timestamptz not null default clock_timestamp(),
    changed_at    timestamptz not null default clock_timestamp(),
    finished_at   timestamptz
);
create unique index operations_open on {schema}.operations (connection_id) where state = 'open';
comment on table {schema}.operations is 'Recoveries: what has been retrieved for each, mapping by mapping, and how each ended.';
comment on column {schema}.operations.form is 'In which form its pages are staged: another pagerow may not read them.';
comment on column {schema}.operations.retrievals is 'By mapping: which mapping it was, from where the next reading goes on, how many pages are staged and expected.';

create table {schema}.staged (
    operation_id  bigint not null references {schema}.operations on delete cascade,
    mapping       text not null,
    page_id       uuid not null,
    seen          json not null,
    primary key (operation_id, mapping, page_id)
);
comment on table {schema}.staged is 'Pages of an unfinished retrieval, as they were read.';
