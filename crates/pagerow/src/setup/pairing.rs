//! Which data source is meant by a table, and which property by a column? By their names, however they are written.

use crate::notion::wire::{DataSource, PropertySchema};

/// A name as words in lower case: `OrderDetails`, `order_details` and `Order Details` are one.
#[must_use]
pub fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in name.chars() {
        let camel = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
        if !c.is_alphanumeric() || camel {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// The words without the endings of plurals.
fn singular(name: &str) -> Vec<String> {
    words(name)
        .into_iter()
        .map(|word| {
            for (plural, single) in
                [("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")]
            {
                if word.len() > plural.len() + 1 && word.ends_with(plural) {
                    return format!("{}{single}", &word[..word.len() - plural.len()]);
                }
            }
            match word.strip_suffix('s') {
                Some(stem) if stem.len() >= 3 && !["s", "u", "i"].iter().any(|end| stem.ends_with(end)) => {
                    stem.to_owned()
                }
                _ => word,
            }
        })
        .collect()
}

/// How alike two names are, from 0 to 1. From 0.84 on they may be taken for the same.
#[must_use]
pub fn likeness(a: &str, b: &str) -> f64 {
    let (a, b) = (singular(a), singular(b));
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    if a == b {
        return 1.0;
    }
    let (joined_a, joined_b) = (a.concat(), b.concat());
    if joined_a == joined_b {
        return 0.98;
    }
    strsim::normalized_damerau_levenshtein(&joined_a, &joined_b) * 0.97
}

const ENOUGH: f64 = 0.84;

/// One partner for each name of the left, best pairs first; nobody is taken twice. The places of the right.
fn best_pairs(
    left: &[String],
    right: &[String],
    allowed: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (l, a) in left.iter().enumerate() {
        for (r, b) in right.iter().enumerate() {
            let score = likeness(a, b);
            if score >= ENOUGH && allowed(l, r) {
                pairs.push((score, l, r));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut chosen = vec![None; left.len()];
    let mut taken = vec![false; right.len()];
    for (_, l, r) in pairs {
        if chosen[l].is_none() && !taken[r] {
            chosen[l] = Some(r);
            taken[r] = true;
        }
    }
    chosen
}

/// For each table's name the data source that is meant. Of two data sources of one name none is: that is a
/// question for a person.
#[must_use]
pub fn data_sources<'a>(tables: &[String], sources: &'a [DataSource]) -> Vec<Option<&'a DataSource>> {
    let titles: Vec<String> = sources.iter().map(|source| source.title.plain_text()).collect();
    let unique =
        |r: usize| titles.iter().filter(|title| singular(title) == singular(&titles[r])).count() == 1;
    best_pairs(tables, &titles, |_, r| unique(r) && !sources[r].in_trash)
        .into_iter()
        .map(|place| place.map(|r| &sources[r]))
        .collect()
}

/// For each column the property that is meant, where `fits` allows the pair.
pub fn properties<'a>(
    columns: &[String],
    properties: &'a [PropertySchema],
    fits: impl Fn(usize, &PropertySchema) -> bool,
) -> Vec<Option<&'a PropertySchema>> {
    let names: Vec<String> = properties.iter().map(|property| property.name.clone()).collect();
    best_pairs(columns, &names, |l, r| fits(l, &properties[r]))
        .into_iter()
        .map(|place| place.map(|r| &properties[r]))
        .collect()
}

/// How much a column reads like the name of a row: 0 for not at all.
#[must_use]
pub fn title_score(column: &str) -> u32 {
    let words = words(column);
    let last = words.last().map_or("", String::as_str);
    match (words.len(), last) {
        (1, "name") => 100,
        (1, "title") => 95,
        (_, "name") if words.iter().any(|word| word == "full" || word == "display") => 90,
        (1, "label" | "subject" | "headline") => 85,
        // Of a person's names the last one says most; the others say part of something else.
        (_, "name") if words.iter().any(|word| word == "last") => 80,
        (_, "name")
            if words.iter().any(|word| {
                ["first", "middle", "contact", "user", "file", "ship"].contains(&word.as_str())
            }) =>
        {
            50
        }
        (_, "name") => 88,
        (_, "title") => 60,
        (_, "number" | "reference" | "code" | "sku" | "slug") => 40,
        (_, "description" | "summary") => 35,
        (_, "email" | "mail") => 30,
        _ => 0,
    }
}

/// A name for people: `unit_price` becomes `Unit Price`, `supplier_id` stays `Supplier ID`.
#[must_use]
pub fn humanised(name: &str) -> String {
    let words: Vec<String> = words(name)
        .into_iter()
        .map(|word| match word.as_str() {
            "id" | "url" | "sku" | "uuid" | "vat" | "iban" | "api" | "rfq" | "ip" => word.to_uppercase(),
            "rfqs" => "RFQs".to_owned(),
            _ => {
                let mut letters = word.chars();
                letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
            }
        })
        .collect();
    words.join(" ")
}

/// [`humanised`] for a foreign key's column: without its ending `_id`.
#[must_use]
pub fn humanised_reference(column: &str) -> String {
    let name = humanised(column);
    name.strip_suffix(" ID").filter(|rest| !rest.is_empty()).map_or_else(|| name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_their_words() {
        for (a, b) in [
            ("order_details", "Order Details"),
            ("OrderDetail", "order-details"),
            ("categories", "Category"),
            ("supplier", "Suppliers"),
            ("addresses", "Address"),
            ("boxes", "Box"),
            ("status", "Status"),
        ] {
            assert!(likeness(a, b) >= 0.98, "{a} {b}");
        }
        assert!(likeness("suppliers", "Supliers") >= ENOUGH);
        for (a, b) in [
            ("orders", "Order Details"),
            ("customers", "Consumers of power"),
            ("", "x"),
            ("region", "Reason"),
        ] {
            assert!(likeness(a, b) < ENOUGH, "{a} {b}");
        }
    }

    #[test]
    fn nobody_is_taken_twice() {
        let left = ["supplier".to_owned(), "suppliers".to_owned()];
        let right = ["Suppliers".to_owned()];
        assert_eq!(best_pairs(&left, &right, |_, _| true), [Some(0), None]);
    }

    #[test]
    fn names_for_people() {
        assert_eq!(humanised("unit_price"), "Unit Price");
        assert_eq!(humanised("homepageURL"), "Homepage URL");
        assert_eq!(humanised_reference("supplier_id"), "Supplier");
        assert_eq!(humanised_reference("id"), "ID");
    }

    #[test]
    fn titles_read_like_names() {
        let best = |columns: &[&str]| columns.iter().max_by_key(|c| title_score(c)).map(|c| (*c).to_owned());
        assert_eq!(best(&["first_name", "last_name", "title"]).as_deref(), Some("title"));
        assert_eq!(best(&["contact_name", "company_name"]).as_deref(), Some("company_name"));
        assert_eq!(best(&["ship_name", "order_number", "ship_city"]).as_deref(), Some("ship_name"));
    }
}
