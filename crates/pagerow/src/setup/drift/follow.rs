//! The configuration as both schemas have it now: renamed tables, columns, properties and options under their present
//! names, and what cannot be followed paused.

use std::collections::{BTreeMap, BTreeSet};

use pagerow_core::side::Side;

use super::{
    ConfigEdit, Drift, Memory, Pause,
    memory::{find, is_column, same_id, shape},
};
use crate::{
    config::{Config, MappingConfig, PropertyWord, Setting},
    notion::wire::{DataSource, PropertyId},
    setup::{
        found::{Found, SourceFound},
        tables::{self, ColumnInfo, TableInfo},
    },
};

/// A configuration whose names are those of today.
pub(in crate::setup) struct Followed {
    pub(in crate::setup) config: Config,
    pub(in crate::setup) drifts: Vec<Drift>,
    /// Statements that would do to the rows what was done to an option.
    pub(in crate::setup) rewrites: Vec<Rewrite>,
    /// By mapping and column.
    pub(super) fields: BTreeMap<(String, String), Pause>,
    pub(super) mappings: BTreeMap<String, Pause>,
    /// Mapping, column and the former name of each option that only pagerow knows by its new name.
    held: BTreeSet<(String, String, String)>,
}

/// An option that was renamed where the column holds its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::setup) struct Rewrite {
    pub(in crate::setup) mapping: String,
    pub(in crate::setup) column: String,
    pub(in crate::setup) from: String,
    pub(in crate::setup) to: String,
}

impl Followed {
    /// Why a field is paused.
    pub(in crate::setup) fn field_pause(&self, mapping: &str, column: &str) -> Option<&Pause> {
        self.fields.get(&(mapping.to_owned(), column.to_owned()))
    }

    /// Why a mapping is paused.
    pub(in crate::setup) fn mapping_pause(&self, mapping: &str) -> Option<&Pause> {
        self.mappings.get(mapping)
    }

    /// Everything that is paused; of a paused mapping only the mapping.
    pub(in crate::setup) fn pauses(&self) -> impl Iterator<Item = &Pause> {
        let whole = &self.mappings;
        let fields = self.fields.values().filter(|pause| !whole.contains_key(&pause.mapping));
        self.mappings.values().chain(fields)
    }

    /// Whether an option's former name still stands in the rows.
    pub(super) fn holds_option(&self, mapping: &str, column: &str, name: &str) -> bool {
        self.held.contains(&(mapping.to_owned(), column.to_owned(), name.to_owned()))
    }

    fn pause_field(&mut self, pause: Pause) {
        if let Some(column) = &pause.column {
            self.fields.entry((pause.mapping.clone(), column.clone())).or_insert(pause);
        }
    }

    /// Pauses the fields that lead to paused mappings. Answers whether there were any.
    pub(super) fn pause_dependents(&mut self) -> bool {
        let mut pauses = Vec::new();
        for mapping in &self.config.mappings {
            for field in &mapping.fields {
                let Some(relation) = &field.relation else { continue };
                let Some(target) = self.mappings.get(&relation.value) else { continue };
                if relation.value != mapping.name && self.field_pause(&mapping.name, &field.column).is_none()
                {
                    pauses.push(target_pause(&mapping.name, &field.column, &target.mapping, &target.reason));
                }
            }
        }
        let any = !pauses.is_empty();
        pauses.into_iter().for_each(|pause| self.pause_field(pause));
        any
    }
}

fn target_pause(mapping: &str, column: &str, target: &str, why: &str) -> Pause {
    Pause {
        mapping: mapping.to_owned(),
        column: Some(column.to_owned()),
        code: "relation_target".to_owned(),
        reason: format!("it leads to the mapping {target}, which cannot be reached: {why}"),
        advice: format!("it goes on by itself once {target} does"),
        side: Some(Side::Notion),
        replaceable: false,
    }
}

/// Of what pagerow writes beside the fields: only that is left out.
fn beside_pause(mapping: &str, key: &str, reason: String, side: Side) -> Pause {
    let setting = key.strip_prefix(&format!("mapping.{mapping}.")).unwrap_or(key);
    Pause {
        mapping: mapping.to_owned(),
        column: Some(setting.to_owned()),
        code: "bookkeeping_removed".to_owned(),
        reason,
        advice: format!("bring it back, or take {setting} out of the file; nothing else waits for it"),
        side: Some(side),
        replaceable: false,
    }
}

/// Follows what can be followed, and pauses what is seen to be lost or replaced.
pub(in crate::setup) fn follow(config: &Config, found: &Found) -> Followed {
    let mut followed = Followed {
        config: config.clone(),
        drifts: Vec::new(),
        rewrites: Vec::new(),
        fields: BTreeMap::new(),
        mappings: BTreeMap::new(),
        held: BTreeSet::new(),
    };
    let mut mappings = std::mem::take(&mut followed.config.mappings);
    for mapping in &mut mappings {
        let Some(memory) = found.remembered.get(&mapping.name) else { continue };
        follow_table(mapping, memory, found, &mut followed);
        let table = tables::find(&found.tables, &mapping.table);
        if let Some(table) = table {
            follow_columns(mapping, memory, table, &mut followed);
        }
        if let Some(SourceFound::Found(source)) = found.sources.get(&mapping.name)
            && !source.in_trash
        {
            follow_properties(mapping, memory, source, found, &mut followed);
            if let Some(table) = table {
                follow_options(mapping, memory, source, table, &mut followed);
            }
        }
    }
    followed.config.mappings = mappings;
    followed
}

fn follow_table(mapping: &mut MappingConfig, memory: &Memory, found: &Found, followed: &mut Followed) {
    // Another name in the file is another wish, not the same table under a new name.
    let is_bound = memory.table_oid != 0 && memory.table == mapping.table.value;
    if !is_bound || tables::find(&found.tables, &mapping.table).is_some() {
        return;
    }
    let Some(table) = found.tables.iter().find(|table| table.oid == memory.table_oid) else { return };
    let from = std::mem::replace(&mut mapping.table.value, table.full_name());
    followed.drifts.push(Drift {
        mapping: mapping.name.clone(),
        key: mapping.table.key.clone(),
        found: format!("the table {from} is named {} now", table.full_name()),
        edit: ConfigEdit::Table { from, to: table.full_name() },
    });
}

/// Where a name's column is today.
enum Place<'t> {
    /// Under its name, or nothing is known of it.
    Same,
    Renamed(&'t ColumnInfo),
    /// Its name belongs to another column; what it is called now, if it is still there.
    Replaced(Option<&'t ColumnInfo>),
    Removed,
}

fn place<'t>(name: &str, memory: &Memory, table: &'t TableInfo, taken: &[String]) -> Place<'t> {
    let Some(known) = memory.columns.get(name) else { return Place::Same };
    if memory.table_oid != table.oid {
        // Another table of that name, restored perhaps: numbers say nothing there.
        return if table.column(name).is_some() { Place::Same } else { Place::Removed };
    }
    let now = table.columns.iter().find(|column| column.number == known.number);
    match (now, table.column(name)) {
        (Some(now), _) if now.name == name => Place::Same,
        (Some(now), None) if !taken.contains(&now.name) => Place::Renamed(now),
        (_, None) => Place::Removed,
        (now, Some(_)) => Place::Replaced(now),
    }
}

fn follow_columns(mapping: &mut MappingConfig, memory: &Memory, table: &TableInfo, followed: &mut Followed) {
    let name = mapping.name.clone();
    let key = format!("mapping.{name}");
    let taken: Vec<String> = mapping.fields.iter().map(|field| field.column.clone()).collect();
    let drift = |key: String, from: &str, to: &str| Drift {
        mapping: name.clone(),
        key,
        found: format!("the column {from} of {} is named {to} now", table.full_name()),
        edit: ConfigEdit::Column { from: from.to_owned(), to: to.to_owned() },
    };
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for field in mapping.fields.iter_mut().filter(|field| is_column(field)) {
        let known = memory.columns.get(&field.column);
        let lost = |code: &str, reason: String, advice: String, replaceable| Pause {
            mapping: name.clone(),
            column: Some(field.column.clone()),
            code: code.to_owned(),
            reason,
            advice,
            side: Some(Side::Postgres),
            replaceable,
        };
        let full = table.full_name();
        let (pause, now) = match place(&field.column, memory, table, &taken) {
            Place::Same => (None, table.column(&field.column)),
            Place::Renamed(now) => (None, Some(now)),
            Place::Replaced(now) => {
                let was = now.map_or_else(
                    || "the one that it was bound to was removed".to_owned(),
                    |now| format!("the one that it was bound to is named {} now", now.name),
                );
                let advice = match now {
                    Some(now) => format!(
                        "write {} in place of {} in the file; or take the new column with `pagerow schema apply`, which forgets what was settled through the old one",
                        now.name, field.column
                    ),
                    None => "take the new column with `pagerow schema apply`, which forgets what was settled through the old one".to_owned(),
                };
                let reason = format!("{full} has another column {}: {was}", field.column);
                (Some(lost("column_replaced", reason, advice, true)), None)
            }
            Place::Removed => {
                let reason = format!("the column {} of {full} was removed", field.column);
                let advice = format!(
                    "bring the column back, or take {} out of [{key}.fields]; its property keeps what it holds",
                    field.column
                );
                (Some(lost("column_removed", reason, advice, false)), None)
            }
        };
        let retyped = known.zip(now).filter(|(known, now)| known.shape != shape(now));
        let pause = pause.or_else(|| {
            let (known, now) = retyped?;
            let reason = format!(
                "the column {} of {full} is of type {} now, and holds another kind of value ({} before, {} now)",
                now.name,
                now.type_name,
                known.shape,
                shape(now)
            );
            let advice = "change its type back; or take it as it is with `pagerow schema apply`, which forgets what was settled with the old type".to_owned();
            Some(lost("column_retyped", reason, advice, true))
        });
        if let Some(now) = now.filter(|now| now.name != field.column) {
            renamed.insert(field.column.clone(), now.name.clone());
            followed.drifts.push(drift(format!("{key}.fields.{}", field.column), &field.column, &now.name));
            field.column.clone_from(&now.name);
        }
        if let Some(mut pause) = pause {
            pause.column = Some(field.column.clone());
            followed.pause_field(pause);
        }
    }
    for column in &mut mapping.match_on {
        if let Some(now) = renamed.get(&column.value) {
            column.value.clone_from(now);
        }
    }
    let columns = &mut mapping.columns;
    let beside: [&mut Option<Setting<String>>; 8] = [
        &mut mapping.updated_at,
        &mut mapping.soft_delete,
        &mut columns.page_id,
        &mut columns.synced_at,
        &mut columns.status,
        &mut columns.error,
        &mut columns.synced,
        &mut columns.checksum,
    ];
    for (at, slot) in beside.into_iter().enumerate() {
        let Some(setting) = slot else { continue };
        match place(&setting.value, memory, table, &taken) {
            Place::Renamed(now) => {
                // A column that is a field too was told there.
                if !renamed.contains_key(&setting.value) {
                    followed.drifts.push(drift(setting.key.clone(), &setting.value, &now.name));
                }
                setting.value.clone_from(&now.name);
            }
            // Bookkeeping can be left out; what tells edits and deletions cannot.
            Place::Removed if at >= 2 => {
                let reason = format!("the column {} of {} was removed", setting.value, table.full_name());
                followed.pause_field(beside_pause(&name, &setting.key, reason, Side::Postgres));
                *slot = None;
            }
            Place::Removed | Place::Same | Place::Replaced(_) => {}
        }
    }
}

fn follow_properties(
    mapping: &mut MappingConfig,
    memory: &Memory,
    source: &DataSource,
    found: &Found,
    followed: &mut Followed,
) {
    let name = mapping.name.clone();
    let title = source.title.plain_text();
    let by_id = |id: &str| source.property(&PropertyId::new(id));
    let drift = |key: &str, from: &str, to: &str, edit| Drift {
        mapping: name.clone(),
        key: key.to_owned(),
        found: format!("the property \"{from}\" of \"{title}\" is named \"{to}\" now"),
        edit,
    };
    for field in &mut mapping.fields {
        let Some(setting) = &mut field.property else { continue };
        let Some(known) = memory.properties.get(&setting.value) else { continue };
        let mut pause = |code: &str, reason: String, advice: String, replaceable| {
            followed.fields.entry((name.clone(), field.column.clone())).or_insert_with(|| Pause {
                mapping: name.clone(),
                column: Some(field.column.clone()),
                code: code.to_owned(),
                reason,
                advice,
                side: Some(Side::Notion),
                replaceable,
            });
        };
        let Some(now) = by_id(&known.id) else {
            let out = format!("take {} out of [mapping.{name}.fields]", field.column);
            let lost = field.relation.as_ref().and_then(|relation| lost_target(&relation.value, found));
            if let Some(why) = lost {
                let target = field.relation.as_ref().map_or("", |relation| relation.value.as_str());
                let pause = target_pause(&name, &field.column, target, &why);
                followed.pause_field(pause);
            } else if find(source, &setting.value).is_some() {
                pause(
                    "property_replaced",
                    format!("\"{title}\" has another property \"{}\"; the one that it was bound to was removed", setting.value),
                    "take the new property with `pagerow schema apply`, which forgets what was settled through the old one and fills each side where only the other holds something".to_owned(),
                    true,
                );
            } else {
                let again = if mapping.manage_schema {
                    "`pagerow schema apply` adds it again and fills it from the rows".to_owned()
                } else {
                    "restore it in Notion; or add it again there, then run `pagerow schema apply`".to_owned()
                };
                pause(
                    "property_removed",
                    format!("the property \"{}\" was removed from \"{title}\"", setting.value),
                    format!("{again}; or {out}"),
                    false,
                );
            }
            continue;
        };
        if now.name != setting.value && !same_id(&setting.value, &known.id) {
            let edit = ConfigEdit::Property {
                column: field.column.clone(),
                from: setting.value.clone(),
                to: now.name.clone(),
            };
            followed.drifts.push(drift(&setting.key, &setting.value, &now.name, edit));
            setting.value.clone_from(&now.name);
        }
        let kind = now.config.kind();
        // Whoever named the new kind in the file has taken it.
        let taken = field.shown_as.as_ref().is_some_and(|word| word.value.name() == kind);
        if kind != known.kind && !taken {
            let back = format!("make it {} again in Notion", known.kind);
            let fits = PropertyWord::of(kind).is_some();
            let advice = if fits {
                format!(
                    "{back}; or take it as it is with `pagerow schema apply`, which forgets what was settled with the old kind"
                )
            } else {
                format!("{back}; or take {} out of [mapping.{name}.fields]", field.column)
            };
            followed.fields.entry((name.clone(), field.column.clone())).or_insert_with(|| Pause {
                mapping: name.clone(),
                column: Some(field.column.clone()),
                code: "property_retyped".to_owned(),
                reason: format!(
                    "the property \"{}\" of \"{title}\" is of kind {kind} now; it was {}",
                    now.name, known.kind
                ),
                advice,
                side: Some(Side::Notion),
                replaceable: true,
            });
        }
    }
    let renamed = |setting: &str| {
        let known = memory.properties.get(setting)?;
        let now = by_id(&known.id)?;
        (now.name != setting && !same_id(setting, &known.id)).then(|| now.name.clone())
    };
    let key = &mut mapping.key_property;
    if let Some(value) = &mut key.value
        && let Some(now) = renamed(value)
    {
        let edit = ConfigEdit::KeyProperty { from: value.clone(), to: now.clone() };
        followed.drifts.push(drift(&key.key, value, &now, edit));
        *value = now;
    }
    let stamp = &mut mapping.stamp;
    for (stamped, slot) in [
        ("synced_at", &mut stamp.synced_at),
        ("checksum", &mut stamp.checksum),
        ("synced", &mut stamp.synced),
        ("backup", &mut stamp.backup),
    ] {
        let Some(setting) = slot else { continue };
        let gone = memory.properties.contains_key(&setting.value) && find(source, &setting.value).is_none();
        if gone && renamed(&setting.value).is_none() {
            let reason = format!("the property \"{}\" was removed from \"{title}\"", setting.value);
            followed.pause_field(beside_pause(&name, &setting.key, reason, Side::Notion));
            *slot = None;
            continue;
        }
        if let Some(now) = renamed(&setting.value) {
            let edit =
                ConfigEdit::Stamp { name: stamped.to_owned(), from: setting.value.clone(), to: now.clone() };
            followed.drifts.push(drift(&setting.key, &setting.value, &now, edit));
            setting.value = now;
        }
    }
}

/// Why the data source of a mapping cannot be reached, if so: a relation to it is hidden then.
fn lost_target(mapping: &str, found: &Found) -> Option<String> {
    match found.sources.get(mapping)? {
        SourceFound::Found(source) if source.in_trash => {
            Some("its data source lies in Notion's trash".to_owned())
        }
        SourceFound::Problem(problem) => Some(problem.message.clone()),
        SourceFound::Found(_) | SourceFound::NotMade => None,
    }
}

/// A renamed option is the option that it was: what stood for it in the rows still does.
fn follow_options(
    mapping: &mut MappingConfig,
    memory: &Memory,
    source: &DataSource,
    table: &TableInfo,
    followed: &mut Followed,
) {
    let name = mapping.name.clone();
    for field in &mut mapping.fields {
        let Some(setting) = &field.property else { continue };
        let Some(property) = find(source, &setting.value) else { continue };
        let Some(known) = memory.properties.values().find(|known| same_id(&known.id, property.id.as_str()))
        else {
            continue;
        };
        let options = property.config.options();
        for option in options {
            let Some(from) = known.options.get(&option.id).filter(|from| **from != option.name) else {
                continue;
            };
            let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
            // Two options would stand for one value.
            if options.iter().any(|other| other.id != option.id && same(&other.name, from)) {
                continue;
            }
            if field.values.values().any(|label| same(label, &option.name)) {
                continue;
            }
            let column = table.column(&field.column);
            let knows = column.and_then(|column| column.labels.as_ref().or(column.allowed.as_ref()));
            let labelled =
                field.values.iter().find(|(_, label)| same(label, from)).map(|(value, _)| value.clone());
            if labelled.is_none() && knows.is_some_and(|labels| labels.contains(&option.name)) {
                // The type has the new name too: it was renamed on both sides.
                continue;
            }
            let value = labelled.clone().unwrap_or_else(|| from.clone());
            field.values.insert(value.clone(), option.name.clone());
            followed.held.insert((name.clone(), field.column.clone(), from.clone()));
            let is_word = matches!(
                PropertyWord::of(property.config.kind()),
                Some(PropertyWord::Select | PropertyWord::Status | PropertyWord::MultiSelect)
            );
            let flows_back = field.direction.as_ref().is_none_or(|d| d.value.reaches(Side::Postgres));
            let rewrites = labelled.is_none() && knows.is_none() && is_word && flows_back && is_column(field);
            if rewrites {
                followed.rewrites.push(Rewrite {
                    mapping: name.clone(),
                    column: field.column.clone(),
                    from: from.clone(),
                    to: option.name.clone(),
                });
            }
            followed.drifts.push(Drift {
                mapping: name.clone(),
                key: setting.key.clone(),
                found: format!(
                    "the option \"{from}\" of \"{}\" is named \"{}\" now, and still stands for {value} in {}",
                    property.name, option.name, field.column
                ),
                edit: ConfigEdit::Value {
                    column: field.column.clone(),
                    value,
                    from: from.clone(),
                    to: option.name.clone(),
                },
            });
        }
    }
}
