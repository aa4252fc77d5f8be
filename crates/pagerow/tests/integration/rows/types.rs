//! Every type of column: read as what it means, written as it was, and never cut.

use pagerow::replica::Outcome;
use pagerow_core::mapping::ColumnKind;
use pagerow_core::observation::Observation;
use pagerow_core::value::{Moment, Range, Value};

use super::{day, instant};
use crate::support::postgres::TestDatabase;
use crate::support::rows::{Shop, Spec, integer, list, n, numeric, scalar, t, text, told};

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
