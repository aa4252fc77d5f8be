//! What does a connection string ask of encryption, and what has the server to prove?

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_postgres::config::{Host, SslMode};

use super::{ConnectionString, ConnectionStringError, bad};

/// What a server has to show before it gets the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::postgres) enum ServerCheck {
    /// Nothing is encrypted.
    Off,
    /// Encryption, with whomever.
    Nothing,
    /// A certificate of a known authority.
    Authority,
    /// A certificate of a known authority for this host.
    AuthorityAndName,
}

/// A client certificate with its key.
pub(in crate::postgres) struct Identity {
    pub(in crate::postgres) chain: Vec<CertificateDer<'static>>,
    pub(in crate::postgres) key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// What the parameters say about encryption, before it is known what they mean together.
#[derive(Default)]
pub(super) struct Security {
    pub(super) mode: Option<String>,
    pub(super) ssl: Option<bool>,
    pub(super) root: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

impl Security {
    /// Decides what the server has to show, once everything about it is known.
    pub(super) fn decide(self, target: &mut ConnectionString) -> Result<(), ConnectionStringError> {
        let near = target.config.get_hosts().iter().all(is_this_machine)
            && target.config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let mut system_roots = false;
        match self.root.as_deref() {
            Some("system") => system_roots = true,
            Some(root) => target.authorities = Some(certificates("sslrootcert", root)?),
            None => {}
        }
        target.identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Identity {
                chain: certificates("sslcert", &certificate)?,
                key: PrivateKeyDer::from_pem_slice(&pem("sslkey", &key)?).map_err(|error| {
                    ConnectionStringError::Certificate { name: "sslkey", reason: error.to_string() }
                })?,
            }),
            (None, None) => None,
            _ => return Err(bad("sslcert", "given together with `sslkey`")),
        };
        let (check, mode) = match (self.mode.as_deref(), self.ssl) {
            (None, Some(false)) | (Some("disable"), _) => (ServerCheck::Off, SslMode::Disable),
            (None, None) if near && target.authorities.is_none() && !system_roots => {
                (ServerCheck::Nothing, SslMode::Prefer)
            }
            (None, _) | (Some("verify-full"), _) => (ServerCheck::AuthorityAndName, SslMode::Require),
            (Some("allow" | "prefer" | "require" | "verify-ca"), _) if system_roots => {
                return Err(bad("sslmode", "verify-full when `sslrootcert` is system"));
            }
            (Some("allow" | "prefer"), _) => (ServerCheck::Nothing, SslMode::Prefer),
            // As libpq does: a given authority is checked also where only encryption was asked for.
            (Some("require"), _) if target.authorities.is_some() => {
                (ServerCheck::Authority, SslMode::Require)
            }
            (Some("require"), _) => (ServerCheck::Nothing, SslMode::Require),
            (Some("verify-ca"), _) if target.authorities.is_some() => {
                (ServerCheck::Authority, SslMode::Require)
            }
            // Anybody can get a certificate of a public authority, so the name has to be checked as well.
            (Some("verify-ca"), _) => (ServerCheck::AuthorityAndName, SslMode::Require),
            (Some(_), _) => {
                return Err(bad("sslmode", "disable, allow, prefer, require, verify-ca or verify-full"));
            }
        };
        if !near {
            let address = target.address();
            match (check, mode) {
                (ServerCheck::Off, _) => target.warnings.push(format!(
                    "The connection to {address} is not encrypted: whoever is in between can read it and change it."
                )),
                (ServerCheck::Nothing, SslMode::Prefer) => target.warnings.push(format!(
                    "The connection to {address} is encrypted only if the server offers it, and the server does not have to prove who it is; sslmode=verify-full does both."
                )),
                (ServerCheck::Nothing, _) => target.warnings.push(format!(
                    "The connection to {address} is encrypted, but the server does not have to prove who it is; give its provider's certificate with sslrootcert, or sslmode=verify-full."
                )),
                (ServerCheck::Authority | ServerCheck::AuthorityAndName, _) => {}
            }
        }
        target.check = check;
        target.config.ssl_mode(mode);
        Ok(())
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// The content of a PEM file, or the PEM itself when that is what was given.
fn pem(name: &'static str, value: &str) -> Result<Vec<u8>, ConnectionStringError> {
    if value.contains("-----BEGIN") {
        // Environment variables often carry the line ends written out.
        return Ok(value.replace("\\n", "\n").into_bytes());
    }
    std::fs::read(Path::new(value))
        .map_err(|error| ConnectionStringError::Certificate { name, reason: format!("{value}: {error}") })
}

fn certificates(
    name: &'static str,
    value: &str,
) -> Result<Vec<CertificateDer<'static>>, ConnectionStringError> {
    let content = pem(name, value)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(ConnectionStringError::Certificate {
            name,
            reason: "it holds no certificate in PEM".to_owned(),
        }),
        Err(error) => Err(ConnectionStringError::Certificate { name, reason: error.to_string() }),
    }
}
