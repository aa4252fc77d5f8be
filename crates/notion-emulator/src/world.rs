//! What the workspace holds: people, connections, pages, databases, data sources, blocks and the rest.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    chance::Chance,
    clock::{Clock, Millis},
    ids::{self, PropertyId},
    index::Index,
    rich_text::{self, Item, Names},
    schema::{Kind, Property},
    token::Token,
    values::Value,
    webhooks::Hooks,
};

/// Everything that is saved, snapshotted and restored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) workspace_id: Uuid,
    pub(crate) workspace_name: String,
    /// The page that the first connection is shared with.
    pub(crate) parent_page_id: Uuid,
    /// The first connection's token.
    pub(crate) first_token: String,
    pub(crate) users: Vec<User>,
    pub(crate) tokens: HashMap<String, Arc<Token>>,
    pub(crate) pages: HashMap<Uuid, Page>,
    pub(crate) databases: HashMap<Uuid, Database>,
    pub(crate) sources: HashMap<Uuid, DataSource>,
    pub(crate) blocks: HashMap<Uuid, Block>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) uploads: BTreeMap<Uuid, Upload>,
    pub(crate) views: Vec<View>,
    pub(crate) tasks: HashMap<String, Json>,
    pub(crate) next_seq: u64,
    pub(crate) clock: Clock,
    pub(crate) caps: Caps,
    pub(crate) lag: Lag,
    pub(crate) hooks: Hooks,
    /// What happened to each page, once somebody has asked for it to be kept.
    #[serde(default)]
    pub(crate) history: Option<Vec<Happened>>,
}

/// One change of a page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) page: Uuid,
    pub(crate) at: Millis,
    pub(crate) by: Option<Uuid>,
    /// `created`, `changed`, `trashed` or `restored`.
    pub(crate) what: String,
    /// By column: what it was and what it became, as a person sees it.
    pub(crate) values: BTreeMap<String, (Json, Json)>,
}

/// Limits that tests lower.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Caps {
    /// Rows one query may return over all its pages.
    pub(crate) results: usize,
    /// Entries of a value shown inline in a page.
    pub(crate) inline: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { results: 10_000, inline: 25 }
    }
}

/// How far queries are behind the pages, drawn for each write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lag {
    pub(crate) min: Millis,
    pub(crate) max: Millis,
    pub(crate) chance: Chance,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) kind: UserKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserKind {
    Person,
    /// A person who is not listed, but may occur in values.
    Guest,
    Bot,
}

/// What a page, database or block is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Parent {
    Workspace,
    Page(Uuid),
    Block(Uuid),
    /// Rows.
    Source(Uuid),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) id: Uuid,
    /// Order of creation, over everything in the workspace.
    pub(crate) seq: u64,
    pub(crate) parent: Parent,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) edited_by: Uuid,
    pub(crate) icon: Option<Box<Json>>,
    pub(crate) cover: Option<Box<Json>>,
    pub(crate) in_trash: bool,
    pub(crate) is_archived: bool,
    pub(crate) is_locked: bool,
    /// What is not empty. A page that is no row has `title` alone.
    pub(crate) values: Vec<(PropertyId, Value)>,
    pub(crate) children: Vec<Uuid>,
    /// The `properties` object as a fully entitled connection sees it.
    #[serde(skip)]
    pub(crate) written: OnceLock<Box<str>>,
}

impl Page {
    pub(crate) fn value(&self, id: &str) -> Option<&Value> {
        self.values.iter().find(|(key, _)| &**key == id).map(|(_, value)| value)
    }

    /// Sets or, with `None`, empties a value.
    pub(crate) fn set(&mut self, id: &PropertyId, value: Option<Value>) {
        let found = self.values.iter().position(|(key, _)| key == id);
        match (found, value) {
            (Some(index), Some(value)) => self.values[index].1 = value,
            (Some(index), None) => {
                self.values.remove(index);
            }
            (None, Some(value)) => self.values.push((id.clone(), value)),
            (None, None) => {}
        }
        self.written = OnceLock::new();
    }

    pub(crate) fn title(&self) -> String {
        match self.value("title") {
            Some(Value::RichText(items)) => rich_text::plain_text(items),
            _ => String::new(),
        }
    }

    /// Whether queries list the row.
    pub(crate) fn is_live(&self) -> bool {
        !self.in_trash && !self.is_archived
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) id: Uuid,
    pub(crate) parent: Parent,
    pub(crate) title: Vec<Item>,
    pub(crate) description: Vec<Item>,
    pub(crate) is_inline: bool,
    pub(crate) in_trash: bool,
    pub(crate) is_locked: bool,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) edited_by: Uuid,
    pub(crate) icon: Option<Json>,
    pub(crate) cover: Option<Json>,
    pub(crate) sources: Vec<Uuid>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DataSource {
    pub(crate) id: Uuid,
    pub(crate) database: Uuid,
    pub(crate) title: Vec<Item>,
    pub(crate) description: Vec<Item>,
    pub(crate) icon: Option<Json>,
    pub(crate) in_trash: bool,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) edited_by: Uuid,
    /// Sorted by id with the title last, as answers show them.
    pub(crate) properties: Vec<Property>,
    #[serde(skip)]
    pub(crate) index: Index,
}

impl DataSource {
    /// Finds by name, raw id or encoded id; names go first.
    pub(crate) fn property(&self, key: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == key).or_else(|| {
            self.properties.iter().find(|property| &*property.id == key).or_else(|| {
                let raw = ids::decode(key);
                self.properties.iter().find(|property| *property.id == *raw)
            })
        })
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Property> {
        self.properties.iter().find(|property| &*property.id == id)
    }

    pub(crate) fn sort_properties(&mut self) {
        self.properties.sort_by(|one, two| {
            let key = |property: &Property| (matches!(property.kind, Kind::Title), property.id.clone());
            key(one).cmp(&key(two))
        });
    }

    /// In the order the columns were made, the title first: as people see them.
    pub(crate) fn shown(&self) -> Vec<&Property> {
        let mut shown: Vec<&Property> = self.properties.iter().collect();
        shown.sort_by_key(|property| (!matches!(property.kind, Kind::Title), property.order));
        shown
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) id: Uuid,
    pub(crate) parent: Parent,
    pub(crate) kind: String,
    /// The object under the type's key, without `children`.
    pub(crate) content: Json,
    pub(crate) children: Vec<Uuid>,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) edited_by: Uuid,
    pub(crate) in_trash: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: Uuid,
    pub(crate) discussion: Uuid,
    pub(crate) parent: Parent,
    pub(crate) text: Vec<Item>,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: Uuid,
    pub(crate) mode: String,
    pub(crate) status: String,
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) parts_expected: u64,
    #[serde(with = "crate::routes::file_uploads::parts")]
    pub(crate) parts: BTreeMap<u64, bytes::Bytes>,
    pub(crate) created: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) attached: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) id: Uuid,
    pub(crate) source: Uuid,
    pub(crate) database: Uuid,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) created: Millis,
    pub(crate) edited: Millis,
    pub(crate) created_by: Uuid,
    pub(crate) edited_by: Uuid,
    pub(crate) filter: Option<Json>,
    pub(crate) sorts: Option<Json>,
}

impl World {
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    pub(crate) fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    pub(crate) fn user(&self, id: Uuid) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The container of `id`, whatever `id` is.
    pub(crate) fn parent_of(&self, id: Uuid) -> Option<Uuid> {
        let parent = if let Some(page) = self.pages.get(&id) {
            page.parent
        } else if let Some(source) = self.sources.get(&id) {
            return Some(source.database);
        } else if let Some(database) = self.databases.get(&id) {
            database.parent
        } else {
            self.blocks.get(&id)?.parent
        };
        match parent {
            Parent::Workspace => None,
            Parent::Page(id) | Parent::Block(id) | Parent::Source(id) => Some(id),
        }
    }

    /// Whether a connection may see something: itself or something around it is shared, and nothing nearer is hidden.
    pub(crate) fn is_shared(&self, token: &Token, id: Uuid) -> bool {
        if token.sees_all {
            return true;
        }
        let mut at = Some(id);
        while let Some(id) = at {
            if token.hidden.contains(&id) {
                return false;
            }
            if token.shared.contains(&id) {
                return true;
            }
            at = self.parent_of(id);
        }
        false
    }

    /// Whether something or anything around it is in the trash.
    pub(crate) fn is_trashed(&self, id: Uuid) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            let trashed = self
                .pages
                .get(&id)
                .map(|page| page.in_trash)
                .or_else(|| self.sources.get(&id).map(|source| source.in_trash))
                .or_else(|| self.databases.get(&id).map(|database| database.in_trash))
                .or_else(|| self.blocks.get(&id).map(|block| block.in_trash));
            if trashed == Some(true) {
                return true;
            }
            at = self.parent_of(id);
        }
        false
    }

    /// The children of a page or block, where new ones are put.
    pub(crate) fn children_mut(&mut self, id: Uuid) -> Option<&mut Vec<Uuid>> {
        if let Some(page) = self.pages.get_mut(&id) {
            return Some(&mut page.children);
        }
        self.blocks.get_mut(&id).map(|block| &mut block.children)
    }

    pub(crate) fn children(&self, id: Uuid) -> &[Uuid] {
        if let Some(page) = self.pages.get(&id) {
            return &page.children;
        }
        self.blocks.get(&id).map_or(&[], |block| &block.children)
    }

    /// Data sources that a connection cannot see: relations to them disappear from its schemas.
    pub(crate) fn hidden_targets(&self, token: &Token, source: &DataSource) -> HashSet<Uuid> {
        source
            .properties
            .iter()
            .filter_map(|property| match &property.kind {
                Kind::Relation { source, .. } if !self.is_shared(token, *source) => Some(*source),
                _ => None,
            })
            .collect()
    }

    /// Forgets every page's written form, after something that many of them show has changed.
    pub(crate) fn forget_written(&mut self) {
        for page in self.pages.values_mut() {
            page.written = OnceLock::new();
        }
    }

    /// Rebuilds what is not saved, after loading.
    pub(crate) fn reindex(&mut self) {
        for source in self.sources.values_mut() {
            source.index = Index::default();
        }
        for page in self.pages.values() {
            if let Parent::Source(source) = page.parent
                && let Some(source) = self.sources.get_mut(&source)
            {
                source.index.add(page);
            }
        }
    }
}

impl Names for World {
    fn user_name(&self, id: &str) -> Option<String> {
        ids::parse_uuid(id).and_then(|id| self.user(id)).map(|user| user.name.clone())
    }

    fn page_title(&self, id: &str) -> Option<String> {
        let id = ids::parse_uuid(id)?;
        if let Some(page) = self.pages.get(&id) {
            return Some(page.title());
        }
        let title = self.databases.get(&id).map(|database| &database.title);
        title
            .or_else(|| self.sources.get(&id).map(|source| &source.title))
            .map(|title| rich_text::plain_text(title))
    }
}
