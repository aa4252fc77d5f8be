-- What waits for a decision, with the decision. pagerow keeps the table (`conflicts_mapping` in pagerow.toml names its
-- mapping), people fill the last column in Notion.

CREATE TABLE IF NOT EXISTS sync_conflicts (
  conflict_id bigint PRIMARY KEY,                       -- as in `pagerow conflicts`
  version     bigint NOT NULL,                          -- an answer counts for the question that it was given to
  table_name  text NOT NULL,
  record_id   text,
  page_id     text,
  field       text,                                     -- nothing where the record itself is asked about
  in_postgres text,
  in_notion   text,
  opened_at   timestamptz NOT NULL,
  status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
  decision    text CHECK (decision IN ('postgres', 'notion', 'skip'))
);
