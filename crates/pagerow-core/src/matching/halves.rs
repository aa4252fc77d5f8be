//! What the matcher reads of a row or a page that was seen: what names its other half, its title, and its other fields
//! as text, a row's in the form that Notion would show.

use super::{Page, Row};
use crate::{
    adopt::{PageHalf, RowHalf},
    fidelity::{Fidelity, in_notion, in_words},
    mapping::{Field, Mapping, PropertyKind},
    observation::Sighting,
    record::{PageId, RowKey},
    value::{Ref, Value},
};

impl Row {
    /// A row that was seen. What it refers to counts as far as `has_page` says that the page of that row of that mapping
    /// is known: a page can name no other.
    #[must_use]
    pub fn seen(
        mapping: &Mapping,
        key: &RowKey,
        row: &Sighting,
        has_page: impl Fn(&str, &RowKey) -> bool,
    ) -> Self {
        let shown = |value: &Value, field: &Field| {
            let knows = |key: &RowKey| field.related().is_none_or(|related| has_page(related, key));
            match in_notion(value, field) {
                Fidelity::Stored(form) => text(&form, &knows),
                Fidelity::Unstorable(_) => text(value, &knows),
            }
        };
        let (title, content) = texts(mapping, row, shown);
        Self { half: RowHalf::seen(mapping, key, row), title, content }
    }
}

impl Page {
    /// A page that was seen.
    #[must_use]
    pub fn seen(mapping: &Mapping, page: PageId, seen: &Sighting) -> Self {
        let shown = |value: &Value, field: &Field| text(&in_words(value, field), &|_| true);
        let (title, content) = texts(mapping, seen, shown);
        Self { half: PageHalf::seen(mapping, page, seen), title, content }
    }
}

/// The title, and every other field that is looked at.
fn texts(
    mapping: &Mapping,
    seen: &Sighting,
    shown: impl Fn(&Value, &Field) -> String,
) -> (String, Vec<String>) {
    let (mut title, mut content) = (String::new(), Vec::new());
    for (place, field) in mapping.fields.iter().enumerate().filter(|(_, field)| !field.is_paused()) {
        let text = seen.record.get(place).map_or_else(String::new, |value| shown(value, field));
        if field.shows == PropertyKind::Title {
            title = text;
        } else {
            content.push(text);
        }
    }
    (title, content)
}

/// A value as words; empty where there is nothing that both sides could say in the same words. Of rows that are referred
/// to it names those that are `known`.
fn text(value: &Value, known: &dyn Fn(&RowKey) -> bool) -> String {
    let all = |items: &mut dyn Iterator<Item = &Value>| {
        let texts: Vec<String> =
            items.map(|item| text(item, known)).filter(|text| !text.is_empty()).collect();
        texts.join(" ")
    };
    match value {
        Value::Null | Value::Ref(Ref::Page(_)) => String::new(),
        Value::Ref(Ref::Row(key)) if known(key) => key.to_string(),
        Value::Ref(Ref::Row(_)) => String::new(),
        Value::Text(text) | Value::Markdown(text) | Value::Json(text) => text.clone(),
        Value::Number(number) => number.as_str().to_owned(),
        Value::List(items) => all(&mut items.iter()),
        Value::Set(items) => all(&mut items.iter()),
        Value::File(file) => file.identity().to_owned(),
        Value::Person(person) => person.identity(),
        Value::Opaque(opaque) => opaque.text.clone(),
        Value::Bool(_) | Value::Day(_) | Value::Instant(_) | Value::Range(_) => match value.plain() {
            serde_json::Value::String(text) => text,
            json => json.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_words() {
        let text = |value: &Value| text(value, &|key| key.as_str() == "7");
        let number = |text| Value::Number(crate::number::Number::parse(text).unwrap());
        assert_eq!(text(&number("1.50")), text(&number("1.5")));
        let some = Value::set([Value::Text("b".into()), Value::Null, Value::Text("a".into())]);
        assert_eq!(text(&some), "a b");
        assert_eq!(text(&Value::Bool(true)), "true");
        let refer = |key: &str| Value::Ref(Ref::Row(key.into()));
        assert_eq!(text(&Value::set([refer("7"), refer("8")])), "7");
        assert_eq!(text(&Value::Ref(Ref::Page(PageId(uuid::Uuid::nil())))), "");
    }
}
