//! What is bound anew once a person has taken what is there now.

use serde::Serialize;

use super::{Memories, Memory};
use crate::setup::found::{Found, SourceFound};

/// Something that was taken as it is now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "accepted", rename_all = "snake_case")]
pub enum Accepted {
    /// A field's column or property: what was settled through the old one is forgotten.
    Field { mapping: String, column: String },
    /// The present names of a property's options.
    Options { mapping: String, column: String },
}

impl Accepted {
    /// The mapping that it is about.
    #[must_use]
    pub fn mapping(&self) -> &str {
        match self {
            Self::Field { mapping, .. } | Self::Options { mapping, .. } => mapping,
        }
    }

    /// The column of which nothing that was settled holds any more.
    #[must_use]
    pub fn forgotten(&self) -> Option<&str> {
        match self {
            Self::Field { column, .. } => Some(column),
            Self::Options { .. } => None,
        }
    }

    /// Takes it out of what is remembered, so that it is bound anew.
    pub fn take(&self, memory: &mut Memory) {
        match self {
            Self::Field { column, .. } => {
                memory.columns.retain(|said, known| said != column && known.name != *column);
                if let Some(field) = memory.fields.remove(column) {
                    memory.properties.retain(|_, known| known.id != field.property);
                }
            }
            Self::Options { column, .. } => {
                let Some(field) = memory.fields.get(column) else { return };
                for known in memory.properties.values_mut().filter(|known| known.id == field.property) {
                    known.options.clear();
                }
            }
        }
    }
}

/// Everything that was shown as new is known from now on.
pub(in crate::setup) fn acquaint(memories: &mut Memories, found: &Found) {
    for (name, memory) in memories {
        if let Some(table) = found.tables.iter().find(|table| table.oid == memory.table_oid) {
            memory.seen_columns.extend(table.columns.iter().map(|column| column.number));
        }
        if let Some(SourceFound::Found(source)) = found.sources.get(name) {
            memory.seen_properties.extend(source.properties.iter().map(|p| p.id.decoded().into_owned()));
        }
    }
}

impl Found {
    /// What is remembered once this was accepted, and everything new was shown.
    #[must_use]
    pub fn remembered_after(&self, accepted: &[Accepted]) -> Memories {
        let mut memories = self.remembered.clone();
        for one in accepted {
            if let Some(memory) = memories.get_mut(one.mapping()) {
                one.take(memory);
            }
        }
        acquaint(&mut memories, self);
        memories
    }
}
