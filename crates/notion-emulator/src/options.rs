//! The options of select, multi-select and status columns: how they are named, made, kept and removed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    at::{self, At},
    error::{ApiError, Result},
    ids, json,
};

/// The colours an option may have.
pub(crate) const COLORS: [&str; 10] =
    ["default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red"];

pub(crate) type OptionId = Arc<str>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) id: OptionId,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

/// A status group and the options in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) options: Vec<OptionId>,
}

/// The column kinds that have options differ in what they allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Select,
    MultiSelect,
    Status,
}

impl Family {
    fn word(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::MultiSelect => "multi_select",
            Self::Status => "status",
        }
    }
}

/// Finds by name, whatever the case.
pub(crate) fn by_name<'c>(choices: &'c [Choice], name: &str) -> Option<&'c Choice> {
    choices
        .iter()
        .find(|choice| choice.name == name)
        .or_else(|| choices.iter().find(|choice| choice.name.to_lowercase() == name.to_lowercase()))
}

pub(crate) fn by_id<'c>(choices: &'c [Choice], id: &str) -> Option<&'c Choice> {
    choices.iter().find(|choice| &*choice.id == id)
}

/// A new option; the colour goes round when none is given.
pub(crate) fn make(name: &str, color: Option<&str>, description: Option<String>, existing: usize) -> Choice {
    let color = color.unwrap_or(COLORS[existing % COLORS.len()]);
    Choice { id: ids::short_id().into(), name: name.to_owned(), color: color.to_owned(), description }
}

/// The two options `status: {}` stands for, with their groups: Not started, In progress, Done.
pub(crate) fn default_status() -> (Vec<Choice>, Vec<Group>) {
    let names = [("Not started", "default"), ("In progress", "blue"), ("Done", "green")];
    let choices: Vec<Choice> = names.iter().map(|(name, color)| make_status(name, color)).collect();
    let mut groups = default_groups();
    for (group, choice) in groups.iter_mut().zip(&choices) {
        group.options.push(choice.id.clone());
    }
    (choices, groups)
}

fn make_status(name: &str, color: &str) -> Choice {
    let id = crate::ids::fresh().to_string();
    Choice { id: id.into(), name: name.to_owned(), color: color.to_owned(), description: None }
}

fn default_groups() -> Vec<Group> {
    [("To-do", "gray"), ("In progress", "blue"), ("Complete", "green")]
        .into_iter()
        .map(|(name, color)| Group {
            id: crate::ids::fresh().to_string(),
            name: name.to_owned(),
            color: color.to_owned(),
            options: Vec::new(),
        })
        .collect()
}

/// Reads a schema's option list, which replaces the old one; known options keep id, name and colour.
pub(crate) fn parse_list(value: &Json, existing: &[Choice], family: Family, at: &At) -> Result<Vec<Choice>> {
    let array = at::array(value, 100, at)?;
    let mut list: Vec<Choice> = Vec::with_capacity(array.len());
    for (index, json) in array.iter().enumerate() {
        let at = at.index(index);
        let wish = Wish::parse(json, family, true, &at)?;
        let known = match (wish.id, wish.name) {
            (Some(id), _) => {
                by_id(existing, id).or_else(|| wish.name.and_then(|name| by_name(existing, name)))
            }
            (None, Some(name)) => by_name(existing, name),
            (None, None) => None,
        };
        let choice = match (known, wish.name) {
            (Some(known), _) => {
                if let Some(color) = wish.color
                    && color != known.color
                {
                    let by = match wish.id {
                        Some(id) => format!("id: {id}"),
                        None => format!("name: {}", known.name),
                    };
                    return Err(ApiError::validation(format!("Cannot update color of select with {by}.")));
                }
                let description = wish.description.unwrap_or_else(|| known.description.clone());
                Choice { description, ..known.clone() }
            }
            (None, Some(name)) if family == Family::Status => {
                let mut made = make_status(name, wish.color.unwrap_or("default"));
                made.description = wish.description.flatten();
                made
            }
            (None, Some(name)) => make(name, wish.color, wish.description.flatten(), list.len()),
            (None, None) => return Err(at.key("name").should_be("defined", None)),
        };
        if by_name(&list, &choice.name).is_some() {
            return Err(ApiError::validation(format!(
                "Cannot create {} property with duplicate option name: {}.",
                family.word(),
                choice.name
            )));
        }
        list.push(choice);
    }
    Ok(list)
}

/// Puts the options of a status list into groups: as asked, else as before, else To-do.
pub(crate) fn regroup(list: &Json, choices: &[Choice], before: &[Group], at: &At) -> Result<Vec<Group>> {
    let mut groups = if before.is_empty() { default_groups() } else { before.to_vec() };
    for group in &mut groups {
        group.options.clear();
    }
    for (index, (choice, wish)) in choices.iter().zip(list.as_array().into_iter().flatten()).enumerate() {
        let asked = match wish.get("group") {
            None | Some(Json::Null) => None,
            Some(group) => {
                let at = at.index(index);
                Some(at::one_of(group, &["To-do", "In progress", "Complete"], &at.key("group"))?)
            }
        };
        let kept =
            before.iter().find(|group| group.options.contains(&choice.id)).map(|group| group.name.as_str());
        let name = asked.or(kept).unwrap_or("To-do");
        if let Some(group) = groups.iter_mut().find(|group| group.name == name) {
            group.options.push(choice.id.clone());
        }
    }
    Ok(groups)
}

/// What a row asks for: an option that is there, or one to be made.
#[derive(Debug, PartialEq)]
pub(crate) enum Picked {
    Known(OptionId),
    New(Choice),
}

/// Resolves `{name}` or `{id}` of a row; select columns make what they do not know, status never does.
pub(crate) fn pick(value: &Json, choices: &[Choice], family: Family, at: &At) -> Result<Picked> {
    let wish = Wish::parse(value, family, false, at)?;
    if let Some(id) = wish.id {
        if let Some(known) = by_id(choices, id) {
            return Ok(Picked::Known(known.id.clone()));
        }
        if wish.name.is_none() {
            return Err(ApiError::validation(format!(
                "Invalid {} option. {} option with id \"{id}\" does not exist.",
                family.word(),
                if family == Family::Status { "Status" } else { "Select" },
            )));
        }
    }
    let Some(name) = wish.name else {
        return Err(at.key("name").should_be("defined", None));
    };
    match by_name(choices, name) {
        Some(known) => Ok(Picked::Known(known.id.clone())),
        None if family == Family::Status => Err(ApiError::validation(format!(
            "Invalid status option. Status option \"{name}\" does not exist\"."
        ))),
        None => Ok(Picked::New(make(name, wish.color, wish.description.flatten(), choices.len()))),
    }
}

/// One option object of a request.
struct Wish<'j> {
    id: Option<&'j str>,
    name: Option<&'j str>,
    color: Option<&'j str>,
    description: Option<Option<String>>,
}

impl<'j> Wish<'j> {
    fn parse(value: &'j Json, family: Family, in_schema: bool, at: &At) -> Result<Self> {
        let map: &Map<String, Json> = at::object(value, at)?;
        let keys: &[&str] = if in_schema && family == Family::Status {
            &["id", "name", "color", "description", "group"]
        } else {
            &["id", "name", "color", "description"]
        };
        at::only_keys(map, keys, at)?;
        let text = |key: &str, max: usize| -> Result<Option<&'j str>> {
            match map.get(key) {
                None | Some(Json::Null) => Ok(None),
                Some(value) => at::string(value, max, &at.key(key)).map(Some),
            }
        };
        let name = text("name", 2000)?;
        if let Some(name) = name {
            if name.is_empty() {
                return Err(at.key("name").should_be("a non-empty string", map.get("name")));
            }
            if name.contains(',') && family != Family::Status {
                return Err(ApiError::validation(format!(
                    "Invalid {} option, commas not allowed: {name}",
                    family.word()
                )));
            }
        }
        let color = text("color", 100)?;
        if let Some(color) = color
            && !COLORS.contains(&color)
        {
            return Err(at.key("color").should_be("a valid color", map.get("color")));
        }
        let description = match map.get("description") {
            None => None,
            Some(Json::Null) => Some(None),
            Some(value) => Some(Some(at::string(value, 280, &at.key("description"))?.to_owned())),
        };
        Ok(Self { id: text("id", 100)?, name, color, description })
    }
}

/// Appends the option as rows show it.
pub(crate) fn write_in_row(out: &mut String, choice: &Choice) {
    out.push_str("{\"id\":");
    json::string(out, &choice.id);
    out.push_str(",\"name\":");
    json::string(out, &choice.name);
    out.push_str(",\"color\":");
    json::string(out, &choice.color);
    out.push('}');
}

/// Appends the option as schemas show it.
pub(crate) fn write_in_schema(out: &mut String, choice: &Choice) {
    write_in_row(out, choice);
    out.pop();
    out.push_str(",\"description\":");
    json::optional(out, choice.description.as_deref());
    out.push('}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::at::BODY;

    fn list(value: Json, existing: &[Choice]) -> Result<Vec<Choice>> {
        parse_list(&value, existing, Family::Select, &BODY)
    }

    #[test]
    fn a_list_replaces_but_known_options_keep_id_and_name() {
        let first = list(json!([{"name": "A", "color": "red"}, {"name": "B"}]), &[]).unwrap();
        let renamed = list(json!([{"id": &*first[0].id, "name": "Other"}]), &first).unwrap();
        assert_eq!(renamed, vec![first[0].clone()]);
    }

    #[test]
    fn recolouring_fails() {
        let first = list(json!([{"name": "A", "color": "red"}]), &[]).unwrap();
        let message = list(json!([{"name": "A", "color": "blue"}]), &first).unwrap_err().message;
        assert_eq!(message, "Cannot update color of select with name: A.");
    }

    #[test]
    fn names_are_one_whatever_the_case_and_hold_no_comma() {
        let first = list(json!([{"name": "Gold"}]), &[]).unwrap();
        let picked = pick(&json!({"name": "GOLD"}), &first, Family::Select, &BODY).unwrap();
        assert_eq!(picked, Picked::Known(first[0].id.clone()));
        let message = pick(&json!({"name": "a,b"}), &first, Family::MultiSelect, &BODY).unwrap_err().message;
        assert_eq!(message, "Invalid multi_select option, commas not allowed: a,b");
        assert!(list(json!([{"name": "x"}, {"name": "X"}]), &[]).is_err());
    }

    #[test]
    fn status_never_makes_an_option() {
        let (choices, groups) = default_status();
        let message = pick(&json!({"name": "Late"}), &choices, Family::Status, &BODY).unwrap_err().message;
        assert_eq!(message, "Invalid status option. Status option \"Late\" does not exist\".");
        assert_eq!(groups[0].options, vec![choices[0].id.clone()]);
    }

    #[test]
    fn new_status_options_go_to_to_do_unless_told() {
        let (choices, groups) = default_status();
        let wanted = json!([
            {"id": &*choices[2].id}, {"name": "Blocked"}, {"name": "Shipped", "group": "Complete"},
        ]);
        let list = parse_list(&wanted, &choices, Family::Status, &BODY).unwrap();
        let groups = regroup(&wanted, &list, &groups, &BODY).unwrap();
        assert_eq!(groups[0].options, vec![list[1].id.clone()]);
        assert_eq!(groups[2].options, vec![list[0].id.clone(), list[2].id.clone()]);
    }
}
