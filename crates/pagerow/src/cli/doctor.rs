//! `pagerow doctor`: checks every precondition and says how to mend what is not met.

use std::path::Path;

use serde_json::json;

use super::{console::Console, error::CliError, exit::Exit, progress::Meter};
use crate::{
    setup::doctor::{Check, Status, examine_beside, worst},
    wiring,
};

/// Check every precondition, and say how to mend each that is not met
///
/// Configuration, connection, server, rights, pooler, token, capabilities, sharing, schema, types, options, keys.
/// Writes nothing. Ends with 2 when something has to be mended.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pagerow doctor --json | jq '.checks[] | select(.status != \"ok\")'")]
pub(super) struct Args {}

pub(super) async fn run(_: Args, config: &Path, console: &Console) -> Result<Exit, CliError> {
    let meter = Meter::new(console);
    meter.say("looking at everything");
    let checks = examine_beside(config, &[], async |config, database| {
        // Where pagerow's own tables cannot be read, the check of them says so.
        wiring::remembered(config, database).await.unwrap_or_default()
    })
    .await;
    meter.finish();
    let bad = worst(&checks) == Status::Fail;
    console.answer(&json!({ "ok": !bad, "checks": checks }), || text(&checks))?;
    Ok(if bad { Exit::Wrong } else { Exit::Done })
}

fn text(checks: &[Check]) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let word = match check.status {
            Status::Ok => "ok  ",
            Status::Warn => "note",
            Status::Fail => "FAIL",
        };
        lines.push(format!("{word}  {}: {}", check.name, check.found));
        lines.extend(check.advice.iter().map(|advice| format!("      {advice}")));
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    lines.push(match (count(Status::Fail), count(Status::Warn)) {
        (0, 0) => "everything is well".to_owned(),
        (0, notes) => format!("nothing is in the way; {notes} to know about"),
        (fails, _) => format!("{fails} to mend"),
    });
    lines.join("\n")
}
