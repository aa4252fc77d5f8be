//! A person at the command line: answers what is asked, and has tried again what is parked.

use std::sync::Arc;

use pagerow::{
    engine::{Answer, Engine, EngineError, Report, Resolution},
    store::OpenConflict,
};
use pagerow_core::{
    answer::{Take, Whole},
    plan::{Action, ConflictKind},
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::Value,
};
use serde_json::Value as Json;

use crate::{
    cast::{Cast, Modelled},
    end::Here,
    model::attention::{ConflictRow, RevisitRow},
    people::{all_text, page_text, removed_row},
    script::{Keeps, Wish},
};

/// What is to be in a field.
enum Stays {
    /// What this side shows.
    Of(Side),
    /// This text.
    Typed(String),
}

/// What a person saw and said.
struct Said {
    at: usize,
    key: RowKey,
    page: PageId,
    /// The field, and the side whose value stays, where it is not about a whole record.
    field: Option<(usize, Stays)>,
    /// What both sides showed.
    shown: Sides<Json>,
    since: u64,
}

impl Cast {
    /// Does what somebody wishes.
    pub(crate) async fn heed(&self, engine: &mut Engine<Modelled>, wish: &Wish) {
        match *wish {
            Wish::Retry => {
                let parked: Vec<_> =
                    self.server.look(|db| db.memory.parked.values().map(|row| row.record.clone()).collect());
                if !parked.is_empty() {
                    self.stage.count("what was parked was tried again");
                    self.tell_of("retry", &engine.retry(&parked).await);
                }
            }
            Wish::Answer { pick, keeps } => {
                let open: Vec<OpenConflict> = self.server.look(|db| {
                    let open = db.memory.conflicts.values().filter(|row| !row.is_closed);
                    open.map(|row| row.open.clone()).collect()
                });
                let Some(conflict) = open.get(usize::try_from(pick).unwrap_or(0) % open.len().max(1)) else {
                    return;
                };
                let Some((said, answer)) = self.say(conflict, keeps) else { return };
                self.stage.count("a question was answered");
                self.stage.tell(|| format!("somebody answers {conflict:?}: {answer:?}"));
                let resolution = Resolution { conflict: conflict.clone(), answer };
                let resolved = engine.resolve(&[resolution], None, None).await;
                self.tell_of("resolve", &resolved);
                if resolved.is_ok_and(|report| report.quiet) {
                    self.judge_answer(conflict.id, &said);
                }
            }
        }
    }

    fn tell_of(&self, what: &str, came: &Result<Report, EngineError>) {
        self.stage.tell(|| match came {
            Ok(report) => format!("{what}: {}", serde_json::to_string(report).unwrap_or_default()),
            Err(error) => format!("{what} failed: {error}"),
        });
    }

    /// What a person says who sees both sides: the words of the one that has to go are taken away by that.
    fn say(&self, open: &OpenConflict, keeps: Keeps) -> Option<(Said, Answer)> {
        let at = self.mappings.iter().position(|mapping| mapping.name == open.mapping)?;
        let (key, page) = (open.conflict.key.clone()?, open.conflict.page?);
        let kept = if keeps == Keeps::Pages { Side::Notion } else { Side::Postgres };
        let (row, page_now) = (self.row_text(at, &key), self.page_text(at, page));
        let (field, answer) = match &open.conflict.kind {
            ConflictKind::Field { field, values, .. } => {
                let column = &self.specs[at].fields[*field].kind;
                let text = |side: Side| match values.of(side) {
                    Value::Text(text) => text.clone(),
                    _ => String::new(),
                };
                if keeps == Keeps::Neither && column.is_text() {
                    let both = format!("{} {}", text(Side::Postgres), text(Side::Notion));
                    let new = self.ledger.typed(self.stage.elapsed(), at, &key, column.name(), &both);
                    (Some((*field, Stays::Typed(new.clone()))), Answer::Field(Take::Value(Value::Text(new))))
                } else {
                    self.ledger.take_away(&text(kept.other()));
                    (Some((*field, Stays::Of(kept))), Answer::Field(Take::Keep(kept)))
                }
            }
            ConflictKind::Deleted { on, .. } => {
                if kept == *on {
                    self.ledger.take_away(if kept == Side::Notion { &row } else { &page_now });
                }
                let removal = if self.specs[at].soft_delete { Action::Trash } else { Action::Delete };
                (None, Answer::Record(Whole::Keep { side: kept, removal }))
            }
        };
        let shown = self.shown(at, &key, page, field.as_ref().map(|(field, _)| *field));
        Some((Said { at, key, page, field, shown, since: self.stage.elapsed() }, answer))
    }

    /// Once an answer is carried out, nobody is asked any more, both sides show the same, and what was to stay stayed.
    fn judge_answer(&self, conflict: i64, said: &Said) {
        let Said { at, key, page, field, .. } = said;
        let is_open = |row: &Arc<ConflictRow>| !row.is_closed;
        // What could not be written is parked, and the question stays.
        if self.server.look(|db| db.memory.conflicts.get(&conflict).is_some_and(is_open)) {
            return;
        }
        if let Some((_, Stays::Typed(text))) = field {
            self.ledger.taken(text);
        }
        let touched = self.ledger.touched(&removed_row(*at, key)).max(self.ledger.touched(&page.to_string()));
        // What could not be read just then is kept for another look.
        let is_kept = self.server.look(|db| {
            let is_it = |row: &RevisitRow| row.key.as_ref() == Some(key) || row.page == Some(*page);
            db.memory.revisits.values().any(|row| row.mapping == self.mappings[*at].name && is_it(row))
        });
        if touched >= Some(said.since) || !self.judge.is_in_reach(said.since) || is_kept {
            return;
        }
        let Some((field, stays)) = field else { return };
        let column = format!("{} of row", self.mappings[*at].fields[*field].column);
        for difference in Here::of(self, *at).row_differences(key) {
            if difference.starts_with(&column) {
                self.stage.blame(format!("a question was answered, and all the same {difference}"));
            }
        }
        let now = self.shown(*at, key, *page, Some(*field));
        // A trigger may have put it into capitals.
        let text = |shown: &Json| shown.to_string().to_lowercase();
        if let Stays::Of(kept) = stays
            && text(said.shown.of(*kept)) != text(now.of(*kept))
        {
            self.stage.blame(format!("an answer changed what was to stay of {column} {key} in {kept}"));
        }
    }

    /// What both sides show in a field.
    fn shown(&self, at: usize, key: &RowKey, page: PageId, field: Option<usize>) -> Sides<Json> {
        let Some(field) = field else { return Sides::default() };
        let name = &self.mappings[at].name;
        let row = self.server.look(|db| {
            let row = db.tables[name].rows().get(key)?;
            serde_json::to_value(row.record.get(field)).ok()
        });
        let property = self.specs[at].fields[field].kind.name();
        let page = self.page_json(at, page).map(|page| page["values"][property].clone());
        Sides { postgres: row.unwrap_or_default(), notion: page.unwrap_or_default() }
    }

    fn page_json(&self, at: usize, page: PageId) -> Option<Json> {
        let is_it = |shown: &Json| shown["id"].as_str() == Some(page.to_string().as_str());
        self.pages(at, false).into_iter().find(is_it)
    }

    fn row_text(&self, at: usize, key: &RowKey) -> String {
        let name = &self.mappings[at].name;
        self.server
            .look(|db| db.tables[name].rows().get(key).map_or_else(String::new, |row| all_text(&row.record)))
    }

    fn page_text(&self, at: usize, page: PageId) -> String {
        self.page_json(at, page).map_or_else(String::new, |page| page_text(&page))
    }
}
