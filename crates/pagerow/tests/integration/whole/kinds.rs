//! Every kind of column crosses, and what Notion cannot hold stays as it is until somebody edits it.

use serde_json::{Value as Json, json};

use crate::support::world::{World, part, written};

const KINDS: &str = "
CREATE TYPE mood AS ENUM ('calm', 'Wild', 'in two minds');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE labels (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE things (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, note text, code varchar(8), fixed char(4),
    small smallint, whole integer, big bigint, price numeric(30, 10), digits numeric(30, 10), loose numeric, share percent,
    r real, d double precision, yes boolean, sure boolean NOT NULL DEFAULT true, maybe boolean,
    day date, at timestamptz, local timestamp, exact timestamptz, clock time, span daterange, period tstzrange,
    mood mood, moods mood[], tags text[], numbers integer[], meta jsonb, uid uuid, ip inet, wait interval, picture bytea,
    site text, mail text, phone text, body text, files text[], boss bigint REFERENCES things,
    twice numeric GENERATED ALWAYS AS (price * 2) STORED, made timestamptz NOT NULL DEFAULT '2026-01-01 10:20:30.123456+00');
CREATE TABLE thing_labels (thing bigint REFERENCES things ON DELETE CASCADE, label uuid REFERENCES labels ON DELETE CASCADE, PRIMARY KEY (thing, label));
CREATE TABLE parts (thing bigint REFERENCES things ON DELETE CASCADE, nr text, name text, weight real, PRIMARY KEY (thing, nr));
CREATE VIEW dear AS SELECT id, name, price FROM things WHERE price > 1;

INSERT INTO labels (id, name) VALUES
    ('00000000-0000-4000-8000-000000000001', 'red'), ('00000000-0000-4000-8000-000000000002', 'green'),
    ('00000000-0000-4000-8000-000000000003', 'blue');
INSERT INTO things (name, note, code, fixed, small, whole, big, price, digits, loose, share, r, d, yes, sure, maybe, day, at, local,
    exact, clock, span, period, mood, moods, tags, numbers, meta, uid, ip, wait, picture, site, mail, phone, body, files)
VALUES ('full', 'a note', 'AB', 'xy', -3, 2147483647, 9007199254740992, 12345.5000000000, 12345678901234567890.0123456789, 1.50, 99.90,
    0.1, 0.30000000000000004, true, true, true, '2026-02-28', '2026-03-04 05:06:07.123456+02', '2026-07-01 12:34:56.789',
    '2026-03-04 05:06:07.123456+00', '23:59:58.5', '[2026-01-01,2026-02-01)', '[2026-01-01 10:00:30+00,2026-01-02 11:00:45+00)',
    'Wild', '{calm,Wild}', '{b,a,b}', '{3,1,2}', '{\"b\": [1, 2.50, null], \"a\": {\"é\": \"\\u2028\"}}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    '192.168.0.1/24', '1 day 02:03:04.5', '\\xdeadbeef', 'https://example.org/a?b=c', 'a@example.org', '+49 30 1234', '# Title\n\nSome *text*.',
    '{https://example.org/one.pdf,https://example.org/two.png}');
INSERT INTO things (name, note, tags, sure) VALUES ('empty', '', '{}', false), ('nothing', NULL, NULL, false);
UPDATE things SET boss = 1 WHERE name IN ('empty', 'full');
UPDATE things SET boss = 3 WHERE name = 'full';
INSERT INTO thing_labels VALUES (1, '00000000-0000-4000-8000-000000000001'), (1, '00000000-0000-4000-8000-000000000002');
INSERT INTO parts VALUES (1, 'a/1', 'wheel', 0.3), (1, 'b \"2\"', 'axle', 16777216), (2, 'a/1', NULL, NULL);
";

const MAPPINGS: &str = "
[mapping.labels]
table = \"labels\"
data_source = \"create\"
[mapping.labels.fields]
name = { property = \"Name\", as = \"title\" }

[mapping.things]
table = \"things\"
data_source = \"create\"
time_zone = \"Europe/Berlin\"
new_options = \"create\"
[mapping.things.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
code = \"Code\"
fixed = \"Fixed\"
small = \"Small\"
whole = \"Whole\"
big = \"Big\"
price = \"Price\"
digits = { property = \"Digits\", as = \"rich_text\" }
loose = \"Loose\"
share = \"Share\"
r = \"Real\"
d = \"Double\"
yes = \"Yes\"
sure = \"Sure\"
maybe = { property = \"Maybe\", as = \"select\" }
day = \"Day\"
at = \"At\"
local = \"Local\"
exact = { property = \"Exact\", as = \"rich_text\" }
clock = \"Clock\"
span = \"Span\"
period = \"Period\"
mood = \"Mood\"
moods = \"Moods\"
tags = \"Tags\"
numbers = { property = \"Numbers\", as = \"rich_text\" }
meta = \"Meta\"
uid = \"Uid\"
ip = \"Ip\"
wait = \"Wait\"
site = { property = \"Site\", as = \"url\" }
mail = { property = \"Mail\", as = \"email\" }
phone = { property = \"Phone\", as = \"phone_number\" }
body = { as = \"body\" }
files = { property = \"Files\", as = \"files\" }
boss = { property = \"Boss\", relation = \"things\" }
labels = { property = \"Labels\", relation = \"labels\", through = \"thing_labels\" }
twice = \"Twice\"
made = { property = \"Made\", direction = \"to_notion\" }
shout = { property = \"Shout\", to_notion = \"row.name|upper ~ '!'\" }

[mapping.parts]
table = \"parts\"
data_source = \"create\"
[mapping.parts.fields]
name = { property = \"Name\", as = \"title\" }
thing = { property = \"Thing\", relation = \"things\", direction = \"to_notion\" }
weight = \"Weight\"

[mapping.dear]
table = \"dear\"
data_source = \"create\"
match_on = [\"id\"]
[mapping.dear.fields]
id = \"Number\"
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
";

const ROW: &str = "SELECT t.*, price::text price_text, loose::text loose_text, r::text r_text, d::text d_text, at::text at_text, local::text local_text,
    exact::text exact_text, period::text period_text, meta::text meta_text, (SELECT array_agg(label ORDER BY label) FROM thing_labels WHERE thing = t.id) labels
    FROM things t";

async fn world() -> World {
    let world = World::with_mappings(KINDS, MAPPINGS).await;
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?} {:#?}", world.parked().await);
    world
}

async fn full(world: &World) -> Json {
    world.row(&format!("{ROW} WHERE name ILIKE 'full%'")).await
}

#[tokio::test]
async fn every_kind_of_column_crosses_and_comes_to_rest() {
    let world = world().await;
    let things = world.source("Things").await;
    let shown = world.page(&things, "Name", "full").await.values;
    let page: Vec<(&str, Json)> = vec![
        ("Note", json!("a note")),
        ("Code", json!("AB")),
        ("Small", json!(-3)),
        ("Whole", json!(2_147_483_647)),
        ("Big", json!(9_007_199_254_740_992_i64)),
        ("Price", json!(12345.5)),
        ("Digits", json!("12345678901234567890.0123456789")),
        ("Loose", json!(1.5)),
        ("Share", json!(99.9)),
        ("Real", json!(0.1)),
        ("Double", json!(0.300_000_000_000_000_04)),
        ("Yes", json!(true)),
        ("Maybe", json!("true")),
        ("Day", json!("2026-02-28")),
        ("Exact", json!("2026-03-04T05:06:07.123456Z")),
        ("Clock", json!("23:59:58.5")),
        ("Span", json!("2026-01-01 → 2026-01-31")),
        ("Mood", json!("Wild")),
        ("Uid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("Ip", json!("192.168.0.1/24")),
        ("Site", json!("https://example.org/a?b=c")),
        ("Mail", json!("a@example.org")),
        ("Phone", json!("+49 30 1234")),
        ("Files", json!(["https://example.org/one.pdf", "https://example.org/two.png"])),
        ("Twice", json!(24691)),
        ("Shout", json!("FULL!")),
        ("Supabase ID", json!("1")),
    ];
    for (property, value) in page {
        assert_eq!(shown[property], value, "{property}");
    }
    assert_eq!(shown["Boss"][0]["title"], "nothing");
    assert_eq!(shown["Labels"].as_array().unwrap().len(), 2);
    assert_eq!(world.pages(&world.source("Dear").await).await.len(), 1);
    assert_eq!(world.equal().await, 3 + 3 + 3 + 1);
    world.nothing_left().await;
}

#[tokio::test]
async fn an_edit_in_notion_leaves_alone_what_notion_cannot_hold() {
    let world = world().await;
    let things = world.source("Things").await;
    let queries = ["WHERE id = 1", "WHERE id = 2", "WHERE id = 3"].map(|which| format!("{ROW} {which}"));
    let mut before = Vec::new();
    for query in &queries {
        before.push(world.row(query).await);
    }
    for name in ["full", "empty", "nothing"] {
        let page = world.page(&things, "Name", name).await;
        world.edit(&page, json!({"Code": "new", "Whole": 17})).await;
    }
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 3, 0], "{report:#?}");
    for (query, mut before) in queries.iter().zip(before) {
        before["code"] = json!("new");
        before["whole"] = json!(17);
        assert_eq!(world.row(query).await, before, "nothing else has moved");
    }
    world.equal().await;
    world.nothing_left().await;
}

#[tokio::test]
async fn an_edit_of_a_cut_value_is_taken_and_a_new_second_in_the_row_is_no_news() {
    let world = world().await;
    let things = world.source("Things").await;
    // Only the seconds change: the page shows the same minute, and nothing is sent.
    world
        .sql("UPDATE things SET at = at + interval '7 seconds', loose = 1.500, note = note WHERE id = 1")
        .await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(full(&world).await["loose_text"], "1.500");

    let page = world.page(&things, "Name", "full").await;
    world
        .edit(
            &page,
            json!({
                "At": "2026-05-06T07:08:00+02:00", "Price": 2.1, "Digits": "0.0000000001", "Yes": false, "Mood": "calm",
                "Tags": ["x", "y"], "Span": "2026-04-01 → 2026-04-30", "Labels": ["blue"], "Boss": null, "Note": "",
                "Moods": ["in two minds"], "Meta": "{\"z\": 1}", "Local": "2026-05-06T07:08:00+02:00",
            }),
        )
        .await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{:#?}", world.parked().await);
    let row = full(&world).await;
    assert_eq!(row["at_text"], "2026-05-06 05:08:00+00");
    assert_eq!(row["local_text"], "2026-05-06 07:08:00");
    assert_eq!(row["price_text"], "2.1000000000");
    assert_eq!(row["digits"], json!(1e-10));
    assert_eq!(
        (&row["yes"], &row["mood"], &row["boss"], &row["note"]),
        (&json!(false), &json!("calm"), &Json::Null, &Json::Null)
    );
    assert_eq!(row["tags"], json!(["x", "y"]));
    assert_eq!(row["span"], "[2026-04-01,2026-05-01)");
    assert_eq!(row["moods"], json!(["in two minds"]));
    assert_eq!(row["meta_text"], "{\"z\": 1}");
    assert_eq!(row["labels"], json!(["00000000-0000-4000-8000-000000000003"]));
    // The generated column follows its price to the page in the same run.
    assert_eq!(world.page(&things, "Name", "full").await.values["Twice"], json!(4.2));
    world.equal().await;
    world.nothing_left().await;
}

#[tokio::test]
async fn a_new_page_becomes_a_row_and_the_rows_defaults_come_back() {
    let world = world().await;
    let things = world.source("Things").await;
    let boss = world.page(&things, "Name", "full").await;
    let page = world
        .add(
            &things,
            json!({"Name": "born in Notion", "Price": 3.25, "Boss": [boss.id], "Labels": ["red", "blue"]}),
        )
        .await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{:#?}", world.parked().await);
    assert_eq!(part(&report, "things").to_postgres.inserted, 1, "{report:#?}");
    let row = world.row(&format!("{ROW} WHERE name = 'born in Notion'")).await;
    assert_eq!(
        (&row["price_text"], &row["boss"], &row["twice"]),
        (&json!("3.2500000000"), &json!(1), &json!(6.5))
    );
    assert_eq!(row["labels"].as_array().unwrap().len(), 2);
    let shown = world.page(&things, "Name", "born in Notion").await;
    assert_eq!(shown.id, page.id, "no twin was made");
    assert_eq!(shown.values["Supabase ID"], row["id"].to_string());
    assert_eq!(shown.values["Twice"], json!(6.5));
    assert_eq!(shown.values["Shout"], "BORN IN NOTION!");
    world.equal().await;
    world.nothing_left().await;
}

#[tokio::test]
async fn different_fields_meet_and_the_same_field_waits_for_a_person() {
    let world = world().await;
    let things = world.source("Things").await;
    let page = world.page(&things, "Name", "full").await;
    world.edit(&page, json!({"Code": "notion", "Note": "from Notion", "Phone": "1"})).await;
    world.sql("UPDATE things SET whole = 5, note = 'from Postgres', phone = '1' WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "things").conflicts, 1, "{report:#?}");
    assert!(report.needs_decision());
    let row = full(&world).await;
    assert_eq!(
        (&row["code"], &row["whole"], &row["note"]),
        (&json!("notion"), &json!(5), &json!("from Postgres"))
    );
    let shown = world.page(&things, "Name", "full").await.values;
    assert_eq!(
        (&shown["Code"], &shown["Whole"], &shown["Note"]),
        (&json!("notion"), &json!(5), &json!("from Notion"))
    );
    let again = world.sync().await;
    assert_eq!((again.run, part(&again, "things").conflicts), (None, 1), "{again:#?}");
    // A person makes them equal.
    world.sql("UPDATE things SET note = 'from Notion' WHERE id = 1").await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?}");
    world.equal().await;
    world.nothing_left().await;
}
