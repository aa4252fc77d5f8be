//! Files by address.

use super::{
    Reason, SHORT_TEXT_UNITS, URL_UNITS, counted, mismatch,
    text::{texts_of, utf16_units},
};
use crate::value::{File, Value};

/// What a files property makes of a value.
pub(super) fn property(value: &Value) -> Result<Value, Reason> {
    let addresses = match value {
        Value::Null => Vec::new(),
        Value::Text(text) if text.is_empty() => Vec::new(),
        Value::Text(text) => vec![text.clone()],
        Value::List(items) => texts_of(items, "files")?,
        Value::Set(items) => texts_of(items, "files")?,
        other => return Err(mismatch(other, "files")),
    };
    counted(addresses.len())?;
    let files: Vec<Value> = addresses
        .into_iter()
        .map(|url| {
            if !(url.starts_with("https://") || url.starts_with("http://")) {
                return Err(Reason::new(
                    "not_an_address",
                    "a file needs an address that begins with https://",
                ));
            }
            if utf16_units(&url) > URL_UNITS {
                return Err(Reason::limited(
                    "too_long",
                    "the address is too long",
                    format!("{URL_UNITS} UTF-16 units"),
                ));
            }
            let path = url.split(['?', '#']).next().unwrap_or(&url);
            let last = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
            let name = last.chars().take(SHORT_TEXT_UNITS / 2).collect();
            let hosted = File::is_hosted_at(&url);
            Ok(Value::File(Box::new(File { url, name, hosted })))
        })
        .collect::<Result<_, _>>()?;
    Ok(if files.is_empty() { Value::Null } else { Value::List(files) })
}

/// The files with the names and addresses under which Notion holds them now: the name is no part of what a column
/// says, and an address that is signed anew opens the file longer.
pub(super) fn as_held(files: Vec<Value>, held: &[Value]) -> Vec<Value> {
    let stable = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    let is_it = |held: &Value, file: &Value| match (held, file) {
        // Wherever Notion keeps its files, what follows the question mark is the signature.
        (Value::File(held), Value::File(file)) if held.hosted => stable(&held.url) == stable(&file.url),
        (held, file) => held == file,
    };
    files
        .into_iter()
        .map(|file| held.iter().find(|held| is_it(held, &file)).cloned().unwrap_or(file))
        .collect()
}
