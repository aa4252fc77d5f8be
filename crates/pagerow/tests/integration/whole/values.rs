//! What a value carries beside what the other side sees: formatting, order, offsets, names of files. It stays.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{MAPPINGS, SHOP};
use crate::support::{
    postgres::eventually,
    world::{Page, World, part, written},
};

const TABLE: &str = "
CREATE TABLE docs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, notes text, story text, tags text[],
    steps text[], during tstzrange, files text[], team text[], ratio double precision);
INSERT INTO docs (name, notes, story, tags, steps, ratio) VALUES
    ('one', 'Ada said so', '**bold** and [linked](https://x.example/)', '{b,a}', '{cut,glue}', 9007199254740994),
    ('two', NULL, 'plain *text*', '{}', NULL, 1e300);
";

const MAPPING: &str = "
[mapping.docs]
table = \"docs\"
data_source = \"create\"
new_options = \"create\"
[mapping.docs.fields]
name = { property = \"Name\", as = \"title\" }
notes = \"Notes\"
story = { property = \"Story\", as = \"markdown\" }
tags = \"Tags\"
steps = { property = \"Steps\", ordered = true }
during = \"During\"
files = { property = \"Files\", as = \"files\" }
team = { property = \"Team\", as = \"people\" }
ratio = \"Ratio\"
";

/// A page as the API shows it.
async fn shown(world: &World, page: &Page, property: &str) -> Json {
    let url = format!("{}/v1/pages/{}", world.notion.base_url(), page.id);
    let answer = call(world, reqwest::Method::GET, &url, None).await;
    answer["properties"][property].clone()
}

async fn call(world: &World, method: reqwest::Method, url: &str, body: Option<Json>) -> Json {
    let mut request = reqwest::Client::new()
        .request(method, url)
        .bearer_auth(world.notion.token())
        .header("Notion-Version", "2026-03-11");
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let json: Json = answer.json().await.unwrap();
    assert!(status.is_success(), "{json}");
    json
}

/// A text property's items: their words and what stands out of them.
async fn items(world: &World, page: &Page, property: &str) -> Vec<(String, String)> {
    let shown = shown(world, page, property).await;
    let items = shown[shown["type"].as_str().unwrap()].as_array().unwrap();
    let look = |item: &Json| {
        let mut looks: Vec<String> = item["annotations"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, is_so)| **is_so == json!(true))
            .map(|(name, _)| name.clone())
            .collect();
        looks.extend(item["href"].as_str().map(str::to_owned));
        looks.extend((item["type"] != "text").then(|| item["type"].as_str().unwrap().to_owned()));
        looks.join(" ")
    };
    items.iter().map(|item| (item["plain_text"].as_str().unwrap().to_owned(), look(item))).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(words, look)| ((*words).to_owned(), (*look).to_owned())).collect()
}

async fn world() -> (World, String) {
    let world = World::with_mappings(TABLE, MAPPING).await;
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?} {:#?}", world.parked().await);
    let source = world.source("Docs").await;
    (world, source)
}

#[tokio::test]
async fn formatting_stays_with_the_words_that_stay() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    let formatted = json!({"rich_text": [
        {"text": {"content": "Ada"}, "annotations": {"bold": true}}, {"text": {"content": " said "}},
        {"text": {"content": "so", "link": {"url": "https://x.example/"}}}, {"equation": {"expression": "x^2"}}]});
    // Formatting, and a formula that is words too.
    world.edit(&page, json!({ "Notes": formatted })).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 0, 0, 0, 1, 0], "{report:#?}");
    assert_eq!(world.row("SELECT notes FROM docs WHERE id = 1").await["notes"], "Ada said sox^2");
    let whole = pairs(&[("Ada", "bold"), (" said ", ""), ("so", "https://x.example/"), ("x^2", "equation")]);
    assert_eq!(items(&world, &page, "Notes").await, whole);
    // Another field leaves it alone.
    world.sql("UPDATE docs SET ratio = 2 WHERE id = 1").await;
    world.sync().await;
    assert_eq!(items(&world, &page, "Notes").await, whole);
    // One word of the row, and new formatting of others on the page meanwhile: both, and no conflict.
    let italic = json!({"rich_text": [
        {"text": {"content": "Ada"}, "annotations": {"bold": true, "italic": true}}, {"text": {"content": " said "}},
        {"text": {"content": "so", "link": {"url": "https://x.example/"}}}, {"equation": {"expression": "x^2"}}]});
    world.edit(&page, json!({ "Notes": italic })).await;
    world.sql("UPDATE docs SET notes = 'Ada wrote sox^2' WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!((written(&report), part(&report, "docs").conflicts), ([0, 1, 0, 0, 0, 0], 0), "{report:#?}");
    assert_eq!(
        items(&world, &page, "Notes").await,
        pairs(&[("Ada", "bold italic"), (" wrote ", ""), ("so", "https://x.example/"), ("x^2", "equation")])
    );
    // Formatting alone writes nothing.
    world.edit(&page, json!({"Notes": "Ada wrote sox^2"})).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0; 6], "{report:#?}");
    assert_eq!(world.equal().await, 2);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_markdown_column_says_all_of_a_text() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    assert_eq!(
        items(&world, &page, "Story").await,
        pairs(&[("bold", "bold"), (" and ", ""), ("linked", "https://x.example/")])
    );
    let user = world.control("GET", "workspace", &Json::Null).await["users"][0].clone();
    let mention = json!({"rich_text": [{"text": {"content": "by "}, "annotations": {"underline": true, "color": "red"}},
        {"mention": {"user": {"id": user["id"]}}}]});
    world.edit(&page, json!({ "Story": mention })).await;
    world.sync().await;
    let story = world.row("SELECT story FROM docs WHERE id = 1").await["story"].as_str().unwrap().to_owned();
    let name = user["name"].as_str().unwrap();
    let id = user["id"].as_str().unwrap();
    let written_by = format!("<mention-user url=\"user://{id}\">@{name}</mention-user>");
    assert_eq!(story, format!("<span color=\"red\"><u>by </u></span>{written_by}"));
    // The row's own way of writing stays the row's.
    world.sql(&format!("UPDATE docs SET story = '__seen__ {written_by}' WHERE id = 1")).await;
    let report = world.sync().await;
    assert_eq!(written(&report), [0, 1, 0, 0, 0, 0], "{report:#?}");
    assert_eq!(
        items(&world, &page, "Story").await,
        pairs(&[("seen", "bold"), (" ", ""), (&format!("@{name}"), "mention")])
    );
    assert!(
        world.row("SELECT story FROM docs WHERE id = 1").await["story"]
            .as_str()
            .unwrap()
            .starts_with("__seen__")
    );
    assert_eq!(world.equal().await, 2);
    world.nothing_left().await;
}

#[tokio::test]
async fn options_keep_their_order() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    assert_eq!((&page.values["Tags"], &page.values["Steps"]), (&json!(["b", "a"]), &json!(["cut", "glue"])));
    // Where the order says nothing, nothing is written; where it does, it crosses.
    world.edit(&page, json!({"Tags": ["a", "b"], "Steps": ["glue", "cut"]})).await;
    world.sync().await;
    assert_eq!(
        world.row("SELECT tags, steps FROM docs WHERE id = 1").await,
        json!({"tags": ["b", "a"], "steps": ["glue", "cut"]})
    );
    world.edit(&page, json!({"Tags": ["a", "c", "b"]})).await;
    world.sync().await;
    assert_eq!(world.row("SELECT tags FROM docs WHERE id = 1").await, json!({"tags": ["b", "a", "c"]}));
    assert_eq!(world.equal().await, 2);
    world.nothing_left().await;
}

#[tokio::test]
async fn an_end_that_nobody_moved_keeps_its_offset_and_its_seconds() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    let tokyo = json!({"start": "2026-02-22T09:00:00+09:00", "end": "2026-02-22T10:00:00+09:00"});
    world.edit(&page, json!({"During": {"date": tokyo}})).await;
    world.sync().await;
    world
        .sql("UPDATE docs SET during = tstzrange(lower(during), '2026-02-22 03:00:30+00') WHERE id = 1")
        .await;
    world.sync().await;
    let date = shown(&world, &page, "During").await["date"].clone();
    assert_eq!(date["start"], "2026-02-22T09:00:00.000+09:00");
    assert_eq!(date["end"], "2026-02-22T12:00:00.000+09:00");
    // The page moves the start; the row's seconds at the end stay.
    let moved = json!({"start": "2026-02-22T08:00:00+09:00", "end": "2026-02-22T12:00:00+09:00"});
    world.edit(&page, json!({"During": {"date": moved}})).await;
    world.sync().await;
    assert_eq!(
        world.row("SELECT lower(during) = '2026-02-21 23:00+00' AND upper(during) = '2026-02-22 03:00:30+00' same FROM docs WHERE id = 1").await["same"],
        true
    );
    assert_eq!(world.equal().await, 2);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_file_that_notion_keeps_stays_kept() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    let base = world.notion.base_url();
    let upload = call(
        &world,
        reqwest::Method::POST,
        &format!("{base}/v1/file_uploads"),
        Some(json!({"filename": "scan.pdf", "content_type": "application/pdf"})),
    )
    .await;
    let id = upload["id"].as_str().unwrap();
    let boundary = "zzz";
    let form = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"scan.pdf\"\r\ncontent-type: application/pdf\r\n\r\nx\r\n--{boundary}--\r\n"
    );
    let sent = reqwest::Client::new()
        .post(format!("{base}/v1/file_uploads/{id}/send"))
        .bearer_auth(world.notion.token())
        .header("Notion-Version", "2026-03-11")
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(form)
        .send()
        .await
        .unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    let files = json!({"files": [{"name": "The scan", "type": "file_upload", "file_upload": {"id": id}}]});
    world.edit(&page, json!({ "Files": files })).await;
    world.sync().await;
    let kept = world.row("SELECT files FROM docs WHERE id = 1").await;
    assert_eq!(kept["files"].as_array().unwrap().len(), 1, "{kept}");
    // An hour later it is signed anew: no change.
    world.minutes_pass(61).await;
    world.nothing_left().await;
    // Another file beside it: the first one stays Notion's own, with its name.
    world.sql("UPDATE docs SET files = array_append(files, 'https://x.example/b.pdf') WHERE id = 1").await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{report:#?} {:#?}", world.parked().await);
    let files = shown(&world, &page, "Files").await["files"].clone();
    assert_eq!((&files[0]["name"], &files[0]["type"]), (&json!("The scan"), &json!("file")), "{files}");
    assert_eq!((&files[1]["name"], &files[1]["type"]), (&json!("b.pdf"), &json!("external")), "{files}");
    world.nothing_left().await;
}

#[tokio::test]
async fn doubles_cross_at_any_size() {
    let (world, source) = world().await;
    let shown = [("one", 9_007_199_254_740_994.0), ("two", 1e300)];
    for (name, ratio) in shown {
        assert_eq!(world.page(&source, "Name", name).await.values["Ratio"].as_f64(), Some(ratio));
    }
    let page = world.page(&source, "Name", "two").await;
    world.edit(&page, json!({"Ratio": -1.797_693_134_862_315_7e308})).await;
    world.sync().await;
    assert_eq!(world.count("docs WHERE ratio = '-1.7976931348623157e308'::float8").await, 1);
    assert_eq!(world.equal().await, 2);
}

#[tokio::test]
async fn people_without_an_address_wait_and_are_not_taken_away() {
    let (world, source) = world().await;
    let page = world.page(&source, "Name", "one").await;
    let users = world.control("GET", "workspace", &Json::Null).await["users"].clone();
    let person = users.as_array().unwrap().iter().find(|user| user["email"].is_string()).unwrap().clone();
    let guest = world.control("POST", "users", &json!({"name": "Guest without address"})).await;
    let both = json!({"people": [{"id": person["id"]}, {"id": guest["id"]}]});
    world.edit(&page, json!({"Team": both, "Notes": "flows"})).await;
    let report = world.sync().await;
    assert_eq!(part(&report, "docs").parked, 1, "{report:#?}");
    assert_eq!(world.parked().await[0].reason.code, "no_address");
    assert_eq!(
        world.row("SELECT team, notes FROM docs WHERE id = 1").await,
        json!({"team": null, "notes": "flows"})
    );
    assert_eq!(shown(&world, &page, "Team").await["people"].as_array().unwrap().len(), 2);
    // Somebody whom nobody knows is parked the other way.
    world.edit(&page, json!({"Team": {"people": []}})).await;
    world.sql("UPDATE docs SET team = '{nobody@example.com}' WHERE id = 2").await;
    world.sync().await;
    let parked = world.parked().await;
    assert_eq!((parked.len(), parked[0].reason.code.as_str()), (1, "no_such_person"), "{parked:#?}");
}

#[tokio::test]
async fn only_the_field_waits_whose_row_has_no_page() {
    // Suppliers of Oslo take no part, so that their products refer to nobody.
    let oslo = "table = \"suppliers\"\nwhere = \"city <> 'Oslo'\"";
    let mappings = MAPPINGS.replace("table = \"suppliers\"", oslo);
    let world = World::with_mappings(SHOP, &mappings).await;
    world.sync().await;
    world.sql("INSERT INTO suppliers (name, city) VALUES ('Odd', 'Oslo')").await;
    world.sql("UPDATE products SET supplier_id = 6, stock = 88 WHERE id = 1").await;
    let report = world.sync().await;
    assert!(report.needs_decision(), "{report:#?}");
    let products = world.source("Products").await;
    let page = world.page(&products, "Name", "Product 1").await;
    assert_eq!(
        (&page.values["Stock"], &page.values["Supplier"][0]["title"]),
        (&json!(88), &json!("Supplier 2"))
    );
    assert_eq!(world.parked().await[0].reason.code, "waits_for_relation");
    // What comes later flows as well, and the relation still waits.
    world.sql("UPDATE products SET stock = 99 WHERE id = 1").await;
    let report = world.sync().await;
    assert_eq!((written(&report), part(&report, "products").parked), ([0, 1, 0, 0, 0, 0], 1), "{report:#?}");
    world.sql("UPDATE suppliers SET city = 'Rome' WHERE id = 6").await;
    let healed = world.full_sync().await;
    assert!(!healed.needs_decision(), "{healed:#?} {:#?}", world.parked().await);
    let page = world.page(&products, "Name", "Product 1").await;
    assert_eq!((&page.values["Stock"], &page.values["Supplier"][0]["title"]), (&json!(99), &json!("Odd")));
    assert_eq!(world.equal().await, 36);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_relation_that_both_ends_show_is_one_relation() {
    let tables = "
        CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
        CREATE TABLE labels (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
        CREATE TABLE thing_labels (thing bigint REFERENCES things ON DELETE CASCADE, label bigint REFERENCES labels ON DELETE CASCADE, PRIMARY KEY (thing, label));
        INSERT INTO things (name) VALUES ('t1'), ('t2'); INSERT INTO labels (name) VALUES ('l1'), ('l2');
        INSERT INTO thing_labels VALUES (1, 1), (1, 2);";
    let mapping = |name: &str, source: &str, field: &str| {
        format!(
            "[mapping.{name}]\ntable = \"{name}\"\ndata_source = \"{source}\"\n[mapping.{name}.fields]\n\
             name = {{ property = \"Name\", as = \"title\" }}\n{field}"
        )
    };
    let plain = format!("{}{}", mapping("things", "create", ""), mapping("labels", "create", ""));
    let world = World::with_mappings(tables, &plain).await;
    let (things, labels) = (world.source("Things").await, world.source("Labels").await);
    let dual = json!({"properties": {"Labels": {"relation": {
        "data_source_id": labels, "dual_property": {"synced_property_name": "Things"}}}}});
    let url = format!("{}/v1/data_sources/{things}", world.notion.base_url());
    call(&world, reqwest::Method::PATCH, &url, Some(dual)).await;
    let to_labels = "labels = { property = \"Labels\", relation = \"labels\", through = \"thing_labels\" }\n";
    let to_things = "things = { property = \"Things\", relation = \"things\", through = \"thing_labels\" }\n";
    world.configure(&format!(
        "{}{}",
        mapping("things", &things, to_labels),
        mapping("labels", &labels, to_things)
    ));
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?} {:#?}", world.parked().await);
    let titles = |page: &Page, property: &str| -> Vec<String> {
        let related = page.values[property].as_array().cloned().unwrap_or_default();
        related.iter().map(|one| one["title"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let l2 = world.page(&labels, "Name", "l2").await;
    assert_eq!(titles(&l2, "Things"), ["t1"]);
    // Added at one end, taken away at the other, added in the database.
    let t2 = world.page(&things, "Name", "t2").await;
    world.edit(&l2, json!({"Things": ["t1", "t2"]})).await;
    let l1 = world.page(&labels, "Name", "l1").await;
    world.edit(&l1, json!({"Things": []})).await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{report:#?} {:#?}", world.parked().await);
    let pairs = "SELECT array_agg(thing || '-' || label ORDER BY thing, label) pairs FROM thing_labels";
    assert_eq!(world.row(pairs).await["pairs"], json!(["1-2", "2-2"]));
    world.sql("INSERT INTO thing_labels VALUES (2, 1)").await;
    let report = world.full_sync().await;
    assert!(!report.needs_decision(), "{report:#?} {:#?}", world.parked().await);
    let shown = world.page(&things, "Name", "t2").await;
    let mut names = titles(&shown, "Labels");
    names.sort();
    assert_eq!((shown.id, names), (t2.id, vec!["l1".to_owned(), "l2".to_owned()]));
    assert_eq!(world.equal().await, 4);
    world.nothing_left().await;
}

#[tokio::test]
async fn a_body_edited_since_its_page_was_made_by_a_call_without_an_answer_arrives() {
    let tables = "CREATE TABLE stories (id bigint PRIMARY KEY, name text NOT NULL, story text); \
        INSERT INTO stories VALUES (1, 'without', NULL), (2, 'with', '# Old');";
    let mapping = "[mapping.stories]\ntable = \"stories\"\ndata_source = \"create\"\n[mapping.stories.fields]\n\
        name = { property = \"Name\", as = \"title\" }\nstory = { as = \"body\" }\n";
    let world = World::with_mappings(tables, mapping).await;
    world.fault(json!({ "endpoint": "POST /v1/pages", "fate": "applied", "answer": "drop" })).await;
    world.control("POST", "lag", &json!({ "min_ms": 600_000, "max_ms": 600_000 })).await;
    let edits = async {
        let source = world.source("Stories").await;
        eventually("both pages are made", Duration::from_secs(60), async || {
            world.pages(&source).await.len() == 2
        })
        .await;
        world.no_faults().await;
        for name in ["without", "with"] {
            let page = world.page(&source, "Name", name).await;
            let path = format!("pages/{}/markdown", page.id);
            world.control("PUT", &path, &json!({ "markdown": format!("# New {name}") })).await;
        }
        world.control("POST", "lag", &json!({})).await;
        source
    };
    let (report, source) = tokio::join!(world.sync(), edits);
    assert!(!report.needs_decision(), "{report:#?}");
    world.sync().await;
    assert_eq!(world.pages(&source).await.len(), 2);
    assert_eq!(world.count("stories WHERE story = '# New ' || name").await, 2);
    world.nothing_left().await;
}
