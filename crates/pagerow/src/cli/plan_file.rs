//! A plan kept in a file: written with its hash, and refused when it is not what was written.

use std::{io::Write as _, path::Path};

use jiff::Timestamp;
use pagerow_core::{digest::Digest, plan::Plan};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::error::CliError;

/// The shape of the file; another number is another program's.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    hash: Digest,
    made_at: Timestamp,
    plan: Plan,
}

/// Writes a plan. It holds cell contents: only its owner may read the file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, plan: &Plan, made_at: Timestamp) -> Result<Digest, CliError> {
    let kept = Kept { version: VERSION, hash: plan.hash(), made_at, plan: plan.clone() };
    let failed = |error: &std::io::Error| {
        CliError::io(&format!("the plan cannot be written to {}", path.display()), error).about("--out")
    };
    let mut text = serde_json::to_vec_pretty(&kept).map_err(|error| failed(&error.into()))?;
    text.push(b'\n');
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.map_err(|error| failed(&error))?;
    Ok(kept.hash)
}

/// Reads a plan, and makes sure that it is the one that was written.
///
/// # Errors
/// The file is not there, is no plan, is of another version, or was changed by hand.
pub(super) fn read(path: &Path) -> Result<Plan, CliError> {
    let about = |error: CliError| error.about(path.display().to_string());
    let text = std::fs::read_to_string(path).map_err(|error| {
        about(CliError::usage(format!("the plan {} cannot be read: {error}", path.display())))
            .advise("make one with `pagerow plan --out FILE`")
    })?;
    parse(&text).map_err(|refusal| match refusal {
        NoPlan::Other(what) => about(CliError::usage(format!(
            "{} is no plan that pagerow wrote: {what}",
            path.display()
        )))
        .advise("make one with `pagerow plan --out FILE`"),
        NoPlan::Changed { says, is } => about(CliError::usage(format!(
            "the plan {} was changed after it was made: its content has the hash {is}, and the file says {says}",
            path.display(),
        )))
        .advise("a plan is carried out as it was shown, or not at all; make a new one with `pagerow plan --out FILE`"),
    })
}

/// Why a text is no plan to be carried out. Holds no cell's content.
#[derive(Debug)]
pub enum NoPlan {
    Other(String),
    Changed { says: Digest, is: Digest },
}

/// Reads a kept plan's text.
///
/// # Errors
/// [`NoPlan`], unless it is a plan that is as it was written.
pub fn parse(text: &str) -> Result<Plan, NoPlan> {
    let json: Json = serde_json::from_str(text)
        // The reader's own words name a line and a column, and may quote a cell; only the place is kept.
        .map_err(|error| {
            NoPlan::Other(format!("line {} column {} is no JSON", error.line(), error.column()))
        })?;
    match json.get("version").and_then(Json::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(NoPlan::Other(format!("it is of version {version}, and this is {VERSION}")));
        }
        None => return Err(NoPlan::Other("it has no version".to_owned())),
    }
    let kept = Kept::deserialize(json)
        .map_err(|_| NoPlan::Other("a part is missing or of another kind".to_owned()))?;
    match kept.plan.hash() {
        hash if hash == kept.hash => Ok(kept.plan),
        is => Err(NoPlan::Changed { says: kept.hash, is }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let plan = Plan::default();
        let hash = write(&path, &plan, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(read(&path).unwrap(), plan);
        assert_eq!(hash, plan.hash());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        }
    }

    #[test]
    fn what_was_not_written_by_pagerow_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert!(read(&path).unwrap_err().to_string().contains("cannot be read"));
        for (text, why) in [
            ("", "line 1 column 0 is no JSON"),
            ("[]", "it has no version"),
            (r#"{"version":9}"#, "it is of version 9, and this is 1"),
            (r#"{"version":1,"plan":{}}"#, "a part is missing or of another kind"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
