//! A short fault soup: what the example of that name cooks for as long as one likes.

#[path = "../../../examples/soup/pot/mod.rs"]
mod pot;

use std::time::Duration;

use self::pot::{Program, Recipe};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_soup_of_faults_loses_nothing_and_doubles_nothing() {
    let number = |name: &str, usual: u64| {
        std::env::var(name)
            .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let recipe = Recipe {
        program: Program { path: env!("CARGO_BIN_EXE_pagerow").into(), environment: Vec::new() },
        seed: number("SOUP_SEED", 7),
        time: Duration::from_secs(number("SOUP_SECONDS", 30)),
        pooled: false,
        records: 80,
        keep: false,
        long_sleeps: false,
    };
    let summary = pot::cook(&recipe, &|line| eprintln!("{line}")).await.unwrap();
    assert!(summary.violations.is_empty(), "{summary}");
    let figure = |name: &str| summary.figures.get(name).copied().unwrap_or(0);
    // A soup without its ingredients proves nothing.
    assert!(figure("marks: on both sides") > 50, "{summary}");
    assert!(
        figure("syncs: killed by SIGKILL") > 0 && figure("Postgres: crashed and restarted") > 0,
        "{summary}"
    );
}
