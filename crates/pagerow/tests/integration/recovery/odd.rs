//! What cannot simply be brought back is said, and the rest comes back.

use serde_json::json;

use super::{command, company, done};
use crate::support::world::{World, written};

const TABLE: &str = "
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2), secret text NOT NULL, blob bytea);
INSERT INTO items (name, price, secret, blob) SELECT 'Item ' || n, n, 'secret ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 30) n;
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
";

async fn items() -> World {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    assert_eq!(world.equal().await, 30);
    world
}

#[tokio::test]
async fn a_required_column_that_no_page_knows_is_asked_for() {
    let world = items().await;
    world.sql("TRUNCATE items").await;
    let asked = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(asked.code, 3, "{}", asked.stderr);
    assert_eq!(world.count("items").await, 0);
    let parked = world.parked().await;
    assert_eq!((parked.len(), parked[0].reason.code.as_str()), (30, "23502"));
    assert!(parked[0].reason.text.contains("column secret"), "{}", parked[0].reason.text);
    let unknown = command(&world, &["recover", "from-notion", "--yes", "--fill", "items.nothing=1"]).await;
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    done(&world, &["recover", "from-notion", "--yes", "--fill", "items.secret=it's unknown"]).await;
    assert_eq!(world.count("items WHERE secret = 'it''s unknown'").await, 30);
    world.sync().await;
    assert_eq!((world.equal().await, world.parked().await.len()), (30, 0));
}

#[tokio::test]
async fn pages_without_keys_with_foreign_keys_and_with_one_key_twice_are_said() {
    let world = items().await;
    let source = world.source("Items").await;
    world.sql("ALTER TABLE items ALTER secret SET DEFAULT 'none'; TRUNCATE items RESTART IDENTITY; DROP SCHEMA pagerow CASCADE").await;
    world.add(&source, json!({"Name": "born in Notion"})).await;
    world.add(&source, json!({"Name": "of another kind", "Supabase ID": "not a number"})).await;
    let page = world.page(&source, "Name", "Item 7").await;
    let copy = world.control("POST", &format!("pages/{}/duplicate", page.id), &json!({})).await;
    let shown = command(&world, &["recover", "from-notion", "--dry-run"]).await;
    assert_eq!(shown.code, 3, "{}", shown.stdout);
    assert!(
        shown.stdout.contains(&page.id) && shown.stdout.contains(copy["id"].as_str().unwrap()),
        "{}",
        shown.stdout
    );
    let answer = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(answer.code, 3, "{}{}", answer.stdout, answer.stderr);
    // 29 under their own keys, and the one that never had one behind them.
    assert_eq!(world.count("items WHERE name = 'Item ' || id").await, 29);
    assert_eq!(world.row("SELECT id FROM items WHERE name = 'born in Notion'").await["id"], 31);
    assert_eq!(world.count("items").await, 30);
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].reason.code, "22P02", "{parked:#?}");
}

#[tokio::test]
async fn a_table_that_is_being_written_to_keeps_what_is_written() {
    let world = items().await;
    world.sql("ALTER TABLE items ALTER secret SET DEFAULT 'none'; TRUNCATE items").await;
    let plan = done(&world, &["recover", "from-notion", "--dry-run", "--json"]).await.json();
    assert_eq!(plan["plan"]["mappings"][0]["steps"].as_array().unwrap().len(), 30);
    // The application puts two of them back by itself, one of them with another price.
    let client = world.client().await;
    client.batch_execute("BEGIN; INSERT INTO items (id, name, price, secret) OVERRIDING SYSTEM VALUE VALUES (3, 'Item 3', 3, 's'), (4, 'Item 4', 400, 's')").await.unwrap();
    let file = world.file();
    let going_on = tokio::spawn(async move {
        let arguments = ["recover", "from-notion", "--yes"];
        crate::support::program::run(crate::support::program::with_config(&arguments, &file)).await
    });
    // It meets the rows that are not committed yet, and waits for them or leaves them to the next try.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let waits = "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while !going_on.is_finished() && world.count(waits).await == 0 {
        assert!(std::time::Instant::now() < deadline, "it neither waits nor ends");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    client.batch_execute("COMMIT").await.unwrap();
    let first = going_on.await.unwrap();
    assert!([0, 1, 3].contains(&first.code), "{}{}", first.stdout, first.stderr);
    let again = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert!([0, 3].contains(&again.code), "{}{}", again.stdout, again.stderr);
    assert_eq!(world.count("items").await, 30);
    assert_eq!(world.count("items WHERE name = 'Item ' || id").await, 30);
    assert_eq!(
        world.row("SELECT price FROM items WHERE id = 4").await["price"],
        400.0,
        "it was not written over"
    );
}

#[tokio::test]
async fn a_database_from_an_older_backup_is_not_replayed_over_notion() {
    let world = company().await;
    // A backup is made; then both sides go on.
    let tables = "places, departments, people, shelves";
    world.sql("CREATE SCHEMA kept").await;
    for table in ["places", "departments", "people", "shelves"] {
        world.sql(&format!("CREATE TABLE kept.{table} AS SELECT * FROM {table}")).await;
    }
    let dumped = [
        "links",
        "own_writes",
        "cursors",
        "mappings",
        "identity",
        "revisits",
        "parked",
        "conflicts",
        "runs",
        "steps",
        "outbox",
    ];
    for table in dumped {
        world.sql(&format!("CREATE TABLE kept.pagerow_{table} AS SELECT * FROM pagerow.{table}")).await;
    }
    let people = world.source("People").await;
    world.edit(&world.page(&people, "Name", "Person 3").await, json!({"Name": "renamed in Notion"})).await;
    world.sql("UPDATE people SET name = 'renamed in Postgres' WHERE name = 'Person 4'; INSERT INTO places (name) VALUES ('later')").await;
    world.minutes_pass(3).await;
    world.sync().await;
    let shelves = world.source("Shelves").await;
    world.edit(&world.page(&shelves, "Name", "Shelf 1 of 1").await, json!({"Amount": 55})).await;
    // The backup is put back, rows and memory alike.
    world.sql(&format!("TRUNCATE {tables}; SET session_replication_role = replica;
        INSERT INTO places OVERRIDING SYSTEM VALUE SELECT * FROM kept.places; INSERT INTO departments SELECT * FROM kept.departments;
        INSERT INTO people (id, name, department_id, boss_id, wage) SELECT id, name, department_id, boss_id, wage FROM kept.people;
        INSERT INTO shelves SELECT * FROM kept.shelves;
        TRUNCATE pagerow.links, pagerow.own_writes, pagerow.runs, pagerow.steps, pagerow.cursors, pagerow.revisits, pagerow.conflicts CASCADE;
        INSERT INTO pagerow.links OVERRIDING SYSTEM VALUE SELECT * FROM kept.pagerow_links;
        INSERT INTO pagerow.own_writes SELECT * FROM kept.pagerow_own_writes;
        INSERT INTO pagerow.runs OVERRIDING SYSTEM VALUE SELECT * FROM kept.pagerow_runs;
        INSERT INTO pagerow.cursors SELECT * FROM kept.pagerow_cursors")).await;
    assert_eq!(world.count("people WHERE name = 'Person 4'").await, 1);

    let answer = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    assert_eq!(answer.code, 3, "differences are asked about: {}", answer.stderr);
    // What was made since the backup is back under its own key, and nothing in Notion was touched.
    assert_eq!(world.row("SELECT id FROM places WHERE name = 'later'").await["id"], 9);
    let names = async || {
        let pages = world.pages(&people).await;
        let of = |name: &str| pages.iter().filter(|page| page["values"]["Name"] == name).count();
        (pages.len(), of("renamed in Notion"), of("renamed in Postgres"))
    };
    assert_eq!(names().await, (40, 1, 1));
    world.try_sync().await.unwrap();
    assert_eq!(names().await, (40, 1, 1), "nothing is replayed over Notion");
    let report = world.try_sync().await.unwrap();
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert!(report.needs_decision());
    assert_eq!(world.pages(&world.source("Places").await).await.len(), 8);
}

#[tokio::test]
async fn with_backups_every_column_comes_back_and_a_spoilt_one_is_said() {
    let mapping = MAPPING.replace("[mapping.items]\n", "[mapping.items]\nbackup = true\n");
    let world = World::with_mappings(TABLE, &mapping).await;
    world.sync().await;
    let before = super::everything(&world).await;
    world.sql("TRUNCATE items; DROP SCHEMA pagerow CASCADE").await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Name", "Item 9").await;
    let kept = page.values["Backup"].as_str().unwrap().to_owned();
    let spoilt: String = kept.chars().rev().collect();
    world.edit(&page, json!({ "Backup": spoilt })).await;
    let answer = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(answer.code, 3, "{}{}", answer.stdout, answer.stderr);
    assert_eq!(
        world.count("items WHERE secret = 'secret ' || id AND blob = decode(md5(id::text), 'hex')").await,
        29
    );
    let parked = world.parked().await;
    assert_eq!((parked.len(), parked[0].reason.code.as_str()), (1, "backup"), "{parked:#?}");
    assert_eq!(world.count("items WHERE id = 9").await, 0);
    world.edit(&page, json!({ "Backup": kept })).await;
    done(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(super::everything(&world).await, before);
}

#[tokio::test]
async fn what_people_wrote_after_a_backup_counts_more_than_the_backup() {
    let sql = "
        CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text, tier integer, rank integer, price numeric, secret text);
        INSERT INTO items SELECT n, 'Item ' || n, 'Note ' || n, n, n, n + 0.125, 'secret ' || n FROM generate_series(1, 4) n;
    ";
    let mapping = "
[mapping.items]
table = \"items\"
backup = true
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
price = \"Price\"
tier = { property = \"Tier\", as = \"rich_text\", to_notion = \"'Tier ' ~ value if value is not none else none\", from_notion = \"value|replace('Tier ', '')|number\" }
rank = { property = \"Tier\", from_notion = \"value|replace('Tier ', '')|number * 10 if value is not none else none\" }
";
    let world = World::with_mappings(sql, mapping).await;
    world.sync().await;
    world.nothing_left().await;
    assert_eq!(world.count("items WHERE rank = tier * 10").await, 4);
    let source = world.source("Items").await;
    // No sync sees what people do now: the backups are older.
    let emptied = world.page(&source, "Name", "Item 1").await;
    world.edit(&emptied, json!({ "Note": "", "Price": null, "Tier": "" })).await;
    let edited = world.page(&source, "Name", "Item 2").await;
    world.edit(&edited, json!({ "Note": "later", "Price": 7, "Tier": "Tier 20" })).await;
    world.sql("TRUNCATE items; DROP SCHEMA pagerow CASCADE").await;

    let answer = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    let row = async |id: i64| {
        world.row(&format!("SELECT to_jsonb(items) - 'id' - 'name' AS row FROM items WHERE id = {id}")).await
            ["row"]
            .clone()
    };
    assert_eq!(
        row(1).await,
        json!({ "note": null, "price": null, "tier": null, "rank": null, "secret": "secret 1" }),
        "what was emptied stays empty"
    );
    assert_eq!(
        row(2).await,
        json!({ "note": "later", "price": 7, "tier": 20, "rank": 200, "secret": "secret 2" })
    );
    assert_eq!(
        row(3).await,
        json!({ "note": "Note 3", "price": 3.125, "tier": 3, "rank": 30, "secret": "secret 3" })
    );
    world.sync().await;
    assert_eq!(world.equal().await, 4);
    world.nothing_left().await;
}
