//! Whether every line of `docs/expressions.md` is true, and what is true of all values in the language.

use std::path::Path;

use jiff::tz::TimeZone;
use pagerow_core::{
    expression::{Expression, Inputs},
    fidelity::{Fidelity, agree, in_notion, in_postgres},
    lens::{Lens, failure},
    mapping::ColumnKind,
    number::Number,
    side::Side,
    value::Value,
};

use crate::generators::{COLUMNS, Rng, any_field, cases, column_kind, column_value};

/// What a cell of the document's tables means: JSON, or a day or a time by name.
fn meant(cell: &str) -> Value {
    let text = |cell: &str| cell.trim().trim_matches('`').to_owned();
    if let Some(day) = cell.trim().strip_prefix("day ") {
        return Value::Day(text(day).parse().unwrap());
    }
    if let Some(at) = cell.trim().strip_prefix("time ") {
        return Value::Instant(text(at).parse().unwrap());
    }
    let cell = text(cell);
    if let Ok(number) = Number::parse(&cell) {
        return Value::Number(number);
    }
    fn of(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(bool) => Value::Bool(*bool),
            serde_json::Value::Number(number) => Value::Number(Number::parse(&number.to_string()).unwrap()),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(of).collect()),
            serde_json::Value::Object(_) => panic!("the document has no objects"),
        }
    }
    of(&serde_json::from_str(&cell).unwrap_or_else(|error| panic!("{cell}: {error}")))
}

#[test]
fn every_line_of_the_document_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/expressions.md");
    let document = std::fs::read_to_string(path).unwrap();
    let page = [("Approved", Value::Bool(true))];
    let mut lines = 0;
    let mut words = String::new();
    for (name, to) in [("to notion", Side::Notion), ("to postgres", Side::Postgres)] {
        let table = document.split(&format!("<!-- expressions: {name} -->")).nth(1).unwrap();
        let table = table.split("<!-- expressions: end -->").next().unwrap();
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            // A bar inside a cell is escaped.
            let line = line.replace("\\|", "\u{1}");
            let cells: Vec<String> =
                line.trim_matches('|').split('|').map(|c| c.replace('\u{1}', "|")).collect();
            let [source, given, made] = cells.as_slice() else { panic!("{line}") };
            let source = source.trim().trim_matches('`');
            words.push_str(source);
            let expression =
                Expression::parse(source, to).unwrap_or_else(|wrong| panic!("{source}: {wrong}"));
            let result = expression.evaluate(Inputs {
                value: &meant(given),
                around: &|name| page.iter().find(|(known, _)| *known == name).map(|(_, value)| value),
                edited: Some("2026-03-01T10:20:00Z".parse().unwrap()),
                zone: &TimeZone::UTC,
            });
            assert_eq!(result.map_err(|reason| reason.text), Ok(meant(made)), "{source} of {given}");
            lines += 1;
        }
    }
    assert!(lines > 50, "{lines}");
    for word in pagerow_core::expression::known_words() {
        assert!(words.contains(word), "docs/expressions.md has no line with {word}");
    }
}

#[test]
fn examples_of_the_document_are_read() {
    for (source, to) in [
        ("[row.material, row.grade]|join(' ')", Side::Notion),
        ("row[\"unit price\"]", Side::Notion),
        ("page[\"Due Date\"]", Side::Postgres),
    ] {
        assert!(Expression::parse(source, to).is_ok(), "{source}");
    }
}

fn lens(to: &str, from: Option<&str>) -> Lens {
    Lens {
        to_notion: Some(Expression::parse(to, Side::Notion).unwrap()),
        from_notion: from.map(|from| Expression::parse(from, Side::Postgres).unwrap()),
        column: Some(ColumnKind::Integer { min: i64::MIN, max: i64::MAX }),
        required: false,
        once: false,
    }
}

fn shown(lens: &Lens, column: &Value) -> Value {
    lens.of_row(column, &|_| None, &TimeZone::UTC)
}

fn any_value(rng: &mut Rng) -> Value {
    let kind = column_kind(rng.below(COLUMNS), rng);
    column_value(&kind, rng)
}

#[test]
fn a_value_passes_through() {
    let value = lens("value", None);
    cases("column → value → column", 100_000, |rng| {
        let given = any_value(rng);
        match (&given, shown(&value, &given)) {
            // A set has no order, a list has; formatted text is its Markdown.
            (Value::Set(items), Value::List(list)) => assert_eq!(list.len(), items.len()),
            (Value::Markdown(text), made) => assert_eq!(made, Value::Text(text.clone())),
            (given, made) => assert_eq!(made, *given),
        }
    });
}

#[test]
fn it_is_a_function_and_its_failure_is_never_written() {
    let lenses = [
        "value|text|upper",
        "value + 1",
        "value|join(',')",
        "value.start",
        "value|date('%Y')",
        "value|fixed(2)",
        "value|map('lower')|sort",
        "value|number|times(3)",
    ]
    .map(|source| lens(source, None));
    cases("any value, any expression", 100_000, |rng| {
        let given = any_value(rng);
        let field = any_field("x", rng);
        let lens = rng.pick(&lenses);
        let made = shown(lens, &given);
        assert_eq!(made, shown(lens, &given));
        if let Some(reason) = failure(&made) {
            assert_eq!(in_notion(&made, &field), Fidelity::Unstorable(reason.clone()));
            assert_eq!(in_postgres(&made, &field), Fidelity::Unstorable(reason));
            assert!(!agree(&made, &made, &field));
        }
    });
}

#[test]
fn a_pair_of_inverses_brings_every_whole_number_back() {
    let pair = lens("'Tier ' ~ value", Some("value|replace('Tier ', '')|number"));
    cases("number → text → number", 20_000, |rng| {
        let column = Value::Number((rng.next().cast_signed() >> rng.below(64)).into());
        let shows = shown(&pair, &column);
        assert!(pair.brings_back(&column, &shows, &TimeZone::UTC));
        assert_eq!(pair.to_column(&shows, &TimeZone::UTC), Ok(column));
    });
}

#[test]
fn a_lossy_pair_is_noticed_value_by_value() {
    let mut pair = lens("'Tier ' ~ value|floor", Some("value|replace('Tier ', '')|number"));
    pair.column = Some(ColumnKind::Numeric { precision: None, scale: None });
    cases("number → its whole part → number", 20_000, |rng| {
        let (units, cents) = (rng.below(1000), rng.below(100));
        let column = Value::Number(Number::parse(&format!("{units}.{cents:02}")).unwrap());
        let shows = shown(&pair, &column);
        assert_eq!(pair.brings_back(&column, &shows, &TimeZone::UTC), cents == 0);
    });
}
