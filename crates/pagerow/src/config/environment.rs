//! The variables that the configuration may speak of: those of the process, and those of a `.env` file beside it.

use std::{collections::BTreeMap, path::Path};

use super::error::{ConfigError, ConfigErrors};

/// Variables by name. Their contents are secrets until somebody knows better.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's variables; those that are no UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// Exactly these.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Adds those of the `.env` file in a folder, if there is one; what is set already stays.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn with_file_in(mut self, folder: &Path) -> Result<Self, ConfigErrors> {
        let path = folder.join(".env");
        if !path.is_file() {
            return Ok(self);
        }
        let unreadable = |error: &dotenvy::Error| {
            // dotenvy quotes the line, which may hold a secret.
            let what = match error {
                dotenvy::Error::LineParse(_, at) => {
                    format!("a line cannot be understood from its character {at} on")
                }
                dotenvy::Error::Io(error) => error.to_string(),
                _ => "it cannot be read".to_owned(),
            };
            ConfigError::nowhere("env_file", format!("the file {} is wrong: {what}", path.display()))
                .advise("write lines of the form NAME=value, with the value in quotes where it holds spaces")
        };
        for item in dotenvy::from_path_iter(&path).map_err(|error| unreadable(&error))? {
            let (name, value) = item.map_err(|error| unreadable(&error))?;
            self.0.entry(name).or_insert(value);
        }
        Ok(self)
    }

    /// The content of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The variables that stand for settings: name, path of keys, content.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, Vec<&str>, &str)> {
        self.0.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix("PAGEROW__")?;
            Some((name.as_str(), path.split("__").collect(), value.as_str()))
        })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "A=file\nB=\"two words\"\n# c\n").unwrap();
        let environment = Environment::of([("A", "process")]).with_file_in(folder.path()).unwrap();
        assert_eq!((environment.get("A"), environment.get("B")), (Some("process"), Some("two words")));
        assert_eq!(format!("{environment:?}"), r#"{"A", "B"}"#);
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "TOKEN='abc123\n").unwrap();
        let error = Environment::default().with_file_in(folder.path()).unwrap_err().to_string();
        assert!(error.contains(".env") && !error.contains("abc123"), "{error}");
    }
}
