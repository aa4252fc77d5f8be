//! The small language of `to_notion` and `from_notion`: a text, checked once, that makes one value of others.
//!
//! The language is that of the expressions of Jinja, as `minijinja` evaluates them, with our own words beside it
//! ([`words`]). It has no statements, no loops, no clock, no chance and no way out: the same inputs give the same
//! value. `docs/expressions.md` describes it, and a test evaluates what stands there.

mod convert;
mod decimal;
mod scan;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZone};
use minijinja::{ErrorKind, Value as Cell};
use serde::{Deserialize, Serialize};

use crate::{fidelity::Reason, side::Side, value::Value};

/// Longest text of an expression, in bytes: it is read by a function that calls itself.
const TEXT_BYTES: usize = 2_000;
/// Most brackets within each other, for the same reason.
const NESTING: usize = 20;
/// How many steps one evaluation may take.
const FUEL: u64 = 50_000;
/// Longest text and longest list that may come out: what a text property can hold.
const RESULT_UNITS: usize = crate::fidelity::RICH_TEXT_UNITS;
const RESULT_ITEMS: usize = 1_000;

/// One expression that was found sound. Two are equal when their texts are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Expression {
    text: Arc<str>,
    to: Side,
    names: Arc<BTreeSet<String>>,
    uses_value: bool,
    uses_time: bool,
    compares: bool,
    literals: Arc<[String]>,
    program: Arc<minijinja::Expression<'static, 'static>>,
}

/// What an expression is as data.
#[derive(Serialize, Deserialize)]
struct Stored {
    text: String,
    to: Side,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// A name that is not known here.
    #[error("it knows no {what} {name}")]
    Unknown { what: &'static str, name: String, known: Vec<String> },
    /// `row` or `page` stands alone, so that nobody can tell what is meant of it.
    #[error("{0} has to be followed by a name, as in {0}.name or {0}[\"name\"]")]
    Whole(&'static str),
}

/// What an expression looks at.
#[derive(Clone, Copy)]
pub struct Inputs<'a, 'v> {
    pub value: &'a Value,
    /// The row's columns or the page's properties, by name; `None` for what was not read.
    pub around: &'a dyn Fn(&str) -> Option<&'v Value>,
    /// When the page was last edited.
    pub edited: Option<Timestamp>,
    /// In which the days and clock times of instants are read.
    pub zone: &'a TimeZone,
}

impl Expression {
    /// Reads an expression whose result goes to a side: to Notion it sees `value` and `row`, to Postgres `value`,
    /// `page` and `edited_at`.
    ///
    /// # Errors
    /// [`Wrong`] with what is wrong.
    pub fn parse(text: &str, to: Side) -> Result<Self, Wrong> {
        if text.len() > TEXT_BYTES {
            return Err(Wrong::Syntax(format!("it is longer than {TEXT_BYTES} bytes")));
        }
        let (around, edited) = match to {
            Side::Notion => ("row", None),
            Side::Postgres => ("page", Some("edited_at")),
        };
        let found = scan::scan(text, around);
        if found.nesting > NESTING {
            return Err(Wrong::Syntax(format!("more than {NESTING} brackets stand within each other")));
        }
        let program = words::language()
            .compile_expression_owned(text.to_owned())
            .map_err(|error| Wrong::Syntax(error.detail().unwrap_or("unexpected end").to_owned()))?;
        let unknown = |what, name: &str, known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            Err(Wrong::Unknown { what, name: name.to_owned(), known })
        };
        if let Some(name) = found.filters.iter().find(|name| !words::FILTERS.contains(&name.as_str())) {
            return unknown("filter", name, words::FILTERS);
        }
        if let Some(name) = found.tests.iter().find(|name| !words::TESTS.contains(&name.as_str())) {
            return unknown("test", name, words::TESTS);
        }
        let variables: BTreeSet<String> = program.undeclared_variables(false).into_iter().collect();
        let known: Vec<&str> =
            ["value", around].into_iter().chain(edited).chain(words::FUNCTIONS.iter().copied()).collect();
        if let Some(name) = variables.iter().find(|name| !known.contains(&name.as_str())) {
            return unknown("name", name, &known);
        }
        if found.whole {
            return Err(Wrong::Whole(around));
        }
        Ok(Self {
            text: text.into(),
            to,
            names: Arc::new(found.names),
            uses_value: variables.contains("value"),
            uses_time: variables.contains("edited_at"),
            literals: found.literals.into(),
            compares: found.compares,
            program: Arc::new(program),
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns of `row`, or the properties of `page`, that it looks at.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Whether it looks at `value`.
    #[must_use]
    pub fn uses_value(&self) -> bool {
        self.uses_value
    }

    /// Whether it looks at anything but `value`.
    #[must_use]
    pub fn looks_around(&self) -> bool {
        self.uses_time || !self.names.is_empty()
    }

    /// The texts that stand in it: what it is likely to be given.
    #[must_use]
    pub fn literals(&self) -> &[String] {
        &self.literals
    }

    /// What the expression makes of its inputs.
    ///
    /// # Errors
    /// A reason that holds no content: the expression fails for these inputs, takes too long, or makes too much.
    pub fn evaluate(&self, inputs: Inputs<'_, '_>) -> Result<Value, Reason> {
        let around = self.names.iter().map(|name| match (inputs.around)(name) {
            Some(value) => self.cell(value).map(|cell| (name.clone(), cell)),
            None => Err(failed(format!("{name} was not read"))),
        });
        let around = Cell::from(around.collect::<Result<BTreeMap<_, _>, _>>()?);
        let value = self.cell(inputs.value)?;
        let zone = Cell::from_object(words::Zone(inputs.zone.clone()));
        let mut scope = BTreeMap::from([("value", value), (words::ZONE, zone)]);
        match self.to {
            Side::Notion => drop(scope.insert("row", around)),
            Side::Postgres => {
                let edited = inputs.edited.map_or(Cell::from(()), |at| convert::cell(&Value::Instant(at)));
                scope.extend([("page", around), ("edited_at", edited)]);
            }
        }
        let made = self.program.eval(Cell::from(scope)).map_err(|error| reason(&error))?;
        convert::value(&made).map_err(failed)
    }

    /// A value as the language sees it.
    fn cell(&self, value: &Value) -> Result<Cell, Reason> {
        match value {
            // The language would order it by what kind of thing it is, without a word.
            Value::Number(number) if self.compares && convert::is_long(number) => Err(failed(
                "a number of more than 15 digits cannot be compared by an operator; use the tests above, below and same",
            )),
            value => Ok(convert::cell(value)),
        }
    }
}

/// The words that the language knows: filters, tests and functions.
pub fn known_words() -> impl Iterator<Item = &'static str> {
    words::FILTERS.iter().chain(words::TESTS).chain(words::FUNCTIONS).copied()
}

/// A reason for which a record is parked; `text` holds no content.
fn failed(text: impl Into<String>) -> Reason {
    Reason::new("expression", format!("the expression fails: {}", text.into()))
}

/// The language's own words may quote a value, so only the kind of error is told, and what our own words say.
fn reason(error: &minijinja::Error) -> Reason {
    let ours = error.detail().and_then(|detail| detail.strip_prefix(words::OURS));
    let text = match (error.kind(), ours) {
        (_, Some(ours)) => ours,
        (ErrorKind::OutOfFuel, None) => "it takes too long",
        (ErrorKind::UndefinedError, None) => "something in it is not there",
        (ErrorKind::UnknownMethod | ErrorKind::UnknownFunction, None) => "it calls what cannot be called",
        (ErrorKind::MissingArgument, None) => "an argument is missing",
        (ErrorKind::TooManyArguments, None) => "there are too many arguments",
        (_, None) => "a value is of a kind that cannot be used there",
    };
    failed(text)
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.to) == (&other.text, other.to)
    }
}

impl Eq for Expression {}

impl From<Expression> for Stored {
    fn from(expression: Expression) -> Self {
        Self { text: expression.text.to_string(), to: expression.to }
    }
}

impl TryFrom<Stored> for Expression {
    type Error = Wrong;

    fn try_from(stored: Stored) -> Result<Self, Wrong> {
        Self::parse(&stored.text, stored.to)
    }
}

#[cfg(test)]
mod tests;
