//! What has to be true when everything has become quiet.

use std::collections::{BTreeMap, BTreeSet};

use pagerow::engine::Depth;
use pagerow_core::{
    mapping::{Flow, Mapping, OnPageTrashed, OnRowDeleted, Policy},
    plan::{Action, ConflictKind},
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};
use serde_json::Value as Json;

use crate::{
    cast::Cast,
    model::table::Row,
    people::{Word, all_text, key_of, removed_row},
    process::{Failure, run},
    script::Script,
};

/// Everything that is not as it has to be.
pub(crate) async fn violations(cast: &Cast, script: &Script) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..cast.mappings.len() {
        let here = Here::of(cast, at);
        found.extend(here.differences());
        found.extend(here.doubles());
        found.extend(here.unfounded_deletions());
        found.extend(here.idle_questions());
    }
    found.extend(open_intents(cast));
    found.extend(lost_words(cast, script));
    found.extend(unrest(cast).await);
    found
}

/// One mapping at the end, as the two sides and pagerow's memory show it.
pub(crate) struct Here<'a> {
    cast: &'a Cast,
    at: usize,
    mapping: &'a Mapping,
    links: BTreeMap<RowKey, PageId>,
    pages: BTreeMap<PageId, Json>,
    trashed: BTreeMap<PageId, Json>,
    /// What pagerow says of records that it cannot make equal: the record and the column.
    excuses: Vec<(Option<RowKey>, Option<PageId>, String)>,
}

impl<'a> Here<'a> {
    pub(crate) fn of(cast: &'a Cast, at: usize) -> Self {
        let mapping = &*cast.mappings[at];
        let pages = |trashed| cast.pages(at, trashed).into_iter().filter_map(with_id).collect();
        let links = links(cast, &mapping.name);
        let excuses = cast.server.look(|db| {
            let conflicts = db.memory.conflicts.values().filter(|row| !row.is_closed).map(|row| &row.open);
            let conflicts = conflicts
                .filter(|open| open.mapping == mapping.name)
                .map(|open| (open.conflict.key.clone(), open.conflict.page, open.column.clone()));
            let parked = db.memory.parked.values().map(|row| &row.record);
            let parked = parked
                .filter(|record| record.mapping == mapping.name)
                .map(|record| (record.key.clone(), record.page, record.column.clone()));
            conflicts.chain(parked).collect()
        });
        Self { cast, at, mapping, links, pages: pages(false), trashed: pages(true), excuses }
    }

    /// 1: both sides equal, but for what is listed with a reason.
    fn differences(&self) -> Vec<String> {
        let name = &self.mapping.name;
        let keys: Vec<RowKey> = self.cast.server.look(|db| db.tables[name].rows().keys().cloned().collect());
        let mut found: Vec<String> = keys.iter().flat_map(|key| self.row_differences(key)).collect();
        let paired: BTreeSet<PageId> = keys
            .iter()
            .filter(|key| self.row(key).is_some())
            .filter_map(|key| self.links.get(key).copied())
            .collect();
        for (id, page) in self.pages.iter().filter(|(id, _)| !paired.contains(id)) {
            let key = key_of(page).map(RowKey::from);
            if !self.may_lack_row(*id, key.as_ref()) {
                found.push(format!("page {id} of {name} (key {key:?}) has no row"));
            }
        }
        found
    }

    fn row(&self, key: &RowKey) -> Option<Row> {
        let row = self.cast.server.look(|db| db.tables[&self.mapping.name].rows().get(key).cloned());
        row.filter(|row| !row.is_marked)
    }

    /// The same of one row, if it is there.
    pub(crate) fn row_differences(&self, key: &RowKey) -> Vec<String> {
        let (cast, name) = (self.cast, &self.mapping.name);
        let Some(row) = self.row(key) else { return Vec::new() };
        let page = self.links.get(key).copied();
        let Some((id, page)) = page.and_then(|id| Some((id, self.pages.get(&id)?))) else {
            let why = format!("row {key} of {name} has no page");
            return if self.may_lack_page(key, page) { Vec::new() } else { vec![why] };
        };
        let mut found = Vec::new();
        if key_of(page) != Some(key.as_str())
            && self.mapping.direction.reaches(Side::Notion)
            && !self.is_named(Some(key), Some(id), None)
        {
            found.push(format!("page {id} does not carry the key {key}"));
        }
        for (place, (field, spec)) in self.mapping.fields.iter().zip(&cast.specs[self.at].fields).enumerate()
        {
            let there = row.record.get(place).unwrap_or(&Value::Null);
            let here = &page["values"][&field.property];
            let row_of = |page: &str| self.row_of(field.related().unwrap_or_default(), page);
            let column = Some(field.column.as_str());
            // A new record does not take what only its other half may give, nor is it emptied for that.
            let is_kept = match field.flow {
                Flow::Both | Flow::Paused => false,
                Flow::ToNotion => there.is_null(),
                Flow::ToPostgres => spec.kind.same(&Value::Null, here, |_| None),
            };
            let is_same = is_kept || spec.kind.same(there, here, row_of);
            if !is_same && !self.is_named(Some(key), Some(id), column) {
                let column = &field.column;
                found.push(format!("{column} of row {key} of {name} is {there:?}, and {here} on page {id}"));
            }
        }
        found
    }

    fn may_lack_page(&self, key: &RowKey, page: Option<PageId>) -> bool {
        // A one-way mapping may not delete.
        let stays =
            self.mapping.on_page_trashed == OnPageTrashed::Keep || self.mapping.direction == Flow::ToNotion;
        let kept = stays && page.is_some_and(|page| self.trashed.contains_key(&page));
        kept || self.mapping.direction == Flow::ToPostgres
            || self.is_named(Some(key), page, None)
            || self.is_on_a_copy(key)
    }

    fn may_lack_row(&self, page: PageId, key: Option<&RowKey>) -> bool {
        let owner = self.links.iter().find(|(_, of)| **of == page).map(|(key, _)| key).or(key);
        let kept = self.mapping.on_row_deleted == OnRowDeleted::Keep
            && owner.is_some_and(|key| self.cast.ledger.is_removed(&removed_row(self.at, key)));
        // A one-way mapping may not delete.
        let one_way = self.mapping.direction != Flow::Both;
        kept || one_way
            || self.is_copy(page)
            || key.is_some_and(|key| self.is_on_a_copy(key) || self.is_back_too_late(page, key))
            || self.is_named(owner, Some(page), None)
    }

    /// Whether two pages carry this key, because somebody copied one: which of them is the row's is for a person to say.
    fn is_on_a_copy(&self, key: &RowKey) -> bool {
        let mut pages = self.pages.iter().chain(&self.trashed);
        pages.any(|(id, page)| self.is_copy(*id) && key_of(page) == Some(key.as_str()))
    }

    fn is_copy(&self, page: PageId) -> bool {
        self.cast.ledger.is_copy(&page.to_string())
    }

    /// Whether somebody put this page in the trash, or out of reach, before pagerow knew whose it is, and back again after
    /// another one was made: Notion lists neither.
    fn is_back_too_late(&self, page: PageId, key: &RowKey) -> bool {
        let (ledger, name) = (&self.cast.ledger, page.to_string());
        match self.links.get(key) {
            Some(other) => *other != page && (ledger.is_removed(&name) || ledger.was_hidden(&name)),
            // Both turned up before either was linked: which is the row's is for a person to say.
            None => ledger.was_hidden(&name),
        }
    }

    /// Whether pagerow names this record, or this column of it, as one that waits.
    fn is_named(&self, key: Option<&RowKey>, page: Option<PageId>, column: Option<&str>) -> bool {
        self.excuses.iter().any(|(of_key, of_page, of_column)| {
            let is_it =
                (of_key.is_some() && of_key.as_ref() == key) || (of_page.is_some() && *of_page == page);
            is_it && (of_column.is_empty() || column == Some(of_column))
        })
    }

    fn row_of(&self, mapping: &str, page: &str) -> Option<RowKey> {
        let page = PageId::parse(page)?;
        links(self.cast, mapping).into_iter().find(|(_, of)| *of == page).map(|(key, _)| key)
    }

    /// 1: nobody is asked about a field in which both sides show the same.
    fn idle_questions(&self) -> Vec<String> {
        let (cast, name) = (self.cast, &self.mapping.name);
        let rows = cast.server.look(|db| db.tables[name].rows().clone());
        let open = cast.server.look(|db| {
            let open = db.memory.conflicts.values().filter(|row| !row.is_closed && row.open.mapping == *name);
            open.map(|row| row.open.conflict.clone()).collect::<Vec<_>>()
        });
        let mut found = Vec::new();
        for conflict in open {
            let ConflictKind::Field { field: place, .. } = conflict.kind else { continue };
            let row = conflict.key.as_ref().and_then(|key| rows.get(key));
            let page = conflict.page.and_then(|id| self.pages.get(&id));
            if let (Some(row), Some(page)) = (row, page) {
                let field = &self.mapping.fields[place];
                let there = row.record.get(place).unwrap_or(&Value::Null);
                let here = &page["values"][&field.property];
                let row_of = |page: &str| self.row_of(field.related().unwrap_or_default(), page);
                // A trigger's capitals are another text.
                let is_text = matches!(there, Value::Text(text) if here.as_str() != Some(text));
                if !is_text && cast.specs[self.at].fields[place].kind.same(there, here, row_of) {
                    let (key, column) = (&conflict.key, &field.column);
                    found.push(format!(
                        "somebody is asked about {column} of {key:?} of {name}, which is {there:?} and {here}"
                    ));
                }
            }
        }
        found
    }

    /// 2: at most one live page for a row's key, but for those that people made by copying.
    fn doubles(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut owners: BTreeMap<&str, PageId> = BTreeMap::new();
        for (id, page) in self.pages.iter().filter(|(id, _)| !self.is_copy(**id)) {
            let Some(key) = key_of(page) else { continue };
            if self.is_back_too_late(*id, &RowKey::from(key)) {
                continue;
            }
            if let Some(other) = owners.insert(key, *id) {
                found.push(format!("pages {other} and {id} both carry the key {key}"));
            }
        }
        found
    }

    /// 3: nothing is gone on one side that nobody removed on the other.
    fn unfounded_deletions(&self) -> Vec<String> {
        let (cast, name) = (self.cast, &self.mapping.name);
        let mut names: BTreeMap<PageId, RowKey> = BTreeMap::new();
        let mut deleted: BTreeMap<RowKey, Option<PageId>> = BTreeMap::new();
        cast.server.look(|db| {
            for step in db.memory.steps.values().filter(|step| step.mapping == *name) {
                names.extend(step.page.zip(step.step.key.clone()));
                if let (Action::Delete | Action::Trash, Side::Postgres, Some(key)) =
                    (step.step.action, step.step.side, &step.step.key)
                {
                    deleted.insert(key.clone(), step.page);
                }
            }
        });
        let mut found = Vec::new();
        for id in self.trashed.keys() {
            let of_row = names.get(id).is_some_and(|key| cast.ledger.is_removed(&removed_row(self.at, key)));
            if !of_row && !cast.ledger.is_removed(&id.to_string()) {
                found.push(format!("page {id} of {name} is in the trash, and nobody removed it or its row"));
            }
        }
        let gone: Vec<RowKey> = cast.server.look(|db| {
            let there = |key: &RowKey| db.tables[name].rows().get(key).is_some_and(|row| !row.is_marked);
            cast.ledger.keys(name).into_iter().filter(|key| !there(key)).collect()
        });
        for key in gone {
            let of_page = deleted
                .get(&key)
                .is_some_and(|page| page.is_some_and(|page| cast.ledger.is_removed(&page.to_string())));
            // What the database refused was never there.
            let was_there = names.values().any(|of| *of == key);
            if was_there && !of_page && !cast.ledger.is_removed(&removed_row(self.at, &key)) {
                found.push(format!("row {key} of {name} is gone, and nobody removed it or its page"));
            }
        }
        found
    }
}

fn links(cast: &Cast, mapping: &str) -> BTreeMap<RowKey, PageId> {
    cast.server.look(|db| {
        let of = db.memory.links.values().filter(|link| link.mapping == mapping);
        of.map(|link| (link.key.clone(), link.page)).collect()
    })
}

/// 2: no step of which nobody knows what became of it.
fn open_intents(cast: &Cast) -> Vec<String> {
    cast.server.look(|db| {
        let open = db.memory.steps.iter().filter(|(_, step)| step.status.is_open());
        open.map(|((run, seq), step)| format!("step {seq} of run {run} is still {:?}", step.status)).collect()
    })
}

/// 4: every word that somebody wrote is there, or was taken away by somebody who had seen it, or can be restored from a
/// record. That what is there is on both sides is the first condition's business. Where a person is to decide which of
/// two edits counts, the history is no such record: nobody was asked.
fn lost_words(cast: &Cast, script: &Script) -> Vec<String> {
    let mut there = Words::default();
    for (at, mapping) in cast.mappings.iter().enumerate() {
        cast.server.look(|db| {
            db.tables[&mapping.name].rows().values().for_each(|row| there.take(&all_text(&row.record)));
        });
        // A page in the trash can be taken out of it.
        cast.pages(at, false)
            .iter()
            .chain(&cast.pages(at, true))
            .for_each(|page| there.take(&page.to_string()));
    }
    let mut history = Words::default();
    cast.server.look(|db| {
        for row in db.memory.conflicts.values() {
            let open = serde_json::to_string(&row.open.conflict).unwrap_or_default();
            if row.is_closed { &mut history } else { &mut there }.take(&open);
        }
        for row in db.memory.parked.values() {
            there.take(&format!("{:?}", row.record.value));
        }
        for step in db.memory.steps.values() {
            history.take(&serde_json::to_string(&step.step).unwrap_or_default());
        }
    });
    let mut found = Vec::new();
    for (name, word) in cast.ledger.words() {
        let is_kept = (!cast.asks_about(&word) || word.is_put_away()) && history.0.contains(&name);
        if word.is_superseded() || there.0.contains(&name) || is_kept {
            continue;
        }
        // Notion has no conditional write: what is written to a page between pagerow's last look at it and its write is
        // not promised to survive.
        let blind = 2_500 + script.world.lag;
        let property = cast.property_ids(word.cell);
        let overtaken = |id: &&str| cast.ledger.was_overtaken(&word.record, id, word.at, blind);
        if word.side == Side::Notion && property.iter().any(overtaken) {
            cast.stage.count("an edit fell into the gap of an unconditional write");
            continue;
        }
        found.push(format!("the word {name} is lost: {word:?}"));
    }
    found
}

/// Words that were found somewhere.
#[derive(Default)]
struct Words(BTreeSet<String>);

impl Words {
    fn take(&mut self, text: &str) {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        self.0.extend(words.map(str::to_lowercase));
    }
}

/// 5: a further run makes hardly a call, and no write.
async fn unrest(cast: &Cast) -> Vec<String> {
    let mut engine = cast.engine();
    let mut found = Vec::new();
    for depth in [Depth::Changes, Depth::Everything] {
        let mut ran = run(cast, &mut engine, depth, Vec::new()).await;
        if let Err(Failure::Stopped(names)) = ran {
            // Of a side that was emptied on purpose, what was refused is tried again as often as somebody lets it.
            ran = run(cast, &mut engine, depth, names).await;
        }
        match ran {
            Ok(ran) if ran.is_quiet => {}
            Ok(_) => found.push(format!("a further look at {depth:?} still finds something to do")),
            Err(Failure::Stopped(_)) => {
                found.push(format!("a further look at {depth:?} is stopped by a guard"));
            }
            Err(Failure::TooDense) => {}
            Err(Failure::Other(error)) => found.push(format!("a further look at {depth:?} fails: {error}")),
        }
    }
    found
}

impl Cast {
    /// Whether a person decides which of two edits of this cell counts.
    fn asks_about(&self, word: &Word) -> bool {
        let mapping = &self.mappings[word.table];
        let field = mapping.fields.iter().find(|field| field.property == word.cell);
        mapping.on_conflict == Policy::Manual
            && field.is_some_and(|field| field.flow == Flow::Both && field.wins.is_none())
    }

    /// The ids of the property of this name, one for each data source.
    fn property_ids(&self, name: &str) -> Vec<&str> {
        let fields = self.mappings.iter().flat_map(|mapping| &mapping.fields);
        fields.filter(|field| field.property == name).map(|field| field.property_id.as_str()).collect()
    }
}

fn with_id(page: Json) -> Option<(PageId, Json)> {
    Some((PageId::parse(page["id"].as_str()?)?, page))
}
