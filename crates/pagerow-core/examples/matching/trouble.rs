//! What people do to a title between two systems.

use crate::chance::Chance;

/// One way in which a title becomes another that means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Nothing,
    Case,
    Punctuation,
    Accents,
    Abbreviation,
    WordOrder,
    Typing,
    TypingTwice,
    Spacing,
    MissingWord,
    AddedWord,
    Transliteration,
    Several,
}

impl Trouble {
    pub(crate) const ALL: [Self; 13] = [
        Self::Nothing,
        Self::Case,
        Self::Punctuation,
        Self::Accents,
        Self::Abbreviation,
        Self::WordOrder,
        Self::Typing,
        Self::TypingTwice,
        Self::Spacing,
        Self::MissingWord,
        Self::AddedWord,
        Self::Transliteration,
        Self::Several,
    ];

    /// The words for the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Case => "case",
            Self::Punctuation => "punctuation",
            Self::Accents => "accents",
            Self::Abbreviation => "abbreviation",
            Self::WordOrder => "word order",
            Self::Typing => "a typing error",
            Self::TypingTwice => "two typing errors",
            Self::Spacing => "words joined or split",
            Self::MissingWord => "a missing word",
            Self::AddedWord => "an added word",
            Self::Transliteration => "transliteration",
            Self::Several => "two of these",
        }
    }
}

/// What becomes of a title, and what really happened to it: not every trouble fits every title.
pub(crate) fn change(title: &str, chance: &mut Chance) -> (String, Trouble) {
    let trouble = match chance.below(100) {
        0..24 => Trouble::Nothing,
        24..33 => Trouble::Case,
        33..41 => Trouble::Punctuation,
        41..47 => Trouble::Accents,
        47..53 => Trouble::Abbreviation,
        53..60 => Trouble::WordOrder,
        60..73 => Trouble::Typing,
        73..77 => Trouble::TypingTwice,
        77..81 => Trouble::Spacing,
        81..85 => Trouble::MissingWord,
        85..88 => Trouble::AddedWord,
        88..93 => Trouble::Transliteration,
        _ => Trouble::Several,
    };
    let changed = match trouble {
        Trouble::Several => {
            let mut kinds = Trouble::ALL[1..12].to_vec();
            chance.shuffle(&mut kinds);
            let once = apply(kinds[0], title, chance);
            apply(kinds[1], &once, chance)
        }
        one => apply(one, title, chance),
    };
    if changed == title || changed.trim().is_empty() {
        return (title.to_owned(), Trouble::Nothing);
    }
    (changed, trouble)
}

fn apply(trouble: Trouble, title: &str, chance: &mut Chance) -> String {
    match trouble {
        Trouble::Nothing | Trouble::Several => title.to_owned(),
        Trouble::Case => match chance.below(3) {
            0 => title.to_uppercase(),
            1 => title.to_lowercase(),
            _ => capitals(title),
        },
        Trouble::Punctuation => punctuation(title, chance),
        Trouble::Accents => title.chars().map(bare).collect(),
        Trouble::Abbreviation => abbreviation(title, chance),
        Trouble::WordOrder => word_order(title, chance),
        Trouble::Typing => typing(title, chance),
        Trouble::TypingTwice => {
            let once = typing(title, chance);
            typing(&once, chance)
        }
        Trouble::Spacing => spacing(title, chance),
        Trouble::MissingWord => {
            let mut words: Vec<&str> = title.split(' ').collect();
            if words.len() >= 3 {
                words.remove(chance.below(words.len()));
            }
            words.join(" ")
        }
        Trouble::AddedWord => {
            let added = chance.pick(&["(new)", "(copy)", "- draft", "old", "the", "!", "final", "Group"]);
            if chance.percent(80) { format!("{title} {added}") } else { format!("{added} {title}") }
        }
        Trouble::Transliteration => latin(title),
    }
}

fn capitals(title: &str) -> String {
    let mut at_start = true;
    let mut out = String::new();
    for c in title.chars() {
        match at_start {
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        at_start = c == ' ';
    }
    out
}

fn punctuation(title: &str, chance: &mut Chance) -> String {
    match chance.below(6) {
        0 => title.replace(['.', ','], ""),
        1 => title.replace('-', " "),
        2 => title.replace(" & ", " and ").replace('\'', "’"),
        3 => format!("“{title}”"),
        4 => title.replacen(' ', " - ", 1),
        _ => format!(" {}.", title.replacen(' ', "  ", 1)),
    }
}

/// The letter without its accent; as people type who have no key for it.
fn bare(c: char) -> char {
    match c {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => 'a',
        'Á' | 'À' | 'Â' | 'Ä' | 'Å' => 'A',
        'é' | 'è' | 'ê' | 'ë' | 'ę' => 'e',
        'É' | 'È' => 'E',
        'í' | 'ì' | 'î' | 'ï' | 'ı' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
        'Ö' | 'Ø' => 'O',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'Ü' => 'U',
        'ñ' | 'ń' => 'n',
        'ç' => 'c',
        'ş' | 'ś' => 's',
        'ý' => 'y',
        'ř' => 'r',
        'ą' => 'a',
        'ё' => 'е',
        other => other,
    }
}

fn abbreviation(title: &str, chance: &mut Chance) -> String {
    let pairs = [
        ("Corporation", "Corp."),
        ("Company", "Co."),
        ("Limited", "Ltd"),
        ("Inc.", "Incorporated"),
        ("Ltd.", "Limited"),
        ("Manufacturing", "Mfg."),
        ("International", "Int'l"),
        ("International", "Intl"),
        ("Engineering", "Eng."),
        ("Laboratories", "Labs"),
        ("Industries", "Ind."),
        ("Services", "Svcs"),
        ("Technologies", "Tech"),
        ("Systems", "Sys."),
        ("Solutions", "Sol."),
        (" & ", " and "),
        ("GmbH & Co. KG", "GmbH"),
        ("Dr. ", "Doctor "),
        ("meeting", "mtg"),
        ("documentation", "docs"),
        ("quarterly", "qtrly"),
        ("Invoice", "Inv."),
        ("Order", "Ord."),
        ("pcs", "pieces"),
        ("report", "rep."),
    ];
    let fitting: Vec<&(&str, &str)> = pairs.iter().filter(|(long, _)| title.contains(long)).collect();
    if !fitting.is_empty() {
        let (long, short) = chance.pick(&fitting);
        return title.replacen(long, short, 1);
    }
    // An initial for a first name, as for any first word of two.
    let words: Vec<&str> = title.split(' ').collect();
    match (words.as_slice(), words[0].chars().next()) {
        ([first, last], Some(initial)) if first.chars().count() > 3 && initial.is_alphabetic() => {
            format!("{initial}. {last}")
        }
        _ => title.to_owned(),
    }
}

fn word_order(title: &str, chance: &mut Chance) -> String {
    let mut words: Vec<&str> = title.split(' ').collect();
    if words.len() < 2 {
        return title.to_owned();
    }
    match chance.below(3) {
        0 if words.len() == 2 => format!("{}, {}", words[1], words[0]),
        0 | 1 => {
            words.rotate_left(1);
            words.join(" ")
        }
        _ => {
            let at = chance.below(words.len() - 1);
            words.swap(at, at + 1);
            words.join(" ")
        }
    }
}

/// One slip of the fingers: a letter left out, doubled, swapped with the next, or another one for it. Anywhere but in a
/// number, which would be another number.
fn typing(title: &str, chance: &mut Chance) -> String {
    let mut letters: Vec<char> = title.chars().collect();
    let places: Vec<usize> = (0..letters.len()).filter(|at| letters[*at].is_alphabetic()).collect();
    if places.len() < 4 {
        return title.to_owned();
    }
    let at = *chance.pick(&places);
    match chance.below(5) {
        0 => {
            letters.remove(at);
        }
        1 => letters.insert(at, letters[at]),
        2 if at + 1 < letters.len() && letters[at + 1].is_alphabetic() => letters.swap(at, at + 1),
        3 => letters.insert(at, neighbour(letters[at], chance)),
        _ => letters[at] = neighbour(letters[at], chance),
    }
    letters.into_iter().collect()
}

/// The key beside it, or a letter of the same script.
fn neighbour(c: char, chance: &mut Chance) -> char {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let lower = c.to_ascii_lowercase();
    for row in ROWS {
        if let Some(at) = row.find(lower) {
            let to = if at == 0 || chance.percent(50) && at + 1 < row.len() { at + 1 } else { at - 1 };
            let key = row.as_bytes()[to] as char;
            return if c.is_ascii_uppercase() { key.to_ascii_uppercase() } else { key };
        }
    }
    let by = chance.below(5) as u32 + 1;
    char::from_u32(c as u32 + by).filter(|other| other.is_alphabetic()).unwrap_or(c)
}

fn spacing(title: &str, chance: &mut Chance) -> String {
    let gaps: Vec<usize> = title.match_indices([' ', '-']).map(|(at, _)| at).collect();
    if !gaps.is_empty() && chance.percent(60) {
        let at = *chance.pick(&gaps);
        return format!("{}{}", &title[..at], &title[at + 1..]);
    }
    let letters: Vec<char> = title.chars().collect();
    let inside: Vec<usize> = (2..letters.len().saturating_sub(2))
        .filter(|at| letters[at - 2..at + 2].iter().all(|c| c.is_alphabetic()))
        .collect();
    if inside.is_empty() {
        return title.to_owned();
    }
    let at = *chance.pick(&inside);
    letters[..at].iter().chain([&' ']).chain(&letters[at..]).collect()
}

/// As people write it who have only Latin letters: by their own tables, not by the matcher's.
fn latin(title: &str) -> String {
    title.chars().map(|c| sound(c).map_or_else(|| c.to_string(), str::to_owned)).collect()
}

fn sound(c: char) -> Option<&'static str> {
    Some(match c {
        'ä' => "ae",
        'ö' => "oe",
        'ü' => "ue",
        'Ö' => "Oe",
        'Ü' => "Ue",
        'ß' => "ss",
        'å' => "aa",
        'ø' => "oe",
        'А' => "A",
        'а' => "a",
        'Б' => "B",
        'б' => "b",
        'В' => "V",
        'в' => "v",
        'Г' => "G",
        'г' => "g",
        'Д' => "D",
        'д' => "d",
        'Е' => "E",
        'е' => "e",
        'ё' => "yo",
        'Ж' => "Zh",
        'ж' => "zh",
        'З' => "Z",
        'з' => "z",
        'И' => "I",
        'и' => "i",
        'й' => "y",
        'К' => "K",
        'к' => "k",
        'Л' => "L",
        'л' => "l",
        'М' => "M",
        'м' => "m",
        'Н' => "N",
        'н' => "n",
        'О' => "O",
        'о' => "o",
        'П' => "P",
        'п' => "p",
        'р' => "r",
        'С' => "S",
        'с' => "s",
        'Т' => "T",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'Х' => "Kh",
        'х' => "kh",
        'ц' => "ts",
        'Ч' => "Ch",
        'ч' => "ch",
        'Ш' => "Sh",
        'ш' => "sh",
        'Щ' => "Shch",
        'щ' => "shch",
        'ы' => "y",
        'Э' => "E",
        'э' => "e",
        'Ю' => "Yu",
        'ю' => "yu",
        'я' => "ya",
        'ь' | 'ъ' => "",
        'α' | 'ά' => "a",
        'Ά' | 'Α' => "A",
        'β' => "v",
        'Β' => "V",
        'γ' => "g",
        'Γ' => "G",
        'δ' => "d",
        'Δ' => "D",
        'ε' | 'έ' => "e",
        'Ε' => "E",
        'ζ' => "z",
        'Ζ' => "Z",
        'η' | 'ή' | 'ι' | 'ί' | 'ΐ' | 'ϊ' => "i",
        'θ' => "th",
        'κ' => "k",
        'Κ' => "K",
        'λ' => "l",
        'μ' => "m",
        'Μ' => "M",
        'ν' => "n",
        'Ν' => "N",
        'ο' | 'ό' | 'ω' | 'ώ' => "o",
        'Ο' => "O",
        'π' => "p",
        'Π' => "P",
        'ρ' => "r",
        'σ' | 'ς' => "s",
        'Σ' => "S",
        'τ' => "t",
        'υ' | 'ύ' => "y",
        'φ' => "f",
        'χ' => "ch",
        'Χ' => "Ch",
        '北' => "Bei ",
        '京' => "jing ",
        '上' => "Shang ",
        '海' => "hai ",
        '深' => "Shen ",
        '圳' => "zhen ",
        '科' => "ke ",
        '技' => "ji ",
        '华' => "hua ",
        '信' => "xin ",
        _ => return None,
    })
}
