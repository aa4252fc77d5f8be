//! Does a development server start, keep its data, survive a kill and leave nothing behind?

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pagerow::devpg::{DevOptions, DevPostgres, DevPostgresError};

use crate::support::postgres::{TestDatabase, eventually, plain_client};

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let sql = "CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2)";
    let (left, right) = tokio::join!(TestDatabase::with(sql), TestDatabase::with(sql));
    assert_ne!(left.name, right.name);
    left.client().await.batch_execute("DELETE FROM item").await.unwrap();
    let rows = right.client().await.query_one("SELECT count(*) FROM item", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_temporary_server_leaves_no_folder_behind() {
    let server = DevPostgres::start(DevOptions::default()).await.unwrap();
    let client = plain_client(&server.url("postgres")).await;
    let folder: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    assert!(Path::new(&folder).exists());
    server.stop().unwrap();
    assert!(!Path::new(&folder).parent().unwrap().exists());
}

#[tokio::test]
async fn a_kept_folder_keeps_data_port_and_password() {
    let folder = reachable_folder();
    let options = DevOptions { folder: Some(folder.path().join("server")), ..DevOptions::default() };
    let server = DevPostgres::start(options.clone()).await.unwrap();
    server.create_database("shop").await.unwrap();
    server.create_database("shop").await.unwrap();
    let url = server.url("shop");
    plain_client(&url).await.batch_execute("CREATE TABLE item AS SELECT 7 AS id").await.unwrap();
    assert!(matches!(
        DevPostgres::start(options.clone()).await,
        Err(DevPostgresError::InUse { process: Some(_), .. })
    ));
    server.stop().unwrap();

    let again = DevPostgres::start(options).await.unwrap();
    assert_eq!(again.url("shop"), url);
    let row = plain_client(&url).await.query_one("SELECT id FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn strangers_need_the_password() {
    let server = DevPostgres::start(DevOptions::default()).await.unwrap();
    let wrong = server.url_for("postgres", "guess", "postgres");
    let error = tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28P01");
}

#[tokio::test]
async fn a_setting_that_the_server_refuses_is_told_with_its_words() {
    let settings = vec![("shared_buffers".to_owned(), "little".to_owned())];
    let error = DevPostgres::start(DevOptions { settings, ..DevOptions::default() }).await.unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");
}

#[tokio::test]
async fn data_of_another_version_are_refused_and_kept() {
    let folder = reachable_folder();
    let options = DevOptions { folder: Some(folder.path().to_owned()), ..DevOptions::default() };
    DevPostgres::start(options.clone()).await.unwrap().stop().unwrap();
    std::fs::write(folder.path().join("data/PG_VERSION"), "12\n").unwrap();
    // As root a missing version would be installed; nobody packages this one, so the answer is the same.
    let error = DevPostgres::start(options).await.unwrap_err();
    assert!(
        matches!(&error, DevPostgresError::OtherVersion { made_by: 12, folder: said, .. } if said.ends_with(folder.path().file_name().unwrap())),
        "{error}"
    );
    assert!(folder.path().join("data/pg_wal").exists());
}

/// The test below starts this test program a second time, for nothing but this; it is killed.
#[test]
#[ignore = "is started by the test that kills it"]
fn holder_of_a_server() {
    let folder = std::env::var_os("PAGEROW_TEST_FOLDER").map(PathBuf::from);
    let server = DevPostgres::start_blocking(&DevOptions { folder, ..DevOptions::default() }).unwrap();
    println!("url {}", server.url("postgres"));
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn a_killed_holder_takes_its_server_and_temporary_folder_along() {
    let (mut holder, url) = hold(None);
    let client = plain_client(&url).await;
    let data: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let pid = server_process(Path::new(&data));
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the folder is gone", Duration::from_secs(20), async || {
        !Path::new(&data).parent().unwrap().exists()
    })
    .await;
    assert!(!process_exists(pid));
}

#[tokio::test]
async fn a_folder_is_served_again_right_after_its_holder_was_killed() {
    let folder = reachable_folder();
    let (mut holder, url) = hold(Some(folder.path()));
    plain_client(&url).await.batch_execute("CREATE TABLE item AS SELECT 7 AS id").await.unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let options = DevOptions { folder: Some(folder.path().to_owned()), ..DevOptions::default() };
    let server = DevPostgres::start(options).await.unwrap();
    let row =
        plain_client(&server.url("postgres")).await.query_one("SELECT id FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_killed_server_is_repaired_at_the_next_start() {
    let folder = reachable_folder();
    let options =
        DevOptions { folder: Some(folder.path().to_owned()), durable: true, ..DevOptions::default() };
    let server = DevPostgres::start(options.clone()).await.unwrap();
    let client = plain_client(&server.url("postgres")).await;
    client.batch_execute("CREATE TABLE item AS SELECT 7 AS id").await.unwrap();
    let pid = server_process(&folder.path().join("data"));
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    eventually("the server is gone", Duration::from_secs(20), async || !process_exists(pid)).await;
    drop(server);
    assert!(folder.path().join("data/postmaster.pid").exists(), "a killed server leaves its file behind");
    let server = DevPostgres::start(options).await.unwrap();
    let row =
        plain_client(&server.url("postgres")).await.query_one("SELECT id FROM item", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_long_path_gets_no_socket_but_a_server() {
    let folder = reachable_folder();
    let deep = folder.path().join("a".repeat(60)).join("b".repeat(60));
    let server =
        DevPostgres::start(DevOptions { folder: Some(deep), ..DevOptions::default() }).await.unwrap();
    assert_eq!(server.socket_folder(), None);
    plain_client(&server.url("postgres")).await.batch_execute("SELECT 1").await.unwrap();
}

/// A folder that a server of another user may enter.
fn reachable_folder() -> tempfile::TempDir {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    tempfile::Builder::new().permissions(permissions).tempdir_in("/tmp").unwrap()
}

fn hold(folder: Option<&Path>) -> (std::process::Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["devpg::holder_of_a_server", "--exact", "--ignored", "--nocapture"]);
    if let Some(folder) = folder {
        command.env("PAGEROW_TEST_FOLDER", folder);
    }
    let mut holder = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let url = lines
        .find_map(|line| line.unwrap().strip_prefix("url ").map(str::to_owned))
        .expect("the holder says where its server is");
    (holder, url)
}

fn server_process(data: &Path) -> u32 {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

fn process_exists(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}
