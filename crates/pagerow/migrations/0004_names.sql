-- What the configuration's names meant when they were last bound to both schemas.

create table {schema}.names (
    connection_id bigint not null references {schema}.connections,
    mapping       text not null,
    meaning       jsonb not null,
    paused        jsonb not null default '[]',
    kept_at       timestamptz not null default now(),
    primary key (connection_id, mapping)
);
comment on table {schema}.names is 'Ids of tables, columns, properties and options by the names that the configuration gives them, so that a rename is told from a loss.';
comment on column {schema}.names.paused is 'What of the mapping did not flow when it was last bound, and why.';
