//! Which values does a CHECK constraint allow, when it is nothing but a list of them?

/// Reads what `pg_get_constraintdef` says of a constraint on one column or on a domain. `Some` only when the
/// constraint says exactly "one of these": `CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))`.
pub(super) fn allowed_values(definition: &str) -> Option<Vec<String>> {
    let tokens = without_casts(&tokens(definition)?);
    // Parentheses group, and there is nothing in the forms below that could be grouped in two ways.
    let mut rest = tokens.iter().filter(|token| !matches!(token, Token::Sign('(' | ')'))).peekable();
    if rest.next() != Some(&Token::Word("CHECK".to_owned())) {
        return None;
    }
    if !matches!(rest.next(), Some(Token::Word(_) | Token::Name(_))) || rest.next() != Some(&Token::Sign('='))
    {
        return None;
    }
    if let Some(Token::Literal(only)) = rest.peek() {
        rest.next();
        return rest.next().is_none().then(|| vec![only.clone()]);
    }
    let begin = [Token::Word("ANY".to_owned()), Token::Word("ARRAY".to_owned()), Token::Sign('[')];
    if !begin.iter().all(|expected| rest.next() == Some(expected)) {
        return None;
    }
    let mut values = Vec::new();
    loop {
        let Some(Token::Literal(value)) = rest.next() else { return None };
        values.push(value.clone());
        match rest.next() {
            Some(Token::Sign(',')) => {}
            Some(Token::Sign(']')) => break,
            _ => return None,
        }
    }
    rest.next().is_none().then_some(values)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A bare word: an operator's name, a type, a column.
    Word(String),
    /// A quoted identifier.
    Name(String),
    /// A string or a number.
    Literal(String),
    Cast,
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        found.push(match letter {
            ' ' | '\n' | '\t' => continue,
            ':' => {
                letters.next_if_eq(&':')?;
                Token::Cast
            }
            '\'' => Token::Literal(quoted(&mut letters, '\'', false)?),
            'E' if letters.peek() == Some(&'\'') => {
                letters.next();
                Token::Literal(quoted(&mut letters, '\'', true)?)
            }
            '"' => Token::Name(quoted(&mut letters, '"', false)?),
            '-' if letters.peek().is_some_and(char::is_ascii_digit) => {
                Token::Literal(format!("-{}", number(&mut letters)))
            }
            _ if letter.is_ascii_digit() => Token::Literal(format!("{letter}{}", number(&mut letters))),
            _ if letter.is_alphabetic() || letter == '_' => {
                let mut word = letter.to_string();
                while let Some(more) = letters.next_if(|next| next.is_alphanumeric() || "_$".contains(*next))
                {
                    word.push(more);
                }
                Token::Word(word)
            }
            _ => Token::Sign(letter),
        });
    }
    Some(found)
}

fn number(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    std::iter::from_fn(|| letters.next_if(|next| next.is_ascii_digit() || *next == '.')).collect()
}

/// Up to the closing quote; a doubled quote stands for one, a doubled backslash too in the escaped form.
fn quoted(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    quote: char,
    escaped: bool,
) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            letter if letter == quote => {
                if letters.next_if_eq(&quote).is_none() {
                    return Some(text);
                }
                text.push(quote);
            }
            // Postgres itself writes no other escape than this one.
            '\\' if escaped => {
                letters.next_if_eq(&'\\')?;
                text.push('\\');
            }
            letter => text.push(letter),
        }
    }
}

/// Drops each `::type`, with the type's words, schema, modifier and brackets.
fn without_casts(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != Token::Cast {
            kept.push(first.clone());
            continue;
        }
        while let [Token::Word(_) | Token::Name(_) | Token::Sign('.'), after @ ..] = rest {
            rest = after;
        }
        if let [Token::Sign('('), Token::Literal(_), after @ ..] = rest {
            rest = after;
            while let [Token::Sign(',') | Token::Literal(_), after @ ..] = rest {
                rest = after;
            }
            if let [Token::Sign(')'), after @ ..] = rest {
                rest = after;
            }
        }
        while let [Token::Sign('['), Token::Sign(']'), after @ ..] = rest {
            rest = after;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(definition: &str) -> Option<Vec<String>> {
        allowed_values(definition)
    }

    #[test]
    fn lists_are_read_in_every_form_that_postgres_writes() {
        for definition in [
            "CHECK ((status = ANY (ARRAY['a'::text, 'it''s'::text])))",
            "CHECK (((status)::text = ANY ((ARRAY['a'::character varying, 'it''s'::character varying])::text[])))",
            "CHECK (((status)::text = ANY (ARRAY[('a'::character varying)::text, ('it''s'::character varying)::text])))",
            "CHECK ((\"Status\" = ANY (ARRAY['a'::shop.mood, 'it''s'::shop.\"Mood\"])))",
            "CHECK ((VALUE = ANY (ARRAY['a'::text, 'it''s'::text])))",
            "CHECK ((status = ANY (ARRAY['a'::character varying(3), 'it''s'::character varying(3)])))",
        ] {
            assert_eq!(values(definition).unwrap(), ["a", "it's"], "{definition}");
        }
        assert_eq!(
            values("CHECK ((rating = ANY (ARRAY[1, 2, '-3'::integer, -4])))").unwrap(),
            ["1", "2", "-3", "-4"]
        );
        assert_eq!(values("CHECK ((status = 'only'::text))").unwrap(), ["only"]);
        assert_eq!(values(r"CHECK ((status = ANY (ARRAY[E'a\\b'::text, ''::text])))").unwrap(), [r"a\b", ""]);
    }

    #[test]
    fn anything_more_than_a_list_is_no_list() {
        for definition in [
            "CHECK ((NOT (status = ANY (ARRAY['a'::text]))))",
            "CHECK ((status <> ALL (ARRAY['a'::text])))",
            "CHECK ((lower(status) = ANY (ARRAY['a'::text])))",
            "CHECK (((status = ANY (ARRAY['a'::text])) AND (length(name) > 1)))",
            "CHECK (((status = 'a'::text) OR (name = 'b'::text)))",
            "CHECK ((status = other))",
            "CHECK ((price > (0)::numeric))",
            "CHECK ((status = ANY (ARRAY['a'::text, other])))",
            "CHECK ((status ~ '^a$'::text))",
            "CHECK ((rating = (1 + 2)))",
            "UNIQUE (status)",
            "CHECK ((status = 'unfinished",
        ] {
            assert_eq!(values(definition), None, "{definition}");
        }
    }
}
