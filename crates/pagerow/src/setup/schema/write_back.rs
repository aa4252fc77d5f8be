//! Remembers the id of what was made: `data_source = "create"` becomes the id, and nothing else in the file changes.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item, Value};

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
