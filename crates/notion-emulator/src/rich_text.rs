//! Rich text: how it is read from requests, merged, kept and written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    at::{self, At},
    error::Result,
    json,
};

/// A run of text with one look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) content: Content,
    #[serde(default, skip_serializing_if = "Look::is_plain")]
    pub(crate) look: Look,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Content {
    Text {
        text: String,
        link: Option<String>,
    },
    Equation(String),
    /// The mention's own object, and the text it shows.
    Mention {
        mention: Box<Json>,
        text: String,
        href: Option<String>,
    },
}

/// Annotations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) strikethrough: bool,
    pub(crate) underline: bool,
    pub(crate) code: bool,
    /// `None` is `default`.
    pub(crate) color: Option<String>,
}

impl Look {
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Item {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { content: Content::Text { text: text.into(), link: None }, look: Look::default() }
    }

    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::Text { text, .. } | Content::Mention { text, .. } => text,
            Content::Equation(expression) => expression,
        }
    }
}

/// Text with one plain run; none when it is empty.
pub(crate) fn plain(text: &str) -> Vec<Item> {
    if text.is_empty() { Vec::new() } else { vec![Item::plain(text)] }
}

/// All runs' text, joined.
pub(crate) fn plain_text(items: &[Item]) -> String {
    items.iter().map(Item::text).collect()
}

/// What mentions of people and pages show; asked of the workspace.
pub(crate) trait Names {
    fn user_name(&self, id: &str) -> Option<String>;
    fn page_title(&self, id: &str) -> Option<String>;
}

/// Reads an array of rich text items, drops empty runs and merges neighbours that look the same.
pub(crate) fn parse(value: &Json, names: &dyn Names, at: &At) -> Result<Vec<Item>> {
    let array = at::array(value, 100, at)?;
    let mut items: Vec<Item> = Vec::with_capacity(array.len());
    for (index, json) in array.iter().enumerate() {
        push(&mut items, parse_item(json, names, &at.index(index))?);
    }
    Ok(items)
}

/// Appends a run, merging it into the last one where both look the same.
pub(crate) fn push(items: &mut Vec<Item>, item: Item) {
    if let Content::Text { text, link } = &item.content {
        if text.is_empty() {
            return;
        }
        if let Some(Item { content: Content::Text { text: last, link: last_link }, look }) = items.last_mut()
            && last_link == link
            && *look == item.look
        {
            last.push_str(text);
            return;
        }
    }
    items.push(item);
}

fn parse_item(json: &Json, names: &dyn Names, at: &At) -> Result<Item> {
    let map = at::object(json, at)?;
    let look = match map.get("annotations") {
        None | Some(Json::Null) => Look::default(),
        Some(annotations) => parse_look(annotations, &at.key("annotations"))?,
    };
    let content = if let Some(text) = map.get("text") {
        parse_text(text, &at.key("text"))?
    } else if let Some(equation) = map.get("equation") {
        let at = at.key("equation");
        let expression = at::required(at::object(equation, &at)?, "expression", &at)?;
        Content::Equation(at::string(expression, 1000, &at.key("expression"))?.to_owned())
    } else if let Some(mention) = map.get("mention") {
        parse_mention(mention, names, &at.key("mention"))?
    } else {
        return Err(at.key("text").should_be("defined", None));
    };
    Ok(Item { content, look })
}

fn parse_text(json: &Json, at: &At) -> Result<Content> {
    let map = at::object(json, at)?;
    let content = at::required(map, "content", at)?;
    let text = at::string(content, 2000, &at.key("content"))?.to_owned();
    let link = match map.get("link") {
        None | Some(Json::Null) => None,
        Some(link) => {
            let at = at.key("link");
            let url = at::required(at::object(link, &at)?, "url", &at)?;
            Some(normal_link(at::string(url, 2000, &at.key("url"))?))
        }
    };
    Ok(Content::Text { text, link })
}

fn parse_look(json: &Json, at: &At) -> Result<Look> {
    let map = at::object(json, at)?;
    let flag = |key: &str| at::optional_boolean(map, key, at).map(|flag| flag.unwrap_or(false));
    let color = match map.get("color") {
        None | Some(Json::Null) => None,
        Some(color) => {
            let name = at::string(color, 100, &at.key("color"))?;
            let base = name.strip_suffix("_background").unwrap_or(name);
            if !crate::options::COLORS.contains(&base) || name == "default_background" {
                return Err(at.key("color").should_be("a valid color", Some(color)));
            }
            (name != "default").then(|| name.to_owned())
        }
    };
    Ok(Look {
        bold: flag("bold")?,
        italic: flag("italic")?,
        strikethrough: flag("strikethrough")?,
        underline: flag("underline")?,
        code: flag("code")?,
        color,
    })
}

fn parse_mention(json: &Json, names: &dyn Names, at: &At) -> Result<Content> {
    let map = at::object(json, at)?;
    let kind = [
        "user",
        "page",
        "database",
        "data_source",
        "date",
        "template_mention",
        "custom_emoji",
        "link_mention",
    ]
    .into_iter()
    .find(|kind| map.contains_key(*kind));
    let Some(kind) = kind else {
        return Err(at.key("user").should_be("defined", None));
    };
    let body = &map[kind];
    let id = body.get("id").and_then(Json::as_str).unwrap_or_default();
    let (text, href) = match kind {
        "user" => (format!("@{}", names.user_name(id).unwrap_or_else(|| "Unknown".into())), None),
        "page" | "database" | "data_source" => {
            let href = format!("https://app.notion.com/p/{}", id.replace('-', ""));
            (names.page_title(id).unwrap_or_else(|| "Untitled".into()), Some(href))
        }
        "date" => {
            let date = crate::dates::parse_value(body, &at.key("date"))?;
            let text = match &date.end {
                Some(end) => format!("{} → {}", date.start.text, end.text),
                None => date.start.text,
            };
            (text, None)
        }
        _ => (body.get("name").and_then(Json::as_str).unwrap_or_default().to_owned(), None),
    };
    let mut mention = Map::new();
    mention.insert("type".into(), kind.into());
    mention.insert(kind.into(), body.clone());
    Ok(Content::Mention { mention: Box::new(Json::Object(mention)), text, href })
}

/// Links to bare hosts gain a slash, as they do when Notion stores them.
fn normal_link(url: &str) -> String {
    for scheme in ["https://", "http://"] {
        if let Some(host) = url.strip_prefix(scheme)
            && !host.is_empty()
            && !host.contains(['/', '?', '#'])
        {
            return format!("{url}/");
        }
    }
    url.to_owned()
}

/// Appends the array of items.
pub(crate) fn write(out: &mut String, items: &[Item]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_item(out, item);
    }
    out.push(']');
}

/// Appends one item.
pub(crate) fn write_item(out: &mut String, item: &Item) {
    let href = match &item.content {
        Content::Text { text, link } => {
            out.push_str("{\"type\":\"text\",\"text\":{\"content\":");
            json::string(out, text);
            out.push_str(",\"link\":");
            match link {
                None => out.push_str("null"),
                Some(url) => {
                    out.push_str("{\"url\":");
                    json::string(out, url);
                    out.push('}');
                }
            }
            out.push('}');
            link.as_deref()
        }
        Content::Equation(expression) => {
            out.push_str("{\"type\":\"equation\",\"equation\":{\"expression\":");
            json::string(out, expression);
            out.push('}');
            None
        }
        Content::Mention { mention, href, .. } => {
            out.push_str("{\"type\":\"mention\",\"mention\":");
            json::tree(out, mention);
            href.as_deref()
        }
    };
    let look = &item.look;
    out.push_str(",\"annotations\":{\"bold\":");
    json::boolean(out, look.bold);
    out.push_str(",\"italic\":");
    json::boolean(out, look.italic);
    out.push_str(",\"strikethrough\":");
    json::boolean(out, look.strikethrough);
    out.push_str(",\"underline\":");
    json::boolean(out, look.underline);
    out.push_str(",\"code\":");
    json::boolean(out, look.code);
    out.push_str(",\"color\":");
    json::string(out, look.color.as_deref().unwrap_or("default"));
    out.push_str("},\"plain_text\":");
    json::string(out, item.text());
    out.push_str(",\"href\":");
    json::optional(out, href);
    out.push('}');
}

/// The array as a tree, for objects that are put together as trees.
pub(crate) fn to_json(items: &[Item]) -> Json {
    let mut out = String::new();
    write(&mut out, items);
    serde_json::from_str(&out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::at::BODY;

    struct Nobody;
    impl Names for Nobody {
        fn user_name(&self, _: &str) -> Option<String> {
            None
        }
        fn page_title(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn read(value: &Json) -> Vec<Item> {
        parse(value, &Nobody, &BODY).unwrap()
    }

    #[test]
    fn neighbours_that_look_the_same_become_one() {
        let items = read(&json!([
            {"text": {"content": "a"}}, {"text": {"content": ""}}, {"text": {"content": "b"}},
            {"text": {"content": "c"}, "annotations": {"bold": true}},
        ]));
        assert_eq!(items.len(), 2);
        assert_eq!(plain_text(&items), "abc");
    }

    #[test]
    fn a_bare_host_gains_a_slash() {
        let items = read(&json!([{"text": {"content": "a", "link": {"url": "https://x.example"}}}]));
        assert_eq!(to_json(&items)[0]["href"], "https://x.example/");
    }

    #[test]
    fn what_is_read_can_be_written_back() {
        let items = read(&json!([
            {"text": {"content": "a\"b"}, "annotations": {"color": "red_background", "code": true}},
            {"equation": {"expression": "e=mc^2"}},
            {"mention": {"date": {"start": "2026-01-01"}}},
        ]));
        assert_eq!(read(&to_json(&items)), items);
    }

    #[test]
    fn two_thousand_units_are_the_limit() {
        let long = json!([{"text": {"content": "😀".repeat(1001)}}]);
        let message = parse(&long, &Nobody, &BODY).unwrap_err().message;
        assert!(
            message.contains("body[0].text.content.length should be ≤ `2000`, instead was `2002`"),
            "{message}"
        );
        assert!(parse(&json!([{"text": {"content": "é".repeat(2000)}}]), &Nobody, &BODY).is_ok());
    }

    #[test]
    fn a_hundred_items_are_the_limit() {
        let many: Vec<Json> = (0..101).map(|_| json!({"text": {"content": "x"}})).collect();
        assert!(parse(&Json::Array(many), &Nobody, &BODY).is_err());
    }
}
