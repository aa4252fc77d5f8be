//! Whether the program says where it is, stops when told, and keeps its state.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value as Json;

fn start(state: &Path) -> (Child, Json) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_notion-emulator"))
        .args(["--listen", "127.0.0.1:0", "--requests-per-minute", "0", "--json", "--state"])
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn stop(mut child: Child) {
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn it_prints_one_line_and_keeps_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let (child, first) = start(&state);
    assert_eq!(
        first.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["base_url", "parent_page_id", "token"]
    );
    let me = reqwest::Client::new()
        .get(format!("{}/v1/users/me", first["base_url"].as_str().unwrap()))
        .bearer_auth(first["token"].as_str().unwrap())
        .header("notion-version", "2026-03-11")
        .send()
        .await
        .unwrap();
    assert_eq!(me.status(), 200);
    stop(child);
    let (child, second) = start(&state);
    assert_eq!((&first["token"], &first["parent_page_id"]), (&second["token"], &second["parent_page_id"]));
    stop(child);
}
