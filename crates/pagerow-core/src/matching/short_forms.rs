//! Which words people write in several lengths, and which of them say little about who is meant.

/// The short form of a word that is often shortened; the word itself where it is not.
pub(super) fn short_form(word: &str) -> &str {
    match SHORT_FORMS.binary_search_by_key(&word, |(long, _)| long) {
        Ok(at) => SHORT_FORMS[at].1,
        Err(_) => word,
    }
}

/// Whether the (short) word says what kind of company it is, or joins others: left out by many, and never what tells
/// two records apart for sure.
pub(super) fn is_by_the_way(word: &str) -> bool {
    BY_THE_WAY.binary_search(&word).is_ok()
}

/// Long, short; by long.
const SHORT_FORMS: [(&str, &str); 43] = [
    ("aktiengesellschaft", "ag"),
    ("association", "assn"),
    ("avenida", "av"),
    ("avenue", "ave"),
    ("boulevard", "blvd"),
    ("brothers", "bros"),
    ("building", "bldg"),
    ("center", "ctr"),
    ("centre", "ctr"),
    ("compagnie", "cie"),
    ("compania", "cia"),
    ("company", "co"),
    ("corporation", "corp"),
    ("department", "dept"),
    ("doctor", "dr"),
    ("engineering", "eng"),
    ("et", "and"),
    ("gebruder", "gebr"),
    ("gesellschaft", "ges"),
    ("government", "govt"),
    ("incorporated", "inc"),
    ("industries", "ind"),
    ("institute", "inst"),
    ("international", "intl"),
    ("junior", "jr"),
    ("laboratories", "labs"),
    ("laboratory", "lab"),
    ("limited", "ltd"),
    ("management", "mgmt"),
    ("manufacturing", "mfg"),
    ("meeting", "mtg"),
    ("national", "natl"),
    ("number", "no"),
    ("professor", "prof"),
    ("road", "rd"),
    ("senior", "sr"),
    ("services", "svcs"),
    ("strasse", "str"),
    ("street", "st"),
    ("technologies", "tech"),
    ("technology", "tech"),
    ("und", "and"),
    ("university", "univ"),
];

const BY_THE_WAY: [&str; 36] = [
    "ab", "ag", "an", "and", "as", "bv", "cia", "cie", "co", "corp", "de", "der", "die", "for", "ges",
    "gmbh", "inc", "kg", "la", "le", "llc", "llp", "ltd", "ltda", "no", "nv", "of", "oy", "plc", "sa",
    "sarl", "sas", "spa", "srl", "the", "zoo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order() {
        assert!(SHORT_FORMS.is_sorted_by(|one, two| one.0 < two.0));
        assert!(BY_THE_WAY.is_sorted_by(|one, two| one < two));
        assert_eq!(short_form("incorporated"), "inc");
        assert_eq!(short_form("acme"), "acme");
        assert!(is_by_the_way("gmbh") && !is_by_the_way("acme"));
    }
}
