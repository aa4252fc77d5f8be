-- What people said about which row is which page.

create table {schema}.choices (
    id            bigint generated always as identity primary key,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    row_key       text,
    page_id       uuid,
    chosen_by     text not null,
    chosen_at     timestamptz not null default clock_timestamp(),
    check (row_key is not null or page_id is not null)
);
create unique index choices_row on {schema}.choices (connection_id, mapping, row_key) where row_key is not null;
create unique index choices_page on {schema}.choices (connection_id, mapping, page_id) where page_id is not null;
comment on table {schema}.choices is 'Answers to which row is which page, until they are links.';
comment on column {schema}.choices.row_key is 'The row; null where the page belongs to no row that is there.';
comment on column {schema}.choices.page_id is 'Its page; null where the row belongs to no page that is there.';
