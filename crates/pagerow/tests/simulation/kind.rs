//! The kinds of fields: how each is declared on both sides, what people put into it, and when two cells are the same.

use jiff::{SignedDuration, Timestamp, civil::Date};
use pagerow_core::{
    mapping::{ColumnKind, Options, PropertyKind},
    number::Number,
    record::{PageId, RowKey},
    value::{Ref, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::people::words;

/// A kind of field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Title,
    Text,
    Number,
    Check,
    Day,
    /// A point in time, of which Notion keeps no seconds.
    Moment,
    Choice,
    Tags,
    /// A foreign key, to the mapping that its own names.
    Refers,
}

const OPTIONS: [&str; 4] = ["red", "green", "blue", "grey"];

impl Kind {
    /// Column and property are called so.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Title => "Name",
            Self::Text => "Note",
            Self::Number => "Amount",
            Self::Check => "Done",
            Self::Day => "Due",
            Self::Moment => "Seen",
            Self::Choice => "Colour",
            Self::Tags => "Tags",
            Self::Refers => "Parent",
        }
    }

    pub(crate) fn column(self, refers: &str) -> ColumnKind {
        match self {
            Self::Title | Self::Text => ColumnKind::Text { max: None },
            Self::Number => ColumnKind::Integer { min: i64::from(i32::MIN), max: i64::from(i32::MAX) },
            Self::Check => ColumnKind::Bool,
            Self::Day => ColumnKind::Day,
            Self::Moment => ColumnKind::Instant,
            Self::Choice => ColumnKind::Choice { labels: OPTIONS.map(str::to_owned).to_vec() },
            Self::Tags => ColumnKind::List(Box::new(ColumnKind::Text { max: None })),
            Self::Refers => ColumnKind::Reference { mapping: refers.to_owned() },
        }
    }

    pub(crate) fn property(self, refers: &str) -> PropertyKind {
        let options =
            |may_grow| Options { names: OPTIONS.map(str::to_owned).to_vec(), may_grow, ordered: false };
        match self {
            Self::Title => PropertyKind::Title,
            Self::Text => PropertyKind::RichText,
            Self::Number => PropertyKind::Number,
            Self::Check => PropertyKind::Checkbox,
            Self::Day | Self::Moment => PropertyKind::Date,
            Self::Choice => PropertyKind::Select(options(false)),
            Self::Tags => PropertyKind::MultiSelect(options(true)),
            Self::Refers => PropertyKind::Relation { mapping: refers.to_owned(), single: true },
        }
    }

    /// The property as Notion is asked to make it. `source` is the related data source.
    pub(crate) fn schema(self, source: &str) -> Json {
        let options = || OPTIONS.map(|name| json!({ "name": name })).to_vec();
        match self {
            Self::Title => json!({"title": {}}),
            Self::Text => json!({"rich_text": {}}),
            Self::Number => json!({"number": {}}),
            Self::Check => json!({"checkbox": {}}),
            Self::Day | Self::Moment => json!({"date": {}}),
            Self::Choice => json!({"select": {"options": options()}}),
            Self::Tags => json!({"multi_select": {"options": options()}}),
            Self::Refers => json!({"relation": {
                "data_source_id": source, "type": "single_property", "single_property": {},
            }}),
        }
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Title | Self::Text)
    }

    /// What somebody puts into a cell of a table, of the values that are no text.
    pub(crate) fn value(self, number: u64, related: &[RowKey]) -> Value {
        match self {
            Self::Title | Self::Text => Value::Null,
            Self::Number => Value::Number(Number::from(whole(number % 1000) - 100)),
            Self::Check => Value::Bool(number.is_multiple_of(2)),
            Self::Day => Value::Day(day(number)),
            Self::Moment => Value::Instant(moment(number)),
            Self::Choice => Value::Text(option(number).to_owned()),
            Self::Tags => Value::List(tags(number).into_iter().map(Value::Text).collect()),
            Self::Refers => match related.get(place(number, related.len())) {
                Some(key) => Value::Ref(Ref::Row(key.clone())),
                None => Value::Null,
            },
        }
    }

    /// The same in a page, as the emulator takes it from people.
    pub(crate) fn json(self, number: u64, related: &[PageId]) -> Json {
        match self {
            Self::Title | Self::Text => Json::Null,
            Self::Number => json!(whole(number % 1000) - 100),
            Self::Check => json!(number.is_multiple_of(2)),
            Self::Day => json!(day(number).to_string()),
            Self::Moment => json!(moment(number / 60 * 60).to_string()),
            Self::Choice => json!(option(number)),
            Self::Tags => json!(tags(number)),
            Self::Refers => match related.get(place(number, related.len())) {
                Some(page) => json!([page.to_string()]),
                None => json!([]),
            },
        }
    }

    /// An emptied cell of a page.
    pub(crate) fn nothing(self) -> Json {
        match self {
            Self::Title | Self::Text => json!(""),
            Self::Check => json!(false),
            Self::Tags | Self::Refers => json!([]),
            Self::Number | Self::Day | Self::Moment | Self::Choice => Json::Null,
        }
    }

    /// Whether a cell of a table and one of a page, in plain words, are the same. `row_of` names a page's row.
    pub(crate) fn same(self, row: &Value, page: &Json, row_of: impl Fn(&str) -> Option<RowKey>) -> bool {
        let text = page.as_str().unwrap_or_default();
        let items = || page.as_array().cloned().unwrap_or_default();
        match (self, row) {
            (Self::Title | Self::Text, Value::Text(value)) => words(value) == words(text),
            (Self::Check, Value::Null) => page.as_bool() != Some(true),
            (Self::Check, Value::Bool(value)) => page.as_bool().unwrap_or(false) == *value,
            (Self::Tags | Self::Refers, Value::Null) => items().is_empty(),
            (_, Value::Null) => page.is_null() || text.is_empty() && page.is_string(),
            (Self::Number, Value::Number(value)) => page.as_f64() == value.as_exact_f64(),
            (Self::Day, Value::Day(value)) => text == value.to_string(),
            (Self::Moment, Value::Instant(value)) => text
                .parse::<Timestamp>()
                .is_ok_and(|shown| shown.as_second() == value.as_second().div_euclid(60) * 60),
            (Self::Choice, Value::Text(value)) => text == value,
            (Self::Tags, Value::List(values)) => {
                let mut here: Vec<String> =
                    items().iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
                let mut there: Vec<String> = values
                    .iter()
                    .map(|value| match value {
                        Value::Text(text) => text.clone(),
                        _ => String::new(),
                    })
                    .collect();
                here.sort();
                there.sort();
                there.dedup();
                here == there
            }
            (Self::Refers, Value::Ref(Ref::Row(key))) => match items().as_slice() {
                [only] => only["id"].as_str().and_then(row_of).as_ref() == Some(key),
                _ => false,
            },
            _ => false,
        }
    }
}

fn place(number: u64, length: usize) -> usize {
    usize::try_from(number).unwrap_or(0) % length.max(1)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}

fn option(number: u64) -> &'static str {
    OPTIONS[place(number, OPTIONS.len())]
}

fn tags(number: u64) -> Vec<String> {
    let names = OPTIONS.iter().enumerate().filter(|(at, _)| number >> at & 1 == 1);
    names.map(|(_, name)| (*name).to_owned()).collect()
}

fn day(number: u64) -> Date {
    Date::constant(2026, 1, 1).saturating_add(SignedDuration::from_hours(24 * whole(number % 400)))
}

fn moment(number: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_767_225_600 + whole(number % 40_000_000))
}
