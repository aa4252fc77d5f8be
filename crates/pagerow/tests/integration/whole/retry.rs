//! What is parked is tried again when its cause is gone, or when a person says so, and says what became of it.

use serde_json::{Value as Json, json};

use crate::support::{
    program::{self, pagerow},
    world::{World, part},
};

const TABLE: &str = "
CREATE TABLE items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, tier text, code varchar(5), mark text);
CREATE TABLE allowed (mark text PRIMARY KEY);
INSERT INTO allowed VALUES ('fine');
INSERT INTO items (name, tier, mark) SELECT 'Item ' || n, 'Gold', 'fine' FROM generate_series(1, 8) n;
ALTER TABLE items ADD CONSTRAINT mark_allowed FOREIGN KEY (mark) REFERENCES allowed;
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
tier = { property = \"Tier\", as = \"select\", new_options = \"create\" }
code = \"Code\"
mark = { property = \"Mark\", as = \"rich_text\" }
";

/// The options are there after the first sync: no further ones may come by writing then.
async fn world() -> World {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    let open = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(world.file(), open.replace(", new_options = \"create\"", "")).unwrap();
    world.sync().await;
    world
}

async fn json(world: &World, code: i32, arguments: &[&str]) -> Json {
    let mut command = pagerow();
    command.arg("--config").arg(world.file()).args(arguments).arg("--json");
    let answer = program::run(command).await;
    assert_eq!(answer.code, code, "{arguments:?}: {} {}", answer.stdout, answer.stderr);
    if answer.stdout.is_empty() { serde_json::from_str(&answer.stderr).unwrap() } else { answer.json() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_appears_in_notion_wakes_what_waited_for_it() {
    let world = world().await;
    world.sql("UPDATE items SET tier = 'Tin' WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!(part(&report, "items").parked, 1, "{report:#?}");
    assert_eq!(world.parked().await[0].reason.code, "no_such_option");
    let source = world.source("Items").await;
    let options =
        json!({"properties": {"Tier": {"select": {"options": [{"name": "Gold"}, {"name": "Tin"}]}}}});
    world.control("PATCH", &format!("data_sources/{source}"), &options).await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?}");
    assert_eq!(world.page(&source, "Name", "Item 1").await.values["Tier"], "Tin");
    assert_eq!(world.equal().await, 8);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_widened_column_wakes_what_was_too_long_for_it() {
    let world = world().await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Name", "Item 2").await;
    world.edit(&page, json!({"Code": "much longer"})).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "items").parked, 1, "{report:#?}");
    world.sql("ALTER TABLE items ALTER code TYPE text").await;
    let healed = world.sync().await;
    assert!(!healed.needs_decision(), "{healed:#?}");
    assert_eq!(world.row("SELECT code FROM items WHERE id = 2").await["code"], "much longer");
    assert_eq!(world.equal().await, 8);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tries_one_some_or_all_again_and_hears_what_became_of_each() {
    let world = world().await;
    let source = world.source("Items").await;
    for number in [3, 4, 5] {
        let page = world.page(&source, "Name", format!("Item {number}")).await;
        world.edit(&page, json!({"Mark": format!("mark {number}")})).await;
    }
    let report = world.sync().await;
    assert_eq!(part(&report, "items").parked, 3, "{report:#?} {:#?}", world.parked().await);
    let listed = json(&world, 3, &["parked"]).await;
    let id = |key: &str| {
        let list = listed["parked"].as_array().unwrap();
        let one = list.iter().find(|one| one["key"] == key).unwrap();
        assert_eq!((&one["code"], &one["attempts"]), (&json!("23503"), &json!(1)));
        assert!(one["next_try"].is_string(), "{one}");
        one["id"].to_string()
    };
    let (three, four) = (id("3"), id("4"));

    // What stands in the way is still there for one of the two.
    world.sql("INSERT INTO allowed VALUES ('mark 3')").await;
    let tried = json(&world, 3, &["retry", &three, &four]).await;
    let states: Vec<(&Json, &Json)> =
        (tried["retried"].as_array().unwrap().iter()).map(|one| (&one["key"], &one["state"])).collect();
    assert_eq!(states, [(&json!("3"), &json!("healed")), (&json!("4"), &json!("parked"))]);
    assert_eq!(tried["retried"][1]["attempts"], 2, "{tried:#}");
    assert_eq!(world.row("SELECT mark FROM items WHERE id = 3").await["mark"], "mark 3");
    assert_eq!(world.row("SELECT mark FROM items WHERE id = 5").await["mark"], "fine", "not asked for");

    let error = json(&world, 2, &["retry", &three]).await;
    assert!(error["error"]["message"].as_str().unwrap().contains("nothing is parked"), "{error}");
    json(&world, 2, &["retry", "999999"]).await;
    json(&world, 2, &["retry"]).await;
    json(&world, 2, &["retry", &four, "--all"]).await;
    json(&world, 2, &["retry", "--mapping", "itmes"]).await;

    world.sql("INSERT INTO allowed VALUES ('mark 4'), ('mark 5')").await;
    let tried = json(&world, 0, &["retry", "--mapping", "items"]).await;
    assert_eq!(tried["retried"].as_array().unwrap().len(), 2);
    assert_eq!(json(&world, 0, &["retry", "--all"]).await["retried"], json!([]));
    assert_eq!(world.equal().await, 8);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_tries_a_record_stays_shown_until_somebody_tries_it_again() {
    let world =
        World::with_mappings(TABLE, &MAPPING.replace("[mapping.items]", "[mapping.items]\nmax_attempts = 2"))
            .await;
    world.sync().await;
    world.sql("ALTER TABLE items ADD CONSTRAINT no_bad CHECK (code <> 'bad')").await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Name", "Item 6").await;
    world.edit(&page, json!({"Code": "bad"})).await;
    world.sync().await;
    world.sql("UPDATE pagerow.parked SET next_try = now()").await;
    world.sync().await;
    let dead = world.parked().await;
    assert_eq!((dead.len(), dead[0].attempts, dead[0].next_try), (1, 2, None), "{dead:#?}");
    for _ in 0..2 {
        let report = world.full_sync().await;
        assert_eq!((part(&report, "items").parked, report.run), (1, None), "{report:#?}");
    }
    let id = dead[0].id.to_string();
    let mut command = pagerow();
    command.arg("--config").arg(world.file()).arg("parked");
    let shown = program::run(command).await.stdout;
    assert!(shown.contains(&format!("pagerow retry {id}")) && shown.contains("no_bad"), "{shown}");
    world.sql("ALTER TABLE items DROP CONSTRAINT no_bad").await;
    json(&world, 0, &["retry", &id]).await;
    assert_eq!(world.row("SELECT code FROM items WHERE id = 6").await["code"], "bad");
    assert_eq!(world.equal().await, 8);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_notion_refuses_says_the_code_and_the_request() {
    let world = world().await;
    let source = world.source("Items").await;
    let page = world.page(&source, "Name", "Item 7").await;
    world.fault(json!({"endpoint": "PATCH /v1/pages/{id}", "path_contains": page.id, "answer": "400"})).await;
    world.sql("UPDATE items SET code = 'x' WHERE id = 7").await;
    world.try_sync().await.unwrap();
    let parked = world.parked().await;
    assert_eq!(parked[0].reason.code, "validation_error", "{parked:#?}");
    assert!(parked[0].reason.text.contains("request"), "{parked:#?}");
    world.no_faults().await;
    json(&world, 0, &["retry", "--all"]).await;
    assert_eq!(world.equal().await, 8);
}
