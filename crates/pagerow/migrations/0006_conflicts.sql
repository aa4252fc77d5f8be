-- What becomes of conflicts and deletions in the long run.

create table {schema}.buried_links (
    id              bigint primary key,
    connection_id   bigint not null references {schema}.connections,
    mapping         text not null,
    row_key         text not null,
    page_id         uuid not null,
    base_postgres   json not null,
    base_notion     json not null,
    postgres_digest uuid not null,
    notion_digest   uuid not null,
    created_at      timestamptz not null,
    buried_at       timestamptz not null default now()
);
create index buried_links_row on {schema}.buried_links (connection_id, mapping, row_key);
create index buried_links_page on {schema}.buried_links (connection_id, mapping, page_id);
comment on table {schema}.buried_links is 'Links of which both halves were deleted: a half that comes back brings the other one back, not a twin.';

create table {schema}.absences (
    link_id       bigint primary key references {schema}.links on delete cascade,
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    since         timestamptz not null default clock_timestamp()
);
create index absences_mapping on {schema}.absences (connection_id, mapping);
comment on table {schema}.absences is 'Linked records of which one half is gone, since when: a deletion follows only what a later look finds gone again.';

alter table {schema}.conflicts
    add column resolved_by text,
    add column resolved_in bigint,
    add column held boolean not null default false;
comment on column {schema}.conflicts.held is 'A deletion that a person left as it is: it is not asked about again while it lasts.';

alter table {schema}.mappings add column shape text;
comment on column {schema}.mappings.shape is 'What the fields could hold at the last look: when it changes, what is parked is looked at again.';
