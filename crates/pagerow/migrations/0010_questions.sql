-- What was asked about which row is which page.

create table {schema}.questions (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text,
    page_id       uuid,
    asked_at      timestamptz not null default clock_timestamp(),
    check (row_key is not null or page_id is not null)
);
create index questions_mapping on {schema}.questions (connection_id, mapping, id);
comment on table {schema}.questions is 'Rows and pages that may be one record. None is made a second time before somebody has answered.';
comment on column {schema}.questions.row_key is 'The row; null where only the page is asked about.';
comment on column {schema}.questions.page_id is 'The page that may be its own; null where several may be.';

create table {schema}.partings (
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text not null,
    page_id       uuid not null,
    parted_by     text not null,
    parted_at     timestamptz not null default clock_timestamp(),
    primary key (connection_id, mapping, row_key, page_id)
);
comment on table {schema}.partings is 'Links that a person took apart: what either half carries of the other no longer counts.';
