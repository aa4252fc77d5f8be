//! What stands on a page, as far as finding the databases among it needs.

use serde::{Deserialize, Deserializer};

use super::list::WireObject;

/// One block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Of a child database or page this is its own id.
    pub id: String,
    /// Notion's word: `child_database`, `paragraph`, …
    pub kind: String,
    /// Of a child database: its title.
    pub database_title: Option<String>,
    pub in_trash: bool,
}

impl WireObject for Child {
    const OBJECT: &'static str = "block";
}

impl<'de> Deserialize<'de> for Child {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Seen {
            object: String,
            id: String,
            #[serde(rename = "type")]
            kind: Option<String>,
            in_trash: Option<bool>,
            archived: Option<bool>,
            child_database: Option<Titled>,
        }
        #[derive(Deserialize)]
        struct Titled {
            title: Option<String>,
        }
        let seen = Seen::deserialize(deserializer)?;
        if seen.object != Self::OBJECT {
            return Err(serde::de::Error::custom("expected a block"));
        }
        Ok(Self {
            id: seen.id,
            kind: seen.kind.unwrap_or_default(),
            database_title: seen.child_database.and_then(|database| database.title),
            in_trash: seen.in_trash.or(seen.archived).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_told_from_other_blocks() {
        let child = |json: &str| serde_json::from_str::<Child>(json).unwrap();
        let database = child(
            r#"{"object":"block","id":"d","type":"child_database","in_trash":false,"child_database":{"title":"Suppliers"}}"#,
        );
        assert_eq!(
            (database.kind.as_str(), database.database_title.as_deref()),
            ("child_database", Some("Suppliers"))
        );
        let text = child(r#"{"object":"block","id":"p","type":"paragraph","paragraph":{"rich_text":[]}}"#);
        assert_eq!((text.database_title, text.in_trash), (None, false));
    }
}
