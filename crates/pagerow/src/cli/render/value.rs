//! A cell's value in a line of text: short, on one line, and told apart from nothing.

use pagerow_core::value::Value;
use serde_json::Value as Json;

/// Longer texts are shortened in their middle.
const LONGEST: usize = 60;

/// A value as people read it.
pub(crate) fn text(value: &Value) -> String {
    shortened(&plain(&value.plain()))
}

/// A value on one line, at its full length and without quotes around a text.
pub(crate) fn line(value: &Value) -> String {
    match value.plain() {
        Json::String(text) => one_line(&text),
        json => plain(&json),
    }
}

/// A value that may not be known.
pub(crate) fn known(value: Option<&Value>) -> String {
    value.map_or_else(|| "unknown".to_owned(), text)
}

/// For scripts: plain JSON, and null for what is not known.
pub(crate) fn json(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, Value::plain)
}

fn plain(json: &Json) -> String {
    match json {
        Json::Null => "nothing".to_owned(),
        Json::String(text) => format!("\"{}\"", one_line(text)),
        Json::Array(items) if items.is_empty() => "nothing".to_owned(),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => one_line(&other.to_string()),
    }
}

/// Control characters would move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '⏎',
            '\t' => ' ',
            c if c.is_control() => '·',
            c => c,
        })
        .collect()
}

fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST * 2 / 3).collect();
    let tail: String = text.chars().skip(length - LONGEST / 4).collect();
    format!("{head} … {tail} ({length} characters)")
}

#[cfg(test)]
mod tests {
    use pagerow_core::number::Number;

    use super::*;

    #[test]
    fn values_fit_in_a_line() {
        assert_eq!(text(&Value::Null), "nothing");
        assert_eq!(text(&Value::Text("a\nb\u{1b}[2J".into())), "\"a⏎b·[2J\"");
        assert_eq!(text(&Value::Number(Number::parse("1.50").unwrap())), "1.5");
        assert_eq!(text(&Value::set([Value::Text("b".into()), Value::Text("a".into())])), "\"a\", \"b\"");
        let long = text(&Value::Text("x".repeat(500)));
        assert!(long.ends_with("(502 characters)") && long.chars().count() < 80, "{long}");
        assert_eq!(known(None), "unknown");
    }
}
