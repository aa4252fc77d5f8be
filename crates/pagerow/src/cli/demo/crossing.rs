//! One change that has crossed, as a line for people and an object for scripts.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use owo_colors::{OwoColorize as _, Stream};
use pagerow_core::{
    mapping::{Mapping, PropertyKind},
    plan::{Action, FieldWrite, Step},
    record::{PageId, Record, RowKey},
    side::Side,
    value::{Ref, Value},
};
use serde_json::{Value as Json, json};

use crate::{
    cli::render::{plan_json, plan_text, value},
    store::action_name,
};

/// A new record is told with so many of its fields.
const FIELDS_OF_NEW: usize = 4;

/// What records are called, by their titles; learnt from what crosses.
pub(super) struct Names {
    mappings: BTreeMap<String, Arc<Mapping>>,
    by_key: BTreeMap<(String, RowKey), String>,
    by_page: BTreeMap<(String, PageId), String>,
}

/// A change that has crossed.
#[derive(Debug)]
pub(super) struct Crossing {
    to: Side,
    mapping: String,
    action: Action,
    action_name: &'static str,
    key: Option<RowKey>,
    page: Option<PageId>,
    title: Option<String>,
    /// Column, before, after, as people read them.
    changes: Vec<(String, Option<String>, String)>,
    fields: Json,
    /// From the last look that did not show the change: how long it took at most.
    within: Duration,
}

impl Names {
    pub(super) fn new(mappings: impl IntoIterator<Item = Arc<Mapping>>) -> Self {
        let mappings = mappings.into_iter().map(|mapping| (mapping.name.clone(), mapping)).collect();
        Self { mappings, by_key: BTreeMap::new(), by_page: BTreeMap::new() }
    }

    /// Learns what a linked record is called.
    pub(super) fn learn(&mut self, mapping: &str, key: RowKey, page: PageId, record: &Record) {
        let Some(Value::Text(title)) = self.title_field(mapping).and_then(|field| record.get(field)) else {
            return;
        };
        self.by_key.insert((mapping.to_owned(), key), title.clone());
        self.by_page.insert((mapping.to_owned(), page), title.clone());
    }

    /// A step that was carried out; nothing for what only pagerow itself cares about (the key property).
    pub(super) fn tell(&mut self, mapping: &str, step: &Step, within: Duration) -> Option<Crossing> {
        let title = self.title_of(mapping, step);
        let written = |write: &&FieldWrite| !write.withheld;
        if step.action == Action::Update && !step.fields.iter().any(|write| written(&write)) {
            return None;
        }
        let known = self.mappings.get(mapping)?;
        let columns: Vec<String> = known.fields.iter().map(|field| field.column.clone()).collect();
        let changes = step.fields.iter().filter(written).filter_map(|write| {
            let field = known.fields.get(write.field)?;
            let say = |value: &Value| self.say(field.related(), value);
            if write.before.is_none() && write.after.is_null() {
                return None;
            }
            Some((field.column.clone(), write.before.as_ref().map(say), say(&write.after)))
        });
        Some(Crossing {
            to: step.side,
            mapping: mapping.to_owned(),
            action: step.action,
            action_name: action_name(step),
            key: step.key.clone(),
            page: step.page,
            title,
            changes: changes.collect(),
            fields: plan_json::fields(step, &columns),
            within,
        })
    }

    fn title_field(&self, mapping: &str) -> Option<usize> {
        let fields = &self.mappings.get(mapping)?.fields;
        fields.iter().position(|field| field.shows == PropertyKind::Title)
    }

    fn title_of(&mut self, mapping: &str, step: &Step) -> Option<String> {
        let field = self.title_field(mapping);
        let of = |id: &str| id.to_owned();
        let by_key = step.key.clone().map(|key| (of(mapping), key));
        let by_page = step.page.map(|page| (of(mapping), page));
        let written = step.fields.iter().find(|write| Some(write.field) == field && !write.withheld);
        let title = match written.map(|write| &write.after) {
            Some(Value::Text(title)) => Some(title.clone()),
            _ => None,
        };
        let title = title
            .or_else(|| self.by_key.get(by_key.as_ref()?).cloned())
            .or_else(|| self.by_page.get(by_page.as_ref()?).cloned())?;
        if let Some(name) = by_key {
            self.by_key.insert(name, title.clone());
        }
        if let Some(name) = by_page {
            self.by_page.insert(name, title.clone());
        }
        Some(title)
    }

    /// A value, where references are called by the titles of what they lead to.
    fn say(&self, related: Option<&str>, shown: &Value) -> String {
        let Some(related) = related else { return value::text(shown) };
        let title = |reference: &Value| match reference {
            Value::Ref(Ref::Row(key)) => self.by_key.get(&(related.to_owned(), key.clone())),
            Value::Ref(Ref::Page(page)) => self.by_page.get(&(related.to_owned(), *page)),
            _ => None,
        };
        let one = |reference: &Value| match title(reference) {
            Some(title) => value::text(&Value::Text(title.clone())),
            None => value::text(reference),
        };
        match shown {
            Value::Set(references) if !references.is_empty() => {
                references.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            other => one(other),
        }
    }
}

impl Crossing {
    /// For scripts.
    pub(super) fn json(&self, at: jiff::Timestamp) -> Json {
        json!({
            "to": self.to.name(),
            "mapping": self.mapping,
            "action": self.action_name,
            "key": self.key.as_ref().map(RowKey::as_str),
            "page_id": self.page.map(|page| page.to_string()),
            "title": self.title,
            "fields": self.fields,
            "within_seconds": (self.within.as_secs_f64() * 1000.0).round() / 1000.0,
            "at": at.to_string(),
        })
    }

    /// For people, in one line.
    pub(super) fn line(&self, clock: &str) -> String {
        let way = match self.to {
            Side::Notion => {
                "Postgres → Notion".if_supports_color(Stream::Stdout, |text| text.cyan()).to_string()
            }
            Side::Postgres => {
                "Notion → Postgres".if_supports_color(Stream::Stdout, |text| text.magenta()).to_string()
            }
        };
        let mut line = format!("{clock}  {way}  {}  {}", self.mapping, self.name());
        let _ = write!(line, "  {}", self.what());
        let within = format!("within {:.1} s", (self.within.as_secs_f64() * 10.0).ceil() / 10.0);
        let _ = write!(line, "  {}", within.if_supports_color(Stream::Stdout, |text| text.dimmed()));
        line
    }

    fn name(&self) -> String {
        let name = plan_text::name(self.key.as_ref(), self.page);
        match &self.title {
            // A row that is being made has no key yet, and a page's id says little.
            Some(title) if self.key.is_none() => value::text(&Value::Text(title.clone())),
            Some(title) => format!("{} ({name})", value::text(&Value::Text(title.clone()))),
            None => name,
        }
    }

    fn what(&self) -> String {
        let half = match self.to {
            Side::Notion => "page",
            Side::Postgres => "row",
        };
        let change = |(column, before, after): &(String, Option<String>, String)| match before {
            Some(before) => format!("{column}: {before} → {after}"),
            None => format!("{column}: {after}"),
        };
        match self.action {
            Action::Create => {
                let mut shown: Vec<String> = self.changes.iter().take(FIELDS_OF_NEW).map(change).collect();
                let more = self.changes.len() - shown.len();
                if more > 0 {
                    shown.push(format!("{more} more"));
                }
                if shown.is_empty() {
                    format!("new {half}, empty")
                } else {
                    format!("new {half}  {}", shown.join(", "))
                }
            }
            Action::Update => self.changes.iter().map(change).collect::<Vec<_>>().join(", "),
            Action::Trash if self.to == Side::Postgres => "row marked as deleted".to_owned(),
            Action::Trash => "page put in the trash".to_owned(),
            Action::Restore if self.to == Side::Postgres => "row no longer marked as deleted".to_owned(),
            Action::Restore => "page taken out of the trash".to_owned(),
            Action::Delete => format!("{half} deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pagerow_core::{
        mapping::{ColumnKind, Field, Flow, KeySource, OnPageTrashed, OnRowDeleted, Policy},
        number::Number,
        plan::{Because, Expect},
    };

    use super::*;

    fn field(column: &str, holds: ColumnKind, shows: PropertyKind) -> Field {
        Field {
            column: column.to_owned(),
            property: column.to_owned(),
            property_id: column.to_owned(),
            holds,
            shows,
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
            lens: None,
        }
    }

    fn names() -> Names {
        let relation = PropertyKind::Relation { mapping: "products".into(), single: true };
        let mapping = Mapping {
            name: "products".into(),
            fields: vec![
                field("name", ColumnKind::Text { max: None }, PropertyKind::Title),
                field("price", ColumnKind::Double, PropertyKind::Number),
                field("part_of", ColumnKind::Reference { mapping: "products".into() }, relation),
            ],
            direction: Flow::Both,
            on_conflict: Policy::Manual,
            on_row_deleted: OnRowDeleted::Trash,
            on_page_trashed: OnPageTrashed::SoftDelete,
            match_on: Vec::new(),
            key: KeySource::Generated,
            key_property: true,
        };
        Names::new([Arc::new(mapping)])
    }

    fn page() -> PageId {
        PageId(uuid::Uuid::from_u128(7))
    }

    fn write(field: usize, before: Option<Value>, after: Value) -> FieldWrite {
        FieldWrite { field, before, after, source: None, withheld: false, by: None }
    }

    fn step(side: Side, action: Action, key: Option<&str>, fields: Vec<FieldWrite>) -> Step {
        Step {
            wave: 0,
            side,
            action,
            link: None,
            key: key.map(Into::into),
            page: Some(page()),
            fields,
            mark: false,
            expect: Expect::Nothing,
            source: None,
            because: Because::Edited,
            whole: None,
        }
    }

    fn number(text: &str) -> Value {
        Value::Number(Number::parse(text).unwrap())
    }

    fn line(names: &mut Names, step: &Step) -> Option<String> {
        let crossing = names.tell("products", step, Duration::from_millis(412))?;
        // Colours depend on where the tests' output goes.
        let plain = crossing.line("12:00:00").replace("\u{1b}[36m", "").replace("\u{1b}[35m", "");
        Some(plain.replace("\u{1b}[2m", "").replace("\u{1b}[39m", "").replace("\u{1b}[0m", ""))
    }

    #[test]
    fn a_record_is_called_by_what_was_learnt() {
        let mut names = names();
        let new = vec![write(0, None, Value::Text("Blend".into())), write(1, None, Value::Null)];
        assert_eq!(
            line(&mut names, &step(Side::Postgres, Action::Create, None, new)).unwrap(),
            "12:00:00  Notion → Postgres  products  \"Blend\"  new row  name: \"Blend\"  within 0.5 s"
        );
        // The key goes to the page: nobody's news, but now the key has a name.
        assert_eq!(line(&mut names, &step(Side::Notion, Action::Update, Some("1"), Vec::new())), None);
        let part = write(2, Some(Value::Null), Value::Ref(Ref::Row("1".into())));
        let fields = vec![write(1, Some(number("1.5")), number("2")), part];
        assert_eq!(
            line(&mut names, &step(Side::Notion, Action::Update, Some("1"), fields)).unwrap(),
            "12:00:00  Postgres → Notion  products  \"Blend\" (1)  price: 1.5 → 2, part_of: nothing → \"Blend\"  within 0.5 s"
        );
    }

    #[test]
    fn what_is_only_remembered_is_not_told() {
        let withheld = FieldWrite { withheld: true, ..write(1, Some(number("1")), number("2")) };
        assert_eq!(line(&mut names(), &step(Side::Notion, Action::Update, Some("1"), vec![withheld])), None);
    }

    #[test]
    fn deletions_say_what_became_of_the_other_half() {
        let mut names = names();
        let mut says = |side, action| line(&mut names, &step(side, action, Some("1"), Vec::new())).unwrap();
        assert!(says(Side::Notion, Action::Trash).contains("page put in the trash"));
        assert!(says(Side::Postgres, Action::Trash).contains("row marked as deleted"));
        assert!(says(Side::Postgres, Action::Restore).contains("row no longer marked as deleted"));
        assert!(says(Side::Postgres, Action::Delete).contains("row deleted"));
        assert!(says(Side::Postgres, Action::Create).contains("new row, empty"));
    }

    #[test]
    fn scripts_get_plain_values() {
        let fields = vec![write(1, Some(number("1.5")), number("2"))];
        let step = step(Side::Notion, Action::Update, Some("1"), fields);
        let json = names().tell("products", &step, Duration::from_millis(412)).unwrap();
        let json = json.json("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(json["fields"], json!({ "price": { "before": 1.5, "after": 2 } }));
        assert_eq!((&json["to"], &json["within_seconds"]), (&json!("notion"), &json!(0.412)));
    }
}
