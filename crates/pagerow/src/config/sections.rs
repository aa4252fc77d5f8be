//! The sections that are there once: `[postgres]`, `[notion]`, `[serve]` and `[auth]`.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{reader::Reader, source::Setting};

/// `[postgres]`
#[derive(Clone, Debug)]
pub struct Postgres {
    pub url: Setting<SecretString>,
    /// A direct connection, for `LISTEN`.
    pub listen_url: Option<Setting<SecretString>>,
    /// The schema of pagerow's own tables.
    pub schema: String,
}

/// `[notion]`
#[derive(Clone, Debug)]
pub struct Notion {
    pub token: Setting<SecretString>,
    /// Without a slash at its end.
    pub base_url: String,
    pub requests_per_minute: u32,
    /// How long what was written may take to show in lists: so long a page that was not found may still turn up.
    pub doubt: Duration,
    /// Other programs write with the same token.
    pub shared_token: bool,
    /// How long one answer may take. Notion itself gives up after a minute.
    pub timeout: Duration,
    /// The verification token of webhooks, when it is known in advance.
    pub webhook_secret: Option<Setting<SecretString>>,
}

/// `[serve]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Host and port.
    pub listen: String,
}

/// `[auth]`: by which tokens users are known.
#[derive(Clone, Debug)]
pub struct Auth {
    pub keys: AuthKeys,
    pub issuer: Option<String>,
}

/// Where the keys come from that user tokens are checked with.
#[derive(Clone, Debug)]
pub enum AuthKeys {
    /// A Supabase project's address; its JWKS is found from there.
    Supabase(String),
    Jwks(String),
    /// A shared secret (HS256).
    Secret(SecretString),
}

pub(super) const BASE_URL: &str = "https://api.notion.com";
pub(super) const REQUESTS_PER_MINUTE: u32 = 180;
/// Lists were seen to be minutes behind; what is sent too early makes a second page.
pub(super) const DOUBT: Duration = Duration::from_secs(180);
pub(super) const TIMEOUT: Duration = Duration::from_secs(70);
pub(super) const OWN_SCHEMA: &str = "pagerow";
pub(super) const LISTEN: &str = "127.0.0.1:8080";

impl Postgres {
    pub(super) fn read(reader: Reader<'_>) -> Option<Self> {
        let url = required_secret(&reader, "url", "write url = \"env:DATABASE_URL\"", without_password);
        let listen_url = reader.secret_unless("listen_url", without_password);
        let schema = reader.text("schema");
        if let Some(schema) = &schema
            && (schema.is_empty() || schema.len() > 63 || schema.starts_with("pg_"))
        {
            reader.complain_at(
                &schema.place,
                "wrong_name",
                "schema",
                "`schema` takes a name of 1 to 63 bytes that does not begin with pg_".to_owned(),
            );
        }
        let schema = schema.map_or_else(|| OWN_SCHEMA.to_owned(), |schema| schema.value);
        reader.finish();
        Some(Self { url: url?, listen_url, schema })
    }
}

impl Notion {
    pub(super) fn read(reader: Reader<'_>) -> Option<Self> {
        let token = required_secret(&reader, "token", "write token = \"env:NOTION_API_KEY\"", |_| false);
        let base_url = address(&reader, "base_url").unwrap_or_else(|| BASE_URL.to_owned());
        let requests = reader.integer("requests_per_minute", 1..=100_000_000);
        let doubt = reader.duration("doubt");
        let shared_token = reader.boolean("shared_token").is_some_and(|shared| shared.value);
        let timeout = reader.duration("timeout");
        let webhook_secret = reader.secret("webhook_secret");
        reader.finish();
        let requests_per_minute =
            requests.and_then(|requests| u32::try_from(requests.value).ok()).unwrap_or(REQUESTS_PER_MINUTE);
        Some(Self {
            token: token?,
            base_url,
            requests_per_minute,
            doubt: doubt.map_or(DOUBT, |doubt| doubt.value),
            shared_token,
            timeout: timeout.map_or(TIMEOUT, |timeout| timeout.value),
            webhook_secret,
        })
    }
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: LISTEN.to_owned() }
    }
}

impl Serve {
    pub(super) fn read(reader: Reader<'_>) -> Self {
        let mut serve = Self::default();
        if let Some(listen) = reader.text("listen") {
            let port = listen
                .rsplit_once(':')
                .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok()).flatten());
            if port.is_some() {
                serve.listen = listen.value;
            } else {
                let message = "`listen` takes a host and a port, such as \"127.0.0.1:8080\"".to_owned();
                reader.complain_at(&listen.place, "wrong_address", "listen", message);
            }
        }
        reader.finish();
        serve
    }
}

impl Auth {
    pub(super) fn read(reader: Reader<'_>) -> Option<Self> {
        let supabase = address(&reader, "supabase_url").map(AuthKeys::Supabase);
        let jwks = address(&reader, "jwks_url").map(AuthKeys::Jwks);
        let secret = reader.secret("jwt_secret").map(|secret| AuthKeys::Secret(secret.value));
        let issuer = reader.text("issuer").map(|issuer| issuer.value);
        let named = ["supabase_url", "jwks_url", "jwt_secret"].iter().filter(|name| reader.has(name)).count();
        if named != 1 {
            let message = "[auth] takes exactly one of supabase_url, jwks_url and jwt_secret".to_owned();
            reader.complain_at(&reader.place().clone(), "wrong_auth", "supabase_url", message);
        }
        let keys = supabase.or(jwks).or(secret);
        reader.finish();
        Some(Self { keys: keys?, issuer })
    }
}

fn required_secret(
    reader: &Reader<'_>,
    name: &'static str,
    advice: &str,
    harmless: fn(&str) -> bool,
) -> Option<Setting<SecretString>> {
    if reader.has(name) {
        reader.secret_unless(name, harmless)
    } else {
        // Complains that it is missing.
        reader.required_text(name, advice).map(|setting| setting.map(SecretString::from))
    }
}

/// An address without user and password, without a slash at its end.
fn address(reader: &Reader<'_>, name: &'static str) -> Option<String> {
    let text = reader.text(name)?;
    let url =
        Url::parse(&text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    match url {
        Some(url) if url.username().is_empty() && url.password().is_none() => {
            Some(text.value.trim_end_matches('/').to_owned())
        }
        _ => {
            let message = format!(
                "`{name}` takes an address that begins with https:// (or http://) and holds no password"
            );
            reader.complain_at(&text.place, "wrong_address", name, message);
            None
        }
    }
}

/// Whether a connection string holds no password, and may stand in the file.
fn without_password(text: &str) -> bool {
    match Url::parse(text) {
        Ok(url) => {
            url.password().is_none()
                && !url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password"))
        }
        Err(_) => !text.to_lowercase().contains("password") && !text.contains('@'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_in_every_form() {
        assert!(without_password("postgres://me@host/db?sslmode=require"));
        assert!(without_password("host=/tmp dbname=x"));
        for with in [
            "postgres://me:pw@host/db",
            "postgresql://host/db?user=a&password=pw",
            "host=x password=pw",
            "postgres://me:p@[w@host/db",
        ] {
            assert!(!without_password(with), "{with}");
        }
    }
}
