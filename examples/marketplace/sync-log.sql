-- Every step that pagerow carried out, as rows of a view that can be mirrored in Notion like any other.
--
-- The function asks pagerow's journal by name when it is called: nothing depends on pagerow's tables, which may change,
-- and without them the log is empty. pagerow's schema is named `pagerow` unless the configuration says otherwise.

CREATE OR REPLACE FUNCTION sync_log_entries()
RETURNS TABLE (
  sync_id text, table_name text, record_id text, notion_page_id text, direction text, status text,
  error_message text, synced_at timestamptz, sync_duration numeric
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF to_regclass('pagerow.steps') IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE $journal$
    SELECT run_id || '-' || seq, mapping, row_key, page_id::text,
           CASE side WHEN 'notion' THEN 'to_notion' ELSE 'to_postgres' END,
           steps.status, reason ->> 'text', coalesce(finished_at, intended_at),
           round(1000 * extract(epoch FROM finished_at - intended_at), 1)
    FROM pagerow.steps
    -- The log's own steps would make new ones for ever; what is still open has no end to tell of.
    WHERE mapping <> 'sync_log' AND steps.status IN ('done', 'failed', 'unknown')
  $journal$;
END $$;

CREATE OR REPLACE VIEW sync_log AS SELECT * FROM sync_log_entries();
