//! A database that crashes, fills up, refuses writes, or is held by its users: the run goes on or stops with a clear word,
//! and the next sync finds everything.

use std::{path::Path, process::Command, time::Duration};

use pagerow::devpg::{DevOptions, DevPostgres};
use serde_json::json;

use super::{at_rest, fails, pagerow, sync, world};
use crate::support::{
    postgres::{eventually, plain_client, server},
    program,
    world::{World, part},
};

const TABLE: &str = "
CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text);
INSERT INTO items SELECT n, 'Item ' || n, 'old' FROM generate_series(1, 20) n;
";

const MAPPING: &str = "
[mapping.items]
table = \"items\"
data_source = \"create\"
[mapping.items.fields]
name = { property = \"Name\", as = \"title\" }
note = \"Note\"
";

/// Somebody edits every page.
async fn edit_pages(world: &World, note: &str) {
    for page in world.pages(&world.source("Items").await).await {
        let path = format!("pages/{}", page["id"].as_str().unwrap());
        world.control("PATCH", &path, &json!({ "properties": { "Note": note } })).await;
    }
}

async fn rows_with(world: &World, note: &str) -> i64 {
    world.count(&format!("items WHERE note = '{note}'")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_any_kind_costs_its_own_record_some_time() {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    world
        .sql(
            "CREATE TABLE mood (state text); INSERT INTO mood VALUES ('00000');
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE state text := (SELECT mood.state FROM mood);
             BEGIN
                 IF state <> '00000' THEN RAISE EXCEPTION 'no' USING ERRCODE = state; END IF;
                 RETURN NEW;
             END$$;
             CREATE TRIGGER refuse BEFORE UPDATE ON items FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION refuse()",
        )
        .await;
    for (state, says) in [
        ("40001", "it collided with another transaction"),
        ("40P01", "it collided with another transaction"),
        ("55P03", "another transaction holds what it needs"),
        ("57014", "it took longer than statement_timeout allows"),
        ("P0001", "a trigger or function of the database refused it"),
        ("23514", "it breaks a rule of its table or type"),
        ("22003", "a number is out of range for its column"),
        ("XX000", "Postgres refused a statement with SQLSTATE XX000"),
    ] {
        world.sql(&format!("UPDATE mood SET state = '{state}'")).await;
        edit_pages(&world, state).await;
        let report = world.try_sync().await.unwrap();
        assert_eq!(rows_with(&world, state).await, 19, "{state}: the others go on");
        assert_eq!(part(&report, "items").parked, 1, "{state}: {report:?}");
        let parked = world.parked().await;
        assert_eq!((parked[0].reason.code.as_str(), parked[0].reason.text.as_str()), (state, says));
        // On a screen.
        let shown = pagerow(&world, &["parked"]).await;
        assert!(shown.stdout.contains(says), "{}", shown.stdout);

        world.sql("UPDATE mood SET state = '00000'; UPDATE pagerow.parked SET next_try = now()").await;
        let report = world.sync().await;
        assert!(!report.needs_decision(), "{state}: {report:?}");
        assert_eq!(rows_with(&world, state).await, 20, "{state}");
    }
    at_rest(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collision_that_passes_is_not_even_noticed() {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    world
        .sql(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') = 1 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF;
                 RETURN NEW;
             END$$;
             CREATE TRIGGER collide BEFORE UPDATE ON items FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION collide()",
        )
        .await;
    edit_pages(&world, "new").await;
    let report = world.sync().await;
    assert!(!report.needs_decision(), "{report:?}");
    at_rest(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_user_holds_wait_and_hold_nobody_up() {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    edit_pages(&world, "new").await;
    let user = world.client().await;
    user.batch_execute("BEGIN; UPDATE items SET name = name WHERE id IN (3, 4)").await.unwrap();
    let began = std::time::Instant::now();
    let answer = pagerow(&world, &["sync", "--json"]).await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(matches!(answer.code, 1 | 3), "{}{}", answer.stdout, answer.stderr);
    assert_eq!(rows_with(&world, "new").await, 18, "the others go on");
    user.batch_execute("COMMIT").await.unwrap();
    world.sql("UPDATE pagerow.parked SET next_try = now()").await;
    sync(&world).await;
    assert_eq!(rows_with(&world, "new").await, 20);
    at_rest(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_and_a_timeout_stop_the_run_in_words() {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    edit_pages(&world, "new").await;
    let user = world.client().await;
    user.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = fails(&world, 1, "postgres", "timeout").await;
    assert!(error["message"].as_str().unwrap().contains("a lock that somebody else holds"), "{error:#}");
    user.batch_execute("ROLLBACK").await.unwrap();

    // The role's own limit is for the application's statements; the program sets its own.
    let database = world.row("SELECT current_database() AS name").await["name"].as_str().unwrap().to_owned();
    world.sql(&format!("ALTER DATABASE {database} SET statement_timeout = '250ms'; ALTER DATABASE {database} SET lock_timeout = '1ms'")).await;
    let limited = pagerow(&world, &["sync", "--json"]).await;
    let user = plain_client(&world.database.url).await;
    user.batch_execute(&format!("SET statement_timeout = 0; ALTER DATABASE {database} RESET ALL"))
        .await
        .unwrap();
    assert_eq!(limited.code, 0, "{}{}", limited.stdout, limited.stderr);
    assert_eq!(rows_with(&world, "new").await, 20);
    at_rest(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_writes_is_said_to_do_so_before_anything_is_sent() {
    let world = world(TABLE, MAPPING).await;
    world.sync().await;
    world.sql("UPDATE items SET note = 'new'").await;
    let database = world.row("SELECT current_database() AS name").await["name"].as_str().unwrap().to_owned();
    world.sql(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on")).await;
    // It goes for connections that begin from here on.
    world.poolers_hang_up().await;
    world.calls().await;
    let error = fails(&world, 2, "postgres", "read_only").await;
    assert!(error["message"].as_str().unwrap().contains("read only"), "{error:#}");
    let calls = world.calls().await;
    assert!(!calls.keys().any(|call| call.starts_with("PATCH")), "{calls:?}");
    let user = world.client().await;
    user.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    user.batch_execute(&format!("ALTER DATABASE {database} RESET ALL")).await.unwrap();
    world.poolers_hang_up().await;
    sync(&world).await;
    at_rest(&world, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_server_costs_a_run_and_nothing_else() {
    const ROWS: u64 = 1_200;
    let rows = format!(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text);
         INSERT INTO items SELECT n, 'Item ' || n, 'old' FROM generate_series(1, {ROWS}) n"
    );
    let world = world(&rows, MAPPING).await;
    let folder = tempfile::Builder::new().prefix("pagerow-crash").tempdir_in("/tmp").unwrap();
    // What was committed must be there after a crash.
    let options =
        DevOptions { folder: Some(folder.path().join("data")), durable: true, ..DevOptions::default() };
    let mut running = DevPostgres::start(options.clone()).await.unwrap();
    running.create_database("shop").await.unwrap();
    plain_client(&running.url("shop")).await.batch_execute(&rows).await.unwrap();
    let reach = |server: &DevPostgres| {
        world.reach_database_at(&server.url("shop"));
        world.set("PAGEROW__NOTION__DOUBT", super::DOUBT);
    };
    reach(&running);
    world
        .fault(json!({ "endpoint": "POST /v1/pages", "fate": "applied", "answer": "slow", "delay_ms": 60 }))
        .await;
    let calls = async || world.control("GET", "counters", &json!(null)).await["total"].as_u64().unwrap();
    for _ in 0..3 {
        let target = calls().await + 70;
        let sync = tokio::spawn(program::run(program::with_config(&["sync", "--json"], &world.file())));
        eventually("it works, or ends", Duration::from_secs(60), async || {
            sync.is_finished() || calls().await >= target
        })
        .await;
        assert!(!sync.is_finished(), "it ended too early: {}", sync.await.unwrap().stderr);
        crash(&running);
        let ended = sync.await.unwrap();
        assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
        let says =
            ["the connection to the Postgres server", "no Postgres server answers", "takes no connections"];
        assert!(says.iter().any(|words| ended.stderr.contains(words)), "{}", ended.stderr);
        tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
        running = DevPostgres::start(options.clone()).await.unwrap();
        reach(&running);
    }
    world.no_faults().await;
    sync(&world).await;
    let client = plain_client(&running.url("shop")).await;
    let count = async |from: &str| -> i64 {
        client.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await.unwrap().get(0)
    };
    assert_eq!(count("pagerow.links").await, ROWS as i64);
    assert_eq!(count("pagerow.steps WHERE status IN ('intended', 'unknown')").await, 0);
    assert_eq!(world.pages(&world.source("Items").await).await.len() as u64, ROWS);
    assert_eq!(world.equal().await, ROWS);
    world.nothing_left().await;
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

/// The server ends as it does in a crash: nobody is told, nothing is written out.
fn crash(server: &DevPostgres) {
    let file = std::fs::read_to_string(server.folder().join("data/postmaster.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(file.lines().next().unwrap().trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
}

/// A file system of its own for a tablespace; it goes with this value.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, and a word on the terminal, where none can be made.
    fn new(megabytes: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("pagerow-disk").tempdir_in("/tmp").unwrap();
        let size = format!("size={megabytes}m");
        let made =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("NOT CHECKED: a full disk, since no small file system can be mounted here");
            return None;
        }
        let disk = Self { folder };
        let owner = std::fs::metadata(server().folder().join("data")).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&owner);
        std::os::unix::fs::chown(disk.path(), Some(owner), None).unwrap();
        std::fs::set_permissions(disk.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Some(disk)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server has let go of it by then; a lazy unmount takes care of what it has not.
        drop(Command::new("umount").arg("-l").arg(self.folder.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_writing_to_notion_first() {
    const ROWS: u64 = 3_000;
    let Some(disk) = SmallDisk::new(64) else { return };
    let world = world(
        &format!(
            "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, note text);
             INSERT INTO items SELECT n, 'Item ' || n, repeat('words ', 100) FROM generate_series(1, {ROWS}) n"
        ),
        MAPPING,
    )
    .await;
    let client = world.client().await;
    let space = format!("small_{}", std::process::id());
    client
        .batch_execute(&format!("CREATE TABLESPACE {space} LOCATION '{}'", disk.path().display()))
        .await
        .unwrap();
    // pagerow's own tables are on the small disk, of which somebody's table takes most.
    let database = world.row("SELECT current_database() AS name").await["name"].as_str().unwrap().to_owned();
    client
        .batch_execute(&format!("ALTER DATABASE {database} SET default_tablespace = {space}"))
        .await
        .unwrap();
    let own = "SELECT coalesce(string_agg(format('ALTER %s %I.%I SET TABLESPACE ', kind, schemaname, name), chr(10)), '') FROM ( \
               SELECT 'TABLE' AS kind, schemaname, tablename AS name FROM pg_tables WHERE schemaname = 'pagerow' \
               UNION ALL SELECT 'INDEX', schemaname, indexname FROM pg_indexes WHERE schemaname = 'pagerow') own";
    let moves: String = client.query_one(own, &[]).await.unwrap().get(0);
    for statement in moves.lines() {
        client.batch_execute(&format!("{statement}{space}")).await.unwrap();
    }
    client
        .batch_execute(&format!(
            "CREATE TABLE filler (t text) TABLESPACE {space}; ALTER TABLE filler ALTER t SET STORAGE PLAIN;
             INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1, 7600)"
        ))
        .await
        .unwrap();

    let error = fails(&world, 1, "postgres", "refused").await;
    assert_eq!(error["sqlstate"], "53100", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("run out of space"), "{error:#}");
    let source = world.source("Items").await;
    let made = world.pages(&source).await.len() as i64;
    // Nothing was sent whose intent could not be written down.
    let known = world.count("pagerow.steps WHERE action = 'create'").await;
    assert!(made <= known && made < ROWS as i64, "{made} pages, {known} intents");

    client.batch_execute("DROP TABLE filler").await.unwrap();
    sync(&world).await;
    at_rest(&world, ROWS).await;
    drop(client);
    let url = server().url("postgres");
    drop(world);
    let client = plain_client(&url).await;
    client.batch_execute(&format!("DROP TABLESPACE {space}")).await.unwrap();
}
