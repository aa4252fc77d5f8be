//! The SQL that puts triggers on a table and takes them away.

use std::fmt::Write as _;

use super::{MOST_BYTES, MOST_KEYS, Source};
use crate::postgres::catalogue::{literal, quoted};

/// What a trigger waits for, with `pg_trigger.tgtype` and the transition tables that it reads.
pub const EVENTS: [(&str, i16, &str); 4] = [
    ("insert", 4, " REFERENCING NEW TABLE AS pagerow_new"),
    ("update", 16, " REFERENCING OLD TABLE AS pagerow_old NEW TABLE AS pagerow_new"),
    ("delete", 8, " REFERENCING OLD TABLE AS pagerow_old"),
    ("truncate", 32, ""),
];

/// The channel on which captured statements wake pagerow up.
#[must_use]
pub fn channel(own_schema: &str) -> String {
    let mut name = format!("pagerow_{own_schema}");
    while name.len() > 63 {
        name.pop();
    }
    name
}

impl Source {
    /// The trigger function's body, exactly as the catalogue keeps it.
    ///
    /// A failure of any kind is taken back to before the function's own insert, so that the user's statement never
    /// fails by it, and is counted by a sequence, which keeps the count whatever becomes of the transaction.
    ///
    /// Each expression costs about as much as an index would, since it is made ready anew in every transaction: hence
    /// one statement with as few of them as can be, and too many keys are seen by who reads them.
    #[must_use]
    pub fn body(&self, notifies: bool) -> String {
        let own = quoted(&self.own_schema);
        let outbox = literal(&format!("{own}.outbox"));
        let most = MOST_KEYS + 1;
        let named = |of: &str, rows: &str| {
            format!(
                "SELECT {} FROM {rows} AS {of} WHERE {} LIMIT {most}",
                self.key_text(of),
                self.has_key(of)
            )
        };
        let (new, old) = (named("n", "pagerow_new"), named("o", "pagerow_old"));
        let write = |keys: &str, some: &str| {
            format!(
                "INSERT INTO {own}.outbox (source, keys) SELECT {id}, ARRAY({keys})
        WHERE pg_relation_size({outbox}) < {MOST_BYTES} AND EXISTS (SELECT FROM {some});",
                id = self.id
            )
        };
        let notify = if notifies {
            // pagerow's own writes are no news to it.
            format!(
                "    IF current_setting('pagerow.own', true) IS DISTINCT FROM 'on' THEN\n\
                 \x20       PERFORM pg_notify({}, '');\n\
                 \x20   END IF;\n",
                literal(&channel(&self.own_schema))
            )
        } else {
            String::new()
        };
        format!(
            "
BEGIN
    IF TG_OP = 'INSERT' THEN
        {inserted}
    ELSIF TG_OP = 'UPDATE' THEN
        {updated}
    ELSIF TG_OP = 'DELETE' THEN
        {deleted}
    ELSE
        INSERT INTO {own}.outbox (source) VALUES ({id});
    END IF;
{notify}    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    BEGIN
        PERFORM nextval({own_gaps});
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'pagerow could not write down a change of %', TG_TABLE_NAME;
    END;
    RETURN NULL;
END
",
            inserted = write(&new, "pagerow_new"),
            updated = write(&format!("({new}) UNION ({old})"), "pagerow_new"),
            deleted = write(&old, "pagerow_old"),
            id = self.id,
            own_gaps = literal(&format!("{own}.outbox_gaps")),
        )
    }

    /// What the text of a key would otherwise depend on; each costs a little at every call.
    fn settings(&self) -> &'static str {
        let is = |names: &[&str]| self.key.iter().any(|(_, kind)| names.contains(&kind.as_str()));
        match (is(&["real", "double precision"]), is(&["bytea"])) {
            (false, false) => "",
            (true, false) => " SET extra_float_digits = 1",
            (false, true) => " SET standard_conforming_strings = on",
            (true, true) => " SET extra_float_digits = 1 SET standard_conforming_strings = on",
        }
    }

    /// A trigger's name.
    #[must_use]
    pub fn trigger(&self, event: &str) -> String {
        format!("pagerow_{:016x}_{event}", self.id)
    }

    /// Statements that put the function and its triggers on these tables (the source's own and what inherits from
    /// it; quoted, with schema), whatever is there of them. Triggers that are there go with their function, which also
    /// a role can ask for that does not own the tables. `always` makes them fire also for replicated sessions,
    /// which only the table's owner may ask for.
    #[must_use]
    pub fn install(&self, tables: &[(String, bool)], notifies: bool) -> String {
        let function = format!("{}.{}", quoted(&self.own_schema), quoted(&self.function()));
        let mut sql = String::from("BEGIN;\nSET LOCAL lock_timeout = '5s';\n");
        let _infallible = write!(
            sql,
            "DROP FUNCTION IF EXISTS {function}() CASCADE;\n\
             CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             SET search_path = ''{} AS $pagerow${}$pagerow$;\n\
             REVOKE ALL ON FUNCTION {function}() FROM PUBLIC;\n",
            self.settings(),
            self.body(notifies),
        );
        for (table, always) in tables {
            for (event, _, tables) in EVENTS {
                let trigger = quoted(&self.trigger(event));
                let _infallible = writeln!(
                    sql,
                    "CREATE TRIGGER {trigger} AFTER {event} ON {table}{tables} FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
                );
                if *always {
                    let _infallible = writeln!(sql, "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger};");
                }
            }
        }
        sql.push_str("COMMIT;");
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(key: &[(&str, &str)]) -> Source {
        let key = key.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        Source::new("public", "it\"em", key, "pagerow")
    }

    #[test]
    fn names_cannot_end_their_quotes_and_fit() {
        let source = source(&[("we\"ird", "integer")]);
        let sql = source.install(&[("public.\"it\"\"em\"".to_owned(), true)], true);
        assert!(sql.contains("n.\"we\"\"ird\"::text"), "{sql}");
        assert!(EVENTS.iter().all(|(event, ..)| source.trigger(event).len() <= 63));
        assert!(channel(&"ü".repeat(60)).len() <= 63);
    }

    #[test]
    fn a_source_is_its_table_with_its_key() {
        let of = |key| source(key).id;
        assert_eq!(
            of(&[("id", "integer")]),
            of(&[("id", "bigint")]),
            "the function is replaced, not doubled"
        );
        assert_ne!(of(&[("id", "integer")]), of(&[("no", "integer")]));
        assert_ne!(of(&[("a", "text"), ("b", "text")]), of(&[("ab", "text")]));
    }

    #[test]
    fn a_composite_key_is_an_array() {
        let body = source(&[("a", "text"), ("b", "bytea")]).body(false);
        let text = "json_build_array(n.\"a\"::text, '\\x' || encode(n.\"b\", 'hex'))::text";
        assert!(body.contains(text), "{body}");
        assert!(!body.contains("pg_notify"));
    }
}
