//! pgbouncer in transaction mode in front of the soup's Postgres.

use std::{
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// A running pooler. It goes with this value, or with this program.
#[derive(Debug)]
pub(crate) struct Pooler {
    keeper: Child,
    wanted: Option<ChildStdin>,
    pub(crate) port: u16,
}

/// Ends the pooler when the pipe closes.
const KEEPER: &str = r#""$@" </dev/null & pooler=$!; read -r word; kill -INT "$pooler"; wait "$pooler""#;

impl Pooler {
    /// A pooler for a server on this machine, with its files in `folder`.
    pub(crate) fn start(folder: &Path, server_port: u16, password: &str) -> Result<Self> {
        let program =
            program().context("there is no pgbouncer on this machine; install it, or leave --pooled out")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let users = folder.join("users.txt");
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 12\nmax_client_conn = 200\nserver_login_retry = 1\n",
            users.display()
        );
        let config_file = folder.join("pgbouncer.ini");
        std::fs::write(&config_file, config)?;
        std::fs::write(&users, format!("\"postgres\" \"{password}\"\n"))?;
        let log = std::fs::File::create(folder.join("pgbouncer.log"))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", KEEPER, "pooler"]).arg(program).arg(&config_file);
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root.
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
            chown(&users, Some(65534), Some(65534))?;
            shell.uid(65534).gid(65534);
        }
        shell.current_dir("/").stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut keeper = shell.spawn()?;
        let wanted = keeper.stdin.take();
        let pooler = Self { keeper, wanted, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("pgbouncer does not answer; see {}", folder.join("pgbouncer.log").display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.wanted.take());
        // It has ended, or nothing can be done about it.
        drop(self.keeper.wait());
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}
