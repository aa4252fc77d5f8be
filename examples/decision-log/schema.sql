-- One table of decisions. The last four columns belong to the sync: pagerow keeps them up to date.

CREATE TABLE IF NOT EXISTS decision_vault (
  id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  decision       text NOT NULL DEFAULT '',
  type           text,                                -- one type, or several between commas
  date           date,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  notion_page_id text,
  notion_synced  boolean NOT NULL DEFAULT false,
  checksum       text
);

-- The last edit wins, so a row has to say when it was last edited. Only the decision itself counts: when pagerow
-- notes a page id or a checksum, nobody has edited anything.
CREATE OR REPLACE FUNCTION decision_vault_edited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS edited ON decision_vault;
CREATE TRIGGER edited BEFORE UPDATE ON decision_vault FOR EACH ROW
  WHEN ((OLD.decision, OLD.type, OLD.date) IS DISTINCT FROM (NEW.decision, NEW.type, NEW.date)
        AND OLD.updated_at IS NOT DISTINCT FROM NEW.updated_at)
  EXECUTE FUNCTION decision_vault_edited();
