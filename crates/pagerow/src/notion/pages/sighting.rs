//! A page of Notion's JSON as a sighting of a record.

use jiff::tz::TimeZone;
use pagerow_core::{
    digest::Digest,
    mapping::{Mapping, PropertyKind},
    observation::{Absence, Sighting},
    record::{PageId, Record},
    value::Value,
};

use super::api::{Fetched, Missing};
use crate::{
    notion::{
        convert::{self, Incoming},
        source::Source,
        wire::{Page, Parent, Property, PropertyId, PropertyValue},
    },
    replica::Relatives,
};

/// How the pages of one mapping are seen.
#[derive(Debug)]
pub(super) struct Lens {
    /// The property of each field, `None` for a page's body.
    properties: Vec<Option<PropertyId>>,
    key: Option<PropertyId>,
    checksum: Option<PropertyId>,
    has_body: bool,
    pub(super) zone: TimeZone,
}

/// Buffers, and where properties were found in the page before: pages of one answer have them in one order.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

/// Where a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Away(Absence),
    /// Under something that we do not know.
    Strange,
}

impl Lens {
    pub(super) fn new(mapping: &Mapping, source: &Source, zone: TimeZone) -> Self {
        let is_body = |shows: &PropertyKind| matches!(shows, PropertyKind::Body);
        let id = |id: &str| PropertyId::new(id);
        Self {
            properties: mapping
                .fields
                .iter()
                .map(|field| (!is_body(&field.shows)).then(|| id(&field.property_id)))
                .collect(),
            key: source.key_property.as_ref().map(|property| id(&property.id)),
            checksum: source.stamp.checksum.as_deref().map(id),
            has_body: mapping.fields.iter().any(|field| is_body(&field.shows)),
            zone,
        }
    }

    /// Every property that is looked at.
    pub(super) fn shown(&self) -> Vec<PropertyId> {
        let mut shown: Vec<PropertyId> = Vec::new();
        for id in self.properties.iter().flatten().chain(&self.key).chain(&self.checksum) {
            if !shown.contains(id) {
                shown.push(id.clone());
            }
        }
        shown
    }

    /// What of a live page has to be fetched before it can be seen whole.
    pub(super) fn missing(&self, page: &Page, scratch: &mut Scratch) -> Missing {
        let mut cut = Vec::new();
        for (field, id) in self.properties.iter().enumerate() {
            if let Some(id) = id
                && let Some(property) = scratch.find(page, field, id)
                && property.value.may_be_cut()
            {
                // The form in which the answer has it is the one that paths take.
                cut.push((field, property.id.clone()));
            }
        }
        Missing { cut, body: self.has_body }
    }

    /// The page as a record. What is cut and was not fetched counts as not read.
    pub(super) fn sighting(
        &self,
        mapping: &Mapping,
        page: &Page,
        fetched: &Fetched,
        relatives: &Relatives,
        scratch: &mut Scratch,
    ) -> Sighting {
        let incoming = Incoming { relatives, zone: &self.zone };
        let mut values = Vec::with_capacity(mapping.fields.len());
        for (place, field) in mapping.fields.iter().enumerate() {
            let Some(Some(id)) = self.properties.get(place) else {
                values.push(fetched.body.as_deref().map(body));
                continue;
            };
            let whole = fetched.values.iter().find(|(field, _)| *field == place);
            let shown: Option<&PropertyValue> = match whole {
                Some((_, value)) => value.as_ref(),
                None => scratch
                    .find(page, place, id)
                    .map(|property| &property.value)
                    .filter(|value| !value.may_be_cut()),
            };
            values.push(shown.and_then(|shown| convert::value(shown, field, incoming)));
        }
        let record = Record::new(values);
        let text = |id: &Option<PropertyId>| text(page.property(id.as_ref()?)?);
        let marker = text(&self.key);
        let digest = Digest::of_record(mapping, &record, marker.as_deref(), &mut scratch.bytes);
        let checksum = text(&self.checksum);
        Sighting { record, digest, edited: Some(page.last_edited_time), marker, checksum }
    }
}

impl Scratch {
    /// A field's property in a page.
    fn find<'p>(&mut self, page: &'p Page, field: usize, id: &PropertyId) -> Option<&'p Property> {
        if self.places.len() <= field {
            self.places.resize(field + 1, 0);
        }
        let place = &mut self.places[field];
        if let Some(property) = page.properties.get(*place)
            && property.id == *id
        {
            return Some(property);
        }
        *place = page.properties.iter().position(|property| property.id == *id)?;
        page.properties.get(*place)
    }
}

/// Where a page stands, seen from a data source.
pub(super) fn state(page: &Page, data_source: &str) -> State {
    match &page.parent {
        Parent::DataSource { id, .. } if same_id(id, data_source) => {}
        Parent::DataSource { .. }
        | Parent::Page(_)
        | Parent::Database(_)
        | Parent::Block(_)
        | Parent::Agent(_)
        | Parent::Workspace => return State::Away(Absence::Moved),
        Parent::Unknown { .. } => return State::Strange,
    }
    if page.in_trash {
        State::Away(Absence::Trashed)
    } else if page.is_archived {
        State::Away(Absence::Archived)
    } else {
        State::Live
    }
}

/// Markdown as the core's value; a page without blocks has nothing.
pub(super) fn body(markdown: &str) -> Value {
    if markdown.is_empty() { Value::Null } else { Value::Markdown(markdown.to_owned()) }
}

fn same_id(one: &str, other: &str) -> bool {
    match (PageId::parse(one), PageId::parse(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The text of a property that holds text; nothing when it is empty or holds something else.
fn text(property: &Property) -> Option<String> {
    let text = match &property.value {
        PropertyValue::Title(rich) | PropertyValue::RichText(rich) => rich.plain_text(),
        PropertyValue::Url(text) | PropertyValue::Email(text) | PropertyValue::PhoneNumber(text) => {
            text.clone()?
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
