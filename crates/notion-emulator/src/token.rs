//! What a connection may do and see.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{ApiError, Result};

/// One connection, by its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    /// The user it acts as.
    pub(crate) bot: Uuid,
    pub(crate) name: String,
    pub(crate) capabilities: Capabilities,
    /// Pages and databases shared with it; what is inside is shared too.
    pub(crate) shared: HashSet<Uuid>,
    /// What was taken back further in.
    pub(crate) hidden: HashSet<Uuid>,
    pub(crate) revoked: bool,
    /// Whether it may make things at the top of the workspace: public connections only.
    pub(crate) is_public: bool,
    pub(crate) refresh_token: Option<String>,
    /// A person of the workspace, to whom nothing is hidden.
    #[serde(default)]
    pub(crate) sees_all: bool,
}

impl Token {
    /// A connection that sees nothing, for endpoints that know their client otherwise.
    pub(crate) fn nobody() -> Self {
        Self {
            token: String::new(),
            bot: Uuid::nil(),
            name: String::new(),
            capabilities: Capabilities::default(),
            shared: HashSet::new(),
            hidden: HashSet::new(),
            revoked: true,
            is_public: false,
            refresh_token: None,
            sees_all: false,
        }
    }

    /// A person at work in the app.
    pub(crate) fn person(user: Uuid) -> Self {
        Self { bot: user, name: "Notion".into(), sees_all: true, ..Self::nobody() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "capabilities are ticked one by one")]
pub(crate) struct Capabilities {
    pub(crate) read_content: bool,
    pub(crate) update_content: bool,
    pub(crate) insert_content: bool,
    pub(crate) read_comments: bool,
    pub(crate) insert_comments: bool,
    pub(crate) user_information: UserInformation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserInformation {
    None,
    WithoutEmail,
    WithEmail,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            read_content: true,
            update_content: true,
            insert_content: true,
            read_comments: true,
            insert_comments: true,
            user_information: UserInformation::WithEmail,
        }
    }
}

impl Capabilities {
    pub(crate) fn need_read(self) -> Result<()> {
        need(self.read_content)
    }

    pub(crate) fn need_update(self) -> Result<()> {
        need(self.update_content)
    }

    pub(crate) fn need_insert(self) -> Result<()> {
        need(self.insert_content)
    }

    pub(crate) fn need_read_comments(self) -> Result<()> {
        need(self.read_comments)
    }

    pub(crate) fn need_insert_comments(self) -> Result<()> {
        need(self.insert_comments)
    }

    pub(crate) fn need_users(self) -> Result<()> {
        need(self.user_information != UserInformation::None)
    }
}

fn need(granted: bool) -> Result<()> {
    if granted { Ok(()) } else { Err(ApiError::restricted()) }
}
