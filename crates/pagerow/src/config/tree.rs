//! The file as a tree of values with their places, with the environment's and the command line's words put in.

use toml::de::{DeTable, DeValue};

use super::{
    environment::Environment,
    error::ConfigError,
    nearest::nearest,
    source::{Place, Source},
};

/// A value, where it stands, and where its key stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key_place: Place,
    pub(super) place: Place,
    pub(super) content: Content,
    pub(super) origin: Origin,
}

/// By which way a text came; texts that did not come from the file may stand for numbers and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Literal,
    /// `env:NAME` in the file.
    Variable(String),
    /// A variable or a flag that stands for the setting.
    Override,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Datetime,
    List(Vec<Node>),
    Table(Entries),
    /// Something that was already complained about.
    Broken,
}

/// A table's entries in the order of the file.
pub(super) type Entries = Vec<(String, Node)>;

/// Reads the file and puts the environment's and the flags' words in their places.
pub(super) fn read(
    source: &Source,
    environment: &Environment,
    flags: &[(String, String)],
    errors: &mut Vec<ConfigError>,
) -> Entries {
    let (document, broken) = DeTable::parse_recoverable(&source.text);
    for error in &broken {
        let place = error.span().map_or(Place::Nowhere, Place::File);
        errors.push(ConfigError::at(
            source,
            &place,
            "syntax",
            "",
            format!("this is no TOML: {}", error.message()),
        ));
    }
    let builder = Builder { source, environment };
    let mut entries = builder.table(document.get_ref(), "", errors);
    for (name, path, content) in environment.overrides() {
        put(&mut entries, &path, &Place::Variable(name.to_owned()), content);
    }
    for (key, content) in flags {
        let path: Vec<&str> = key.split('.').collect();
        put(&mut entries, &path, &Place::Flag(format!("--{key}")), content);
    }
    entries
}

struct Builder<'a> {
    source: &'a Source,
    environment: &'a Environment,
}

impl Builder<'_> {
    fn table(&self, table: &DeTable<'_>, path: &str, errors: &mut Vec<ConfigError>) -> Entries {
        let mut entries: Entries = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let mut node = self.value(value.get_ref(), Place::File(value.span()), &path, errors);
                node.key_place = Place::File(key.span());
                (name, node)
            })
            .collect();
        entries.sort_by_key(|(_, node)| match &node.key_place {
            Place::File(bytes) => bytes.start,
            Place::Variable(_) | Place::Flag(_) | Place::Nowhere => usize::MAX,
        });
        entries
    }

    fn value(&self, value: &DeValue<'_>, place: Place, path: &str, errors: &mut Vec<ConfigError>) -> Node {
        let mut origin = Origin::Literal;
        let content = match value {
            DeValue::String(text) => match text.strip_prefix("env:") {
                Some(name) => {
                    origin = Origin::Variable(name.to_owned());
                    self.variable(name, &place, path, errors).map_or(Content::Broken, Content::Text)
                }
                None => Content::Text(text.to_string()),
            },
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).map_or_else(
                |_| {
                    errors.push(ConfigError::at(
                        self.source,
                        &place,
                        "wrong_type",
                        path,
                        "the number is too large",
                    ));
                    Content::Broken
                },
                Content::Integer,
            ),
            DeValue::Float(float) => float.as_str().parse().map_or(Content::Broken, Content::Float),
            DeValue::Boolean(bool) => Content::Bool(*bool),
            DeValue::Datetime(_) => Content::Datetime,
            DeValue::Array(items) => Content::List(
                items
                    .iter()
                    .map(|item| self.value(item.get_ref(), Place::File(item.span()), path, errors))
                    .collect(),
            ),
            DeValue::Table(table) => Content::Table(self.table(table, path, errors)),
        };
        Node { key_place: place.clone(), place, content, origin }
    }

    fn variable(
        &self,
        name: &str,
        place: &Place,
        path: &str,
        errors: &mut Vec<ConfigError>,
    ) -> Option<String> {
        match self.environment.get(name) {
            Some(content) if !content.is_empty() => return Some(content.to_owned()),
            found => {
                let what = if found.is_some() { "is empty" } else { "is not set" };
                errors.push(
                    ConfigError::at(
                        self.source,
                        place,
                        "missing_variable",
                        path,
                        format!("the environment variable {name} {what}"),
                    )
                    .suggest(
                        nearest(name, self.environment.names().filter(|known| *known != name))
                            .map(|near| format!("env:{near}")),
                    )
                    .advise(format!(
                        "set {name} in the environment, or in a file .env beside the configuration"
                    )),
                );
            }
        }
        None
    }
}

/// Puts a text at a path of keys; cases are ignored where that finds a key that is there.
fn put(entries: &mut Entries, path: &[&str], place: &Place, content: &str) {
    let Some((first, rest)) = path.split_first() else { return };
    let at = entries
        .iter()
        .position(|(name, _)| name == first)
        .or_else(|| entries.iter().position(|(name, _)| name.eq_ignore_ascii_case(first)));
    let name = match (at, place) {
        (Some(at), _) => entries[at].0.clone(),
        // Variables are written in capitals, sections and keys are not.
        (None, Place::Variable(_)) => first.to_lowercase(),
        (None, _) => (*first).to_owned(),
    };
    let content_here = if rest.is_empty() {
        Content::Text(content.to_owned())
    } else {
        let mut inner = match at.map(|at| &mut entries[at].1.content) {
            Some(Content::Table(inner)) => std::mem::take(inner),
            _ => Entries::new(),
        };
        put(&mut inner, rest, place, content);
        Content::Table(inner)
    };
    match at {
        Some(at) if !rest.is_empty() => entries[at].1.content = content_here,
        Some(at) => {
            entries[at].1 = Node {
                key_place: place.clone(),
                place: place.clone(),
                content: content_here,
                origin: Origin::Override,
            };
        }
        None => entries.push((
            name,
            Node {
                key_place: place.clone(),
                place: place.clone(),
                content: content_here,
                origin: Origin::Override,
            },
        )),
    }
}
