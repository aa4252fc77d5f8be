-- Undo, who did what, and an audit that shows when it was tampered with.

alter table {schema}.links add column apart text check (apart in ('postgres', 'notion'));
comment on column {schema}.links.apart is 'The side whose half is away on purpose, after an undo: that is no deletion.';

alter table {schema}.runs add column who text;
alter table {schema}.runs add column undone_by bigint;
alter table {schema}.runs add column shapes jsonb not null default '{}';
comment on column {schema}.runs.who is 'The person or the machine.';
comment on column {schema}.runs.undone_by is 'The run that took this one back.';
comment on column {schema}.runs.shapes is 'What each field was, by mapping and column: its values fit it as long as it is the same.';
create index runs_finished on {schema}.runs (connection_id, finished_at);

alter table {schema}.steps add column shown json;
comment on column {schema}.steps.shown is 'By column, what the record showed where that is not what was sent.';
create index steps_page on {schema}.steps (connection_id, mapping, page_id);

create table {schema}.audit (
    connection_id bigint not null references {schema}.connections,
    seq           bigint not null,
    at            timestamptz not null,
    entry         text not null,
    hash          bytea not null,
    primary key (connection_id, seq)
);
create index audit_at on {schema}.audit (connection_id, at);
comment on table {schema}.audit is 'One entry for each step that was done and each decision. hash = sha256(the hash before, seq as 8 bytes, entry).';

create table {schema}.audit_heads (
    connection_id bigint primary key references {schema}.connections,
    seq           bigint not null default 0,
    hash          bytea not null default decode(repeat('00', 32), 'hex'),
    anchor_seq    bigint not null default 0,
    anchor_hash   bytea not null default decode(repeat('00', 32), 'hex')
);
comment on table {schema}.audit_heads is 'The end of each chain, and where retention has cut off its beginning; an entry of the chain says so too.';

create function {schema}.audit_is_append_only() returns trigger language plpgsql as $body$
begin
    if tg_op = 'DELETE' then
        perform from {schema}.audit_heads as head
            where head.connection_id = old.connection_id and old.seq <= head.anchor_seq;
        if found then
            return old;
        end if;
    end if;
    raise exception 'the audit is append-only' using errcode = 'insufficient_privilege';
end
$body$;
create trigger audit_no_change before update or delete on {schema}.audit
    for each row execute function {schema}.audit_is_append_only();
create trigger audit_no_truncate before truncate on {schema}.audit
    for each statement execute function {schema}.audit_is_append_only();
