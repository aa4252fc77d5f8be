-- What capture needs: the keys of changed rows, and counters that tell where some may be missing.

create sequence {schema}.outbox_gaps minvalue 0 start with 0;

create table {schema}.outbox (
    source bigint not null,
    xid    xid8 not null default pg_current_xact_id(),
    keys   text[]
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_insert_scale_factor = 0,
        autovacuum_vacuum_insert_threshold = 5000, toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 500);
alter table {schema}.outbox alter column keys set storage external;
-- No index: the table is nearly empty whenever it is read, and writers would pay for it.
comment on table {schema}.outbox is 'Keys of rows to look at, one line a statement. A hint, never evidence.';
comment on column {schema}.outbox.source is 'Names a table with the columns of its key: see the trigger function of this number.';
comment on column {schema}.outbox.xid is 'The transaction that wrote the rows; ids are not in the order of commits.';
comment on column {schema}.outbox.keys is 'NULL: look at everything, since the table was truncated; more than 1,000: too many to name, likewise.';
comment on sequence {schema}.outbox_gaps is 'Goes up, whatever becomes of the transaction, when a change could not be written down.';

create table {schema}.outbox_pruned (
    source bigint primary key,
    before xid8 not null
);
comment on table {schema}.outbox_pruned is 'Whoever has read less far than this has missed keys, and looks at everything.';

create table {schema}.outbox_assured (
    gaps  bigint primary key,
    until xid8 not null
);
comment on table {schema}.outbox_assured is 'For each count of gaps, before which transaction all of them are that went uncaptured.';

create table {schema}.made (
    id          bigint generated always as identity primary key,
    table_name  text not null,
    column_name text,
    bookkeeping boolean not null,
    made_at     timestamptz not null default now()
);
comment on table {schema}.made is 'Tables and columns that schema apply made for the user; bookkeeping ones hold nothing of anybody else.';
