//! One field held against its column.

use pagerow_core::{
    mapping::{ColumnKind, Flow},
    side::Side,
};

use super::{DraftField, Look, expression, join, no_such_column};
use crate::{
    config::{FieldConfig, MappingConfig, PropertyWord, Setting, nearest},
    postgres::table::FieldSource,
    setup::{
        kinds::{column_kind, first_choice, storable},
        tables::{ColumnInfo, Identity, TableInfo},
    },
};

/// What stands in a column's place, and whether it can be written.
pub(super) struct Origin<'a> {
    pub(super) column: Option<&'a ColumnInfo>,
    pub(super) holds: ColumnKind,
    pub(super) source: FieldSource,
    pub(super) required: bool,
    /// Why nothing can be written there.
    pub(super) fixed: Option<String>,
    /// How to mend that, where it is a matter of rights.
    pub(super) mend: Option<String>,
}

pub(super) fn draft<'a>(
    look: &mut Look<'a>,
    config: &'a MappingConfig,
    table: &'a TableInfo,
    direction: Flow,
    field: &'a FieldConfig,
) -> Option<DraftField<'a>> {
    let key = format!("mapping.{}.fields.{}", config.name, field.column);
    let (mut lens, mut beside) = (None, Vec::new());
    let origin = if field.has_expression() {
        let through = expression::origin(look, table, field, &key)?;
        (lens, beside) = (Some(through.lens), through.beside);
        through.origin
    } else if field.through.is_some() {
        join::origin(look, config, table, field, &key)?
    } else {
        column_origin(look, table, field, &key)?
    };
    let wanted = field.word().unwrap_or_else(|| match origin.column {
        Some(_) if field.has_expression() => expression::first_choice(&origin.holds),
        Some(column) => first_choice(column, &origin.holds),
        None if field.has_expression() => PropertyWord::RichText,
        None => PropertyWord::Relation,
    });
    let flow = flow(look, config, table, direction, field, &origin, &key)?;
    if let (Some(word), Err(reason)) = (&field.shown_as, storable(&origin.holds, wanted))
        && !field.only_looks()
    {
        let message = format!("the column {} cannot be shown as {}: {reason}", field.column, wanted.name());
        look.complain(
            word,
            "wrong_pair",
            message,
            "choose another `as`, or leave it out for the one that suits best",
        );
        return None;
    }
    if !field.has_expression() {
        labels_fit(look, field, &origin, &key);
    }
    let options = options(field, &origin, wanted);
    Some(DraftField {
        config: field,
        column: origin.column,
        holds: origin.holds,
        source: origin.source,
        required: origin.required,
        flow,
        wanted,
        options,
        lens,
        beside,
    })
}

pub(super) fn column_origin<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    field: &'a FieldConfig,
    key: &str,
) -> Option<Origin<'a>> {
    let Some(column) = table.column(&field.column) else {
        let error = no_such_column(look, table, &field.column, &field.place, key);
        look.errors.push(error);
        return None;
    };
    if !column.may_select {
        let message = format!("the role may not read the column {}", column.name);
        let advice = format!("GRANT SELECT ({}) ON {} TO the role", column.name, table.full_name());
        let error = look.error(&field.place, "missing_rights", key, message).advise(advice);
        look.errors.push(error);
    }
    let holds = match &field.relation {
        Some(relation) => {
            leads_there(look, table, column, relation)?;
            ColumnKind::Reference { mapping: relation.value.clone() }
        }
        None => match column_kind(column) {
            Ok(kind) => kind,
            Err(reason) => {
                let message = format!("the column {} cannot be mapped: {reason}", column.name);
                let error = look.error(&field.place, "wrong_pair", key, message).advise(
                    "leave the field out; a generated column or a view can show something made of it",
                );
                look.errors.push(error);
                return None;
            }
        },
    };
    let grant = format!("GRANT UPDATE ({}) ON {} TO the role", column.name, table.full_name());
    let (fixed, mend) = if column.generated {
        (Some(format!("the column {} is generated", column.name)), None)
    } else if column.identity == Some(Identity::Always) {
        (Some(format!("the column {} is an identity that is always generated", column.name)), None)
    } else if !table.is_writable() {
        (Some(format!("{} is no table", table.full_name())), None)
    } else if !column.may_update {
        (Some(format!("the role may not update the column {}", column.name)), Some(grant))
    } else {
        (None, None)
    };
    Some(Origin {
        column: Some(column),
        holds,
        source: FieldSource::Column {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            base: column.base.clone(),
            writable: fixed.is_none(),
        },
        required: column.not_null,
        fixed,
        mend,
    })
}

/// Whether a column's foreign key leads to the mapping that `relation` names.
fn leads_there<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    column: &'a ColumnInfo,
    relation: &Setting<String>,
) -> Option<()> {
    let target = look.table_of(relation)?;
    let target_key = target.key();
    let Some(key) = table.foreign_key(&column.name) else {
        let composite = table.foreign_keys.iter().find(|key| key.columns.contains(&column.name));
        if composite.is_some() || target_key.len() != 1 {
            let message =
                format!("{} has a key of several columns, which one column cannot name", target.full_name());
            look.complain(
                relation,
                "composite_reference",
                message,
                "leave `relation` out and show the column as it is",
            );
            return None;
        }
        look.warn(
            relation.key.clone(),
            format!("the column {} has no foreign key to {}", column.name, target.full_name()),
            Some(
                "a value that names no row there stays unrelated; add the foreign key to be sure".to_owned(),
            ),
        );
        return Some(());
    };
    if (key.target_schema.as_str(), key.target_table.as_str())
        != (target.schema.as_str(), target.name.as_str())
    {
        let message = format!(
            "the column {} leads to {}.{}, and the mapping {} is of {}",
            column.name,
            key.target_schema,
            key.target_table,
            relation.value,
            target.full_name()
        );
        look.complain(
            relation,
            "wrong_relation",
            message,
            "name the mapping of the table that the foreign key leads to",
        );
        return None;
    }
    if key.target_columns != target_key {
        let message = format!(
            "the foreign key names rows by {}, and {} names them by {}",
            key.target_columns.join(", "),
            target.full_name(),
            target_key.join(", ")
        );
        look.complain(
            relation,
            "wrong_relation",
            message,
            "leave `relation` out and show the column as it is",
        );
        return None;
    }
    Some(())
}

/// What may flow: the wishes, cut down to what can be written.
fn flow<'a>(
    look: &mut Look<'a>,
    config: &'a MappingConfig,
    table: &'a TableInfo,
    direction: Flow,
    field: &'a FieldConfig,
    origin: &Origin<'a>,
    key: &str,
) -> Option<Flow> {
    if let (Some(wish), Some(why)) = (&field.direction, &origin.fixed)
        && wish.value.reaches(Side::Postgres)
        && (origin.mend.is_none() || wish.value == Flow::ToPostgres)
    {
        let advice = origin
            .mend
            .clone()
            .unwrap_or_else(|| "write direction = \"to_notion\", or leave it out".to_owned());
        look.complain(wish, "wrong_direction", format!("nothing can be written there: {why}"), advice);
        return None;
    }
    let usual = if field.only_looks() { Flow::ToPostgres } else { Flow::Both };
    let wish = field.direction.as_ref().map_or(usual, |wish| wish.value);
    // The number that a table gives a row is not for editing, unless somebody says so.
    let makes_key = origin.column.is_some_and(|column| {
        table.key().contains(&column.name) && (column.has_default || column.identity.is_some())
    });
    let made_here = makes_key && field.direction.is_none();
    let able = if origin.fixed.is_some() || made_here { Flow::ToNotion } else { Flow::Both };
    if let (Some(why), Some(mend)) = (&origin.fixed, &origin.mend)
        && wish.reaches(Side::Postgres)
        && direction.reaches(Side::Postgres)
        && table.is_writable()
    {
        look.warn(
            key,
            format!("{why}, so it is shown in Notion and edits there are not taken"),
            Some(mend.clone()),
        );
    }
    let flow = wish.and(direction).and_then(|flow| flow.and(able));
    if flow.is_none() {
        let why = match &origin.fixed {
            Some(why) => why.clone(),
            None if made_here => "the table makes this key itself".to_owned(),
            None => "the mapping flows the other way".to_owned(),
        };
        let message =
            format!("nothing can flow through the field {} of {}: {why}", field.column, config.name);
        let error = look
            .error(&field.place, "wrong_direction", key, message)
            .advise("leave the field out, or change a direction");
        look.errors.push(error);
    }
    flow
}

/// Labels are for options, and of an enum for labels that it has.
fn labels_fit<'a>(look: &mut Look<'a>, field: &'a FieldConfig, origin: &Origin<'a>, key: &str) {
    let Some(place) = field.values_place.as_ref() else { return };
    let choices = match &origin.holds {
        ColumnKind::Choice { labels } => Some(labels),
        ColumnKind::List(inner) => match &**inner {
            ColumnKind::Choice { labels } => Some(labels),
            _ => None,
        },
        _ => None,
    };
    let Some(choices) = choices else { return };
    for value in field.values.keys().filter(|value| !choices.contains(value)) {
        let error = look
            .error(
                place,
                "no_such_label",
                &format!("{key}.values"),
                format!("the type of {} has no label {value}", field.column),
            )
            .suggest(nearest(value, choices.iter().map(String::as_str)))
            .advise(format!("its labels are {}", choices.join(", ")));
        look.errors.push(error);
    }
}

/// The options that a column's possible values need, labels applied.
fn options(field: &FieldConfig, origin: &Origin<'_>, wanted: PropertyWord) -> Vec<String> {
    if !matches!(wanted, PropertyWord::Select | PropertyWord::MultiSelect | PropertyWord::Status) {
        return Vec::new();
    }
    let column = origin.column.filter(|_| !field.has_expression());
    let raw: Vec<String> = column
        .and_then(|column| column.labels.clone().or_else(|| column.allowed.clone()))
        .or_else(|| {
            matches!(origin.holds, ColumnKind::Bool).then(|| vec!["true".to_owned(), "false".to_owned()])
        })
        .unwrap_or_else(|| field.values.keys().cloned().collect());
    raw.into_iter().map(|value| field.values.get(&value).cloned().unwrap_or(value)).collect()
}
