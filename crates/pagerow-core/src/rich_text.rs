//! What formatted text is: spans of words with a look, mentions and equations; and what is kept of it when its words
//! change.

use std::collections::BTreeSet;

mod read;
mod write;

pub use read::from_markdown;
pub use write::to_markdown;

/// One run of text in one look, one mention, or one equation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub what: What,
    pub look: Look,
}

/// What a span shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Text(String),
    /// A formula in LaTeX.
    Equation(String),
    Mention {
        mention: Mention,
        /// The words that stand for it, such as a person's name. They follow what is mentioned.
        shown: String,
    },
}

/// Whom or what a mention means. Ids are as Notion gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    User(String),
    Page(String),
    Database(String),
    Date {
        start: String,
        end: Option<String>,
        time_zone: Option<String>,
    },
    /// Any other mention, as Notion's JSON.
    Other(String),
}

/// How a span looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
    pub underline: bool,
    pub code: bool,
    /// Notion's name of a colour; `None` is the usual one.
    pub color: Option<String>,
    /// The address that the words lead to.
    pub link: Option<String>,
}

impl Look {
    /// Whether nothing stands out.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Span {
    /// Words in the usual look.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { what: What::Text(text.into()), look: Look::default() }
    }

    /// The words that a person reads.
    #[must_use]
    pub fn words(&self) -> &str {
        match &self.what {
            What::Text(text) => text,
            What::Equation(expression) => expression,
            What::Mention { shown, .. } => shown,
        }
    }

    fn is_words(&self) -> bool {
        matches!(self.what, What::Text(_))
    }
}

/// The words of all spans.
#[must_use]
pub fn words(spans: &[Span]) -> String {
    spans.iter().map(Span::words).collect()
}

/// Whether the words say everything.
#[must_use]
pub fn is_plain(spans: &[Span]) -> bool {
    spans.iter().all(|span| span.is_words() && span.look.is_plain())
}

/// The same text with neighbours of one look in one span, as Notion joins them, and without empty spans of words.
#[must_use]
pub fn joined(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for span in spans {
        match (all.last_mut(), &span.what) {
            (_, What::Text(text)) if text.is_empty() => {}
            (Some(Span { what: What::Text(before), look }), What::Text(text)) if *look == span.look => {
                before.push_str(text);
            }
            _ => all.push(span),
        }
    }
    all
}

/// The formatted text with other words: what comes before the first changed character and after the last one keeps
/// its look, and so do words that were changed inside of one span. A mention or an equation whose words changed
/// becomes text.
#[must_use]
pub fn with_words(spans: &[Span], words: &str) -> Vec<Span> {
    let before: Vec<char> = self::words(spans).chars().collect();
    let after: Vec<char> = words.chars().collect();
    let most = before.len().min(after.len());
    let leading = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let trailing = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take(most - leading)
        .take_while(|(one, other)| one == other)
        .count();
    let (mut from, mut until) = (leading, before.len() - trailing);
    let edges = edges(spans);
    let is_word = |at: usize| before.get(at).is_some_and(|c| c.is_alphanumeric());
    // A word that changed in part changed, as far as it has one look.
    if leading < after.len() - trailing || from < until {
        while !edges.contains(&from) && is_word(from - 1) && (is_word(from) || from == until) {
            from -= 1;
        }
        while !edges.contains(&until) && is_word(until) && is_word(until - 1) {
            until += 1;
        }
    }
    // A mention is kept whole or not at all.
    let mut at = 0;
    for span in spans {
        let end = at + span.words().chars().count();
        if !span.is_words() && from < end && until > at {
            (from, until) = (from.min(at), until.max(end));
        }
        at = end;
    }
    let changed: String = after[from..after.len() - (before.len() - until)].iter().collect();
    let look = look_between(spans, from, until);
    let mut all = slice(spans, 0, from);
    all.push(Span { what: What::Text(changed), look });
    all.extend(slice(spans, until, before.len()));
    joined(all)
}

/// Where spans begin and end, in characters.
fn edges(spans: &[Span]) -> BTreeSet<usize> {
    let mut at = 0;
    let ends = spans.iter().map(|span| {
        at += span.words().chars().count();
        at
    });
    std::iter::once(0).chain(ends).collect()
}

/// The look of words that take the place of those from one character to another: that of the span that holds all of
/// them and both neighbours, so that a word corrected inside of a link stays a link.
fn look_between(spans: &[Span], from: usize, until: usize) -> Look {
    let mut at = 0;
    for span in spans {
        let end = at + span.words().chars().count();
        let inside = at < from && until < end;
        // At an end of the text there is only one neighbour.
        let whole = at == from && until == end && from < until;
        if span.is_words() && (inside || whole) {
            return span.look.clone();
        }
        at = end;
    }
    Look::default()
}

/// The characters from one place to another, with their looks.
fn slice(spans: &[Span], from: usize, until: usize) -> Vec<Span> {
    let mut all = Vec::new();
    let mut at = 0;
    for span in spans {
        let count = span.words().chars().count();
        let (start, end) = (from.max(at), until.min(at + count));
        if start < end {
            let what = match &span.what {
                What::Text(text) => {
                    What::Text(text.chars().skip(start - at).take(end - start).collect::<String>())
                }
                other => other.clone(),
            };
            all.push(Span { what, look: span.look.clone() });
        }
        at += count;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(markdown: &str, words: &str) -> String {
        let spans = with_words(&from_markdown(markdown), words);
        assert_eq!(super::words(&spans), words, "{markdown} → {words}");
        to_markdown(&spans)
    }

    #[test]
    fn what_did_not_change_keeps_its_look() {
        for (before, words, after) in [
            ("**Ada** said", "Ada wrote", "**Ada** wrote"),
            ("see **this** now", "see this, now", "see **this**, now"),
            ("see **this** now", "see that now", "see **that** now"),
            ("see **this one** now", "see this very one now", "see **this very one** now"),
            ("a [link](https://x.example/) b", "a lank b", "a [lank](https://x.example/) b"),
            ("**all**", "none of it", "**none of it**"),
            ("**all**", "", ""),
            ("a **b** c", "z", "z"),
            ("**x**y", "x1y", "**x**1y"),
            ("*a*", "ab", "*a*b"),
            (
                r#"hi <mention-user url="user://u1">@Ada</mention-user>!"#,
                "hi @Ada?",
                r#"hi <mention-user url="user://u1">@Ada</mention-user>?"#,
            ),
            (r#"hi <mention-user url="user://u1">@Ada</mention-user>!"#, "hi @Eva!", "hi @Eva!"),
        ] {
            assert_eq!(kept(before, words), after, "{before} → {words}");
        }
    }

    #[test]
    fn neighbours_of_one_look_are_one() {
        let spans = [Span::plain("a"), Span::plain(""), Span::plain("b")];
        assert_eq!(joined(spans), [Span::plain("ab")]);
    }
}
