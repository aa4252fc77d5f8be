//! The program itself, on a real Postgres and the emulator: answers, exit codes, and what it says of bad input.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::support::desk::Desk;
use super::support::postgres::eventually;

const SHOP: &str = "
CREATE TABLE supplier (id int PRIMARY KEY, name text NOT NULL, city text, rating numeric(6,3));
INSERT INTO supplier VALUES (1, 'Acme', 'Rome', 4.125), (2, 'Bolt', NULL, NULL);
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, supplier_id int REFERENCES supplier);
INSERT INTO product SELECT n, 'Product ' || n, 1 + n % 2 FROM generate_series(1, 40) n;
CREATE TABLE keyless (name text);
";

const MAPPINGS: &str = r#"[sync]
parent_page = "env:NOTION_PARENT_PAGE"

[mapping.suppliers]
table = "public.supplier"
data_source = "create"

[mapping.suppliers.fields]
name = { property = "Name", as = "title" }
city = "City"
rating = "Rating"

[mapping.products]
table = "public.product"
data_source = "create"

[mapping.products.fields]
name = { property = "Name", as = "title" }
supplier_id = { property = "Supplier", relation = "suppliers" }
"#;

/// A shop whose data sources are made.
async fn shop() -> Desk {
    let desk = Desk::with(SHOP).await;
    desk.configure(MAPPINGS);
    let made = desk.json(0, &["schema", "apply", "--yes"]).await;
    assert_eq!(made["made"].as_array().unwrap().len(), 2, "{made}");
    desk
}

/// A shop whose sides are equal.
async fn synced_shop() -> Desk {
    let desk = shop().await;
    let report = desk.json(0, &["sync"]).await;
    assert_eq!(report["quiet"], true, "{report}");
    desk
}

fn of<'j>(answer: &'j Json, mapping: &str) -> &'j Json {
    answer["mappings"].as_array().unwrap().iter().find(|part| part["mapping"] == mapping).unwrap()
}

/// The data source of a mapping, as the configuration names it.
fn source_of(desk: &Desk, mapping: &str) -> String {
    let config = std::fs::read_to_string(desk.file("pagerow.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    config["mapping"][mapping]["data_source"].as_str().unwrap().to_owned()
}

/// The page of a row.
async fn page_of(desk: &Desk, mapping: &str, key: &str) -> String {
    let source = source_of(desk, mapping);
    let filter = json!({"filter": {"property": "Supabase ID", "rich_text": {"equals": key}}});
    let found = desk.workspace.api("POST", &format!("/v1/data_sources/{source}/query"), filter).await;
    found["results"][0]["id"].as_str().unwrap().to_owned()
}

async fn edit(desk: &Desk, page: &str, properties: Json) {
    let path = format!("pages/{page}");
    desk.workspace.control("PATCH", &path, json!({ "properties": properties })).await;
}

async fn sql(desk: &Desk, sql: &str) {
    desk.database.client().await.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_equal_sides() {
    let desk = Desk::with(SHOP).await;
    let proposed = desk.json(0, &["init"]).await;
    assert!(proposed["mappings"].as_u64().unwrap() >= 2, "{proposed}");
    let again = desk.fails(2, &["init"]).await;
    assert_eq!((&again["kind"], &again["key"]), (&json!("usage"), &json!("--force")));

    desk.configure(MAPPINGS);
    let asked = desk.fails(2, &["schema", "apply"]).await;
    assert_eq!(asked["key"], "--yes");
    let missing = desk.json(4, &["schema", "plan", "--detailed-exitcode"]).await;
    assert_eq!(missing["changes"].as_array().unwrap().len(), 5, "{missing}");
    desk.json(0, &["schema", "apply", "--yes"]).await;
    assert_eq!(desk.json(0, &["schema", "plan", "--detailed-exitcode"]).await["changes"], json!([]));
    let checks = desk.json(0, &["doctor"]).await;
    assert_eq!(checks["ok"], true, "{checks}");

    assert_eq!(desk.json(0, &["runs"]).await, json!({"runs": []}));
    assert_eq!(desk.json(0, &["status"]).await["mappings"][0]["state"], "new");
    let plan = desk.json(4, &["plan", "--detailed-exitcode"]).await;
    assert_eq!(plan["calls"], 42);
    assert_eq!(plan["hash"].as_str().unwrap().len(), 32);
    let first = &of(&plan, "suppliers")["steps"][0];
    assert_eq!(
        (&first["side"], &first["action"], &first["key"], &first["page_id"]),
        (&json!("notion"), &json!("create"), &json!("1"), &Json::Null)
    );
    assert_eq!(first["fields"]["rating"], json!({"before": null, "after": 4.125}));
    assert_eq!(of(&plan, "suppliers")["refusals"], json!([]));

    let report = desk.json(0, &["sync"]).await;
    assert_eq!(of(&report, "products")["to_notion"], json!({"created": 40, "updated": 0, "trashed": 0}));
    assert_eq!(of(&report, "suppliers")["to_postgres"], json!({"inserted": 0, "updated": 0, "deleted": 0}));
    assert!(report["calls"].as_u64().unwrap() >= 42, "{report}");
    let verdict = desk.json(0, &["verify"]).await;
    assert_eq!(
        of(&verdict, "products"),
        &json!({"mapping": "products", "rows": 40, "pages": 40, "equal": 40, "differing": [],
            "only_in_postgres": [], "only_in_notion": []})
    );
    let second = desk.json(0, &["sync"]).await;
    assert_eq!(
        (&second["run"], &second["quiet"]),
        (&Json::Null, &json!(true)),
        "a second sync writes nothing"
    );
    assert_eq!(desk.json(0, &["report"]).await["run"], report["run"]);
    let runs = desk.json(0, &["runs"]).await;
    let run = &runs["runs"][0];
    assert_eq!((&run["state"], &run["steps"], &run["failed"]), (&json!("done"), &json!(42), &json!(0)));
    let shown = desk.json(0, &["show", &run["id"].to_string()]).await;
    assert_eq!(shown["steps"].as_array().unwrap().len(), 42);
    assert_eq!(shown["steps"][0]["status"], "done");
    assert_eq!(of(&desk.json(0, &["status"]).await, "products")["links"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_edit_one_record() {
    let desk = synced_shop().await;
    let page = page_of(&desk, "suppliers", "1").await;
    edit(&desk, &page, json!({"City": "Berlin"})).await;
    sql(&desk, "UPDATE supplier SET name = 'Acme Ltd' WHERE id = 1").await;
    let report = desk.json(0, &["sync", "suppliers"]).await;
    assert_eq!(of(&report, "suppliers")["to_notion"]["updated"], 1);
    assert_eq!(of(&report, "suppliers")["to_postgres"]["updated"], 1);
    assert_eq!(desk.json(0, &["verify"]).await["equal"], true);

    edit(&desk, &page, json!({"City": "Paris"})).await;
    sql(&desk, "UPDATE supplier SET city = 'Oslo' WHERE id = 1").await;
    let report = desk.json(3, &["sync"]).await;
    assert_eq!(of(&report, "suppliers")["conflicts"], 1);
    let conflict = desk.json(3, &["conflicts"]).await["conflicts"][0].clone();
    assert_eq!((&conflict["mapping"], &conflict["key"]), (&json!("suppliers"), &json!("1")));
    assert_eq!((&conflict["column"], &conflict["property"]), (&json!("city"), &json!("City")));
    assert_eq!(
        (&conflict["base"], &conflict["postgres"], &conflict["notion"]),
        (&json!("Berlin"), &json!("Oslo"), &json!("Paris"))
    );
    assert_eq!(
        desk.json(1, &["verify"]).await["mappings"][0]["differing"][0],
        json!({"key": "1", "column": "city"})
    );
    assert_eq!(of(&desk.json(3, &["status"]).await, "suppliers")["state"], "waiting");
    edit(&desk, &page, json!({"City": "Oslo"})).await;
    desk.json(0, &["sync"]).await;
    assert_eq!(desk.json(0, &["conflicts"]).await, json!({"conflicts": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_notion_cannot_hold_is_parked_and_the_rest_goes_on() {
    let desk = synced_shop().await;
    sql(&desk, "UPDATE supplier SET city = repeat('x', 200001), name = 'Acme 2' WHERE id = 1; UPDATE supplier SET city = 'Bonn' WHERE id = 2").await;
    let report = desk.json(3, &["sync"]).await;
    assert_eq!(of(&report, "suppliers")["to_notion"]["updated"], 2);
    let parked = desk.json(3, &["parked"]).await["parked"][0].clone();
    assert_eq!((&parked["key"], &parked["column"]), (&json!("1"), &json!("city")));
    assert!(parked["limit"].as_str().unwrap().contains("200000"), "{parked}");
    let told = desk.run(&["parked"]).await;
    assert!(told.out.len() < 500, "a long value is shortened: {}", told.out.len());
    sql(&desk, "UPDATE supplier SET city = 'Kiel' WHERE id = 1").await;
    desk.json(0, &["sync"]).await;
    assert_eq!(desk.json(0, &["parked"]).await, json!({"parked": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_is_carried_out_as_it_was_shown_or_not_at_all() {
    let desk = synced_shop().await;
    sql(&desk, "UPDATE supplier SET city = 'Bonn' WHERE id = 1").await;
    let shown = desk.json(0, &["plan", "suppliers", "--out", "plan.json"]).await;
    let text = std::fs::read_to_string(desk.file("plan.json")).unwrap();
    assert_eq!(serde_json::from_str::<Json>(&text).unwrap()["hash"], shown["hash"]);

    std::fs::write(desk.file("mended.json"), text.replace("Bonn", "Rome")).unwrap();
    let changed = desk.fails(2, &["apply", "mended.json"]).await;
    assert!(changed["message"].as_str().unwrap().contains("was changed"), "{changed}");
    assert_eq!(desk.fails(2, &["apply", "nowhere.json"]).await["kind"], "usage");

    sql(&desk, "UPDATE supplier SET city = 'Kiel' WHERE id = 2").await;
    let stale = desk.fails(3, &["apply", "plan.json"]).await;
    assert_eq!((&stale["kind"], &stale["kept"]), (&json!("stale_plan"), &shown["hash"]));
    assert_eq!(desk.json(0, &["runs"]).await["runs"].as_array().unwrap().len(), 1, "nothing was written");

    desk.json(0, &["plan", "suppliers", "--out", "plan.json"]).await;
    let applied = desk.json(0, &["apply", "plan.json"]).await;
    assert_eq!(of(&applied, "suppliers")["to_notion"]["updated"], 2);
    assert_eq!(desk.fails(3, &["apply", "plan.json"]).await["kind"], "stale_plan");
    assert_eq!(desk.json(0, &["verify"]).await["equal"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_guard_is_let_past_by_its_hash_alone() {
    let desk = synced_shop().await;
    sql(&desk, "DELETE FROM product WHERE id > 10").await;
    let stopped = desk.fails(3, &["sync"]).await;
    assert_eq!((&stopped["kind"], &stopped["code"]), (&json!("guard"), &json!("mass_deletion")));
    assert_eq!((&stopped["refusals"][0]["seen"], &stopped["refusals"][0]["limit"]), (&json!(30), &json!(10)));
    let plan = desk.json(3, &["plan"]).await;
    let name = &of(&plan, "products")["refusals"][0]["override"];
    assert_eq!(&stopped["override"], name, "what stops and what is shown has one name");
    assert_eq!(desk.fails(3, &["sync", "--override", &"0".repeat(32)]).await["kind"], "guard");
    assert_eq!(desk.fails(2, &["sync", "--override", "x"]).await["kind"], "usage");
    assert_eq!(of(&desk.json(1, &["verify"]).await, "products")["pages"], 40, "nothing was written");
    let report = desk.json(0, &["sync", "--override", stopped["override"].as_str().unwrap()]).await;
    assert_eq!(of(&report, "products")["to_notion"]["trashed"], 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_taken_up_at_once_and_leaves_no_double() {
    let desk = shop().await;
    // The first two pages are made, and their answers do not come before the kill.
    let slow = json!({"endpoint": "POST /v1/pages", "fate": "applied", "answer": "slow", "delay_ms": 600_000, "times": 2});
    desk.workspace.control("POST", "faults", slow).await;
    let suppliers = source_of(&desk, "suppliers");
    let query = format!("/v1/data_sources/{suppliers}/query");
    let mut running = desk.command(&["sync"]).spawn().unwrap();
    eventually("both pages are made", Duration::from_secs(60), async || {
        desk.workspace.api("POST", &query, json!({})).await["results"].as_array().unwrap().len() == 2
    })
    .await;
    running.kill().await.unwrap();
    let ran = desk.run(&["sync", "--json"]).await;
    assert_eq!(ran.code, 0, "the lease of the dead is taken over: {ran:?}");
    let verdict = desk.json(0, &["verify"]).await;
    for mapping in ["suppliers", "products"] {
        let part = of(&verdict, mapping);
        assert_eq!(part["rows"], part["pages"], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_are_refused_at_their_line() {
    let desk = synced_shop().await;
    let good = std::fs::read_to_string(desk.file("pagerow.toml")).unwrap();
    let line_of = |text: &str, part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    for (what, from, to, code, suggestion) in [
        ("a key", "table = \"public.supplier\"", "tabel = \"public.supplier\"", "unknown_key", Some("table")),
        ("a table", "\"public.supplier\"", "\"public.suplier\"", "no_such_table", Some("public.supplier")),
        ("a column", "city = \"City\"", "citty = \"City\"", "no_such_column", Some("city")),
        ("a property", "rating = \"Rating\"", "rating = \"Ratings\"", "no_such_property", Some("Rating")),
        ("one property twice", "rating = \"Rating\"", "rating = \"City\"", "property_twice", None),
        ("no key", "\"public.product\"", "\"public.keyless\"", "no_key", None),
        (
            "an unmapped relation",
            "relation = \"suppliers\"",
            "relation = \"supliers\"",
            "no_such_mapping",
            Some("suppliers"),
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{what}");
        std::fs::write(desk.file("pagerow.toml"), &bad).unwrap();
        for command in [["sync"], ["plan"]] {
            let error = desk.fails(2, &command).await;
            let told = error["errors"].as_array().unwrap().iter().find(|one| one["code"] == code);
            let told = told.unwrap_or_else(|| panic!("{what}: {error}"));
            assert_eq!(told["kind"], "configuration", "{what}");
            assert_eq!(told["line"], line_of(&bad, to), "{what}: {told}");
            assert!(told["file"].as_str().unwrap().ends_with("pagerow.toml"), "{told}");
            assert!(told["key"].as_str().unwrap().starts_with("mapping."), "{told}");
            assert_eq!(told["suggestion"].as_str(), suggestion, "{what}: {told}");
        }
    }
    std::fs::write(desk.file("pagerow.toml"), &good).unwrap();
    let unknown = desk.fails(2, &["plan", "supplier"]).await;
    assert_eq!((&unknown["kind"], &unknown["suggestion"]), (&json!("usage"), &json!("suppliers")));
    assert_eq!(desk.fails(2, &["show", "99"]).await["kind"], "usage");
    assert_eq!(desk.fails(2, &["plan", "--nonsense"]).await["kind"], "usage");
    assert_eq!(desk.fails(2, &["plan", "--config", "nowhere.toml"]).await["code"], "no_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_cannot_be_reached_or_used_is_named_with_a_remedy() {
    let mut desk = synced_shop().await;
    let good = desk.environment.clone();
    let url = desk.database.url.clone();
    let wrong_password = {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (login, place) = rest.split_once('@').unwrap();
        format!("{scheme}://{}:wrong-secret@{place}", login.split(':').next().unwrap())
    };
    let no_database = url.replace(&desk.database.name, "nowhere_to_be_found");
    for (variable, value, exit, kind, code) in [
        ("DATABASE_URL", wrong_password.as_str(), 2, "postgres", "wrong_password"),
        ("DATABASE_URL", no_database.as_str(), 2, "postgres", "no_database"),
        ("DATABASE_URL", "postgres://somebody@127.0.0.1:1/x", 1, "postgres", "no_server"),
        ("DATABASE_URL", "mysql://x", 2, "postgres", "connection_string"),
        ("NOTION_API_KEY", "ntn_wrongsecret", 2, "notion", "wrong_token"),
    ] {
        desk.set(variable, value);
        let error = desk.fails(exit, &["sync"]).await;
        assert_eq!((error["kind"].as_str(), error["code"].as_str()), (Some(kind), Some(code)), "{error}");
        assert!(error["advice"].is_string() && error["key"].is_string(), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        let told = desk.run(&["doctor"]).await;
        assert_eq!(told.code, 2, "{told:?}");
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
        desk.environment.clone_from(&good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_source_that_cannot_be_used_is_named_at_its_line() {
    let desk = synced_shop().await;
    let good = std::fs::read_to_string(desk.file("pagerow.toml")).unwrap();
    let id = source_of(&desk, "suppliers");
    let source = desk.workspace.api("GET", &format!("/v1/data_sources/{id}"), Json::Null).await;
    let database = source["parent"]["database_id"].as_str().unwrap().to_owned();

    // The only data source of a database is what is meant by the database.
    std::fs::write(desk.file("pagerow.toml"), good.replace(&id, &database)).unwrap();
    assert_eq!(desk.json(0, &["plan"]).await["calls"], 0);

    let more = json!({"parent": {"type": "database_id", "database_id": database}, "properties": {"Name": {"title": {}}},
        "title": [{"text": {"content": "Other"}}]});
    desk.workspace.api("POST", "/v1/data_sources", more).await;
    // It was bound before: this mapping waits, and what leads to it; the rest flows.
    let several = desk.json(3, &["plan"]).await;
    assert_eq!(several["paused"][0]["code"], "several_data_sources", "{several}");
    assert!(several["paused"][0]["advice"].as_str().unwrap().contains(&id), "{several}");
    // What was never bound in these words is a mistake in the file, at its line.
    let other = good.replace(&id, &database).replace("\"public.supplier\"", "\"supplier\"");
    std::fs::write(desk.file("pagerow.toml"), other).unwrap();
    let several = desk.fails(2, &["plan"]).await;
    assert_eq!(several["code"], "several_data_sources", "{several}");
    assert!(several["line"].is_u64(), "{several}");

    let nobodys = "00000000-0000-4000-8000-000000000000";
    std::fs::write(desk.file("pagerow.toml"), good.replace(&id, nobodys)).unwrap();
    assert_eq!(desk.fails(2, &["plan"]).await["code"], "not_shared");

    std::fs::write(desk.file("pagerow.toml"), &good).unwrap();
    let tokens = format!("tokens/{}", desk.workspace.emulator.token());
    desk.workspace.control("PATCH", &tokens, json!({"capabilities": {"read_content": false}})).await;
    let lacking = desk.fails(2, &["plan"]).await;
    assert_eq!(lacking["code"], "missing_capability", "{lacking}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_emulator_says_where_it_is_and_stops_when_asked() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pagerow"));
    command.args(["emulator", "--listen", "127.0.0.1:0", "--json"]).current_dir(folder.path());
    let mut running = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let ready: Json = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let me = reqwest::Client::new()
        .get(format!("{}/v1/users/me", ready["base_url"].as_str().unwrap()))
        .bearer_auth(ready["token"].as_str().unwrap())
        .header("notion-version", "2026-03-11")
        .send()
        .await
        .unwrap();
    assert!(me.status().is_success());
    assert!(ready["parent_page_id"].is_string());
    let pid = rustix::process::Pid::from_raw(running.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(running.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_and_taken_back_by_command() {
    let desk = synced_shop().await;
    sql(&desk, "UPDATE supplier SET city = 'Berlin' WHERE id = 1").await;
    let run = desk.json(0, &["sync"]).await["run"].clone();
    let number = run.to_string();

    // Nobody confirms, nothing is known of that run, or the number is none.
    assert_eq!(desk.fails(2, &["undo", &number]).await["key"], "--yes");
    let unknown = desk.fails(2, &["undo", "4711", "--yes"]).await;
    assert_eq!((&unknown["code"], &unknown["key"]), (&json!("no_such_run"), &json!("RUN")));
    desk.fails(2, &["undo", "latest"]).await;

    let shown = desk.json(0, &["undo", &number, "--dry-run"]).await;
    let step = &shown["plan"]["mappings"][0]["steps"][0];
    assert_eq!(
        (&step["side"], &step["action"], &step["because"]),
        (&json!("notion"), &json!("update"), &json!("undone"))
    );
    assert_eq!(step["fields"]["city"]["before"], "Berlin");
    assert_eq!((&shown["left"], &shown["report"]), (&json!([]), &Json::Null));
    assert_eq!(of(&desk.json(0, &["plan"]).await, "suppliers")["steps"], json!([]), "nothing was written");

    let undone = desk.json(0, &["undo", &number, "--yes"]).await;
    let by = undone["report"]["run"].clone();
    assert_eq!((&undone["undoes"], &undone["report"]["quiet"]), (&run, &json!(true)));
    let again = desk.fails(2, &["undo", &number, "--yes"]).await;
    assert_eq!((&again["code"], &again["by"]), (&json!("already_undone"), &by));
    assert_eq!(desk.json(0, &["sync"]).await["run"], Json::Null, "what was taken back is quiet");

    let runs = desk.json(0, &["runs", "--mapping", "suppliers", "--by", "undo"]).await;
    assert_eq!((&runs["runs"][0]["id"], &runs["runs"][0]["origin"]), (&by, &json!(format!("undo {number}"))));
    let runs = desk.json(0, &["runs", "--limit", "1", "--before", &by.to_string()]).await;
    assert_eq!((&runs["runs"][0]["id"], &runs["runs"][0]["undone_by"]), (&run, &by));
    assert!(!runs["runs"][0]["who"].as_str().unwrap().is_empty());

    let history = desk.json(0, &["history", "suppliers", "1"]).await;
    let told: Vec<&Json> = history["steps"].as_array().unwrap().iter().map(|step| &step["run"]).collect();
    assert_eq!((told[0], told[1], told.len()), (&by, &run, 3));
    let page = history["steps"][0]["page_id"].as_str().unwrap();
    assert_eq!(desk.json(0, &["history", "suppliers", page]).await["steps"], history["steps"]);

    let verdict = desk.json(0, &["audit", "--verify"]).await;
    assert_eq!((&verdict["verified"], &verdict["broken"]), (&json!(true), &Json::Null));
    let last = desk.json(0, &["audit", "--limit", "1"]).await;
    assert_eq!(
        (&last["audit"][0]["action"], &last["audit"][0]["about"]),
        (&json!("undo"), &json!(format!("run {number}")))
    );
    assert_eq!(last["audit"][0]["hash"], verdict["head"]["hash"]);
    sql(&desk, "ALTER TABLE pagerow.audit DISABLE TRIGGER USER; UPDATE pagerow.audit SET entry = entry || ' ' WHERE seq = 2").await;
    assert_eq!(desk.json(1, &["audit", "--verify"]).await["broken"]["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_into_the_database_is_told_and_taken_away() {
    let mut desk = Desk::with(SHOP).await;
    desk.configure(MAPPINGS);
    desk.json(0, &["schema", "apply", "--yes"]).await;
    let well = desk.run(&["doctor"]).await;
    assert!(well.out.contains("triggers name the rows that change"), "{well:?}");
    desk.json(0, &["sync"]).await;
    assert_eq!(desk.json(0, &["status"]).await["mappings"][0]["capture"], "triggers");

    // Without the triggers everything goes on, and is told.
    sql(&desk, "ALTER TABLE supplier DISABLE TRIGGER USER; UPDATE supplier SET city = 'Unseen' WHERE id = 1")
        .await;
    let told = desk.run(&["sync"]).await;
    assert!(told.code == 0 && told.err.contains("switched off"), "{told:?}");
    let still = desk.json(0, &["sync"]).await;
    assert_eq!(still["quiet"], true);
    assert_eq!(desk.json(0, &["verify"]).await["equal"], true);
    assert_eq!(desk.json(0, &["status"]).await["mappings"][0]["capture"], "scan");
    let noted = desk.run(&["doctor"]).await;
    assert!(noted.code == 0 && noted.out.contains("`pagerow schema apply` installs them"), "{noted:?}");
    desk.json(0, &["schema", "apply", "--yes"]).await;

    // A role that may not put triggers on a table is told what would let it, and goes on without.
    let user = "captured_by_nobody";
    sql(
        &desk,
        &format!(
            "DO $$ BEGIN CREATE ROLE {user} LOGIN PASSWORD 'pw'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
             DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {user}', current_database()); END $$;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
        ),
    )
    .await;
    let own = desk.environment.clone();
    let (_, rest) = desk.database.url.split_once('@').unwrap();
    let url = format!("postgres://{user}:pw@{rest}");
    desk.set("DATABASE_URL", &url);
    desk.set("PAGEROW__POSTGRES__SCHEMA", "pagerow_other");
    let refused = desk.json(3, &["schema", "plan"]).await;
    let advice = refused["missing"][0]["advice"].as_str().unwrap();
    assert!(advice.starts_with("GRANT TRIGGER ON \"public\".\"supplier\" TO"), "{refused}");
    assert_eq!(refused["changes"], json!([]));
    sql(&desk, &format!("GRANT TRIGGER ON ALL TABLES IN SCHEMA public TO {user}")).await;
    desk.json(0, &["schema", "apply", "--yes"]).await;
    assert_eq!(desk.json(0, &["schema", "plan"]).await["changes"], json!([]));
    assert_eq!(desk.json(0, &["schema", "remove", "--yes"]).await["removed"], true);
    desk.environment = own;

    let asked = desk.fails(2, &["schema", "remove"]).await;
    assert_eq!(asked["key"], "--yes");
    let shown = desk.json(0, &["schema", "remove", "--dry-run"]).await;
    assert_eq!(shown["removed"], false);
    assert!(shown["goes"][0].as_str().unwrap().contains("4 triggers on"), "{shown}");
    sql(&desk, "UPDATE pagerow.leases SET holder = 'another', expires_at = now() + interval '1 minute'")
        .await;
    let busy = desk.fails(2, &["schema", "remove", "--yes"]).await;
    assert!(busy["message"].as_str().unwrap().contains("at work"), "{busy}");
    sql(&desk, "UPDATE pagerow.leases SET expires_at = now() - interval '1 minute'").await;
    assert_eq!(desk.json(0, &["schema", "remove", "--yes"]).await["removed"], true);
    let nothing = desk.json(0, &["schema", "remove", "--yes"]).await;
    assert_eq!((&nothing["removed"], &nothing["goes"]), (&json!(false), &json!([])));
    sql(&desk, "UPDATE supplier SET city = 'Free' WHERE id = 1").await;
    // It can all begin anew: rows and pages find each other by their keys.
    let again = desk.json(3, &["sync"]).await;
    let suppliers = of(&again, "suppliers");
    assert_eq!(
        (&suppliers["to_notion"]["created"], &suppliers["conflicts"]),
        (&json!(0), &json!(1)),
        "{again}"
    );
}
