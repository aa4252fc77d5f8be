//! The columns that a mapping uses beside its fields: edit times, marks of deletion, bookkeeping.

use super::{Look, Setting};
use crate::{
    config::MappingConfig,
    postgres::table::{Bookkeeping, SoftDelete, TimeColumn},
    setup::tables::{ColumnInfo, TableInfo},
};

/// A column that holds a point in time.
pub(super) fn time<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    setting: &Setting<String>,
) -> Option<TimeColumn> {
    let column = look.column(table, setting)?;
    match zoned(column) {
        Some(zoned) => Some(TimeColumn { name: column.name.clone(), zoned }),
        None => {
            let message =
                format!("the column {} is {}, and a time is needed here", column.name, column.type_name);
            look.complain(setting, "wrong_type", message, "name a column of type timestamptz or timestamp");
            None
        }
    }
}

/// A column that marks a row as deleted: a time or a boolean.
pub(super) fn soft_delete<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    setting: &Setting<String>,
) -> Option<SoftDelete> {
    let column = look.column(table, setting)?;
    let boolean = column.base == "bool";
    if !boolean && zoned(column).is_none() {
        let message =
            format!("the column {} is {}, and cannot mark a row as deleted", column.name, column.type_name);
        look.complain(
            setting,
            "wrong_type",
            message,
            "name a column of type timestamptz, timestamp or boolean",
        );
        return None;
    }
    if !column.may_update || column.generated {
        let message = format!("the column {} cannot be written by this role", column.name);
        look.complain(
            setting,
            "missing_rights",
            message,
            format!("GRANT UPDATE ({}) ON {} TO the role", column.name, table.full_name()),
        );
    }
    Some(SoftDelete { name: column.name.clone(), boolean })
}

/// The user's own columns that pagerow keeps up to date.
pub(super) fn bookkeeping<'a>(
    look: &mut Look<'a>,
    config: &'a MappingConfig,
    table: &'a TableInfo,
) -> Bookkeeping {
    let columns = &config.columns;
    let text: &[&str] = &["text", "varchar", "bpchar", "citext"];
    let mut of = |setting: &'a Option<Setting<String>>, what: &str, types: &[&str]| {
        let setting = setting.as_ref()?;
        let column = look.column(table, setting)?;
        if !types.contains(&column.base.as_str()) {
            let message =
                format!("the column {} is {}, and {what} is kept there", column.name, column.type_name);
            look.complain(
                setting,
                "wrong_type",
                message,
                format!("use a column of type {}", types.join(" or ")),
            );
            return None;
        }
        if !table.is_writable() || !column.may_update || column.generated || column.identity.is_some() {
            let message = format!("the column {} cannot be written by this role", column.name);
            look.complain(
                setting,
                "missing_rights",
                message,
                format!("GRANT UPDATE ({}) ON {} TO the role", column.name, table.full_name()),
            );
            return None;
        }
        if config.fields.iter().any(|field| field.column == column.name) {
            let message =
                format!("the column {} is a field of this mapping and cannot keep {what} too", column.name);
            look.complain(setting, "column_twice", message, "leave it out in one of the two places");
            return None;
        }
        Some(column.name.clone())
    };
    let mut page_types = text.to_vec();
    page_types.push("uuid");
    Bookkeeping {
        page_id: of(&columns.page_id, "a page's id", &page_types),
        synced_at: of(&columns.synced_at, "a time", &["timestamptz", "timestamp"]),
        status: of(&columns.status, "a word", text),
        error: of(&columns.error, "a sentence", text),
        synced: of(&columns.synced, "yes or no", &["bool"]),
        checksum: of(&columns.checksum, "a checksum", text),
    }
}

fn zoned(column: &ColumnInfo) -> Option<bool> {
    match column.base.as_str() {
        "timestamptz" => Some(true),
        "timestamp" => Some(false),
        _ => None,
    }
}
