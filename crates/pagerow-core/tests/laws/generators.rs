//! Chance with a seed: kinds of columns and properties, values that a side can hold, and whole mappings.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Field, Flow, Mapping, OnPageTrashed, OnRowDeleted, Options, Policy, PropertyKind},
    number::Number,
    rich_text::{self, Look, Mention, Span, What},
    side::Side,
    value::{File, Moment, Person, Range, Ref, Value},
};

use crate::world::{empty_property, field, mapping, options, text};

/// A small, fast and good enough source of chance (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Runs a law on its share of the million cases, each with a seed of its own.
pub(crate) fn cases(name: &str, share: u64, law: impl Fn(&mut Rng)) {
    let total = setting("PAGEROW_LAW_CASES").unwrap_or(1_000_000);
    let first = setting("PAGEROW_LAW_SEED").unwrap_or(0);
    let many = (share * total / 1_000_000).max(1);
    for seed in first..first + many {
        let case =
            std::panic::AssertUnwindSafe(|| law(&mut Rng::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D))));
        if let Err(panic) = std::panic::catch_unwind(case) {
            eprintln!("{name} fails: run it again with PAGEROW_LAW_SEED={seed} PAGEROW_LAW_CASES=1");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{name}: {many} cases");
}

#[expect(clippy::disallowed_methods, reason = "how many cases are run is the caller's business")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

const LABELS: [&str; 4] = ["low", "High", "ärger", "mid"];
/// Pieces of text that have gone wrong somewhere: empty, blank, not ASCII, beyond the first plane, with commas, line
/// breaks, quotes, and what looks like another kind of value.
const TEXTS: [&str; 25] = [
    "",
    " ",
    "a",
    "b",
    "A",
    "plain words",
    "Ünïcödé",
    "😀",
    "e\u{301}",
    "a, b",
    "a,b",
    "b, a",
    "\"q\"",
    "line\nbreak",
    "1.50",
    "1e3",
    "true",
    "no",
    "2026-02-11",
    "2026-02-11T10:00:30.5Z",
    "2026-02-11/2026-02-12",
    "[\"x\",null]",
    "{\"b\":1.50, \"a\":[]}",
    "https://example.org/a.pdf?x=1",
    "ada@example.org",
];
const NUMBERS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "2",
    "1.5",
    "-2.25",
    "0.1",
    "0.05",
    "1200",
    "32767",
    "32768",
    "-32769",
    "2147483647",
    "2147483648",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "12345678901234567890.5",
    "0.1234567",
    "0.12345678901234567891",
    "1e300",
];

/// Every kind of column; nested lists stay one deep.
pub(crate) const COLUMNS: usize = 19;

pub(crate) fn column_kind(which: usize, rng: &mut Rng) -> ColumnKind {
    match which {
        0 => ColumnKind::Text { max: None },
        1 => ColumnKind::Text { max: Some(rng.below(8) as u32 + 1) },
        2 => ColumnKind::Choice { labels: LABELS.map(str::to_owned).to_vec() },
        3 => ColumnKind::Integer { min: i64::from(i16::MIN), max: i64::from(i16::MAX) },
        4 => ColumnKind::Integer { min: i64::MIN, max: i64::MAX },
        5 => ColumnKind::Numeric { precision: None, scale: None },
        6 => ColumnKind::Numeric {
            precision: Some(rng.below(10) as u32 + 1),
            scale: Some(rng.below(14) as i32 - 4),
        },
        7 => ColumnKind::Real,
        8 => ColumnKind::Double,
        9 => ColumnKind::Bool,
        10 => ColumnKind::Day,
        11 => ColumnKind::Instant,
        12 => ColumnKind::DayRange,
        13 => ColumnKind::InstantRange,
        14 => ColumnKind::Json,
        15 => ColumnKind::List(Box::new(ColumnKind::Text { max: None })),
        16 => {
            let inner = rng.below(15);
            ColumnKind::List(Box::new(column_kind(inner, rng)))
        }
        17 => ColumnKind::Reference { mapping: "things".to_owned() },
        18 => ColumnKind::References { mapping: "things".to_owned() },
        _ => unreachable!("there are {COLUMNS} kinds of columns"),
    }
}

/// Every kind of property.
pub(crate) const PROPERTIES: usize = 20;

pub(crate) fn property_kind(which: usize, rng: &mut Rng) -> PropertyKind {
    let some_options = |rng: &mut Rng| {
        let names: &[&str] =
            rng.pick::<&[&str]>(&[&["Low", "high", "Ärger"][..], &["a", "b", "plain words"][..], &[][..]]);
        options(names, !rng.one_in(3))
    };
    match which {
        0 => PropertyKind::Title,
        1 => PropertyKind::RichText,
        2 => PropertyKind::Number,
        3 => PropertyKind::Select(some_options(rng)),
        4 => PropertyKind::MultiSelect(some_options(rng)),
        5 => PropertyKind::Status(Options { may_grow: false, ..some_options(rng) }),
        6 => PropertyKind::Date,
        7 => PropertyKind::People { known: people() },
        8 => PropertyKind::Files,
        9 => PropertyKind::Checkbox,
        10 => PropertyKind::Url,
        11 => PropertyKind::Email,
        12 => PropertyKind::Phone,
        13 => PropertyKind::Relation { mapping: "things".to_owned(), single: true },
        14 => PropertyKind::Relation { mapping: "things".to_owned(), single: false },
        15 => PropertyKind::Body,
        16 => PropertyKind::ReadOnly("formula".to_owned()),
        17 => PropertyKind::Select(options(&[], true)),
        18 => PropertyKind::Markdown,
        19 => PropertyKind::MultiSelect(Options { ordered: true, ..some_options(rng) }),
        _ => unreachable!("there are {PROPERTIES} kinds of properties"),
    }
}

fn people() -> Vec<Person> {
    ["ada@example.org", "Bob@Example.org"]
        .map(|email| Person { email: Some(email.to_owned()), id: Some(email[..3].to_owned()) })
        .to_vec()
}

/// A field of any two kinds, those that make no sense included: they park, and lose nothing either. References are
/// left to the laws about order, since they need somebody to refer to.
pub(crate) fn any_field(name: &str, rng: &mut Rng) -> Field {
    let holds = rng.below(COLUMNS - 2);
    let shows = loop {
        let shows = rng.below(PROPERTIES);
        if !(13..=14).contains(&shows) {
            break shows;
        }
    };
    paired_field(name, holds, shows, rng)
}

pub(crate) fn paired_field(name: &str, holds: usize, shows: usize, rng: &mut Rng) -> Field {
    let mut made = field(name, column_kind(holds, rng), property_kind(shows, rng));
    if let (PropertyKind::MultiSelect(options), false) =
        (&mut made.shows, matches!(made.holds, ColumnKind::List(_)))
    {
        options.ordered = false;
    }
    if matches!(made.shows, PropertyKind::ReadOnly(_)) {
        made.flow = Flow::ToPostgres;
    } else if rng.one_in(6) {
        made.flow = *rng.pick(&[Flow::ToNotion, Flow::ToPostgres]);
    }
    made.wins = *rng.pick(&[None, None, None, Some(Side::Postgres), Some(Side::Notion)]);
    made.required = rng.one_in(5);
    let optional = matches!(
        made.shows,
        PropertyKind::Select(_) | PropertyKind::MultiSelect(_) | PropertyKind::Status(_)
    );
    if optional && rng.one_in(3) {
        let labels = [("low", "Low"), ("mid", "plain words"), ("ärger", "Ärger")];
        made.labels = labels.map(|(raw, label)| (raw.to_owned(), label.to_owned())).into();
    }
    made
}

/// A value that a column of this kind can hold, `NULL` left aside.
pub(crate) fn column_value(kind: &ColumnKind, rng: &mut Rng) -> Value {
    match kind {
        ColumnKind::Text { max } => {
            let many = max.map_or(usize::MAX, |max| max as usize);
            Value::Text(any_text(rng).chars().take(many).collect())
        }
        ColumnKind::Scalar { .. } => Value::Text(any_text(rng)),
        ColumnKind::Choice { labels } => Value::Text(rng.pick(labels).clone()),
        ColumnKind::Integer { .. } | ColumnKind::Numeric { .. } | ColumnKind::Real | ColumnKind::Double => {
            if matches!(kind, ColumnKind::Integer { .. }) || rng.below(20) > 0 {
                number_of(kind, rng)
            } else {
                Value::opaque("numeric", "NaN")
            }
        }
        ColumnKind::Bool => Value::Bool(rng.one_in(2)),
        ColumnKind::Day => Value::Day(any_day(rng)),
        ColumnKind::Instant if rng.one_in(30) => Value::opaque("timestamptz", "infinity"),
        ColumnKind::Instant => Value::Instant(any_instant(rng, false)),
        ColumnKind::DayRange => any_range(rng, |rng| Moment::Day(any_day(rng)), true),
        ColumnKind::InstantRange => any_range(rng, |rng| Moment::Instant(any_instant(rng, false)), true),
        ColumnKind::Json => {
            let text = rng.pick(&[
                "{\"b\":1.50,\"a\":[null]}",
                "[]",
                "null",
                "\"x\"",
                "0.12345678901234567891",
                "true",
            ]);
            Value::json_text(text).unwrap()
        }
        ColumnKind::List(inner) => {
            let many = rng.below(4);
            let item = |rng: &mut Rng| if rng.one_in(9) { Value::Null } else { column_value(inner, rng) };
            Value::List((0..many).map(|_| item(rng)).collect())
        }
        ColumnKind::Reference { .. } => any_ref(rng),
        ColumnKind::References { .. } => {
            let many = rng.below(3) + 1;
            Value::set((0..many).map(|_| any_ref(rng)))
        }
    }
}

/// Formatted text as Notion keeps it, with words that look like signs.
pub(crate) fn any_spans(rng: &mut Rng) -> Vec<Span> {
    const BITS: [&str; 22] = [
        "a",
        "b c",
        " ",
        "*",
        "**",
        "_",
        "~~",
        "`",
        "``",
        "[",
        "](x)",
        "<",
        "<b>",
        "</u>",
        "\\",
        "$",
        "$`x`$",
        "😀",
        "\n",
        "</mention-user>",
        "]",
        "(",
    ];
    let some = |rng: &mut Rng| (0..=rng.below(4)).map(|_| *rng.pick(&BITS)).collect::<String>();
    let many = rng.below(6);
    let spans = (0..many).map(|_| {
        let look = Look {
            bold: rng.one_in(3),
            italic: rng.one_in(3),
            strike: rng.one_in(6),
            underline: rng.one_in(6),
            code: rng.one_in(6),
            color: rng.one_in(5).then(|| (*rng.pick(&["red", "blue_background"])).to_owned()),
            link: rng
                .one_in(5)
                .then(|| (*rng.pick(&["https://x.example/(a)?b=[c]&d=\"e\"", "page://1\\2"])).to_owned()),
        };
        let what = match rng.below(9) {
            0 => What::Equation(some(rng)),
            1 => What::Mention { mention: Mention::User("u\"&<1>".to_owned()), shown: some(rng) },
            2 => {
                let (end, time_zone) = (rng.one_in(2).then(|| "2026-01-02".to_owned()), None);
                let mention = Mention::Date { start: "2026-01-01".to_owned(), end, time_zone };
                What::Mention { mention, shown: some(rng) }
            }
            3 => {
                let json = "{\"type\":\"new\",\"new\":{\"a\":\"<b>\"}}".to_owned();
                What::Mention { mention: Mention::Other(json), shown: some(rng) }
            }
            _ => What::Text(some(rng)),
        };
        Span { what, look }
    });
    rich_text::joined(spans.collect::<Vec<_>>())
}

fn number_of(kind: &ColumnKind, rng: &mut Rng) -> Value {
    let probe = field("probe", kind.clone(), PropertyKind::RichText);
    loop {
        let tried = if rng.one_in(2) {
            Number::parse(rng.pick::<&str>(&NUMBERS)).unwrap()
        } else {
            let digits = rng.below(1_000_000) as i64 - 500_000;
            Number::parse(&format!("{digits}e-{}", rng.below(8))).unwrap()
        };
        // Zero is in every column.
        let tried = if rng.one_in(40) { Number::from(0) } else { tried };
        if let Fidelity::Stored(value) = fidelity::in_postgres(&Value::Number(tried), &probe) {
            return value;
        }
    }
}

/// A value that a property of this kind can show, emptiness included.
pub(crate) fn property_value(kind: &PropertyKind, rng: &mut Rng) -> Value {
    let filled = |text: String| if text.is_empty() { Value::Null } else { Value::Text(text) };
    match kind {
        PropertyKind::Checkbox => return Value::Bool(rng.one_in(2)),
        _ if rng.one_in(6) => return Value::Null,
        _ => {}
    }
    match kind {
        PropertyKind::Title | PropertyKind::RichText if rng.one_in(2) => {
            let spans = any_spans(rng);
            match (rich_text::words(&spans), rich_text::is_plain(&spans)) {
                (words, _) if words.is_empty() => Value::Null,
                (words, true) => Value::Text(words),
                (_, false) => Value::Markdown(rich_text::to_markdown(&spans)),
            }
        }
        PropertyKind::Markdown => {
            let spans = any_spans(rng);
            if spans.is_empty() { Value::Null } else { Value::Markdown(rich_text::to_markdown(&spans)) }
        }
        PropertyKind::Title
        | PropertyKind::RichText
        | PropertyKind::Url
        | PropertyKind::Email
        | PropertyKind::Phone => filled(any_text(rng)),
        PropertyKind::Body => {
            let text = any_text(rng);
            if text.is_empty() { Value::Null } else { Value::Markdown(text) }
        }
        PropertyKind::Number => loop {
            let number = Number::parse(rng.pick::<&str>(&NUMBERS)).unwrap();
            if number.as_exact_f64().is_some() {
                return Value::Number(number);
            }
        },
        PropertyKind::Select(options) | PropertyKind::Status(options) => one_option(options, rng),
        PropertyKind::MultiSelect(options) => {
            let many = rng.below(3) + 1;
            let names: BTreeMap<String, Value> = (0..many)
                .filter_map(|_| match one_option(options, rng) {
                    Value::Text(name) => Some((name.to_lowercase(), text(&name))),
                    _ => None,
                })
                .collect();
            match (names.is_empty(), options.ordered) {
                (true, _) => Value::Null,
                (false, true) => Value::List(names.into_values().rev().collect()),
                (false, false) => Value::set(names.into_values()),
            }
        }
        PropertyKind::Date => match rng.below(4) {
            0 => Value::Day(any_day(rng)),
            1 => Value::Instant(any_instant(rng, true)),
            2 => any_range(rng, |rng| Moment::Day(any_day(rng)), false),
            _ => any_range(rng, |rng| Moment::Instant(any_instant(rng, true)), false),
        },
        PropertyKind::People { known } => {
            let many = rng.below(2) + 1;
            Value::set((0..many).map(|_| Value::Person(Box::new(rng.pick(known).clone()))))
        }
        PropertyKind::Files => {
            let many = rng.below(2) + 1;
            let file = |rng: &mut Rng| {
                let url =
                    format!("https://example.org/{}.pdf?X-Amz-Signature={}", rng.below(3), rng.below(9));
                Value::File(Box::new(File { url, name: "a.pdf".to_owned(), hosted: false }))
            };
            Value::List((0..many).map(|_| file(rng)).collect())
        }
        PropertyKind::Relation { single, .. } => {
            let many = if *single { 1 } else { rng.below(3) + 1 };
            Value::set((0..many).map(|_| any_ref(rng)))
        }
        PropertyKind::ReadOnly(_) => match rng.below(3) {
            0 => filled(any_text(rng)),
            1 => Value::Number(Number::from(rng.below(9) as i64)),
            _ => Value::opaque("rollup", "array"),
        },
        PropertyKind::Checkbox => unreachable!("answered above"),
    }
}

fn one_option(options: &Options, rng: &mut Rng) -> Value {
    if options.names.is_empty() {
        return if options.may_grow {
            text(rng.pick::<&str>(&["a", "B", "plain words"]))
        } else {
            Value::Null
        };
    }
    Value::Text(rng.pick(&options.names).clone())
}

fn any_text(rng: &mut Rng) -> String {
    let one = *rng.pick(&TEXTS);
    if rng.one_in(8) { format!("{one}{}", rng.pick(&TEXTS)) } else { one.to_owned() }
}

fn any_day(rng: &mut Rng) -> Date {
    let day = rng.below(6) as i8 + 1;
    Date::new(*rng.pick(&[1, 1969, 2024, 2026, 2026, 9999]), 2, day).unwrap()
}

/// Few enough for two to meet, in the same minute too; Notion's are whole minutes.
fn any_instant(rng: &mut Rng, whole: bool) -> Timestamp {
    let minute = *rng.pick(&[-62_135_510_400, -60, 0, 1_770_804_000, 1_770_804_060, 253_402_200_000]);
    let (second, nano) =
        if whole { (0, 0) } else { (rng.below(60) as i64, *rng.pick(&[0, 0, 1_000, 999_999_000])) };
    Timestamp::new(minute + second, nano).unwrap()
}

fn any_range(rng: &mut Rng, moment: impl Fn(&mut Rng) -> Moment, may_be_open: bool) -> Value {
    let (one, two) = (moment(rng), moment(rng));
    let (start, end) = if one <= two { (one, two) } else { (two, one) };
    if may_be_open && rng.one_in(6) {
        return Value::Range(Box::new(Range { start: Some(start), end: None }));
    }
    // A property shows a range of one moment as that moment.
    match (start == end && !may_be_open, start) {
        (false, _) => Value::Range(Box::new(Range { start: Some(start), end: Some(end) })),
        (true, Moment::Day(day)) => Value::Day(day),
        (true, Moment::Instant(instant)) => Value::Instant(instant),
    }
}

fn any_ref(rng: &mut Rng) -> Value {
    Value::Ref(Ref::Row(format!("k{:04}", rng.below(4) + 1).into()))
}

/// Either `NULL` or a value, as a row would have it.
pub(crate) fn row_cell(field: &Field, rng: &mut Rng) -> Value {
    if !field.required && rng.one_in(6) { Value::Null } else { column_value(&field.holds, rng) }
}

/// A mapping of some fields of any kinds, under any rules.
pub(crate) fn any_mapping(rng: &mut Rng) -> Mapping {
    let many = rng.below(3) + 1;
    let names = ["one", "two", "three"];
    let fields = (0..many).map(|place| any_field(names[place], rng)).collect();
    with_rules(mapping(fields), rng)
}

/// The same fields under any rules.
pub(crate) fn with_rules(mut mapping: Mapping, rng: &mut Rng) -> Mapping {
    mapping.direction = *rng.pick(&[Flow::Both, Flow::Both, Flow::Both, Flow::ToNotion, Flow::ToPostgres]);
    mapping.on_conflict =
        *rng.pick(&[Policy::Manual, Policy::LastWriteWins, Policy::PreferPostgres, Policy::PreferNotion]);
    mapping.on_row_deleted = *rng.pick(&[OnRowDeleted::Trash, OnRowDeleted::Keep, OnRowDeleted::Ask]);
    mapping.on_page_trashed = *rng.pick(&[
        OnPageTrashed::Ask,
        OnPageTrashed::SoftDelete,
        OnPageTrashed::Delete,
        OnPageTrashed::Restore,
        OnPageTrashed::Keep,
    ]);
    mapping.key_property = rng.one_in(2);
    mapping
}

/// A page that says the same as this row, where that can be said.
pub(crate) fn page_of(mapping: &Mapping, row: &[Value]) -> Vec<Value> {
    let cells =
        mapping.fields.iter().zip(row).map(|(field, value)| match fidelity::in_notion(value, field) {
            Fidelity::Stored(form) => form,
            Fidelity::Unstorable(_) => empty_property(field),
        });
    cells.collect()
}
