//! Whether Notion's own JavaScript client, newest release, gets along with the emulator.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use notion_emulator::{Emulator, Options};

const AT_LEAST: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_passes_its_tour() {
    let folder = tokio::task::spawn_blocking(install).await.unwrap();
    let emulator =
        Emulator::start(Options { requests_per_minute: None, ..Options::default() }).await.unwrap();
    let arguments = [emulator.base_url(), emulator.token().to_owned(), emulator.parent_page_id().to_owned()];
    let output = tokio::task::spawn_blocking(move || {
        run(Command::new("node").arg("tour.mjs").args(arguments).current_dir(folder), "node")
    })
    .await
    .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout);
    println!("{lines}");
    let figures: serde_json::Value =
        lines.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    assert!(
        output.status.success() && figures["failed"] == 0,
        "the tour failed: {lines}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = figures["passed"].as_u64().unwrap_or(0);
    assert!(passed >= AT_LEAST, "only {passed} checks ran; {AT_LEAST} are expected");
    emulator.stop().await.unwrap();
}

/// Installs the pinned client into a folder of the build directory, once for each lock file.
fn install() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tour");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-tour");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::read_to_string(source.join("package-lock.json")).unwrap();
    let installed = std::fs::read_to_string(folder.join("installed.json")).unwrap_or_default();
    for file in ["package.json", "package-lock.json", "tour.mjs"] {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    if installed != lock || !folder.join("node_modules/@notionhq/client/package.json").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
        let output = run(&mut npm, "npm");
        assert!(
            output.status.success(),
            "`npm ci` could not install @notionhq/client: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::write(folder.join("installed.json"), lock).unwrap();
    }
    folder
}

fn run(command: &mut Command, name: &str) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!(
            "`{name}` cannot be run ({error}): install Node.js 20 or newer with npm to run the client's tour"
        )
    })
}
