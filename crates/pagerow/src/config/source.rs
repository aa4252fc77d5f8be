//! Where does something stand in the configuration? Places, as lines and columns of the file, or as a variable's name.

use std::{ops::Range, path::PathBuf};

/// The configuration file's text and name, as errors show them.
#[derive(Clone, Default)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// Where a key or a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the file.
    File(Range<usize>),
    /// A variable of the environment that stands for a setting (`PAGEROW__SYNC__INTERVAL`).
    Variable(String),
    /// A flag of the command line.
    Flag(String),
    /// Nowhere: a default, or something that is missing altogether.
    Nowhere,
}

/// Line and column, both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Source {
    /// The position of a byte.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let before = self.text.get(..byte.min(self.text.len())).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }

    /// The text of a line, from 1, without its end.
    #[must_use]
    pub fn line(&self, line: usize) -> &str {
        self.text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default().trim_end_matches('\r')
    }

    /// The name of the section that a line belongs to (`notion`, `mapping.suppliers`); empty before the first.
    #[must_use]
    pub fn section(&self, line: usize) -> &str {
        let header =
            self.text.split('\n').take(line).filter(|text| text.trim_start().starts_with('[')).last();
        header.map_or("", |text| {
            text.trim().trim_start_matches('[').split(']').next().unwrap_or_default().trim()
        })
    }
}

// Secrets may stand in the file by mistake; they are refused, and not shown.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A setting with the place where it was found.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    pub value: T,
    /// The whole key, as in `mapping.suppliers.table`.
    pub key: String,
    pub place: Place,
}

impl<T> Setting<T> {
    /// A value that nobody set.
    pub fn default_of(key: impl Into<String>, value: T) -> Self {
        Self { value, key: key.into(), place: Place::Nowhere }
    }

    /// Whether somebody set it.
    pub fn is_set(&self) -> bool {
        self.place != Place::Nowhere
    }

    /// The same place with something made of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: make(self.value), key: self.key, place: self.place }
    }
}

impl<T> std::ops::Deref for Setting<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source { path: "x".into(), text: "a = 1\r\n[é.ü]\nb = \"ö\" # c\n".into() };
        let at = source.text.find('#').unwrap();
        assert_eq!(source.position(at), Position { line: 3, column: 9 });
        assert_eq!(source.line(1), "a = 1");
        assert_eq!((source.section(1), source.section(3)), ("", "é.ü"));
        assert_eq!(source.position(10_000).line, 4);
    }
}
