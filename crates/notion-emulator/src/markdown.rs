//! Page bodies as Markdown: blocks become lines, lines become blocks; one line is one block.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    blocks::{self, NewBlock},
    rich_text::{self, Content, Item, Look},
    world::World,
};

/// Reads Markdown into blocks. Empty lines separate and are not kept; tabs (or two spaces) nest.
pub(crate) fn parse(text: &str) -> Vec<NewBlock> {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    parse_level(&lines, &mut at, 0)
}

fn parse_level(lines: &[&str], at: &mut usize, depth: usize) -> Vec<NewBlock> {
    let mut blocks: Vec<NewBlock> = Vec::new();
    while let Some(line) = lines.get(*at) {
        if line.trim().is_empty() {
            *at += 1;
            continue;
        }
        let (indent, rest) = indent_of(line);
        if indent < depth {
            break;
        }
        if indent > depth
            && let Some(last) = blocks.last_mut()
            && holds(&last.kind)
        {
            last.children.extend(parse_level(lines, at, depth + 1));
            continue;
        }
        if let Some(block) = parse_fence(rest, lines, at) {
            blocks.push(block);
            continue;
        }
        if rest.starts_with('|')
            && let Some(block) = parse_table(lines, at)
        {
            blocks.push(block);
            continue;
        }
        *at += 1;
        blocks.push(parse_line(rest));
    }
    blocks
}

fn holds(kind: &str) -> bool {
    matches!(
        kind,
        "bulleted_list_item" | "numbered_list_item" | "to_do" | "toggle" | "quote" | "paragraph" | "callout"
    )
}

fn indent_of(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(['\t', ' ']);
    let lead = &line[..line.len() - rest.len()];
    let tabs = lead.matches('\t').count();
    (tabs + lead.matches(' ').count() / 2, rest)
}

/// ```` ```language ```` up to the closing fence, and `$$` likewise.
fn parse_fence(first: &str, lines: &[&str], at: &mut usize) -> Option<NewBlock> {
    let (fence, language) = if let Some(language) = first.strip_prefix("```") {
        ("```", language.trim())
    } else if first.trim() == "$$" {
        ("$$", "")
    } else {
        return None;
    };
    let (indent, _) = indent_of(lines[*at]);
    *at += 1;
    let mut body = Vec::new();
    while let Some(line) = lines.get(*at) {
        *at += 1;
        if line.trim() == fence {
            break;
        }
        let lead = line.len() - line.trim_start_matches('\t').len();
        body.push(&line[lead.min(indent)..]);
    }
    let body = body.join("\n");
    if fence == "$$" {
        return Some(leaf("equation", json!({"expression": body})));
    }
    let language = if language.is_empty() { "plain text" } else { language };
    let text = rich_text::to_json(&rich_text::plain(&body));
    Some(leaf("code", json!({"rich_text": text, "caption": [], "language": language})))
}

/// Rows of cells between bars; the second line tells a header.
fn parse_table(lines: &[&str], at: &mut usize) -> Option<NewBlock> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    let is_rule = |row: &[String]| {
        row.iter().all(|cell| !cell.is_empty() && cell.chars().all(|letter| matches!(letter, '-' | ':')))
    };
    let header = cells(lines[*at])?;
    let rule = lines.get(*at + 1).and_then(|line| cells(line)).filter(|row| is_rule(row))?;
    let width = header.len().max(rule.len());
    let mut rows = vec![header];
    *at += 2;
    while let Some(row) = lines.get(*at).and_then(|line| cells(line)) {
        rows.push(row);
        *at += 1;
    }
    let children = rows
        .into_iter()
        .map(|row| {
            let cells: Vec<Json> = (0..width)
                .map(|index| rich_text::to_json(&parse_inline(row.get(index).map_or("", String::as_str))))
                .collect();
            leaf("table_row", json!({"cells": cells}))
        })
        .collect();
    let content = json!({"table_width": width, "has_column_header": true, "has_row_header": false});
    Some(NewBlock { kind: "table".into(), content, children })
}

fn parse_line(line: &str) -> NewBlock {
    for (mark, kind) in
        [("#### ", "heading_4"), ("### ", "heading_3"), ("## ", "heading_2"), ("# ", "heading_1")]
    {
        if let Some(rest) = line.strip_prefix(mark) {
            let mut block = text_block(kind, rest);
            block.content["is_toggleable"] = false.into();
            return block;
        }
    }
    for (mark, checked) in [("- [ ] ", false), ("- [x] ", true), ("- [X] ", true)] {
        if let Some(rest) = line.strip_prefix(mark) {
            let mut block = text_block("to_do", rest);
            block.content["checked"] = checked.into();
            return block;
        }
    }
    if matches!(line.trim(), "---" | "***" | "___") {
        return leaf("divider", json!({}));
    }
    if line.trim() == "<empty-block/>" {
        return text_block("paragraph", "");
    }
    if let Some(rest) =
        line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).or_else(|| line.strip_prefix("+ "))
    {
        return text_block("bulleted_list_item", rest);
    }
    if let Some(rest) = line.strip_prefix("> ") {
        return text_block("quote", rest);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0
        && let Some(rest) = line[digits..].strip_prefix(". ")
    {
        return text_block("numbered_list_item", rest);
    }
    if let Some((caption, url)) =
        line.strip_prefix("![").and_then(|rest| rest.strip_suffix(')')?.split_once("]("))
    {
        let caption = rich_text::to_json(&rich_text::plain(caption));
        return leaf("image", json!({"type": "external", "external": {"url": url}, "caption": caption}));
    }
    text_block("paragraph", line)
}

fn leaf(kind: &str, content: Json) -> NewBlock {
    NewBlock { kind: kind.into(), content, children: Vec::new() }
}

fn text_block(kind: &str, text: &str) -> NewBlock {
    let text = rich_text::to_json(&parse_inline(text));
    leaf(kind, json!({"rich_text": text, "color": "default"}))
}

/// Reads bold, italic, strikethrough, code, links and equations inside a line.
pub(crate) fn parse_inline(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    inline(text, &Look::default(), None, &mut items);
    items
}

fn inline(text: &str, look: &Look, link: Option<&str>, items: &mut Vec<Item>) {
    let mut plain = String::new();
    let mut rest = text;
    let flush = |plain: &mut String, items: &mut Vec<Item>| {
        if !plain.is_empty() {
            let content = Content::Text { text: std::mem::take(plain), link: link.map(str::to_owned) };
            rich_text::push(items, Item { content, look: look.clone() });
        }
    };
    while !rest.is_empty() {
        if let Some(escaped) = rest.strip_prefix('\\')
            && let Some(letter) = escaped.chars().next().filter(char::is_ascii_punctuation)
        {
            plain.push(letter);
            rest = &escaped[1..];
            continue;
        }
        if let Some((inner, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`'))
            && !inner.is_empty()
        {
            flush(&mut plain, items);
            let content = Content::Text { text: inner.to_owned(), link: link.map(str::to_owned) };
            rich_text::push(items, Item { content, look: Look { code: true, ..look.clone() } });
            rest = after;
            continue;
        }
        if let Some((inner, after)) = rest.strip_prefix("$`").and_then(|rest| rest.split_once("`$")) {
            flush(&mut plain, items);
            items.push(Item { content: Content::Equation(inner.to_owned()), look: look.clone() });
            rest = after;
            continue;
        }
        if let Some((label, url, after)) = link_at(rest) {
            flush(&mut plain, items);
            inline(label, look, Some(url), items);
            rest = after;
            continue;
        }
        let mut marked = None;
        for mark in ["***", "**", "~~", "*", "_"] {
            if let Some((inner, after)) = between(rest, mark) {
                marked = Some((mark, inner, after));
                break;
            }
        }
        if let Some((mark, inner, after)) = marked
            && !(mark == "_" && plain.ends_with(char::is_alphanumeric))
        {
            flush(&mut plain, items);
            let mut inner_look = look.clone();
            match mark {
                "***" => (inner_look.bold, inner_look.italic) = (true, true),
                "**" => inner_look.bold = true,
                "~~" => inner_look.strikethrough = true,
                _ => inner_look.italic = true,
            }
            inline(inner, &inner_look, link, items);
            rest = after;
            continue;
        }
        let mut letters = rest.chars();
        plain.extend(letters.next());
        rest = letters.as_str();
    }
    flush(&mut plain, items);
}

/// `**inner**after`; marks beside spaces mark nothing.
fn between<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let rest = text.strip_prefix(mark)?;
    if rest.starts_with(char::is_whitespace) || rest.starts_with(mark) {
        return None;
    }
    let mut from = 0;
    while let Some(found) = rest[from..].find(mark) {
        let end = from + found;
        let escaped = rest[..end].ends_with('\\');
        let longer = mark == "*" && (rest[end + 1..].starts_with('*') || rest[..end].ends_with('*'));
        if end > 0 && !escaped && !longer && !rest[..end].ends_with(char::is_whitespace) {
            return Some((&rest[..end], &rest[end + mark.len()..]));
        }
        from = end + mark.len();
    }
    None
}

fn link_at(text: &str) -> Option<(&str, &str, &str)> {
    let rest = text.strip_prefix('[')?;
    let (label, rest) = rest.split_once("](")?;
    let (url, after) = rest.split_once(')')?;
    (!label.contains(['[', ']']) && !url.is_empty()).then_some((label, url, after))
}

/// Writes a page's body; ids of blocks that have no Markdown are given beside it.
pub(crate) fn write(world: &World, page: Uuid) -> (String, Vec<Uuid>) {
    let mut lines = Vec::new();
    let mut unknown = Vec::new();
    write_level(world, page, 0, &mut lines, &mut unknown);
    (lines.join("\n"), unknown)
}

fn write_level(world: &World, holder: Uuid, depth: usize, lines: &mut Vec<String>, unknown: &mut Vec<Uuid>) {
    let tabs = "\t".repeat(depth);
    let mut number = 0;
    for id in blocks::live_children(world, holder) {
        let Some(block) = world.blocks.get(&id) else {
            let (title, tag) = match (world.pages.get(&id), world.databases.get(&id)) {
                (Some(page), _) => (page.title(), "page"),
                (_, Some(database)) => (rich_text::plain_text(&database.title), "database"),
                _ => continue,
            };
            lines.push(format!(
                "{tabs}<{tag} url=\"https://app.notion.com/p/{}\">{title}</{tag}>",
                id.simple()
            ));
            continue;
        };
        number = if block.kind == "numbered_list_item" { number + 1 } else { 0 };
        let text = || inline_text(&block.content["rich_text"]);
        let line = match block.kind.as_str() {
            "paragraph" => match text() {
                text if text.is_empty() => "<empty-block/>".to_owned(),
                text => escape_start(text),
            },
            "heading_1" => format!("# {}", text()),
            "heading_2" => format!("## {}", text()),
            "heading_3" => format!("### {}", text()),
            "heading_4" => format!("#### {}", text()),
            "bulleted_list_item" | "toggle" => format!("- {}", text()),
            "numbered_list_item" => format!("{number}. {}", text()),
            "to_do" => {
                let mark = if block.content["checked"] == true { "x" } else { " " };
                format!("- [{mark}] {}", text())
            }
            "quote" | "callout" => format!("> {}", text()),
            "divider" => "---".to_owned(),
            "equation" => {
                format!("$$\n{tabs}{}\n{tabs}$$", block.content["expression"].as_str().unwrap_or_default())
            }
            "code" => {
                let language = block.content["language"].as_str().unwrap_or("plain text");
                let body = plain_of(&block.content["rich_text"]).replace('\n', &format!("\n{tabs}"));
                format!("```{language}\n{tabs}{body}\n{tabs}```")
            }
            "image" => {
                let word = block.content["type"].as_str().unwrap_or("external");
                let url = block.content[word]["url"].as_str().unwrap_or_default();
                format!("![{}]({url})", plain_of(&block.content["caption"]))
            }
            "bookmark" | "embed" => {
                let url = block.content["url"].as_str().unwrap_or_default();
                format!("[{url}]({url})")
            }
            "table" => {
                write_table(world, id, &tabs, lines);
                continue;
            }
            "column_list" | "column" | "synced_block" => {
                write_level(world, id, depth, lines, unknown);
                continue;
            }
            _ => {
                unknown.push(id);
                continue;
            }
        };
        lines.push(format!("{tabs}{line}"));
        write_level(world, id, depth + 1, lines, unknown);
    }
}

fn write_table(world: &World, table: Uuid, tabs: &str, lines: &mut Vec<String>) {
    for (index, row) in blocks::live_children(world, table).into_iter().enumerate() {
        let Some(row) = world.blocks.get(&row) else { continue };
        let cells: Vec<String> =
            row.content["cells"].as_array().into_iter().flatten().map(inline_text).collect();
        lines.push(format!("{tabs}| {} |", cells.join(" | ")));
        if index == 0 {
            lines.push(format!("{tabs}|{}", " --- |".repeat(cells.len())));
        }
    }
}

fn plain_of(items: &Json) -> String {
    items.as_array().into_iter().flatten().filter_map(|item| item["plain_text"].as_str()).collect()
}

/// Rich text as Markdown; what would be read as a mark is escaped.
fn inline_text(items: &Json) -> String {
    let mut out = String::new();
    for item in items.as_array().into_iter().flatten() {
        let plain = item["plain_text"].as_str().unwrap_or_default();
        let look = &item["annotations"];
        let mut text = if item["type"] == "equation" {
            format!("$`{plain}`$")
        } else if look["code"] == true {
            format!("`{plain}`")
        } else {
            escape(plain)
        };
        for (key, mark) in [("bold", "**"), ("italic", "*"), ("strikethrough", "~~")] {
            if look[key] == true {
                text = format!("{mark}{text}{mark}");
            }
        }
        if let Some(url) = item["href"].as_str() {
            text = format!("[{text}]({url})");
        }
        out.push_str(&text);
    }
    out.replace('\n', "<br>")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '*' | '~' | '`' | '[' | ']' | '_' | '|') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A paragraph that begins like a list, heading or quote keeps being a paragraph.
fn escape_start(text: String) -> String {
    let looks_marked = text.starts_with("# ")
        || text.starts_with("##")
        || text.starts_with("- ")
        || text.starts_with("+ ")
        || text.starts_with("> ")
        || text.starts_with("---")
        || text.starts_with("$$");
    if looks_marked { format!("\\{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        parse(text).into_iter().map(|block| block.kind).collect()
    }

    #[test]
    fn each_line_is_a_block_of_its_kind() {
        let text = "# A\n## B\n- x\n1. y\n- [x] z\n> q\n---\n```rust\nfn a() {}\n\nb\n```\nplain\n![c](https://x.example/i.png)";
        assert_eq!(
            kinds(text),
            [
                "heading_1",
                "heading_2",
                "bulleted_list_item",
                "numbered_list_item",
                "to_do",
                "quote",
                "divider",
                "code",
                "paragraph",
                "image",
            ]
        );
    }

    #[test]
    fn tabs_nest() {
        let blocks = parse("- a\n\t- b\n\t\t- c\n- d");
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].children[0].children[0].kind, "bulleted_list_item");
    }

    #[test]
    fn marks_are_read_inside_a_line() {
        let items = parse_inline("a **b *c* d** `e` [f](https://x.example/) snake_case_word \\*g\\*");
        let text: String = items.iter().map(Item::text).collect();
        assert_eq!(text, "a b c d e f snake_case_word *g*");
        assert!(items.iter().any(|item| item.look.bold && item.look.italic && item.text() == "c"));
        assert!(items.iter().any(|item| item.look.code && item.text() == "e"));
    }

    #[test]
    fn a_table_has_rows() {
        let blocks = parse("| a | b |\n| --- | --- |\n| 1 | 2 |");
        assert_eq!(blocks[0].kind, "table");
        assert_eq!(blocks[0].children.len(), 2);
    }
}
