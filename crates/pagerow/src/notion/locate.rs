//! Which data source a person means by an id or a link.

use super::client::NotionClient;
use super::error::NotionError;
use super::wire::DataSource;

/// The id in what a person pastes: an id with or without dashes, or a link to a page, database or data source.
/// With dashes and in lower case, as Notion wants it.
pub fn notion_id(text: &str) -> Option<String> {
    let text = text.trim();
    let place = text.split(['?', '#']).next().unwrap_or_default();
    let segment = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    // A link's last segment is a title with the id behind it; the title may end in hex digits too.
    let hex: Vec<char> =
        segment.chars().rev().filter(|c| *c != '-').take(32).collect::<Vec<_>>().into_iter().rev().collect();
    if hex.len() != 32 || !hex.iter().all(char::is_ascii_hexdigit) {
        return None;
    }
    let is_link = text.contains("://") || text.contains('/');
    if !is_link && segment.chars().filter(|c| *c != '-').count() != 32 {
        return None;
    }
    let mut id = String::with_capacity(36);
    for (at, digit) in hex.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit.to_ascii_lowercase());
    }
    Some(id)
}

impl NotionClient {
    /// The data source with its schema, from its own id or link, or those of a database that holds only one.
    pub async fn find_data_source(&self, id_or_link: &str) -> Result<DataSource, NotionError> {
        let id = notion_id(id_or_link)
            .ok_or_else(|| NotionError::Unsendable(format!("{id_or_link:?} holds no Notion id")))?;
        let not_shared = match self.data_source_get(&id).await {
            Err(error @ (NotionError::NotShared { .. } | NotionError::WrongKindOfId { .. })) => error,
            other => return other?.into_whole(),
        };
        let database = match self.database_get(&id).await {
            // It is no database either: what was said of the data source stands.
            Err(NotionError::NotShared { .. }) => return Err(not_shared),
            other => other?.into_whole()?,
        };
        match database.data_sources.as_slice() {
            [] => Err(not_shared),
            [only] => self.data_source_get(&only.id).await?.into_whole(),
            several => Err(NotionError::SeveralDataSources {
                database_id: id,
                data_source_ids: several.iter().map(|source| source.id.clone()).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_links_of_every_form() {
        let id = "cc34d676-8e58-40a0-9244-3b684b6ec105";
        for text in [
            id,
            " CC34D6768E5840A092443B684B6EC105 ",
            "https://www.notion.so/acme/Suppliers-cc34d6768e5840a092443b684b6ec105?v=9a93d3be9ef944718a181572525eb5b3",
            "https://www.notion.so/cc34d6768e5840a092443b684b6ec105#block",
            "https://app.notion.com/p/Decade-cc34d6768e5840a092443b684b6ec105/",
            "collection://cc34d676-8e58-40a0-9244-3b684b6ec105",
        ] {
            assert_eq!(notion_id(text).as_deref(), Some(id), "{text}");
        }
        for text in ["", "suppliers", "https://www.notion.so/acme/Suppliers", "cc34d676-8e58", "../users/me"]
        {
            assert_eq!(notion_id(text), None, "{text}");
        }
        assert_eq!(notion_id(&format!("abc{}", "0".repeat(32))), None, "too long for an id, and no link");
    }
}
