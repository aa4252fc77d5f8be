//! What does a connection string say, as people paste it from their provider, another program or libpq's manual?
//!
//! Accepts `postgres://…` and `host=… user=…` with libpq's parameters and meaning, and what Prisma and others add.
//! The one difference to libpq: without `sslmode`, a server on another machine has to prove who it is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio_postgres::config::{Host, SslNegotiation};

mod parts;
mod security;

use parts::Parts;
use security::Security;
pub(super) use security::{Identity, ServerCheck};

/// How long a host may take to answer when the connection string does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where and how to connect. Holds the password; neither `Debug` nor any error shows it.
#[derive(Clone)]
pub struct ConnectionString {
    pub(super) config: tokio_postgres::Config,
    pub(super) check: ServerCheck,
    pub(super) authorities: Option<Vec<CertificateDer<'static>>>,
    pub(super) identity: Option<Identity>,
    /// The most connections to keep open (`connection_limit`).
    pub pool_size: Option<usize>,
    /// How long to wait for one of them to become free (`pool_timeout`).
    pub pool_timeout: Option<Duration>,
    warnings: Vec<String>,
}

/// Why a connection string cannot be used. Quotes names of parameters, never what may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    #[error("the connection string is empty")]
    Empty,

    #[error("the connection string does not begin with postgres:// (it begins with {0}:)")]
    Scheme(String),

    #[error("the connection string still holds the placeholder {0}; put the password in its place")]
    Placeholder(String),

    #[error("the connection string cannot be read: {0}")]
    Malformed(&'static str),

    #[error("the connection string has an unknown parameter `{name}`{}", nearest.as_ref().map(|near| format!("; `{near}` is meant, perhaps")).unwrap_or_default())]
    UnknownParameter { name: String, nearest: Option<String> },

    #[error("the parameter `{name}` of the connection string cannot be used: {reason}")]
    Refused { name: String, reason: &'static str },

    #[error("the parameter `{name}` of the connection string must be {expected}")]
    BadValue { name: String, expected: &'static str },

    #[error("the certificate or key given as `{name}` cannot be used: {reason}")]
    Certificate { name: &'static str, reason: String },
}

impl ConnectionString {
    /// Reads a connection string. Certificates that it names are read from their files here.
    ///
    /// # Errors
    /// When anything in it is unknown, contradictory or cannot be honoured: nothing is ignored in silence.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let parts = Parts::parse(text)?;
        let mut config = tokio_postgres::Config::new();
        for (host, port) in &parts.hosts {
            config.host(host);
            config.port(*port);
        }
        if let Some(user) = &parts.user {
            config.user(user);
        }
        if let Some(password) = &parts.password {
            config.password(password);
        }
        if let Some(database) = &parts.database {
            config.dbname(database);
        }
        config.application_name("pagerow");
        config.connect_timeout(CONNECT_TIMEOUT);
        // A server that vanished without a word is noticed within a minute, and not after two hours.
        config.keepalives_idle(Duration::from_secs(30));
        config.keepalives_interval(Duration::from_secs(10));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(60));
        let mut parsed = Self {
            config,
            check: ServerCheck::AuthorityAndName,
            authorities: None,
            identity: None,
            pool_size: None,
            pool_timeout: None,
            warnings: Vec::new(),
        };
        let mut security = Security::default();
        for (name, value) in &parts.parameters {
            parsed.apply(name, value, &mut security)?;
        }
        security.decide(&mut parsed)?;
        Ok(parsed)
    }

    /// What a person should know before this is used, each in a sentence.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where the server is, for messages: `db.example.com:5432`.
    pub fn address(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(place, host)| {
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
            }
        });
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// The role, when the string names one.
    pub fn role(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database, when the string names one.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname()
    }

    fn apply(
        &mut self,
        name: &str,
        value: &str,
        security: &mut Security,
    ) -> Result<(), ConnectionStringError> {
        let seconds = || parse::<u64>(name, value, "a number of seconds").map(Duration::from_secs);
        match name {
            "sslmode" => security.mode = Some(value.to_owned()),
            "ssl" => security.ssl = Some(parse(name, value, "true or false")?),
            "sslrootcert" => security.root = Some(value.to_owned()),
            "sslcert" => security.certificate = Some(value.to_owned()),
            "sslkey" => security.key = Some(value.to_owned()),
            "sslnegotiation" => match value {
                "postgres" => drop(self.config.ssl_negotiation(SslNegotiation::Postgres)),
                "direct" => drop(self.config.ssl_negotiation(SslNegotiation::Direct)),
                _ => return Err(bad(name, "postgres or direct")),
            },
            "application_name" | "fallback_application_name" => {
                self.config.application_name(value);
            }
            "connect_timeout" => {
                // Libpq: zero waits for ever, one means two.
                let seconds: u64 = parse(name, value, "a number of seconds")?;
                let given = if seconds == 0 {
                    Duration::from_secs(3600)
                } else {
                    Duration::from_secs(seconds.max(2))
                };
                self.config.connect_timeout(given);
            }
            "keepalives" => {
                self.config.keepalives(parse::<u8>(name, value, "0 or 1")? != 0);
            }
            "keepalives_idle" => drop(self.config.keepalives_idle(seconds()?)),
            "keepalives_interval" => drop(self.config.keepalives_interval(seconds()?)),
            "keepalives_count" | "keepalives_retries" => {
                self.config.keepalives_retries(parse(name, value, "a number")?);
            }
            "tcp_user_timeout" => {
                let milliseconds = parse(name, value, "a number of milliseconds")?;
                self.config.tcp_user_timeout(Duration::from_millis(milliseconds));
            }
            "target_session_attrs" => {
                use tokio_postgres::config::TargetSessionAttrs as Wanted;
                self.config.target_session_attrs(match value {
                    "any" => Wanted::Any,
                    "read-write" | "primary" => Wanted::ReadWrite,
                    _ => return Err(bad(name, "any, read-write or primary: pagerow writes")),
                });
            }
            "load_balance_hosts" => {
                use tokio_postgres::config::LoadBalanceHosts as Order;
                self.config.load_balance_hosts(match value {
                    "disable" => Order::Disable,
                    "random" => Order::Random,
                    _ => return Err(bad(name, "disable or random")),
                });
            }
            "channel_binding" => {
                use tokio_postgres::config::ChannelBinding as Binding;
                self.config.channel_binding(match value {
                    "disable" => Binding::Disable,
                    "prefer" => Binding::Prefer,
                    "require" => Binding::Require,
                    _ => return Err(bad(name, "disable, prefer or require")),
                });
            }
            "hostaddr" => {
                for address in value.split(',') {
                    self.config.hostaddr(parse(name, address, "an IP address")?);
                }
            }
            "connection_limit" | "pool_max" | "max_pool_size" => {
                let limit = parse::<usize>(name, value, "a number from 1")?;
                if limit == 0 {
                    return Err(bad(name, "a number from 1"));
                }
                self.pool_size = Some(limit);
            }
            "pool_timeout" => self.pool_timeout = Some(seconds()?).filter(|wait| !wait.is_zero()),
            "options" => {
                return Err(refused(
                    name,
                    "poolers refuse it, and what it sets would hold for some of the work only; set it for the role instead (ALTER ROLE … SET …)",
                ));
            }
            "service" | "servicefile" | "passfile" | "krbsrvname" | "gsslib" | "sslcrl" | "sslcrldir"
            | "sslpassword" | "requirepeer" | "require_auth" => {
                let reason = "pagerow does not support it, and to ignore it could weaken what it asks for";
                return Err(refused(name, reason));
            }
            // What these ask for is how pagerow works anyway, or does not concern it.
            "pgbouncer"
            | "statement_cache_size"
            | "prepareThreshold"
            | "prepare_threshold"
            | "supa"
            | "workaround"
            | "uselibpqcompat"
            | "sslcompression"
            | "sslsni"
            | "tcpKeepAlive"
            | "binary_parameters"
            | "default_query_exec_mode" => {}
            "gssencmode" if value != "require" => {}
            "client_encoding" if matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "auto") => {
            }
            "gssencmode" => return Err(bad(name, "disable or prefer")),
            "client_encoding" => return Err(bad(name, "UTF8")),
            "schema"
            | "currentSchema"
            | "search_path"
            | "sslaccept"
            | "socket_timeout"
            | "socketTimeout"
            | "statement_timeout"
            | "max_idle_connection_lifetime"
            | "schemas" => {
                self.warnings
                    .push(format!("The parameter `{name}` of the connection string has no effect here."));
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectionString")
            .field("address", &self.address())
            .field("role", &self.role())
            .field("database", &self.database())
            .field("check", &self.check)
            .finish_non_exhaustive()
    }
}

/// Every parameter that has a meaning or is refused with a reason; for the nearest name to a misspelt one.
const KNOWN: [&str; 26] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "connection_limit",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "password",
    "pgbouncer",
    "pool_timeout",
    "port",
    "schema",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

fn parse<T: FromStr>(name: &str, value: &str, expected: &'static str) -> Result<T, ConnectionStringError> {
    value.parse().map_err(|_| bad(name, expected))
}

fn bad(name: &str, expected: &'static str) -> ConnectionStringError {
    ConnectionStringError::BadValue { name: name.to_owned(), expected }
}

fn refused(name: &str, reason: &'static str) -> ConnectionStringError {
    ConnectionStringError::Refused { name: name.to_owned(), reason }
}

fn unknown(name: &str) -> ConnectionStringError {
    // What is no name may be anything, the password included: a slip around `://` makes the whole text a parameter.
    let is_name = name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if !is_name {
        return ConnectionStringError::Malformed(
            "something before a = is no name of a parameter; does it begin with postgres://, and are the signs of the \
             password percent-encoded?",
        );
    }
    let nearest = KNOWN
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    ConnectionStringError::UnknownParameter {
        name: name.to_owned(),
        nearest: nearest.map(|(_, known)| known.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    fn parsed(text: &str) -> ConnectionString {
        ConnectionString::parse(text).unwrap()
    }

    fn decided(text: &str) -> (ServerCheck, SslMode, usize) {
        let parsed = parsed(text);
        (parsed.check, parsed.config.get_ssl_mode(), parsed.warnings.len())
    }

    #[test]
    fn a_slip_around_the_scheme_shows_no_password() {
        for text in [
            "postgres//ada:s3cr3t@db.example.com/shop?sslmode=require",
            "postgres:/ada:s3cr3t@db.example.com/shop?sslmode=require",
            "ada:s3cr3t@db.example.com/shop?sslmode=require",
        ] {
            let error = ConnectionString::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_server_elsewhere_has_to_prove_who_it_is_unless_told_otherwise() {
        use ServerCheck::{Authority, AuthorityAndName, Nothing, Off};
        use SslMode::{Disable, Prefer, Require};
        let there = "postgres://me:pw@db.example.com/db";
        assert_eq!(decided(there), (AuthorityAndName, Require, 0));
        assert_eq!(decided(&format!("{there}?sslmode=disable")), (Off, Disable, 1));
        assert_eq!(decided(&format!("{there}?sslmode=allow")), (Nothing, Prefer, 1));
        assert_eq!(decided(&format!("{there}?sslmode=prefer")), (Nothing, Prefer, 1));
        assert_eq!(decided(&format!("{there}?sslmode=require")), (Nothing, Require, 1));
        assert_eq!(decided(&format!("{there}?sslmode=verify-ca")), (AuthorityAndName, Require, 0));
        assert_eq!(decided(&format!("{there}?sslmode=verify-full")), (AuthorityAndName, Require, 0));
        assert_eq!(decided(&format!("{there}?ssl=true")), (AuthorityAndName, Require, 0));
        assert_eq!(decided(&format!("{there}?ssl=false")), (Off, Disable, 1));
        let authority = authority();
        let given =
            |mode: &str| decided(&format!("host=db.example.com sslmode={mode} sslrootcert='{authority}'"));
        assert_eq!(given("require"), (Authority, Require, 0));
        assert_eq!(given("verify-ca"), (Authority, Require, 0));
        assert_eq!(given("verify-full"), (AuthorityAndName, Require, 0));
        for near in
            ["postgres://localhost/db", "postgres://127.0.0.1/db", "postgres://[::1]/db", "host=/run/pg"]
        {
            assert_eq!(decided(near), (Nothing, Prefer, 0), "{near}");
        }
        assert_eq!(decided("postgres://localhost,db.example.com/db"), (AuthorityAndName, Require, 0));
        assert_eq!(decided("postgres://localhost/db?hostaddr=192.0.2.1"), (AuthorityAndName, Require, 0));
    }

    #[test]
    fn what_poolers_and_other_clients_add_is_understood() {
        let found = parsed(
            "postgresql://postgres.ref:pw@pooler.example.com:6543/postgres?pgbouncer=true&connection_limit=3&pool_timeout=7&application_name=mine",
        );
        assert_eq!((found.pool_size, found.pool_timeout), (Some(3), Some(Duration::from_secs(7))));
        assert_eq!(found.config.get_application_name(), Some("mine"));
        assert_eq!(found.address(), "pooler.example.com:6543");
        assert_eq!((found.role(), found.database()), (Some("postgres.ref"), Some("postgres")));
        assert_eq!(parsed("postgres://localhost/db?schema=public").warnings.len(), 1);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let said = |text: &str| ConnectionString::parse(text).unwrap_err().to_string();
        let options = said("postgres://localhost/db?options=-c%20timezone%3DUTC");
        assert!(options.contains("`options`") && options.contains("poolers"), "{options}");
        let misspelt = said("postgres://localhost/db?sslmod=disable");
        assert!(misspelt.contains("`sslmod`; `sslmode` is meant"), "{misspelt}");
        assert!(said("postgres://localhost/db?sslmode=on").contains("verify-full"));
        assert!(said("postgres://localhost/db?service=x").contains("`service`"));
        assert!(said("postgres://localhost/db?sslcert=x").contains("sslkey"));
        assert!(said("postgres://localhost/db?sslrootcert=/no/such/file").contains("/no/such/file"));
        assert!(said("postgres://localhost/db?sslmode=require&sslrootcert=system").contains("verify-full"));
        assert!(said("postgres://localhost/db?connection_limit=0").contains("connection_limit"));
    }

    #[test]
    fn nothing_shows_the_password() {
        let shown = format!("{:?}", parsed("postgres://me:secret@localhost/db"));
        assert!(!shown.contains("secret"), "{shown}");
    }

    fn authority() -> String {
        rcgen::generate_simple_self_signed(["db.example.com".to_owned()]).unwrap().cert.pem()
    }
}
