//! Which rows a filter asks for: the whole grammar, compiled once and tried on each row.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{
    at::{self, At},
    clock::{self, Millis},
    computed::{self, Outcome},
    dates::{self, DAY, Span},
    error::{ApiError, Result},
    ids::{self, PropertyId},
    options::{self, Choice, Group, OptionId},
    rich_text::{self, Item},
    schema::{Kind, Property},
    values::Value,
    world::{DataSource, Page, World},
};

/// A compiled filter.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Created(DateTest),
    Edited(DateTest),
    Property(PropertyId, Test),
}

/// One condition on one column.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Text(TextTest),
    Number(NumberTest),
    Checkbox(bool),
    /// Select and status: one of these, or none of them.
    Picked {
        any_of: Vec<OptionId>,
        negated: bool,
    },
    /// Multi-select contains one of these, or none of them.
    Contains {
        any_of: Vec<OptionId>,
        negated: bool,
    },
    Date(DateTest),
    /// People, created by, last edited by, relation.
    Member {
        id: Option<Uuid>,
        negated: bool,
    },
    UniqueId(NumberTest),
    Verified(&'static str, bool),
    Empty(bool),
    Formula(Box<Test>),
    Rollup(RollupTest),
}

#[derive(Clone, Debug)]
pub(crate) enum RollupTest {
    Any(Box<Test>),
    Every(Box<Test>),
    None(Box<Test>),
    Value(Box<Test>),
}

#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    Equals(String),
    DoesNotEqual(String),
    /// Lower case, as are all that follow.
    Contains(String),
    DoesNotContain(String),
    StartsWith(String),
    EndsWith(String),
    Empty(bool),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum NumberTest {
    Equals(f64),
    DoesNotEqual(f64),
    Above(f64),
    Below(f64),
    AtLeast(f64),
    AtMost(f64),
    Empty(bool),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum DateTest {
    Equals(Span),
    Before(Millis),
    /// At this time or later.
    From(Millis),
    Within(Span),
    Empty(bool),
}

/// Compiles a filter for one data source.
pub(crate) fn parse(source: &DataSource, json: &Json, now: Millis, at: &At) -> Result<Filter> {
    parse_node(source, json, now, 0, at)
}

fn parse_node(source: &DataSource, json: &Json, now: Millis, depth: usize, at: &At) -> Result<Filter> {
    let map = at::object(json, at)?;
    for word in ["and", "or"] {
        let Some(nodes) = map.get(word) else { continue };
        if depth >= 2 {
            return Err(at.key(word).should_be("not present", Some(nodes)));
        }
        at::only_keys(map, &[word], at)?;
        let at = at.key(word);
        let nodes = at::array(nodes, 100, &at)?
            .iter()
            .enumerate()
            .map(|(index, node)| parse_node(source, node, now, depth + 1, &at.index(index)))
            .collect::<Result<Vec<_>>>()?;
        return Ok(if word == "and" { Filter::And(nodes) } else { Filter::Or(nodes) });
    }
    if let Some(word) = map.get("timestamp") {
        let word = at::one_of(word, &["created_time", "last_edited_time"], &at.key("timestamp"))?;
        at::only_keys(map, &["timestamp", "type", word], at)?;
        let test = parse_date(at::required(map, word, at)?, now, &at.key(word))?;
        return Ok(if word == "created_time" { Filter::Created(test) } else { Filter::Edited(test) });
    }
    let Some(key) = map.get("property") else {
        return Err(ApiError::validation(format!(
            "body failed validation. Fix one:\n{at}.or should be defined, instead was `undefined`.\n{at}.and should be defined, instead was `undefined`.\n{at}.property should be defined, instead was `undefined`.\n{at}.timestamp should be defined, instead was `undefined`."
        )));
    };
    let key = at::string(key, 2000, &at.key("property"))?;
    let property = source.property(key).ok_or_else(|| unknown_property(key))?;
    let mut words = map.iter().filter(|(word, _)| !matches!(word.as_str(), "property" | "type"));
    let Some((word, condition)) = words.next() else {
        return Err(at.key(property.kind.word()).should_be("defined", None));
    };
    if let Some((second, value)) = words.next() {
        return Err(at.key(second).should_be("not present", Some(value)));
    }
    let test = parse_property(property, word, condition, now, &at.key(word))?;
    Ok(Filter::Property(property.id.clone(), test))
}

/// What filters and sorts say of a column that is not there.
pub(crate) fn unknown_property(key: &str) -> ApiError {
    ApiError::validation(format!("Could not find property with name or id: {key}"))
}

fn parse_property(property: &Property, word: &str, json: &Json, now: Millis, at: &At) -> Result<Test> {
    let kind = &property.kind;
    let mismatch = || {
        ApiError::validation(format!(
            "The property type in the database does not match the property type of the filter provided: database property {} does not match filter {word}",
            kind.word()
        ))
    };
    let text_like = matches!(kind, Kind::Title | Kind::Url | Kind::Email | Kind::PhoneNumber);
    if word != kind.word() && !(word == "rich_text" && text_like) {
        return Err(mismatch());
    }
    match kind {
        Kind::Title | Kind::RichText | Kind::Url | Kind::Email | Kind::PhoneNumber => {
            parse_text(json, at).map(Test::Text)
        }
        Kind::Number { .. } => parse_number(json, at).map(Test::Number),
        Kind::UniqueId { .. } => parse_number(json, at).map(Test::UniqueId),
        Kind::Checkbox => parse_checkbox(json, at),
        Kind::Select { options } => parse_picked(json, options, &[], at),
        Kind::Status { options, groups } => parse_picked(json, options, groups, at),
        Kind::MultiSelect { options } => parse_contains(json, options, at),
        Kind::Date | Kind::CreatedTime | Kind::LastEditedTime => parse_date(json, now, at).map(Test::Date),
        Kind::People | Kind::CreatedBy | Kind::LastEditedBy | Kind::Relation { .. } => parse_member(json, at),
        Kind::Files => {
            let (word, value, place) = condition(json, at)?;
            parse_empty(word, value, &place.get())
        }
        Kind::Formula { .. } => parse_formula(json, now, at),
        Kind::Rollup { .. } => parse_rollup(json, now, at),
        Kind::Verification => parse_verification(json, at),
        Kind::Button | Kind::Place => Err(mismatch()),
    }
}

/// The place of a condition, kept so that a mistake can name it.
struct ConditionAt<'a>(&'a At<'a>, &'a str);

impl<'a> ConditionAt<'a> {
    fn get(&self) -> At<'a> {
        self.0.key(self.1)
    }
}

/// The one condition of a condition object.
fn condition<'a>(json: &'a Json, at: &'a At<'a>) -> Result<(&'a str, &'a Json, ConditionAt<'a>)> {
    let map: &Map<String, Json> = at::object(json, at)?;
    let mut entries = map.iter();
    let Some((word, value)) = entries.next() else {
        return Err(at.key("equals").should_be("defined", None));
    };
    if let Some((second, value)) = entries.next() {
        return Err(at.key(second).should_be("not present", Some(value)));
    }
    Ok((word, value, ConditionAt(at, word)))
}

fn only_true(value: &Json, at: &At) -> Result<()> {
    if *value == Json::Bool(true) { Ok(()) } else { Err(at.should_be("`true`", Some(value))) }
}

fn parse_text(json: &Json, at: &At) -> Result<TextTest> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let text = || at::string(value, 2000, &place).map(str::to_owned);
    let lower = || text().map(|text| text.to_lowercase());
    Ok(match word {
        "equals" => TextTest::Equals(text()?),
        "does_not_equal" => TextTest::DoesNotEqual(text()?),
        "contains" => TextTest::Contains(lower()?),
        "does_not_contain" => TextTest::DoesNotContain(lower()?),
        "starts_with" => TextTest::StartsWith(lower()?),
        "ends_with" => TextTest::EndsWith(lower()?),
        "is_empty" => only_true(value, &place).map(|()| TextTest::Empty(true))?,
        "is_not_empty" => only_true(value, &place).map(|()| TextTest::Empty(false))?,
        _ => return Err(place.should_be("not present", Some(value))),
    })
}

fn parse_number(json: &Json, at: &At) -> Result<NumberTest> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let number = || value.as_f64().ok_or_else(|| place.should_be("a number", Some(value)));
    Ok(match word {
        "equals" => NumberTest::Equals(number()?),
        "does_not_equal" => NumberTest::DoesNotEqual(number()?),
        "greater_than" => NumberTest::Above(number()?),
        "less_than" => NumberTest::Below(number()?),
        "greater_than_or_equal_to" => NumberTest::AtLeast(number()?),
        "less_than_or_equal_to" => NumberTest::AtMost(number()?),
        "is_empty" => only_true(value, &place).map(|()| NumberTest::Empty(true))?,
        "is_not_empty" => only_true(value, &place).map(|()| NumberTest::Empty(false))?,
        _ => return Err(place.should_be("not present", Some(value))),
    })
}

fn parse_checkbox(json: &Json, at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    match word {
        "equals" => Ok(Test::Checkbox(at::boolean(value, &place)?)),
        "does_not_equal" => Ok(Test::Checkbox(!at::boolean(value, &place)?)),
        _ => Err(place.should_be("not present", Some(value))),
    }
}

/// Names to option ids; names of groups stand for their options where an array is given.
fn named(value: &Json, options: &[Choice], groups: &[Group], at: &At) -> Result<Vec<OptionId>> {
    let names: Vec<&str> = match value {
        Json::Array(_) => at::array(value, 100, at)?
            .iter()
            .enumerate()
            .map(|(index, name)| at::string(name, 2000, &at.index(index)))
            .collect::<Result<_>>()?,
        _ => vec![at::string(value, 2000, at)?],
    };
    let mut found = Vec::new();
    for name in names {
        if let Some(choice) = options::by_name(options, name).or_else(|| options::by_id(options, name)) {
            found.push(choice.id.clone());
        } else if value.is_array()
            && let Some(group) = groups.iter().find(|group| group.name == name)
        {
            found.extend(group.options.iter().cloned());
        }
    }
    Ok(found)
}

fn parse_picked(json: &Json, options: &[Choice], groups: &[Group], at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    match word {
        "equals" => Ok(Test::Picked { any_of: named(value, options, groups, &place)?, negated: false }),
        "does_not_equal" => {
            Ok(Test::Picked { any_of: named(value, options, groups, &place)?, negated: true })
        }
        _ => parse_empty(word, value, &place),
    }
}

fn parse_contains(json: &Json, options: &[Choice], at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    match word {
        "contains" => Ok(Test::Contains { any_of: named(value, options, &[], &place)?, negated: false }),
        "does_not_contain" => {
            Ok(Test::Contains { any_of: named(value, options, &[], &place)?, negated: true })
        }
        _ => parse_empty(word, value, &place),
    }
}

fn parse_empty(word: &str, value: &Json, at: &At) -> Result<Test> {
    match word {
        "is_empty" => only_true(value, at).map(|()| Test::Empty(true)),
        "is_not_empty" => only_true(value, at).map(|()| Test::Empty(false)),
        _ => Err(at.should_be("not present", Some(value))),
    }
}

fn parse_member(json: &Json, at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let id = || -> Result<Option<Uuid>> {
        match at::string(value, 100, &place)? {
            // "me" of an internal connection matches nobody.
            "me" => Ok(None),
            text => {
                ids::parse_uuid(text).map(Some).ok_or_else(|| place.should_be("a valid uuid", Some(value)))
            }
        }
    };
    match word {
        "contains" => Ok(Test::Member { id: id()?, negated: false }),
        "does_not_contain" => Ok(Test::Member { id: id()?, negated: true }),
        _ => parse_empty(word, value, &place),
    }
}

pub(crate) fn parse_date(json: &Json, now: Millis, at: &At) -> Result<DateTest> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let bound = || -> Result<Span> {
        let text = at::string(value, 100, &place)?;
        dates::parse_bound(text, now)
            .ok_or_else(|| place.should_be("a valid ISO 8601 date string", Some(value)))
    };
    let today = now.div_euclid(DAY) * DAY;
    // 1970 began on a Thursday; weeks begin on Sunday.
    let sunday = today - (today.div_euclid(DAY) + 4).rem_euclid(7) * DAY;
    let within = |from: Millis, until: Millis| {
        at::object(value, &place).map(|_| DateTest::Within(Span { from, until }))
    };
    match word {
        "equals" => bound().map(DateTest::Equals),
        "before" => bound().map(|span| DateTest::Before(span.from)),
        "after" => bound().map(|span| DateTest::From(span.until)),
        "on_or_before" => bound().map(|span| DateTest::Before(span.until)),
        "on_or_after" => bound().map(|span| DateTest::From(span.from)),
        "past_week" => within(today - 7 * DAY, today + DAY),
        "past_month" => within(dates::add_months(today, -1), today + DAY),
        "past_year" => within(dates::add_months(today, -12), today + DAY),
        "this_week" => within(sunday, sunday + 7 * DAY),
        "next_week" => within(today, today + 8 * DAY),
        "next_month" => within(today, dates::add_months(today, 1) + DAY),
        "next_year" => within(today, dates::add_months(today, 12) + DAY),
        "is_empty" => only_true(value, &place).map(|()| DateTest::Empty(true)),
        "is_not_empty" => only_true(value, &place).map(|()| DateTest::Empty(false)),
        _ => Err(place.should_be("not present", Some(value))),
    }
}

fn parse_formula(json: &Json, now: Millis, at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let test = match word {
        "string" => Test::Text(parse_text(value, &place)?),
        "number" => Test::Number(parse_number(value, &place)?),
        "checkbox" => parse_checkbox(value, &place)?,
        "date" => Test::Date(parse_date(value, now, &place)?),
        _ => return Err(place.should_be("not present", Some(value))),
    };
    Ok(Test::Formula(Box::new(test)))
}

fn parse_rollup(json: &Json, now: Millis, at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let inner = || -> Result<Box<Test>> {
        let (kind, condition, inner) = condition(value, &place)?;
        let inner = inner.get();
        let test = match kind {
            "title" | "rich_text" | "url" | "email" | "phone_number" => {
                Test::Text(parse_text(condition, &inner)?)
            }
            "number" => Test::Number(parse_number(condition, &inner)?),
            "checkbox" => parse_checkbox(condition, &inner)?,
            "date" => Test::Date(parse_date(condition, now, &inner)?),
            "people" | "relation" => parse_member(condition, &inner)?,
            _ => return Err(inner.should_be("not present", Some(condition))),
        };
        Ok(Box::new(test))
    };
    Ok(Test::Rollup(match word {
        "any" => RollupTest::Any(inner()?),
        "every" => RollupTest::Every(inner()?),
        "none" => RollupTest::None(inner()?),
        "number" => RollupTest::Value(Box::new(Test::Number(parse_number(value, &place)?))),
        "date" => RollupTest::Value(Box::new(Test::Date(parse_date(value, now, &place)?))),
        _ => return Err(place.should_be("not present", Some(value))),
    }))
}

fn parse_verification(json: &Json, at: &At) -> Result<Test> {
    let (word, value, place) = condition(json, at)?;
    let place = place.get();
    let state = match at::one_of(value, &["verified", "expired", "none"], &place)? {
        "verified" => "verified",
        "expired" => "expired",
        _ => "none",
    };
    match word {
        "status" => Ok(Test::Verified(state, false)),
        "does_not_equal" => Ok(Test::Verified(state, true)),
        _ => Err(place.should_be("not present", Some(value))),
    }
}

impl Filter {
    /// Whether a row passes.
    pub(crate) fn matches(&self, world: &World, source: &DataSource, page: &Page) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(world, source, page)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(world, source, page)),
            Self::Created(test) => test.matches(Some(clock::minute(page.created))),
            Self::Edited(test) => test.matches(Some(clock::minute(page.edited))),
            Self::Property(id, test) => match source.by_id(id) {
                Some(property) => test.matches(world, source, page, property),
                None => false,
            },
        }
    }

    /// The span of creation (or edit) minutes outside of which nothing can pass.
    pub(crate) fn span(&self, created: bool) -> Span {
        let all = Span { from: Millis::MIN, until: Millis::MAX };
        match self {
            Self::And(nodes) => nodes
                .iter()
                .map(|node| node.span(created))
                .fold(all, |one, two| Span { from: one.from.max(two.from), until: one.until.min(two.until) }),
            Self::Created(test) if created => test.span(),
            Self::Edited(test) if !created => test.span(),
            _ => all,
        }
    }

    /// A text that every passing row must equal, which an index can look up.
    pub(crate) fn exact_text(&self) -> Option<(&PropertyId, &str)> {
        match self {
            Self::Property(id, Test::Text(TextTest::Equals(text))) if !text.is_empty() => Some((id, text)),
            Self::And(nodes) => nodes.iter().find_map(Self::exact_text),
            _ => None,
        }
    }
}

impl Test {
    fn matches(&self, world: &World, source: &DataSource, page: &Page, property: &Property) -> bool {
        let value = page.value(&property.id);
        match self {
            Self::Text(test) => test.matches(&text_of(value)),
            Self::Number(test) => test.matches(number_of(value)),
            Self::UniqueId(test) => test.matches(number_of(value)),
            Self::Checkbox(wanted) => matches!(value, Some(Value::Checkbox(true))) == *wanted,
            Self::Picked { any_of, negated } => {
                let hit = matches!(value, Some(Value::Select(id)) if any_of.contains(id));
                hit != *negated
            }
            Self::Contains { any_of, negated } => {
                let hit = matches!(value, Some(Value::MultiSelect(ids)) if ids.iter().any(|id| any_of.contains(id)));
                hit != *negated
            }
            Self::Date(test) => {
                let at = match property.kind {
                    Kind::CreatedTime => Some(clock::minute(page.created)),
                    Kind::LastEditedTime => Some(clock::minute(page.edited)),
                    _ => match value {
                        Some(Value::Date(date)) => Some(date.start.at),
                        _ => None,
                    },
                };
                test.matches(at)
            }
            Self::Member { id, negated } => {
                let hit = match (property.kind.word(), value) {
                    ("created_by", _) => Some(page.created_by) == *id,
                    ("last_edited_by", _) => Some(page.edited_by) == *id,
                    (_, Some(Value::People(ids) | Value::Relation(ids))) => {
                        id.is_some_and(|id| ids.contains(&id))
                    }
                    _ => false,
                };
                hit != *negated
            }
            Self::Empty(wanted) => {
                let empty = !matches!(property.kind, Kind::CreatedBy | Kind::LastEditedBy) && value.is_none();
                empty == *wanted
            }
            Self::Verified(state, negated) => {
                let hit = match value {
                    Some(Value::Verified { .. }) => *state == "verified",
                    _ => *state == "none",
                };
                hit != *negated
            }
            Self::Formula(test) => match &property.kind {
                Kind::Formula { expression } => {
                    test.matches_outcome(&computed::formula(source, page, expression))
                }
                _ => false,
            },
            Self::Rollup(test) => test.matches(world, source, page, property),
        }
    }

    /// Tries a formula's or rollup's result; negations drop what is empty.
    fn matches_outcome(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Text(TextTest::DoesNotEqual(_) | TextTest::DoesNotContain(_)), Outcome::Text(text))
                if text.is_empty() =>
            {
                false
            }
            (Self::Number(NumberTest::DoesNotEqual(_)), Outcome::Number(None)) => false,
            (Self::Text(test), Outcome::Text(text)) => test.matches(text),
            (Self::Number(test), Outcome::Number(number)) => test.matches(*number),
            (Self::Checkbox(wanted), Outcome::Boolean(value)) => wanted == value,
            (Self::Date(test), Outcome::Date(date)) => test.matches(date.as_ref().map(|date| date.start.at)),
            _ => false,
        }
    }
}

impl RollupTest {
    fn matches(&self, world: &World, source: &DataSource, page: &Page, property: &Property) -> bool {
        let Kind::Rollup { relation, target, function } = &property.kind else { return false };
        if let Self::Value(test) = self {
            return test.matches_outcome(&computed::rollup(
                world,
                source,
                page,
                (relation, target, function),
            ));
        }
        let Some(rolled) = computed::rolled_up(world, source, page, relation, target) else { return false };
        let hits = |test: &Test| {
            let each: Vec<bool> = rolled
                .pages
                .iter()
                .map(|page| test.matches(world, rolled.source, page, rolled.property))
                .collect();
            (each.contains(&true), each.contains(&false))
        };
        match self {
            Self::Any(test) => hits(test).0,
            Self::Every(test) => !hits(test).1,
            Self::None(test) => !hits(test).0,
            Self::Value(_) => false,
        }
    }
}

impl TextTest {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == wanted,
            Self::DoesNotEqual(wanted) => text != wanted,
            Self::Contains(wanted) => text.to_lowercase().contains(wanted),
            Self::DoesNotContain(wanted) => !text.to_lowercase().contains(wanted),
            Self::StartsWith(wanted) => text.to_lowercase().starts_with(wanted),
            Self::EndsWith(wanted) => text.to_lowercase().ends_with(wanted),
            Self::Empty(wanted) => text.is_empty() == *wanted,
        }
    }
}

impl NumberTest {
    #[expect(clippy::float_cmp, reason = "a filter asks for exactly this number")]
    fn matches(self, number: Option<f64>) -> bool {
        match (self, number) {
            (Self::Empty(wanted), number) => number.is_none() == wanted,
            (Self::DoesNotEqual(wanted), number) => number != Some(wanted),
            (_, None) => false,
            (Self::Equals(wanted), Some(number)) => number == wanted,
            (Self::Above(bound), Some(number)) => number > bound,
            (Self::Below(bound), Some(number)) => number < bound,
            (Self::AtLeast(bound), Some(number)) => number >= bound,
            (Self::AtMost(bound), Some(number)) => number <= bound,
        }
    }
}

impl DateTest {
    fn matches(self, at: Option<Millis>) -> bool {
        match (self, at) {
            (Self::Empty(wanted), at) => at.is_none() == wanted,
            (_, None) => false,
            (Self::Equals(span) | Self::Within(span), Some(at)) => at >= span.from && at < span.until,
            (Self::Before(bound), Some(at)) => at < bound,
            (Self::From(bound), Some(at)) => at >= bound,
        }
    }

    fn span(self) -> Span {
        match self {
            Self::Equals(span) | Self::Within(span) => span,
            Self::Before(bound) => Span { from: Millis::MIN, until: bound },
            Self::From(bound) => Span { from: bound, until: Millis::MAX },
            Self::Empty(_) => Span { from: Millis::MIN, until: Millis::MAX },
        }
    }
}

fn text_of(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        Some(Value::Text(text)) => Cow::Borrowed(text),
        Some(Value::RichText(items)) => joined(items),
        _ => Cow::Borrowed(""),
    }
}

fn joined(items: &[Item]) -> Cow<'_, str> {
    match items {
        [item] => Cow::Borrowed(item.text()),
        items => Cow::Owned(rich_text::plain_text(items)),
    }
}

fn number_of(value: Option<&Value>) -> Option<f64> {
    match value {
        Some(Value::Number(number)) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "row numbers are far below 2^53")]
        Some(Value::UniqueId(number)) => Some(*number as f64),
        _ => None,
    }
}
