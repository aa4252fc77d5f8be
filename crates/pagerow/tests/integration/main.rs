//! All integration tests of pagerow, as one program: one thing to link, one Postgres for all of them.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and says on the terminal what it could not check"
)]
#![expect(
    unreachable_pub,
    reason = "nothing of a test program is reachable; `pub` says what its files share"
)]

mod support;

mod catalogue;
mod cli;
mod connect;
mod crash;
mod demo;
mod devpg;
mod drift;
mod examples;
mod faults;
mod marketplace;
mod pages;
mod pooler;
mod recovery;
mod rows;
mod setup;
mod tidy;
mod whole;

/// A file that nobody lists here would be compiled by nobody, and its tests would pass by not running.
#[test]
fn every_file_of_this_folder_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration");
    for (folder, list) in [(folder.clone(), "main.rs"), (folder.join("support"), "mod.rs")] {
        let listed = std::fs::read_to_string(folder.join(list)).unwrap();
        let mut forgotten = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let is_module = path.extension().is_some_and(|extension| extension == "rs") || path.is_dir();
            let declared =
                listed.lines().any(|line| line.trim().trim_start_matches("pub ") == format!("mod {name};"));
            if is_module && path.file_name().unwrap() != list && !declared {
                forgotten.push(name);
            }
        }
        assert!(forgotten.is_empty(), "{} does not list {forgotten:?}", folder.join(list).display());
    }
}
