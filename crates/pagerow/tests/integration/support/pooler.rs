//! How does a test get a pooler in transaction mode in front of the shared server?

use std::fmt::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::postgres::{eventually, plain_client, server};

/// The pooler through which all worlds reach their databases, where `PAGEROW_TEST_POOLED` is set.
pub async fn shared() -> Option<&'static TransactionPooler> {
    static SHARED: OnceCell<Option<TransactionPooler>> = OnceCell::const_new();
    std::env::var_os("PAGEROW_TEST_POOLED")?;
    SHARED.get_or_init(|| TransactionPooler::start(8)).await.as_ref()
}

/// A running pgbouncer with few server connections for many clients. It goes with this value, or with this program.
pub struct TransactionPooler {
    keeper: Child,
    wanted: Option<ChildStdin>,
    port: u16,
    folder: tempfile::TempDir,
}

/// Ends the pooler when the pipe closes, so that it cannot outlive a killed test program.
const KEEPER: &str = r#""$@" </dev/null & pooler=$!; read -r word; kill -INT "$pooler"; wait "$pooler""#;

impl TransactionPooler {
    /// `None`, and a word on the terminal, where pgbouncer is neither installed nor can be.
    pub async fn start(server_connections: usize) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!(
                "SKIPPED: there is no pgbouncer on this machine; install it to run the tests of poolers"
            );
            return None;
        };
        let permissions = PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(permissions).tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users.txt");
        let mut config = String::new();
        write!(
            config,
            "[databases]\n* = host=127.0.0.1 port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {server_connections}\nmax_client_conn = 500\nadmin_users = postgres\n",
            server().port(),
            users.display(),
        )
        .unwrap();
        let config_file = folder.path().join("pgbouncer.ini");
        std::fs::write(&config_file, config).unwrap();
        std::fs::write(&users, format!("\"postgres\" \"{}\"\n", server().password())).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", KEEPER, "pooler"]).arg(program).arg(&config_file);
        if rustix::process::geteuid().is_root() {
            chown(&users, Some(65534), Some(65534)).unwrap();
            shell.uid(65534).gid(65534);
        }
        shell.current_dir("/").stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut keeper = shell.spawn().unwrap();
        let wanted = keeper.stdin.take();
        let pooler = Self { keeper, wanted, port, folder };
        eventually(&format!("pgbouncer answers; {}", pooler.log()), Duration::from_secs(20), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Some(pooler)
    }

    pub fn url(&self, database: &str) -> String {
        server().url(database).replace(&format!(":{}/", server().port()), &format!(":{}/", self.port))
    }

    /// Hangs up to a database, whose connections it otherwise keeps for whoever comes next. Nobody may be at work there.
    pub async fn hang_up(&self, database: &str) {
        let console = plain_client(&self.url("pgbouncer")).await;
        console.batch_execute(&format!("RECONNECT {database}")).await.unwrap();
    }

    /// What the pooler said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for TransactionPooler {
    fn drop(&mut self) {
        drop(self.wanted.take());
        self.keeper.wait().unwrap();
    }
}

fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(|| installed().or_else(install)).as_deref()
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

fn install() -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command.output().is_ok_and(|output| output.status.success())
    };
    let install = ["install", "-y", "-q", "--no-install-recommends", "pgbouncer"];
    let _ = apt_get(&install) || (apt_get(&["update", "-q"]) && apt_get(&install));
    installed()
}
