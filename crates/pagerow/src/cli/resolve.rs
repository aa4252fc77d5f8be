//! `pagerow resolve`: a person's answers to conflicts, shown as a plan and carried out.

use std::{collections::BTreeMap, path::Path};

use pagerow_core::{
    answer::{Take, Whole, typed},
    digest::Digest,
    mapping::Mapping,
    plan::{Action, ConflictKind},
    side::{Side, Sides},
};
use serde_json::{Value as Json, json};

use super::{
    apply::parse_hash, check_names, console::Console, error::CliError, exit::Exit, progress::Meter, render,
    signals,
};
use crate::{
    config::{Config, nearest},
    engine::{Answer, Resolution},
    store::{Attention as _, OpenConflict, PgStore},
    wiring::Wiring,
};

/// Answer conflicts: keep one side, choose field by field, type a value in, or leave both as they are
///
/// Shows what would be written and asks before it is. Both sides are looked at again first: when a conflict is not what
/// was listed any more, nothing is written and the command ends with 3. The value that loses stays in the history
/// (`pagerow show RUN`). Of a record that was deleted on one side, the side that is kept decides whether it is deleted
/// or there.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pagerow resolve 12 --keep notion\n  pagerow resolve 12 --field notes=notion --field price=postgres\n  \
                  pagerow resolve 12 --value notes='agreed on the phone'\n  pagerow resolve --mapping suppliers --column price --keep postgres --yes"
)]
pub(super) struct Args {
    /// Conflicts, by their numbers in `pagerow conflicts`
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    /// The side whose value, or whose deletion, is kept
    #[arg(long, value_name = "postgres|notion", value_parser = parse_side)]
    keep: Option<Side>,
    /// For one column of the record of ID, the side that is kept
    #[arg(long = "field", value_name = "COLUMN=SIDE", value_parser = parse_field)]
    fields: Vec<(String, Side)>,
    /// For one column of the record of ID, another value, as Postgres would take it
    #[arg(long = "value", value_name = "COLUMN=TEXT", value_parser = parse_value)]
    values: Vec<(String, String)>,
    /// Leave both sides as they are until somebody edits one of them
    #[arg(long, conflicts_with = "keep")]
    skip: bool,
    /// All conflicts of this mapping
    #[arg(long, value_name = "MAPPING")]
    mapping: Option<String>,
    /// All conflicts of this column
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// All conflicts
    #[arg(long)]
    all: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Let the plan with this hash pass, although the guard stopped it
    #[arg(long = "override", value_name = "HASH", value_parser = parse_hash)]
    pass: Option<Digest>,
}

pub(super) async fn run(args: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    check_usage(&args)?;
    let config = Config::load(config, &[])?;
    check_names(&config, args.mapping.as_slice())?;
    let stop = signals::watch(console)?;
    let wiring = Wiring::connect(config).await?;
    let meter = Meter::new(console);
    meter.say("reading both schemas");
    let (mut engine, warnings) = wiring.engine(meter.listener(), stop).await?;
    let open = engine.store().open_conflicts(None).await;
    let open = open.map_err(|error| CliError::of_store(error, &wiring.database))?;
    let mappings: BTreeMap<String, Mapping> =
        engine.mappings().map(|mapping| (mapping.name.clone(), (**mapping).clone())).collect();
    let chosen = Chosen { args: &args, open: &open, mappings: &mappings, config: &wiring.config };
    let resolutions = match chosen.resolutions() {
        Ok(resolutions) => resolutions,
        Err(Refusal::Unknown(id)) => return Err(unknown(id, engine.store(), &wiring).await),
        Err(Refusal::Told(error)) => return Err(error),
    };
    console.warn(&warnings);
    if resolutions.is_empty() {
        meter.finish();
        console.answer(&json!({ "run": null, "resolved": [] }), || "no conflicts to answer".to_owned())?;
        return Ok(Exit::Done);
    }

    let mut shown = None;
    if args.dry_run || !console.says_yes() {
        meter.say("looking at these records again");
        let planned = engine.plan_resolution(&resolutions).await;
        meter.finish();
        let (plan, refusals) = planned.map_err(|error| CliError::of_engine(error, &wiring.database))?;
        let forecast = engine.forecast(&plan);
        let find = |name: &str| mappings.get(name);
        if args.dry_run {
            console.answer(&render::plan_json::plan(&plan, &refusals, find, forecast), || {
                render::plan_text::plan(&plan, &refusals, forecast, console.verbose())
            })?;
            return Ok(if refusals.is_empty() { Exit::Done } else { Exit::Decisions });
        }
        if !console.json() {
            console.print(&render::plan_text::plan(&plan, &refusals, forecast, console.verbose()))?;
        }
        console.confirm("Carry this out?")?;
        shown = Some(plan.hash());
    }
    let resolved = engine.resolve(&resolutions, shown, args.pass).await;
    meter.finish();
    let rested = engine.rest().await;
    let report = resolved.map_err(|error| CliError::of_engine(error, &wiring.database))?;
    rested.map_err(|error| CliError::of_engine(error, &wiring.database))?;

    let mut said = Vec::new();
    for one in &resolutions {
        let ended = engine.store().resolution(one.conflict.id).await;
        said.push(ended.map_err(|error| CliError::of_store(error, &wiring.database))?);
    }
    let list: Vec<Json> = resolutions
        .iter()
        .zip(&said)
        .map(|(one, said)| resolved_json(&one.conflict, said.as_deref()))
        .collect();
    let mut answer = serde_json::to_value(&report).unwrap_or_default();
    answer["resolved"] = Json::Array(list);
    console.answer(&answer, || {
        let lines: Vec<String> =
            resolutions.iter().zip(&said).map(|(one, said)| line(&one.conflict, said.as_deref())).collect();
        lines.join("\n")
    })?;
    if said.iter().any(Option::is_none) {
        console.note(
            "some of it could not be written: `pagerow conflicts` and `pagerow parked` show what is left",
        );
        return Ok(Exit::Decisions);
    }
    Ok(if report.quiet { Exit::Done } else { Exit::Failed })
}

/// What contradicts itself before anything is read.
fn check_usage(args: &Args) -> Result<(), CliError> {
    let by_column = !args.fields.is_empty() || !args.values.is_empty();
    let many = args.all || args.mapping.is_some() || args.column.is_some();
    if args.keep.is_none() && !args.skip && !by_column {
        return Err(CliError::usage("no answer was given")
            .advise("add --keep postgres|notion, --field COLUMN=SIDE, --value COLUMN=TEXT or --skip"));
    }
    if args.ids.is_empty() && !many {
        return Err(CliError::usage("which conflicts?")
            .about("ID")
            .advise("name them by the numbers of `pagerow conflicts`, or add --mapping, --column or --all"));
    }
    if !args.ids.is_empty() && many {
        return Err(CliError::usage("numbers and a filter at once say two things")
            .about("ID")
            .advise("leave out either the numbers or --mapping, --column and --all"));
    }
    if by_column && args.ids.len() != 1 {
        return Err(CliError::usage("--field and --value are about the record of one conflict")
            .about("ID")
            .advise("name one conflict of that record"));
    }
    let mut columns: Vec<&str> = args
        .fields
        .iter()
        .map(|(c, _)| c.as_str())
        .chain(args.values.iter().map(|(c, _)| c.as_str()))
        .collect();
    columns.sort_unstable();
    if let Some(two) = columns.windows(2).find(|two| two[0] == two[1]) {
        return Err(
            CliError::usage(format!("two answers for the column {}", two[0])).advise("keep one of them")
        );
    }
    let mut ids = args.ids.clone();
    ids.sort_unstable();
    if let Some(two) = ids.windows(2).find(|two| two[0] == two[1]) {
        return Err(CliError::usage(format!("conflict {} is named twice", two[0])).about("ID"));
    }
    Ok(())
}

/// Why there is no list of answers.
enum Refusal {
    /// No open conflict has this number.
    Unknown(i64),
    Told(CliError),
}

/// What was asked for, against what is open.
struct Chosen<'a> {
    args: &'a Args,
    open: &'a [OpenConflict],
    mappings: &'a BTreeMap<String, Mapping>,
    config: &'a Config,
}

impl Chosen<'_> {
    fn resolutions(&self) -> Result<Vec<Resolution>, Refusal> {
        let mut found: Vec<&OpenConflict> = Vec::new();
        if self.args.ids.is_empty() {
            let is_meant = |one: &&OpenConflict| {
                self.args.mapping.as_ref().is_none_or(|mapping| one.mapping == *mapping)
                    && self.args.column.as_ref().is_none_or(|column| one.column == *column)
                    && self.mappings.contains_key(&one.mapping)
            };
            found.extend(self.open.iter().filter(is_meant));
        }
        for id in &self.args.ids {
            found.push(self.open.iter().find(|one| one.id == *id).ok_or(Refusal::Unknown(*id))?);
        }
        let mut resolutions = Vec::new();
        if self.args.keep.is_some() || self.args.skip {
            for one in &found {
                resolutions.push(whole(one, self.args.keep, self.config));
            }
        }
        if let Some(named) = found.first().filter(|_| self.by_column()) {
            for (column, side) in &self.args.fields {
                let one = self.contested(named, column)?;
                resolutions
                    .push(Resolution { conflict: one.clone(), answer: Answer::Field(Take::Keep(*side)) });
            }
            for (column, text) in &self.args.values {
                let one = self.contested(named, column)?;
                let take = self.typed(one, text).map_err(Refusal::Told)?;
                resolutions.push(Resolution { conflict: one.clone(), answer: Answer::Field(take) });
            }
        }
        let mut ids: Vec<i64> = resolutions.iter().map(|one| one.conflict.id).collect();
        ids.sort_unstable();
        if let Some(two) = ids.windows(2).find(|two| two[0] == two[1]) {
            let error = CliError::usage(format!("two answers for conflict {}", two[0])).advise(
                "--keep and --skip are for the conflict of ID, --field and --value for the columns they name",
            );
            return Err(Refusal::Told(error));
        }
        Ok(resolutions)
    }

    fn by_column(&self) -> bool {
        !self.args.fields.is_empty() || !self.args.values.is_empty()
    }

    /// The open conflict of a column in the record of the named one.
    fn contested(&self, named: &OpenConflict, column: &str) -> Result<&OpenConflict, Refusal> {
        let same_record = |one: &&OpenConflict| {
            one.mapping == named.mapping
                && (&one.conflict.key, one.conflict.page) == (&named.conflict.key, named.conflict.page)
        };
        let record: Vec<&OpenConflict> = self.open.iter().filter(same_record).collect();
        record.iter().find(|one| one.column == column).copied().ok_or_else(|| {
            let columns: Vec<&str> =
                record.iter().map(|one| one.column.as_str()).filter(|column| !column.is_empty()).collect();
            let error = CliError::usage(format!("the column {column} of this record has no open conflict"))
                .suggest(nearest(column, columns.iter().copied()));
            Refusal::Told(match columns.as_slice() {
                [] => error.advise("the record itself is asked about; answer with --keep or --skip"),
                columns => error.advise(format!("these have: {}", columns.join(", "))),
            })
        })
    }

    fn typed(&self, one: &OpenConflict, text: &str) -> Result<Take, CliError> {
        let mapping = self.mappings.get(&one.mapping);
        let field = mapping.and_then(|mapping| mapping.fields.get(mapping.field(&one.column)?));
        let Some(field) = field else {
            return Err(CliError::usage(format!("{} has no column {} any more", one.mapping, one.column)));
        };
        let value = typed(text, field).map_err(|reason| {
            let limit = reason.limit.as_ref().map_or_else(String::new, |limit| format!(" ({limit})"));
            CliError::usage(format!("{} cannot hold this value: {}{limit}", one.column, reason.text))
                .about("--value")
        })?;
        match &one.conflict.kind {
            ConflictKind::Field { values, .. } => {
                let now = Sides { postgres: &values.postgres, notion: &values.notion };
                Ok(Take::of_value(value, now, field))
            }
            ConflictKind::Deleted { .. } => Ok(Take::Value(value)),
        }
    }
}

/// The answer to one conflict by which a side is kept, or both are left as they are.
pub(super) fn whole(one: &OpenConflict, keep: Option<Side>, config: &Config) -> Resolution {
    let soft = config.mapping(&one.mapping).is_some_and(|mapping| mapping.soft_delete.is_some());
    let removal = if soft { Action::Trash } else { Action::Delete };
    let answer = match (&one.conflict.kind, keep) {
        (ConflictKind::Field { .. }, Some(side)) => Answer::Field(Take::Keep(side)),
        (ConflictKind::Field { .. }, None) => Answer::Field(Take::Leave),
        (ConflictKind::Deleted { .. }, Some(side)) => Answer::Record(Whole::Keep { side, removal }),
        (ConflictKind::Deleted { .. }, None) => Answer::Record(Whole::Leave),
    };
    Resolution { conflict: one.clone(), answer }
}

/// Why there is no open conflict of this number.
async fn unknown(id: i64, store: &PgStore, wiring: &Wiring) -> CliError {
    match store.resolution(id).await {
        Err(error) => CliError::of_store(error, &wiring.database),
        Ok(Some(resolution)) => CliError::usage(format!("conflict {id} is closed already ({resolution})"))
            .about("ID")
            .advise("nothing was written; `pagerow conflicts` lists those that are open"),
        Ok(None) => CliError::usage(format!("there is no conflict {id}"))
            .about("ID")
            .advise("`pagerow conflicts` lists them"),
    }
}

fn resolved_json(one: &OpenConflict, resolution: Option<&str>) -> Json {
    json!({
        "id": one.id,
        "mapping": one.mapping,
        "key": one.conflict.key.as_ref().map(pagerow_core::record::RowKey::as_str),
        "column": if one.column.is_empty() { None } else { Some(one.column.as_str()) },
        "resolution": resolution,
    })
}

fn line(one: &OpenConflict, resolution: Option<&str>) -> String {
    let name = render::plan_text::name(one.conflict.key.as_ref(), one.conflict.page);
    let column = if one.column.is_empty() { String::new() } else { format!(" {}", one.column) };
    let said = match resolution {
        Some("kept_postgres") => "Postgres is kept",
        Some("kept_notion") => "Notion is kept",
        Some("value") => "both have the new value",
        Some("skipped") => "both stay as they are",
        Some(_) => "closed",
        None => "still open",
    };
    format!("{:>5}  {} {name}{column}: {said}", one.id, one.mapping)
}

fn parse_side(text: &str) -> Result<Side, String> {
    match text {
        "postgres" => Ok(Side::Postgres),
        "notion" => Ok(Side::Notion),
        _ => Err("it is postgres or notion".to_owned()),
    }
}

fn parse_field(text: &str) -> Result<(String, Side), String> {
    let (column, side) = text.split_once('=').ok_or("write COLUMN=postgres or COLUMN=notion")?;
    Ok((column.to_owned(), parse_side(side)?))
}

fn parse_value(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("write COLUMN=TEXT")?;
    Ok((column.to_owned(), value.to_owned()))
}
