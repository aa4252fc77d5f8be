//! `pagerow recover choose`: a person's word on which row is which page.

use std::path::Path;

use pagerow_core::record::{PageId, RowKey};
use serde_json::json;

use super::choices;
use crate::{
    cli::{check_names, console::Console, error::CliError, exit::Exit, progress::Meter, signals},
    config::Config,
    engine::Half,
    store::Said,
    wiring::Wiring,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The mapping
    #[arg(value_name = "MAPPING")]
    mapping: String,
    /// The row's key; several with --new or --take-back
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// The page, by its id or address; several with --new or --take-back
    #[arg(long = "page", value_name = "PAGE", value_parser = parse_page)]
    pages: Vec<PageId>,
    /// It belongs to none of those that are there
    #[arg(long, conflicts_with = "take_back")]
    new: bool,
    /// Take back what was said about it
    #[arg(long)]
    take_back: bool,
    /// The row and the page that it is linked with are not one record: take them apart. Nothing is written to either side, and
    /// each waits until somebody says what it is
    #[arg(long, conflicts_with_all = ["new", "take_back"])]
    unlink: bool,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    if args.unlink {
        return unlink(args, config, console).await;
    }
    let word = args.word()?;
    let config = Config::load(config, &[])?;
    check_names(&config, std::slice::from_ref(&args.mapping))?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    meter.say("looking at both sides");
    let (engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    let answered = match &word {
        Word::Said(said) => engine.choose(&args.mapping, said.clone()).await,
        Word::TakenBack(halves) => engine.take_back(&args.mapping, halves).await,
    };
    meter.finish();
    let choices = answered.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    console.warn(&warnings);
    let (kept, member) = match word {
        Word::Said(_) => ("the next `pagerow sync` or `pagerow recover` goes by it", "chosen"),
        Word::TakenBack(_) => ("taken back", "taken_back"),
    };
    let list: Vec<_> = choices.iter().map(choices::json).collect();
    console.answer(&json!({ member: list }), || {
        let lines: Vec<String> = choices.iter().map(choices::line).collect();
        format!("{}\n{kept}", lines.join("\n"))
    })?;
    Ok(Exit::Done)
}

/// Takes a link apart, once somebody has agreed to what that means.
async fn unlink(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let half = match (args.keys.as_slice(), args.pages.as_slice()) {
        ([key], []) => Half::Row(key.as_str().into()),
        ([], [page]) => Half::Page(*page),
        _ => {
            return Err(CliError::usage("one link is taken apart at a time")
                .about("--unlink")
                .advise("name its row by the key, or its page with --page"));
        }
    };
    let config = Config::load(config, &[])?;
    check_names(&config, std::slice::from_ref(&args.mapping))?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    let (mut engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    meter.finish();
    console.warn(&warnings);
    let explain = |error| CliError::of_engine(error, &wiring.database);
    let mapping = &args.mapping;
    let (key, page) = engine.linked(mapping, &half).await.map_err(explain)?;
    let meant = format!(
        "row {key} of {mapping} and page {page} are taken apart. Both stay as they are, and are synced no more until you say what \
         each is: `pagerow recover choose {mapping} KEY --page PAGE`, or --new for one that is a record of its own"
    );
    console.note(&meant);
    console.confirm("Take them apart?")?;
    let unlinked = engine.unlink(mapping, &half).await;
    let rested = engine.rest().await;
    let (key, page) = unlinked.map_err(explain)?;
    rested.map_err(explain)?;
    let json =
        json!({ "unlinked": { "mapping": mapping, "key": key.as_str(), "page_id": page.to_string() } });
    console.answer(&json, || format!("row {key} and page {page} are linked no more"))?;
    Ok(Exit::Done)
}

/// What the arguments say.
enum Word {
    Said(Vec<Said>),
    TakenBack(Vec<Half>),
}

impl Args {
    fn word(&self) -> Result<Word, CliError> {
        let keys = || self.keys.iter().map(|key| RowKey::from(key.as_str()));
        let pages = || self.pages.iter().copied();
        if self.keys.is_empty() && self.pages.is_empty() {
            return Err(CliError::usage("which row, or which page?").about("KEY").advise(
                "name the row by its key, a page with --page; a recovery lists those that it asks about",
            ));
        }
        if self.take_back {
            return Ok(Word::TakenBack(keys().map(Half::Row).chain(pages().map(Half::Page)).collect()));
        }
        match (self.new, self.keys.as_slice(), self.pages.as_slice()) {
            (true, ..) => {
                Ok(Word::Said(keys().map(Said::NewRow).chain(pages().map(Said::NewPage)).collect()))
            }
            (false, [key], [page]) => Ok(Word::Said(vec![Said::Same(key.as_str().into(), *page)])),
            (false, _, []) => Err(CliError::usage("which page is it?")
                .about("--page")
                .advise("add --page PAGE; or --new, if it is none of those that are there")),
            (false, [], _) => Err(CliError::usage("which row is it?")
                .about("KEY")
                .advise("name the row by its key; or add --new, if it is none of those that are there")),
            (false, ..) => Err(CliError::usage("one row is one page").about("KEY").advise(
                "say it for one row and one page at a time; only --new and --take-back are about several",
            )),
        }
    }
}

fn parse_page(text: &str) -> Result<PageId, String> {
    PageId::parse(text).ok_or_else(|| "it is a page's id or address".to_owned())
}
