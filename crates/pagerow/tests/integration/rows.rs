//! Is a mapping's table read and written as it is, value by value, record by record, whoever else is at work?
#![expect(clippy::panic, reason = "a test stops at the first surprise, and says which")]

use std::time::{Duration, Instant};

use pagerow::postgres::table::{Bookkeeping, FieldSource};
use pagerow::postgres::transaction::{Tx, TxError};
use pagerow::replica::{Cursor, Outcome, Relatives, RowNote, Rows, Scope};
use pagerow_core::mapping::ColumnKind;
use pagerow_core::observation::{Absence, Observation};
use pagerow_core::plan::{Action, Expect};
use pagerow_core::record::{PageId, RowKey};
use pagerow_core::retry::Failure;
use pagerow_core::value::{Moment, Range, Ref, Value};

use crate::support::postgres::{TestDatabase, eventually, northwind, server};
use crate::support::rows::{Shop, Spec, integer, list, n, numeric, row, scalar, t, text, told};

fn day(text: &str) -> Value {
    Value::Day(text.parse().unwrap())
}

fn instant(text: &str) -> Value {
    Value::Instant(text.parse().unwrap())
}

/// Every type: name, type, what it holds, a value in Postgres's text form (NUL stands for `NULL`), what that means.
pub(crate) fn every_type() -> Vec<(&'static str, &'static str, ColumnKind, &'static str, Value)> {
    let range = |start: Option<Moment>, end: Option<Moment>| Value::Range(Box::new(Range { start, end }));
    let at = |text: &str| Some(Moment::Instant(text.parse().unwrap()));
    let on = |text: &str| Some(Moment::Day(text.parse().unwrap()));
    vec![
        ("flag", "boolean", ColumnKind::Bool, "true", Value::Bool(true)),
        ("small", "smallint", integer(), "-32768", n("-32768")),
        ("whole", "integer", integer(), "2147483647", n("2147483647")),
        ("big", "bigint", integer(), "-9223372036854775808", n("-9223372036854775808")),
        ("single", "real", ColumnKind::Real, "0.1", n("0.1")),
        (
            "double",
            "double precision",
            ColumnKind::Double,
            "1.7976931348623157e308",
            n("1.7976931348623157e308"),
        ),
        (
            "not_double",
            "double precision",
            ColumnKind::Double,
            "NaN",
            Value::opaque("double precision", "NaN"),
        ),
        (
            "exact",
            "numeric",
            numeric(),
            "1234567890123456789012345678901234567890.1234567890123456789012345678901234567890",
            n("1234567890123456789012345678901234567890.123456789012345678901234567890123456789"),
        ),
        ("money_like", "numeric(10,2)", numeric(), "12.50", n("12.5")),
        ("not_exact", "numeric", numeric(), "NaN", Value::opaque("numeric", "NaN")),
        ("words", "text", text(), "Łódź \"q\" \\ ' 🐘\nline\t{}", t("Łódź \"q\" \\ ' 🐘\nline\t{}")),
        ("empty", "text", text(), "", t("")),
        ("short", "varchar(5)", text(), "abcde", t("abcde")),
        ("fixed", "char(3)", text(), "abc", t("abc")),
        ("mood", "mood", ColumnKind::Choice { labels: Vec::new() }, "so, so", t("so, so")),
        ("mail", "mail", text(), "a@b.c", t("a@b.c")),
        ("positive", "positive", integer(), "7", n("7")),
        (
            "id_like",
            "uuid",
            scalar("uuid"),
            "5C6A2821-6BB1-4A7E-B6E1-C50111515C3D",
            t("5c6a2821-6bb1-4a7e-b6e1-c50111515c3d"),
        ),
        ("bytes", "bytea", scalar("bytea"), "\\x00ff5c", t("\\x00ff5c")),
        ("born", "date", ColumnKind::Day, "2026-02-01", day("2026-02-01")),
        ("never", "date", ColumnKind::Day, "infinity", Value::opaque("date", "infinity")),
        ("ides", "date", ColumnKind::Day, "0044-03-15 BC", Value::opaque("date", "0044-03-15 BC")),
        ("far", "date", ColumnKind::Day, "20000-12-31", Value::opaque("date", "20000-12-31")),
        (
            "at",
            "timestamptz",
            ColumnKind::Instant,
            "2026-02-01 12:34:56.789012+09",
            instant("2026-02-01T03:34:56.789012Z"),
        ),
        ("ever", "timestamptz", ColumnKind::Instant, "-infinity", Value::opaque("timestamptz", "-infinity")),
        (
            "far_at",
            "timestamptz",
            ColumnKind::Instant,
            "20000-12-31 01:02:03.5+00",
            Value::opaque("timestamptz", "20000-12-31 01:02:03.5+00"),
        ),
        (
            "ides_at",
            "timestamptz",
            ColumnKind::Instant,
            "0044-03-15 01:02:03+00 BC",
            Value::opaque("timestamptz", "0044-03-15 01:02:03+00 BC"),
        ),
        (
            "local",
            "timestamp",
            ColumnKind::Instant,
            "2026-02-01 12:34:56.7",
            instant("2026-02-01T11:34:56.7Z"),
        ),
        (
            "far_local",
            "timestamp",
            ColumnKind::Instant,
            "0044-03-15 01:02:03 BC",
            Value::opaque("timestamp", "0044-03-15 01:02:03 BC"),
        ),
        (
            "days",
            "daterange",
            ColumnKind::DayRange,
            "[2026-02-01,2026-02-03]",
            range(on("2026-02-01"), on("2026-02-03")),
        ),
        ("open_days", "daterange", ColumnKind::DayRange, "[2026-02-01,)", range(on("2026-02-01"), None)),
        ("no_days", "daterange", ColumnKind::DayRange, "empty", Value::opaque("daterange", "empty")),
        (
            "hours",
            "tstzrange",
            ColumnKind::InstantRange,
            "[2026-02-01 09:00+00,2026-02-01 10:00+00)",
            range(at("2026-02-01T09:00:00Z"), at("2026-02-01T10:00:00Z")),
        ),
        (
            "closed_hours",
            "tstzrange",
            ColumnKind::InstantRange,
            "(2026-02-01 09:00+00,2026-02-01 10:00+00]",
            Value::opaque("tstzrange", "(\"2026-02-01 09:00:00+00\",\"2026-02-01 10:00:00+00\"]"),
        ),
        (
            "local_hours",
            "tsrange",
            ColumnKind::InstantRange,
            "[2026-02-01 09:00,2026-02-01 10:00)",
            range(at("2026-02-01T08:00:00Z"), at("2026-02-01T09:00:00Z")),
        ),
        (
            "json_like",
            "jsonb",
            ColumnKind::Json,
            "{\"b\": [1.50, 12345678901234567890], \"a\": \"x\\n\"}",
            Value::Json("{\"a\":\"x\\n\",\"b\":[1.50,12345678901234567890]}".into()),
        ),
        (
            "json_text",
            "json",
            ColumnKind::Json,
            " [1, {\"z\":1,\"a\":null}] ",
            Value::Json("[1,{\"a\":null,\"z\":1}]".into()),
        ),
        (
            "tags",
            "text[]",
            list(text()),
            "{a,NULL,\"NULL\",\"x,y\",\"\"}",
            Value::List(vec![t("a"), Value::Null, t("NULL"), t("x,y"), t("")]),
        ),
        ("no_tags", "text[]", list(text()), "{}", Value::List(Vec::new())),
        ("short_tags", "varchar(3)[]", list(text()), "{abc}", Value::List(vec![t("abc")])),
        (
            "moods",
            "mood[]",
            list(ColumnKind::Choice { labels: Vec::new() }),
            "{\"so, so\",good}",
            Value::List(vec![t("so, so"), t("good")]),
        ),
        (
            "numbers",
            "numeric[]",
            list(numeric()),
            "{12345678901234567890.10,NULL}",
            Value::List(vec![n("12345678901234567890.1"), Value::Null]),
        ),
        (
            "grid",
            "integer[]",
            list(integer()),
            "{{1,2},{3,4}}",
            Value::List(vec![Value::List(vec![n("1"), n("2")]), Value::List(vec![n("3"), n("4")])]),
        ),
        (
            "birthdays",
            "date[]",
            list(ColumnKind::Day),
            "{2026-02-01,infinity}",
            Value::List(vec![day("2026-02-01"), Value::opaque("date", "infinity")]),
        ),
        (
            "moments",
            "timestamptz[]",
            list(ColumnKind::Instant),
            "{2026-02-01 12:34:56+09}",
            Value::List(vec![instant("2026-02-01T03:34:56Z")]),
        ),
        (
            "clocks",
            "timestamp[]",
            list(ColumnKind::Instant),
            "{2026-02-01 12:34:56}",
            Value::List(vec![instant("2026-02-01T11:34:56Z")]),
        ),
        ("object", "oid", integer(), "4294967295", n("4294967295")),
        ("span", "interval", scalar("interval"), "1 year 2 days 03:04:05", t("1 year 2 days 03:04:05")),
        ("clock", "time", scalar("time"), "12:34:56.5", t("12:34:56.5")),
        ("host", "inet", scalar("inet"), "10.0.0.1/8", t("10.0.0.1/8")),
        ("nothing", "text", text(), "\0", Value::Null),
    ]
}

pub(crate) const TYPES: &str = "CREATE TYPE mood AS ENUM ('good', 'so, so'); \
     CREATE DOMAIN mail AS varchar(8) CHECK (VALUE LIKE '%@%'); \
     CREATE DOMAIN positive AS integer CHECK (VALUE > 0);";

/// One row that holds a value of every type, and an empty one; in a database of odd habits.
async fn types_table() -> (TestDatabase, Spec) {
    let types = every_type();
    let columns: Vec<String> = types.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect();
    let sql = format!("{TYPES} CREATE TABLE thing (id bigint PRIMARY KEY, {})", columns.join(", "));
    let database = TestDatabase::with(&sql).await;
    let client = database.client().await;
    for (name, kind, _, value, _) in &types {
        let value = (*value != "\0").then_some(*value);
        let sql = format!(
            "INSERT INTO thing (id, {name}) VALUES (1, $1::text::{kind}) \
             ON CONFLICT (id) DO UPDATE SET {name} = excluded.{name}"
        );
        client.execute(&sql, &[&value]).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let habits = format!(
        "INSERT INTO thing (id) VALUES (2); \
         ALTER DATABASE {0} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {0} SET datestyle = 'SQL, DMY'; \
         ALTER DATABASE {0} SET bytea_output = 'escape'; ALTER DATABASE {0} SET extra_float_digits = -3",
        database.name
    );
    client.batch_execute(&habits).await.unwrap();
    let fields = types.into_iter().map(|(name, _, holds, ..)| (name, holds)).collect();
    (database, Spec { table: "thing", key: &["id"], fields, zone: Some("Europe/Warsaw"), ..Spec::default() })
}

#[tokio::test]
async fn every_type_is_read_as_what_it_means() {
    let (database, spec) = types_table().await;
    let shop = Shop::open(&database, &spec).await;
    let sighting = shop.sighting("1").await;
    for (name, _, _, _, expected) in every_type() {
        assert_eq!(shop.value(&sighting, name), expected, "{name}");
    }
    let empty = shop.sighting("2").await;
    assert!(empty.record.values().iter().all(|value| *value == Some(Value::Null)));
    let all = shop.all().await;
    assert_eq!(all["1"], Observation::Present(sighting));
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn writing_what_was_read_changes_nothing() {
    let (database, spec) = types_table().await;
    let shop = Shop::open(&database, &spec).await;
    let client = database.client().await;
    client.batch_execute("CREATE TABLE kept AS SELECT * FROM thing WHERE id = 1").await.unwrap();
    let sighting = shop.sighting("1").await;
    let names: Vec<&str> = spec.fields.iter().map(|(name, _)| *name).collect();
    let fields: Vec<(&str, Value)> = names.iter().map(|name| (*name, shop.value(&sighting, name))).collect();
    let outcomes = shop.write(&[shop.update("1", sighting.digest, &fields)]).await;
    let Outcome::Done { sighting: after, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(after.digest, sighting.digest);
    // As JSON, since not every type has an equality, and with that of numbers, to which trailing zeros are nothing.
    let same = "SELECT to_jsonb(thing) = to_jsonb(kept) FROM thing, kept WHERE thing.id = 1";
    assert!(client.query_one(same, &[]).await.unwrap().get::<_, bool>(0));

    // A new row from the same values is the same row.
    let outcomes = shop.write(&[shop.create(Some("3"), &fields)]).await;
    let Outcome::Done { sighting: copy, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(copy.digest, sighting.digest);
    // And NULL is written as NULL.
    let nulls: Vec<(&str, Value)> = names.iter().map(|name| (*name, Value::Null)).collect();
    let outcomes = shop.write(&[shop.update("3", copy.digest, &nulls)]).await;
    let Outcome::Done { sighting: empty, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(empty.record.values().iter().all(|value| *value == Some(Value::Null)));
}

#[tokio::test]
async fn nothing_is_cut() {
    let sql = format!(
        "{TYPES} CREATE TABLE thing (id int PRIMARY KEY, short varchar(3), fixed char(3), \
               mail mail, tags varchar(3)[])"
    );
    let database = TestDatabase::with(&sql).await;
    let fields = vec![("short", text()), ("fixed", text()), ("mail", text()), ("tags", list(text()))];
    let shop = Shop::open(&database, &Spec { table: "thing", key: &["id"], fields, ..Spec::default() }).await;
    let outcomes = shop
        .write(&[
            shop.create(Some("1"), &[("short", t("abcd"))]),
            shop.create(Some("2"), &[("fixed", t("abcd"))]),
            shop.create(Some("3"), &[("mail", t("long@mail.example"))]),
            shop.create(Some("4"), &[("tags", Value::List(vec![t("abcd")]))]),
            shop.create(Some("5"), &[("short", t("a\0b"))]),
        ])
        .await;
    let told: Vec<String> = outcomes.iter().map(told).collect();
    assert_eq!(told, ["Record 22001", "Record 22001", "Record 22001", "Record 22001", "Record nul"]);
    assert!(shop.all().await.is_empty());
}

#[tokio::test]
async fn composite_and_odd_keys_are_found_and_written() {
    let sql = "CREATE TABLE \"Line \"\"x\"\"\" (\"order\" int, at timestamptz, name text, \
               PRIMARY KEY (\"order\", at)); \
               INSERT INTO \"Line \"\"x\"\"\" VALUES (7, '2026-02-01 12:00:00.5+09', 'a'), (8, 'infinity', 'b')";
    let database = TestDatabase::with(sql).await;
    let habits = format!(
        "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {0} SET datestyle = 'SQL, DMY'",
        database.name
    );
    database.client().await.batch_execute(&habits).await.unwrap();
    let spec = Spec {
        table: "Line \"x\"",
        key: &["order", "at"],
        fields: vec![("name", text())],
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let all = shop.all().await;
    let keys: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(keys, [r#"["7","2026-02-01 03:00:00.5+00"]"#, r#"["8","infinity"]"#]);
    let seen = shop.sighting(keys[0]).await;
    let new = r#"["9","2026-03-01 00:00:00+00"]"#;
    let outcomes = shop
        .write(&[
            shop.update(keys[0], seen.digest, &[("name", t("z"))]),
            shop.create(Some(new), &[("name", t("n"))]),
        ])
        .await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        [format!("done {}", keys[0]), format!("done {new}")]
    );
    assert_eq!(shop.value(&shop.sighting(keys[0]).await, "name"), t("z"));
    assert_eq!(shop.value(&shop.sighting(new).await, "name"), t("n"));
}

#[tokio::test]
async fn a_key_that_is_none_disturbs_no_other() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, status text); \
               INSERT INTO item VALUES (1, 'a', 'live'), (2, 'b', 'draft'), (3, 'c', 'live')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "item",
        key: &["id"],
        fields: vec![("name", text())],
        condition: Some("item.status <> 'draft' -- what is public"),
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let keys: Vec<RowKey> = ["1", "x", "2", "99", "99999999999", "a\0", "03"].map(RowKey::from).to_vec();
    let (_, seen) = shop.look(Scope::These(&keys)).await;
    assert!(matches!(seen["1"], Observation::Present(_)));
    assert!(matches!(seen["3"], Observation::Present(_)), "under its own key");
    assert!(matches!(seen["03"], Observation::Unreadable(_)));
    for no_key in ["x", "99999999999", "a\0"] {
        assert!(matches!(seen[no_key], Observation::Unreadable(_)), "{no_key:?} is no proof of a deletion");
    }
    assert_eq!(seen["2"], Observation::Absent(Absence::OutOfScope));
    assert_eq!(seen["99"], Observation::Absent(Absence::Deleted));
    let (looked, all) = shop.look(Scope::Everything).await;
    assert_eq!((all.len(), looked.count, looked.complete), (2, Some(2), true));
}

#[tokio::test]
async fn identity_generated_and_default_columns_are_left_to_postgres() {
    let sql = "CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, \
               shout text GENERATED ALWAYS AS (upper(name)) STORED, state text NOT NULL DEFAULT 'new')";
    let database = TestDatabase::with(sql).await;
    let fields = vec![("id", integer()), ("name", text()), ("shout", text()), ("state", text())];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let outcomes = shop
        .write(&[
            shop.create(None, &[("name", t("a"))]),
            shop.create(None, &[("name", t("b"))]),
            shop.create(None, &[]),
            shop.create(None, &[]),
            shop.create(Some("40"), &[("id", n("40")), ("name", t("back"))]),
            shop.create(None, &[("shout", t("LOUD"))]),
        ])
        .await;
    let ends: Vec<String> = outcomes.iter().map(told).collect();
    assert_eq!(ends, ["done 1", "done 2", "done 3", "done 4", "done 40", "Record read_only"]);
    let Outcome::Done { sighting, .. } = &outcomes[1] else { panic!() };
    assert_eq!(shop.value(sighting, "name"), t("b"));
    assert_eq!(shop.value(sighting, "shout"), t("B"));
    assert_eq!(shop.value(sighting, "state"), t("new"));
    // The key that was given is behind the sequence, for the application's own next row.
    let next: i32 = database
        .client()
        .await
        .query_one("INSERT INTO item DEFAULT VALUES RETURNING id", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(next, 41);
}

#[tokio::test]
async fn a_row_that_moved_is_left_alone() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, aside text); \
               INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (one, two, three) = (shop.sighting("1").await, shop.sighting("2").await, shop.sighting("3").await);
    let moved = "UPDATE item SET name = 'moved' WHERE id = 1; UPDATE item SET aside = 'x' WHERE id = 2; \
                 DELETE FROM item WHERE id = 3";
    database.client().await.batch_execute(moved).await.unwrap();
    let outcomes = shop
        .write(&[
            shop.update("1", one.digest, &[("name", t("n"))]),
            shop.update("2", two.digest, &[("name", t("n"))]),
            shop.update("3", three.digest, &[("name", t("n"))]),
            shop.create(Some("2"), &[("name", t("n"))]),
            shop.step(Action::Delete, Some("1"), &[], Expect::Seen(one.digest)),
        ])
        .await;
    // A step for the same row comes in a later round, and meets the row as the earlier one left it.
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["stale", "done 2", "stale", "stale", "stale"]);
    assert_eq!(shop.value(&shop.sighting("1").await, "name"), t("moved"));
}

#[tokio::test]
async fn a_failing_record_stops_nobody_else() {
    let sql = "CREATE TABLE maker (id int PRIMARY KEY); INSERT INTO maker VALUES (1); \
               CREATE TABLE item (id int PRIMARY KEY, name text UNIQUE, price int CONSTRAINT fair CHECK (price > 0), \
               need text NOT NULL DEFAULT 'x', maker int REFERENCES maker, born date, \
               late int REFERENCES maker DEFERRABLE INITIALLY DEFERRED); \
               INSERT INTO item (id, name) VALUES (1000, 'taken')";
    let database = TestDatabase::with(sql).await;
    let maker = || ColumnKind::Reference { mapping: "maker".into() };
    let fields = vec![
        ("name", text()),
        ("price", integer()),
        ("need", text()),
        ("maker", maker()),
        ("born", ColumnKind::Day),
        ("late", maker()),
    ];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let bad: Vec<(usize, (&str, Value), &str)> = vec![
        (3, ("name", t("taken")), "Record 23505"),
        (17, ("price", n("-1")), "Record 23514"),
        (18, ("need", Value::Null), "Record 23502"),
        (40, ("maker", row("77")), "Missing 23503"),
        (41, ("born", t("yesterday week")), "Record 22007"),
        (42, ("price", n("99999999999")), "Record 22003"),
        (43, ("maker", Value::Ref(Ref::Page(PageId(uuid::Uuid::nil())))), "Missing no_related_row"),
        (59, ("late", row("77")), "Missing 23503"),
    ];
    let steps: Vec<_> = (0..60)
        .map(|i| {
            let mut fields = vec![
                ("name", t(&format!("n{i}"))),
                ("price", n("5")),
                ("need", t("y")),
                ("maker", row("1")),
                ("born", day("2026-02-01")),
                ("late", row("1")),
            ];
            if let Some((_, (name, value), _)) = bad.iter().find(|(at, ..)| *at == i) {
                fields.iter_mut().find(|(column, _)| column == name).unwrap().1 = value.clone();
            }
            shop.create(Some(&i.to_string()), &fields)
        })
        .collect();
    let outcomes = shop.write(&steps).await;
    for (i, outcome) in outcomes.iter().enumerate() {
        let expected =
            bad.iter().find(|(at, ..)| *at == i).map_or(format!("done {i}"), |(.., end)| (*end).into());
        assert_eq!(told(outcome), expected, "step {i}");
        if let Outcome::Failed(failed) = outcome {
            let said = format!("{failed:?}");
            assert!(!said.contains("taken") && !said.contains("yesterday"), "{said}");
        }
    }
    let Outcome::Failed(failed) = &outcomes[17] else { panic!() };
    assert!(failed.reason.text.contains("fair"), "{:?}", failed.reason);
    assert_eq!(shop.all().await.len(), 60 - bad.len() + 1);

    // The same for updates; and what one gives up another may take, in whichever order.
    let (a, b) = (shop.sighting("0").await, shop.sighting("1").await);
    let c = shop.sighting("2").await;
    let outcomes = shop
        .write(&[
            shop.update("0", a.digest, &[("name", t("n1"))]),
            shop.update("1", b.digest, &[("name", t("free"))]),
            shop.update("2", c.digest, &[("price", n("0"))]),
        ])
        .await;
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["done 0", "done 1", "Record 23514"]);
}

#[tokio::test]
async fn triggers_are_the_truth() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, seen int DEFAULT 0); \
      CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.name = 'swallow' THEN RETURN NULL; END IF; \
        IF NEW.name = 'raise' THEN RAISE EXCEPTION 'no %', NEW.name; END IF; \
        NEW.name := trim(NEW.name); RETURN NEW; END $$; \
      CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        UPDATE item SET seen = seen + 1 WHERE id = NEW.id; RETURN NULL; END $$; \
      CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION tidy(); \
      CREATE TRIGGER count_it AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION count_it();";
    let database = TestDatabase::with(sql).await;
    let fields = vec![("name", text()), ("seen", integer())];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    let outcomes = shop
        .write(&[
            shop.create(Some("1"), &[("name", t(" a "))]),
            shop.create(Some("2"), &[("name", t("swallow"))]),
            shop.create(Some("3"), &[("name", t("raise"))]),
            shop.create(Some("4"), &[("name", t("d"))]),
        ])
        .await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        ["done 1", "Record swallowed", "Record P0001", "done 4"]
    );
    let Outcome::Done { sighting, .. } = &outcomes[0] else { panic!() };
    assert_eq!((shop.value(sighting, "name"), shop.value(sighting, "seen")), (t("a"), n("1")));
    assert!(!format!("{outcomes:?}").contains("no raise"));
}

const LISTS: &str = "CREATE TABLE supplier (id int PRIMARY KEY, name text); \
    CREATE TABLE playlist (id uuid PRIMARY KEY); \
    CREATE TABLE playlist_supplier (supplier int REFERENCES supplier ON DELETE CASCADE, \
      playlist uuid REFERENCES playlist, PRIMARY KEY (supplier, playlist)); \
    INSERT INTO supplier SELECT i, 's' || i FROM generate_series(1, 50) AS i; \
    INSERT INTO playlist SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid FROM generate_series(1, 9) AS i; \
    INSERT INTO playlist_supplier SELECT 1, id FROM playlist LIMIT 2";

fn playlist(i: u32) -> Value {
    row(&format!("00000000-0000-4000-8000-{i:012}"))
}

async fn lists_shop(database: &TestDatabase) -> Shop {
    let through = FieldSource::Join {
        schema: "public".into(),
        table: "playlist_supplier".into(),
        own_column: "supplier".into(),
        own_type: "integer".into(),
        other_column: "playlist".into(),
        other_type: "uuid".into(),
    };
    let holds = ColumnKind::References { mapping: "playlist".into() };
    let spec = Spec {
        table: "supplier",
        key: &["id"],
        fields: vec![("name", text())],
        others: vec![("playlists", holds, through)],
        ..Spec::default()
    };
    Shop::open(database, &spec).await
}

#[tokio::test]
async fn join_tables_are_a_set_of_references() {
    let database = TestDatabase::with(LISTS).await;
    let shop = lists_shop(&database).await;
    let all = shop.all().await;
    let seen = shop.sighting("1").await;
    assert_eq!(all["1"], Observation::Present(seen.clone()));
    assert_eq!(shop.value(&seen, "playlists"), Value::set([playlist(1), playlist(2)]));
    let two = shop.sighting("2").await;
    assert_eq!(shop.value(&two, "playlists"), Value::Null);

    let page = PageId(uuid::Uuid::from_u128(7));
    let mut relatives = Relatives::default();
    relatives.add("playlist", "00000000-0000-4000-8000-000000000003".into(), page);
    let wanted = Value::set([playlist(2), Value::Ref(Ref::Page(page))]);
    let three = shop.sighting("3").await;
    let steps = [
        shop.update("1", seen.digest, &[("playlists", wanted)]),
        shop.update("2", two.digest, &[("playlists", Value::set([playlist(4)])), ("name", t("two"))]),
        shop.update(
            "3",
            three.digest,
            &[("playlists", Value::set([row("00000000-0000-4000-8000-000000000099")])), ("name", t("three"))],
        ),
        shop.create(Some("60"), &[("name", t("new")), ("playlists", Value::set([playlist(5), playlist(6)]))]),
    ];
    let outcomes = shop.write_with(&steps, &relatives).await;
    assert_eq!(
        outcomes.iter().map(told).collect::<Vec<_>>(),
        ["done 1", "done 2", "Missing 23503", "done 60"]
    );
    let value = |outcome: &Outcome<RowKey>| match outcome {
        Outcome::Done { sighting, .. } => shop.value(sighting, "playlists"),
        other => panic!("{other:?}"),
    };
    assert_eq!(value(&outcomes[0]), Value::set([playlist(2), playlist(3)]));
    assert_eq!(value(&outcomes[3]), Value::set([playlist(5), playlist(6)]));
    assert_eq!(
        shop.value(&shop.sighting("3").await, "name"),
        t("s3"),
        "a record is written whole or not at all"
    );

    let one = shop.sighting("1").await;
    let outcomes = shop.write(&[shop.update("1", one.digest, &[("playlists", Value::Null)])]).await;
    assert_eq!(value(&outcomes[0]), Value::Null);
    let sixty = shop.sighting("60").await;
    let outcomes =
        shop.write(&[shop.step(Action::Delete, Some("60"), &[], Expect::Seen(sixty.digest))]).await;
    assert_eq!(told(&outcomes[0]), "done 60");
}

#[tokio::test]
async fn changes_of_a_join_table_name_their_rows() {
    let database = TestDatabase::with(LISTS).await;
    let shop = lists_shop(&database).await;
    let client = database.client().await;
    let cursor = shop.cursor().await;
    let (keys, looked) = shop.since(&cursor).await;
    assert_eq!((looked.count, looked.vanished), (Some(50), false));
    drop(keys);
    let cursor = quiet(&shop, looked.cursor.unwrap()).await;
    client.execute("INSERT INTO playlist_supplier SELECT 7, id FROM playlist LIMIT 1", &[]).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"7".into()) && keys.len() < 10, "{keys:?}");
    let cursor = looked.cursor.unwrap();
    client.execute("DELETE FROM playlist_supplier WHERE supplier = 1", &[]).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"1".into()) && keys.len() < 10, "{keys:?}");
    quiet(&shop, looked.cursor.unwrap()).await;
}

#[tokio::test]
async fn a_marked_row_is_in_the_trash() {
    for (kind, marked) in [("timestamptz", "now()"), ("timestamp", "now()"), ("boolean", "true")] {
        let sql = format!(
            "CREATE TABLE item (id int PRIMARY KEY, name text, gone {kind}, updated_at timestamptz DEFAULT '2026-02-01 00:00:01Z'); \
             INSERT INTO item VALUES (1, 'a', NULL), (2, 'b', {marked}), (3, 'c', NULL)"
        );
        let database = TestDatabase::with(&sql).await;
        let spec = Spec {
            table: "item",
            key: &["id"],
            fields: vec![("name", text())],
            soft_delete: Some("gone"),
            updated_at: Some("updated_at"),
            ..Spec::default()
        };
        let shop = Shop::open(&database, &spec).await;
        let (looked, all) = shop.look(Scope::Everything).await;
        assert_eq!(looked.count, Some(2));
        assert_eq!(all["2"], Observation::Absent(Absence::Trashed));
        let one = shop.sighting("1").await;
        assert_eq!(one.edited, Some("2026-02-01T00:00:01Z".parse().unwrap()));
        let trash = Expect::Absent(Absence::Trashed);
        let outcomes = shop
            .write(&[
                shop.step(Action::Trash, Some("1"), &[("name", Value::Null)], Expect::Seen(one.digest)),
                shop.step(Action::Restore, Some("2"), &[("name", t("back"))], trash),
                shop.step(Action::Restore, Some("3"), &[], trash),
                shop.step(Action::Restore, Some("4"), &[], trash),
            ])
            .await;
        assert_eq!(
            outcomes.iter().map(told).collect::<Vec<_>>(),
            ["done 1", "done 2", "stale", "stale"],
            "{kind}"
        );
        let all = shop.all().await;
        assert_eq!(all["1"], Observation::Absent(Absence::Trashed));
        assert_eq!(shop.value(&shop.sighting("2").await, "name"), t("back"));
        let name: String = database
            .client()
            .await
            .query_one("SELECT name FROM item WHERE id = 1", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(name, "a", "what is in the trash keeps its content");
    }
}

#[tokio::test]
async fn views_are_read_in_full_and_never_written() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b'); \
               CREATE VIEW loud AS SELECT id, upper(name) AS name, mood.m::text AS mood FROM item, (SELECT 'x' AS m) AS mood";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "loud",
        key: &["id"],
        fields: vec![("name", text()), ("mood", text())],
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let seen = shop.sighting("2").await;
    assert_eq!((shop.value(&seen, "name"), shop.value(&seen, "mood")), (t("B"), t("x")));
    let (looked, all) = shop.look(Scope::Everything).await;
    assert_eq!(all.len(), 2);
    database.client().await.batch_execute("DELETE FROM item WHERE id = 1").await.unwrap();
    let (keys, looked) = shop.since(&looked.cursor.unwrap()).await;
    assert_eq!((keys, looked.count), (vec!["2".to_owned()], Some(1)));
    let outcomes = shop.write(&[shop.update("2", seen.digest, &[("name", t("x"))])]).await;
    assert_eq!(told(&outcomes[0]), "Record read_only");
}

/// Waits until a delta names nothing more: transactions of other tests, open on the same server, make it name rows again.
async fn quiet(shop: &Shop, mut cursor: Cursor) -> Cursor {
    eventually("the delta is empty", Duration::from_secs(20), async || {
        let (keys, looked) = shop.since(&cursor).await;
        cursor = looked.cursor.unwrap();
        keys.is_empty()
    })
    .await;
    cursor
}

#[tokio::test]
async fn a_delta_names_what_was_written_since() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, status text NOT NULL DEFAULT 'live'); \
               INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 100) AS i";
    let database = TestDatabase::with(sql).await;
    let spec = Spec {
        table: "item",
        key: &["id"],
        fields: vec![("name", text())],
        condition: Some("status <> 'draft'"),
        ..Spec::default()
    };
    let shop = Shop::open(&database, &spec).await;
    let client = database.client().await;
    let cursor = quiet(&shop, shop.cursor().await).await;
    let change = "UPDATE item SET name = 'x' WHERE id = 3; INSERT INTO item VALUES (101, 'new'); \
                  UPDATE item SET status = 'draft' WHERE id = 4; DELETE FROM item WHERE id = 5";
    client.batch_execute(change).await.unwrap();
    // Savepoints give rows numbers of their own.
    client
        .batch_execute("BEGIN; SAVEPOINT a; UPDATE item SET name = 'y' WHERE id = 6; RELEASE a; COMMIT")
        .await
        .unwrap();
    let (looked, seen) = shop.look(Scope::Since(&cursor)).await;
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["101", "3", "4", "6"]);
    assert_eq!(seen["4"], Observation::Absent(Absence::OutOfScope));
    assert_eq!((looked.count, looked.vanished, looked.complete), (Some(99), false, true));
    let cursor = looked.cursor.unwrap();
    let cursor = quiet(&shop, cursor).await;
    // Old rows keep the numbers they were written with when they are frozen.
    client.batch_execute("VACUUM FREEZE item").await.unwrap();
    assert!(shop.since(&cursor).await.0.is_empty());
    client.batch_execute("TRUNCATE item").await.unwrap();
    let (_, looked) = shop.since(&cursor).await;
    assert!(looked.vanished && looked.cursor.is_none());
    // A cursor of another server or of a later version is no cursor.
    let (_, looked) = shop.since(&serde_json::json!({ "odd": 1 })).await;
    assert!(looked.vanished);
}

#[tokio::test]
async fn a_slow_transaction_is_not_missed() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); \
               INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 10) AS i";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (slow, fast) = (database.client().await, database.client().await);
    let mut cursor = quiet(&shop, shop.cursor().await).await;
    // The slow one gets the lower number, and a savepoint's number before others come.
    slow.batch_execute("BEGIN; UPDATE item SET name = 'slow' WHERE id = 1; SAVEPOINT a; UPDATE item SET name = 'slow' WHERE id = 2; RELEASE a").await.unwrap();
    let mut named = Vec::new();
    for i in 3..6 {
        fast.execute("UPDATE item SET name = 'fast' WHERE id = $1", &[&i]).await.unwrap();
        let (keys, looked) = shop.since(&cursor).await;
        assert!(keys.contains(&i.to_string()));
        named.extend(keys);
        cursor = looked.cursor.unwrap();
    }
    assert!(!named.contains(&"1".into()));
    slow.batch_execute("COMMIT").await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert!(keys.contains(&"1".into()) && keys.contains(&"2".into()), "{keys:?}");
    quiet(&shop, looked.cursor.unwrap()).await;
}

#[tokio::test]
async fn many_changes_are_streamed() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (0, 'old')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let cursor = quiet(&shop, shop.cursor().await).await;
    let insert = "INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 25000) AS i";
    database.client().await.batch_execute(insert).await.unwrap();
    let (keys, looked) = shop.since(&cursor).await;
    assert_eq!((keys.len(), looked.count), (25_000, Some(25_001)));
}

#[tokio::test]
async fn a_locked_row_waits_alone() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a'), (2, 'b')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let (one, two) = (shop.sighting("1").await, shop.sighting("2").await);
    let holder = database.client().await;
    holder.batch_execute("BEGIN; SELECT * FROM item WHERE id = 1 FOR UPDATE").await.unwrap();
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    tx.batch_execute("SET LOCAL lock_timeout = '100ms'").await.unwrap();
    let steps = [
        shop.update("1", one.digest, &[("name", t("n"))]),
        shop.update("2", two.digest, &[("name", t("n"))]),
    ];
    let steps: Vec<_> = steps.iter().collect();
    let outcomes = shop.rows.write(&mut tx, &steps, &Relatives::default()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outcomes.iter().map(told).collect::<Vec<_>>(), ["Passing 55P03", "done 2"]);
}

#[tokio::test]
async fn missing_rights_are_no_fault_of_the_record() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let role = format!("reader_{}", database.name);
    let client = database.client().await;
    client
        .batch_execute(&format!(
            "CREATE ROLE {role}; GRANT SELECT ON item TO {role}; GRANT {role} TO postgres"
        ))
        .await
        .unwrap();
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    tx.batch_execute(&format!("SET LOCAL ROLE {role}")).await.unwrap();
    let steps = [shop.create(Some("2"), &[("name", t("n"))]), shop.create(None, &[("name", t("n"))])];
    let outcomes = shop.rows.write(&mut tx, &steps.iter().collect::<Vec<_>>(), &Relatives::default()).await;
    let told: Vec<String> = outcomes.unwrap().iter().map(told).collect();
    tx.rollback().await.unwrap();
    client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
    assert_eq!(told, ["Refused 42501", "Refused 42501"]);
}

#[tokio::test]
async fn bookkeeping_columns_are_kept() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY, name text, notion_page_id uuid, notion_synced_at timestamptz, \
               notion_sync_status varchar(20), notion_sync_error text, ok boolean, sum text); \
               INSERT INTO item SELECT i, 'n' FROM generate_series(1, 5) AS i";
    let database = TestDatabase::with(sql).await;
    let bookkeeping = Bookkeeping {
        page_id: Some("notion_page_id".into()),
        synced_at: Some("notion_synced_at".into()),
        status: Some("notion_sync_status".into()),
        error: Some("notion_sync_error".into()),
        synced: Some("ok".into()),
        checksum: Some("sum".into()),
    };
    let spec =
        Spec { table: "item", key: &["id"], fields: vec![("name", text())], bookkeeping, ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let page = PageId(uuid::Uuid::from_u128(9));
    let note = |key: &str, status| RowNote {
        key: key.into(),
        page: Some(page),
        synced_at: "2026-02-01T00:00:00.25Z".parse().unwrap(),
        status,
        error: (status == "parked").then(|| "too long".into()),
        checksum: "c".into(),
    };
    let mut tx = Tx::begin(shop.database.pool()).await.unwrap();
    let notes = [note("1", "synced"), note("no key", "synced"), note("2", "parked"), note("77", "synced")];
    shop.rows.note(&mut tx, &notes).await.unwrap();
    tx.commit().await.unwrap();
    let seen = shop.sighting("1").await;
    assert_eq!(
        (seen.marker.as_deref(), seen.checksum.as_deref()),
        (Some(page.to_string().as_str()), Some("c"))
    );
    let rows = database
        .client()
        .await
        .query(
            "SELECT notion_sync_status || coalesce(notion_sync_error, '-') || ok || \
                (notion_synced_at = '2026-02-01 00:00:00.25Z') FROM item WHERE id < 4 ORDER BY id",
            &[],
        )
        .await
        .unwrap();
    let told: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, [Some("synced-truetrue".into()), Some("parkedtoo longfalsetrue".into()), None]);
}

#[tokio::test]
async fn a_transaction_never_ends_in_doubt_unnoticed() {
    let database = TestDatabase::with("CREATE TABLE item (id int PRIMARY KEY)").await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("id", integer())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let pool = shop.database.pool();
    // COMMIT after a failed statement would be a silent ROLLBACK.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap();
    let refused = tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap_err();
    assert_eq!(refused.refused().unwrap().code, "23505");
    assert!(matches!(tx.commit().await, Err(TxError::Spoilt)));
    // A savepoint makes it good again.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap();
    tx.savepoint("part").await.unwrap();
    tx.batch_execute("INSERT INTO item VALUES (1)").await.unwrap_err();
    tx.rollback_to("part").await.unwrap();
    tx.commit().await.unwrap();
    // Dropped while open, it leaves nothing behind and blocks nobody.
    let mut tx = Tx::begin(pool).await.unwrap();
    tx.batch_execute("DELETE FROM item").await.unwrap();
    drop(tx);
    assert_eq!(shop.all().await.len(), 1);
    let client = database.client().await;
    eventually("the dropped transaction is gone", Duration::from_secs(10), async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    // The connection dies before COMMIT: nobody can say what became of it.
    let mut tx = Tx::begin(pool).await.unwrap();
    let pid: i32 = tx.query("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get(0);
    tx.batch_execute("INSERT INTO item VALUES (2)").await.unwrap();
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let end = tx.commit().await.unwrap_err();
    assert!(matches!(end, TxError::CommitUnknown(_)), "{end:?}");
}

#[tokio::test]
async fn a_snapshot_writes_nothing_and_sees_one_state() {
    let database =
        TestDatabase::with("CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1)").await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("id", integer())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let mut tx = Tx::begin_snapshot(shop.database.pool()).await.unwrap();
    let count = "SELECT count(*) FROM item";
    assert_eq!(tx.query(count, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
    database.client().await.batch_execute("INSERT INTO item VALUES (2)").await.unwrap();
    assert_eq!(tx.query(count, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
    let refused = tx.batch_execute("DELETE FROM item").await.unwrap_err();
    assert_eq!(refused.refused().unwrap().code, "25006");
}

#[tokio::test]
#[ignore = "measures; run it alone with --ignored --nocapture"]
async fn speed_of_writing() {
    let (_database, shop) = shop_of_speed().await;
    let values = |i: usize, name: &str| {
        vec![
            ("name", t(&format!("{name}{i}"))),
            ("price", n(&format!("{i}.25"))),
            ("state", t("new")),
            ("active", Value::Bool(i.is_multiple_of(2))),
            ("born", day("2026-02-01")),
            ("updated_at", instant("2026-02-01T03:34:56.789Z")),
            ("tags", Value::List(vec![t("a"), t("b")])),
        ]
    };
    let count = 10_000;
    let steps: Vec<_> = (0..count).map(|i| shop.create(None, &values(i, "n"))).collect();
    let start = Instant::now();
    let outcomes = shop.write(&steps).await;
    report("inserts", count, start);
    let steps: Vec<_> = outcomes
        .iter()
        .enumerate()
        .map(|(i, outcome)| match outcome {
            Outcome::Done { id, sighting } => shop.update(id.as_str(), sighting.digest, &values(i, "m")),
            other => panic!("{other:?}"),
        })
        .collect();
    let start = Instant::now();
    let outcomes = shop.write(&steps).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })));
    report("updates", count, start);
    let bad: Vec<_> = (0..count)
        .map(|i| {
            let mut values = values(i, "k");
            if i % 100 == 0 {
                values[1].1 = n("99999999999999");
            }
            shop.create(None, &values)
        })
        .collect();
    let start = Instant::now();
    let failures = shop
        .write(&bad)
        .await
        .iter()
        .filter(|o| matches!(o, Outcome::Failed(f) if f.failure == Failure::Record))
        .count();
    assert_eq!(failures, count / 100);
    report("inserts of which one in a hundred fails", count, start);
}

#[tokio::test]
#[ignore = "measures; run it alone with --ignored --nocapture"]
async fn speed_of_looking() {
    let (database, shop) = shop_of_speed().await;
    let fill = "INSERT INTO item (name, price, state, active, born, updated_at, tags) SELECT 'x' || i, i, 'done', true, \
                '2026-02-01', now(), '{a,b}' FROM generate_series(1, 200000) AS i; ANALYZE item";
    database.client().await.batch_execute(fill).await.unwrap();
    // Lets the system forget the highest memory use so far.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = kibibytes("VmRSS");
    let start = Instant::now();
    let mut seen = 0;
    let mut sink = |_| seen += 1;
    let looked = shop.rows.look(Scope::Everything, &mut sink).await.unwrap();
    report("rows looked at", seen, start);
    eprintln!("memory above the start: {} KiB", kibibytes("VmHWM") - before);
    let start = Instant::now();
    let (keys, _) = shop.since(&looked.cursor.unwrap()).await;
    report("rows of an idle delta", seen, start);
    assert!(keys.is_empty());
}

async fn shop_of_speed() -> (TestDatabase, Shop) {
    let sql = "CREATE TYPE state AS ENUM ('new', 'done'); \
      CREATE TABLE item (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text UNIQUE, price numeric(12,2), \
      state state, active boolean, born date, updated_at timestamptz, tags text[])";
    let database = TestDatabase::with(sql).await;
    let fields = vec![
        ("name", text()),
        ("price", numeric()),
        ("state", ColumnKind::Choice { labels: Vec::new() }),
        ("active", ColumnKind::Bool),
        ("born", ColumnKind::Day),
        ("updated_at", ColumnKind::Instant),
        ("tags", list(text())),
    ];
    let shop = Shop::open(&database, &Spec { table: "item", key: &["id"], fields, ..Spec::default() }).await;
    (database, shop)
}

fn kibibytes(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn report(what: &str, count: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{count} {what}: {seconds:.2} s, {:.0} a second", count as f64 / seconds);
}

#[tokio::test]
async fn partitions_are_one_table() {
    let sql = "CREATE TABLE item (id int, at date, name text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
      CREATE TABLE item_25 PARTITION OF item FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); \
      CREATE TABLE item_26 PARTITION OF item FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); \
      INSERT INTO item VALUES (1, '2025-05-05', 'a'), (2, '2026-05-05', 'b')";
    let database = TestDatabase::with(sql).await;
    let spec = Spec { table: "item", key: &["id", "at"], fields: vec![("name", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let cursor = shop.cursor().await;
    let seen = shop.sighting(r#"["1","2025-05-05"]"#).await;
    let outcomes = shop
        .write(&[
            shop.update(r#"["1","2025-05-05"]"#, seen.digest, &[("name", t("z"))]),
            shop.create(Some(r#"["3","2026-06-06"]"#), &[("name", t("c"))]),
        ])
        .await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })), "{outcomes:?}");
    let (keys, looked) = shop.since(&cursor).await;
    assert!(
        keys.contains(&r#"["1","2025-05-05"]"#.to_owned())
            && keys.contains(&r#"["3","2026-06-06"]"#.to_owned())
    );
    assert_eq!(looked.count, Some(3));
    database.client().await.batch_execute("TRUNCATE item_25").await.unwrap();
    assert!(shop.since(&looked.cursor.unwrap()).await.1.vanished);
}

#[tokio::test]
async fn everything_works_through_a_pooler() {
    let sql = format!("{TYPES} {LISTS}; ALTER TABLE supplier ADD mood mood, ADD mail mail, ADD moods mood[]");
    let database = TestDatabase::with(&sql).await;
    let Some(pooler) = Pooler::start(&database.name).await else { return };
    let through = FieldSource::Join {
        schema: "public".into(),
        table: "playlist_supplier".into(),
        own_column: "supplier".into(),
        own_type: "integer".into(),
        other_column: "playlist".into(),
        other_type: "uuid".into(),
    };
    let choice = || ColumnKind::Choice { labels: Vec::new() };
    let spec = Spec {
        table: "supplier",
        key: &["id"],
        fields: vec![("name", text()), ("mood", choice()), ("mail", text()), ("moods", list(choice()))],
        others: vec![("playlists", ColumnKind::References { mapping: "playlist".into() }, through)],
        ..Spec::default()
    };
    // Two programs share the pooler's two server connections, four mappings at once.
    let work = (0..4usize).map(|worker| {
        let (database, spec, url) = (&database, &spec, &pooler.url);
        async move {
            let shop = Shop::open_at(url, database, spec).await;
            let cursor = shop.cursor().await;
            let keys: Vec<String> =
                (1..=50).filter(|i| i % 4 == worker).map(|i: usize| i.to_string()).collect();
            for turn in 0..5 {
                let mut steps = Vec::new();
                for key in &keys {
                    let seen = shop.sighting(key).await;
                    let fields = [
                        ("name", t(&format!("turn {turn}"))),
                        ("mood", t("so, so")),
                        ("mail", t("a@b.c")),
                        ("moods", Value::List(vec![t("good")])),
                        ("playlists", Value::set([playlist(1 + turn)])),
                    ];
                    steps.push(shop.update(key, seen.digest, &fields));
                }
                steps.push(shop.create(Some("1"), &[("name", t("taken"))]));
                let outcomes = shop.write(&steps).await;
                for (key, outcome) in keys.iter().zip(&outcomes) {
                    assert_eq!(told(outcome), format!("done {key}"));
                }
                assert_eq!(told(outcomes.last().unwrap()), "stale");
            }
            let (named, _) = shop.since(&cursor).await;
            assert!(keys.iter().all(|key| named.contains(key)));
            assert_eq!(shop.all().await.len(), 50);
        }
    });
    futures_util::future::join_all(work).await;
}

/// A pgbouncer in transaction mode with two server connections, for one database.
struct Pooler {
    process: std::process::Child,
    _folder: tempfile::TempDir,
    url: String,
}

impl Pooler {
    async fn start(database: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = server();
        let settings = format!(
            "[databases]\n{database} = host=127.0.0.1 port={} user=postgres password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n\
             pool_mode = transaction\ndefault_pool_size = 2\n",
            server.port(),
            server.password()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        // It refuses to run as root, and as another user it has to reach its settings.
        let open = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        open(folder.path(), 0o755);
        open(&file, 0o644);
        let mut command = std::process::Command::new("pgbouncer");
        if std::process::Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
            command.args(["-u", "nobody"]);
        }
        let silent = std::process::Stdio::null;
        let process = match command.arg("-q").arg(&file).stdout(silent()).stderr(silent()).spawn() {
            Ok(process) => process,
            Err(error) => {
                eprintln!("NOT CHECKED: there is no pgbouncer on this machine ({error})");
                return None;
            }
        };
        let pooler = Self {
            process,
            _folder: folder,
            url: format!("postgres://anybody@127.0.0.1:{port}/{database}?sslmode=disable"),
        };
        eventually("the pooler answers", Duration::from_secs(10), async || {
            tokio_postgres::connect(&pooler.url, tokio_postgres::NoTls).await.is_ok()
        })
        .await;
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn large_texts_are_written_in_several_rounds() {
    let database = TestDatabase::with("CREATE TABLE item (id int PRIMARY KEY, body text)").await;
    let spec = Spec { table: "item", key: &["id"], fields: vec![("body", text())], ..Spec::default() };
    let shop = Shop::open(&database, &spec).await;
    let body = |i: usize| "é".repeat(if i == 3 { 5 << 20 } else { 1 << 20 });
    let steps: Vec<_> = (0..8).map(|i| shop.create(Some(&i.to_string()), &[("body", t(&body(i)))])).collect();
    for (i, outcome) in shop.write(&steps).await.iter().enumerate() {
        let Outcome::Done { sighting, .. } = outcome else { panic!("{i}: {}", told(outcome)) };
        assert!(shop.value(sighting, "body") == t(&body(i)), "{i}");
    }
}

#[tokio::test]
async fn a_real_database_is_read_and_written_back_unchanged() {
    let Some(sql) = northwind() else { return };
    let database = TestDatabase::with(&sql).await;
    let client = database.client().await;
    let tables: [(&str, &[&str]); 5] = [
        ("order_details", &["order_id", "product_id"]),
        ("orders", &["order_id"]),
        ("products", &["product_id"]),
        ("customers", &["customer_id"]),
        ("employees", &["employee_id"]),
    ];
    for (table, key) in tables {
        let columns = client
            .query(
                "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
                &[&table],
            )
            .await
            .unwrap();
        let names: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
        let fields = columns
            .iter()
            .zip(&names)
            .filter(|(_, name)| !key.contains(&name.as_str()))
            .map(|(row, name)| {
                let holds = match row.get::<_, &str>(1) {
                    "smallint" | "integer" => integer(),
                    "real" => ColumnKind::Real,
                    "date" => ColumnKind::Day,
                    "bytea" => scalar("bytea"),
                    _ => text(),
                };
                (&*name.clone().leak(), holds)
            })
            .collect();
        let spec = Spec { table, key, fields, ..Spec::default() };
        let shop = Shop::open(&database, &spec).await;
        let before = shop.all().await;
        let count: i64 =
            client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
        assert_eq!(before.len() as i64, count, "{table}");
        client.batch_execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
        let steps: Vec<_> = before
            .iter()
            .map(|(key, seen)| {
                let Observation::Present(seen) = seen else { panic!("{table} {key}: {seen:?}") };
                let fields: Vec<(&str, Value)> =
                    spec.fields.iter().map(|(name, _)| (*name, shop.value(seen, name))).collect();
                shop.update(key, seen.digest, &fields)
            })
            .collect();
        for (step, outcome) in steps.iter().zip(shop.write(&steps).await) {
            assert!(matches!(outcome, Outcome::Done { .. }), "{table} {:?}: {}", step.key, told(&outcome));
        }
        let changed = format!(
            "SELECT count(*) FROM (SELECT * FROM {table} EXCEPT SELECT * FROM kept_{table}) AS changed"
        );
        assert_eq!(client.query_one(&changed, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}");
        assert_eq!(shop.all().await, before, "{table}");
    }
}
