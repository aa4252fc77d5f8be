//! Which rows a data source has, in the orders that queries ask for, without looking at every row.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use uuid::Uuid;

use crate::{
    clock::{self, Millis},
    ids::PropertyId,
    rich_text,
    values::Value,
    world::Page,
};

/// A place in a time order: the minute shown, then the order of creation.
pub(crate) type Place = (Millis, u64);

type TextIndex = HashMap<PropertyId, HashMap<u64, Vec<Place>>>;

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Rows that queries list, by the minute of their creation.
    pub(crate) created: BTreeMap<Place, Uuid>,
    /// Rows that queries list, by the minute of their last edit.
    pub(crate) edited: BTreeMap<Place, Uuid>,
    /// Every row, trashed and archived ones too, by order of creation.
    pub(crate) all: BTreeMap<u64, Uuid>,
    /// Rows by a text's hash, for the properties that were asked for by `equals` before.
    texts: Mutex<TextIndex>,
    /// Older versions that lagging queries still see.
    pub(crate) stale: HashMap<Uuid, Vec<Stale>>,
}

/// What queries saw of a row before a write, and until when they go on seeing it.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) until: Millis,
    /// `None`: the row was not there.
    pub(crate) page: Option<Box<Page>>,
}

impl Clone for Index {
    fn clone(&self) -> Self {
        Self {
            created: self.created.clone(),
            edited: self.edited.clone(),
            all: self.all.clone(),
            texts: Mutex::default(),
            stale: self.stale.clone(),
        }
    }
}

impl Index {
    pub(crate) fn add(&mut self, page: &Page) {
        self.all.insert(page.seq, page.id);
        if !page.is_live() {
            return;
        }
        self.created.insert(created_place(page), page.id);
        self.edited.insert((clock::minute(page.edited), page.seq), page.id);
        for (property, texts) in lock(&mut self.texts) {
            if let Some(hash) = text_hash(page, property) {
                texts.entry(hash).or_default().push(created_place(page));
            }
        }
    }

    pub(crate) fn remove(&mut self, page: &Page) {
        self.all.remove(&page.seq);
        if !page.is_live() {
            return;
        }
        self.created.remove(&created_place(page));
        self.edited.remove(&(clock::minute(page.edited), page.seq));
        for (property, texts) in lock(&mut self.texts) {
            if let Some(hash) = text_hash(page, property)
                && let Some(places) = texts.get_mut(&hash)
            {
                places.retain(|place| *place != created_place(page));
                if places.is_empty() {
                    texts.remove(&hash);
                }
            }
        }
    }

    /// The rows whose text may equal `text`, in order of creation; built at the first question.
    pub(crate) fn with_text(
        &self,
        property: &PropertyId,
        text: &str,
        pages: &HashMap<Uuid, Page>,
    ) -> Vec<(Place, Uuid)> {
        let mut texts = self.texts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let of_property = texts.entry(property.clone()).or_insert_with(|| {
            let mut made: HashMap<u64, Vec<Place>> = HashMap::new();
            for (place, id) in &self.created {
                if let Some(hash) = pages.get(id).and_then(|page| text_hash(page, property)) {
                    made.entry(hash).or_default().push(*place);
                }
            }
            made
        });
        let mut places = of_property.get(&hash(text)).cloned().unwrap_or_default();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.created.get(&place).map(|id| (place, *id))).collect()
    }
}

pub(crate) fn created_place(page: &Page) -> Place {
    (clock::minute(page.created), page.seq)
}

fn lock(texts: &mut Mutex<TextIndex>) -> &mut TextIndex {
    texts.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn text_hash(page: &Page, property: &str) -> Option<u64> {
    match page.value(property)? {
        Value::Text(text) => Some(hash(text)),
        Value::RichText(items) => match items.as_slice() {
            [item] => Some(hash(item.text())),
            items => Some(hash(&rich_text::plain_text(items))),
        },
        _ => None,
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
