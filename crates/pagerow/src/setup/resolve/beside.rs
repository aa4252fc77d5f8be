//! The properties that a mapping uses beside its fields: the key property, and what is stamped with each change.

use pagerow_core::mapping::Field;

use super::{
    super::draft::{Draft, Look},
    property::{find, no_such_property},
};
use crate::{
    config::Setting,
    notion::{
        source::{StampProperties, TextProperty},
        wire::{DataSource, PropertySchema},
    },
};

/// Kinds of property that hold a text.
pub(in crate::setup) const TEXTS: [&str; 5] = ["rich_text", "title", "url", "email", "phone_number"];

pub(super) fn key_property<'a>(
    look: &mut Look<'a>,
    draft: &Draft<'a>,
    source: &'a DataSource,
    fields: &[Field],
) -> Option<TextProperty> {
    let setting = &draft.config.key_property;
    let name = setting.value.as_ref()?;
    // The default stands nowhere in the file: the section is the place to look at.
    let place = if setting.is_set() { setting.place.clone() } else { draft.config.place.clone() };
    let named = Setting { value: name.clone(), key: setting.key.clone(), place };
    let Some(property) = find(source, name) else {
        let message = format!(
            "the data source \"{}\" has no property \"{name}\" for the row's key",
            source.title.plain_text()
        );
        let advice = if draft.config.manage_schema {
            "`pagerow schema apply` adds it"
        } else {
            "run `pagerow schema apply` after writing manage_schema = true in the mapping; or add a text property of that name in Notion; or write key_property = \"…\" with another name, or false for none"
        };
        look.complain(&named, "no_key_property", message, advice);
        return None;
    };
    let kind = property.config.kind();
    if !TEXTS.contains(&kind) {
        let message =
            format!("the key property \"{}\" is of kind {kind}, and a key is a text", property.name);
        look.complain(
            &named,
            "wrong_kind",
            message,
            "change its kind to text in Notion, or name another property",
        );
        return None;
    }
    if let Some(field) = taken(fields, property) {
        let message =
            format!("the key property \"{}\" is already taken by the field {}", property.name, field.column);
        look.complain(
            &named,
            "property_twice",
            message,
            "map the field to another property, or write key_property = false",
        );
        return None;
    }
    Some(TextProperty {
        id: property.id.as_str().to_owned(),
        name: property.name.clone(),
        kind: kind.to_owned(),
    })
}

pub(super) fn stamp<'a>(
    look: &mut Look<'a>,
    draft: &Draft<'a>,
    source: &'a DataSource,
    fields: &[Field],
) -> StampProperties {
    let stamp = &draft.config.stamp;
    let mut of = |setting: &'a Option<Setting<String>>, kind: &str| {
        let setting = setting.as_ref()?;
        let Some(property) = find(source, setting) else {
            no_such_property(look, draft, source, setting);
            return None;
        };
        if property.config.kind() != kind {
            let message = format!(
                "the property \"{}\" is of kind {}, not {kind}",
                property.name,
                property.config.kind()
            );
            look.complain(setting, "wrong_kind", message, format!("name a property of kind {kind}"));
            return None;
        }
        if let Some(field) = taken(fields, property) {
            let message =
                format!("the property \"{}\" is already taken by the field {}", property.name, field.column);
            look.complain(
                setting,
                "property_twice",
                message,
                "a property belongs to one field; leave one of the two out",
            );
            return None;
        }
        Some(property.id.as_str().to_owned())
    };
    StampProperties {
        synced_at: of(&stamp.synced_at, "date"),
        checksum: of(&stamp.checksum, "rich_text"),
        synced: of(&stamp.synced, "checkbox"),
        backup: of(&stamp.backup, "rich_text"),
    }
}

fn taken<'f>(fields: &'f [Field], property: &PropertySchema) -> Option<&'f Field> {
    fields.iter().find(|field| !field.is_paused() && field.property_id == property.id.as_str())
}
