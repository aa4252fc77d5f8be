//! How well rows find their pages by what people wrote: precision and recall for each confidence and each way in which
//! a title was changed, seconds and peak memory.
//!
//! `cargo run --release -p pagerow-core --example matching -- [--records N] [--seed N] [--without-transliteration]
//! [--sql FILE]`. The titles are made up from real words and names (`titles`) or taken from the texts of an SQL dump,
//! then changed as people change them (`trouble`); neither knows the rules that are measured. A part of the records has
//! no other half, and a part has a neighbour that looks like it and is another record.
#![expect(clippy::print_stdout, reason = "a program that measures prints")]

mod chance;
mod table;
mod titles;
mod trouble;
mod world;

use std::process::ExitCode;

use pagerow_core::matching::Reading;
use world::Evidence;

struct Arguments {
    records: usize,
    seed: u64,
    reading: Reading,
    sql: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            println!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let Arguments { records, seed, reading, sql } = arguments;
    let mut good = true;
    let real = match sql.map(|file| (std::fs::read_to_string(&file), file)) {
        Some((Ok(text), file)) => Some((titles::from_sql(&text), file)),
        Some((Err(wrong), file)) => {
            println!("{file}: {wrong}");
            return ExitCode::from(2);
        }
        None => None,
    };
    let parts = [
        ("titles alone", Evidence::Titles),
        ("titles and content", Evidence::Content),
        ("ids, keys, natural keys and checksums of some, titles, content", Evidence::All),
    ];
    for (name, evidence) in parts {
        let people = world::World::new(records, seed, evidence, None);
        println!("\n== {name}: {} rows, {} pages ==", people.rows.len(), people.pages.len());
        good &= table::print(&people, reading);
        if let Some((real, file)) = &real {
            let people = world::World::new(real.len(), seed, evidence, Some(real));
            println!(
                "\n== {name}, titles of {file}: {} rows, {} pages ==",
                people.rows.len(),
                people.pages.len()
            );
            table::print(&people, reading);
        }
    }
    println!("\npeak memory, the generated records included: {} MiB", table::peak_memory());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments() -> Result<Arguments, String> {
    let mut read =
        Arguments { records: 100_000, seed: 1, reading: Reading { transliterate: true }, sql: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} takes a number"));
        match word.as_str() {
            "--records" => read.records = number()? as usize,
            "--seed" => read.seed = number()?,
            "--without-transliteration" => read.reading.transliterate = false,
            "--sql" => read.sql = Some(words.next().ok_or("--sql takes a file")?),
            _ => return Err(format!("unknown: {word}")),
        }
    }
    Ok(read)
}
