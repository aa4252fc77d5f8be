//! Notion's rich text as words or Markdown, and back into items that Notion takes.

use pagerow_core::{
    fidelity::ITEM_UNITS,
    rich_text::{Look, Mention, Span, What, from_markdown, joined, to_markdown},
    value::{Value, canonical_json},
};
use serde_json::{Map, Value as Json, json};

use crate::notion::wire::{RichText, RichTextItem};

/// A text property's value where the column holds words: these, and Markdown where there is more to say.
pub(super) fn read(rich: &RichText) -> Value {
    if rich.is_plain() {
        return match rich.plain_text() {
            text if text.is_empty() => Value::Null,
            text => Value::Text(text),
        };
    }
    let spans = spans(rich);
    if spans.is_empty() {
        return Value::Null;
    }
    // What is formatted only in ways that do not show (an empty link, a colour called default) is plain.
    match pagerow_core::rich_text::is_plain(&spans) {
        true => Value::Text(pagerow_core::rich_text::words(&spans)),
        false => Value::Markdown(to_markdown(&spans)),
    }
}

/// A text property's value where the column holds Markdown.
pub(super) fn read_markdown(rich: &RichText) -> Value {
    match spans(rich) {
        spans if spans.is_empty() => Value::Null,
        spans => Value::Markdown(to_markdown(&spans)),
    }
}

/// Markdown as rich text items, each as long as allowed.
pub(super) fn write_markdown(markdown: &str) -> Json {
    from_markdown(markdown).iter().flat_map(items).collect()
}

/// Words as rich text items, each as long as allowed, cut between characters.
pub(super) fn write(text: &str) -> Json {
    pieces(text, ITEM_UNITS).map(|piece| json!({ "text": { "content": piece } })).collect()
}

/// Cuts text into pieces of at most `limit` UTF-16 units. A character is never cut, so that no half of a surrogate
/// pair is ever sent.
pub(super) fn pieces(text: &str, limit: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut units = 0;
        let end = rest.char_indices().find_map(|(at, character)| {
            units += character.len_utf16();
            (units > limit).then_some(at)
        });
        let (piece, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        Some(piece)
    })
}

// ---- Reading ----

fn spans(rich: &RichText) -> Vec<Span> {
    joined(rich.0.iter().map(span))
}

fn span(item: &RichTextItem) -> Span {
    let Some(formatted) = &item.formatted else { return Span::plain(item.plain_text.as_str()) };
    let json = formatted.to_value();
    let mut look = look(&json["annotations"]);
    let shown = || item.plain_text.clone();
    let what = if let Some(expression) = json["equation"]["expression"].as_str() {
        What::Equation(expression.to_owned())
    } else if let Some(mention) = json["mention"].as_object() {
        What::Mention { mention: read_mention(mention, &json["href"]), shown: shown() }
    } else if let Some(content) = json["text"]["content"].as_str() {
        look.link = json["text"]["link"]["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned);
        // The two differ only where one of them is not shown.
        What::Text(if item.plain_text.is_empty() { content.to_owned() } else { shown() })
    } else {
        What::Text(shown())
    };
    Span { what, look }
}

fn look(annotations: &Json) -> Look {
    let has = |name: &str| annotations[name].as_bool().unwrap_or(false);
    Look {
        bold: has("bold"),
        italic: has("italic"),
        strike: has("strikethrough"),
        underline: has("underline"),
        code: has("code"),
        color: annotations["color"]
            .as_str()
            .filter(|color| !matches!(*color, "" | "default"))
            .map(str::to_owned),
        link: None,
    }
}

/// Only what says who or what is meant: names and pictures come and go without an edit.
fn read_mention(mention: &Map<String, Json>, href: &Json) -> Mention {
    let id = |kind: &str| mention.get(kind)?["id"].as_str().map(str::to_owned);
    if let Some(id) = id("user") {
        return Mention::User(id);
    }
    if let Some(id) = id("page") {
        return Mention::Page(id);
    }
    if let Some(id) = id("database") {
        return Mention::Database(id);
    }
    if let Some(date) = mention.get("date")
        && let Some(start) = date["start"].as_str()
    {
        let text = |name: &str| date[name].as_str().map(str::to_owned);
        return Mention::Date { start: start.to_owned(), end: text("end"), time_zone: text("time_zone") };
    }
    let mut other = mention.clone();
    // Where a link leads says more than its preview, which Notion does not take back.
    if mention.contains_key("link_preview")
        && let Some(url) = href.as_str()
    {
        other = Map::from_iter([
            ("type".to_owned(), json!("link_preview")),
            ("link_preview".to_owned(), json!({ "url": url })),
        ]);
    }
    Mention::Other(canonical_json(&Json::Object(other)))
}

// ---- Writing ----

fn items(span: &Span) -> Vec<Json> {
    let annotations = annotations(&span.look);
    let item = |mut item: Json| {
        if let Some(annotations) = &annotations {
            item["annotations"] = annotations.clone();
        }
        item
    };
    match &span.what {
        What::Text(text) => pieces(text, ITEM_UNITS)
            .map(|piece| {
                let mut text = json!({ "content": piece });
                if let Some(url) = &span.look.link {
                    text["link"] = json!({ "url": url });
                }
                item(json!({ "text": text }))
            })
            .collect(),
        What::Equation(expression) => vec![item(json!({ "equation": { "expression": expression } }))],
        What::Mention { mention, shown } => vec![item(write_mention(mention, shown))],
    }
}

fn annotations(look: &Look) -> Option<Json> {
    let mut annotations = Map::new();
    for (name, is_so) in [
        ("bold", look.bold),
        ("italic", look.italic),
        ("strikethrough", look.strike),
        ("underline", look.underline),
        ("code", look.code),
    ] {
        if is_so {
            annotations.insert(name.to_owned(), json!(true));
        }
    }
    if let Some(color) = &look.color {
        annotations.insert("color".to_owned(), json!(color));
    }
    (!annotations.is_empty()).then_some(Json::Object(annotations))
}

fn write_mention(mention: &Mention, shown: &str) -> Json {
    match mention {
        Mention::User(id) => json!({ "mention": { "user": { "id": id } } }),
        Mention::Page(id) => json!({ "mention": { "page": { "id": id } } }),
        Mention::Database(id) => json!({ "mention": { "database": { "id": id } } }),
        Mention::Date { start, end, time_zone } => {
            let mut date = json!({ "start": start });
            if let Some(end) = end {
                date["end"] = json!(end);
            }
            if let Some(zone) = time_zone {
                date["time_zone"] = json!(zone);
            }
            json!({ "mention": { "date": date } })
        }
        Mention::Other(other) => {
            let other: Json = serde_json::from_str(other).unwrap_or(Json::Null);
            // Notion makes previews itself, and takes none: the link stays.
            match other["link_preview"]["url"].as_str() {
                Some(url) => {
                    let words = if shown.is_empty() { url } else { shown };
                    let words = pieces(words, ITEM_UNITS).next().unwrap_or_default();
                    json!({ "text": { "content": words, "link": { "url": url } } })
                }
                None if other.is_object() => json!({ "mention": other }),
                None => json!({ "text": { "content": shown } }),
            }
        }
    }
}
