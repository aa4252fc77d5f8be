//! Takes settings out of the tree one by one, complains about each that is wrong, and about all that nobody took.

use std::{cell::RefCell, ops::RangeInclusive, path::Path, time::Duration};

use secrecy::SecretString;

use super::{
    error::ConfigError,
    nearest::nearest,
    quantity::{Percent, parse_duration},
    source::{Place, Setting, Source},
    tree::{Content, Entries, Node, Origin},
};

/// Where all readers of one file complain.
pub(super) struct Complaints<'a> {
    pub(super) source: &'a Source,
    pub(super) errors: RefCell<Vec<ConfigError>>,
}

/// One table of the file, and what was taken out of it.
pub(super) struct Reader<'a> {
    complaints: &'a Complaints<'a>,
    path: String,
    place: Place,
    entries: Entries,
    /// The names that were asked for: the valid ones.
    known: RefCell<Vec<&'static str>>,
    taken: RefCell<Vec<usize>>,
}

impl Complaints<'_> {
    pub(super) fn add(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(complaints: &'a Complaints<'a>, path: &str, place: Place, entries: Entries) -> Self {
        Self {
            complaints,
            path: path.to_owned(),
            place,
            entries,
            known: RefCell::default(),
            taken: RefCell::default(),
        }
    }

    /// The whole name of a key of this table.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn complaints(&self) -> &'a Complaints<'a> {
        self.complaints
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the key is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key == name)
    }

    fn take(&self, name: &'static str) -> Option<Node> {
        self.known.borrow_mut().push(name);
        let at = self.entries.iter().position(|(key, _)| key == name)?;
        self.taken.borrow_mut().push(at);
        Some(self.entries[at].1.clone())
    }

    fn wrong(&self, name: &str, node: &Node, expected: &str) {
        self.complain_at(
            &node.place,
            "wrong_type",
            name,
            format!("`{name}` takes {expected}, found {}", found(node)),
        );
    }

    pub(super) fn complain_at(&self, place: &Place, code: &'static str, name: &str, message: String) {
        self.complaints.add(ConfigError::at(self.complaints.source, place, code, &self.key(name), message));
    }

    fn missing(&self, name: &str, advice: &str) {
        let what = if self.path.is_empty() { "the file" } else { &self.path };
        self.complaints.add(
            ConfigError::at(
                self.complaints.source,
                &self.place,
                "missing_key",
                &self.key(name),
                format!("{what} lacks the key `{name}`"),
            )
            .advise(advice),
        );
    }

    pub(super) fn text(&self, name: &'static str) -> Option<Setting<String>> {
        let node = self.take(name)?;
        text_of(&node).map_or_else(
            || {
                self.wrong(name, &node, "a text");
                None
            },
            |text| text.map(|text| self.setting(name, &node, text)),
        )
    }

    pub(super) fn required_text(&self, name: &'static str, advice: &str) -> Option<Setting<String>> {
        if !self.has(name) {
            self.known.borrow_mut().push(name);
            self.missing(name, advice);
            return None;
        }
        self.text(name)
    }

    /// A text, or `false` for "none".
    pub(super) fn text_or_false(&self, name: &'static str) -> Option<Setting<Option<String>>> {
        let node = self.take(name)?;
        let is_false = match (&node.content, &node.origin) {
            (Content::Bool(false), _) => true,
            (Content::Text(text), Origin::Override) => text == "false",
            _ => false,
        };
        if is_false {
            return Some(self.setting(name, &node, None));
        }
        match text_of(&node) {
            Some(text) => text.map(|text| self.setting(name, &node, Some(text))),
            None => {
                self.wrong(name, &node, "a text, or false for none");
                None
            }
        }
    }

    /// A text, `true` for the usual one, or `false` for none.
    pub(super) fn text_or_usual(&self, name: &'static str, usual: &str) -> Option<Setting<Option<String>>> {
        let node = self.take(name)?;
        let switch = match (&node.content, &node.origin) {
            (Content::Bool(switch), _) => Some(*switch),
            (Content::Text(text), Origin::Override) => text.parse().ok(),
            _ => None,
        };
        if let Some(switch) = switch {
            return Some(self.setting(name, &node, switch.then(|| usual.to_owned())));
        }
        match text_of(&node) {
            Some(text) => text.map(|text| self.setting(name, &node, Some(text))),
            None => {
                self.wrong(name, &node, "true, false, or the name of a property");
                None
            }
        }
    }

    pub(super) fn integer(&self, name: &'static str, range: RangeInclusive<i64>) -> Option<Setting<i64>> {
        let node = self.take(name)?;
        let integer = match (&node.content, &node.origin) {
            (Content::Broken, _) => return None,
            (Content::Integer(integer), _) => Some(*integer),
            (Content::Text(text), Origin::Variable(_) | Origin::Override) => text.trim().parse().ok(),
            _ => None,
        };
        match integer.filter(|integer| range.contains(integer)) {
            Some(integer) => Some(self.setting(name, &node, integer)),
            None => {
                self.wrong(name, &node, &format!("a whole number from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    pub(super) fn boolean(&self, name: &'static str) -> Option<Setting<bool>> {
        let node = self.take(name)?;
        let boolean = match (&node.content, &node.origin) {
            (Content::Broken, _) => return None,
            (Content::Bool(boolean), _) => Some(*boolean),
            (Content::Text(text), Origin::Variable(_) | Origin::Override) => text.trim().parse().ok(),
            _ => None,
        };
        match boolean {
            Some(boolean) => Some(self.setting(name, &node, boolean)),
            None => {
                self.wrong(name, &node, "true or false");
                None
            }
        }
    }

    pub(super) fn duration(&self, name: &'static str) -> Option<Setting<Duration>> {
        let node = self.take(name)?;
        if matches!(node.content, Content::Broken) {
            return None;
        }
        let duration = text_of(&node).flatten().and_then(|text| parse_duration(&text));
        match duration {
            Some(duration) if !duration.is_zero() => Some(self.setting(name, &node, duration)),
            Some(_) => {
                self.wrong(name, &node, "a duration above zero");
                None
            }
            None => {
                self.wrong(name, &node, "a duration such as \"90s\", \"1m\", \"1h30m\" or \"1d\"");
                None
            }
        }
    }

    pub(super) fn percent(&self, name: &'static str) -> Option<Setting<Percent>> {
        let node = self.take(name)?;
        if matches!(node.content, Content::Broken) {
            return None;
        }
        match text_of(&node).flatten().and_then(|text| Percent::parse(&text)) {
            Some(percent) => Some(self.setting(name, &node, percent)),
            None => {
                self.wrong(name, &node, "a share between \"0%\" and \"100%\", such as \"20%\"");
                None
            }
        }
    }

    /// One of the words that the setting knows.
    pub(super) fn word<T: Clone>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<Setting<T>> {
        let node = self.take(name)?;
        if matches!(node.content, Content::Broken) {
            return None;
        }
        let text = text_of(&node).flatten();
        if let Some((_, value)) = words.iter().find(|(word, _)| Some(*word) == text.as_deref()) {
            return Some(self.setting(name, &node, value.clone()));
        }
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = text.as_deref().and_then(|text| nearest(text, list.iter().copied()));
        self.complaints.add(
            ConfigError::at(
                self.complaints.source,
                &node.place,
                "unknown_word",
                &self.key(name),
                format!("`{name}` takes one of {}, found {}", list.join(", "), found(&node)),
            )
            .suggest(near),
        );
        None
    }

    /// A list of texts; from a variable separated by commas.
    pub(super) fn texts(&self, name: &'static str) -> Option<Vec<Setting<String>>> {
        let node = self.take(name)?;
        let mut texts = Vec::new();
        match (&node.content, &node.origin) {
            (Content::Broken, _) => return None,
            (Content::List(items), _) => {
                for item in items {
                    match text_of(item) {
                        Some(text) => texts.extend(text.map(|text| self.setting(name, item, text))),
                        None => self.wrong(name, item, "a list of texts"),
                    }
                }
            }
            (Content::Text(text), Origin::Variable(_) | Origin::Override) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                texts.extend(parts.map(|part| self.setting(name, &node, part.to_owned())));
            }
            _ => {
                self.wrong(name, &node, "a list of texts, such as [\"email\"]");
                return None;
            }
        }
        Some(texts)
    }

    /// A text that must not stand in the file itself: `env:NAME` or `file:/path`.
    pub(super) fn secret(&self, name: &'static str) -> Option<Setting<SecretString>> {
        self.secret_unless(name, |_| false)
    }

    /// As [`Reader::secret`], but a literal without anything secret in it may stand in the file.
    pub(super) fn secret_unless(
        &self,
        name: &'static str,
        harmless: fn(&str) -> bool,
    ) -> Option<Setting<SecretString>> {
        let node = self.take(name)?;
        let Some(text) = text_of(&node) else {
            let advice = "\"env:NAME\" or \"file:/path\"";
            self.complain_at(&node.place, "wrong_type", name, format!("`{name}` takes {advice}"));
            return None;
        };
        let text = text?;
        if let Some(path) = text.strip_prefix("file:").filter(|_| node.origin == Origin::Literal) {
            return self.secret_file(name, &node, path);
        }
        if node.origin == Origin::Literal && !harmless(&text) {
            let variable = self.key(name).replace(['.', '-'], "_").to_uppercase();
            self.complaints.add(
                ConfigError::at(
                    self.complaints.source,
                    &node.place,
                    "literal_secret",
                    &self.key(name),
                    format!("`{name}` holds a secret, which must not stand in this file"),
                )
                .advise(format!(
                    "write {name} = \"env:{variable}\" and set that variable (a file .env beside this one will do), or {name} = \"file:/run/secrets/{name}\"; if the file was ever shared, replace the secret"
                )),
            );
            return None;
        }
        Some(self.setting(name, &node, SecretString::from(text)))
    }

    fn secret_file(&self, name: &'static str, node: &Node, path: &str) -> Option<Setting<SecretString>> {
        let folder = self.complaints.source.path.parent().unwrap_or(Path::new(""));
        match std::fs::read_to_string(folder.join(path)) {
            Ok(text) if text.trim().is_empty() => {
                self.complain_at(&node.place, "empty_file", name, format!("the file {path} is empty"));
                None
            }
            Ok(text) => Some(self.setting(name, node, SecretString::from(text.trim()))),
            Err(error) => {
                let message = format!("the file {path} cannot be read: {error}");
                self.complain_at(&node.place, "unreadable_file", name, message);
                None
            }
        }
    }

    /// A table inside of this one.
    pub(super) fn table(&self, name: &'static str) -> Option<Reader<'a>> {
        let node = self.take(name)?;
        self.as_table(name, node)
    }

    /// All entries of a table whose keys the user chooses, with where each key stands.
    pub(super) fn entries(&self, name: &'static str) -> Vec<(String, Node)> {
        let Some(node) = self.take(name) else { return Vec::new() };
        match node.content {
            Content::Table(entries) => entries,
            Content::Broken => Vec::new(),
            _ => {
                self.wrong(name, &node, "a table");
                Vec::new()
            }
        }
    }

    /// Reads an entry as a table.
    pub(super) fn as_table(&self, name: &str, node: Node) -> Option<Reader<'a>> {
        match node.content {
            Content::Table(entries) => {
                Some(Reader::new(self.complaints, &self.key(name), node.key_place, entries))
            }
            Content::Broken => None,
            _ => {
                self.wrong(name, &node, "a table");
                None
            }
        }
    }

    /// Reads an entry as text.
    pub(super) fn as_text(&self, name: &str, node: &Node) -> Option<Setting<String>> {
        match text_of(node) {
            Some(text) => text.map(|text| self.setting(name, node, text)),
            None => {
                self.wrong(name, node, "a text");
                None
            }
        }
    }

    pub(super) fn setting<T>(&self, name: &str, node: &Node, value: T) -> Setting<T> {
        Setting { value, key: self.key(name), place: node.place.clone() }
    }

    /// Complains about every key that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        let taken = self.taken.borrow();
        for (at, (name, node)) in self.entries.iter().enumerate() {
            if taken.contains(&at) {
                continue;
            }
            let whole = if self.path.is_empty() {
                "at the top of the file".to_owned()
            } else {
                format!("in [{}]", self.path)
            };
            let mut valid: Vec<&str> = known.clone();
            valid.sort_unstable();
            valid.dedup();
            let mut error = ConfigError::at(
                self.complaints.source,
                &node.key_place,
                "unknown_key",
                &self.key(name),
                format!("unknown key `{name}` {whole}"),
            );
            match nearest(name, valid.iter().copied()) {
                Some(near) => error = error.suggest(Some(near)),
                None => error = error.advise(format!("valid keys are {}", valid.join(", "))),
            }
            self.complaints.add(error);
        }
    }
}

/// The text of a node: `None` when it is something else, `Some(None)` when that was complained about already.
fn text_of(node: &Node) -> Option<Option<String>> {
    match &node.content {
        Content::Text(text) => Some(Some(text.clone())),
        Content::Broken => Some(None),
        Content::Integer(_)
        | Content::Float(_)
        | Content::Bool(_)
        | Content::Datetime
        | Content::List(_)
        | Content::Table(_) => None,
    }
}

/// What stands there, in words. What a variable holds is not shown, since it may be a secret.
pub(super) fn found(node: &Node) -> String {
    match (&node.content, &node.origin) {
        (_, Origin::Variable(name)) => format!("the content of the environment variable {name}"),
        (Content::Text(text), _) if text.starts_with("ntn_") || text.starts_with("secret_") => {
            "a secret".to_owned()
        }
        (Content::Text(text), _) => format!("\"{text}\""),
        (Content::Integer(integer), _) => format!("the number {integer}"),
        (Content::Float(float), _) => format!("the number {float}"),
        (Content::Bool(bool), _) => format!("{bool}"),
        (Content::Datetime, _) => "a date".to_owned(),
        (Content::List(_), _) => "a list".to_owned(),
        (Content::Table(_), _) => "a table".to_owned(),
        (Content::Broken, _) => "nothing that could be read".to_owned(),
    }
}
