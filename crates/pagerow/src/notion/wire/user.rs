//! People, bots and groups, as far as the connection may see them.

use serde::{Deserialize, Deserializer};

use super::list::WireObject;
use super::opaque::Opaque;
use super::tagged::Text;

/// A user or group. Without the user capability only the id is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub name: Option<String>,
    pub avatar_url: Option<String>,
    pub kind: UserKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserKind {
    /// `email` is missing for guests and without the capability to read it.
    Person {
        email: Option<String>,
    },
    Bot(Bot),
    Group,
    /// Only an id was shown.
    Partial,
    Unknown(String),
}

/// A connection's own user, as `users/me` shows it; elsewhere all of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Bot {
    pub owner: Option<Opaque>,
    pub workspace_id: Option<String>,
    pub workspace_name: Option<String>,
    pub workspace_limits: Option<WorkspaceLimits>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct WorkspaceLimits {
    pub max_file_upload_size_in_bytes: Option<u64>,
}

impl User {
    /// The e-mail address, if this is a person who shows one.
    pub fn email(&self) -> Option<&str> {
        match &self.kind {
            UserKind::Person { email } => email.as_deref(),
            UserKind::Bot(_) | UserKind::Group | UserKind::Partial | UserKind::Unknown(_) => None,
        }
    }
}

impl WireObject for User {
    const OBJECT: &'static str = "user";
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seen = Seen::deserialize(deserializer)?;
        let kind = match (seen.object.as_ref().map(|t| &*t.0), seen.kind.as_ref().map(|t| &*t.0)) {
            (Some("group"), _) => UserKind::Group,
            (None | Some("user"), None) => UserKind::Partial,
            (None | Some("user"), Some("person")) => {
                UserKind::Person { email: seen.person.and_then(|person| person.email) }
            }
            (None | Some("user"), Some("bot")) => UserKind::Bot(seen.bot.unwrap_or_default()),
            (None | Some("user"), Some(other)) => UserKind::Unknown(other.to_owned()),
            (Some(_), _) => return Err(serde::de::Error::custom("expected a user or group")),
        };
        Ok(Self { id: seen.id, name: seen.name, avatar_url: seen.avatar_url, kind })
    }
}

#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    id: String,
    name: Option<String>,
    avatar_url: Option<String>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    person: Option<Person>,
    bot: Option<Bot>,
}

#[derive(Deserialize)]
struct Person {
    email: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(json: &str) -> User {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_kind_of_user_is_told_apart() {
        assert_eq!(user(r#"{"object":"user","id":"1"}"#).kind, UserKind::Partial);
        let person = user(
            r#"{"object":"user","id":"1","name":"A","type":"person","person":{"email":"a@example.com"}}"#,
        );
        assert_eq!(person.email(), Some("a@example.com"));
        let guest = user(r#"{"object":"user","id":"1","name":null,"type":"person","person":{}}"#);
        assert_eq!(guest.kind, UserKind::Person { email: None });
        assert_eq!(
            user(r#"{"object":"user","id":"1","type":"bot","bot":{}}"#).kind,
            UserKind::Bot(Bot::default())
        );
        assert_eq!(user(r#"{"object":"group","id":"1","name":"Team"}"#).kind, UserKind::Group);
        let agent = user(r#"{"object":"user","id":"1","type":"agent","agent":{}}"#);
        assert_eq!(agent.kind, UserKind::Unknown("agent".into()));
    }

    #[test]
    fn me_names_the_workspace_and_its_limits() {
        let me = user(
            r#"{"object":"user","id":"b","name":"Sync","avatar_url":null,"type":"bot","bot":{"owner":{"type":"workspace","workspace":true},
               "workspace_id":"w","workspace_name":"Acme","workspace_limits":{"max_file_upload_size_in_bytes":5242880}},"request_id":"r"}"#,
        );
        let UserKind::Bot(bot) = me.kind else { panic!("not a bot") };
        assert_eq!(bot.workspace_name.as_deref(), Some("Acme"));
        assert_eq!(bot.workspace_limits.unwrap().max_file_upload_size_in_bytes, Some(5_242_880));
    }
}
