//! Whether the house is as its documents say: the picture, the map, first lines, and words that must not be there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// The rows of a table between two comments, as their cells.
fn table(text: &str, name: &str) -> Vec<Vec<String>> {
    let after = text.split(&format!("<!-- tidy:{name} -->")).nth(1).expect("the table's first comment");
    let inside = after.split("<!-- tidy:end -->").next().expect("the table's last comment");
    inside
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// Which modules of the program a module names, by its `use` lines and paths.
fn known_by(source: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let flat: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line.trim(), "\n"])
        .collect();
    let mut known = BTreeSet::new();
    for (at, _) in flat.match_indices("crate::") {
        let rest = &flat[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            // use crate::{a::b, c::{d, e}};
            Some(group) => {
                let mut depth = 1;
                let mut word = String::new();
                for character in group.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ if depth == 1 && (character.is_alphanumeric() || character == '_') => {
                            word.push(character);
                            continue;
                        }
                        _ => {}
                    }
                    if depth <= 1 && !word.is_empty() && modules.contains(&word) {
                        known.insert(std::mem::take(&mut word));
                    }
                    if depth <= 1 && character == ',' {
                        word.clear();
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            None => {
                let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if modules.contains(&word) {
                    known.insert(word);
                }
            }
        }
    }
    known
}

#[test]
fn modules_know_only_whom_the_picture_says() {
    let allowed: BTreeMap<String, BTreeSet<String>> = table(&architecture(), "knows")
        .into_iter()
        .map(|row| {
            (quoted(&row[0]).pop_first().expect("a module's name"), quoted(row.get(1).map_or("", |c| c)))
        })
        .collect();
    let modules: BTreeSet<String> = allowed.keys().cloned().collect();
    let source = root().join("crates/pagerow/src");
    let mut wrong = Vec::new();
    let mut found = BTreeSet::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let first = inside.iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        found.insert(module.clone());
        let Some(may) = allowed.get(&module) else {
            wrong.push(format!("{module} is not in ARCHITECTURE.md's picture"));
            continue;
        };
        for known in known_by(&fs::read_to_string(&file).unwrap(), &modules) {
            if known != module && !may.contains(&known) {
                wrong.push(format!("{} knows {known}", inside.display()));
            }
        }
    }
    for module in modules.difference(&found) {
        wrong.push(format!("{module} is in the picture and not in the tree"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_knows_nobody() {
    let manifest = fs::read_to_string(root().join("crates/pagerow-core/Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split('[').next().unwrap();
    let names: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect();
    let pure = BTreeSet::from([
        "serde",
        "serde_json",
        "jiff",
        "uuid",
        "sha2",
        "thiserror",
        // Titles are compared with these, and expressions evaluated with the last: without a loader it reads nothing.
        "unicode-normalization",
        "deunicode",
        "strsim",
        "minijinja",
    ]);
    assert!(names.is_subset(&pure), "the core depends on {:?}", names.difference(&pure));
}

#[test]
fn the_emulator_shares_nothing_with_its_client() {
    let manifest = fs::read_to_string(root().join("crates/notion-emulator/Cargo.toml")).unwrap();
    assert!(!manifest.contains("pagerow"), "the emulator knows pagerow");
}

#[test]
fn the_map_is_the_tree() {
    let root = root();
    for row in table(&architecture(), "map") {
        for place in quoted(&row[0]) {
            assert!(root.join(&place).is_dir(), "{place} is on the map and not in the tree");
        }
    }
    let mapped: BTreeSet<String> =
        table(&architecture(), "map").iter().flat_map(|row| quoted(&row[0])).collect();
    for entry in fs::read_dir(root.join("crates/pagerow/src")).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            let place = format!("crates/pagerow/src/{}/", entry.file_name().to_string_lossy());
            assert!(mapped.contains(&place), "{place} is in the tree and not on the map");
        }
    }
}

#[test]
fn every_file_says_first_what_it_answers() {
    let root = root();
    let wrong: Vec<_> = ["crates/pagerow-core", "crates/pagerow", "crates/notion-emulator"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//! "))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_clock_reads_the_time() {
    let source = root().join("crates/pagerow/src");
    // The demo's server and pacing measure durations; nobody but the clock asks for the time of day.
    let wrong: Vec<_> = rust_files(&source)
        .into_iter()
        .filter(|file| !file.ends_with("clock.rs"))
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            ["Timestamp::now(", "SystemTime::now(", "Uuid::now_v7(", "Uuid::new_v4(", "Zoned::now("]
                .iter()
                .any(|call| text.contains(call))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
