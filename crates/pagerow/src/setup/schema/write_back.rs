//! Brings the configuration's file up to date: the id of what was made, the new name of what was renamed, and nothing else.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item, Value};

use crate::setup::drift::ConfigEdit;

/// What became of writing an id into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteBack {
    Written,
    /// The file does not say `data_source = "create"` in so many words: a variable or a flag does.
    NotInTheFile,
}

/// Puts a data source's id where the file says `"create"`. Comments and order stay. The file is replaced in one step.
///
/// # Errors
/// The file cannot be read or written, or is no TOML any more.
pub fn remember(path: &Path, mapping: &str, data_source: &str) -> std::io::Result<WriteBack> {
    let text = std::fs::read_to_string(path)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.message().to_owned())
    })?;
    let place = document
        .get_mut("mapping")
        .and_then(|mappings| mappings.get_mut(mapping))
        .and_then(|mapping| mapping.get_mut("data_source"));
    let Some(Item::Value(value)) = place else { return Ok(WriteBack::NotInTheFile) };
    if value.as_str() != Some("create") {
        return Ok(WriteBack::NotInTheFile);
    }
    let decor = value.decor().clone();
    *value = Value::from(data_source);
    *value.decor_mut() = decor;
    replace(path, &document.to_string())?;
    Ok(WriteBack::Written)
}

/// Puts `"create"` where the file names a data source that is gone, so that another one is made for the mapping. `false`
/// when a variable or a flag names it, not the file. Comments and order stay.
///
/// # Errors
/// The file cannot be read or written, or is no TOML any more.
pub fn make_anew(path: &Path, mapping: &str) -> std::io::Result<bool> {
    let text = std::fs::read_to_string(path)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.message().to_owned())
    })?;
    let place = document
        .get_mut("mapping")
        .and_then(|mappings| mappings.get_mut(mapping))
        .and_then(|mapping| mapping.get_mut("data_source"));
    let Some(Item::Value(value)) = place else { return Ok(false) };
    let is_written_out =
        value.as_str().is_some_and(|text| !text.starts_with("env:") && !text.starts_with("file:"));
    if !is_written_out {
        return Ok(false);
    }
    let decor = value.decor().clone();
    *value = Value::from("create");
    *value.decor_mut() = decor;
    replace(path, &document.to_string())?;
    Ok(true)
}

/// Brings one setting of a mapping's section up to date. Comments and order stay.
///
/// # Errors
/// The file cannot be read or written, or is no TOML any more.
pub(super) fn amend(path: &Path, mapping: &str, edit: &ConfigEdit) -> std::io::Result<WriteBack> {
    let text = std::fs::read_to_string(path)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.message().to_owned())
    })?;
    let section = document.get_mut("mapping").and_then(|mappings| mappings.get_mut(mapping));
    if !section.is_some_and(|section| amended(section, edit)) {
        return Ok(WriteBack::NotInTheFile);
    }
    replace(path, &document.to_string())?;
    Ok(WriteBack::Written)
}

fn amended(section: &mut Item, edit: &ConfigEdit) -> bool {
    match edit {
        // A bare name stays one where the search path leads to the new table as it led to the old one.
        ConfigEdit::Table { from, to } => {
            let bare = to.rsplit_once('.').map_or(to.as_str(), |(_, name)| name);
            match section.get_mut("table") {
                Some(item) if !from.contains('.') && to.starts_with("public.") => set(item, from, bare),
                Some(item) => set(item, from, to),
                None => false,
            }
        }
        ConfigEdit::Column { from, to } => {
            let mut any = section.get_mut("fields").is_some_and(|fields| rename_key(fields, from, to));
            for name in ["updated_at", "soft_delete"] {
                any |= section.get_mut(name).is_some_and(|item| set(item, from, to));
            }
            if let Some(columns) = section.get_mut("columns").and_then(Item::as_table_like_mut) {
                for (_, item) in columns.iter_mut() {
                    any |= set(item, from, to);
                }
            }
            if let Some(names) = section.get_mut("match_on").and_then(Item::as_array_mut) {
                for value in names.iter_mut() {
                    any |= set_value(value, from, to);
                }
            }
            any
        }
        ConfigEdit::Property { column, from, to } => {
            let Some(field) = field(section, column) else { return false };
            match field.as_table_like_mut() {
                Some(table) => table.get_mut("property").is_some_and(|item| set(item, from, to)),
                None => set(field, from, to),
            }
        }
        ConfigEdit::KeyProperty { from, to } => match section.as_table_like_mut() {
            Some(table) => match table.get_mut("key_property") {
                Some(item) => set(item, from, to),
                None => table.insert("key_property", toml_edit::value(to)).is_none(),
            },
            None => false,
        },
        ConfigEdit::Stamp { name, from, to } if name == "backup" => {
            let Some(item) = section.get_mut("backup") else { return false };
            // `true` stood for the usual name.
            if item.as_bool() == Some(true) {
                *item = toml_edit::value(to);
                return true;
            }
            set(item, from, to)
        }
        ConfigEdit::Stamp { name, from, to } => section
            .get_mut("stamp")
            .and_then(|stamp| stamp.get_mut(name))
            .is_some_and(|item| set(item, from, to)),
        ConfigEdit::Value { column, value, to, .. } => {
            let Some(field) = field(section, column) else { return false };
            if let Some(property) = field.as_str().map(str::to_owned) {
                let decor = field.as_value().map(|value| value.decor().clone());
                let mut table = toml_edit::InlineTable::new();
                table.insert("property", property.into());
                *field = Item::Value(Value::InlineTable(table));
                if let (Some(decor), Some(value)) = (decor, field.as_value_mut()) {
                    *value.decor_mut() = decor;
                }
            }
            let Some(table) = field.as_table_like_mut() else { return false };
            let is_new = table.get("values").is_none();
            if is_new {
                table.insert("values", Item::Value(Value::InlineTable(toml_edit::InlineTable::new())));
            }
            let Some(values) = table.get_mut("values").and_then(Item::as_table_like_mut) else {
                return false;
            };
            let done = match values.get_mut(value) {
                Some(item) => put(item, to),
                None => values.insert(value, toml_edit::value(to)).is_none(),
            };
            // What stood last keeps the space before the brace, which now stands before a comma.
            if let (true, Some(inline)) = (is_new, field.as_inline_table_mut()) {
                inline.fmt();
            }
            done
        }
    }
}

fn field<'d>(section: &'d mut Item, column: &str) -> Option<&'d mut Item> {
    section.get_mut("fields").and_then(|fields| fields.get_mut(column))
}

/// Puts a text where another one stands; a reference to a variable (`env:NAME`) is not that text.
fn set(item: &mut Item, from: &str, to: &str) -> bool {
    item.as_value_mut().is_some_and(|value| set_value(value, from, to))
}

fn set_value(value: &mut Value, from: &str, to: &str) -> bool {
    if value.as_str() != Some(from) {
        return false;
    }
    let decor = value.decor().clone();
    *value = Value::from(to);
    *value.decor_mut() = decor;
    true
}

fn put(item: &mut Item, to: &str) -> bool {
    let Some(value) = item.as_value_mut() else { return false };
    let decor = value.decor().clone();
    *value = Value::from(to);
    *value.decor_mut() = decor;
    true
}

/// Gives a key another name in its place.
fn rename_key(fields: &mut Item, from: &str, to: &str) -> bool {
    let Some(table) = fields.as_table_like_mut() else { return false };
    if !table.contains_key(from) || table.contains_key(to) {
        return false;
    }
    let keys: Vec<(toml_edit::Key, Item)> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|name| {
            let key = table.key(&name)?.clone();
            let item = table.get(&name)?.clone();
            Some((key, item))
        })
        .collect();
    // Removed and inserted one by one, so that the order stays.
    for (key, _) in &keys {
        table.remove(key.get());
    }
    for (key, item) in keys {
        if key.get() == from {
            let new = toml_edit::Key::new(to)
                .with_leaf_decor(key.leaf_decor().clone())
                .with_dotted_decor(key.dotted_decor().clone());
            table.entry_format(&new).or_insert(item);
        } else {
            table.entry_format(&key).or_insert(item);
        }
    }
    true
}

/// Writes a file beside the old one and puts it in its place, so that there is always one of the two.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link is followed: its target is the file.
    let path = std::fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new: PathBuf = path.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::File::create(&new)?;
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_go_where_the_old_ones_stand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pagerow.toml");
        let before = "[mapping.a]\ntable = \"shop\"   # the table\nmatch_on = [\"price\", \"b\"]\n\n[mapping.a.fields]\n# what it costs\nname = \"Name\"\nprice = \"Price\"   # in euro\nlast = { property = \"Last\", as = \"select\" }\n";
        std::fs::write(&path, before).unwrap();
        let text = |s: &str| s.to_owned();
        let edits = [
            ConfigEdit::Table { from: text("shop"), to: text("public.store") },
            ConfigEdit::Property { column: text("price"), from: text("Price"), to: text("Preis") },
            ConfigEdit::Column { from: text("price"), to: text("unit price") },
            ConfigEdit::KeyProperty { from: text("Supabase ID"), to: text("Key") },
            ConfigEdit::Value { column: text("last"), value: text("x"), from: text("x"), to: text("Y") },
            ConfigEdit::Value { column: text("name"), value: text("x"), from: text("x"), to: text("Y") },
        ];
        for edit in &edits {
            assert_eq!(amend(&path, "a", edit).unwrap(), WriteBack::Written, "{edit:?}");
        }
        let after = std::fs::read_to_string(&path).unwrap();
        let expected = "[mapping.a]\ntable = \"store\"   # the table\nmatch_on = [\"unit price\", \"b\"]\nkey_property = \"Key\"\n\n[mapping.a.fields]\n# what it costs\nname = { property = \"Name\", values = { x = \"Y\" } }\n\"unit price\" = \"Preis\"   # in euro\nlast = { property = \"Last\", as = \"select\", values = { x = \"Y\" } }\n";
        assert_eq!(after, expected);
        for edit in [
            ConfigEdit::Property { column: text("gone"), from: text("Price"), to: text("Preis") },
            ConfigEdit::Table { from: text("env:TABLE"), to: text("public.x") },
        ] {
            assert_eq!(amend(&path, "a", &edit).unwrap(), WriteBack::NotInTheFile, "{edit:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn only_the_word_create_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pagerow.toml");
        let before = "# top\n[mapping.a]\ntable = \"a\"   # the table\ndata_source = \"create\"   # made by pagerow\n\n[mapping.\"b c\"]\ndata_source = 'create'\n[mapping.d]\ndata_source = \"env:X\"\n";
        std::fs::write(&path, before).unwrap();
        assert_eq!(remember(&path, "a", "id-1").unwrap(), WriteBack::Written);
        assert_eq!(remember(&path, "b c", "id-2").unwrap(), WriteBack::Written);
        assert_eq!(remember(&path, "d", "id-3").unwrap(), WriteBack::NotInTheFile);
        assert_eq!(
            remember(&path, "a", "id-4").unwrap(),
            WriteBack::NotInTheFile,
            "an id is never overwritten"
        );
        let after = std::fs::read_to_string(&path).unwrap();
        let expected = before.replace("\"create\"   #", "\"id-1\"   #").replace("'create'", "\"id-2\"");
        assert_eq!(after, expected);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
