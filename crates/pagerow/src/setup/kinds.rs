//! What can a column hold, and which kinds of property suit it?

use pagerow_core::mapping::{ColumnKind, Flow};

use super::tables::ColumnInfo;
use crate::config::PropertyWord;

/// What a column holds; the reason when nothing of it can be kept in Notion.
///
/// # Errors
/// A sentence about the type.
pub fn column_kind(column: &ColumnInfo) -> Result<ColumnKind, String> {
    if let Some(element) = column.base.strip_suffix("[]") {
        let type_name = column.type_name.strip_suffix("[]").unwrap_or(&column.type_name);
        return scalar_kind(element, type_name, column.labels.as_deref())
            .map(|kind| ColumnKind::List(Box::new(kind)));
    }
    scalar_kind(&column.base, &column.type_name, column.labels.as_deref())
}

fn scalar_kind(base: &str, type_name: &str, labels: Option<&[String]>) -> Result<ColumnKind, String> {
    if let Some(labels) = labels {
        return Ok(ColumnKind::Choice { labels: labels.to_vec() });
    }
    let numbers = modifiers(type_name);
    let modifier = |at: usize| numbers.get(at).copied();
    Ok(match base {
        "text" | "citext" | "name" => ColumnKind::Text { max: None },
        "varchar" | "bpchar" | "character varying" | "character" | "char" => {
            ColumnKind::Text { max: modifier(0).and_then(|max| u32::try_from(max).ok()) }
        }
        "int2" | "smallint" => ColumnKind::Integer { min: i64::from(i16::MIN), max: i64::from(i16::MAX) },
        "int4" | "integer" => ColumnKind::Integer { min: i64::from(i32::MIN), max: i64::from(i32::MAX) },
        "int8" | "bigint" => ColumnKind::Integer { min: i64::MIN, max: i64::MAX },
        "oid" => ColumnKind::Integer { min: 0, max: i64::from(u32::MAX) },
        "numeric" => ColumnKind::Numeric {
            precision: modifier(0).and_then(|precision| u32::try_from(precision).ok()),
            scale: modifier(1).and_then(|scale| i32::try_from(scale).ok()),
        },
        "float4" | "real" => ColumnKind::Real,
        "float8" | "double precision" => ColumnKind::Double,
        "bool" | "boolean" => ColumnKind::Bool,
        "date" => ColumnKind::Day,
        "timestamptz" | "timestamp" | "timestamp with time zone" | "timestamp without time zone" => {
            ColumnKind::Instant
        }
        "daterange" => ColumnKind::DayRange,
        "tsrange" | "tstzrange" => ColumnKind::InstantRange,
        "json" | "jsonb" => ColumnKind::Json,
        "bytea" => return Err("bytes have no form in Notion".to_owned()),
        "tsvector" | "tsquery" => {
            return Err(format!("{base} is an index of other columns, not something to read"));
        }
        "record" | "pg_lsn" | "pg_snapshot" | "txid_snapshot" | "xid" | "xid8" | "cid" | "tid" => {
            return Err(format!("{base} is Postgres's own bookkeeping"));
        }
        other => ColumnKind::Scalar { name: other.to_owned() },
    })
}

/// The numbers in a type's parentheses.
fn modifiers(type_name: &str) -> Vec<i64> {
    let inner =
        type_name.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inner, _)| inner);
    inner.split(',').filter_map(|number| number.trim().parse().ok()).collect()
}

/// Whether values of a column can be kept in a kind of property, and which way.
///
/// # Errors
/// Why they cannot; a half sentence that begins with the column's content.
pub fn storable(column: &ColumnKind, property: PropertyWord) -> Result<Flow, String> {
    use PropertyWord as P;
    let no = |why: &str| Err(format!("{}: {why}", describe(column)));
    match column {
        ColumnKind::Text { .. } => match property {
            P::Title
            | P::RichText
            | P::Markdown
            | P::Number
            | P::Select
            | P::MultiSelect
            | P::Status
            | P::Date
            | P::People
            | P::Files
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Body => Ok(Flow::Both),
            P::Relation => no("a relation needs a foreign key; name its mapping with `relation`"),
        },
        ColumnKind::Choice { .. } => match property {
            P::Title | P::RichText | P::Select | P::MultiSelect | P::Status => Ok(Flow::Both),
            P::Number | P::Date | P::People | P::Files | P::Checkbox | P::Url | P::Email | P::PhoneNumber => {
                no("its labels are words; use select, status or rich_text")
            }
            P::Relation => no("a relation needs a foreign key"),
            P::Body | P::Markdown => no("a page's body holds text; use select, status or rich_text"),
        },
        ColumnKind::Integer { .. } | ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => {
            match property {
                P::Number | P::Title | P::RichText | P::Select | P::Status | P::PhoneNumber => Ok(Flow::Both),
                P::Checkbox if matches!(column, ColumnKind::Integer { .. } | ColumnKind::Numeric { .. }) => {
                    Ok(Flow::Both)
                }
                P::Checkbox => no("a checkbox holds yes or no; use number"),
                P::MultiSelect => no("it is one number; use number or select"),
                P::Date | P::People | P::Files | P::Url | P::Email | P::Body | P::Markdown => {
                    no("use number or rich_text")
                }
                P::Relation => no("a relation needs a foreign key; name its mapping with `relation`"),
            }
        }
        ColumnKind::Bool => match property {
            P::Checkbox | P::Select | P::Status | P::RichText | P::Title | P::Number => Ok(Flow::Both),
            P::MultiSelect
            | P::Date
            | P::People
            | P::Files
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Relation
            | P::Body
            | P::Markdown => no("use checkbox, or select to keep NULL"),
        },
        ColumnKind::Day | ColumnKind::Instant => match property {
            P::Date | P::RichText | P::Title => Ok(Flow::Both),
            P::Number
            | P::Select
            | P::MultiSelect
            | P::Status
            | P::People
            | P::Files
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Relation
            | P::Body
            | P::Markdown => no("use date, or rich_text to keep seconds"),
        },
        ColumnKind::DayRange | ColumnKind::InstantRange => match property {
            P::Date => Ok(Flow::Both),
            P::RichText | P::Title => Ok(Flow::ToNotion),
            P::Number
            | P::Select
            | P::MultiSelect
            | P::Status
            | P::People
            | P::Files
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Relation
            | P::Body
            | P::Markdown => no("use date, which can have an end"),
        },
        ColumnKind::Json => match property {
            P::RichText | P::Title => Ok(Flow::Both),
            P::Number
            | P::Select
            | P::MultiSelect
            | P::Status
            | P::Date
            | P::People
            | P::Files
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Relation
            | P::Body
            | P::Markdown => no("use rich_text, where it is kept as canonical JSON"),
        },
        ColumnKind::List(inner) => match property {
            P::RichText | P::Title => Ok(Flow::Both),
            P::MultiSelect => match **inner {
                ColumnKind::Text { .. }
                | ColumnKind::Choice { .. }
                | ColumnKind::Integer { .. }
                | ColumnKind::Numeric { .. }
                | ColumnKind::Real
                | ColumnKind::Double
                | ColumnKind::Bool
                | ColumnKind::Scalar { .. } => Ok(Flow::Both),
                _ => no("its elements make no options; use rich_text"),
            },
            P::Files | P::People => match **inner {
                ColumnKind::Text { .. } => Ok(Flow::Both),
                _ => no("its elements are no addresses; use multi_select or rich_text"),
            },
            P::Number
            | P::Select
            | P::Status
            | P::Date
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Body
            | P::Markdown => no("it holds several values; use multi_select or rich_text"),
            P::Relation => no("a relation needs a foreign key or a join table"),
        },
        ColumnKind::Reference { .. } | ColumnKind::References { .. } => match property {
            P::Relation => Ok(Flow::Both),
            P::Title
            | P::RichText
            | P::Number
            | P::Select
            | P::MultiSelect
            | P::Status
            | P::Date
            | P::People
            | P::Files
            | P::Checkbox
            | P::Url
            | P::Email
            | P::PhoneNumber
            | P::Body
            | P::Markdown => no("a field with `relation` needs a relation property"),
        },
        ColumnKind::Scalar { .. } => match property {
            P::Title | P::RichText | P::Select | P::Url | P::Email | P::PhoneNumber => Ok(Flow::Both),
            P::Number
            | P::MultiSelect
            | P::Status
            | P::Date
            | P::People
            | P::Files
            | P::Checkbox
            | P::Relation
            | P::Body
            | P::Markdown => no("use rich_text, where it stands as Postgres writes it"),
        },
    }
}

/// A column's content in words.
#[must_use]
pub fn describe(column: &ColumnKind) -> String {
    match column {
        ColumnKind::Text { .. } => "text".to_owned(),
        ColumnKind::Choice { .. } => "an enum".to_owned(),
        ColumnKind::Integer { .. } => "a whole number".to_owned(),
        ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => "a number".to_owned(),
        ColumnKind::Bool => "a boolean".to_owned(),
        ColumnKind::Day => "a day".to_owned(),
        ColumnKind::Instant => "a point in time".to_owned(),
        ColumnKind::DayRange => "a range of days".to_owned(),
        ColumnKind::InstantRange => "a range of times".to_owned(),
        ColumnKind::Json => "JSON".to_owned(),
        ColumnKind::List(inner) => {
            format!("a list of {}", describe(inner).trim_start_matches("a ").trim_start_matches("an "))
        }
        ColumnKind::Reference { .. } => "a reference".to_owned(),
        ColumnKind::References { .. } => "references".to_owned(),
        ColumnKind::Scalar { name } => name.clone(),
    }
}

/// The kind of property that suits a column best.
#[must_use]
pub fn first_choice(column: &ColumnInfo, kind: &ColumnKind) -> PropertyWord {
    match kind {
        ColumnKind::Text { .. } if column.allowed.is_some() => PropertyWord::Select,
        ColumnKind::Text { .. } => text_choice(&column.name),
        ColumnKind::Choice { .. } => PropertyWord::Select,
        ColumnKind::Integer { .. } | ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => {
            PropertyWord::Number
        }
        ColumnKind::Bool => PropertyWord::Checkbox,
        ColumnKind::Day | ColumnKind::Instant | ColumnKind::DayRange | ColumnKind::InstantRange => {
            PropertyWord::Date
        }
        ColumnKind::Json | ColumnKind::Scalar { .. } => PropertyWord::RichText,
        ColumnKind::List(_) => match storable(kind, PropertyWord::MultiSelect) {
            Ok(_) => PropertyWord::MultiSelect,
            Err(_) => PropertyWord::RichText,
        },
        ColumnKind::Reference { .. } | ColumnKind::References { .. } => PropertyWord::Relation,
    }
}

/// E-mail addresses and web addresses are told by the column's name.
fn text_choice(name: &str) -> PropertyWord {
    let name = name.to_lowercase();
    let last = name.rsplit('_').next().unwrap_or(&name);
    match last {
        "email" | "mail" => PropertyWord::Email,
        "url" | "website" | "link" => PropertyWord::Url,
        _ => PropertyWord::RichText,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tables::made_by_hand::table;
    use pagerow_core::{
        fidelity::{Fidelity, in_notion},
        mapping::{Field, Options, PropertyKind},
        number::Number,
        value::Value,
    };

    fn kind(type_name: &str) -> Result<ColumnKind, String> {
        column_kind(&table("t", &format!("c {type_name}")).columns[0])
    }

    #[test]
    fn types_become_kinds() {
        assert_eq!(kind("varchar(40)"), Ok(ColumnKind::Text { max: Some(40) }));
        assert_eq!(kind("numeric(10,2)"), Ok(ColumnKind::Numeric { precision: Some(10), scale: Some(2) }));
        assert_eq!(kind("numeric"), Ok(ColumnKind::Numeric { precision: None, scale: None }));
        assert_eq!(kind("int2"), Ok(ColumnKind::Integer { min: -32768, max: 32767 }));
        assert_eq!(kind("text[]"), Ok(ColumnKind::List(Box::new(ColumnKind::Text { max: None }))));
        assert_eq!(
            kind("mood in sad|ok"),
            Ok(ColumnKind::Choice { labels: vec!["sad".into(), "ok".into()] })
        );
        assert_eq!(kind("uuid"), Ok(ColumnKind::Scalar { name: "uuid".into() }));
        assert!(kind("bytea").unwrap_err().contains("bytes"));
    }

    /// What the function allows, the core can store: a sample of each kind is not refused for its kind.
    #[test]
    fn what_is_allowed_can_be_stored() {
        let number = |text| Value::Number(Number::parse(text).unwrap());
        let text = |text: &str| Value::Text(text.into());
        let samples = [
            (ColumnKind::Integer { min: 0, max: 9 }, number("1")),
            (ColumnKind::Numeric { precision: None, scale: None }, number("1")),
            (ColumnKind::Real, number("1.5")),
            (ColumnKind::Double, number("1.5")),
            (ColumnKind::Choice { labels: vec!["a".into()] }, text("a")),
            (ColumnKind::Bool, Value::Bool(true)),
            (ColumnKind::Day, Value::Day("2026-01-01".parse().unwrap())),
            (ColumnKind::Instant, Value::Instant("2026-01-01T00:00:00Z".parse().unwrap())),
            (ColumnKind::Json, Value::Json("{}".into())),
            (
                ColumnKind::List(Box::new(ColumnKind::Text { max: None })),
                Value::List(vec![text("https://a/b")]),
            ),
            (ColumnKind::Scalar { name: "uuid".into() }, text("5c6a2821-6bb1-4a7e-b6e1-c50111515c3d")),
        ];
        let options = Options { names: Vec::new(), may_grow: true, ordered: false };
        for (holds, value) in samples {
            for (name, word) in PropertyWord::ALL {
                let shows = match word {
                    PropertyWord::Title => PropertyKind::Title,
                    PropertyWord::RichText => PropertyKind::RichText,
                    PropertyWord::Markdown => PropertyKind::Markdown,
                    PropertyWord::Number => PropertyKind::Number,
                    PropertyWord::Select => PropertyKind::Select(options.clone()),
                    PropertyWord::MultiSelect => PropertyKind::MultiSelect(options.clone()),
                    PropertyWord::Status => PropertyKind::Status(options.clone()),
                    PropertyWord::Date => PropertyKind::Date,
                    PropertyWord::People => PropertyKind::People { known: Vec::new() },
                    PropertyWord::Files => PropertyKind::Files,
                    PropertyWord::Checkbox => PropertyKind::Checkbox,
                    PropertyWord::Url => PropertyKind::Url,
                    PropertyWord::Email => PropertyKind::Email,
                    PropertyWord::PhoneNumber => PropertyKind::Phone,
                    PropertyWord::Relation => PropertyKind::Relation { mapping: "m".into(), single: true },
                    PropertyWord::Body => PropertyKind::Body,
                };
                let field = Field {
                    column: "c".into(),
                    property: "P".into(),
                    property_id: "p".into(),
                    holds: holds.clone(),
                    shows,
                    required: false,
                    flow: Flow::Both,
                    wins: None,
                    labels: std::collections::BTreeMap::new(),
                    lens: None,
                };
                let stored = in_notion(&value, &field);
                let refused = matches!(&stored, Fidelity::Unstorable(reason) if reason.code == "kind");
                if storable(&holds, word).is_ok() {
                    assert!(!refused, "{} in {name}: {stored:?}", describe(&holds));
                }
            }
        }
    }
}
