//! A title as the words that people hear in it: without case, accents, punctuation and other ways of writing.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use super::short_forms::short_form;

/// The words of a title in their order. Only a title that is all punctuation keeps it, as one word; only one that is
/// empty has none.
pub(super) fn words(title: &str) -> Vec<String> {
    let plain: Vec<char> = plain(title).chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &c) in plain.iter().enumerate() {
        match role(&plain, at) {
            Role::Letter => fold(c, &mut word),
            Role::Silent => {}
            Role::Point => word.push('.'),
            Role::And => {
                words.push(std::mem::take(&mut word));
                words.push("and".to_owned());
            }
            Role::Gap => words.push(std::mem::take(&mut word)),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        let signs: String = title.nfkc().filter(|c| !c.is_whitespace()).collect();
        return if signs.is_empty() { Vec::new() } else { vec![signs] };
    }
    for word in &mut words {
        let short = short_form(word);
        if short.len() != word.len() {
            *word = short.to_owned();
        }
    }
    words
}

/// Whether a word has a letter that is not Latin.
pub(super) fn is_foreign(word: &str) -> bool {
    word.chars().any(|c| c.is_alphabetic() && !matches!(c, '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}'))
}

/// Whether one character of a word says about as much as an English word does: Chinese, Japanese, Korean.
pub(super) fn is_dense(word: &str) -> bool {
    word.chars().any(|c| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'))
}

/// The words as they sound in Latin letters. Two Russian letters are written as most people do, not as libraries do.
pub(super) fn romanised(of: &[String]) -> Vec<String> {
    words(&deunicode::deunicode(&of.join(" ").replace('ю', "yu").replace('я', "ya")))
}

/// What a character does to the word that it stands in.
enum Role {
    Letter,
    /// As the apostrophe in `O'Brien`, the points in `S.A.`, the comma in `1,000`.
    Silent,
    /// A decimal point.
    Point,
    And,
    Gap,
}

fn role(text: &[char], at: usize) -> Role {
    let near = |by: isize| at.checked_add_signed(by).and_then(|at| text.get(at)).copied().unwrap_or(' ');
    let (before, after) = (near(-1), near(1));
    let in_number = before.is_numeric() && after.is_numeric();
    match text[at] {
        c if is_letter(c) => Role::Letter,
        '\'' | '\u{2019}' | '\u{2bc}' | '`' | '\u{200d}' | '\u{ad}' if is_letter(before) => Role::Silent,
        ',' if in_number => {
            let thousands = near(2).is_numeric() && near(3).is_numeric() && !near(4).is_numeric();
            if thousands { Role::Silent } else { Role::Point }
        }
        '.' if in_number => Role::Point,
        // A point between single letters.
        '.' if is_letter(before) && !is_letter(near(-2)) && is_letter(after) && !is_letter(near(2)) => {
            Role::Silent
        }
        // `C++` and `C#` are names.
        '+' if (is_letter(before) || before == '+') && !is_letter(after) => Role::Letter,
        '#' if before.is_alphabetic() && !is_letter(after) => Role::Letter,
        '&' | '+' => Role::And,
        _ => Role::Gap,
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Compatible forms made one, lower case, without the marks that are only an accent. Marks that are a letter of their
/// own (the vowels of Hindi, the voicing of Japanese) stay, or words would become others.
fn plain(title: &str) -> String {
    let bare = title.nfkd().filter(|c| {
        !matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
            | '\u{670}' | '\u{6d6}'..='\u{6ed}')
    });
    bare.flat_map(char::to_lowercase).filter(|c| *c != '\u{307}').nfc().collect()
}

/// Letters that have no accent to drop and are written otherwise by many; digits of every script.
fn fold(c: char, word: &mut String) {
    match c {
        'ß' => word.push_str("ss"),
        'æ' => word.push_str("ae"),
        'œ' => word.push_str("oe"),
        'þ' => word.push_str("th"),
        'ø' => word.push('o'),
        'ł' => word.push('l'),
        'đ' | 'ð' => word.push('d'),
        'ħ' => word.push('h'),
        'ı' => word.push('i'),
        'ς' => word.push('σ'),
        '\u{660}'..='\u{669}' => push_digit(c, '\u{660}', word),
        '\u{6f0}'..='\u{6f9}' => push_digit(c, '\u{6f0}', word),
        '\u{966}'..='\u{96f}' => push_digit(c, '\u{966}', word),
        other => word.push(other),
    }
}

fn push_digit(c: char, zero: char, word: &mut String) {
    word.extend(char::from_digit(c as u32 - zero as u32, 10));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(title: &str) -> String {
        words(title).join(" ")
    }

    #[test]
    fn ways_of_writing_are_one() {
        for (one, two) in [
            ("  ACME,  Inc. ", "acme incorporated"),
            ("Müller & Söhne", "MULLER AND SOHNE"),
            ("Straße 5", "STRASSE 5"),
            ("O’Brien's", "OBriens"),
            ("A.C.M.E. S.A.", "ACME SA"),
            ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
            ("Łódź", "lodz"),
            ("Cafe\u{301}-Bar", "café bar"),
            ("1,000 screws", "1000 Screws"),
            ("Plan (v2)", "plan v2"),
            ("İstanbul", "istanbul"),
            ("Ελλάς", "ΕΛΛΑΣ"),
            ("مُحَمَّد", "محمد"),
            ("房间 ٤", "房间 4"),
        ] {
            assert_eq!(read(one), read(two), "{one} / {two}");
        }
    }

    #[test]
    fn what_means_something_else_stays_apart() {
        for (one, two) in [
            ("2.5 mm", "25 mm"),
            ("C++", "C"),
            ("C#", "C"),
            ("が", "か"),
            ("कि", "कु"),
            ("🚀", "🔥"),
            ("???", "!!!"),
            ("Москва", "Moskva"),
            ("北京", "背景"),
            ("J.Smith", "jsmith"),
            ("Order 10/41", "Order 1041"),
        ] {
            assert_ne!(read(one), read(two), "{one} / {two}");
        }
        assert_eq!(read(" \u{a0} "), "");
    }

    #[test]
    fn scripts_are_told_apart() {
        assert!(is_foreign("москва") && !is_foreign("łódź") && !is_foreign("12"));
        assert!(is_dense("北京") && is_dense("서울") && !is_dense("москва"));
        assert_eq!(romanised(&words("Москва")), ["moskva"]);
    }
}
