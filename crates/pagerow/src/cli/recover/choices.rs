//! `pagerow recover choices`: what was said about which row is which page.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::{
    cli::{check_names, console::Console, error::CliError, exit::Exit, remembered, render::history::moment},
    store::{Choice, Choices as _, Said},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this mapping
    #[arg(value_name = "MAPPING")]
    mapping: Option<String>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    check_names(&known.config, args.mapping.as_slice())?;
    let choices = match &known.store {
        Some(store) => store.choices(args.mapping.as_deref()).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    let list: Vec<Json> = choices.iter().map(json).collect();
    console.answer(&json!({ "choices": list }), || {
        let lines: Vec<String> = choices.iter().map(line).collect();
        if lines.is_empty() {
            "nothing was said that is not a link by now".to_owned()
        } else {
            lines.join("\n")
        }
    })?;
    Ok(Exit::Done)
}

/// `{mapping, key, page_id, is, by, at}`; `is` says `same` or `new`.
pub(super) fn json(choice: &Choice) -> Json {
    json!({
        "mapping": choice.mapping,
        "key": choice.said.row().map(pagerow_core::record::RowKey::as_str),
        "page_id": choice.said.page().map(|page| page.to_string()),
        "is": if matches!(choice.said, Said::Same(..)) { "same" } else { "new" },
        "by": choice.by,
        "at": choice.at,
    })
}

pub(super) fn line(choice: &Choice) -> String {
    let said = match &choice.said {
        Said::Same(key, page) => format!("row {key} is page {page}"),
        Said::NewRow(key) => format!("row {key} belongs to no page that is there"),
        Said::NewPage(page) => format!("page {page} belongs to no row that is there"),
    };
    format!("{} {said} ({}, {})", choice.mapping, choice.by, moment(choice.at))
}
