//! A page of Notion's JSON as a sighting of a record.

use jiff::tz::TimeZone;
use pagerow_core::{
    digest::Digest,
    mapping::{ColumnKind, Field, Flow, Mapping, PropertyKind},
    observation::{Absence, Sighting},
    record::{PageId, Record},
    side::Side,
    value::Value,
};

use super::api::{Fetched, Missing};
use crate::{
    backup::Backups,
    notion::{
        convert::{self, Incoming},
        source::{BesideProperty, Source},
        wire::{Page, Parent, Property, PropertyId, PropertyValue},
    },
    replica::Relatives,
};

/// How the pages of one mapping are seen.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    /// Where each field is found.
    properties: Vec<Spot>,
    key: Option<PropertyId>,
    checksum: Option<PropertyId>,
    /// What expressions look at beside their own property: their words for it, where it is, and how it is read.
    beside: Vec<(String, PropertyId, Field)>,
    has_body: bool,
    /// The property with the whole row, and where such rows are put; where they are asked for.
    pub(super) backup: Option<(PropertyId, Backups)>,
    pub(super) zone: TimeZone,
}

/// Stands for a field's place, which no field has.
const BACKUP: usize = usize::MAX;

/// Where in a page a field is found.
#[derive(Clone, Debug)]
enum Spot {
    Property(PropertyId),
    Body,
    /// Nowhere for now: the field is paused.
    Paused,
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
        let id = |id: &str| PropertyId::new(id);
        let spot = |field: &Field| match &field.shows {
            _ if field.is_paused() => Spot::Paused,
            PropertyKind::Body => Spot::Body,
            _ => Spot::Property(id(&field.property_id)),
        };
        let properties: Vec<Spot> = mapping.fields.iter().map(spot).collect();
        Self {
            backup: None,
            has_body: properties.iter().any(|spot| matches!(spot, Spot::Body)),
            properties,
            key: source.key_property.as_ref().map(|property| id(&property.id)),
            checksum: source.stamp.checksum.as_deref().map(id),
            beside: source
                .beside
                .iter()
                .map(|beside| (beside.name.clone(), id(&beside.id), plain(beside)))
                .collect(),
            zone,
        }
    }

    /// Every property that is looked at.
    pub(super) fn shown(&self) -> Vec<PropertyId> {
        let mut shown: Vec<PropertyId> = Vec::new();
        let properties = self.properties.iter().filter_map(Spot::property);
        let beside = self.beside.iter().map(|(_, id, _)| id);
        let backup = self.backup.as_ref().map(|(id, _)| id);
        for id in properties.chain(&self.key).chain(&self.checksum).chain(backup).chain(beside) {
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
            if let Some(id) = id.property()
                && let Some(property) = scratch.find(page, field, id)
                && property.value.may_be_cut()
            {
                // The form in which the answer has it is the one that paths take.
                cut.push((field, property.id.clone()));
            }
        }
        if let Some((id, _)) = &self.backup
            && let Some(property) = page.property(id).filter(|property| property.value.may_be_cut())
        {
            cut.push((BACKUP, property.id.clone()));
        }
        Missing { cut, body: self.has_body }
    }

    /// Puts the page's whole row aside, where it was asked for.
    pub(super) fn keep_backup(&self, id: PageId, page: &Page, fetched: &Fetched) {
        let Some((property, backups)) = &self.backup else { return };
        let whole = fetched.values.iter().find(|(field, _)| *field == BACKUP);
        let value = match whole {
            Some((_, value)) => value.as_ref(),
            None => page.property(property).map(|property| &property.value),
        };
        if let Some(kept) = value.and_then(text_of) {
            backups.keep(id, kept);
        }
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
            let id = match self.properties.get(place) {
                Some(Spot::Property(id)) => id,
                Some(Spot::Body) => {
                    values.push(fetched.body.as_deref().map(body));
                    continue;
                }
                Some(Spot::Paused) | None => {
                    values.push(None);
                    continue;
                }
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
        self.through_lenses(mapping, page, &mut values, incoming);
        let record = Record::new(values);
        let text = |id: &Option<PropertyId>| text(page.property(id.as_ref()?)?);
        let marker = text(&self.key);
        let digest = Digest::of_record(mapping, &record, marker.as_deref(), &mut scratch.bytes);
        let checksum = text(&self.checksum);
        let by = page.last_edited_by.as_deref().map(|id| name_of(mapping, id));
        let editor = page.last_edited_by.clone();
        Sighting { record, digest, edited: Some(page.last_edited_time), editor, by, marker, checksum }
    }
}

impl Lens {
    /// Puts what expressions make of the page in the place of what their properties hold.
    fn through_lenses(
        &self,
        mapping: &Mapping,
        page: &Page,
        values: &mut [Option<Value>],
        incoming: Incoming<'_>,
    ) {
        let lenses = || {
            let fields = mapping.fields.iter().zip(0..).filter(|(field, _)| !field.is_paused());
            fields.filter_map(|(field, place)| Some((place, field.lens.as_deref()?)))
        };
        if lenses().all(|(_, lens)| lens.side() == Side::Postgres) {
            return;
        }
        let beside: Vec<(&str, Value)> = self
            .beside
            .iter()
            .filter_map(|(name, id, field)| {
                let shown = &page.property(id)?.value;
                let value = convert::value(shown, field, incoming).filter(|_| !shown.may_be_cut())?;
                Some((name.as_str(), value))
            })
            .collect();
        let around = |name: &str| beside.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        for (place, lens) in lenses().filter(|(_, lens)| lens.side() == Side::Notion) {
            let Some(slot) = values.get_mut::<usize>(place) else { continue };
            let Some(value) = slot.take() else { continue };
            let zone = &self.zone;
            *slot = Some(lens.of_page(&value, &around, page.last_edited_time, zone));
        }
    }
}

/// How a property is read for its own sake.
fn plain(beside: &BesideProperty) -> Field {
    Field {
        column: beside.name.clone(),
        property: beside.name.clone(),
        property_id: beside.id.clone(),
        holds: ColumnKind::Text { max: None },
        shows: PropertyKind::ReadOnly(beside.kind.clone()),
        required: false,
        flow: Flow::ToPostgres,
        wins: None,
        labels: std::collections::BTreeMap::new(),
        lens: None,
    }
}

impl Spot {
    fn property(&self) -> Option<&PropertyId> {
        match self {
            Self::Property(id) => Some(id),
            Self::Body | Self::Paused => None,
        }
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

/// A person's e-mail address where the mapping knows it, else Notion's id: a page shows no more, and nobody is asked.
fn name_of(mapping: &Mapping, id: &str) -> String {
    let known = mapping.fields.iter().filter_map(|field| match &field.shows {
        PropertyKind::People { known } => Some(known),
        _ => None,
    });
    let person = known.flatten().find(|person| person.id.as_deref() == Some(id));
    person.and_then(|person| person.email.clone()).unwrap_or_else(|| id.to_owned())
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
    text_of(&property.value)
}

fn text_of(value: &PropertyValue) -> Option<String> {
    let text = match value {
        PropertyValue::Title(rich) | PropertyValue::RichText(rich) => rich.plain_text(),
        PropertyValue::Url(text) | PropertyValue::Email(text) | PropertyValue::PhoneNumber(text) => {
            text.clone()?
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Instant};

    use pagerow_core::mapping::{KeySource, OnPageTrashed, OnRowDeleted, Options, Policy};
    use serde_json::json;

    use super::*;
    use crate::notion::{
        source::{StampProperties, TextProperty},
        wire::ListPage,
    };

    const DATA_SOURCE: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    fn mapping(fields: Vec<(&str, PropertyKind, ColumnKind)>) -> Mapping {
        let field = |(id, shows, holds): (&str, PropertyKind, ColumnKind)| Field {
            column: format!("column_{id}"),
            property: id.into(),
            property_id: id.into(),
            holds,
            shows,
            required: false,
            flow: Flow::Both,
            wins: None,
            labels: BTreeMap::new(),
            lens: None,
        };
        Mapping {
            name: "m".into(),
            fields: fields.into_iter().map(field).collect(),
            direction: Flow::Both,
            on_conflict: Policy::Manual,
            on_row_deleted: OnRowDeleted::Trash,
            on_page_trashed: OnPageTrashed::Ask,
            match_on: Vec::new(),
            key: KeySource::Generated,
            key_property: true,
        }
    }

    fn lens(mapping: &Mapping) -> Lens {
        let key = TextProperty { id: "key".into(), name: "Key".into(), kind: "rich_text".into() };
        let source = Source {
            data_source: DATA_SOURCE.into(),
            name: "S".into(),
            key_property: Some(key),
            stamp: StampProperties { checksum: Some("sum".into()), ..StampProperties::default() },
            backup: None,
            beside: Vec::new(),
            has_body: false,
            zone: "UTC".into(),
        };
        Lens::new(mapping, &source, TimeZone::UTC)
    }

    fn rich(text: &str) -> serde_json::Value {
        json!([{"type": "text", "text": {"content": text, "link": null}, "plain_text": text, "href": null,
            "annotations": {"bold": false, "italic": false, "strikethrough": false, "underline": false,
                "code": false, "color": "default"}}])
    }

    fn page_json(number: usize, properties: serde_json::Value) -> serde_json::Value {
        json!({"object": "page", "id": format!("5c6a2821-6bb1-4a7e-b6e1-{number:012}"),
            "created_time": "2026-07-04T09:08:00.000Z", "last_edited_time": "2026-07-04T09:09:00.000Z",
            "created_by": {"object": "user", "id": "u"}, "last_edited_by": {"object": "user", "id": "u"},
            "cover": null, "icon": null, "in_trash": false, "is_archived": false, "is_locked": false,
            "parent": {"type": "data_source_id", "data_source_id": DATA_SOURCE, "database_id": "db"},
            "properties": properties, "url": "https://app.notion.com/p/x", "public_url": null})
    }

    fn page(properties: serde_json::Value) -> Page {
        serde_json::from_str(&page_json(1, properties).to_string()).unwrap()
    }

    fn see(mapping: &Mapping, page: &Page, fetched: &Fetched) -> Sighting {
        lens(mapping).sighting(mapping, page, fetched, &Relatives::default(), &mut Scratch::default())
    }

    #[test]
    fn properties_are_found_by_id_and_what_is_missing_is_not_read() {
        let text = ColumnKind::Text { max: None };
        let mapping = mapping(vec![
            ("title", PropertyKind::Title, text.clone()),
            ("<nJT", PropertyKind::RichText, text.clone()),
            ("gone", PropertyKind::Number, text.clone()),
            ("", PropertyKind::Body, text),
        ]);
        let page = page(json!({
            "Notes": {"id": "%3CnJT", "type": "rich_text", "rich_text": []},
            "Renamed": {"id": "title", "type": "title", "title": rich("Ada")},
            "Key": {"id": "key", "type": "rich_text", "rich_text": rich("7")},
            "Sum": {"id": "sum", "type": "rich_text", "rich_text": []},
        }));
        let seen = see(&mapping, &page, &Fetched::default());
        let ada = Some(Value::Text("Ada".into()));
        assert_eq!(seen.record.values(), [ada, Some(Value::Null), None, None]);
        assert_eq!((seen.marker.as_deref(), seen.checksum), (Some("7"), None));
        let fetched = Fetched { body: Some("# A".into()), ..Fetched::default() };
        let whole = see(&mapping, &page, &fetched);
        assert_eq!(whole.record.get(3), Some(&Value::Markdown("# A".into())));
        assert_ne!(whole.digest, seen.digest);
    }

    #[test]
    fn what_is_cut_is_not_read_until_it_was_fetched() {
        let shows = PropertyKind::Relation { mapping: "users".into(), single: false };
        let mapping = mapping(vec![("rel", shows, ColumnKind::References { mapping: "users".into() })]);
        let id = "6d7b3932-7cc2-4b8f-87f2-d61222626d4e";
        let page = page(json!({
            "R": {"id": "rel", "type": "relation", "relation": [{"id": id}], "has_more": true},
        }));
        let lens = lens(&mapping);
        let missing = lens.missing(&page, &mut Scratch::default());
        assert_eq!(missing.cut, [(0, PropertyId::new("rel"))]);
        assert_eq!(see(&mapping, &page, &Fetched::default()).record.get(0), None);
        let hidden = Fetched { values: vec![(0, None)], body: None };
        assert_eq!(see(&mapping, &page, &hidden).record.get(0), None);
        let ids = vec![id.to_owned(); 30];
        let fetched =
            Fetched { values: vec![(0, Some(PropertyValue::Relation { ids, has_more: false }))], body: None };
        assert!(matches!(see(&mapping, &page, &fetched).record.get(0), Some(Value::Set(_))));
    }

    #[test]
    fn a_page_is_where_its_parent_is() {
        let mut page = page(json!({}));
        assert_eq!(
            state(&page, &DATA_SOURCE.replace('-', "")),
            State::Live,
            "ids come with dashes or without"
        );
        assert_eq!(state(&page, "5c6a2821-6bb1-4a7e-b6e1-c50111515c3d"), State::Away(Absence::Moved));
        page.is_archived = true;
        assert_eq!(state(&page, DATA_SOURCE), State::Away(Absence::Archived));
        page.in_trash = true;
        assert_eq!(state(&page, DATA_SOURCE), State::Away(Absence::Trashed));
        page.parent = Parent::Workspace;
        assert_eq!(state(&page, DATA_SOURCE), State::Away(Absence::Moved));
    }

    /// Run with `--ignored --nocapture --release` for the figure.
    #[test]
    #[ignore = "a measurement"]
    fn how_fast_answers_become_sightings() {
        let text = ColumnKind::Text { max: None };
        let options = Options { names: vec!["Gold".into()], may_grow: true, ordered: false };
        let mapping = mapping(vec![
            ("title", PropertyKind::Title, text.clone()),
            ("a", PropertyKind::RichText, text.clone()),
            ("b", PropertyKind::RichText, text.clone()),
            ("c", PropertyKind::Number, ColumnKind::Double),
            ("d", PropertyKind::Number, ColumnKind::Double),
            ("e", PropertyKind::Select(options.clone()), text.clone()),
            ("f", PropertyKind::MultiSelect(options), text.clone()),
            ("g", PropertyKind::Date, ColumnKind::Instant),
            ("h", PropertyKind::Checkbox, ColumnKind::Bool),
            ("i", PropertyKind::Url, text.clone()),
            ("j", PropertyKind::Email, text),
        ]);
        let option = json!({"id": "o", "name": "Gold", "color": "red"});
        let pages: Vec<_> = (0..100)
            .map(|number| {
                page_json(number, json!({
                    "Name": {"id": "title", "type": "title", "title": rich("Ada Lovelace & Sons")},
                    "A": {"id": "a", "type": "rich_text", "rich_text": rich("Some notes, of a sentence or two in length.")},
                    "B": {"id": "b", "type": "rich_text", "rich_text": []},
                    "C": {"id": "c", "type": "number", "number": 12.5},
                    "D": {"id": "d", "type": "number", "number": null},
                    "E": {"id": "e", "type": "select", "select": option},
                    "F": {"id": "f", "type": "multi_select", "multi_select": [option]},
                    "G": {"id": "g", "type": "date", "date": {"start": "2026-02-11T10:20:00.000+00:00", "end": null, "time_zone": null}},
                    "H": {"id": "h", "type": "checkbox", "checkbox": true},
                    "I": {"id": "i", "type": "url", "url": "https://supplier.example/catalogue"},
                    "J": {"id": "j", "type": "email", "email": "ada@example.com"},
                    "Key": {"id": "key", "type": "rich_text", "rich_text": rich("10248")},
                    "Sum": {"id": "sum", "type": "rich_text", "rich_text": rich("0a1b2c3d4e5f60718293a4b5c6d7e8f9")},
                }))
            })
            .collect();
        let answer =
            json!({"object": "list", "results": pages, "has_more": false, "next_cursor": null}).to_string();
        let lens = lens(&mapping);
        let (relatives, mut scratch) = (Relatives::default(), Scratch::default());
        let rounds = 200;
        let started = Instant::now();
        let mut decoding = std::time::Duration::ZERO;
        for _ in 0..rounds {
            let decode = Instant::now();
            let list = ListPage::<Page>::decode(answer.as_bytes()).unwrap();
            decoding += decode.elapsed();
            for page in list.entries.iter().filter_map(crate::notion::wire::Entry::whole) {
                assert!(lens.missing(page, &mut scratch).cut.is_empty());
                let seen = lens.sighting(&mapping, page, &Fetched::default(), &relatives, &mut scratch);
                assert_eq!(seen.marker.as_deref(), Some("10248"));
            }
        }
        let all = started.elapsed();
        let rate = |time: std::time::Duration| (rounds * 100) as f64 / time.as_secs_f64();
        println!(
            "{} KB an answer: {:.0} pages/s decoded, {:.0} pages/s made sightings, {:.0} pages/s in all, on one core",
            answer.len() / 1024,
            rate(decoding),
            rate(all - decoding),
            rate(all)
        );
    }
}
