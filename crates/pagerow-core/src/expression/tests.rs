//! What the language promises.

use std::collections::BTreeMap;

use super::*;
use crate::number::Number;

fn number(text: &str) -> Value {
    Value::Number(Number::parse(text).unwrap())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn evaluate(source: &str, to: Side, value: &Value, around: &[(&str, Value)]) -> Result<Value, Reason> {
    let around: BTreeMap<&str, &Value> = around.iter().map(|(name, value)| (*name, value)).collect();
    let expression = Expression::parse(source, to).unwrap_or_else(|wrong| panic!("{source}: {wrong}"));
    expression.evaluate(Inputs {
        value,
        around: &|name| around.get(name).copied(),
        edited: Some("2026-03-01T10:20:00Z".parse().unwrap()),
        zone: &TimeZone::UTC,
    })
}

fn of(source: &str, value: &Value) -> Value {
    evaluate(source, Side::Notion, value, &[]).unwrap_or_else(|reason| panic!("{source}: {}", reason.text))
}

#[test]
fn what_passes_through_is_what_it_was() {
    for value in [
        Value::Null,
        text(""),
        text("Grüße 🦀"),
        Value::Bool(true),
        number("9223372036854775807"),
        number("-9223372036854775808"),
        number("170141183460469231731687303715884105727"),
        number("123456789012345678901234567890123456789012345678901234567890"),
        number("12345678901234567.89"),
        number("0.30000000000000004"),
        number("19.99"),
        number("1e-300"),
        Value::Day("2026-02-11".parse().unwrap()),
        Value::Instant("2026-02-11T10:20:30.123456Z".parse().unwrap()),
        Value::json(&serde_json::json!({"b": [1, null], "a": "x"})),
        Value::List(vec![text("a"), Value::Null, number("1.5")]),
        Value::opaque("timestamptz", "infinity"),
    ] {
        assert_eq!(of("value", &value), value);
    }
}

#[test]
fn numbers_are_exact() {
    assert_eq!(of("value * 100", &number("19.99")), number("1999"));
    assert_eq!(of("value + 1", &number("9223372036854775807")), number("9223372036854775808"));
    assert_eq!(of("value|times(100)", &number("12345678901234567.89")), number("1234567890123456789"));
    assert_eq!(of("value|plus(0.2)", &number("0.1")), number("0.3"));
    assert_eq!(of("value|divide(3, digits=2)", &number("2")), number("0.67"));
    assert_eq!(of("value|divide(100)", &number("1999")), number("19.99"));
    assert_eq!(of("value|fixed(2)", &number("12.5")), text("12.50"));
    assert_eq!(of("value|number", &text(" 00012.50 ")), number("12.5"));
    assert_eq!(of("value is above(10)", &number("12345678901234567.89")), Value::Bool(true));
    let long = evaluate("value > 10", Side::Notion, &number("12345678901234567.89"), &[]).unwrap_err();
    assert!(long.text.contains("15 digits"), "{}", long.text);
    let operator = evaluate("value * 10", Side::Notion, &number("12345678901234567.89"), &[]);
    assert!(operator.is_err(), "{operator:?}");
}

#[test]
fn nothing_stays_nothing_in_our_own_words() {
    for source in [
        "value|upper",
        "value|trim",
        "value|replace('a', 'b')",
        "value|times(2)",
        "value|fixed(2)",
        "value|number",
        "value|date('%Y')",
        "value|split(',')",
        "value|join",
        "value|text",
    ] {
        assert_eq!(of(source, &Value::Null), Value::Null, "{source}");
    }
    assert_eq!(of("[value, 'a', '', 'b']|join(' ')", &Value::Null), text("a b"));
    assert_eq!(of("value|default('-')", &Value::Null), text("-"));
}

#[test]
fn days_and_times_are_ordered_and_written() {
    let day = Value::Day("2026-02-11".parse().unwrap());
    let at = Value::Instant("2026-02-11T23:30:00Z".parse().unwrap());
    assert_eq!(of("value < day('2026-03-01')", &day), Value::Bool(true));
    assert_eq!(of("value is above(day('2026-03-01'))", &day), Value::Bool(false));
    assert_eq!(of("value.year ~ '/' ~ value.month", &day), text("2026/2"));
    assert_eq!(of("value|date('%d.%m.%Y')", &day), text("11.02.2026"));
    assert_eq!(of("value|time('%H:%M')", &at), text("23:30"));
    assert_eq!(of("value|date", &at), day);
    let zone = TimeZone::fixed(jiff::tz::offset(9));
    let there = Expression::parse("value|time('%d %H:%M')", Side::Notion).unwrap();
    let made = there.evaluate(Inputs { value: &at, around: &|_| None, edited: None, zone: &zone });
    assert_eq!(made.unwrap(), text("12 08:30"));
}

#[test]
fn rows_and_pages_are_looked_at_by_name() {
    let row = [("material", text("Copper")), ("grade", Value::Null), ("two words", text("b"))];
    let made =
        evaluate("[row.material, row.grade, row['two words']]|join(' ')", Side::Notion, &Value::Null, &row);
    assert_eq!(made.unwrap(), text("Copper b"));
    let done = "edited_at if value == 'Done' and page.Archived is none else none";
    let page = [("Archived", Value::Null)];
    let at = Value::Instant("2026-03-01T10:20:00Z".parse().unwrap());
    assert_eq!(evaluate(done, Side::Postgres, &text("Done"), &page).unwrap(), at);
    assert_eq!(evaluate(done, Side::Postgres, &text("Open"), &page).unwrap(), Value::Null);
    let unread = evaluate("row.other", Side::Notion, &Value::Null, &[]).unwrap_err();
    assert_eq!(unread.text, "the expression fails: other was not read");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_evaluated() {
    let wrong = |source: &str, to| Expression::parse(source, to).unwrap_err();
    let name = |wrong| match wrong {
        Wrong::Unknown { what, name, .. } => format!("{what} {name}"),
        other => other.to_string(),
    };
    assert_eq!(name(wrong("vlaue|upper", Side::Notion)), "name vlaue");
    assert_eq!(name(wrong("value|uper if value is none else 1", Side::Notion)), "filter uper");
    assert_eq!(name(wrong("1 if true else 2 if value is nothing else 3", Side::Notion)), "test nothing");
    assert_eq!(name(wrong("page.a", Side::Notion)), "name page");
    assert_eq!(name(wrong("row.a", Side::Postgres)), "name row");
    assert_eq!(name(wrong("edited_at", Side::Notion)), "name edited_at");
    assert_eq!(name(wrong("range(3)", Side::Notion)), "name range");
    assert_eq!(wrong("row", Side::Notion), Wrong::Whole("row"));
    assert!(matches!(wrong("value +", Side::Notion), Wrong::Syntax(_)));
    assert!(matches!(wrong("{% for a in value %}", Side::Notion), Wrong::Syntax(_)));
}

#[test]
fn a_failure_says_no_content() {
    let secret = text("4111 1111 1111 1111");
    for source in [
        "value|number",
        "value + 1",
        "value.nothing.more",
        "value|date('%Y')",
        "day(value)",
        "value|join",
        "value|round",
        "value is above(3)",
        "value()",
        "value if false",
        "('a' * 9999999) * 1000",
        "[value] * 5000",
        "value|divide(0)",
        "1 // 0",
        "value|replace('', value)",
    ] {
        let reason = evaluate(source, Side::Notion, &secret, &[]).unwrap_err();
        assert!(!reason.text.contains("4111"), "{source}: {}", reason.text);
        assert_eq!(reason.code, "expression");
    }
}

#[test]
fn it_ends() {
    let deep = "(".repeat(300) + "1" + &")".repeat(300);
    assert!(Expression::parse(&deep, Side::Notion).is_err());
    let most = format!("{}1", "1~".repeat((TEXT_BYTES - 1) / 2));
    assert_eq!(of(&most, &Value::Null), text(&"1".repeat(most.len() / 2 + 1)));
    assert!(matches!(Expression::parse(&format!("{most}11"), Side::Notion), Err(Wrong::Syntax(_))));
    for (part, end) in [
        ("-", "1"),
        ("not ", "1"),
        ("[", "1"),
        ("{1:", "1"),
        ("a(", "1"),
        ("1 if 1 else ", "1"),
        ("(", "1"),
        ("value.a.", "b"),
        ("value|text|", "text"),
        ("value[0][", "1"),
        ("1+", "1"),
        ("1**", "1"),
        ("1 and ", "1"),
        ("'", ""),
        ("{{", ""),
        ("value is none is ", "none"),
        ("\u{1F980}", ""),
    ] {
        let most = format!("{}{end}", part.repeat((TEXT_BYTES - end.len()) / part.len()));
        if let Ok(expression) = Expression::parse(&most, Side::Notion) {
            let around = |_: &str| None;
            let inputs = Inputs { value: &Value::Null, around: &around, edited: None, zone: &TimeZone::UTC };
            let _either = expression.evaluate(inputs);
        }
    }
    let list = Value::List(vec![text("a"); 100_000]);
    let unending = evaluate("value|map('upper')|map('lower')|join", Side::Notion, &list, &[]);
    assert!(unending.is_ok() || unending.is_err_and(|reason| reason.code == "expression"));
    assert!(evaluate("value", Side::Notion, &list, &[]).is_err(), "a list of more than {RESULT_ITEMS} items");
}

#[test]
fn it_is_stored_as_its_text() {
    let expression = Expression::parse("row.a ~ value", Side::Notion).unwrap();
    let stored = serde_json::to_string(&expression).unwrap();
    assert_eq!(stored, r#"{"text":"row.a ~ value","to":"notion"}"#);
    assert_eq!(serde_json::from_str::<Expression>(&stored).unwrap(), expression);
    assert!(serde_json::from_str::<Expression>(r#"{"text":"page.a","to":"notion"}"#).is_err());
}
