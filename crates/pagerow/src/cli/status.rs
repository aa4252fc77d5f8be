//! `pagerow status`: where each mapping stands.

use std::path::Path;

use pagerow_core::side::Side;
use serde_json::json;

use super::{
    console::Console,
    error::CliError,
    exit::Exit,
    remembered,
    render::{
        paused::{below, with},
        status::{MappingStatus, status},
    },
};
use crate::{
    clock::Clock,
    replica::Cursor,
    store::PgStore,
    store::{Attention, Cursors, Identities, Links, Runs},
    wiring,
};

/// Show where each mapping stands: links, the last look, what is pending and what waits
///
/// As far as pagerow remembers; neither side is looked at. Ends with 3 when decisions are waiting.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow status --json | jq '.mappings[] | {mapping, lag}'")]
pub(super) struct Args {}

pub(super) async fn run(_: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let known = remembered::open(config).await?;
    let clock = Clock::system();
    let mut mappings = Vec::with_capacity(known.config.mappings.len());
    for mapping in &known.config.mappings {
        mappings.push(match &known.store {
            Some(store) => standing(store, &mapping.name, &clock).await.map_err(known.explain())?,
            None => unseen(&mapping.name),
        });
    }
    let paused = match &known.store {
        Some(store) => wiring::paused(&known.config, store, &[]).await.map_err(known.explain())?,
        None => Vec::new(),
    };
    for one in &mut mappings {
        if paused.iter().any(|pause| pause.mapping == one.mapping && pause.column.is_none()) {
            one.state = "paused";
        }
    }
    let waiting = !paused.is_empty() || mappings.iter().any(|one| one.conflicts + one.parked > 0);
    console.answer(&with(&json!({ "mappings": mappings }), &paused), || below(status(&mappings), &paused))?;
    Ok(if waiting { Exit::Decisions } else { Exit::Done })
}

async fn standing(
    store: &PgStore,
    mapping: &str,
    clock: &Clock,
) -> Result<MappingStatus, crate::store::StoreError> {
    let state = store.mapping_state(mapping).await?;
    let conflicts = store.open_conflicts(Some(mapping)).await?.len() as u64;
    let parked = store.parked(Some(mapping)).await?.len() as u64;
    let due = store.due(mapping).await?;
    let pending = store.open_steps(mapping).await?.len() + due.keys.len().max(due.pages.len());
    let cursor = store.cursor(mapping, Side::Postgres).await?;
    let lag = state.last_look.map(|last| clock.now().duration_since(last).as_secs_f64().max(0.0));
    Ok(MappingStatus {
        mapping: mapping.to_owned(),
        state: match (state.last_look, pending, conflicts + parked) {
            (None, ..) => "new",
            (Some(_), 0, 0) => "equal",
            (Some(_), 0, _) => "waiting",
            (Some(_), ..) => "pending",
        },
        links: store.count_links(mapping).await?,
        rows: state.rows,
        pages: state.pages,
        pending: pending as u64,
        conflicts,
        parked,
        last_look: state.last_look,
        last_full: state.last_full,
        capture: cursor.as_ref().map(capture),
        lag,
        bases_lost: store.remembered(mapping).await?.lost,
    })
}

/// How the last look found what had changed, by its cursor.
fn capture(cursor: &Cursor) -> &'static str {
    let has = |name: &str| cursor.get(name).is_some_and(|part| !part.is_null());
    match (has("capture"), has("edited")) {
        (true, _) => "triggers",
        (false, true) => "poll",
        (false, false) => "scan",
    }
}

fn unseen(mapping: &str) -> MappingStatus {
    MappingStatus {
        mapping: mapping.to_owned(),
        state: "new",
        links: 0,
        rows: None,
        pages: None,
        pending: 0,
        conflicts: 0,
        parked: 0,
        last_look: None,
        last_full: None,
        capture: None,
        lag: None,
        bases_lost: None,
    }
}
