//! What is wrong with the configuration, where, and how to mend it.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::source::{Place, Source};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// A stable word for scripts: `unknown_key`, `missing_key`, `wrong_type`, `no_such_column`, …
    pub code: &'static str,
    pub file: Option<PathBuf>,
    /// From 1; `None` when the trouble stands in no line.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The whole key (`mapping.suppliers.table`), or the name of the variable or flag.
    pub key: Option<String>,
    /// What is wrong and what was found; a sentence without its end.
    pub message: String,
    /// The nearest valid name.
    pub suggestion: Option<String>,
    /// What to do.
    pub advice: Option<String>,
    /// The line, secrets made invisible, and how many characters to underline.
    snippet: Option<(String, usize)>,
    /// What to name in place of a line.
    origin: Option<String>,
}

impl ConfigError {
    /// An error at a place of the configuration.
    #[must_use]
    pub fn at(
        source: &Source,
        place: &Place,
        code: &'static str,
        key: &str,
        message: impl Into<String>,
    ) -> Self {
        let mut error = Self::nowhere(code, message);
        error.key = (!key.is_empty()).then(|| key.to_owned());
        error.file = (!source.path.as_os_str().is_empty()).then(|| source.path.clone());
        match place {
            Place::File(bytes) => {
                let position = source.position(bytes.start);
                error.line = Some(position.line);
                error.column = Some(position.column);
                let line = without_secrets(source, position.line);
                let rest = line.chars().count().saturating_sub(position.column - 1);
                let length = source
                    .text
                    .get(bytes.clone())
                    .map_or(1, |text| text.lines().next().unwrap_or("").chars().count());
                error.snippet = Some((line, length.min(rest).max(1)));
            }
            Place::Variable(name) => error.origin = Some(format!("environment variable {name}")),
            Place::Flag(name) => error.origin = Some(format!("flag {name}")),
            Place::Nowhere => {}
        }
        error
    }

    /// An error that belongs to no place of the file.
    #[must_use]
    pub fn nowhere(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            file: None,
            line: None,
            column: None,
            key: None,
            message: message.into(),
            suggestion: None,
            advice: None,
            snippet: None,
            origin: None,
        }
    }

    /// With the nearest valid name.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// For scripts: `{kind, message, file, line, key, suggestion, advice}`, and `code` and `column` beside these.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "kind": "configuration",
            "code": self.code,
            "message": self.message,
            "file": self.file.as_ref().map(|file| file.display().to_string()),
            "line": self.line,
            "column": self.column,
            "key": self.key,
            "suggestion": self.suggestion,
            "advice": self.advice,
        })
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let width = self.line.map_or(1, |line| line.to_string().len());
        let pad = " ".repeat(width);
        match (&file, self.line, self.column, &self.origin) {
            (_, _, _, Some(origin)) => write!(f, "\n{pad}--> {origin}")?,
            (Some(file), Some(line), Some(column), None) => write!(f, "\n{pad}--> {file}:{line}:{column}")?,
            (Some(file), _, _, None) => write!(f, "\n{pad}--> {file}")?,
            (None, ..) => {}
        }
        if let Some(key) = self.key.as_ref().filter(|_| file.is_some() || self.origin.is_some()) {
            write!(f, " ({key})")?;
        }
        if let (Some((line, length)), Some(number), Some(column)) = (&self.snippet, self.line, self.column) {
            let indent: String =
                line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{pad} |\n{number} | {line}\n{pad} | {indent}{}", "^".repeat(*length))?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "\n{pad} = did you mean `{suggestion}`?")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n{pad} = {advice}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok` when there are none.
    ///
    /// # Errors
    /// These, sorted by place.
    pub fn check(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        // A key that is misspelt is there: that it is missing would be the same trouble told twice.
        let misspelt: Vec<String> = errors
            .iter()
            .filter(|error| error.code == "unknown_key")
            .filter_map(|error| {
                let (section, _) = error.key.as_deref()?.rsplit_once('.')?;
                Some(format!("{section}.{}", error.suggestion.as_deref()?))
            })
            .collect();
        errors.retain(|error| {
            error.code != "missing_key" || !error.key.as_ref().is_some_and(|key| misspelt.contains(key))
        });
        errors.sort_by_key(|error| (error.line.unwrap_or(usize::MAX), error.column));
        errors.dedup();
        Err(Self(errors))
    }

    /// The first error's members, and all of them under `errors`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let all: Vec<Json> = self.0.iter().map(ConfigError::to_json).collect();
        let mut first = all.first().cloned().unwrap_or_else(|| json!({}));
        if let Some(members) = first.as_object_mut() {
            members.insert("errors".to_owned(), Json::from(all));
        }
        first
    }
}

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Keys of the sections with secrets whose values anybody may see.
const SHOWABLE: [&str; 11] = [
    "schema",
    "base_url",
    "requests_per_minute",
    "doubt",
    "shared_token",
    "timeout",
    "supabase_url",
    "jwks_url",
    "issuer",
    "parent_page",
    "listen",
];

/// A line as it may be shown: in sections that hold secrets only values that are certainly none, and nowhere
/// anything that looks like a token or a password.
fn without_secrets(source: &Source, line: usize) -> String {
    let text = source.line(line);
    let section = source.section(line);
    let secretive = ["postgres", "notion", "auth"].contains(&section.split('.').next().unwrap_or_default());
    if let Some((key, value)) = text.split_once('=') {
        // Dotted keys reach into a section from outside of it.
        let dotted = ["postgres.", "notion.", "auth."].iter().any(|s| key.trim().starts_with(s));
        let name = key.trim().rsplit('.').next().unwrap_or_default().trim();
        let content = value.trim().trim_start_matches(['"', '\'']);
        let refers = content.starts_with("env:") || content.starts_with("file:");
        if (secretive || dotted) && !SHOWABLE.contains(&name) && !refers {
            let lead = value.len() - value.trim_start().len();
            return format!("{key}={}\"…\"", &value[..lead]);
        }
    } else if secretive && !text.trim_start().starts_with('[') && !text.trim_start().starts_with('#') {
        return "…".to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['n', 's', ':']) {
        let (before, tail) = rest.split_at(at);
        shown.push_str(before);
        let secret = ["ntn_", "secret_"].iter().find(|prefix| tail.starts_with(**prefix));
        let password = tail.strip_prefix("://").and_then(|authority| {
            let end = authority.find(['/', '"', '\'', ' ', '?']).unwrap_or(authority.len());
            let at = authority[..end].rfind('@')?;
            authority[..at].contains(':').then_some(3 + at)
        });
        let hidden = match (secret, password) {
            (Some(_), _) => tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len()),
            (None, Some(length)) => length,
            (None, None) => {
                let first = tail.chars().next().map_or(0, char::len_utf8);
                shown.push_str(&tail[..first]);
                rest = &tail[first..];
                continue;
            }
        };
        shown.push('…');
        rest = &tail[hidden..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_line() {
        let source = Source { path: "pagerow.toml".into(), text: "[sync]\nintervall = \"1m\"\n".into() };
        let error = ConfigError::at(
            &source,
            &Place::File(7..16),
            "unknown_key",
            "sync.intervall",
            "unknown key `intervall`",
        )
        .suggest(Some("interval"));
        assert_eq!(
            error.to_string(),
            "error: unknown key `intervall`\n --> pagerow.toml:2:1 (sync.intervall)\n  |\n2 | intervall = \"1m\"\n  | ^^^^^^^^^\n  = did you mean `interval`?"
        );
        assert_eq!(error.to_json()["line"], 2);
        assert_eq!(error.to_json()["suggestion"], "interval");
    }

    #[test]
    fn secrets_are_never_shown() {
        for (text, line) in [
            ("[notion]\ntokn = \"ntn_abc123\"", 2),
            ("[notion]\n\"ntn_abc123\"", 2),
            ("[postgres]\nurl = 'postgres://me:abc123@host/db'", 2),
            ("notion.token = \"abc123\"", 1),
            ("[mapping.x]\ntable = \"ntn_abc123\" # secret_abc123", 2),
            ("[mapping.x]\ntable = \"postgres://me:abc123@host/db\"", 2),
            ("[mapping.x]\ndata_source = \"https://u:p@ss_abc123@host/x\"", 2),
        ] {
            let source = Source { path: "x".into(), text: text.into() };
            let shown = without_secrets(&source, line);
            assert!(!shown.contains("abc123"), "{shown}");
        }
        let source = Source { path: "x".into(), text: "[notion]\nbase_url = \"https://example.com\"".into() };
        assert_eq!(without_secrets(&source, 2), "base_url = \"https://example.com\"");
    }
}
