//! `pagerow recover choices`: what was said about which row is which page, and what is still asked.

use std::path::Path;

use pagerow_core::record::{PageId, RowKey};
use serde_json::{Value as Json, json};

use crate::{
    cli::{check_names, console::Console, error::CliError, exit::Exit, remembered, render::history::moment},
    store::{Choice, Choices as _, Question, Questions as _, Said},
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
    let mut open: Vec<Open> = Vec::new();
    let is_meant = |name: &str| args.mapping.as_deref().is_none_or(|meant| meant == name);
    if let Some(store) = &known.store {
        for mapping in known.config.mappings.iter().map(|mapping| &mapping.name).filter(|name| is_meant(name))
        {
            let questions = store.questions(mapping).await.map_err(known.explain())?;
            open.extend(questions.into_iter().filter_map(|question| Open::of(mapping, question)));
        }
    }
    let list: Vec<Json> = choices.iter().map(json).collect();
    let asked: Vec<Json> = open.iter().map(Open::json).collect();
    console.answer(&json!({ "choices": list, "open": asked }), || {
        let lines: Vec<String> = choices.iter().map(line).chain(open.iter().map(Open::line)).collect();
        match (lines.is_empty(), open.is_empty()) {
            (true, _) => "nothing is asked, and nothing was said that is not a link by now".to_owned(),
            (false, true) => lines.join("\n"),
            (false, false) => format!(
                "{}\n`pagerow recover from-notion --dry-run` shows them with titles and reasons; `pagerow recover choose` answers",
                lines.join("\n")
            ),
        }
    })?;
    Ok(Exit::Done)
}

/// What nobody has said yet.
struct Open {
    mapping: String,
    key: Option<RowKey>,
    page: Option<PageId>,
}

impl Open {
    fn of(mapping: &str, question: Question) -> Option<Self> {
        match question {
            Question::Open(key, page) if key.is_some() || page.is_some() => {
                Some(Self { mapping: mapping.to_owned(), key, page })
            }
            Question::Open(..) | Question::Same(..) => None,
        }
    }

    /// `{mapping, key, page_id}`
    fn json(&self) -> Json {
        json!({
            "mapping": self.mapping,
            "key": self.key.as_ref().map(RowKey::as_str),
            "page_id": self.page.map(|page| page.to_string()),
        })
    }

    fn line(&self) -> String {
        let Self { mapping, key, page } = self;
        match (key, page) {
            (Some(key), Some(page)) => format!("{mapping} may row {key} be page {page}?"),
            (Some(key), None) => format!("{mapping} which page is row {key}?"),
            (None, Some(page)) => format!("{mapping} which row is page {page}?"),
            (None, None) => String::new(),
        }
    }
}

/// `{mapping, key, page_id, is, by, at}`; `is` says `same` or `new`.
pub(super) fn json(choice: &Choice) -> Json {
    json!({
        "mapping": choice.mapping,
        "key": choice.said.row().map(RowKey::as_str),
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
