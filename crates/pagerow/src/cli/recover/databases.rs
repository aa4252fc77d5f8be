//! Lost databases come back before their pages do: out of the trash, or made again from the configuration.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    cli::{console::Console, error::CliError, progress::Meter},
    config::Config,
    notion::NotionError,
    setup::{
        lost::{HowLost, LostSource, lost_sources, restore_source},
        schema,
    },
    store::{Names, Renaming},
    wiring::{self, Wiring},
};

/// What became of lost databases.
pub(super) enum Databases {
    /// All of them are there; those of these mappings are new.
    There { wiring: Box<Wiring>, remade: BTreeSet<String>, calls: u64 },
    /// They were only shown.
    Shown(Vec<LostSource>),
}

/// Brings the lost databases of these mappings back, after asking; only shows them in a dry run.
pub(super) async fn bring_back(
    wiring: Wiring,
    mappings: &[String],
    dry_run: bool,
    console: &Console,
) -> Result<Databases, CliError> {
    let found = wiring.found().await?;
    let lost = lost_sources(&wiring.config, &found, mappings);
    if lost.is_empty() {
        return Ok(Databases::There { wiring: Box::new(wiring), remade: BTreeSet::new(), calls: 0 });
    }
    if !console.json() {
        console.print(&told(&lost))?;
    }
    if dry_run {
        return Ok(Databases::Shown(lost));
    }
    console.confirm("Bring them back?")?;
    let meter = Meter::new(console);
    let before = wiring.client.calls();
    let mut restored: BTreeSet<&str> = BTreeSet::new();
    for one in &lost {
        let HowLost::Trashed { data_source, database } = &one.how else { continue };
        meter.say(&format!("taking the database of {} out of the trash", one.mapping));
        let database = database.as_deref().filter(|database| restored.insert(database));
        restore_source(&wiring.client, data_source, database).await.map_err(notion)?;
    }
    let remade: BTreeSet<String> =
        lost.iter().filter(|one| one.how == HowLost::Gone).map(|one| one.mapping.clone()).collect();
    let wiring = if remade.is_empty() { wiring } else { make_again(wiring, &remade, &meter).await? };
    meter.finish();
    let calls = wiring.client.calls() - before;
    Ok(Databases::There { wiring: Box::new(wiring), remade, calls })
}

/// Makes databases as `schema apply` does for `data_source = "create"`, and puts their ids where the old ones stood.
async fn make_again(wiring: Wiring, mappings: &BTreeSet<String>, meter: &Meter) -> Result<Wiring, CliError> {
    let path = wiring.config.source.path.clone();
    for mapping in mappings {
        meter.say(&format!("making the database of {mapping} again"));
        let amended = schema::make_anew(&path, mapping)
            .map_err(|error| CliError::io(&format!("{} could not be amended", path.display()), &error))?;
        if !amended {
            return Err(CliError::usage(format!(
                "the data source of {mapping} is gone, and the file does not say its id itself"
            ))
            .about(format!("mapping.{mapping}.data_source"))
            .advise(
                "set the variable that it comes from to `create`, run `pagerow schema apply`, put the id that it says \
                 where `create` was, and run this again",
            ));
        }
    }
    let config = Config::load(&path, &[])?;
    let wiring = Wiring { config, ..wiring };
    let store = wiring::store(&wiring.config, &wiring.database).await?;
    for mapping in mappings {
        // What its names meant went with it.
        let forgotten = store.keep_names(mapping, &Names::default(), &Renaming::default()).await;
        forgotten.map_err(|error| CliError::of_store(error, &wiring.database))?;
    }
    let found = wiring.found().await?;
    let plan = schema::plan(&wiring.config, &found)?;
    let session = wiring.database.session().await?;
    let applied = schema::apply(&wiring.config, &found, &plan, &session, &wiring.client, |change| {
        meter.say(change.lines().next().unwrap_or_default());
    })
    .await?;
    drop(session);
    wiring.accept(&found, &applied.accepted).await?;
    let config = Config::load(&path, &[])?;
    Ok(Wiring { config, ..wiring })
}

fn notion(error: NotionError) -> CliError {
    wiring::WiringError::Notion(error).into()
}

fn told(lost: &[LostSource]) -> String {
    let mut out = String::new();
    for one in lost {
        let line = match &one.how {
            HowLost::Trashed { .. } => {
                "its database lies in Notion's trash: it is taken out, with all its pages, by one call"
            }
            HowLost::Gone => {
                "its database is gone, or no longer shared with the connection: another one is made. If it was only \
                 unshared, say no, and share it again (••• menu, Connections)"
            }
        };
        let _ = writeln!(out, "{}: {line}", one.mapping);
    }
    out
}
