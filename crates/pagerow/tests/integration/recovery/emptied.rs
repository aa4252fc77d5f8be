//! Tables that lost their rows get them back from the pages, each under its own key.

use serde_json::{Value as Json, json};

use super::{RECORDS, command, company, done, everything};
use crate::support::world::written;

const EMPTY: &str = "TRUNCATE places, departments, people, shelves";

#[tokio::test]
async fn emptied_tables_come_back_to_the_last_digit() {
    let world = company().await;
    let before = everything(&world).await;
    world.sql(EMPTY).await;
    // An ordinary sync stops, and says what would bring them back.
    let stopped = command(&world, &["sync"]).await;
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("pagerow recover from-notion"), "{}", stopped.stderr);
    // Nobody is there to be asked.
    let unasked = command(&world, &["recover", "from-notion"]).await;
    assert_eq!(unasked.code, 2, "{}", unasked.stderr);
    assert_eq!(world.count("places").await, 0);

    let shown = done(&world, &["recover", "from-notion", "--dry-run", "--json"]).await.json();
    let plan = &shown["plan"];
    assert_eq!(plan["calls"], 0, "everything that is needed has been read: {plan:#}");
    let steps: usize =
        plan["mappings"].as_array().unwrap().iter().map(|part| part["steps"].as_array().unwrap().len()).sum();
    assert_eq!(steps as u64, RECORDS);
    assert_eq!(world.count("places").await, 0);

    world.calls().await;
    let answer = done(&world, &["recover", "from-notion", "--yes", "--json"]).await.json();
    let calls = world.calls().await;
    assert!(!calls.keys().any(|call| call.starts_with("PATCH") || call == "POST /v1/pages"), "{calls:?}");
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    assert_eq!(everything(&world).await, before);

    // Everything is as if nothing had been; the keys go on where they were.
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
    world.sql("INSERT INTO places (name) VALUES ('new'); INSERT INTO departments (name, place_id) VALUES ('new', 1)").await;
    assert_eq!(world.row("SELECT id FROM places WHERE name = 'new'").await["id"], 9);
    assert_eq!(world.row("SELECT id FROM departments WHERE name = 'new'").await["id"], 6);
    assert_eq!(written(&world.sync().await), [2, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn without_any_memory_the_keys_on_the_pages_tell() {
    let world = company().await;
    let before = everything(&world).await;
    world.sql(&format!("{EMPTY} RESTART IDENTITY; DROP SCHEMA pagerow CASCADE")).await;
    let answer = done(&world, &["recover", "from-notion", "--yes", "--json"]).await.json();
    assert_eq!(answer["report"]["quiet"], true, "{:#}", answer["report"]);
    assert_eq!(everything(&world).await, before);
    assert_eq!(written(&world.sync().await), [0; 6]);
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
    world.sql("INSERT INTO places (name) VALUES ('new')").await;
    assert_eq!(world.row("SELECT id FROM places WHERE name = 'new'").await["id"], 9);
}

#[tokio::test]
async fn some_rows_of_one_mapping_come_back_and_no_others() {
    let world = company().await;
    let before = everything(&world).await;
    world.sql("DELETE FROM shelves WHERE place_id = 1").await;
    let key = json!(["1", "a/2"]).to_string();
    done(&world, &["recover", "from-notion", "shelves", "--record", &key, "--yes"]).await;
    assert_eq!(world.count("shelves WHERE place_id = 1").await, 1);
    let vague = command(&world, &["recover", "from-notion", "--record", &key, "--yes"]).await;
    assert_eq!(vague.code, 2, "{}", vague.stderr);
    done(&world, &["recover", "from-notion", "shelves", "--yes"]).await;
    assert_eq!(everything(&world).await, before);
    let nothing = done(&world, &["recover", "from-notion", "--json"]).await.json();
    assert_eq!(nothing["report"], Json::Null, "nothing is left to ask about");
}

#[tokio::test]
async fn rows_that_are_there_are_merged_and_never_written_over() {
    let world = company().await;
    let shelves = world.source("Shelves").await;
    world
        .sql(
            "DELETE FROM shelves WHERE code = 'a/1'; UPDATE shelves SET amount = 77 WHERE place_id = 2 AND code = 'a/2';
             UPDATE shelves SET amount = 88 WHERE place_id = 4 AND code = 'a/2'; DROP SCHEMA pagerow CASCADE",
        )
        .await;
    let page = world.page(&shelves, "Name", "Shelf 3 of 2").await;
    world.edit(&page, json!({ "Amount": 99 })).await;
    let answer = command(&world, &["recover", "from-notion", "shelves", "--yes", "--json"]).await;
    assert_eq!(answer.code, 3, "differences wait for a person: {}", answer.stderr);
    assert_eq!(answer.json()["report"]["mappings"][0]["conflicts"], 3, "{:#}", answer.json());
    assert_eq!(world.count("shelves").await, 21);
    assert_eq!(world.count("shelves WHERE amount IN (77, 88)").await, 2);
    assert_eq!(world.count("shelves WHERE amount = 99").await, 0);
    assert_eq!(world.page(&shelves, "Name", "Shelf 2 of 2").await.values["Amount"], 2);
}
