//! How does the server start, stop, and never outlive the process that wanted it?
//!
//! The server is the child of a tiny shell script, which holds the reading end of a pipe. The writing end is ours
//! alone: when it closes, because we stop the server, return from `main`, panic or are killed with signal 9, the
//! script asks the server for a fast shutdown, waits for it, and removes the folder if that was a temporary one.
//! (The parent-death signal would be an alternative on Linux; it fires as soon as the *thread* that started the
//! server ends, and other systems do not have it.)

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::DevOptions;
use super::cluster::{self, Cluster};
use super::error::{DevPostgresError, Doing};

/// `$1` is the temporary folder or empty, the rest is the server's command line.
///
/// A shell lets its background commands ignore the interrupt signal until they ask for it, so the watcher repeats
/// it until the server has set itself up far enough to hear it. The watcher's own descriptors are closed so that
/// nobody who waits for the end of the server's output waits for it.
const KEEPER: &str = r#"
temporary=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
  read -r word <&3
  while kill -INT "$server" 2>/dev/null; do sleep 0.2; done
) &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
if [ -n "$temporary" ]; then cd / && rm -rf -- "$temporary"; fi
exit "$status"
"#;

/// How often a start is tried when somebody else takes the free port first.
const ATTEMPTS: usize = 5;

/// The running script and, through it, the server.
#[derive(Debug)]
pub(super) struct Supervised {
    keeper: Child,
    /// Open as long as the server is wanted.
    wanted: Option<ChildStdin>,
    server: u32,
}

/// Starts the server of a prepared folder and waits until it takes connections. Returns its port too.
pub(super) fn start(cluster: &Cluster, options: &DevOptions) -> Result<(Supervised, u16), DevPostgresError> {
    let mut attempt = 1;
    loop {
        let port = match cluster.last_port() {
            Some(port) if attempt == 1 && is_free(port) => port,
            _ => free_port()?,
        };
        // Kept open: a temporary folder is gone by the time that a failed start is told of.
        let mut log = cluster::open_log(cluster)?;
        let begin = log.metadata().map_or(0, |metadata| metadata.len());
        match launch(cluster, options, port, &log) {
            Ok(supervised) => {
                cluster.remember_port(port)?;
                return Ok((supervised, port));
            }
            Err(reason) => {
                let tail = tail(&mut log, begin);
                if tail.contains("Address already in use") && attempt < ATTEMPTS {
                    attempt += 1;
                    continue;
                }
                return Err(match reason {
                    Failure::Ended(reason) => {
                        DevPostgresError::NotStarted { reason, log: cluster.log(), tail }
                    }
                    Failure::Error(error) => error,
                });
            }
        }
    }
}

impl Supervised {
    /// Asks for a fast shutdown and waits for it.
    pub(super) fn stop(&mut self, patience: Duration) -> Result<(), DevPostgresError> {
        if self.wanted.take().is_none() {
            return Ok(());
        }
        if self.ended_within(patience)?.is_some() {
            return Ok(());
        }
        if let Some(pid) = i32::try_from(self.server).ok().and_then(rustix::process::Pid::from_raw) {
            // Fails only when the server has just ended by itself, which is what is wanted.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        self.ended_within(Duration::from_secs(10))?;
        Err(DevPostgresError::NotStopped { seconds: patience.as_secs() })
    }

    fn ended_within(&mut self, patience: Duration) -> Result<Option<ExitStatus>, DevPostgresError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) =
                self.keeper.try_wait().doing(|| "waiting for the Postgres server".to_owned())?
            {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Duration::from_secs(30)) {
            tracing::warn!(%error, "a development Postgres did not stop cleanly");
        }
    }
}

enum Failure {
    /// The server ended instead of becoming ready.
    Ended(String),
    Error(DevPostgresError),
}

impl From<DevPostgresError> for Failure {
    fn from(error: DevPostgresError) -> Self {
        Self::Error(error)
    }
}

fn launch(cluster: &Cluster, options: &DevOptions, port: u16, log: &File) -> Result<Supervised, Failure> {
    let copy_of_log = || log.try_clone().doing(|| "opening the server's log".to_owned());
    let mut shell = cluster::command(Path::new("/bin/sh"), cluster.folder());
    shell.args(["-c", KEEPER, "pagerow-postgres"]);
    shell.arg(if cluster.temporary { cluster.folder().as_os_str() } else { "".as_ref() });
    shell.arg(cluster.program("postgres")).arg("-D").arg(cluster.data());
    for (name, value) in settings(cluster, options, port) {
        shell.arg("-c").arg(format!("{name}={value}"));
    }
    // A group of its own: Ctrl-C on a terminal reaches us, and we stop the server when we are done with it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(copy_of_log()?).stderr(copy_of_log()?);
    let mut keeper = shell.spawn().doing(|| "starting the Postgres server".to_owned())?;
    let wanted = keeper.stdin.take();
    let mut supervised = Supervised { keeper, wanted, server: 0 };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match cluster::postmaster(&cluster.data()) {
            Some(postmaster) if postmaster.ready => {
                supervised.server = postmaster.pid;
                return Ok(supervised);
            }
            // A server that has written its process id but is not ready yet may be repairing its data.
            Some(postmaster) => supervised.server = postmaster.pid,
            None => {}
        }
        if let Some(status) =
            supervised.keeper.try_wait().doing(|| "watching the Postgres server".to_owned())?
        {
            supervised.wanted = None;
            return Err(Failure::Ended(format!("it ended with {status}")));
        }
        if Instant::now() >= deadline {
            return Err(Failure::Ended("it was not ready after 60 s".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn settings(cluster: &Cluster, options: &DevOptions, port: u16) -> Vec<(String, String)> {
    let socket = cluster.socket_folder().map_or(String::new(), |folder| folder.display().to_string());
    let mut settings = vec![
        ("port", port.to_string()),
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("unix_socket_directories", format!("\"{}\"", socket.replace('"', "\"\""))),
        ("max_connections", "200".to_owned()),
        // What a failing statement held belongs to the user, and not into a log.
        ("log_min_error_statement", "panic".to_owned()),
        ("log_error_verbosity", "terse".to_owned()),
    ];
    if cluster.socket_folder().is_none() {
        settings[2].1.clear();
    }
    if !options.durable {
        let fast = ["fsync", "synchronous_commit", "full_page_writes"];
        settings.extend(fast.map(|name| (name, "off".to_owned())));
    }
    if options.tls.is_some() {
        settings.push(("ssl", "on".to_owned()));
    }
    let own = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(options.settings.iter().cloned()).collect()
}

fn free_port() -> Result<u16, DevPostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .doing(|| "finding a free port".to_owned())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// What the log says since this start, at most its last ten lines.
fn tail(log: &mut File, begin: u64) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = log.seek(SeekFrom::Start(begin)).and_then(|_| log.read_to_end(&mut bytes)) {
        return format!("it cannot be read ({error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_port_that_somebody_uses_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(taken);
        assert!(is_free(port));
    }

    #[test]
    fn the_tail_holds_only_what_this_start_said() {
        let mut log = tempfile::tempfile().unwrap();
        log.write_all(b"old\nnew\nnewer\n").unwrap();
        assert_eq!(tail(&mut log, 4), "new | newer");
        assert_eq!(tail(&mut log, 14), "");
    }
}
