-- Which whole row each page keeps, so that one that is old is noticed without reading the page.
alter table {schema}.links add column backup uuid;
create index links_without_backup on {schema}.links (connection_id, mapping, id) where backup is null;
comment on column {schema}.links.backup is 'Of the whole row that the page keeps, in short; null where it keeps none.';
