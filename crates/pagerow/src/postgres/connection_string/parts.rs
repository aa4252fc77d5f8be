//! Into which parts does a connection string fall, in both of its notations?

use super::ConnectionStringError;

/// The parts, decoded but not understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// At least one.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) database: Option<String>,
    /// Everything else, in the order given.
    pub(super) parameters: Vec<(String, String)>,
}

/// The sentence for everything that an unescaped character can cause.
const ESCAPE: &str = "if the password holds one of @ : / ? # [ ] %, write it percent-encoded (%40 %3A %2F %3F %23 %5B %5D %25)";

impl Parts {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let text = text.trim();
        // Quotes around the whole come along from shells and .env files.
        let unquoted = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let text = unquoted('"').or_else(|| unquoted('\'')).unwrap_or(text);
        if text.is_empty() {
            return Err(ConnectionStringError::Empty);
        }
        if let Some(placeholder) = placeholder(text) {
            return Err(ConnectionStringError::Placeholder(placeholder.to_owned()));
        }
        let given = match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) => from_url(rest)?,
            Some((scheme, _))
                if scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.:".contains(letter)) =>
            {
                return Err(ConnectionStringError::Scheme(scheme.to_owned()));
            }
            _ => from_keywords(text)?,
        };
        given.gather()
    }
}

/// What a notation gave, before names such as `host` were told from the other parameters.
#[derive(Default)]
struct Given {
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, Option<String>)>,
    database: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Given {
    fn gather(mut self) -> Result<Parts, ConnectionStringError> {
        let mut parts = Parts::default();
        let mut ports = None;
        for (name, value) in self.parameters {
            match name.as_str() {
                "user" => self.user = Some(value),
                "password" => self.password = Some(value),
                "dbname" => self.database = Some(value),
                "host" => self.hosts = value.split(',').map(|host| (host.to_owned(), None)).collect(),
                "port" => ports = Some(value),
                _ => parts.parameters.push((name, value)),
            }
        }
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        (parts.user, parts.password, parts.database) =
            (named(self.user), named(self.password), named(self.database));
        if let Some(ports) = ports {
            let ports: Vec<_> = ports.split(',').map(str::to_owned).collect();
            if self.hosts.is_empty() {
                self.hosts.push((String::new(), None));
            }
            if ports.len() != 1 && ports.len() != self.hosts.len() {
                return Err(ConnectionStringError::Malformed("it has another number of ports than of hosts"));
            }
            for (place, (_, port)) in self.hosts.iter_mut().enumerate() {
                *port = ports.get(place).or(ports.first()).cloned();
            }
        }
        if self.hosts.is_empty() {
            self.hosts.push((String::new(), None));
        }
        for (host, port) in self.hosts {
            let port = match port.as_deref() {
                None | Some("") => 5432,
                Some(digits) => digits.parse().map_err(|_| {
                    ConnectionStringError::Malformed(
                        "a port is not a number up to 65535; if it is part of the password, that holds a / or ? that has to be written as %2F or %3F",
                    )
                })?,
            };
            let host = if host.is_empty() { "localhost".to_owned() } else { host };
            parts.hosts.push((host, port));
        }
        Ok(parts)
    }
}

/// `[user[:password]@][host[:port][,…]][/database][?name=value[&…]]`
fn from_url(rest: &str) -> Result<Given, ConnectionStringError> {
    let mut given = Given::default();
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match rest.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (rest, None),
    };
    // An @ after the ? without one before it: the ? belongs to the password, and must not be taken for parameters.
    let torn = !authority.contains('@') && query.is_some_and(|query| query.contains('@'));
    if torn || authority.contains('#') || database.is_some_and(|name| name.contains(['/', '@'])) {
        return Err(ConnectionStringError::Malformed(ESCAPE));
    }
    given.database = database.map(decode).transpose()?;
    // The last one: an @ in a password is often left as it is, and cannot be part of a host.
    let hosts = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            given.user = Some(decode(user)?);
            given.password = password.map(decode).transpose()?;
            hosts
        }
        None => authority,
    };
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        given.hosts.push(host_and_port(host)?);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(ConnectionStringError::Malformed("a parameter after the ? has no value"));
        };
        given.parameters.push((decode(name)?, decode(value)?));
    }
    Ok(given)
}

fn host_and_port(text: &str) -> Result<(String, Option<String>), ConnectionStringError> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return Err(ConnectionStringError::Malformed("an IPv6 address has no closing ]"));
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((address.to_owned(), Some(port.to_owned()))),
            None if after.is_empty() => Ok((address.to_owned(), None)),
            None => Err(ConnectionStringError::Malformed(ESCAPE)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((decode(host)?, Some(port.to_owned()))),
        None => Ok((decode(text)?, None)),
    }
}

/// `name = value name = 'value with \' and spaces'`
fn from_keywords(text: &str) -> Result<Given, ConnectionStringError> {
    let mut given = Given::default();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        if letters.peek().is_none() {
            return Ok(given);
        }
        let mut name = String::new();
        while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && *letter != '=') {
            name.push(letter);
        }
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        if letters.next() != Some('=') {
            let problem =
                "it is neither postgres://USER:PASSWORD@HOST:PORT/DATABASE nor host=HOST user=USER …";
            return Err(ConnectionStringError::Malformed(problem));
        }
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let quoted = letters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match letters.next() {
                Some('\\') => value.extend(letters.next()),
                Some('\'') if quoted => break,
                Some(letter) if !quoted && letter.is_whitespace() => break,
                Some(letter) => value.push(letter),
                None if quoted => return Err(ConnectionStringError::Malformed("a ' has no closing '")),
                None => break,
            }
        }
        given.parameters.push((name, value));
    }
}

fn decode(text: &str) -> Result<String, ConnectionStringError> {
    let malformed = || ConnectionStringError::Malformed(ESCAPE);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(malformed()) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(malformed()) };
        bytes.push(high * 16 + low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// The words in brackets that providers put where the password belongs.
fn placeholder(text: &str) -> Option<&str> {
    let begin =
        ["[YOUR-PASSWORD]", "[YOUR_PASSWORD]", "<password>", "<PASSWORD>", "[PASSWORD]", "[password]"];
    begin.into_iter().find(|placeholder| text.contains(placeholder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Parts {
        Parts::parse(text).unwrap()
    }

    #[test]
    fn a_url_falls_into_its_parts() {
        let found = parts(
            "postgresql://postgres.ref:p%40ss@db.example.com:6543/postgres?pgbouncer=true&sslmode=require",
        );
        assert_eq!(found.user.as_deref(), Some("postgres.ref"));
        assert_eq!(found.password.as_deref(), Some("p@ss"));
        assert_eq!(found.hosts, [("db.example.com".to_owned(), 6543)]);
        assert_eq!(found.database.as_deref(), Some("postgres"));
        let parameters = [("pgbouncer", "true"), ("sslmode", "require")];
        assert_eq!(found.parameters, parameters.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_at_sign_in_a_password_needs_no_escape() {
        let found = parts("postgres://me:a@b@host/db");
        assert_eq!((found.password.as_deref(), found.hosts[0].0.as_str()), (Some("a@b"), "host"));
    }

    #[test]
    fn several_hosts_ipv6_and_sockets() {
        let found = parts("postgres://a:1,[::1]:2,%2Frun%2Fpg/db");
        let hosts = [("a", 1), ("::1", 2), ("/run/pg", 5432)];
        assert_eq!(found.hosts, hosts.map(|(host, port)| (host.to_owned(), port)));
        let found = parts("postgres:///db?host=/run/pg&port=5433&user=me");
        assert_eq!(found.hosts, [("/run/pg".to_owned(), 5433)]);
        assert_eq!(found.user.as_deref(), Some("me"));
    }

    #[test]
    fn keywords_with_quotes() {
        let found =
            parts(r"host=db.example.com port = 5433 password='a b\'c\\d' user=me dbname=x sslmode=require");
        assert_eq!(found.password.as_deref(), Some(r"a b'c\d"));
        assert_eq!(found.hosts, [("db.example.com".to_owned(), 5433)]);
        assert_eq!(found.parameters, [("sslmode".to_owned(), "require".to_owned())]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_quoting_the_password() {
        for text in [
            "postgres://me:se/cret@host/db",
            "postgres://me:secret%@host/db",
            "postgres://me:secret%zz@host/db",
            "postgres://me:se#cret@host/db",
            "postgres://me:se?cret@host/db",
            "postgres://me:a?secret=b@host/db",
            "secret",
            "password='secret",
        ] {
            let said = Parts::parse(text).unwrap_err().to_string();
            assert!(!said.contains("secret") && !said.contains("cret@"), "{text}: {said}");
        }
    }

    #[test]
    fn other_beginnings_and_placeholders_are_named() {
        let said = |text| Parts::parse(text).unwrap_err();
        assert_eq!(said("  "), ConnectionStringError::Empty);
        assert_eq!(said("mysql://root@host/db"), ConnectionStringError::Scheme("mysql".to_owned()));
        assert_eq!(
            said("jdbc:postgresql://host/db"),
            ConnectionStringError::Scheme("jdbc:postgresql".to_owned())
        );
        let pasted = "postgresql://postgres:[YOUR-PASSWORD]@db.abc.supabase.co:5432/postgres";
        assert_eq!(said(pasted), ConnectionStringError::Placeholder("[YOUR-PASSWORD]".to_owned()));
    }
}
