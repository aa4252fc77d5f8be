//! `pagerow init`: a first configuration from what is found on both sides, with the reasons for each choice.

use std::path::Path;

use serde_json::json;

use super::{console::Console, error::CliError, exit::Exit, progress::Meter, render};
use crate::{
    config::{Config, Environment, Source},
    setup::{
        Surroundings, connect,
        inspect::{tables, visible_data_sources},
        propose::{self, propose},
    },
};

/// Notion's own address, which needs no mention in a configuration.
const NOTION: &str = "https://api.notion.com";

/// Write a configuration from what is in the database and the workspace, and explain its choices
///
/// Pairs tables with data sources and columns with properties by their names and types. Both secrets are read from the
/// environment or from a file .env beside the configuration, and only referred to in it. Neither side is changed.
#[derive(clap::Args)]
#[command(
    after_help = "Example, with DATABASE_URL, NOTION_API_KEY and NOTION_PARENT_PAGE set or in .env:\n  pagerow init"
)]
pub(super) struct Args {
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,
    /// Where the connection string comes from
    #[arg(long, value_name = "REFERENCE", default_value = "env:DATABASE_URL")]
    url: String,
    /// Where Notion's token comes from
    #[arg(long, value_name = "REFERENCE", default_value = "env:NOTION_API_KEY")]
    token: String,
    /// Under which page databases are to be made: an id, an address, or env:NAME
    #[arg(long, value_name = "PAGE", default_value = "env:NOTION_PARENT_PAGE")]
    parent_page: String,
    /// Another address of the API: an emulator's
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

pub(super) async fn run(args: Args, path: &Path, console: &Console) -> Result<Exit, CliError> {
    if path.exists() {
        if !args.force {
            return Err(CliError::usage(format!("{} is there already", path.display()))
                .about("--force")
                .advise("add --force to replace it, or name another file with --config"));
        }
        console.confirm(&format!("Replace {}?", path.display()))?;
    }
    let config = sides(&args, path)?;
    let meter = Meter::new(console);
    meter.say("reading the database's catalogue");
    let database = connect::database(&config).await?;
    let session = database.session().await?;
    let tables = tables(&session, &config.postgres.schema).await?;
    meter.say("looking which data sources are shared");
    let client = connect::client(&config)?.interactive();
    let sources = visible_data_sources(&client).await?;
    meter.finish();
    let surroundings = Surroundings {
        url: args.url,
        token: args.token,
        parent_page: args.parent_page,
        base_url: (config.notion.base_url != NOTION).then_some(config.notion.base_url),
        own_schema: config.postgres.schema,
    };
    let proposal = propose(&tables, &sources, &surroundings);
    propose::write(&proposal, path, args.force)
        .map_err(|error| CliError::io(&format!("{} cannot be written", path.display()), &error))?;
    let answer = json!({
        "file": path.display().to_string(),
        "mappings": proposal.mappings,
        "choices": proposal.choices,
    });
    console.answer(&answer, || {
        let mut lines = proposal.choices.clone();
        lines.push(format!(
            "{} is written, with {}; next: `pagerow doctor`, `pagerow schema plan`, `pagerow plan`",
            path.display(),
            render::table::counted(proposal.mappings as u64, "mapping", "mappings")
        ));
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

/// The two sides as a configuration without mappings would name them.
fn sides(args: &Args, path: &Path) -> Result<Config, CliError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let environment = Environment::of_process().with_file_in(folder)?;
    let mut text =
        format!("[postgres]\nurl = {}\n[notion]\ntoken = {}\n", quoted(&args.url), quoted(&args.token));
    if let Some(base_url) = &args.base_url {
        text.push_str(&format!("base_url = {}\n", quoted(base_url)));
    }
    let source = Source { path: folder.join("init"), text };
    Config::parse(source, &environment, &[]).map_err(|mut errors| {
        for error in &mut errors.0 {
            // Nobody wrote this text: its lines mean nothing, its keys do.
            (error.file, error.line, error.column) = (None, None, None);
        }
        errors.into()
    })
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}
