//! What a value becomes on a side: reading back what was written changes nothing, writing what was read changes
//! nothing, and nothing is clipped.

use pagerow_core::{
    digest::Digest,
    fidelity::{
        BODY_BYTES, Fidelity, ITEMS, RICH_TEXT_UNITS, SHORT_TEXT_UNITS, URL_UNITS, agree, in_notion,
        in_postgres,
    },
    mapping::{ColumnKind, Field, PropertyKind},
    number::Number,
    rich_text::from_markdown,
    value::{Moment, Value},
};

use crate::{
    generators::{COLUMNS, PROPERTIES, Rng, cases, column_value, paired_field, property_value, row_cell},
    world::{field, mapping, options, record, text},
};

fn stored(outcome: Fidelity) -> Option<Value> {
    match outcome {
        Fidelity::Stored(value) => Some(value),
        Fidelity::Unstorable(reason) => {
            assert!(!reason.code.is_empty() && !reason.text.is_empty(), "a refusal says why");
            None
        }
    }
}

/// The next pair of kinds; all of them come up equally often.
fn any_pair(rng: &mut Rng) -> Field {
    let pair = rng.below(COLUMNS * PROPERTIES);
    let mut field = paired_field("x", pair / PROPERTIES, pair % PROPERTIES, rng);
    field.required = rng.one_in(4);
    field
}

#[test]
fn what_was_written_reads_back_as_it_is() {
    cases("row → page → row", 300_000, |rng| {
        let field = any_pair(rng);
        let row = row_cell(&field, rng);
        let Some(page) = stored(in_notion(&row, &field)) else { return };
        assert!(agree(&row, &page, &field), "{row:?} becomes {page:?} and does not agree, {field:?}");
        if field.labels.is_empty() {
            // Labels go from the column's words to the page's; for all else the stored form is a fixed point.
            assert_eq!(stored(in_notion(&page, &field)), Some(page.clone()), "{row:?} in {field:?}");
        }
        nothing_clipped(&row, &page, &field);
        let Some(back) = stored(in_postgres(&page, &field)) else { return };
        assert!(agree(&back, &page, &field), "{page:?} becomes {back:?} and does not agree, {field:?}");
        assert_eq!(
            stored(in_notion(&back, &field)),
            Some(page.clone()),
            "{row:?} → {page:?} → {back:?}, {field:?}"
        );
        assert_eq!(stored(in_postgres(&page, &field)), Some(back), "the same twice");
    });
}

#[test]
fn what_was_read_writes_back_as_it_is() {
    cases("page → row → page", 250_000, |rng| {
        let field = any_pair(rng);
        let page = property_value(&field.shows, rng);
        let Some(row) = stored(in_postgres(&page, &field)) else { return };
        assert!(agree(&row, &page, &field), "{page:?} becomes {row:?} and does not agree, {field:?}");
        if field.labels.is_empty() {
            let again = if row.is_null() { None } else { stored(in_postgres(&row, &field)) };
            assert!(
                again.is_none_or(|again| again == row),
                "a row's own form is a fixed point: {row:?}, {field:?}"
            );
        }
        let Some(again) = stored(in_notion(&row, &field)) else { return };
        assert!(agree(&row, &again, &field));
        if let Some(back) = stored(in_postgres(&again, &field)) {
            assert!(agree(&back, &again, &field));
            // An empty list and nothing are one to the page.
            let same = back == row || back.is_empty() && row.is_empty();
            assert!(same, "{page:?} → {row:?} → {again:?} → {back:?}, {field:?}");
        }
    });
}

/// The losses that are meant: seconds, `''` for nothing, no third state of a checkbox, order and doubles of a set, an
/// option's case and its label, a range of one moment, a list written in one text. Anything else that reads
/// otherwise was clipped.
fn nothing_clipped(row: &Value, page: &Value, field: &Field) {
    // A property that holds one value takes a list of one as that value.
    let row = match (row, &field.shows) {
        (
            _,
            PropertyKind::Title | PropertyKind::RichText | PropertyKind::Files | PropertyKind::MultiSelect(_),
        ) => row,
        (Value::List(items), _) if items.len() == 1 => &items[0],
        _ => row,
    };
    if row == page {
        return;
    }
    let kept = match (row, page) {
        (row, Value::Null) => row.is_empty() || is_blank_list(row),
        (row, Value::Bool(false)) if row.is_empty() => field.shows == PropertyKind::Checkbox,
        (Value::Instant(row), Value::Instant(page)) => {
            (0..60).contains(&(row.as_second() - page.as_second()))
        }
        (Value::Range(row), Value::Range(page)) => {
            same_minute(row.start, page.start) && same_minute(row.end, page.end)
        }
        (Value::Range(row), Value::Day(day)) => row.start == row.end && row.start == Some(Moment::Day(*day)),
        (Value::Range(row), Value::Instant(page)) => {
            let page = Some(Moment::Instant(*page));
            same_minute(row.start, page) && same_minute(row.end, page)
        }
        (Value::List(row), Value::Set(page)) => {
            row.iter().all(|item| page.iter().any(|shown| same_option(item, shown, field)))
        }
        (Value::Text(row), Value::Set(page)) => row.split(',').all(|item| {
            item.trim().is_empty() || page.iter().any(|shown| same_option(&text(item.trim()), shown, field))
        }),
        (Value::Set(row), Value::Set(page)) => row.len() == page.len(),
        (Value::List(row), Value::List(page)) if field.keeps_order() => {
            row.iter().all(|item| page.iter().any(|shown| same_option(item, shown, field)))
        }
        (Value::List(row), Value::List(page)) => {
            row.len() == page.len() && row.iter().zip(page).all(|(row, page)| same_option(row, page, field))
        }
        (Value::Text(row), Value::List(page)) => page.len() == 1 && same_option(&text(row), &page[0], field),
        (Value::Ref(_), Value::Set(page)) if !options_of(field) => page.len() == 1 && page.contains(row),
        (Value::Text(row), Value::Markdown(page)) if field.shows == PropertyKind::Markdown => {
            from_markdown(row) == from_markdown(page)
        }
        (Value::Text(row), Value::Markdown(page)) => row == page,
        (Value::Text(text), Value::Number(page)) => Number::parse(text.trim()).as_ref() == Ok(page),
        (Value::Bool(bool), Value::Number(page)) => page.as_str() == if *bool { "1" } else { "0" },
        (Value::Number(number), Value::Bool(page)) => number.as_str() == if *page { "1" } else { "0" },
        (Value::Text(text), Value::Bool(page)) => {
            let says = text.trim().to_lowercase();
            if *page { says == "true" || says == "yes" } else { says == "false" || says == "no" }
        }
        (Value::Text(row), Value::Text(page)) => same_option(&text(row), &text(page), field),
        // Read as a date, to the minute.
        (Value::Text(row), Value::Day(page)) => row.trim() == page.to_string(),
        (Value::Text(row), Value::Instant(page)) => row
            .trim()
            .parse()
            .is_ok_and(|row| same_minute(Some(Moment::Instant(row)), Some(Moment::Instant(*page)))),
        (Value::Text(row), Value::Range(_)) => row.contains('/'),
        // Any other single value is kept as its text, whole.
        (row, Value::Text(page)) => {
            let column = field_of(row);
            let back = stored(in_postgres(&text(page), &column));
            back.as_ref() == Some(row)
                || matches!(row, Value::Opaque(opaque) if opaque.text == *page)
                || !field.labels.is_empty()
                || options_of(field)
                || matches!(row, Value::Ref(_) | Value::List(_))
        }
        // One value where several may be.
        (row, Value::Set(page)) => page.len() == 1 && !row.is_empty(),
        _ => false,
    };
    assert!(kept, "{row:?} was clipped to {page:?}, {field:?}");
}

fn is_blank_list(row: &Value) -> bool {
    matches!(row, Value::Text(text) if text.split(',').all(|item| item.trim().is_empty()))
}

fn options_of(field: &Field) -> bool {
    matches!(field.shows, PropertyKind::Select(_) | PropertyKind::MultiSelect(_) | PropertyKind::Status(_))
}

/// A column in which this value is at home.
fn field_of(value: &Value) -> Field {
    let holds = match value {
        Value::Number(_) => ColumnKind::Numeric { precision: None, scale: None },
        Value::Bool(_) => ColumnKind::Bool,
        Value::Day(_) => ColumnKind::Day,
        Value::Instant(_) => ColumnKind::Instant,
        Value::Json(_) => ColumnKind::Json,
        Value::Range(range) => match range.start.or(range.end) {
            Some(Moment::Day(_)) => ColumnKind::DayRange,
            _ => ColumnKind::InstantRange,
        },
        _ => ColumnKind::Text { max: None },
    };
    field("home", holds, PropertyKind::RichText)
}

fn same_minute(one: Option<Moment>, two: Option<Moment>) -> bool {
    match (one, two) {
        (Some(Moment::Instant(one)), Some(Moment::Instant(two))) => {
            one.as_second().div_euclid(60) == two.as_second().div_euclid(60)
        }
        (one, two) => one == two,
    }
}

/// Whether a page's item is a row's item: by its own text, its label, or in another case.
fn same_option(row: &Value, page: &Value, field: &Field) -> bool {
    let plain = |value: &Value| match value {
        Value::Text(text) => text.to_lowercase(),
        Value::Person(person) => person.identity(),
        Value::File(file) => file.url.to_lowercase(),
        other => match other.plain() {
            serde_json::Value::String(text) => text.to_lowercase(),
            json => json.to_string().to_lowercase(),
        },
    };
    let labelled = match row {
        Value::Text(raw) => field.labels.get(raw).map(|label| label.to_lowercase()),
        _ => None,
    };
    // A person may be named by an id.
    row == page
        || plain(row) == plain(page)
        || labelled.as_ref() == Some(&plain(page))
        || matches!((row, page), (Value::Text(row), Value::Person(page)) if page.id.as_ref() == Some(row))
        || !matches!(row, Value::Text(_)) && options_of(field)
}

#[test]
fn equal_values_and_only_they_have_equal_digests() {
    let rules = mapping(vec![crate::world::text_field("x")]);
    let digest = |value: &Value| {
        Digest::of_record(&rules, &record(std::slice::from_ref(value)), None, &mut Vec::new())
    };
    cases("equality and digests", 50_000, |rng| {
        let any = |rng: &mut Rng| {
            let field = any_pair(rng);
            if rng.one_in(2) { column_value(&field.holds, rng) } else { property_value(&field.shows, rng) }
        };
        let (one, two) = (any(rng), any(rng));
        assert_eq!(one == two, digest(&one) == digest(&two), "{one:?} {two:?}");
        let kept = serde_json::to_string(&one).unwrap();
        let back: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(back, one, "{kept}");
        assert_eq!(digest(&back), digest(&one));
    });
}

#[test]
fn numbers_are_read_as_they_are_meant() {
    cases("numbers", 100_000, |rng| {
        let digits: String = (0..rng.below(30)).map(|_| char::from(b'0' + rng.below(10) as u8)).collect();
        let point = rng.below(digits.len() + 1);
        let exponent = rng.below(61) as i64 - 30;
        let written = format!("{}.{}e{exponent}", &digits[..point], &digits[point..]);
        let Ok(number) = Number::parse(&written) else {
            assert!(digits.is_empty(), "{written} is a number");
            return;
        };
        assert_eq!(Number::parse(number.as_str()).as_ref(), Ok(&number), "the canonical text is its own");
        let expected: f64 = written.parse().unwrap();
        assert!((number.to_f64() - expected).abs() <= expected.abs() * 1e-15, "{written} is not {number}");
        // The same number, written with another exponent.
        let moved = format!("{number}e0");
        assert_eq!(Number::parse(&moved).as_ref(), Ok(&number));
        if let Some(double) = number.as_exact_f64() {
            assert_eq!(Number::from_f64(double), Some(number.clone()));
        }
        match number.reach() {
            None => assert_eq!(number.as_str(), "0"),
            Some((highest, lowest)) => {
                let shifted = Number::parse(&format!("{number}e{}", -lowest)).unwrap();
                assert!(shifted.is_whole() && !shifted.as_str().ends_with('0'), "{number} {lowest}");
                let digits = shifted.as_str().trim_start_matches('-').len() as i64;
                assert_eq!(digits, highest - lowest, "{number}");
            }
        }
    });
}

/// At each limit: one below, the limit itself, one beyond. What passes comes back whole.
#[test]
fn limits() {
    let holds_text = ColumnKind::Text { max: None };
    let page =
        |shows: PropertyKind, value: &Value| stored(in_notion(value, &field("x", holds_text.clone(), shows)));
    let around = |limit: usize, shows: &PropertyKind, make: &dyn Fn(usize) -> Value, what: &str| {
        for (size, fits) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
            let value = make(size);
            let kept = page(shows.clone(), &value);
            assert_eq!(kept.is_some(), fits, "{what}: {size}");
            let same = match &kept {
                Some(Value::Set(items)) => items.len() == size,
                Some(Value::List(items)) => items.len() == size || *shows == PropertyKind::Files,
                Some(Value::Markdown(text) | Value::Text(text)) => *text == plain_text(&value),
                _ => !fits,
            };
            assert!(same, "{what}: {size} is not whole");
        }
    };
    let letters = |size: usize| Value::Text("a".repeat(size));
    // One astral character is two UTF-16 units; an odd size ends with a plain letter.
    let astral = |size: usize| Value::Text("😀".repeat(size / 2) + if size % 2 == 1 { "a" } else { "" });
    let accents = |size: usize| Value::Text("ä".repeat(size));
    for (make, what) in
        [(&letters as &dyn Fn(usize) -> Value, "letters"), (&astral, "astral"), (&accents, "accents")]
    {
        around(RICH_TEXT_UNITS, &PropertyKind::RichText, make, what);
        around(RICH_TEXT_UNITS, &PropertyKind::Title, make, what);
        around(URL_UNITS, &PropertyKind::Url, make, what);
        around(SHORT_TEXT_UNITS, &PropertyKind::Email, make, what);
        around(SHORT_TEXT_UNITS, &PropertyKind::Phone, make, what);
        around(SHORT_TEXT_UNITS, &PropertyKind::Select(options(&[], true)), make, what);
    }
    around(BODY_BYTES, &PropertyKind::Body, &letters, "a body's bytes");
    let list = |size: usize| Value::List((0..size).map(|n| text(&format!("o{n}"))).collect());
    around(ITEMS, &PropertyKind::MultiSelect(options(&[], true)), &list, "options");
    let files = |size: usize| Value::List((0..size).map(|n| text(&format!("https://f/{n}"))).collect());
    around(ITEMS, &PropertyKind::Files, &files, "files");
    let url = |size: usize| Value::List(vec![text(&format!("https://{}", "a".repeat(size - 8)))]);
    around(URL_UNITS, &PropertyKind::Files, &url, "a file's address");
    let refs = |size: usize| {
        Value::set((0..size).map(|n| Value::Ref(pagerow_core::value::Ref::Row(n.to_string().into()))))
    };
    around(ITEMS, &PropertyKind::Relation { mapping: "m".to_owned(), single: false }, &refs, "related pages");
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_numbers() {
    let smallint = ColumnKind::Integer { min: i64::from(i16::MIN), max: i64::from(i16::MAX) };
    let integer = ColumnKind::Integer { min: i64::from(i32::MIN), max: i64::from(i32::MAX) };
    let bigint = ColumnKind::Integer { min: i64::MIN, max: i64::MAX };
    let numeric = |precision, scale| ColumnKind::Numeric { precision: Some(precision), scale: Some(scale) };
    let any = ColumnKind::Numeric { precision: None, scale: None };
    for (holds, number, fits) in [
        (&smallint, "32766", true),
        (&smallint, "32767", true),
        (&smallint, "32768", false),
        (&smallint, "-32767", true),
        (&smallint, "-32768", true),
        (&smallint, "-32769", false),
        (&integer, "2147483647", true),
        (&integer, "2147483648", false),
        (&integer, "-2147483648", true),
        (&integer, "-2147483649", false),
        (&bigint, "9223372036854775806", true),
        (&bigint, "9223372036854775807", true),
        (&bigint, "9223372036854775808", false),
        (&bigint, "-9223372036854775808", true),
        (&bigint, "-9223372036854775809", false),
        (&bigint, "0.5", false),
        (&numeric(5, 2), "999.98", true),
        (&numeric(5, 2), "999.99", true),
        (&numeric(5, 2), "1000", false),
        (&numeric(5, 2), "0.01", true),
        (&numeric(5, 2), "0.001", false),
        (&numeric(3, 0), "999", true),
        (&numeric(3, 0), "1000", false),
        (&numeric(2, -3), "99000", true),
        (&numeric(2, -3), "100000", false),
        (&numeric(2, -3), "1000", true),
        (&numeric(2, -3), "100", false),
        (&numeric(2, -3), "0", true),
        (&numeric(3, 5), "0.00999", true),
        (&numeric(3, 5), "0.01", false),
        (&numeric(3, 5), "0.00001", true),
        (&numeric(3, 5), "0.000001", false),
        (&any, "123456789012345678901234567890.123456789", true),
        (&ColumnKind::Real, "0.1", true),
        (&ColumnKind::Real, "16777216", true),
        (&ColumnKind::Real, "16777217", false),
        (&ColumnKind::Real, "0.1234567891", false),
        (&ColumnKind::Real, "1e39", false),
        (&ColumnKind::Double, "0.1", true),
        (&ColumnKind::Double, "9007199254740993", false),
        (&ColumnKind::Double, "1e309", false),
        (&ColumnKind::Double, "0.30000000000000004", true),
        (&ColumnKind::Double, "0.300000000000000041", false),
    ] {
        let number = Value::Number(Number::parse(number).unwrap());
        let kept = stored(in_postgres(&number, &field("x", holds.clone(), PropertyKind::RichText)));
        assert_eq!(kept, fits.then_some(number.clone()), "{number:?} in {holds:?}");
    }
    for (number, fits) in [
        ("9007199254740991", true),
        ("9007199254740992", true),
        ("9007199254740993", false),
        ("-9007199254740992", true),
        ("-9007199254740993", false),
        ("123456789.123456", true),
        ("0.1234567890123456789", false),
    ] {
        let value = Value::Number(Number::parse(number).unwrap());
        let kept = stored(in_notion(&value, &field("x", ColumnKind::Double, PropertyKind::Number)));
        assert_eq!(kept, fits.then_some(value), "{number} in a number property");
    }
}
