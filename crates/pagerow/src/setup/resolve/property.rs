//! One field held against its property.

use std::collections::BTreeMap;

use pagerow_core::{
    mapping::{Field, Flow, Options, PropertyKind},
    side::Side,
};

pub(super) use expression::looked_at;

use super::super::{
    draft::{Draft, DraftField, Look},
    found::{Sight, SourceFound},
    kinds::{describe, storable},
};
use crate::{
    config::{NewOptions, PropertyWord, Setting, nearest},
    notion::wire::{DataSource, PropertyConfig, PropertyId, PropertySchema},
};

mod expression;

/// The id under which a page's body stands among the properties.
const BODY_ID: &str = "body";

/// A property by its name, else by its id.
pub(super) fn find<'s>(source: &'s DataSource, name: &str) -> Option<&'s PropertySchema> {
    source
        .properties
        .iter()
        .find(|property| property.name == name)
        .or_else(|| source.property(&PropertyId::new(name)))
}

pub(super) fn no_such_property(
    look: &mut Look<'_>,
    draft: &Draft<'_>,
    source: &DataSource,
    setting: &Setting<String>,
) {
    let names: Vec<&str> = source.properties.iter().map(|property| property.name.as_str()).collect();
    let message =
        format!("the data source \"{}\" has no property \"{}\"", source.title.plain_text(), setting.value);
    let near = nearest(setting, names.iter().copied()).map(str::to_owned);
    let add = if draft.config.manage_schema {
        "`pagerow schema apply` adds it".to_owned()
    } else {
        "add it in Notion, or write manage_schema = true in the mapping and run `pagerow schema apply`"
            .to_owned()
    };
    let advice = if near.is_some() { add } else { format!("{add}; its properties are {}", names.join(", ")) };
    let error =
        look.error(&setting.place, "no_such_property", &setting.key, message).suggest(near).advise(advice);
    look.errors.push(error);
}

/// The whole field, or an error that was left.
pub(super) fn field<'a>(
    look: &mut Look<'a>,
    draft: &Draft<'a>,
    field: &DraftField<'a>,
    source: &'a DataSource,
) -> Option<Field> {
    let config = field.config;
    let labels: BTreeMap<String, String> = config.values.clone();
    let made = |property: &str, id: &str, shows: PropertyKind, flow: Flow| Field {
        column: config.column.clone(),
        property: property.to_owned(),
        property_id: id.to_owned(),
        holds: field.holds.clone(),
        shows,
        required: field.required,
        flow,
        wins: config.wins,
        labels: labels.clone(),
        lens: field.lens.clone().map(Box::new),
    };
    let Some(setting) = &config.property else {
        return Some(made("page body", BODY_ID, PropertyKind::Body, field.flow));
    };
    let Some(property) = find(source, setting) else {
        no_such_property(look, draft, source, setting);
        return None;
    };
    let kind = property.config.kind();
    if let Some(from) =
        field.lens.as_ref().filter(|lens| lens.side() == Side::Notion).and_then(|l| l.from_notion.as_ref())
    {
        expression::is_sound(look, field, from, property, source)?;
        let flow = field.flow.and(Flow::ToPostgres)?;
        return Some(made(
            &property.name,
            property.id.as_str(),
            PropertyKind::ReadOnly(kind.to_owned()),
            flow,
        ));
    }
    let Some(word) = PropertyWord::of(kind) else {
        return read_only(look, field, property, setting).map(|flow| {
            made(&property.name, property.id.as_str(), PropertyKind::ReadOnly(kind.to_owned()), flow)
        });
    };
    if let Some(wish) = config.shown_as.as_ref().filter(|wish| !is_meant(wish.value, word)) {
        let message = format!("the property \"{}\" is of kind {kind}, not {}", property.name, wish.name());
        look.complain(
            wish,
            "wrong_kind",
            message,
            format!("leave `as` out, write as = \"{kind}\", or change the property's kind in Notion"),
        );
        return None;
    }
    let word = config.shown_as.as_ref().map_or(word, |wish| wish.value);
    let flow = match storable(&field.holds, word) {
        Ok(able) => able.and(field.flow),
        Err(reason) => {
            let message = format!(
                "the column {} cannot be kept in \"{}\", which is of kind {kind}: {reason}",
                config.column, property.name
            );
            look.complain(
                setting,
                "wrong_pair",
                message,
                "map it to another property, or change the property's kind in Notion",
            );
            return None;
        }
    };
    let Some(flow) = flow else {
        let message = format!(
            "the column {} cannot be filled from \"{}\", which is of kind {kind}",
            config.column, property.name
        );
        look.complain(
            setting,
            "wrong_direction",
            message,
            "map it to another property, or let the field flow to Notion",
        );
        return None;
    };
    if config.values_place.is_some()
        && !matches!(word, PropertyWord::Select | PropertyWord::MultiSelect | PropertyWord::Status)
    {
        let message =
            format!("`values` names options, and the property \"{}\" is of kind {kind}", property.name);
        look.complain(setting, "wrong_kind", message, "leave `values` out, or make the property a select");
        return None;
    }
    let shows = shows(look, draft, field, property, setting, word)?;
    let made = made(&property.name, property.id.as_str(), shows, flow);
    if config.ordered && !made.keeps_order() {
        let message = format!(
            "`ordered` is about a multi_select and an array, and the column {} is {} in a property of kind {kind}",
            config.column,
            describe(&field.holds)
        );
        look.complain(setting, "no_order", message, "leave `ordered` out");
        return None;
    }
    Some(made)
}

/// A computed property can fill a column, and nothing can be written to it.
fn read_only<'a>(
    look: &mut Look<'a>,
    field: &DraftField<'a>,
    property: &PropertySchema,
    setting: &Setting<String>,
) -> Option<Flow> {
    let kind = property.config.kind();
    let what = format!("the property \"{}\" is computed by Notion ({kind})", property.name);
    if let Some(wish) = field.config.direction.as_ref().filter(|wish| wish.value.reaches(Side::Notion)) {
        let message = format!("{what}, so nothing can be written to it");
        look.complain(
            wish,
            "computed_property",
            message,
            "write direction = \"to_postgres\", or leave it out",
        );
        return None;
    }
    if let Some(wish) = &field.config.shown_as {
        let message = format!("{what}, so it cannot be shown as {}", wish.name());
        look.complain(
            wish,
            "computed_property",
            message,
            "leave `as` out, or map the column to another property",
        );
        return None;
    }
    let flow = field.flow.and(Flow::ToPostgres);
    if flow.is_none() {
        let message = format!("{what}, and this field only flows to Notion");
        look.complain(setting, "computed_property", message, "map the column to another property");
    }
    flow
}

fn shows<'a>(
    look: &mut Look<'a>,
    draft: &Draft<'a>,
    field: &DraftField<'a>,
    property: &PropertySchema,
    setting: &Setting<String>,
    word: PropertyWord,
) -> Option<PropertyKind> {
    let names: Vec<String> = property.config.options().iter().map(|option| option.name.clone()).collect();
    let missing: Vec<&str> = field
        .options
        .iter()
        .filter(|wanted| !names.iter().any(|name| name.to_lowercase() == wanted.to_lowercase()))
        .map(String::as_str)
        .collect();
    let may_grow = field.config.new_options == NewOptions::Create && word != PropertyWord::Status;
    if !missing.is_empty() && !may_grow && field.flow.reaches(Side::Notion) && word_has_options(word) {
        let advice = if word == PropertyWord::Status {
            "add them in Notion"
        } else if draft.config.manage_schema {
            "`pagerow schema apply` adds them"
        } else {
            "add them in Notion, or write new_options = \"create\""
        };
        look.warn(
            setting.key.clone(),
            format!(
                "the property \"{}\" lacks the options {}; records that need them will be parked",
                property.name,
                missing.join(", ")
            ),
            Some(advice.to_owned()),
        );
    }
    let options = || Options { names: names.clone(), may_grow, ordered: field.config.ordered };
    Some(match word {
        PropertyWord::Title => PropertyKind::Title,
        PropertyWord::RichText => PropertyKind::RichText,
        PropertyWord::Markdown => PropertyKind::Markdown,
        PropertyWord::Number => PropertyKind::Number,
        PropertyWord::Select => PropertyKind::Select(options()),
        PropertyWord::MultiSelect => PropertyKind::MultiSelect(options()),
        PropertyWord::Status => PropertyKind::Status(options()),
        PropertyWord::Date => PropertyKind::Date,
        PropertyWord::People => people(look, field, setting),
        PropertyWord::Files => PropertyKind::Files,
        PropertyWord::Checkbox => PropertyKind::Checkbox,
        PropertyWord::Url => PropertyKind::Url,
        PropertyWord::Email => PropertyKind::Email,
        PropertyWord::PhoneNumber => PropertyKind::Phone,
        PropertyWord::Relation => return relation(look, field, property, setting),
        PropertyWord::Body => return None,
    })
}

/// Whether a property of a kind is what the configuration asks for.
fn is_meant(wish: PropertyWord, kind: PropertyWord) -> bool {
    wish == kind || (wish, kind) == (PropertyWord::Markdown, PropertyWord::RichText)
}

fn word_has_options(word: PropertyWord) -> bool {
    matches!(word, PropertyWord::Select | PropertyWord::MultiSelect | PropertyWord::Status)
}

fn people(look: &mut Look<'_>, field: &DraftField<'_>, setting: &Setting<String>) -> PropertyKind {
    let people = &look.found.people;
    let known = people.known.clone();
    let missing = match people.sight {
        Sight::Addresses | Sight::NotAsked => None,
        Sight::Names => Some("sees people without their e-mail addresses"),
        Sight::Nothing => Some("sees no people"),
    };
    if let Some(missing) = missing {
        look.warn(
            setting.key.clone(),
            format!("the connection {missing}, so nobody can be found for the column {}", field.config.column),
            Some("give it the capability \"Read user information including email addresses\" in its settings in Notion".to_owned()),
        );
    }
    PropertyKind::People { known }
}

fn relation<'a>(
    look: &mut Look<'a>,
    field: &DraftField<'a>,
    property: &PropertySchema,
    setting: &Setting<String>,
) -> Option<PropertyKind> {
    let relation = field.config.relation.as_ref()?;
    let target = match look.found.sources.get(&relation.value) {
        Some(SourceFound::Found(target)) => target,
        // That mapping's own error says why.
        Some(SourceFound::NotMade | SourceFound::Problem(_)) | None => return None,
    };
    if let PropertyConfig::Relation { data_source_id: Some(id), .. } = &property.config
        && bare(id) != bare(&target.id)
    {
        let message = format!(
            "the property \"{}\" leads to another data source than the mapping {} (\"{}\")",
            property.name,
            relation.value,
            target.title.plain_text()
        );
        look.complain(
            setting,
            "wrong_relation",
            message,
            "name the mapping of the data source that the property leads to, or another property",
        );
        return None;
    }
    let single = matches!(field.holds, pagerow_core::mapping::ColumnKind::Reference { .. });
    Some(PropertyKind::Relation { mapping: relation.value.clone(), single })
}

/// An id without its dashes.
fn bare(id: &str) -> String {
    id.chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect()
}

/// Names were compared when the file was read; here two names, or a name and an id, may be one property.
pub(super) fn one_field_a_property(look: &mut Look<'_>, draft: &Draft<'_>, fields: &[Field]) {
    for (at, field) in fields.iter().enumerate().filter(|(_, field)| !field.is_paused()) {
        let only_looks = |field: &Field| field.lens.as_ref().is_some_and(|lens| lens.side() == Side::Notion);
        let same = |first: &&Field| {
            !first.is_paused()
                && first.property_id == field.property_id
                && !only_looks(first)
                && !only_looks(field)
        };
        let Some(first) = fields[..at].iter().find(same) else {
            continue;
        };
        let setting =
            draft.config.fields.iter().find(|f| f.column == field.column).and_then(|f| f.property.as_ref());
        if let Some(setting) = setting {
            let message =
                format!("the property \"{}\" is already taken by the field {}", field.property, first.column);
            look.complain(
                setting,
                "property_twice",
                message,
                "a property belongs to one field; leave one of the two out",
            );
        }
    }
}
