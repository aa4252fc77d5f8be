//! Formatted text as one line of Markdown that says all of it: what Markdown has no sign for stands in tags.

use std::fmt::Write as _;

use super::{Mention, Span, What, from_markdown};

/// The text as Markdown from which [`from_markdown`] reads the same text again.
///
/// `**bold**`, `*italic*`, `~~struck~~`, `` `code` ``, `[words](address)`, `` $`equation`$ ``,
/// `<u>underlined</u>`, `<span color="red">coloured</span>`,
/// `<mention-user url="user://ID">Ada</mention-user>` and the like. Line breaks stay as they are.
#[must_use]
pub fn to_markdown(spans: &[Span]) -> String {
    if let [Span { what: What::Text(text), look }] = spans
        && look.is_plain()
    {
        return escaped(text, false);
    }
    // Signs are what people write; where they would run into each other or into the words, tags are clear.
    let signs = write(spans, true);
    if from_markdown(&signs) == spans { signs } else { write(spans, false) }
}

/// One layer around words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer<'a> {
    Color(&'a str),
    Underline,
    Link(&'a str),
    Bold,
    Italic,
    Strike,
    Code,
}

fn layers(span: &Span) -> Vec<Layer<'_>> {
    let look = &span.look;
    let mut layers = Vec::new();
    layers.extend(look.color.as_deref().map(Layer::Color));
    layers.extend(look.underline.then_some(Layer::Underline));
    layers.extend(look.link.as_deref().map(Layer::Link));
    layers.extend(look.bold.then_some(Layer::Bold));
    layers.extend(look.italic.then_some(Layer::Italic));
    layers.extend(look.strike.then_some(Layer::Strike));
    layers.extend(look.code.then_some(Layer::Code));
    layers
}

fn write(spans: &[Span], signs: bool) -> String {
    let mut out = String::new();
    let mut open: Vec<Layer<'_>> = Vec::new();
    for span in spans {
        let wanted = layers(span);
        // Code is one span's own; its signs take everything inside as it is.
        let common =
            open.iter().zip(&wanted).take_while(|(one, other)| one == other && **one != Layer::Code).count();
        close(&mut open, common, signs, &mut out);
        for layer in &wanted[common..] {
            open.push(*layer);
            begin(*layer, signs && is_simple_code(span), signs, &mut out);
        }
        let in_code_signs = span.look.code && signs && is_simple_code(span);
        match &span.what {
            What::Text(text) if in_code_signs => out.push_str(text),
            What::Text(text) => out.push_str(&escaped(text, span.look.link.is_some())),
            What::Equation(expression) => equation(expression, signs, &mut out),
            What::Mention { mention, shown } => write_mention(mention, shown, &mut out),
        }
        if span.look.code {
            // What was begun as signs ends as signs.
            open.pop();
            out.push_str(if in_code_signs { "`" } else { "</code>" });
        }
    }
    close(&mut open, 0, signs, &mut out);
    out
}

/// Whether words can stand between back-quotes as they are.
fn is_simple_code(span: &Span) -> bool {
    match &span.what {
        What::Text(text) => !text.is_empty() && !text.contains('`'),
        What::Equation(_) | What::Mention { .. } => false,
    }
}

fn begin(layer: Layer<'_>, code_signs: bool, signs: bool, out: &mut String) {
    match layer {
        Layer::Color(color) => {
            out.push_str("<span color=\"");
            attribute(color, out);
            out.push_str("\">");
        }
        Layer::Underline => out.push_str("<u>"),
        Layer::Link(_) => out.push('['),
        Layer::Bold => out.push_str(if signs { "**" } else { "<b>" }),
        Layer::Italic => out.push_str(if signs { "*" } else { "<i>" }),
        Layer::Strike => out.push_str(if signs { "~~" } else { "<s>" }),
        Layer::Code => out.push_str(if code_signs { "`" } else { "<code>" }),
    }
}

fn close(open: &mut Vec<Layer<'_>>, down_to: usize, signs: bool, out: &mut String) {
    while open.len() > down_to {
        match open.pop() {
            None | Some(Layer::Code) => {}
            Some(Layer::Color(_)) => out.push_str("</span>"),
            Some(Layer::Underline) => out.push_str("</u>"),
            Some(Layer::Link(url)) => {
                out.push_str("](");
                for c in url.chars() {
                    if matches!(c, '\\' | '(' | ')') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push(')');
            }
            Some(Layer::Bold) => out.push_str(if signs { "**" } else { "</b>" }),
            Some(Layer::Italic) => out.push_str(if signs { "*" } else { "</i>" }),
            Some(Layer::Strike) => out.push_str(if signs { "~~" } else { "</s>" }),
        }
    }
}

fn equation(expression: &str, signs: bool, out: &mut String) {
    if signs && !expression.is_empty() && !expression.contains('`') {
        out.push_str("$`");
        out.push_str(expression);
        out.push_str("`$");
    } else {
        out.push_str("<equation>");
        out.push_str(&escaped(expression, false));
        out.push_str("</equation>");
    }
}

fn write_mention(mention: &Mention, shown: &str, out: &mut String) {
    let mut tag = |name: &str, attributes: &[(&str, Option<&str>)]| {
        out.push('<');
        out.push_str(name);
        for (key, value) in attributes {
            let Some(value) = value else { continue };
            // Writing to a String cannot fail.
            let _ = write!(out, " {key}=\"");
            attribute(value, out);
            out.push('"');
        }
        out.push('>');
        out.push_str(&escaped(shown, false));
        let _ = write!(out, "</{name}>");
    };
    match mention {
        Mention::User(id) => tag("mention-user", &[("url", Some(&format!("user://{id}")))]),
        Mention::Page(id) => tag("mention-page", &[("url", Some(&format!("page://{id}")))]),
        Mention::Database(id) => tag("mention-database", &[("url", Some(&format!("database://{id}")))]),
        Mention::Date { start, end, time_zone } => {
            let attributes = [
                ("start", Some(start.as_str())),
                ("end", end.as_deref()),
                ("time-zone", time_zone.as_deref()),
            ];
            tag("mention-date", &attributes);
        }
        Mention::Other(json) => tag("mention", &[("json", Some(json))]),
    }
}

fn attribute(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}

/// Words with a backslash before each character that would be read as a sign.
fn escaped(text: &str, in_link: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
        let is_sign = match c {
            '\\' | '`' | '[' => true,
            ']' => in_link,
            // A star between blanks, as in 2 * 3, and a line inside of a word, as in snake_case, are themselves.
            '*' => !(is_blank(before) && is_blank(after)),
            '_' => !(is_word(before) && is_word(after)),
            '~' => before == Some('~') || after == Some('~') || before.is_none() || after.is_none(),
            '<' => after.is_none_or(|after| after.is_ascii_alphabetic() || after == '/'),
            _ => false,
        };
        if is_sign {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
    out
}
