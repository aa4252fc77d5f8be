//! What a person or a database may hand over: configurations, plans, connection strings, Markdown, stored values.

use std::path::PathBuf;

use pagerow::{
    cli::plan_file,
    config::{Config, Environment, Source},
    postgres::connection_string::ConnectionString,
};
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{
        ColumnKind, Field, Flow, KeySource, Mapping, OnPageTrashed, OnRowDeleted, Policy, PropertyKind,
    },
    number::Number,
    plan::Plan,
    record::{PageId, Record, RowKey},
    rich_text::{from_markdown, joined, to_markdown, with_words, words},
    value::Value,
};

/// A password and a cell's content of the first inputs: no message may hold them.
const SECRET: &str = "s3cr3t";
/// What only the environment holds.
const HIDDEN: &str = "h1dd3n";

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// It is read, or everything that is wrong is said, each with its place inside of the file. Secrets are not repeated.
pub(crate) fn a_configuration_is_read_or_explained(input: &[u8]) {
    let text = text(input);
    let environment =
        Environment::of([("DATABASE_URL", "postgres://u:s3cr3t@h/d"), ("NOTION_API_KEY", "s3cr3t")]);
    let source = Source { path: PathBuf::from("pagerow.toml"), text: text.clone() };
    match Config::parse(source, &environment, &[]) {
        Ok(config) => {
            assert!(!format!("{config:?}").contains(HIDDEN), "a secret is shown");
        }
        Err(errors) => {
            let told = format!("{errors} {errors:?}");
            assert!(!told.is_empty() && !told.contains(HIDDEN), "a secret is shown");
            for error in errors.0.iter() {
                let lines = text.split('\n').count();
                assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "an error beyond the end");
                assert!(!error.message.is_empty());
            }
        }
    }
}

/// It is read or refused, and nobody sees the password either way.
pub(crate) fn a_connection_string_keeps_its_secrets(input: &[u8]) {
    let text = text(input);
    let shown = match ConnectionString::parse(&text) {
        Ok(parsed) => format!("{parsed:?} {} {:?} {:?}", parsed.address(), parsed.role(), parsed.warnings()),
        Err(error) => format!("{error} {error:?}"),
    };
    // Where a password stands as one: after the first name of an address, or as a parameter of its own.
    let in_address = text.split_once(":s3cr3t@").is_some_and(|(before, _)| {
        let name = before.trim_start_matches(|c: char| c.is_ascii_lowercase()).trim_start_matches([':', '/']);
        name.chars().all(|c| c.is_ascii_alphanumeric())
    });
    let as_parameter = text.split_once(" password=s3cr3t ").is_some_and(|(before, _)| {
        before.starts_with("host=") && !before.trim_end().ends_with('=') && !before.contains(['\'', '\\'])
    });
    if text.matches(SECRET).count() == 1 && (in_address || as_parameter) {
        assert!(!shown.contains(SECRET), "a password is shown: {shown}");
    }
}

/// A plan that is read has the hash that the file says; every other one is refused.
pub(crate) fn a_plan_is_what_was_written_or_refused(input: &[u8]) {
    let text = text(input);
    match plan_file::parse(&text) {
        Ok(plan) => {
            let file: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(file["hash"].as_str().unwrap().to_lowercase(), plan.hash().to_string());
        }
        Err(refusal) => assert!(!format!("{refusal:?}").contains(SECRET), "a refusal repeats a cell"),
    }
    if let Ok(plan) = serde_json::from_str::<Plan>(&text) {
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan, "a plan changes by being kept");
        assert_eq!(again.hash(), plan.hash());
    }
}

/// Plans of the corpus as files with their hashes.
pub(crate) fn kept_plans(inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    inputs
        .iter()
        .map(|input| {
            let plan: Plan = serde_json::from_slice(input).expect("the corpus holds plans");
            let kept = serde_json::json!({
                "version": 1, "hash": plan.hash(), "made_at": "2026-01-01T00:00:00Z", "plan": plan,
            });
            let text = kept.to_string();
            assert_eq!(plan_file::parse(&text).expect("a kept plan is read"), plan);
            text.into_bytes()
        })
        .collect()
}

/// What Markdown means is what it means when it is written again, and new words are the words.
pub(crate) fn markdown_has_one_meaning(input: &[u8]) {
    let text = text(input);
    let spans = from_markdown(&text);
    assert_eq!(joined(spans.clone()), spans);
    let written = to_markdown(&spans);
    assert_eq!(from_markdown(&written), spans, "{written}");
    let cut: String = words(&spans).chars().step_by(2).collect();
    assert_eq!(words(&with_words(&spans, &cut)), cut);
    for shows in [PropertyKind::RichText, PropertyKind::Markdown, PropertyKind::Body] {
        let field = field(ColumnKind::Text { max: None }, shows);
        for value in [Value::Text(text.clone()), Value::Markdown(text.clone())] {
            if let Fidelity::Stored(form) = fidelity::in_notion(&value, &field) {
                assert_eq!(
                    fidelity::in_notion(&form, &field),
                    Fidelity::Stored(form.clone()),
                    "no fixed point"
                );
                if let Fidelity::Stored(row) = fidelity::in_postgres(&form, &field) {
                    assert!(fidelity::agree(&row, &form, &field));
                }
            }
        }
    }
}

/// Numbers, JSON, keys, page ids and dates in text: read to one form, which reads to itself.
pub(crate) fn scalars_have_one_form(input: &[u8]) {
    let text = text(input);
    for piece in text.split([' ', '\n', ',']).chain([text.as_str()]) {
        if let Ok(number) = Number::parse(piece) {
            assert_eq!(Number::parse(number.as_str()).as_ref(), Ok(&number));
            let _ = (number.as_double(), number.as_exact_f64(), number.reach());
        }
        if let Some(Value::Json(json)) = Value::json_text(piece) {
            assert_eq!(Value::json_text(&json), Some(Value::Json(json.clone())));
        }
        if let Some(page) = PageId::parse(piece) {
            assert_eq!(PageId::parse(&page.to_string()), Some(page));
        }
        let key = RowKey::from(piece);
        if let Some(columns) = key.columns(2) {
            assert_eq!(RowKey::from_columns(&columns).columns(2), Some(columns));
        }
        for holds in [ColumnKind::Instant, ColumnKind::DayRange, ColumnKind::InstantRange, ColumnKind::Bool] {
            let field = field(holds, PropertyKind::Date);
            let value = Value::Text(piece.to_owned());
            if let Fidelity::Stored(form) = fidelity::in_notion(&value, &field) {
                assert_eq!(fidelity::in_notion(&form, &field), Fidelity::Stored(form.clone()));
            }
        }
    }
}

/// A stored record is read as far as it is understood; the rest is not known, and is kept as it reads.
pub(crate) fn a_stored_record_is_read_or_unknown(input: &[u8]) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(input) else { return };
    let mapping = mapping();
    let record = Record::from_json(&json, &mapping);
    assert_eq!(record.values().len(), mapping.fields.len());
    assert_eq!(Record::from_json(&record.to_json(&mapping), &mapping), record);
    for (value, field) in record.values().iter().zip(&mapping.fields) {
        let Some(value) = value else { continue };
        let _ = (fidelity::in_notion(value, field), fidelity::in_postgres(value, field), value.plain());
    }
}

fn field(holds: ColumnKind, shows: PropertyKind) -> Field {
    Field {
        column: "c".into(),
        property: "P".into(),
        property_id: "p".into(),
        holds,
        shows,
        required: false,
        flow: Flow::Both,
        wins: None,
        labels: std::collections::BTreeMap::new(),
        lens: None,
    }
}

fn mapping() -> Mapping {
    let columns = [
        ("a", ColumnKind::Text { max: None }, PropertyKind::RichText),
        ("b", ColumnKind::Double, PropertyKind::Number),
        ("c", ColumnKind::InstantRange, PropertyKind::Date),
        ("d", ColumnKind::List(Box::new(ColumnKind::Text { max: None })), PropertyKind::Files),
        (
            "e",
            ColumnKind::Reference { mapping: "m".into() },
            PropertyKind::Relation { mapping: "m".into(), single: true },
        ),
        ("f", ColumnKind::Json, PropertyKind::Title),
    ];
    let fields = columns
        .into_iter()
        .map(|(column, holds, shows)| Field { column: column.into(), ..field(holds, shows) });
    Mapping {
        name: "m".into(),
        fields: fields.collect(),
        direction: Flow::Both,
        on_conflict: Policy::Manual,
        on_row_deleted: OnRowDeleted::Trash,
        on_page_trashed: OnPageTrashed::Ask,
        match_on: Vec::new(),
        key: KeySource::Generated,
        key_property: true,
    }
}
