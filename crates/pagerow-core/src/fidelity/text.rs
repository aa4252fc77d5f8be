//! Text on either side: how long it may be, what is kept out of it, and which other values have a text.

use super::{
    BODY_BYTES, EQUATION_UNITS, ITEM_UNITS, ITEMS, RICH_TEXT_UNITS, Reason, URL_UNITS, counted, mismatch,
};
use crate::{
    rich_text::{self, Span, What},
    value::{Moment, Ref, Value},
};

/// A text property whose column holds its words. Formatting is kept where the value has some.
pub(super) fn plain(value: &Value) -> Result<Value, Reason> {
    if let Value::Markdown(markdown) = value {
        let spans = spans(markdown)?;
        return Ok(if rich_text::is_plain(&spans) {
            words(rich_text::words(&spans))
        } else {
            Value::Markdown(rich_text::to_markdown(&spans))
        });
    }
    match text_of(value) {
        None if value.is_null() => Ok(Value::Null),
        None => Err(no_text(value, "text")),
        Some(text) => {
            sendable(&text)?;
            Ok(words(text))
        }
    }
}

/// A text property whose column holds its Markdown.
pub(super) fn markdown(value: &Value) -> Result<Value, Reason> {
    let (Value::Text(markdown) | Value::Markdown(markdown)) = value else {
        return if value.is_null() { Ok(Value::Null) } else { Err(mismatch(value, "Markdown")) };
    };
    let spans = spans(markdown)?;
    Ok(if spans.is_empty() { Value::Null } else { Value::Markdown(rich_text::to_markdown(&spans)) })
}

/// An address, e-mail address or phone number.
pub(super) fn short(value: &Value, limit: usize, what: &str) -> Result<Value, Reason> {
    match plain(value)? {
        Value::Text(text) if utf16_units(&text) > limit => Err(Reason::limited(
            "too_long",
            format!("the text has {} UTF-16 units, too long for {what}", utf16_units(&text)),
            format!("{limit} UTF-16 units"),
        )),
        stored => Ok(stored),
    }
}

/// How many items Notion would be sent for a text: one for each span, and one more for each 2,000 units of words.
#[must_use]
pub(super) fn items(spans: &[Span]) -> usize {
    spans
        .iter()
        .map(|span| match &span.what {
            What::Text(text) => pieces(text),
            What::Equation(_) | What::Mention { .. } => 1,
        })
        .sum()
}

/// Into how many runs of at most 2,000 units a text is cut, between characters.
fn pieces(text: &str) -> usize {
    let (mut pieces, mut units) = (1, 0);
    for c in text.chars() {
        units += c.len_utf16();
        if units > ITEM_UNITS {
            (pieces, units) = (pieces + 1, c.len_utf16());
        }
    }
    pieces
}

fn words(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::Text(text) }
}

/// The spans of a text that can be sent as they are.
fn spans(markdown: &str) -> Result<Vec<Span>, Reason> {
    let spans = rich_text::from_markdown(markdown);
    sendable(&rich_text::words(&spans))?;
    no_nul(markdown)?;
    if spans.len() > 1 {
        counted(items(&spans))?;
    }
    for span in &spans {
        if let What::Equation(expression) = &span.what
            && utf16_units(expression) > EQUATION_UNITS
        {
            let text = format!("an equation has {} UTF-16 units", utf16_units(expression));
            return Err(Reason::limited("too_long", text, format!("{EQUATION_UNITS} UTF-16 units")));
        }
        if let Some(link) = &span.look.link
            && utf16_units(link) > URL_UNITS
        {
            let text = format!("the address of a link has {} UTF-16 units", utf16_units(link));
            return Err(Reason::limited("too_long", text, format!("{URL_UNITS} UTF-16 units")));
        }
    }
    Ok(spans)
}

fn sendable(text: &str) -> Result<(), Reason> {
    no_nul(text)?;
    let units = utf16_units(text);
    let too_long =
        |text: String| Reason::limited("too_long", text, format!("{RICH_TEXT_UNITS} UTF-16 units"));
    if units > RICH_TEXT_UNITS {
        return Err(too_long(format!("the text has {units} UTF-16 units")));
    }
    if units > RICH_TEXT_UNITS - ITEMS && pieces(text) > ITEMS {
        return Err(too_long(format!(
            "the text has {units} UTF-16 units, and cut between characters makes more than {ITEMS} runs of {ITEM_UNITS}"
        )));
    }
    Ok(())
}

pub(super) fn body(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Text(text) | Value::Markdown(text) if text.is_empty() => Ok(Value::Null),
        Value::Text(text) | Value::Markdown(text) => {
            no_nul(text)?;
            if text.len() > BODY_BYTES {
                return Err(Reason::limited(
                    "too_long",
                    format!("the body has {} bytes", text.len()),
                    format!("{BODY_BYTES} bytes"),
                ));
            }
            Ok(Value::Markdown(text.clone()))
        }
        other => Err(mismatch(other, "a page's body")),
    }
}

// ---- Texts of other values ----

/// One cell as one text; `None` where there is no single text for it.
pub(super) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Text(text) | Value::Markdown(text) | Value::Json(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::Day(day) => day.to_string(),
        Value::Instant(instant) => instant.to_string(),
        Value::Range(range) => {
            let end = |m: &Option<Moment>| m.map_or_else(String::new, |m| m.to_string());
            format!("{}/{}", end(&range.start), end(&range.end))
        }
        Value::List(items) => {
            let texts: Vec<Option<String>> = items
                .iter()
                .map(|i| if i.is_null() { Some(None) } else { text_of(i).map(Some) })
                .collect::<Option<_>>()?;
            serde_json::to_string(&texts).ok()?
        }
        Value::Ref(Ref::Row(key)) => key.as_str().to_owned(),
        Value::File(file) => file.url.clone(),
        Value::Person(person) => person.email.clone()?,
        Value::Opaque(opaque) => opaque.text.clone(),
        Value::Null | Value::Set(_) | Value::Ref(Ref::Page(_)) => return None,
    })
}

pub(super) fn texts_of<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    what: &str,
) -> Result<Vec<String>, Reason> {
    items.into_iter().map(|item| text_of(item).ok_or_else(|| no_text(item, what))).collect()
}

/// Why a value has no text.
pub(super) fn no_text(value: &Value, what: &str) -> Reason {
    let is_nameless = |value: &Value| matches!(value, Value::Person(person) if person.email.is_none());
    let nameless = match value {
        Value::Set(items) => items.iter().any(is_nameless),
        Value::List(items) => items.iter().any(is_nameless),
        value => is_nameless(value),
    };
    if nameless {
        return Reason::new(
            "no_address",
            "somebody in the property shows no e-mail address: a guest, a bot, a group, or the connection may not \
             read addresses",
        );
    }
    mismatch(value, what)
}

/// What a text column takes: one text, or the several parts of a set joined by commas.
pub(super) fn joined_text(value: &Value) -> Result<String, Reason> {
    match value {
        Value::Set(items) => {
            let texts = texts_of(items, "text")?;
            if texts.len() > 1 && texts.iter().any(|text| text.contains(',')) {
                return Err(Reason::new(
                    "comma",
                    "several values, one of them with a comma, in one text column",
                ));
            }
            Ok(texts.join(", "))
        }
        // Files and people arrive as lists; one of them is one text.
        Value::List(items) => match items.as_slice() {
            [only @ (Value::File(_) | Value::Person(_))] => {
                text_of(only).ok_or_else(|| no_text(only, "text"))
            }
            [Value::File(_) | Value::Person(_), ..] => Err(Reason::limited(
                "too_many",
                format!("{} items, and the column holds one", items.len()),
                1,
            )),
            _ => text_of(value).ok_or_else(|| no_text(value, "text")),
        },
        Value::Opaque(opaque) => Err(unreadable(opaque)),
        other => text_of(other).ok_or_else(|| no_text(other, "text")),
    }
}

/// Notion holds something that pagerow does not understand; it stays where it is.
pub(super) fn unreadable(opaque: &crate::value::Opaque) -> Reason {
    Reason::new(
        "not_understood",
        format!("the property holds something ({}) that has no form outside of Notion", opaque.kind),
    )
}

pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

pub(super) fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}

pub(super) fn no_nul(text: &str) -> Result<(), Reason> {
    if text.contains('\0') {
        return Err(Reason::new("nul", "the text holds a NUL character, which Postgres text cannot"));
    }
    Ok(())
}

/// `jsonb` refuses the character NUL, which canonical JSON writes as `\u0000`.
pub(super) fn no_nul_escape(json: &str) -> Result<(), Reason> {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at + 1..];
        if rest.starts_with("u0000") {
            return no_nul("\0");
        }
        // The escaped character may be a backslash itself.
        rest = &rest[1..];
    }
    Ok(())
}
