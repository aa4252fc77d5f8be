//! Values beside each other in columns of one width, wrapped, with their differences marked.

use super::difference::{Marked, paint, width};

/// Between two columns.
const GAP: usize = 3;
/// Where nobody says how wide the terminal is.
const USUAL: usize = 120;
/// A column narrower than this is no help: the values come one under the other then.
const NARROW: usize = 20;

/// How wide the output may be.
pub(crate) fn available() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let found = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    asked.or(found).unwrap_or(USUAL).max(40)
}

/// Columns with a head each, as lines of at most `across` characters.
pub(crate) fn columns(cells: &[(&str, Marked)], across: usize) -> Vec<String> {
    let count = cells.len().max(1);
    let each = across.saturating_sub(GAP * (count - 1)) / count;
    if each < NARROW {
        return stacked(cells, across);
    }
    let wrapped: Vec<Vec<Marked>> = cells.iter().map(|(_, text)| wrap(text, each)).collect();
    // No wider than what is in them.
    let widths: Vec<usize> = cells
        .iter()
        .zip(&wrapped)
        .map(|((head, _), lines)| lines.iter().map(length).max().unwrap_or(0).max(head.chars().count()))
        .collect();
    let join = |parts: Vec<(String, usize)>| {
        let mut line = String::new();
        for (at, (text, long)) in parts.into_iter().enumerate() {
            line.push_str(&text);
            if at + 1 < count {
                line.push_str(&" ".repeat(widths[at].saturating_sub(long) + GAP));
            }
        }
        line.trim_end().to_owned()
    };
    let mut out =
        vec![join(cells.iter().map(|(head, _)| ((*head).to_owned(), head.chars().count())).collect())];
    for at in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
        let part = |lines: &Vec<Marked>| {
            lines.get(at).map_or_else(|| (String::new(), 0), |line| (paint(line), length(line)))
        };
        out.push(join(wrapped.iter().map(part).collect()));
    }
    out
}

fn stacked(cells: &[(&str, Marked)], across: usize) -> Vec<String> {
    let mut out = Vec::new();
    for (head, text) in cells {
        out.push((*head).to_owned());
        out.extend(
            wrap(text, across.saturating_sub(2).max(1)).iter().map(|line| format!("  {}", paint(line))),
        );
    }
    out
}

fn length(line: &Marked) -> usize {
    line.iter().map(|(mark, text)| width(*mark, text)).sum()
}

/// Lines of at most so many characters, broken between words where that is possible.
fn wrap(text: &Marked, across: usize) -> Vec<Marked> {
    let mut lines: Vec<Marked> = vec![Vec::new()];
    let mut used = 0;
    for (mark, stretch) in text {
        let signs = width(*mark, "");
        for word in words(stretch, across.saturating_sub(signs).max(1)) {
            let long = word.chars().count();
            let opens = !matches!(lines.last().and_then(|line| line.last()), Some((last, _)) if last == mark);
            let needs = long + if opens { signs } else { 0 };
            if used > 0 && used + needs > across {
                lines.push(Vec::new());
                used = 0;
            }
            let fresh = used == 0;
            let word = if fresh { word.trim_start() } else { word };
            if word.is_empty() {
                continue;
            }
            used += word.chars().count();
            match lines.last_mut() {
                Some(line) => match line.last_mut() {
                    Some((last, text)) if last == mark => text.push_str(word),
                    _ => {
                        used += signs;
                        line.push((*mark, word.to_owned()));
                    }
                },
                None => lines.push(vec![(*mark, word.to_owned())]),
            }
        }
    }
    lines
}

/// Words with the space before them; longer ones in pieces.
fn words(text: &str, longest: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let body = rest.len() - rest.trim_start().len();
        let end = rest[body..].find(char::is_whitespace).map_or(rest.len(), |at| body + at);
        let cut = rest.char_indices().nth(longest).map_or(rest.len(), |(at, _)| at);
        let (word, further) = rest.split_at(end.min(cut));
        words.push(word);
        rest = further;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::difference::Mark;

    #[test]
    fn columns_stand_beside_each_other_and_wrap() {
        let same = |text: &str| vec![(Mark::Same, text.to_owned())];
        let lines =
            columns(&[("Postgres", same("one two three four five six")), ("both had", same("x"))], 43);
        assert_eq!(lines, ["Postgres             both had", "one two three four   x", "five six"]);
        assert_eq!(columns(&[("a", same("x")), ("b", same("y"))], 20), ["a", "  x", "b", "  y"]);
    }

    #[test]
    fn long_words_and_marks_keep_the_width_and_lose_nothing() {
        let text: Marked = vec![
            (Mark::Same, "äöü ".repeat(9)),
            (Mark::Gone, "x".repeat(70)),
            (Mark::New, "some new words in a row".to_owned()),
        ];
        let lines = wrap(&text, 25);
        assert!(lines.iter().all(|line| length(line) <= 25), "{lines:?}");
        let kept: String = lines.concat().into_iter().map(|(_, text)| text).collect();
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        let whole: String = text.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(dense(&kept), dense(&whole));
    }
}
