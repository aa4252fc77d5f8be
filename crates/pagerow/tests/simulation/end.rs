//! What has to be true when everything has become quiet.

use std::collections::{BTreeMap, BTreeSet};

use pagerow::engine::Depth;
use pagerow_core::{
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};
use serde_json::Value as Json;

use crate::{
    cast::Cast,
    people::{key_of, text_of, words},
    process::{Failure, run},
    script::Script,
};

/// Everything that is not as it has to be.
pub(crate) async fn violations(cast: &Cast, script: &Script) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..cast.mappings.len() {
        found.extend(differences(cast, at));
        found.extend(doubles(cast, at));
        found.extend(unfounded_deletions(cast, at));
    }
    found.extend(open_intents(cast));
    found.extend(lost_words(cast, script));
    found.extend(unrest(cast).await);
    found
}

/// Both sides equal, but for what is listed with a reason.
fn differences(cast: &Cast, at: usize) -> Vec<String> {
    let mapping = &cast.mappings[at];
    let excused = Excused::of(cast, &mapping.name);
    let pages: BTreeMap<PageId, Json> = cast.pages(at, false).into_iter().filter_map(with_id).collect();
    let mut found = Vec::new();
    let mut paired = BTreeSet::new();
    let links: BTreeMap<RowKey, PageId> = cast.server.look(|db| {
        let of = db.memory.links.values().filter(|link| link.mapping == mapping.name);
        of.map(|link| (link.key.clone(), link.page)).collect()
    });
    let rows = cast.server.look(|db| db.tables[&mapping.name].rows().clone());
    for (key, row) in rows.iter().filter(|(_, row)| !row.is_marked) {
        let page = links.get(key).and_then(|page| Some((*page, pages.get(page)?)));
        let Some((id, page)) = page else {
            if !excused.record(Some(key), links.get(key).copied()) {
                found.push(format!("row {key} of {} has no page", mapping.name));
            }
            continue;
        };
        paired.insert(id);
        if key_of(page) != Some(key.as_str()) {
            found.push(format!("page {id} does not carry the key {key}"));
        }
        for (place, field) in mapping.fields.iter().enumerate() {
            let (there, here) =
                (row.record.get(place).unwrap_or(&Value::Null), &page["values"][&field.property]);
            if !same(there, here) && !excused.field(key, id, &field.column) {
                found.push(format!(
                    "{}.{} of row {key} is {there:?}, and {here} on page {id}",
                    mapping.name, field.column
                ));
            }
        }
    }
    for (id, page) in pages.iter().filter(|(id, _)| !paired.contains(id)) {
        if !excused.record(key_of(page).map(RowKey::from).as_ref(), Some(*id)) {
            found.push(format!("page {id} of {} has no row", mapping.name));
        }
    }
    found
}

/// Whether a column's value and a property's, in plain words, are the same.
fn same(row: &Value, page: &Json) -> bool {
    match row {
        Value::Null => page.is_null() || page.as_str() == Some(""),
        Value::Text(text) => page.as_str().unwrap_or_default() == text,
        _ => false,
    }
}

/// What pagerow says of records that it cannot make equal.
struct Excused {
    names: Vec<(Option<RowKey>, Option<PageId>, String)>,
}

impl Excused {
    fn of(cast: &Cast, mapping: &str) -> Self {
        let names = cast.server.look(|db| {
            let conflicts = db.memory.conflicts.values().filter(|row| !row.is_closed).map(|row| &row.open);
            let conflicts = conflicts
                .filter(|open| open.mapping == mapping)
                .map(|open| (open.conflict.key.clone(), open.conflict.page, open.column.clone()));
            let parked = db.memory.parked.values().map(|row| &row.record);
            let parked = parked
                .filter(|record| record.mapping == mapping)
                .map(|record| (record.key.clone(), record.page, record.column.clone()));
            conflicts.chain(parked).collect()
        });
        Self { names }
    }

    fn is_named(&self, key: Option<&RowKey>, page: Option<PageId>, column: Option<&str>) -> bool {
        self.names.iter().any(|(of_key, of_page, of_column)| {
            let is_it =
                (of_key.is_some() && of_key.as_ref() == key) || (of_page.is_some() && *of_page == page);
            is_it && (of_column.is_empty() || column == Some(of_column))
        })
    }

    fn record(&self, key: Option<&RowKey>, page: Option<PageId>) -> bool {
        self.is_named(key, page, None)
    }

    fn field(&self, key: &RowKey, page: PageId, column: &str) -> bool {
        self.is_named(Some(key), Some(page), Some(column))
    }
}

/// At most one live page for a row's key, and no link without both halves that nobody speaks of.
fn doubles(cast: &Cast, at: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for page in cast.pages(at, false) {
        let (Some(key), Some(id)) = (key_of(&page), page["id"].as_str()) else { continue };
        if let Some(other) = owners.insert(key.to_owned(), id.to_owned()) {
            found.push(format!("pages {other} and {id} both carry the key {key}"));
        }
    }
    found
}

/// No step of which nobody knows what became of it.
fn open_intents(cast: &Cast) -> Vec<String> {
    cast.server.look(|db| {
        let open = db.memory.steps.iter().filter(|(_, step)| step.status.is_open());
        open.map(|((run, seq), step)| format!("step {seq} of run {run} is still {:?}", step.status)).collect()
    })
}

/// Nothing is gone on one side that nobody removed on the other.
fn unfounded_deletions(cast: &Cast, at: usize) -> Vec<String> {
    let mut owners: BTreeMap<PageId, RowKey> = BTreeMap::new();
    cast.server.look(|db| {
        for step in db.memory.steps.values().filter(|step| step.mapping == cast.mappings[at].name) {
            owners.extend(step.page.zip(step.step.key.clone()));
        }
    });
    let mut found = Vec::new();
    for (id, _) in cast.pages(at, true).into_iter().filter_map(with_id) {
        let of_row = owners.get(&id).is_some_and(|key| cast.ledger.is_removed(key.as_str()));
        if !of_row && !cast.ledger.is_removed(&id.to_string()) {
            found.push(format!("page {id} is in the trash, and nobody removed it or its row"));
        }
    }
    found
}

/// Every word that somebody wrote is on both sides, or was taken away by somebody who had seen it, or can be restored
/// from a record.
fn lost_words(cast: &Cast, script: &Script) -> Vec<String> {
    let mut on_rows: BTreeSet<String> = BTreeSet::new();
    let mut on_pages: BTreeSet<String> = BTreeSet::new();
    let mut kept = String::new();
    for (at, mapping) in cast.mappings.iter().enumerate() {
        cast.server.look(|db| {
            for row in db.tables[&mapping.name].rows().values() {
                for value in row.record.values() {
                    on_rows.extend(words(&text_of(value.as_ref())).into_iter().map(str::to_owned));
                }
            }
        });
        for page in cast.pages(at, false) {
            for value in page["values"].as_object().into_iter().flat_map(|values| values.values()) {
                on_pages.extend(words(value.as_str().unwrap_or_default()).into_iter().map(str::to_owned));
            }
        }
        // A page in the trash can be taken out of it.
        cast.pages(at, true).iter().for_each(|page| kept.push_str(&page.to_string()));
    }
    cast.server.look(|db| {
        for step in db.memory.steps.values() {
            kept.push_str(&serde_json::to_string(&step.step).unwrap_or_default());
        }
        for row in db.memory.conflicts.values() {
            kept.push_str(&serde_json::to_string(&row.open.conflict).unwrap_or_default());
        }
        for row in db.memory.parked.values() {
            kept.push_str(&format!("{:?}", row.record.value));
        }
    });
    let kept: BTreeSet<&str> = kept.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut found = Vec::new();
    for (name, word) in cast.ledger.words() {
        let is_safe = (on_rows.contains(&name) && on_pages.contains(&name))
            || word.is_superseded
            || kept.contains(name.as_str());
        if is_safe {
            continue;
        }
        // Notion has no conditional write: what is written to a page between pagerow's last look at it and its write is
        // not promised to survive.
        let blind = 2_500 + script.world.lag;
        let property = cast.property_id(&word.cell);
        if word.side == Side::Notion && cast.ledger.was_overtaken(&word.record, property, word.at, blind) {
            cast.stage.count("an edit fell into the gap of an unconditional write");
            continue;
        }
        found.push(format!("the word {name} is lost: {word:?}"));
    }
    found
}

/// A further run makes hardly a call, and no write.
async fn unrest(cast: &Cast) -> Vec<String> {
    let mut engine = cast.engine();
    let mut found = Vec::new();
    for depth in [Depth::Changes, Depth::Everything] {
        match run(cast, &mut engine, depth, None).await {
            Ok(true) => {}
            Ok(false) => found.push(format!("a further look at {depth:?} still finds something to do")),
            Err(Failure::Stopped(_)) => {
                found.push(format!("a further look at {depth:?} is stopped by a guard"))
            }
            Err(Failure::Other(error)) => found.push(format!("a further look at {depth:?} fails: {error}")),
        }
    }
    found
}

impl Cast {
    /// By its name, which is the same in every data source.
    fn property_id(&self, name: &str) -> &str {
        let fields = &self.mappings[0].fields;
        fields.iter().find(|field| field.property == name).map_or("", |field| &field.property_id)
    }
}

fn with_id(page: Json) -> Option<(PageId, Json)> {
    Some((PageId::parse(page["id"].as_str()?)?, page))
}
