//! Does anything get lost? Real Postgres, the emulator and pagerow in processes of their own, edits on both sides, and
//! everything that can go wrong with them, until the time is over; then a quiet phase and the reckoning.
//!
//! `cargo run -p pagerow --example soup -- [--seed N] [--minutes N | --seconds N] [--pooled] [--records N] [--keep]`.
//! The seed decides what people do and what goes wrong; the machine decides when each process gets there.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod pot;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};

use pot::{Program, Recipe};

/// Set for the processes that are to be `pagerow` itself.
const AS_PAGEROW: &str = "SOUP_AS_PAGEROW";

fn main() -> ExitCode {
    if std::env::var_os(AS_PAGEROW).is_some() {
        return pagerow::cli::main();
    }
    match cook() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the soup could not be cooked: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn cook() -> Result<bool> {
    let recipe = recipe(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let summary = runtime.block_on(pot::cook(&recipe, &|line| println!("{line}")))?;
    println!("{summary}");
    Ok(summary.violations.is_empty())
}

fn recipe(mut arguments: impl Iterator<Item = String>) -> Result<Recipe> {
    let program = Program {
        path: std::env::current_exe()?,
        environment: vec![(AS_PAGEROW.to_owned(), "1".to_owned())],
    };
    let mut recipe = Recipe {
        program,
        seed: 1,
        time: Duration::from_secs(60),
        pooled: false,
        records: 120,
        keep: false,
        long_sleeps: true,
    };
    while let Some(name) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{name} takes a number"))?;
            text.parse().with_context(|| format!("{name} takes a number, not {text}"))
        };
        match name.as_str() {
            "--seed" => recipe.seed = number()?,
            "--minutes" => recipe.time = Duration::from_secs(number()? * 60),
            "--seconds" => recipe.time = Duration::from_secs(number()?),
            "--records" => recipe.records = number()?,
            "--pooled" => recipe.pooled = true,
            "--keep" => recipe.keep = true,
            unknown => bail!(
                "unknown argument {unknown}; there are --seed N, --minutes N, --seconds N, --records N, --pooled and --keep"
            ),
        }
    }
    Ok(recipe)
}
