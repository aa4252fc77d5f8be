//! Which decoders there are, what each is fed with, and how the feeding goes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    answers,
    mutate::{Rng, mutated},
    texts,
};

/// One decoder and its law.
struct Target {
    name: &'static str,
    /// The folder of its first inputs.
    corpus: &'static str,
    /// What else to mix in.
    words: &'static [&'static str],
    /// Panics when the law is broken.
    law: fn(&[u8]),
}

const JSON: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e400",
    "1e-400",
    "9007199254740993",
    "\"\\ud83d\"",
    "\"\\u0000\"",
    "\"type\":",
    "\"id\":",
    "\"object\":",
    "\"results\":",
    "\"has_more\":true",
    "\"next_cursor\":\"x\"",
    "[[[[[[[[",
    "\"\":",
    "\"rich_text\"",
    "\"number\"",
    "\"relation\"",
    "\"date\"",
    "\"2026-02-30\"",
    "\"10000-01-01\"",
    "\"😀\"",
    ",",
    "]",
    "}",
];
const TOML: &[&str] = &[
    "[mapping.x]\n",
    "[mapping.x.fields]\n",
    "= \"env:X\"",
    "= true",
    "= 1e999",
    "= [",
    "\"\"\"",
    "'''",
    "{ property = \"P\", as = \"body\" }",
    "= 2026-01-01",
    "\u{0}",
    "\u{feff}",
    "\"%\"",
    "9999999999999999999999d",
    "fields.",
    "\r\n",
    "😀",
];
const ADDRESS: &[&str] = &[
    "@",
    ":",
    "/",
    "?",
    "%",
    "%00",
    "%zz",
    "[::1]",
    "sslmode=verify-full",
    "host=",
    "'",
    "\\",
    " ",
    "=",
    "postgres://",
    "\u{0}",
    "😀",
    "&",
];
const MARKDOWN: &[&str] = &[
    "**",
    "*",
    "_",
    "__",
    "~~",
    "`",
    "``",
    "[",
    "](",
    ")",
    "<b>",
    "</b>",
    "<u>",
    "</u>",
    "<span color=\"red\">",
    "</span>",
    "$`",
    "`$",
    "<mention-user url=\"user://u\">",
    "</mention-user>",
    "<mention json=\"{}\">",
    "</mention>",
    "\\",
    "<equation>",
    "</equation>",
    " ",
    "\n",
    "😀",
    "&quot;",
    "<mention-date start=\"2026-01-01\">",
    "</mention-date>",
    "\u{301}",
];

const TARGETS: &[Target] = &[
    Target { name: "answer", corpus: "answer", words: JSON, law: answers::an_answer_is_judged },
    Target { name: "page", corpus: "answer", words: JSON, law: answers::a_page_is_read_and_written },
    Target {
        name: "property item",
        corpus: "answer",
        words: JSON,
        law: answers::pieces_become_a_value_or_none,
    },
    Target { name: "schema", corpus: "answer", words: JSON, law: answers::a_schema_is_read },
    Target {
        name: "stored record",
        corpus: "stored",
        words: JSON,
        law: texts::a_stored_record_is_read_or_unknown,
    },
    Target {
        name: "plan file",
        corpus: "plan",
        words: JSON,
        law: texts::a_plan_is_what_was_written_or_refused,
    },
    Target {
        name: "configuration",
        corpus: "config",
        words: TOML,
        law: texts::a_configuration_is_read_or_explained,
    },
    Target { name: "Markdown", corpus: "markdown", words: MARKDOWN, law: texts::markdown_has_one_meaning },
    Target {
        name: "connection string",
        corpus: "connection",
        words: ADDRESS,
        law: texts::a_connection_string_keeps_its_secrets,
    },
    Target { name: "scalars", corpus: "markdown", words: JSON, law: texts::scalars_have_one_form },
];

/// No input may take longer, debug build and busy machine included.
const PATIENCE: Duration = Duration::from_secs(10);

fn runs_and_seed() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    (number("PAGEROW_FUZZ_RUNS").unwrap_or(5_000), number("PAGEROW_FUZZ_SEED").unwrap_or(0))
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.corpus);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut inputs: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    if target.corpus == "plan" {
        inputs.extend(texts::kept_plans(&inputs));
    }
    assert!(!inputs.is_empty(), "{} has no first inputs", target.name);
    inputs
}

fn try_one(target: &Target, seed: u64, input: &[u8]) -> Duration {
    let started = Instant::now();
    let law = std::panic::AssertUnwindSafe(|| (target.law)(input));
    if let Err(panic) = std::panic::catch_unwind(law) {
        eprintln!(
            "{} fails: run it again with PAGEROW_FUZZ_TARGET='{}' PAGEROW_FUZZ_SEED={seed} PAGEROW_FUZZ_RUNS=1\n{}",
            target.name,
            target.name,
            String::from_utf8_lossy(input)
        );
        std::panic::resume_unwind(panic);
    }
    let took = started.elapsed();
    assert!(took < PATIENCE, "{} took {took:?} for {} bytes, seed {seed}", target.name, input.len());
    took
}

#[test]
fn decoders_stand_whatever_comes() {
    let (runs, first) = runs_and_seed();
    let only = std::env::var("PAGEROW_FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name)) {
        let inputs = corpus(target);
        for input in &inputs {
            try_one(target, first, input);
        }
        let started = Instant::now();
        let mut slowest = Duration::ZERO;
        for seed in first..first + runs {
            let input = mutated(&inputs, target.words, &mut Rng::new(seed));
            slowest = slowest.max(try_one(target, seed, &input));
        }
        let rate = runs as f64 / started.elapsed().as_secs_f64().max(1e-9);
        println!("{:18} {runs:7} inputs, {rate:8.0} a second, slowest {slowest:.1?}", target.name);
    }
}
