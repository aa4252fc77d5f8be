//! Two values with what differs marked inside: colours on a terminal, `[-gone-]{+new+}` elsewhere.

use owo_colors::{OwoColorize as _, Stream};
use similar::{ChangeTag, TextDiff};

/// Of what stayed the same, so many characters are shown on each side of a difference.
const AROUND: usize = 30;

/// How a stretch of text differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Same,
    Gone,
    New,
}

/// A text in stretches, each with its mark.
pub(crate) type Marked = Vec<(Mark, String)>;

/// What became of one text in another, word by word. Long stretches that stayed the same are shortened unless
/// `everything` is asked for.
pub(crate) fn difference(was: &str, is: &str, everything: bool) -> Marked {
    let mut marked: Marked = Vec::new();
    for change in TextDiff::from_words(was, is).iter_all_changes() {
        let mark = match change.tag() {
            ChangeTag::Equal => Mark::Same,
            ChangeTag::Delete => Mark::Gone,
            ChangeTag::Insert => Mark::New,
        };
        match marked.last_mut() {
            Some((last, text)) if *last == mark => text.push_str(change.value()),
            _ => marked.push((mark, change.value().to_owned())),
        }
    }
    if !everything {
        let last = marked.len().saturating_sub(1);
        for (at, (mark, text)) in marked.iter_mut().enumerate() {
            if *mark == Mark::Same {
                *text = around(text, at > 0, at < last);
            } else {
                *text = around(text, true, true);
            }
        }
    }
    marked
}

/// A text without any difference.
pub(crate) fn plain(text: &str, everything: bool) -> Marked {
    vec![(Mark::Same, if everything { text.to_owned() } else { around(text, true, true) })]
}

/// One line of a marked text as a terminal or a file shows it.
pub(crate) fn paint(line: &[(Mark, String)]) -> String {
    let painted = line.iter().map(|(mark, text)| match mark {
        Mark::Same => text.clone(),
        Mark::Gone if signs() => format!("[-{text}-]"),
        Mark::New if signs() => format!("{{+{text}+}}"),
        Mark::Gone => text.red().strikethrough().to_string(),
        Mark::New => text.green().to_string(),
    });
    painted.collect()
}

/// How many columns a stretch takes.
pub(crate) fn width(mark: Mark, text: &str) -> usize {
    let signs = if mark != Mark::Same && signs() { 4 } else { 0 };
    text.chars().count() + signs
}

/// Whether differences are marked with signs, since there are no colours.
fn signs() -> bool {
    "x".if_supports_color(Stream::Stdout, |text| text.red()).to_string() == "x"
}

/// The ends of a long stretch: its head where something is before it, its tail where something follows.
fn around(text: &str, before: bool, after: bool) -> String {
    let length = text.chars().count();
    let (head, tail) = (if before { AROUND } else { 0 }, if after { AROUND } else { 0 });
    if length <= head + tail + 5 {
        return text.to_owned();
    }
    let first: String = text.chars().take(head).collect();
    let last: String = text.chars().skip(length - tail).collect();
    format!("{first} … {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(was: &str, is: &str, everything: bool) -> String {
        let sign = |(mark, text): (Mark, String)| match mark {
            Mark::Same => text,
            Mark::Gone => format!("[-{text}-]"),
            Mark::New => format!("{{+{text}+}}"),
        };
        difference(was, is, everything).into_iter().map(sign).collect()
    }

    #[test]
    fn words_that_differ_are_marked() {
        assert_eq!(signed("the quick fox", "the slow fox", false), "the [-quick-]{+slow+} fox");
        assert_eq!(signed("a", "a", false), "a");
        assert_eq!(signed("", "new", false), "{+new+}");
        assert_eq!(signed("old", "", false), "[-old-]");
    }

    #[test]
    fn what_stayed_the_same_is_shortened_and_what_differs_is_found() {
        let long = "word ".repeat(2_000);
        let (was, is) = (format!("{long}cat {long}"), format!("{long}dog {long}"));
        let short = signed(&was, &is, false);
        assert!(short.contains("[-cat-]{+dog+}") && short.chars().count() < 150, "{short}");
        let whole = signed(&was, &is, true);
        assert_eq!(whole.replace("[-cat-]", "").replace("{+dog+}", "dog"), is);
    }
}
