//! What lies in the folder of a development server, and how does it get there?
//!
//! ```text
//! FOLDER/data       the server's own files, and its Unix socket
//! FOLDER/password   the superuser's password, readable by its owner only
//! FOLDER/port       the port of the last start, tried first at the next
//! FOLDER/server.log what the server says
//! FOLDER/lock       locked as long as the process lives that started the server
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;

use super::error::{DevPostgresError, Doing};
use super::find::{self, Programs};
use super::{DevOptions, SUPERUSER};

/// The user `nobody`: Postgres refuses to run as root.
const NOBODY: u32 = 65534;

/// The longest path of a Unix socket that every system allows.
const LONGEST_SOCKET_PATH: usize = 103;

/// A prepared folder and the programs that serve it.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    programs: Programs,
    password: Password,
    pub(super) temporary: bool,
    socket_folder: Option<PathBuf>,
    /// Kept for its lock, which ends with this process at the latest.
    _lock: File,
}

struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(…)")
    }
}

impl Cluster {
    /// Makes the folder ready to be served: its database files exist, and nobody else is using them.
    pub(super) fn prepare(options: &DevOptions) -> Result<Self, DevPostgresError> {
        let temporary = options.folder.is_none();
        let folder = match &options.folder {
            Some(folder) => durable_folder(folder)?,
            None => temporary_folder()?,
        };
        let outcome = Self::prepare_in(&folder, temporary, options);
        if outcome.is_err() && temporary {
            // The first error is the one to tell; the system clears its temporary folder anyway.
            drop(fs::remove_dir_all(&folder));
        }
        outcome
    }

    fn prepare_in(folder: &Path, temporary: bool, options: &DevOptions) -> Result<Self, DevPostgresError> {
        let data = folder.join("data");
        let lock = lock(folder)?;
        let made_by = made_by(&data)?;
        let programs = find::programs(made_by, options.progress).map_err(|error| match error {
            DevPostgresError::OtherVersion { made_by, found, .. } => {
                DevPostgresError::OtherVersion { folder: folder.to_owned(), made_by, found }
            }
            other => other,
        })?;
        let password = if made_by.is_some() {
            let file = folder.join("password");
            Password(fs::read_to_string(&file).doing(|| format!("reading {}", file.display()))?)
        } else {
            initialise(folder, &programs, temporary)?
        };
        await_previous_server(&data, Duration::from_secs(20))?;
        let longest = data.join(".s.PGSQL.65535");
        let socket_folder = (longest.as_os_str().len() <= LONGEST_SOCKET_PATH).then_some(data);
        let cluster =
            Self { folder: folder.to_owned(), programs, password, temporary, socket_folder, _lock: lock };
        if let Some(tls) = &options.tls {
            write_private(&cluster.data().join("server.crt"), tls.certificate.as_bytes(), server_user())?;
            write_private(&cluster.data().join("server.key"), tls.key.as_bytes(), server_user())?;
        }
        Ok(cluster)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.folder.join(name)
    }

    pub(super) fn password(&self) -> &str {
        &self.password.0
    }

    pub(super) fn socket_folder(&self) -> Option<&Path> {
        self.socket_folder.as_deref()
    }

    pub(super) fn major(&self) -> u32 {
        self.programs.major
    }

    pub(super) fn description(&self) -> String {
        format!("PostgreSQL {} from {}", self.programs.version, self.programs.folder.display())
    }

    /// The port of the last start, so that a connection string somebody noted stays good.
    pub(super) fn last_port(&self) -> Option<u16> {
        fs::read_to_string(self.folder.join("port")).ok()?.trim().parse().ok()
    }

    pub(super) fn remember_port(&self, port: u16) -> Result<(), DevPostgresError> {
        let file = self.folder.join("port");
        fs::write(&file, port.to_string()).doing(|| format!("writing {}", file.display()))
    }
}

/// The user as whom the server has to run, when it cannot run as the current one.
pub(super) fn server_user() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(NOBODY)
}

/// A command for one of the server's programs: as the right user, with nothing of the caller's Postgres settings.
pub(super) fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    if let Some(user) = server_user() {
        command.uid(user).gid(user);
    }
    command
}

/// Whether any user may enter this folder.
pub(super) fn reachable_by_others(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    folder.ancestors().all(|part| fs::metadata(part).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

pub(super) fn default_folder(name: &str) -> Result<PathBuf, DevPostgresError> {
    if server_user().is_some() {
        return Ok(Path::new("/var/lib/pagerow").join(name));
    }
    Ok(home()?.data_dir().join("pagerow").join(name))
}

/// Where fetched programs are kept.
pub(super) fn cache_folder() -> Result<PathBuf, DevPostgresError> {
    if server_user().is_some() {
        return Ok(PathBuf::from("/var/cache/pagerow"));
    }
    Ok(home()?.cache_dir().join("pagerow"))
}

/// Which process holds the folder's database files, as Postgres itself notes it.
pub(super) fn postmaster(data: &Path) -> Option<Postmaster> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
    Some(Postmaster { pid, ready })
}

/// The first and the eighth line of `postmaster.pid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) ready: bool,
}

fn home() -> Result<impl BaseStrategy, DevPostgresError> {
    etcetera::choose_base_strategy().map_err(|error| DevPostgresError::Io {
        what: "finding the home folder".to_owned(),
        source: std::io::Error::other(error),
    })
}

fn durable_folder(folder: &Path) -> Result<PathBuf, DevPostgresError> {
    fs::create_dir_all(folder).doing(|| format!("creating {}", folder.display()))?;
    let folder = folder.canonicalize().doing(|| format!("finding {}", folder.display()))?;
    if server_user().is_some() && !reachable_by_others(&folder) {
        return Err(DevPostgresError::Unreachable(folder));
    }
    Ok(folder)
}

fn temporary_folder() -> Result<PathBuf, DevPostgresError> {
    let candidates = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let parent = candidates
        .iter()
        .filter_map(|folder| folder.canonicalize().ok())
        .find(|folder| server_user().is_none() || reachable_by_others(folder))
        .ok_or_else(|| DevPostgresError::Unreachable(std::env::temp_dir()))?;
    let folder = parent.join(format!("pagerow-{:08x}", rand::random::<u32>()));
    make_folder(&folder, 0o700)?;
    Ok(folder)
}

/// Two servers cannot have one folder, and two starts may not prepare it at once.
fn lock(folder: &Path) -> Result<File, DevPostgresError> {
    let file = folder.join("lock");
    let what = || format!("locking {}", file.display());
    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file).doing(what)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let process = postmaster(&folder.join("data")).map(|postmaster| postmaster.pid);
            Err(DevPostgresError::InUse { folder: folder.to_owned(), process })
        }
        Err(TryLockError::Error(source)) => Err(DevPostgresError::Io { what: what(), source }),
    }
}

/// A new folder that belongs to the server's user.
fn make_folder(folder: &Path, mode: u32) -> Result<(), DevPostgresError> {
    let what = || format!("creating {}", folder.display());
    DirBuilder::new().mode(mode).create(folder).doing(what)?;
    chown(folder, server_user(), server_user()).doing(what)
}

fn write_private(file: &Path, content: &[u8], owner: Option<u32>) -> Result<(), DevPostgresError> {
    let what = || format!("writing {}", file.display());
    let mut handle =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).doing(what)?;
    handle.set_permissions(fs::Permissions::from_mode(0o600)).doing(what)?;
    handle.write_all(content).doing(what)?;
    chown(file, owner, owner).doing(what)
}

/// The major version that made the database files, if there are any.
fn made_by(data: &Path) -> Result<Option<u32>, DevPostgresError> {
    let file = data.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DevPostgresError::Io { what: format!("reading {}", file.display()), source }),
    }
}

/// Makes the database files in a folder beside their place and moves them there when they are complete, so that a
/// start that was killed leaves nothing half made.
fn initialise(folder: &Path, programs: &Programs, temporary: bool) -> Result<Password, DevPostgresError> {
    let unfinished = folder.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).doing(|| format!("removing {}", unfinished.display()))?;
    }
    make_folder(&unfinished, 0o700)?;
    let password = Password(format!("{:032x}", rand::random::<u128>()));
    let handover = folder.join("password.handover");
    write_private(&handover, password.0.as_bytes(), server_user())?;
    let mut initdb = command(&programs.folder.join("initdb"), folder);
    initdb.arg("-D").arg(&unfinished).args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C"]);
    initdb.arg("--auth=scram-sha-256").arg("--pwfile").arg(&handover);
    if temporary {
        initdb.args(["--no-sync", "--wal-segsize=1"]);
    }
    let output = initdb.output();
    fs::remove_file(&handover).doing(|| format!("removing {}", handover.display()))?;
    let output = output.doing(|| format!("running {}", programs.folder.join("initdb").display()))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(DevPostgresError::Initdb { folder: folder.to_owned(), output });
    }
    write_private(&folder.join("password"), password.0.as_bytes(), None)?;
    let data = folder.join("data");
    fs::rename(&unfinished, &data)
        .doing(|| format!("moving the new database files to {}", data.display()))?;
    Ok(password)
}

/// A server whose starter was killed is on its way out: waits for it. What a killed server left behind is removed
/// when the process it names is no Postgres any more; anything else is somebody's running server.
fn await_previous_server(data: &Path, patience: Duration) -> Result<(), DevPostgresError> {
    let deadline = Instant::now() + patience;
    while let Some(postmaster) = postmaster(data) {
        if !is_postgres(postmaster.pid) {
            let file = data.join("postmaster.pid");
            return match fs::remove_file(&file) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(DevPostgresError::Io { what: format!("removing {}", file.display()), source })
                }
                _ => Ok(()),
            };
        }
        if Instant::now() >= deadline {
            let folder = data.parent().unwrap_or(data).to_owned();
            return Err(DevPostgresError::InUse { folder, process: Some(postmaster.pid) });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether the process is there and is a Postgres server, as far as the system tells.
fn is_postgres(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        return fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres");
    }
    Command::new("ps")
        .args(["-p", &pid.to_string(), "-o", "comm="])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

/// Opens the log, to let the server write at its end and to read what it wrote.
pub(super) fn open_log(cluster: &Cluster) -> Result<File, DevPostgresError> {
    let log = cluster.log();
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(&log)
        .doing(|| format!("opening {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_tells_process_and_readiness() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(postmaster(data.path()), None);
        let file = data.path().join("postmaster.pid");
        fs::write(&file, "4711\n/data\n1763660000\n5432\n/tmp\n127.0.0.1\n  1 2\nstarting\n").unwrap();
        assert_eq!(postmaster(data.path()), Some(Postmaster { pid: 4711, ready: false }));
        fs::write(&file, "4711\n/data\n1763660000\n5432\n/tmp\n127.0.0.1\n  1 2\nready   \n").unwrap();
        assert_eq!(postmaster(data.path()), Some(Postmaster { pid: 4711, ready: true }));
        fs::write(&file, "").unwrap();
        assert_eq!(postmaster(data.path()), None);
    }

    #[test]
    fn a_pid_file_of_a_process_that_is_no_postgres_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("postmaster.pid");
        fs::write(&file, format!("{}\n/data\n", std::process::id())).unwrap();
        await_previous_server(data.path(), Duration::ZERO).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_folder_below_a_closed_one_cannot_be_reached() {
        let permissions = fs::Permissions::from_mode(0o700);
        let closed = tempfile::Builder::new().permissions(permissions).tempdir().unwrap();
        let inside = closed.path().join("inside");
        fs::create_dir(&inside).unwrap();
        assert!(!reachable_by_others(&inside));
        assert!(!reachable_by_others(Path::new("/no/such/folder")));
        assert!(reachable_by_others(Path::new("/")));
    }

    #[test]
    fn the_password_is_not_shown() {
        assert_eq!(format!("{:?}", Password("secret".to_owned())), "Password(…)");
    }
}
