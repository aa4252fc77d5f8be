//! What would bring the configuration and both sides together again after a drift.

use pagerow_core::side::Side;

use super::{Note, Role, SchemaChange, SchemaPlan};
use crate::{
    config::PropertyWord,
    notion::wire::PropertyId,
    postgres::catalogue::{literal, quoted},
    setup::{
        draft::Draft,
        drift::{ConfigEdit, Followed, Pause},
        found::{Found, SourceFound},
        kinds::storable,
        tables,
    },
};

pub(super) fn propose(followed: &Followed, found: &Found, drafts: &[Draft<'_>], plan: &mut SchemaPlan) {
    let mut changes = Vec::new();
    for drift in &followed.drifts {
        let rewrite = match &drift.edit {
            ConfigEdit::Value { column, from, .. } => followed.rewrites.iter().find(|rewrite| {
                rewrite.mapping == drift.mapping && rewrite.column == *column && rewrite.from == *from
            }),
            _ => None,
        };
        let change = match rewrite {
            Some(rewrite) => {
                rewritten(followed, found, &rewrite.mapping, &rewrite.column, &rewrite.from, &rewrite.to)
            }
            None => {
                Some(SchemaChange::Configure { mapping: drift.mapping.clone(), edit: drift.edit.clone() })
            }
        };
        changes.extend(change);
    }
    for pause in followed.pauses() {
        let column = pause.column.clone().unwrap_or_default();
        let added = plan.changes.iter().any(|change| {
            matches!(change, SchemaChange::AddProperty { mapping, property }
                if *mapping == pause.mapping && property.role == Role::Field(column.clone()))
        });
        if pause.replaceable && fits(found, drafts, pause) {
            changes.push(SchemaChange::Rebind {
                mapping: pause.mapping.clone(),
                column,
                because: pause.reason.clone(),
            });
        } else if !added {
            plan.paused.push(pause.clone());
        }
    }
    // The file first: what follows is named as it will be.
    plan.changes.splice(0..0, changes);
    notes(followed, found, plan);
}

/// Whether what is there now can take the field's place.
fn fits(found: &Found, drafts: &[Draft<'_>], pause: &Pause) -> bool {
    let Some(column) = &pause.column else { return false };
    if pause.side == Some(Side::Postgres) {
        // The column cannot be drafted while it is paused; what does not fit is an error once it is taken.
        return true;
    }
    let draft = drafts.iter().find(|draft| draft.config.name == pause.mapping);
    let field = draft.and_then(|draft| draft.fields.iter().find(|field| field.config.column == *column));
    let (Some(field), Some(SourceFound::Found(source))) = (field, found.sources.get(&pause.mapping)) else {
        return false;
    };
    let Some(setting) = &field.config.property else { return false };
    let property = source
        .properties
        .iter()
        .find(|property| property.name == setting.value)
        .or_else(|| source.property(&PropertyId::new(&setting.value)));
    let word = property.and_then(|property| PropertyWord::of(property.config.kind()));
    let named = field.config.shown_as.as_ref().map(|word| word.value);
    word.is_some_and(|word| storable(&field.holds, word).is_ok() && named.is_none_or(|named| named == word))
}

/// An option's new name, written into the rows that hold the old one.
fn rewritten(
    followed: &Followed,
    found: &Found,
    mapping: &str,
    column: &str,
    from: &str,
    to: &str,
) -> Option<SchemaChange> {
    let config = followed.config.mapping(mapping)?;
    let table = tables::find(&found.tables, &config.table)?;
    let info = table.column(column)?;
    let full = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    let (name, old, new) = (quoted(column), literal(from), literal(to));
    let sql = if info.base.ends_with("[]") {
        format!("UPDATE {full} SET {name} = array_replace({name}, {old}, {new}) WHERE {old} = ANY ({name});")
    } else {
        format!("UPDATE {full} SET {name} = {new} WHERE {name} = {old};")
    };
    Some(SchemaChange::Rewrite {
        mapping: mapping.to_owned(),
        column: column.to_owned(),
        does: format!("the option \"{from}\" is named \"{to}\" now: write {to} for {from} in {column}"),
        sql,
    })
}

/// Columns and properties that came since and are mapped to nothing.
fn notes(followed: &Followed, found: &Found, plan: &mut SchemaPlan) {
    for mapping in &followed.config.mappings {
        let Some(memory) = found.remembered.get(&mapping.name) else { continue };
        if let Some(table) = tables::find(&found.tables, &mapping.table)
            && table.oid == memory.table_oid
        {
            let known = |name: &str| memory.columns.values().any(|column| column.name == name);
            let new = table
                .columns
                .iter()
                .filter(|column| !memory.seen_columns.contains(&column.number) && !known(&column.name));
            for column in new.filter(|column| !mapping.fields.iter().any(|field| field.column == column.name))
            {
                plan.notes.push(Note {
                    mapping: mapping.name.clone(),
                    what: format!(
                        "{} has a new column {} ({}), which is mapped to nothing",
                        table.full_name(),
                        column.name,
                        column.type_name
                    ),
                });
            }
        }
        let Some(SourceFound::Found(source)) = found.sources.get(&mapping.name) else { continue };
        for property in &source.properties {
            let known = memory.properties.values().any(|known| PropertyId::new(&known.id) == property.id)
                || memory.seen_properties.contains(property.id.decoded().as_ref());
            let named =
                mapping.fields.iter().any(|field| {
                    field.property.as_ref().is_some_and(|setting| setting.value == property.name)
                }) || mapping.key_property.value.as_ref() == Some(&property.name);
            if !known && !named {
                plan.notes.push(Note {
                    mapping: mapping.name.clone(),
                    what: format!(
                        "\"{}\" has a new property \"{}\" ({}), which is mapped to nothing",
                        source.title.plain_text(),
                        property.name,
                        property.config.kind()
                    ),
                });
            }
        }
    }
}
