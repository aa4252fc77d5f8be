//! One line of Markdown as formatted text. Total: what is no sign is words.

use super::{Look, Mention, Span, What, joined};

/// So many looks inside of each other are read; deeper ones are words.
const DEPTH: usize = 32;

/// Reads what [`super::to_markdown`] writes, and what people write of it: `_italic_` and `__bold__` too.
#[must_use]
pub fn from_markdown(markdown: &str) -> Vec<Span> {
    let mut reader = Reader { text: markdown, at: 0, before: None, spans: Vec::new(), open: Vec::new() };
    while let Some(c) = reader.peek() {
        reader.read(c);
    }
    joined(reader.spans)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The character that was read last, signs included.
    before: Option<char>,
    spans: Vec<Span>,
    open: Vec<Open>,
}

/// A sign that was opened and may be closed. Until then it stands among the spans as words.
struct Open {
    sign: Sign,
    /// Where among the spans its words stand.
    span: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    /// `*` or `_`, once or twice.
    Star(char, usize),
    Strike,
    Link,
    Tag(&'static str, Option<String>),
}

/// The tags that put a look on what they hold.
const LOOKS: [&str; 6] = ["b", "i", "s", "u", "code", "span"];

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes on by so many bytes, which end between characters.
    fn skip(&mut self, bytes: usize) {
        self.before = self.text[..self.at + bytes].chars().next_back();
        self.at += bytes;
    }

    fn words(&mut self, text: &str) {
        self.spans.push(Span::plain(text));
    }

    fn read(&mut self, c: char) {
        let was_read = match c {
            '\\' => self.escape(),
            '`' => self.code(),
            '$' => self.equation(),
            '*' | '_' => self.stars(c),
            '~' => self.strike(),
            '[' => self.open_sign(Sign::Link, "["),
            ']' => self.link(),
            '<' => self.tag(),
            _ => false,
        };
        if !was_read {
            // Up to the next character that may be a sign.
            let rest = self.rest();
            let first = c.len_utf8();
            let more = rest[first..]
                .find(['\\', '`', '$', '*', '_', '~', '[', ']', '<'])
                .unwrap_or(rest.len() - first);
            let text = &rest[..first + more];
            self.words(text);
            self.skip(text.len());
        }
    }

    fn escape(&mut self) -> bool {
        let Some(c) = self.rest()[1..].chars().next().filter(char::is_ascii_punctuation) else {
            return false;
        };
        self.words(c.encode_utf8(&mut [0; 4]));
        self.skip(2);
        true
    }

    /// Everything between back-quotes is as it stands.
    fn code(&mut self) -> bool {
        let rest = self.rest();
        let fence = rest.len() - rest.trim_start_matches('`').len();
        let inner = &rest[fence..];
        let mut at = 0;
        while let Some(found) = inner[at..].find('`') {
            let start = at + found;
            let run = inner[start..].len() - inner[start..].trim_start_matches('`').len();
            if run == fence && start > 0 {
                let look = Look { code: true, ..Look::default() };
                self.spans.push(Span { what: What::Text(inner[..start].to_owned()), look });
                self.skip(fence + start + run);
                return true;
            }
            at = start + run;
        }
        self.words(&rest[..fence]);
        self.skip(fence);
        true
    }

    fn equation(&mut self) -> bool {
        let Some(inner) = self.rest().strip_prefix("$`") else { return false };
        let Some(end) = inner.find("`$").filter(|end| *end > 0) else { return false };
        if inner[..end].contains('`') {
            return false;
        }
        self.spans.push(Span { what: What::Equation(inner[..end].to_owned()), look: Look::default() });
        self.skip(end + 4);
        true
    }

    /// Stars and lines: as many as stand together, first to close what is open, then to open.
    fn stars(&mut self, sign: char) -> bool {
        let rest = self.rest();
        let mut count = rest.len() - rest.trim_start_matches(sign).len();
        let all = count;
        let before = self.before;
        let after = rest[count..].chars().next();
        let is_blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_word = |c: Option<char>| sign == '_' && c.is_some_and(char::is_alphanumeric);
        let opens = !is_blank(after) && !is_word(before);
        let closes = !is_blank(before) && !is_word(after);
        while closes && count > 0 {
            let fits = |open: &Open| matches!(open.sign, Sign::Star(c, n) if c == sign && n <= count);
            let Some(at) = self.open.iter().rposition(fits) else { break };
            let Sign::Star(_, width) = self.open[at].sign else { break };
            self.close(at, &|look| if width == 2 { look.bold = true } else { look.italic = true });
            count -= width;
        }
        while opens && count > 0 {
            let width = count.min(2);
            let text = if width == 2 { &rest[..2] } else { &rest[..1] };
            self.push_open(Sign::Star(sign, width), text);
            count -= width;
        }
        self.words(&rest[..count]);
        self.skip(all);
        true
    }

    fn strike(&mut self) -> bool {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches('~').len();
        let (before, after) = (self.before, rest[count..].chars().next());
        if count == 2
            && before.is_some_and(|c| !c.is_whitespace())
            && let Some(at) = self.open.iter().rposition(|open| open.sign == Sign::Strike)
        {
            self.close(at, &|look| look.strike = true);
        } else if count == 2 && after.is_some_and(|c| !c.is_whitespace()) {
            self.push_open(Sign::Strike, "~~");
        } else {
            self.words(&rest[..count]);
        }
        self.skip(count);
        true
    }

    fn open_sign(&mut self, sign: Sign, text: &str) -> bool {
        self.push_open(sign, text);
        self.skip(text.len());
        true
    }

    fn push_open(&mut self, sign: Sign, text: &str) {
        if self.open.len() < DEPTH {
            self.open.push(Open { sign, span: self.spans.len() });
        }
        self.words(text);
    }

    /// Puts a look on all that stands since a sign was opened. What was opened since then stays words.
    fn close(&mut self, at: usize, put: &dyn Fn(&mut Look)) {
        let from = self.open[at].span;
        self.open.truncate(at);
        if let Some(sign) = self.spans.get_mut(from) {
            sign.what = What::Text(String::new());
        }
        for span in self.spans.iter_mut().skip(from + 1) {
            put(&mut span.look);
        }
    }

    /// `](address)`, with a backslash before brackets in the address.
    fn link(&mut self) -> bool {
        let Some(inner) = self.rest().strip_prefix("](") else { return false };
        let Some(at) = self.open.iter().rposition(|open| open.sign == Sign::Link) else { return false };
        let (mut url, mut end, mut is_escaped) = (String::new(), None, false);
        for (place, c) in inner.char_indices() {
            match c {
                _ if is_escaped => {
                    if !c.is_ascii_punctuation() {
                        url.push('\\');
                    }
                    url.push(c);
                    is_escaped = false;
                }
                '\\' => is_escaped = true,
                ')' => {
                    end = Some(place);
                    break;
                }
                c => url.push(c),
            }
        }
        let Some(end) = end.filter(|_| !url.is_empty()) else { return false };
        self.close(at, &|look| look.link = Some(look.link.take().unwrap_or_else(|| url.clone())));
        self.skip(2 + end + 1);
        true
    }

    // ---- Tags ----

    fn tag(&mut self) -> bool {
        let Some(tag) = Tag::read(self.rest()) else { return false };
        let found = LOOKS.iter().find(|name| **name == tag.name);
        if tag.is_end {
            let Some(name) = found else { return false };
            let fits = |open: &Open| matches!(&open.sign, Sign::Tag(open, _) if open == name);
            let Some(at) = self.open.iter().rposition(fits) else { return false };
            let Sign::Tag(_, color) = self.open[at].sign.clone() else { return false };
            self.close(at, &|look| match *name {
                "b" => look.bold = true,
                "i" => look.italic = true,
                "s" => look.strike = true,
                "u" => look.underline = true,
                "code" => look.code = true,
                _ => {
                    let color = look.color.take().or_else(|| color.clone());
                    look.color = color;
                }
            });
            self.skip(tag.length);
            return true;
        }
        if let Some(name) = found {
            let color = tag.attribute("color");
            // Notion's own Markdown underlines with a span.
            let name = match *name {
                "span" if color.is_none() => return false,
                name => name,
            };
            let text = &self.rest()[..tag.length];
            return self.open_sign(Sign::Tag(name, color), text);
        }
        self.mention(&tag)
    }

    /// A mention or an equation, whose words run to the end of its tag.
    fn mention(&mut self, tag: &Tag<'a>) -> bool {
        let end = format!("</{}>", tag.name);
        let inner = &self.rest()[tag.length..];
        let Some(until) = find_unescaped(inner, &end) else { return false };
        let shown = unescaped(&inner[..until]);
        let id = |scheme: &str| tag.attribute("url")?.strip_prefix(scheme).map(str::to_owned);
        let mention = match tag.name {
            "mention-user" => id("user://").map(Mention::User),
            "mention-page" => id("page://").map(Mention::Page),
            "mention-database" => id("database://").map(Mention::Database),
            "mention-date" => tag.attribute("start").map(|start| Mention::Date {
                start,
                end: tag.attribute("end"),
                time_zone: tag.attribute("time-zone"),
            }),
            "mention" => tag.attribute("json").map(Mention::Other),
            "equation" => {
                self.spans.push(Span { what: What::Equation(shown), look: Look::default() });
                self.skip(tag.length + until + end.len());
                return true;
            }
            _ => None,
        };
        let Some(mention) = mention else { return false };
        self.spans.push(Span { what: What::Mention { mention, shown }, look: Look::default() });
        self.skip(tag.length + until + end.len());
        true
    }
}

/// One tag: `<name key="value">` or `</name>`.
struct Tag<'a> {
    name: &'a str,
    is_end: bool,
    attributes: &'a str,
    /// In bytes.
    length: usize,
}

impl<'a> Tag<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let inner = text.strip_prefix('<')?;
        let (is_end, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let name_end = inner.find(|c: char| !(c.is_ascii_lowercase() || c == '-'))?;
        let (name, after) = inner.split_at(name_end);
        if name.is_empty() || !(after.starts_with('>') || after.starts_with(' ')) {
            return None;
        }
        // Values hold no angle brackets: these are written as entities.
        let end = after.find(['<', '>'])?;
        if !after[end..].starts_with('>') || is_end && end > 0 {
            return None;
        }
        let length = text.len() - after.len() + end + 1;
        Some(Self { name, is_end, attributes: &after[..end], length })
    }

    fn attribute(&self, key: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            let (name, after) = rest.trim_start().split_once("=\"")?;
            let (value, more) = after.split_once('"')?;
            if name == key {
                return Some(
                    value
                        .replace("&quot;", "\"")
                        .replace("&lt;", "<")
                        .replace("&gt;", ">")
                        .replace("&amp;", "&"),
                );
            }
            rest = more;
        }
    }
}

/// Where a sign stands that no backslash makes a word of.
fn find_unescaped(text: &str, sign: &str) -> Option<usize> {
    text.match_indices(sign).map(|(at, _)| at).find(|at| {
        let before = &text[..*at];
        (before.len() - before.trim_end_matches('\\').len()).is_multiple_of(2)
    })
}

/// Words without the backslashes that kept them from being signs.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => out.extend(rest.next()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{to_markdown, words};
    use super::*;

    fn look(change: impl Fn(&mut Look)) -> Look {
        let mut look = Look::default();
        change(&mut look);
        look
    }

    fn text(text: &str, change: impl Fn(&mut Look)) -> Span {
        Span { what: What::Text(text.into()), look: look(change) }
    }

    #[test]
    fn every_sign_is_read() {
        for (markdown, span) in [
            ("**a**", text("a", |l| l.bold = true)),
            ("__a__", text("a", |l| l.bold = true)),
            ("*a*", text("a", |l| l.italic = true)),
            ("_a_", text("a", |l| l.italic = true)),
            ("***a***", text("a", |l| (l.bold, l.italic) = (true, true))),
            ("~~a~~", text("a", |l| l.strike = true)),
            ("`a*b`", text("a*b", |l| l.code = true)),
            ("<u>a</u>", text("a", |l| l.underline = true)),
            (
                "<span color=\"red_background\">a</span>",
                text("a", |l| l.color = Some("red_background".into())),
            ),
            ("[a](https://x.example/\\(1\\))", text("a", |l| l.link = Some("https://x.example/(1)".into()))),
            ("$`e=mc^2`$", Span { what: What::Equation("e=mc^2".into()), look: Look::default() }),
            (
                "<mention-user url=\"user://u\">@A \\*</mention-user>",
                Span {
                    what: What::Mention { mention: Mention::User("u".into()), shown: "@A *".into() },
                    look: Look::default(),
                },
            ),
        ] {
            assert_eq!(from_markdown(markdown), [span], "{markdown}");
        }
    }

    #[test]
    fn what_is_no_sign_is_words() {
        for plain in [
            "2 * 3 * 4",
            "snake_case_word",
            "a < b > c",
            "$5 and $6",
            "~5",
            "[x]",
            "a]b",
            "**",
            "**open",
            "`open",
            "</b>",
            "<b>",
            "<x>y</x>",
            "<mention-user>x</mention-user>",
            "](x)",
            "[a]()",
            "* item",
            "\\",
            "a\\b",
            "<span>x</span>",
            "~~~x~~~",
            "** a**",
        ] {
            assert_eq!(from_markdown(plain), [Span::plain(plain)], "{plain}");
        }
        assert_eq!(from_markdown(""), []);
        assert_eq!(words(&from_markdown("\\*a\\*")), "*a*");
    }

    #[test]
    fn signs_that_run_into_each_other_become_tags() {
        let bold = |t: &str| text(t, |l| l.bold = true);
        let italic = |t: &str| text(t, |l| l.italic = true);
        for (spans, markdown) in [
            (vec![bold("a"), Span::plain("b")], "**a**b"),
            (vec![bold("a "), Span::plain("b")], "<b>a </b>b"),
            (vec![italic("a"), bold("b")], "*a***b**"),
            (vec![bold("`"), Span::plain("b")], "**\\`**b"),
            (vec![text("`", |l| l.code = true)], "<code>\\`</code>"),
        ] {
            let written = to_markdown(&spans);
            assert_eq!(from_markdown(&written), spans, "{written}");
            if markdown != "*a***b**" {
                assert_eq!(written, markdown);
            }
        }
    }

    #[test]
    fn depth_has_an_end() {
        let deep = "<u>".repeat(50_000) + "x" + &"</u>".repeat(50_000);
        assert!(words(&from_markdown(&deep)).contains('x'));
        let stars = "*a ".repeat(50_000);
        assert_eq!(words(&from_markdown(&stars)), stars);
    }
}
