//! The words of the language: its filters, tests and functions. What they are given as nothing, they leave so.

use std::sync::OnceLock;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, filters, tests,
    value::{Kwargs, Object, Value as Cell},
};

use super::{
    FUEL,
    convert::{Whole, cell, number, number_cell, value},
    decimal::{Decimal, Rounding, compare},
};
use crate::{number::Number, value::Value};

/// What stands before the text of an error that our own words made, and that may be told.
pub(super) const OURS: &str = "pagerow: ";

/// Under which name, which no expression can say, the zone stands in which instants are read.
pub(super) const ZONE: &str = "time zone";

/// That zone.
#[derive(Debug)]
pub(super) struct Zone(pub(super) TimeZone);

impl Object for Zone {}

pub(super) const FILTERS: &[&str] = &[
    "capitalize",
    "ceil",
    "date",
    "default",
    "divide",
    "first",
    "fixed",
    "floor",
    "join",
    "last",
    "length",
    "lower",
    "map",
    "max",
    "min",
    "minus",
    "number",
    "plus",
    "reject",
    "replace",
    "round",
    "select",
    "sort",
    "split",
    "text",
    "time",
    "times",
    "title",
    "trim",
    "unique",
    "upper",
];
pub(super) const TESTS: &[&str] =
    &["above", "below", "endingwith", "even", "none", "number", "odd", "same", "startingwith", "string"];
pub(super) const FUNCTIONS: &[&str] = &["day", "instant"];

/// The one language, made once.
pub(super) fn language() -> &'static Environment<'static> {
    static LANGUAGE: OnceLock<Environment<'static>> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
        let mut words = Environment::empty();
        words.set_undefined_behavior(UndefinedBehavior::Strict);
        words.set_fuel(Some(FUEL));
        add_texts(&mut words);
        add_numbers(&mut words);
        add_lists(&mut words);
        add_times(&mut words);
        add_tests(&mut words);
        words
    })
}

fn add_texts(words: &mut Environment<'static>) {
    words.add_filter("text", |given: &Cell| given_or_none(given, |given| Ok(given.to_string())));
    words.add_filter("lower", |given: &Cell| texted(given, str::to_lowercase));
    words.add_filter("upper", |given: &Cell| texted(given, str::to_uppercase));
    words.add_filter("trim", |given: &Cell| texted(given, |text| text.trim().to_owned()));
    words.add_filter("capitalize", |given: &Cell| texted(given, |text| capitalized(&text.to_lowercase())));
    words.add_filter("title", |given: &Cell| {
        texted(given, |text| {
            text.to_lowercase()
                .split_inclusive(|c: char| !c.is_alphanumeric() && c != '\'')
                .map(capitalized)
                .collect()
        })
    });
    words.add_filter("replace", |given: &Cell, from: String, to: String| {
        if from.is_empty() {
            return Err(ours("replace has to know what to replace"));
        }
        texted(given, |text| text.replace(&from, &to))
    });
    words.add_filter("split", |given: &Cell, at: String| {
        if at.is_empty() {
            return Err(ours("split has to know where to split"));
        }
        given_or_none(given, |given| Ok(text(given)?.split(&at).map(Cell::from).collect::<Cell>()))
    });
    words.add_filter("default", |given: Cell, other: Cell| {
        let empty = given.is_none() || given.as_str().is_some_and(str::is_empty);
        if empty { other } else { given }
    });
}

fn add_numbers(words: &mut Environment<'static>) {
    words.add_filter("number", |given: &Cell| {
        given_or_none(given, |given| match given.as_str() {
            None => number(given).map(|number| number_cell(&number)).map_err(ours),
            Some(text) => match Number::parse(text.trim()) {
                Ok(number) => Ok(number_cell(&number)),
                Err(_) => Err(ours("a text is no number")),
            },
        })
    });
    words.add_filter("plus", |given: &Cell, other: Cell| reckoned(given, &other, Decimal::plus));
    words.add_filter("minus", |given: &Cell, other: Cell| reckoned(given, &other, Decimal::minus));
    words.add_filter("times", |given: &Cell, other: Cell| reckoned(given, &other, Decimal::times));
    words.add_filter("divide", |given: &Cell, other: Cell, rest: Kwargs| {
        let digits = rest.get::<Option<u32>>("digits")?.unwrap_or(10);
        rest.assert_all_used()?;
        reckoned(given, &other, |one, other| one.divided_by(other, digits))
    });
    words.add_filter("round", |given: &Cell, digits: Option<u32>| rounded(given, digits, Rounding::Nearest));
    words.add_filter("floor", |given: &Cell, digits: Option<u32>| rounded(given, digits, Rounding::Down));
    words.add_filter("ceil", |given: &Cell, digits: Option<u32>| rounded(given, digits, Rounding::Up));
    words.add_filter("fixed", |given: &Cell, digits: u32| {
        given_or_none(given, |given| decimal(given)?.fixed(digits).map_err(ours))
    });
}

fn add_lists(words: &mut Environment<'static>) {
    words.add_filter("join", |given: &Cell, between: Option<String>| {
        given_or_none(given, |given| {
            let texts: Vec<String> = items(given)?
                .iter()
                .filter(|item| !item.is_none())
                .map(ToString::to_string)
                .filter(|text| !text.is_empty())
                .collect();
            Ok(texts.join(between.as_deref().unwrap_or_default()))
        })
    });
    words.add_filter("first", |given: &Cell| {
        given_or_none(given, |given| Ok(items(given)?.into_iter().next().unwrap_or(Cell::from(()))))
    });
    words.add_filter("last", |given: &Cell| {
        given_or_none(given, |given| Ok(items(given)?.into_iter().next_back().unwrap_or(Cell::from(()))))
    });
    words.add_filter("length", |given: &Cell| {
        given_or_none(given, |given| match given.as_str() {
            Some(text) => Ok(text.chars().count()),
            None => Ok(items(given)?.len()),
        })
    });
    words.add_filter("sort", filters::sort);
    words.add_filter("unique", filters::unique);
    words.add_filter("min", filters::min);
    words.add_filter("max", filters::max);
    words.add_filter("map", filters::map);
    words.add_filter("select", filters::select);
    words.add_filter("reject", filters::reject);
}

fn add_times(words: &mut Environment<'static>) {
    words.add_filter("date", |state: &State<'_, '_>, given: &Cell, form: Option<String>| {
        let zone = zone(state);
        given_or_none(given, |given| {
            let day = day(given, &zone)?;
            match &form {
                None => Ok(cell(&Value::Day(day))),
                Some(form) => jiff::fmt::strtime::format(form, day)
                    .map(Cell::from)
                    .map_err(|_| ours("the form of a date cannot be used")),
            }
        })
    });
    words.add_filter("time", |state: &State<'_, '_>, given: &Cell, form: String| {
        let zone = zone(state);
        given_or_none(given, |given| {
            let at = instant(given)?.to_zoned(zone.clone());
            jiff::fmt::strtime::format(&form, &at).map_err(|_| ours("the form of a time cannot be used"))
        })
    });
    words.add_function("day", |text: &str| {
        text.parse().map(|day| cell(&Value::Day(day))).map_err(|_| ours("a text is no day"))
    });
    words.add_function("instant", |text: &str| {
        text.parse().map(|at| cell(&Value::Instant(at))).map_err(|_| ours("a text is no time"))
    });
}

fn add_tests(words: &mut Environment<'static>) {
    words.add_test("none", tests::is_none);
    words.add_test("string", tests::is_string);
    words.add_test("odd", tests::is_odd);
    words.add_test("even", tests::is_even);
    words.add_test("startingwith", tests::is_startingwith);
    words.add_test("endingwith", tests::is_endingwith);
    words.add_test("number", |given: &Cell| {
        given.is_number() || matches!(given.downcast_object_ref(), Some(Whole(Value::Number(_))))
    });
    words.add_test("above", |given: &Cell, other: Cell| {
        compared(given, &other).map(std::cmp::Ordering::is_gt)
    });
    words.add_test("below", |given: &Cell, other: Cell| {
        compared(given, &other).map(std::cmp::Ordering::is_lt)
    });
    words
        .add_test("same", |given: &Cell, other: Cell| compared(given, &other).map(std::cmp::Ordering::is_eq));
}

/// An error whose text may be told, since it holds no content.
fn ours(text: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{OURS}{text}"))
}

/// Nothing stays nothing.
fn given_or_none<T: Into<Cell>>(
    given: &Cell,
    of: impl FnOnce(&Cell) -> Result<T, Error>,
) -> Result<Cell, Error> {
    if given.is_none() { Ok(Cell::from(())) } else { of(given).map(Into::into) }
}

fn text(given: &Cell) -> Result<&str, Error> {
    given.as_str().ok_or_else(|| ours("a text is needed there; `text` makes one of a number"))
}

fn texted(given: &Cell, of: impl FnOnce(&str) -> String) -> Result<Cell, Error> {
    given_or_none(given, |given| text(given).map(of))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn items(given: &Cell) -> Result<Vec<Cell>, Error> {
    match given.as_str() {
        Some(_) => Err(ours("a list is needed there")),
        None => given.try_iter().map(Iterator::collect).map_err(|_| ours("a list is needed there")),
    }
}

fn decimal(given: &Cell) -> Result<Decimal, Error> {
    number(given).and_then(|number| Decimal::of(&number).map_err(str::to_owned)).map_err(ours)
}

fn reckoned(
    given: &Cell,
    other: &Cell,
    reckon: impl FnOnce(Decimal, Decimal) -> Result<Decimal, &'static str>,
) -> Result<Cell, Error> {
    if other.is_none() {
        return Ok(Cell::from(()));
    }
    given_or_none(given, |given| {
        let made = reckon(decimal(given)?, decimal(other)?).and_then(Decimal::number).map_err(ours)?;
        Ok(number_cell(&made))
    })
}

fn rounded(given: &Cell, digits: Option<u32>, how: Rounding) -> Result<Cell, Error> {
    given_or_none(given, |given| {
        let made =
            decimal(given)?.rounded(digits.unwrap_or(0), how).and_then(Decimal::number).map_err(ours)?;
        Ok(number_cell(&made))
    })
}

/// The order of two numbers of any length, or of two things of one kind.
fn compared(given: &Cell, other: &Cell) -> Result<std::cmp::Ordering, Error> {
    match (value(given).map_err(ours)?, value(other).map_err(ours)?) {
        (Value::Number(one), Value::Number(other)) => Ok(compare(&one, &other)),
        (one, other) if one.kind() == other.kind() => Ok(one.cmp(&other)),
        _ => Err(ours("two things of different kinds cannot be compared")),
    }
}

/// The zone of the one who asked.
fn zone(state: &State<'_, '_>) -> TimeZone {
    let zone = state.lookup(ZONE);
    zone.and_then(|zone| zone.downcast_object_ref::<Zone>().map(|zone| zone.0.clone()))
        .unwrap_or(TimeZone::UTC)
}

fn day(given: &Cell, zone: &TimeZone) -> Result<Date, Error> {
    match given.downcast_object_ref() {
        Some(Whole(Value::Day(day))) => Ok(*day),
        Some(Whole(Value::Instant(at))) => Ok(at.to_zoned(zone.clone()).date()),
        _ => Err(ours("a date is needed there; day(…) makes one of a text")),
    }
}

fn instant(given: &Cell) -> Result<Timestamp, Error> {
    match given.downcast_object_ref() {
        Some(Whole(Value::Instant(at))) => Ok(*at),
        _ => Err(ours("a time is needed there; instant(…) makes one of a text")),
    }
}
