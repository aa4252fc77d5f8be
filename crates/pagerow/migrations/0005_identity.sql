-- Which database and which tables the memory belongs to, and where it may be from the past.

create table {schema}.identity (
    connection_id   bigint not null references {schema}.connections,
    mapping         text not null default '',
    facts           jsonb not null default '{}',
    lost_since      timestamptz,
    lost_why        text,
    removals_since  timestamptz,
    primary key (connection_id, mapping)
);
comment on table {schema}.identity is 'By what the database (mapping '''') and each mapping''s table would be known again.';
comment on column {schema}.identity.lost_since is 'Since when the mapping''s bases are not relied on: the memory may be from the past.';
comment on column {schema}.identity.removals_since is 'When a person last let deletions pass: earlier ones no longer count.';

create table {schema}.own_writes (
    link_id   bigint primary key references {schema}.links on delete cascade,
    edited_at timestamptz not null,
    edited_by text not null
);
comment on table {schema}.own_writes is 'The last edit of a page that was ours, by Notion''s clock and Notion''s id of us. A later one that was ours as well is one that was forgotten.';

create index steps_removed on {schema}.steps (connection_id, mapping, finished_at) where action in ('trash', 'delete');
create index steps_of_page on {schema}.steps (connection_id, page_id) where side = 'notion' and page_id is not null;
