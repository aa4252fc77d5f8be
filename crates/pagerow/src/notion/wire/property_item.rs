//! The property endpoint's answers, put together to one whole value.

use super::list::{Envelope, WhereItBroke};
use super::property::{PropertyValue, Reference, Rollup, RollupValue};
use super::rich_text::{RichText, RichTextItem};
use super::tagged::Tagged;
use super::user::User;

/// One answer of the property endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyItemPage {
    /// The value has no list form: this is all of it.
    Single(PropertyValue),
    /// Some entries of a list.
    Items { items: Items, next_cursor: Option<String> },
}

/// Entries of a value that Notion hands out in pieces.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    Title(Vec<RichTextItem>),
    RichText(Vec<RichTextItem>),
    Relation(Vec<String>),
    People(Vec<User>),
    /// The aggregate is final only in the last answer.
    Rollup {
        aggregate: Rollup,
        elements: Vec<PropertyValue>,
    },
}

impl PropertyItemPage {
    /// Reads one answer. Any entry that cannot be read fails the whole: half a value is no value.
    pub fn decode(json: &[u8]) -> Result<Self, WhereItBroke> {
        if let Ok(envelope) = Envelope::decode(json) {
            return Ok(Self::Items { items: Items::of(&envelope)?, next_cursor: envelope.next_cursor()? });
        }
        let tagged: Tagged<'_> = serde_json::from_slice(json).map_err(|error| WhereItBroke::new(&error))?;
        // The only list among the keys is `results`, so this is an object of its own.
        if tagged.others.iter().any(|(key, _)| key == "results") {
            return Err(WhereItBroke::shape("the list of property items"));
        }
        Ok(Self::Single(PropertyValue::of(&tagged)))
    }
}

/// The pieces of one value, collected answer by answer.
#[derive(Debug, Default)]
pub struct PropertyItems(Option<Items>);

impl PropertyItems {
    /// Adds the next answer's entries. Fails when they are of another kind than the ones before.
    pub fn push(&mut self, items: Items) -> Result<(), WhereItBroke> {
        use Items as I;
        match (&mut self.0, items) {
            (collected @ None, first) => *collected = Some(first),
            (Some(I::Title(all)), I::Title(more)) | (Some(I::RichText(all)), I::RichText(more)) => {
                all.extend(more);
            }
            (Some(I::Relation(all)), I::Relation(more)) => all.extend(more),
            (Some(I::People(all)), I::People(more)) => all.extend(more),
            (Some(I::Rollup { aggregate, elements }), I::Rollup { aggregate: newer, elements: more }) => {
                *aggregate = newer;
                elements.extend(more);
            }
            _ => return Err(WhereItBroke::shape("the kind of the property items")),
        }
        Ok(())
    }

    /// The whole value; `NotShown` when nothing was pushed.
    pub fn finish(self) -> PropertyValue {
        let Some(items) = self.0 else { return PropertyValue::NotShown };
        match items {
            Items::Title(items) => PropertyValue::Title(RichText(items)),
            Items::RichText(items) => PropertyValue::RichText(RichText(items)),
            Items::Relation(ids) => PropertyValue::Relation { ids, has_more: false },
            Items::People(people) => PropertyValue::People(people),
            Items::Rollup { mut aggregate, elements } => {
                if let RollupValue::Array(array) = &mut aggregate.value {
                    *array = elements;
                }
                PropertyValue::Rollup(aggregate)
            }
        }
    }
}

impl Items {
    fn of(envelope: &Envelope<'_>) -> Result<Self, WhereItBroke> {
        let unreadable = || WhereItBroke::shape("a property item");
        let whole: Tagged<'_> = envelope
            .property_item
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .ok_or_else(|| WhereItBroke::shape("property_item"))?;
        let entries = envelope
            .results
            .iter()
            .map(|raw| serde_json::from_str::<Tagged<'_>>(raw.get()).map_err(|_| unreadable()))
            .collect::<Result<Vec<_>, _>>()?;
        fn read<'a, T: serde::Deserialize<'a>>(entries: &[Tagged<'a>]) -> Option<Vec<T>> {
            entries.iter().map(Tagged::read).collect()
        }
        match whole.kind.as_deref().unwrap_or_default() {
            "title" => read(&entries).map(Self::Title),
            "rich_text" => read(&entries).map(Self::RichText),
            "relation" => read(&entries)
                .map(|references: Vec<Reference>| references.into_iter().map(|reference| reference.id))
                .map(|ids| Self::Relation(ids.collect())),
            "people" => read(&entries).map(Self::People),
            "rollup" => whole.read().map(|aggregate| Self::Rollup {
                aggregate,
                elements: entries.iter().map(PropertyValue::of).collect(),
            }),
            _ => None,
        }
        .ok_or_else(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(ids: &[&str], next: Option<&str>) -> Vec<u8> {
        let results: Vec<_> = ids
            .iter()
            .map(|id| {
                format!(
                    r#"{{"object":"property_item","type":"relation","id":"r","relation":{{"id":"{id}"}}}}"#
                )
            })
            .collect();
        let cursor = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
        format!(
            r#"{{"object":"list","results":[{}],"next_cursor":{cursor},"has_more":{},"type":"property_item",
               "property_item":{{"id":"r","type":"relation","relation":{{}},"next_url":null}}}}"#,
            results.join(","),
            next.is_some()
        )
        .into_bytes()
    }

    #[test]
    fn pieces_become_one_value() {
        let mut collected = PropertyItems::default();
        for (ids, next) in [(["a", "b"], Some("c1")), (["c", "d"], None)] {
            let PropertyItemPage::Items { items, next_cursor } =
                PropertyItemPage::decode(&relation(&ids, next)).unwrap()
            else {
                panic!("not a list")
            };
            assert_eq!(next_cursor.as_deref(), next);
            collected.push(items).unwrap();
        }
        let ids = ["a", "b", "c", "d"].map(String::from).to_vec();
        assert_eq!(collected.finish(), PropertyValue::Relation { ids, has_more: false });
    }

    #[test]
    fn an_unreadable_entry_fails_the_whole() {
        let broken = String::from_utf8(relation(&["a"], None)).unwrap().replace(r#"{"id":"a"}"#, "7");
        assert!(PropertyItemPage::decode(broken.as_bytes()).is_err());
        let cut = String::from_utf8(relation(&["a"], None)).unwrap().replace(r#""has_more":false,"#, "");
        assert!(PropertyItemPage::decode(cut.as_bytes()).is_err());
    }

    #[test]
    fn a_single_item_is_a_value() {
        let json = br#"{"object":"property_item","type":"number","id":"n","number":2.50,"request_id":"r"}"#;
        let PropertyItemPage::Single(PropertyValue::Number(Some(number))) =
            PropertyItemPage::decode(json).unwrap()
        else {
            panic!("not a number")
        };
        assert_eq!(number.as_str(), "2.50");
    }

    #[test]
    fn a_rollup_takes_its_last_aggregate() {
        let answer = |count: u8, more: bool| {
            format!(
                r#"{{"object":"list","results":[{{"object":"property_item","type":"number","id":"n","number":1}}],
                   "next_cursor":{},"has_more":{more},"type":"property_item","property_item":{{"id":"x","type":"rollup",
                   "rollup":{{"type":"number","number":{count},"function":"sum"}}}}}}"#,
                if more { "\"c\"" } else { "null" }
            )
        };
        let mut collected = PropertyItems::default();
        for (count, more) in [(1, true), (2, false)] {
            let page = PropertyItemPage::decode(answer(count, more).as_bytes()).unwrap();
            let PropertyItemPage::Items { items, .. } = page else { panic!("not a list") };
            collected.push(items).unwrap();
        }
        let PropertyValue::Rollup(rollup) = collected.finish() else { panic!("not a rollup") };
        assert!(matches!(rollup.value, RollupValue::Number(Some(n)) if n.as_str() == "2"));
    }
}
