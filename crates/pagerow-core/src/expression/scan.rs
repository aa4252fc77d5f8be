//! Which names a text uses, read from its letters: all of them, also those in a branch that no sample takes.

use std::collections::BTreeSet;

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// What follows `row` (or `page`): columns or properties.
    pub(super) names: BTreeSet<String>,
    /// Whether `row` (or `page`) stands anywhere without a name behind it.
    pub(super) whole: bool,
    pub(super) filters: BTreeSet<String>,
    pub(super) tests: BTreeSet<String>,
    /// Whether an operator compares.
    pub(super) compares: bool,
    /// How many brackets stand within each other at most.
    pub(super) nesting: usize,
    /// The texts between quotes.
    pub(super) literals: Vec<String>,
}

/// One word or sign.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(char),
}

pub(super) fn scan(text: &str, around: &str) -> Found {
    let tokens = tokens(text);
    let mut found = Found::default();
    let name = |at: usize| match tokens.get(at) {
        Some(Token::Name(name)) => Some(name.as_str()),
        _ => None,
    };
    let sign = |at: usize| match tokens.get(at) {
        Some(Token::Sign(sign)) => Some(*sign),
        _ => None,
    };
    let mut open = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(sign);
        match token {
            Token::Name(word) if word == around && before != Some('.') => {
                match (sign(at + 1), tokens.get(at + 2), sign(at + 3)) {
                    (Some('.'), Some(Token::Name(name)), _) => drop(found.names.insert(name.clone())),
                    (Some('['), Some(Token::Text(name)), Some(']')) => drop(found.names.insert(name.clone())),
                    _ => found.whole = true,
                }
            }
            Token::Name(word) if word == "is" && before != Some('.') => {
                let at = if name(at + 1) == Some("not") { at + 2 } else { at + 1 };
                found.tests.extend(name(at).map(str::to_owned));
            }
            Token::Name(word) if word == "in" && before != Some('.') => found.compares = true,
            Token::Sign('(' | '[' | '{') => {
                open += 1;
                found.nesting = found.nesting.max(open);
            }
            Token::Sign(')' | ']' | '}') => open = open.saturating_sub(1),
            Token::Sign('|') => found.filters.extend(name(at + 1).map(str::to_owned)),
            Token::Sign('<' | '>') => found.compares = true,
            Token::Sign('=') => found.compares |= sign(at + 1) == Some('=') || before == Some('!'),
            Token::Text(text) if !found.literals.contains(text) => found.literals.push(text.clone()),
            Token::Name(_) | Token::Text(_) | Token::Sign(_) => {}
        }
    }
    found
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c == '"' || c == '\'' {
            let mut inner = String::new();
            while let Some(next) = letters.next() {
                match next {
                    '\\' => inner.extend(letters.next()),
                    next if next == c => break,
                    next => inner.push(next),
                }
            }
            tokens.push(Token::Text(inner));
        } else if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                word.push(next);
            }
            tokens.push(Token::Name(word));
        } else if !c.is_whitespace() {
            tokens.push(Token::Sign(c));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let found =
            scan("row.a ~ 'row.b | c' ~ row[\"Due Date\"]|upper if value.row is not none else x", "row");
        assert_eq!(found.names, names(&["a", "Due Date"]));
        assert_eq!((found.filters, found.tests), (names(&["upper"]), names(&["none"])));
        assert!(!found.whole && !found.compares);
        for whole in ["row", "row[value]", "row['a' ~ 'b']", "row|length"] {
            assert!(scan(whole, "row").whole, "{whole}");
        }
        for compares in ["a == 1", "a!=1", "a<1", "a >= 1", "a in b"] {
            assert!(scan(compares, "row").compares, "{compares}");
        }
        assert!(!scan("f(digits=1, x='<')", "row").compares);
    }
}
