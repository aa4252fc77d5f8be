//! A person's answers: by command, as plans, refused when something has moved, and never halfway.

use serde_json::{Value as Json, json};

use crate::support::{
    program::{self, Answer, pagerow},
    world::World,
};

const TABLE: &str = "
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL, body text, rank smallint, deleted_at timestamptz);
INSERT INTO notes (title, body, rank) SELECT 'Note ' || n, 'The quick fox jumps over dog ' || n, n FROM generate_series(1, 20) n;
";

const MAPPING: &str = "
[mapping.notes]
table = \"notes\"
data_source = \"create\"
on_row_deleted = \"ask\"
[mapping.notes.fields]
title = { property = \"Name\", as = \"title\" }
body = \"Body\"
rank = \"Rank\"
";

async fn world() -> World {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    world
}

async fn command(world: &World, arguments: &[&str]) -> Answer {
    let mut command = pagerow();
    command.arg("--config").arg(world.file()).args(arguments).env("USER", "ada");
    program::run(command).await
}

/// Runs a command that must end with this code, and reads its answer.
async fn json(world: &World, code: i32, arguments: &[&str]) -> Json {
    let answer = command(world, &[arguments, &["--json"]].concat()).await;
    assert_eq!(answer.code, code, "{arguments:?}: {} {}", answer.stdout, answer.stderr);
    answer.json()
}

/// Runs a command that must refuse with this code; answers what it says.
async fn refused(world: &World, code: i32, arguments: &[&str]) -> Json {
    let answer = command(world, &[arguments, &["--json"]].concat()).await;
    assert_eq!(answer.code, code, "{arguments:?}: {} {}", answer.stdout, answer.stderr);
    assert_eq!(answer.stdout, "");
    let error: Json = serde_json::from_str(&answer.stderr).unwrap();
    error["error"].clone()
}

/// Lets both sides edit the bodies of the first so many notes; answers the conflicts' numbers by key.
async fn contest(world: &World, count: i64) -> Vec<String> {
    let source = world.source("Notes").await;
    for number in 1..=count {
        let page = world.page(&source, "Name", format!("Note {number}")).await;
        world.edit(&page, json!({"Body": format!("The slow fox jumps over dog {number}")})).await;
    }
    world
        .sql(&format!(
            "UPDATE notes SET body = 'The quick fox jumps over the dog ' || id WHERE id <= {count}"
        ))
        .await;
    world.sync().await;
    let list = json(world, 3, &["conflicts"]).await;
    let mut ids: Vec<(i64, String)> = list["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["key"].as_str().unwrap().parse().unwrap(), one["id"].to_string()))
        .collect();
    ids.sort();
    assert_eq!(ids.len(), usize::try_from(count).unwrap());
    ids.into_iter().map(|(_, id)| id).collect()
}

async fn both(world: &World, number: i64) -> (String, String) {
    let source = world.source("Notes").await;
    let row = world.row(&format!("SELECT body FROM notes WHERE id = {number}")).await;
    let page = world.page(&source, "Name", format!("Note {number}")).await;
    let text = |json: &Json| json.as_str().unwrap_or("∅").to_owned();
    (text(&row["body"]), text(&page.values["Body"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_shown_side_by_side_with_the_difference_marked() {
    let world = world().await;
    contest(&world, 2).await;
    let shown = command(&world, &["conflicts", "--mapping", "notes", "--column", "body"]).await;
    assert_eq!(shown.code, 3);
    for piece in ["Postgres", "both had", "Notion", "{+the +}", "[-quick-]{+slow+}", "notes 1", "body"] {
        assert!(shown.stdout.contains(piece), "{piece}: {}", shown.stdout);
    }
    assert!(shown.stderr.contains("pagerow resolve"), "{}", shown.stderr);
    let list = json(&world, 3, &["conflicts"]).await;
    let one = &list["conflicts"][0];
    assert_eq!(
        (&one["base"], &one["base_postgres"], &one["base_notion"], &one["property"]),
        (
            &json!("The quick fox jumps over dog 1"),
            &json!("The quick fox jumps over dog 1"),
            &json!("The quick fox jumps over dog 1"),
            &json!("Body")
        )
    );
    assert!(one["notion_time"].is_string() && one["notion_author"].is_string(), "{one}");
    assert_eq!(one["postgres_author"], Json::Null);
    assert_eq!(json(&world, 0, &["conflicts", "--column", "rank"]).await, json!({"conflicts": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_answer_ends_on_both_sides_and_keeps_the_loser() {
    let world = world().await;
    let ids = contest(&world, 4).await;
    let mine = "The quick fox jumps over the dog 1".to_owned();
    let theirs = "The slow fox jumps over dog 1".to_owned();
    // A dry run writes nothing.
    let plan = json(&world, 0, &["resolve", &ids[0], "--keep", "postgres", "--dry-run"]).await;
    assert_eq!(plan["mappings"][0]["steps"][0]["fields"]["body"]["decided_by"], "person", "{plan:#}");
    assert_eq!(both(&world, 1).await, (mine.clone(), theirs.clone()));
    // Nobody is there to say yes.
    let error = refused(&world, 2, &["resolve", &ids[0], "--keep", "postgres"]).await;
    assert_eq!(error["key"], "--yes");
    assert_eq!(both(&world, 1).await, (mine.clone(), theirs.clone()));

    let done = json(&world, 0, &["resolve", &ids[0], "--keep", "postgres", "--yes"]).await;
    assert_eq!(done["resolved"][0]["resolution"], "kept_postgres", "{done:#}");
    assert_eq!(both(&world, 1).await, (mine.clone(), mine));
    let run = done["run"].to_string();
    let shown = json(&world, 0, &["show", &run]).await;
    assert_eq!(
        (&shown["origin"], &shown["steps"][0]["fields"]["body"]["before"]),
        (&json!("resolve"), &json!(theirs))
    );

    json(&world, 0, &["resolve", &ids[1], "--field", "body=notion", "--yes"]).await;
    let slow = "The slow fox jumps over dog 2".to_owned();
    assert_eq!(both(&world, 2).await, (slow.clone(), slow));

    let typed = json(&world, 0, &["resolve", &ids[2], "--value", "body=A fox, agreed", "--yes"]).await;
    assert_eq!(typed["resolved"][0]["resolution"], "value");
    assert_eq!(both(&world, 3).await, ("A fox, agreed".to_owned(), "A fox, agreed".to_owned()));

    let before = both(&world, 4).await;
    json(&world, 0, &["resolve", &ids[3], "--skip", "--yes"]).await;
    assert_eq!(both(&world, 4).await, before);
    let quiet = world.full_sync().await;
    assert!(quiet.run.is_none() && !quiet.needs_decision(), "{quiet:#?}");
    assert_eq!(both(&world, 4).await, before);
    world.sql("UPDATE notes SET body = 'edited again' WHERE id = 4").await;
    world.sync().await;
    assert_eq!(both(&world, 4).await, ("edited again".to_owned(), "edited again".to_owned()));
    assert_eq!(world.equal().await, 20);
    world.nothing_left().await;
    let by =
        world.row("SELECT resolved_by, resolution FROM pagerow.conflicts WHERE resolution = 'value'").await;
    assert!(by["resolved_by"].as_str().unwrap().starts_with("ada"), "{by}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_answered_at_once_and_nothing_else_is_touched() {
    let world = world().await;
    contest(&world, 12).await;
    world.sql("UPDATE notes SET title = 'later' WHERE id = 15").await;
    let done =
        json(&world, 0, &["resolve", "--mapping", "notes", "--column", "body", "--keep", "notion", "--yes"])
            .await;
    assert_eq!(done["resolved"].as_array().unwrap().len(), 12);
    for number in 1..=12 {
        let (row, page) = both(&world, number).await;
        assert_eq!((row.as_str(), &row), (format!("The slow fox jumps over dog {number}").as_str(), &page));
    }
    // What else waits to be synced is not this command's business.
    let source = world.source("Notes").await;
    assert!(world.pages(&source).await.iter().all(|page| page["values"]["Name"] != "later"));
    world.sync().await;
    assert_eq!(world.equal().await, 20);
    assert_eq!(
        json(&world, 0, &["resolve", "--all", "--keep", "notion", "--yes"]).await["resolved"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_and_writes_nothing() {
    let world = world().await;
    let ids = contest(&world, 2).await;
    let id = ids[0].as_str();
    let before = (both(&world, 1).await, both(&world, 2).await);
    let usage: &[&[&str]] = &[
        &["resolve", id],
        &["resolve", "--keep", "notion"],
        &["resolve", id, "--all", "--keep", "notion"],
        &["resolve", id, id, "--keep", "notion"],
        &["resolve", id, "--keep", "notion", "--skip"],
        &["resolve", id, "--keep", "both"],
        &["resolve", id, "--field", "body"],
        &["resolve", id, "--field", "body=notion", "--value", "body=x"],
        &["resolve", id, "--field", "body=notion", "--keep", "postgres"],
        &["resolve", id, "--field", "rank=notion"],
        &["resolve", id, ids[1].as_str(), "--value", "body=x"],
        &["resolve", "999999", "--keep", "notion"],
        &["resolve", "--mapping", "nots", "--keep", "notion"],
    ];
    for arguments in usage {
        let error = refused(&world, 2, &[arguments, &["--yes"][..]].concat()).await;
        assert!(!error["message"].as_str().unwrap().is_empty(), "{arguments:?}");
    }
    let error = refused(&world, 2, &["resolve", id, "--field", "bady=notion", "--yes"]).await;
    assert_eq!(error["suggestion"], "body");
    assert_eq!((both(&world, 1).await, both(&world, 2).await), before);

    // Closed already, by an answer and by agreement.
    json(&world, 0, &["resolve", id, "--keep", "notion", "--yes"]).await;
    let error = refused(&world, 2, &["resolve", id, "--keep", "notion", "--yes"]).await;
    assert!(error["message"].as_str().unwrap().contains("closed already (kept_notion)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_has_moved_is_refused_and_nothing_is_written() {
    let world = world().await;
    let ids = contest(&world, 2).await;
    world.sql("UPDATE notes SET body = 'moved on' WHERE id = 2").await;
    let untouched = both(&world, 1).await;
    let error = refused(&world, 3, &["resolve", &ids[0], &ids[1], "--keep", "notion", "--yes"]).await;
    assert_eq!(
        (&error["kind"], &error["conflicts"]),
        (&json!("conflict_moved"), &json!([ids[1].parse::<i64>().unwrap()]))
    );
    assert_eq!(both(&world, 1).await, untouched, "all or none");
    assert_eq!(both(&world, 2).await.0, "moved on");
    // After a look it can be answered.
    world.sync().await;
    json(&world, 0, &["resolve", "--all", "--keep", "postgres", "--yes"]).await;
    assert_eq!(both(&world, 2).await, ("moved on".to_owned(), "moved on".to_owned()));
    assert_eq!(world.equal().await, 20);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_values_are_held_against_column_and_property() {
    let world = world().await;
    let source = world.source("Notes").await;
    let page = world.page(&source, "Name", "Note 1").await;
    world.edit(&page, json!({"Rank": 70})).await;
    world.sql("UPDATE notes SET rank = 80 WHERE id = 1").await;
    world.sync().await;
    let id = json(&world, 3, &["conflicts"]).await["conflicts"][0]["id"].to_string();
    for (value, says) in
        [("rank=40000", "too large"), ("rank=1.5", "fraction"), ("rank=many", "whole number")]
    {
        let error = refused(&world, 2, &["resolve", &id, "--value", value, "--yes"]).await;
        assert!(error["message"].as_str().unwrap().contains(says), "{value}: {error}");
    }
    assert_eq!(world.row("SELECT rank FROM notes WHERE id = 1").await["rank"], 80);
    // What one side holds already is that side.
    let done = json(&world, 0, &["resolve", &id, "--value", "rank=70", "--yes"]).await;
    assert_eq!(done["resolved"][0]["resolution"], "kept_notion");
    assert_eq!(world.row("SELECT rank FROM notes WHERE id = 1").await["rank"], 70);
    assert_eq!(world.equal().await, 20);
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_asked_about_is_answered_either_way_or_left() {
    let world = world().await;
    let source = world.source("Notes").await;
    for name in ["Note 4", "Note 5", "Note 6"] {
        let page = world.page(&source, "Name", name).await;
        world.trash(&page).await;
    }
    world.sql("DELETE FROM notes WHERE id IN (1, 2, 3)").await;
    let asked = world.full_sync().await;
    assert_eq!(asked.mappings[0].conflicts, 6, "{asked:#?}");
    let list = json(&world, 3, &["conflicts"]).await;
    let id = |key: &str| {
        let list = list["conflicts"].as_array().unwrap();
        list.iter().find(|one| one["key"] == key).unwrap()["id"].to_string()
    };
    let shown = command(&world, &["conflicts"]).await.stdout;
    assert!(
        shown.contains("deleted in Postgres, still there in Notion")
            && shown.contains("in the trash in Notion"),
        "{shown}"
    );

    json(&world, 0, &["resolve", &id("1"), &id("4"), "--keep", "postgres", "--yes"]).await;
    json(&world, 0, &["resolve", &id("2"), &id("5"), "--keep", "notion", "--yes"]).await;
    json(&world, 0, &["resolve", &id("3"), &id("6"), "--skip", "--yes"]).await;
    assert_eq!(world.count("notes WHERE id IN (1, 2, 4, 5)").await, 2);
    assert_eq!(world.count("notes WHERE id IN (2, 4)").await, 2);
    let trashed: Vec<String> = (world.trashed(&source).await.iter())
        .map(|page| page["values"]["Name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(trashed.len(), 3, "{trashed:?}");
    for name in ["Note 1", "Note 5", "Note 6"] {
        assert!(trashed.iter().any(|one| one == name), "{trashed:?}");
    }
    // Left as they are, they are not asked about again, look as often as you like.
    for _ in 0..2 {
        let quiet = world.full_sync().await;
        assert!(quiet.run.is_none() && !quiet.needs_decision(), "{quiet:#?}");
    }
    // Until somebody edits what is there.
    let page = world.page(&source, "Name", "Note 3").await;
    world.edit(&page, json!({"Body": "still wanted"})).await;
    world.sql("UPDATE notes SET body = 'wanted as well' WHERE id = 6").await;
    world.full_sync().await;
    assert_eq!(both(&world, 3).await, ("still wanted".to_owned(), "still wanted".to_owned()));
    assert_eq!(both(&world, 6).await, ("wanted as well".to_owned(), "wanted as well".to_owned()));
    assert_eq!(world.equal().await, 18);
    world.nothing_left().await;
    // Deleted once more, it is a new question.
    world.sql("DELETE FROM notes WHERE id = 3").await;
    let again = world.full_sync().await;
    assert_eq!(again.mappings[0].conflicts, 1, "{again:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_conflict_closes_by_itself_when_the_sides_agree() {
    let world = world().await;
    contest(&world, 2).await;
    let source = world.source("Notes").await;
    let page = world.page(&source, "Name", "Note 1").await;
    world.edit(&page, json!({"Body": "The quick fox jumps over the dog 1"})).await;
    world.sync().await;
    let left = json(&world, 3, &["conflicts"]).await;
    assert_eq!(left["conflicts"].as_array().unwrap().len(), 1);
    // A run that was killed between making them equal and saying so leaves no conflict behind for ever.
    world.sql("UPDATE notes SET body = 'The slow fox jumps over dog 2' WHERE id = 2").await;
    world.sync().await;
    world.sql("UPDATE pagerow.conflicts SET closed_at = NULL").await;
    world.sync().await;
    assert_eq!(json(&world, 0, &["conflicts"]).await, json!({"conflicts": []}));
    world.nothing_left().await;
}
