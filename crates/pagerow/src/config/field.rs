//! One line of `[mapping.X.fields]`: a column, its property, and what is special about the pair.

use std::collections::BTreeMap;

use pagerow_core::{mapping::Flow, side::Side};

use super::{
    error::ConfigError,
    reader::Reader,
    rules::{FLOWS, NEW_OPTIONS, NewOptions, Rules},
    source::{Place, Setting},
    tree::{Content, Node},
};

/// One field as the file has it.
#[derive(Clone, Debug)]
pub struct FieldConfig {
    /// A column, or a word of the user's own where `through` or `to_notion` stands in a column's place.
    pub column: String,
    /// Where the field's key stands.
    pub place: Place,
    /// A property's name or id; none for the page's body.
    pub property: Option<Setting<String>>,
    /// The kind of property it is, or shall become (`as`).
    pub shown_as: Option<Setting<PropertyWord>>,
    /// Column text → option name.
    pub values: BTreeMap<String, String>,
    pub values_place: Option<Place>,
    pub wins: Option<Side>,
    pub direction: Option<Setting<Flow>>,
    /// The mapping that a foreign key or join table leads to.
    pub relation: Option<Setting<String>>,
    /// A join table.
    pub through: Option<Setting<String>>,
    pub own_column: Option<Setting<String>>,
    pub other_column: Option<Setting<String>>,
    pub new_options: NewOptions,
    /// Whether the order of a multi-select's options is a part of the value.
    pub ordered: bool,
    /// The expression that makes of the column, or of the row, what is shown.
    pub to_notion: Option<Setting<String>>,
    /// The expression that makes of the property what the column takes.
    pub from_notion: Option<Setting<String>>,
    /// Whether what `from_notion` filled stays until the expression gives nothing.
    pub once: Option<Setting<bool>>,
}

/// The kinds of property that `as` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyWord {
    Title,
    RichText,
    /// A rich text whose column holds it as Markdown.
    Markdown,
    Number,
    Select,
    MultiSelect,
    Status,
    Date,
    People,
    Files,
    Checkbox,
    Url,
    Email,
    PhoneNumber,
    Relation,
    Body,
}

impl PropertyWord {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 16] = [
        ("title", Self::Title),
        ("rich_text", Self::RichText),
        ("markdown", Self::Markdown),
        ("number", Self::Number),
        ("select", Self::Select),
        ("multi_select", Self::MultiSelect),
        ("status", Self::Status),
        ("date", Self::Date),
        ("people", Self::People),
        ("files", Self::Files),
        ("checkbox", Self::Checkbox),
        ("url", Self::Url),
        ("email", Self::Email),
        ("phone_number", Self::PhoneNumber),
        ("relation", Self::Relation),
        ("body", Self::Body),
    ];

    /// The configuration's word: Notion's own, but for `markdown` and `body`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, word)| *word == self).map_or("", |(name, _)| *name)
    }

    /// By Notion's word; `None` for kinds that cannot be written.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let of_notion = |word: Self| !matches!(word, Self::Markdown | Self::Body);
        Self::ALL.iter().find(|(word, of)| *word == name && of_notion(*of)).map(|(_, word)| *word)
    }
}

impl FieldConfig {
    pub(super) fn read(column: &str, node: Node, parent: &Reader<'_>, rules: &Rules) -> Option<Self> {
        let place = node.key_place.clone();
        let mut field = Self {
            column: column.to_owned(),
            place,
            property: None,
            shown_as: None,
            values: BTreeMap::new(),
            values_place: None,
            wins: None,
            direction: None,
            relation: None,
            through: None,
            own_column: None,
            other_column: None,
            new_options: rules.new_options,
            ordered: false,
            to_notion: None,
            from_notion: None,
            once: None,
        };
        if !matches!(node.content, Content::Table(_)) {
            let property = match &node.content {
                Content::Text(_) | Content::Broken => parent.as_text(column, &node)?,
                _ => {
                    parent.complain_at(
                        &node.place,
                        "wrong_type",
                        column,
                        format!("the field {column} takes a property's name, or a table such as {{ property = \"Name\", as = \"title\" }}"),
                    );
                    return None;
                }
            };
            field.property = Some(property);
            return Some(field);
        }
        let reader = parent.as_table(column, node)?;
        field.property = reader.text("property");
        field.shown_as = reader.word("as", &PropertyWord::ALL);
        let values = reader.entries("values");
        field.values_place = values.first().map(|(_, node)| node.key_place.clone());
        let mut broken = false;
        for (from, node) in values {
            match reader.as_text(&format!("values.{from}"), &node) {
                Some(label) => drop(field.values.insert(from, label.value)),
                None => broken = true,
            }
        }
        field.wins = reader
            .word("wins", &[("postgres", Side::Postgres), ("notion", Side::Notion)])
            .map(|setting| setting.value);
        field.direction = reader.word("direction", &FLOWS);
        field.relation = reader.text("relation");
        field.through = reader.text("through");
        field.own_column = reader.text("own_column");
        field.other_column = reader.text("other_column");
        if let Some(new_options) = reader.word("new_options", &NEW_OPTIONS) {
            field.new_options = new_options.value;
        }
        field.ordered = reader.boolean("ordered").is_some_and(|ordered| ordered.value);
        field.to_notion = reader.text("to_notion");
        field.from_notion = reader.text("from_notion");
        field.once = reader.boolean("once");
        let sound = field.is_sound(&reader);
        reader.finish();
        (sound && !broken).then_some(field)
    }

    /// Whether anything stands between the column and the property.
    #[must_use]
    pub fn has_expression(&self) -> bool {
        self.to_notion.is_some() || self.from_notion.is_some()
    }

    /// Whether the property is only looked at, and may belong to another field.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        self.from_notion.is_some() && self.to_notion.is_none()
    }

    /// The kind of property that the file says it is.
    #[must_use]
    pub fn word(&self) -> Option<PropertyWord> {
        self.shown_as
            .as_ref()
            .map(|word| word.value)
            .or(self.relation.as_ref().map(|_| PropertyWord::Relation))
    }

    /// Whether what the field says fits together.
    fn is_sound(&self, reader: &Reader<'_>) -> bool {
        let complain = |place: &Place, code, name: &str, message: String, advice: &str| {
            reader.complaints().add(
                ConfigError::at(reader.complaints().source, place, code, &reader.key(name), message)
                    .advise(advice),
            );
        };
        let mut sound = true;
        let body = self.shown_as.as_ref().is_some_and(|word| word.value == PropertyWord::Body);
        if body && let Some(property) = &self.property {
            sound = false;
            complain(
                &property.place,
                "body_property",
                "property",
                "the page's body is no property".to_owned(),
                "leave out either `property` or as = \"body\"",
            );
        }
        // When `property` or `as` is there but broken, that was said already.
        if self.property.is_none()
            && !body
            && !reader.has("property")
            && (!reader.has("as") || self.shown_as.is_some())
        {
            sound = false;
            complain(
                &self.place,
                "missing_key",
                "property",
                format!("the field {} names no property", self.column),
                "write property = \"…\", or as = \"body\" for the page's body",
            );
        }
        if let (Some(through), None) = (&self.through, &self.relation) {
            sound = false;
            complain(
                &through.place,
                "missing_key",
                "relation",
                "`through` needs to know which mapping the join table leads to".to_owned(),
                "write relation = \"…\" with the name of that mapping",
            );
        }
        for (name, column) in [("own_column", &self.own_column), ("other_column", &self.other_column)] {
            if let (Some(column), None) = (column, &self.through) {
                sound = false;
                complain(
                    &column.place,
                    "missing_key",
                    "through",
                    format!("`{name}` is a column of a join table, and none is named"),
                    "write through = \"…\" with the name of the join table",
                );
            }
        }
        if let (Some(word), Some(_)) = (&self.shown_as, &self.relation)
            && word.value != PropertyWord::Relation
        {
            sound = false;
            complain(
                &word.place,
                "wrong_kind",
                "as",
                format!("a field with `relation` cannot be shown as {}", word.name()),
                "leave out either `as` or `relation`",
            );
        }
        if let (Some(word), None) = (&self.shown_as, &self.relation)
            && word.value == PropertyWord::Relation
        {
            sound = false;
            complain(
                &word.place,
                "missing_key",
                "relation",
                "as = \"relation\" needs to know which mapping it leads to".to_owned(),
                "write relation = \"…\" with the name of that mapping",
            );
        }
        if let (true, Some(other)) = (self.has_expression(), self.relation.as_ref().or(self.through.as_ref()))
        {
            sound = false;
            complain(
                &other.place,
                "expression_relation",
                "to_notion",
                "an expression has no rows to relate to".to_owned(),
                "leave out either the expression or `relation`",
            );
        }
        let only = match (&self.to_notion, &self.from_notion) {
            (Some(_), None) => Some((Flow::ToNotion, "to_notion", "from_notion")),
            (None, Some(_)) => Some((Flow::ToPostgres, "to_postgres", "to_notion")),
            (Some(_), Some(_)) | (None, None) => None,
        };
        if let (Some((way, word, lacks)), Some(direction)) = (only, &self.direction)
            && direction.value != way
        {
            sound = false;
            complain(
                &direction.place,
                "wrong_direction",
                "direction",
                format!("without `{lacks}` nothing can flow the other way"),
                &format!("write direction = \"{word}\", or leave it out, or add `{lacks}`"),
            );
        }
        if let (Some(expression), true) = (&self.from_notion, body && self.to_notion.is_none()) {
            sound = false;
            complain(
                &expression.place,
                "expression_body",
                "from_notion",
                "a page's body is no property that `from_notion` could look at".to_owned(),
                "name a property instead of the body",
            );
        }
        if let (Some(once), true) = (&self.once, self.to_notion.is_some() || self.from_notion.is_none()) {
            sound = false;
            complain(
                &once.place,
                "no_expression",
                "once",
                "`once` is about a column that only `from_notion` fills".to_owned(),
                "leave `once` out",
            );
        }
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        let one_way = (self.to_notion.is_some() && self.from_notion.is_none())
            || self.direction.as_ref().is_some_and(|d| d.value == Flow::ToNotion);
        for (from, label) in &self.values {
            if let Some(first) = seen.insert(label.to_lowercase(), from).filter(|_| !one_way) {
                sound = false;
                complain(
                    self.values_place.as_ref().unwrap_or(&self.place),
                    "label_twice",
                    "values",
                    format!(
                        "`{first}` and `{from}` have the same label, so an edit in Notion would not say which is meant"
                    ),
                    "give each value a label of its own, or write direction = \"to_notion\"",
                );
            }
        }
        sound
    }
}
