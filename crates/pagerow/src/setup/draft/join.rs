//! A field through a join table: which of its columns is whose.

use pagerow_core::mapping::ColumnKind;

use super::{Look, field::Origin};
use crate::{
    config::{FieldConfig, MappingConfig, Setting, nearest},
    postgres::table::FieldSource,
    setup::tables::{self, ForeignKey, TableInfo},
};

pub(super) fn origin<'a>(
    look: &mut Look<'a>,
    config: &'a MappingConfig,
    own: &'a TableInfo,
    field: &'a FieldConfig,
    key: &str,
) -> Option<Origin<'a>> {
    let (through, relation) = (field.through.as_ref()?, field.relation.as_ref()?);
    let found = look.found;
    let join = tables::find(&found.tables, through).or_else(|| {
        // Join tables mostly lie beside the tables that they join.
        found.tables.iter().find(|table| table.schema == own.schema && table.name == through.value)
    });
    let Some(join) = join else {
        let names = look.found.tables.iter().map(|table| table.name.as_str());
        let near = nearest(through, names).map(str::to_owned);
        let error = look
            .error(
                &through.place,
                "no_such_table",
                &through.key,
                format!("the database has no table {} that this role can see", through.value),
            )
            .suggest(near);
        look.errors.push(error);
        return None;
    };
    let other = look.table_of(relation)?;
    for table in [own, other] {
        if table.key().len() != 1 {
            let message = format!(
                "{} has a key of several columns, which a join table's column cannot name",
                table.full_name()
            );
            look.complain(through, "composite_reference", message, "map the join table itself instead");
            return None;
        }
    }
    let own_key = column(
        look,
        join,
        own,
        field.own_column.as_ref(),
        field.other_column.as_ref().map(|c| c.value.as_str()),
        ("own_column", &config.name),
        through,
    )?;
    let other_key = column(
        look,
        join,
        other,
        field.other_column.as_ref(),
        Some(&own_key),
        ("other_column", relation),
        through,
    )?;
    // A self join with neither column named cannot be told apart.
    if own_key == other_key {
        let message = format!("the column {own_key} of {} cannot name both sides", join.full_name());
        look.complain(
            through,
            "ambiguous_join",
            message,
            "write own_column = \"…\" and other_column = \"…\"",
        );
        return None;
    }
    let (own_info, other_info) = (join.column(&own_key)?, join.column(&other_key)?);
    let needs_more = join.columns.iter().find(|c| {
        c.name != own_key
            && c.name != other_key
            && c.not_null
            && !c.has_default
            && !c.generated
            && c.identity.is_none()
    });
    let (fixed, mend) = if let Some(column) = needs_more {
        (Some(format!("{} needs a value for {} too", join.full_name(), column.name)), None)
    } else if !join.is_writable() {
        (Some(format!("{} is no table", join.full_name())), None)
    } else if !join.may_insert || !join.may_delete {
        let name = join.full_name();
        (
            Some(format!("the role may not insert into and delete from {name}")),
            Some(format!("GRANT INSERT, DELETE ON {name} TO the role")),
        )
    } else {
        (None, None)
    };
    if let (Some(why), None) = (&fixed, &mend) {
        look.warn(
            key,
            format!("{why}, so the relation is shown in Notion and edits there are not taken"),
            None,
        );
    }
    Some(Origin {
        column: None,
        holds: ColumnKind::References { mapping: relation.value.clone() },
        source: FieldSource::Join {
            schema: join.schema.clone(),
            table: join.name.clone(),
            own_type: own_info.type_name.clone(),
            own_column: own_key,
            other_type: other_info.type_name.clone(),
            other_column: other_key,
        },
        required: false,
        fixed,
        mend,
    })
}

/// The join table's column that holds a table's key: the one that is named, or the only one that can be.
fn column<'a>(
    look: &mut Look<'a>,
    join: &'a TableInfo,
    target: &'a TableInfo,
    named: Option<&Setting<String>>,
    taken: Option<&str>,
    (word, mapping): (&str, &str),
    through: &Setting<String>,
) -> Option<String> {
    if let Some(named) = named {
        return look.column(join, named).map(|column| column.name.clone());
    }
    let leads = |key: &&ForeignKey| {
        key.columns.len() == 1
            && key.target_schema == target.schema
            && key.target_table == target.name
            && key.target_columns == target.key()
            && taken != Some(key.columns[0].as_str())
    };
    let mut candidates: Vec<&str> =
        join.foreign_keys.iter().filter(leads).map(|key| key.columns[0].as_str()).collect();
    candidates.dedup();
    match candidates.as_slice() {
        [only] => Some((*only).to_owned()),
        [] => {
            let message = format!(
                "{} has no foreign key to {}, the table of {mapping}",
                join.full_name(),
                target.full_name()
            );
            look.complain(
                through,
                "ambiguous_join",
                message,
                format!("write {word} = \"…\" with the column that holds its key"),
            );
            None
        }
        several => {
            let message = format!(
                "several columns of {} lead to {}: {}",
                join.full_name(),
                target.full_name(),
                several.join(", ")
            );
            look.complain(
                through,
                "ambiguous_join",
                message,
                "write own_column = \"…\" and other_column = \"…\"",
            );
            None
        }
    }
}
