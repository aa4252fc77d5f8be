//! The columns of a data source: which kinds there are, how a request describes one, how answers show one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    error::{ApiError, Result},
    ids::{self, PropertyId},
    json,
    options::{self, Choice, Family, Group},
    world::{DataSource, World},
};

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Property {
    pub(crate) id: PropertyId,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kind: Kind,
    /// Order of creation: how people see the columns.
    pub(crate) order: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Title,
    RichText,
    Number {
        format: String,
    },
    Select {
        options: Vec<Choice>,
    },
    MultiSelect {
        options: Vec<Choice>,
    },
    Status {
        options: Vec<Choice>,
        groups: Vec<Group>,
    },
    Date,
    People,
    Files,
    Checkbox,
    Url,
    Email,
    PhoneNumber,
    /// `mirror` is the column on the other side, when there is one.
    Relation {
        source: Uuid,
        mirror: Option<PropertyId>,
    },
    Rollup {
        relation: PropertyId,
        target: PropertyId,
        function: String,
    },
    Formula {
        expression: String,
    },
    UniqueId {
        prefix: Option<String>,
        next: u64,
    },
    CreatedTime,
    CreatedBy,
    LastEditedTime,
    LastEditedBy,
    Button,
    Verification,
    Place,
}

/// Every kind's word, in the order that messages list them.
pub(crate) const WORDS: [&str; 24] = [
    "title",
    "rich_text",
    "number",
    "select",
    "multi_select",
    "status",
    "date",
    "people",
    "files",
    "checkbox",
    "url",
    "email",
    "phone_number",
    "relation",
    "rollup",
    "formula",
    "unique_id",
    "created_time",
    "created_by",
    "last_edited_time",
    "last_edited_by",
    "button",
    "verification",
    "place",
];

const FUNCTIONS: [&str; 27] = [
    "count",
    "count_values",
    "empty",
    "not_empty",
    "unique",
    "show_unique",
    "percent_empty",
    "percent_not_empty",
    "sum",
    "average",
    "median",
    "min",
    "max",
    "range",
    "earliest_date",
    "latest_date",
    "date_range",
    "checked",
    "unchecked",
    "percent_checked",
    "percent_unchecked",
    "count_per_group",
    "percent_per_group",
    "show_original",
    "count_all",
    "not_empty_values",
    "unique_values",
];

impl Kind {
    /// The type's word in JSON.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::RichText => "rich_text",
            Self::Number { .. } => "number",
            Self::Select { .. } => "select",
            Self::MultiSelect { .. } => "multi_select",
            Self::Status { .. } => "status",
            Self::Date => "date",
            Self::People => "people",
            Self::Files => "files",
            Self::Checkbox => "checkbox",
            Self::Url => "url",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::Relation { .. } => "relation",
            Self::Rollup { .. } => "rollup",
            Self::Formula { .. } => "formula",
            Self::UniqueId { .. } => "unique_id",
            Self::CreatedTime => "created_time",
            Self::CreatedBy => "created_by",
            Self::LastEditedTime => "last_edited_time",
            Self::LastEditedBy => "last_edited_by",
            Self::Button => "button",
            Self::Verification => "verification",
            Self::Place => "place",
        }
    }

    /// Whether rows may be given a value.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(
            self,
            Self::Rollup { .. }
                | Self::Formula { .. }
                | Self::UniqueId { .. }
                | Self::CreatedTime
                | Self::CreatedBy
                | Self::LastEditedTime
                | Self::LastEditedBy
                | Self::Button
                | Self::Place
        )
    }

    /// Whether the value follows from other rows, so that it cannot be kept in written form.
    pub(crate) fn is_computed(&self) -> bool {
        matches!(self, Self::Rollup { .. } | Self::Formula { .. })
    }

    pub(crate) fn options(&self) -> Option<(&[Choice], Family)> {
        match self {
            Self::Select { options } => Some((options, Family::Select)),
            Self::MultiSelect { options } => Some((options, Family::MultiSelect)),
            Self::Status { options, .. } => Some((options, Family::Status)),
            _ => None,
        }
    }

    pub(crate) fn options_mut(&mut self) -> Option<&mut Vec<Choice>> {
        match self {
            Self::Select { options } | Self::MultiSelect { options } | Self::Status { options, .. } => {
                Some(options)
            }
            _ => None,
        }
    }
}

/// What a request asks a column to be.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Kind(Kind),
    Relation { source: Uuid, mirror: Option<MirrorWish> },
    Rollup { relation: String, target: String, function: String },
}

/// The other side's column of a two-way relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorWish {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
}

/// The type word in a property object of a schema: the `type` key, or the one key that is a type.
pub(crate) fn wanted_word<'j>(map: &'j Map<String, Json>, at: &At) -> Result<Option<&'j str>> {
    if let Some(word) = map.get("type") {
        return at::one_of(word, &WORDS, &at.key("type")).map(Some);
    }
    let mut words = map.keys().map(String::as_str).filter(|key| WORDS.contains(key));
    let word = words.next();
    if let Some(second) = words.next() {
        return Err(at.key(second).should_be("not present", map.get(second)));
    }
    Ok(word)
}

/// Reads the configuration under `word`; `existing` is the column as it was, when it has the same type.
pub(crate) fn parse_config(
    world: &World,
    word: &str,
    map: &Map<String, Json>,
    existing: Option<&Kind>,
    at: &At,
) -> Result<Wanted> {
    let empty = Json::Object(Map::new());
    let config = map.get(word).unwrap_or(&empty);
    let at = at.key(word);
    let object = at::object(config, &at)?;
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    let kind = match word {
        "title" => Kind::Title,
        "rich_text" => Kind::RichText,
        "number" => {
            let before = match existing {
                Some(Kind::Number { format }) => format.as_str(),
                _ => "number",
            };
            Kind::Number { format: text("format").unwrap_or(before).to_owned() }
        }
        "select" | "multi_select" => {
            let family = if word == "select" { Family::Select } else { Family::MultiSelect };
            let before = existing.and_then(Kind::options).map_or(&[][..], |(options, _)| options);
            let options = match object.get("options") {
                None | Some(Json::Null) => before.to_vec(),
                Some(list) => options::parse_list(list, before, family, &at.key("options"))?,
            };
            if word == "select" { Kind::Select { options } } else { Kind::MultiSelect { options } }
        }
        "status" => parse_status(object, existing, &at)?,
        "date" => Kind::Date,
        "people" => Kind::People,
        "files" => Kind::Files,
        "checkbox" => Kind::Checkbox,
        "url" => Kind::Url,
        "email" => Kind::Email,
        "phone_number" => Kind::PhoneNumber,
        "relation" => return parse_relation(world, object, &at),
        "rollup" => {
            let function = at::required(object, "function", &at)?;
            let function = at::one_of(function, &FUNCTIONS, &at.key("function"))?.to_owned();
            let pick = |name: &str, id: &str| -> Result<String> {
                text(name)
                    .or_else(|| text(id))
                    .map(str::to_owned)
                    .ok_or_else(|| at.key(name).should_be("defined", None))
            };
            let relation = pick("relation_property_name", "relation_property_id")?;
            let target = pick("rollup_property_name", "rollup_property_id")?;
            return Ok(Wanted::Rollup { relation, target, function });
        }
        "formula" => {
            let expression = at::required(object, "expression", &at)?;
            Kind::Formula { expression: at::string(expression, 20_000, &at.key("expression"))?.to_owned() }
        }
        "unique_id" => {
            let next = match existing {
                Some(Kind::UniqueId { next, .. }) => *next,
                _ => 1,
            };
            Kind::UniqueId { prefix: text("prefix").map(str::to_owned), next }
        }
        "created_time" => Kind::CreatedTime,
        "created_by" => Kind::CreatedBy,
        "last_edited_time" => Kind::LastEditedTime,
        "last_edited_by" => Kind::LastEditedBy,
        "button" => Kind::Button,
        "verification" => Kind::Verification,
        "place" => Kind::Place,
        _ => return Err(at.should_be("not present", Some(config))),
    };
    Ok(Wanted::Kind(kind))
}

fn parse_status(object: &Map<String, Json>, existing: Option<&Kind>, at: &At) -> Result<Kind> {
    let (before, groups): (&[Choice], &[Group]) = match existing {
        Some(Kind::Status { options, groups }) => (options, groups),
        _ => (&[], &[]),
    };
    match object.get("options") {
        None | Some(Json::Null) if before.is_empty() => {
            let (options, groups) = options::default_status();
            Ok(Kind::Status { options, groups })
        }
        None | Some(Json::Null) => Ok(Kind::Status { options: before.to_vec(), groups: groups.to_vec() }),
        Some(list) => {
            let at = at.key("options");
            let options = options::parse_list(list, before, Family::Status, &at)?;
            let groups = options::regroup(list, &options, groups, &at)?;
            Ok(Kind::Status { options, groups })
        }
    }
}

fn parse_relation(world: &World, object: &Map<String, Json>, at: &At) -> Result<Wanted> {
    let source = if let Some(id) = object.get("data_source_id") {
        let at = at.key("data_source_id");
        let text = at::string(id, 100, &at)?;
        ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(id)))?
    } else if let Some(id) = object.get("database_id") {
        let at = at.key("database_id");
        let text = at::string(id, 100, &at)?;
        let id = ids::parse_uuid(text).ok_or_else(|| at.should_be("a valid uuid", Some(id)))?;
        world.databases.get(&id).and_then(|database| database.sources.first()).copied().unwrap_or(id)
    } else {
        return Err(at.key("data_source_id").should_be("defined", None));
    };
    let mirror = match object.get("dual_property") {
        None | Some(Json::Null) => None,
        Some(dual) => {
            let at = at.key("dual_property");
            let dual = at::object(dual, &at)?;
            let text = |key: &str| dual.get(key).and_then(Json::as_str).map(str::to_owned);
            Some(MirrorWish { name: text("synced_property_name"), id: text("synced_property_id") })
        }
    };
    Ok(Wanted::Relation { source, mirror })
}

/// Reads a description; `null` removes it.
pub(crate) fn parse_description(map: &Map<String, Json>, at: &At) -> Result<Option<Option<String>>> {
    match map.get("description") {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(value) => Ok(Some(Some(at::string(value, 280, &at.key("description"))?.to_owned()))),
    }
}

/// The names in `prop("…")` of a formula.
pub(crate) fn formula_names(expression: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for piece in expression.split("prop(\"").skip(1) {
        if let Some((name, _)) = piece.split_once("\")") {
            names.push(name);
        }
    }
    names
}

/// Refuses a formula that speaks of columns that are not there.
pub(crate) fn check_formula(source: &DataSource, name: &str, expression: &str) -> Result<()> {
    match formula_names(expression).into_iter().find(|wanted| source.property(wanted).is_none()) {
        None => Ok(()),
        Some(unknown) => Err(ApiError::validation(format!(
            "Formula of property \"{name}\" is invalid: could not find property with name or id: {unknown}."
        ))),
    }
}

/// Appends a schema's `properties` object.
pub(crate) fn write_all<'p>(
    out: &mut String,
    world: &World,
    source: &DataSource,
    properties: impl Iterator<Item = &'p Property>,
) {
    out.push('{');
    let mut first = true;
    for property in properties {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        json::string(out, &property.name);
        out.push(':');
        write(out, world, source, property);
    }
    out.push('}');
}

fn write(out: &mut String, world: &World, source: &DataSource, property: &Property) {
    out.push_str("{\"id\":");
    json::string(out, &ids::encode(&property.id));
    out.push_str(",\"name\":");
    json::string(out, &property.name);
    out.push_str(",\"description\":");
    json::optional(out, property.description.as_deref());
    let word = property.kind.word();
    out.push_str(",\"type\":");
    json::string(out, word);
    out.push(',');
    json::string(out, word);
    out.push(':');
    write_config(out, world, source, &property.kind);
    out.push('}');
}

fn write_config(out: &mut String, world: &World, source: &DataSource, kind: &Kind) {
    match kind {
        Kind::Number { format } => {
            out.push_str("{\"format\":");
            json::string(out, format);
            out.push('}');
        }
        Kind::Select { options } | Kind::MultiSelect { options } => {
            out.push_str("{\"options\":");
            write_options(out, options);
            out.push('}');
        }
        Kind::Status { options, groups } => {
            out.push_str("{\"options\":");
            write_options(out, options);
            out.push_str(",\"groups\":");
            let groups: Vec<Json> = groups
                .iter()
                .map(|group| {
                    serde_json::json!({
                        "id": group.id, "name": group.name, "color": group.color,
                        "option_ids": group.options.iter().map(|id| &**id).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json::tree(out, &Json::Array(groups));
            out.push('}');
        }
        Kind::Relation { source: target, mirror } => {
            let other = world.sources.get(target);
            out.push_str("{\"database_id\":");
            json::id(out, other.map_or(*target, |other| other.database));
            out.push_str(",\"data_source_id\":");
            json::id(out, *target);
            match mirror {
                None => out.push_str(",\"type\":\"single_property\",\"single_property\":{}}"),
                Some(mirror) => {
                    out.push_str(",\"type\":\"dual_property\",\"dual_property\":{\"synced_property_name\":");
                    let name =
                        other.and_then(|other| other.by_id(mirror)).map_or("", |property| &property.name);
                    json::string(out, name);
                    out.push_str(",\"synced_property_id\":");
                    json::string(out, &ids::encode(mirror));
                    out.push_str("}}");
                }
            }
        }
        Kind::Rollup { relation, target, function } => {
            let of = source.by_id(relation);
            let other = of.and_then(|property| match &property.kind {
                Kind::Relation { source, .. } => world.sources.get(source),
                _ => None,
            });
            let name = other.and_then(|other| other.by_id(target)).map_or("", |property| &property.name);
            // Ids inside a rollup's configuration were seen raw.
            let config = serde_json::json!({
                "rollup_property_name": name,
                "relation_property_name": of.map_or("", |property| &property.name),
                "rollup_property_id": &**target, "relation_property_id": &**relation, "function": function,
            });
            json::tree(out, &config);
        }
        Kind::Formula { expression } => {
            out.push_str("{\"expression\":");
            json::string(out, expression);
            out.push('}');
        }
        Kind::UniqueId { prefix, .. } => {
            out.push_str("{\"prefix\":");
            json::optional(out, prefix.as_deref());
            out.push('}');
        }
        _ => out.push_str("{}"),
    }
}

fn write_options(out: &mut String, options: &[Choice]) {
    out.push('[');
    for (index, choice) in options.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        options::write_in_schema(out, choice);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_names_its_columns() {
        assert_eq!(formula_names("prop(\"A\") + prop(\"B c\")"), ["A", "B c"]);
        assert!(formula_names("1 + 2").is_empty());
    }

    #[test]
    fn two_types_at_once_are_refused() {
        let both = serde_json::json!({"number": {}, "date": {}});
        assert!(wanted_word(both.as_object().unwrap(), &at::BODY).is_err());
        let none = serde_json::json!({"name": "x"});
        assert_eq!(wanted_word(none.as_object().unwrap(), &at::BODY).unwrap(), None);
    }
}
