//! A field with expressions held against its table: are they sound, and what do they make of it?

use jiff::tz::TimeZone;
use pagerow_core::{
    expression::{Expression, Wrong},
    fidelity::Reason,
    lens::{Lens, failure},
    mapping::ColumnKind,
    side::Side,
    value::Value,
};

use super::{
    Look,
    field::{Origin, column_origin},
    no_such_column, samples,
};
use crate::{
    config::{FieldConfig, PropertyWord, Setting, nearest},
    postgres::table::{BesideColumn, FieldSource},
    setup::{kinds::column_kind, tables::TableInfo},
};

/// A field's origin, seen through its expressions.
pub(super) struct Through<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) lens: Lens,
    pub(super) beside: Vec<BesideColumn>,
}

pub(super) fn origin<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    field: &'a FieldConfig,
    key: &str,
) -> Option<Through<'a>> {
    let to = field.to_notion.as_ref().map(|setting| parsed(look, setting, Side::Notion));
    let from = field.from_notion.as_ref().map(|setting| parsed(look, setting, Side::Postgres));
    let (to, from) = (transposed(to)?, transposed(from)?);
    let made_of_others = from.is_none() && to.as_ref().is_some_and(|to| !to.uses_value());
    let mut origin = match table.column(&field.column) {
        None if made_of_others => Origin {
            column: None,
            holds: ColumnKind::Text { max: None },
            source: FieldSource::Derived,
            required: false,
            fixed: Some("it is made of other columns".to_owned()),
            mend: None,
        },
        // A word of the user's own has no value.
        None => {
            let error = no_such_column(look, table, &field.column, &field.place, key);
            look.errors.push(error);
            return None;
        }
        Some(_) => column_origin(look, table, field, key)?,
    };
    let own = matches!(origin.source, FieldSource::Column { .. }).then(|| origin.holds.clone());
    let lens = Lens {
        to_notion: to,
        from_notion: from,
        column: own,
        required: origin.required,
        once: field.once.as_ref().is_some_and(|once| once.value),
    };
    let Some((to, setting)) = lens.to_notion.as_ref().zip(field.to_notion.as_ref()) else {
        // The property is not known yet; the rest is checked beside it.
        return Some(Through { origin, lens, beside: Vec::new() });
    };
    let beside = columns(look, table, setting, to)?;
    if lens.from_notion.is_none() {
        origin.fixed = Some("an expression is shown, and without `from_notion` not written back".to_owned());
        origin.mend = None;
    }
    origin.required = false;
    origin.holds =
        made(look, field, setting, &lens, &beside, origin.column.and_then(|c| c.allowed.as_deref()))?;
    Some(Through { origin, lens, beside })
}

/// The kind of property that suits what an expression makes.
pub(super) fn first_choice(holds: &ColumnKind) -> PropertyWord {
    match holds {
        ColumnKind::Numeric { .. } => PropertyWord::Number,
        ColumnKind::Bool => PropertyWord::Checkbox,
        ColumnKind::Day | ColumnKind::Instant | ColumnKind::DayRange | ColumnKind::InstantRange => {
            PropertyWord::Date
        }
        ColumnKind::List(_) => PropertyWord::MultiSelect,
        _ => PropertyWord::RichText,
    }
}

/// Complains about an expression, with the nearest known word.
pub(in crate::setup) fn complain_wrong(look: &mut Look<'_>, setting: &Setting<String>, wrong: &Wrong) {
    let error = look.error(
        &setting.place,
        "wrong_expression",
        &setting.key,
        format!("the expression is wrong: {wrong}"),
    );
    let error = match wrong {
        Wrong::Unknown { name, known, .. } => error
            .suggest(nearest(name, known.iter().map(String::as_str)))
            .advise(format!("it knows {}", known.join(", "))),
        Wrong::Syntax(_) | Wrong::Whole(_) => error.advise("docs/expressions.md describes the language"),
    };
    look.errors.push(error);
}

fn parsed(look: &mut Look<'_>, setting: &Setting<String>, to: Side) -> Option<Expression> {
    match Expression::parse(&setting.value, to) {
        Ok(expression) => Some(expression),
        Err(wrong) => {
            complain_wrong(look, setting, &wrong);
            None
        }
    }
}

/// `None` where something is wrong, `Some(None)` where nothing is there.
#[expect(clippy::option_option, reason = "the outer one says whether to go on")]
fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |read| read.map(Some))
}

/// The columns that an expression looks at.
fn columns<'a>(
    look: &mut Look<'a>,
    table: &'a TableInfo,
    setting: &Setting<String>,
    expression: &Expression,
) -> Option<Vec<BesideColumn>> {
    let mut columns = Vec::new();
    let before = look.errors.len();
    for name in expression.names() {
        let Some(column) = table.column(name) else {
            let error = no_such_column(look, table, name, &setting.place, &setting.key);
            look.errors.push(error);
            continue;
        };
        match column_kind(column) {
            Ok(_) if !column.may_select => {
                let message = format!("the role may not read the column {name}");
                let advice = format!("GRANT SELECT ({name}) ON {} TO the role", table.full_name());
                look.complain(setting, "missing_rights", message, advice);
            }
            Ok(holds) => columns.push(BesideColumn {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
                base: column.base.clone(),
                holds,
            }),
            Err(reason) => {
                let message = format!("an expression cannot look at the column {name}: {reason}");
                look.complain(setting, "wrong_pair", message, "leave it out of the expression");
            }
        }
    }
    (look.errors.len() == before).then_some(columns)
}

/// What kind of values the expression makes, told by samples of its columns' kinds; and whether they come back.
fn made<'a>(
    look: &mut Look<'a>,
    field: &'a FieldConfig,
    setting: &Setting<String>,
    lens: &Lens,
    beside: &[BesideColumn],
    allowed: Option<&[String]>,
) -> Option<ColumnKind> {
    let to = lens.to_notion.as_ref()?;
    let own = lens.column.clone().unwrap_or(ColumnKind::Text { max: None });
    let words: Vec<String> = to.literals().iter().chain(allowed.unwrap_or_default()).cloned().collect();
    let mut values = samples::of_column(&own, &words);
    if lens.required {
        values.retain(|value| !value.is_null());
    }
    let rows: Vec<Vec<Value>> =
        beside.iter().map(|column| samples::of_column(&column.holds, to.literals())).collect();
    let most = rows.iter().map(Vec::len).chain([values.len()]).max().unwrap_or(1);
    let mut results: Vec<(Value, Value)> = Vec::new();
    let mut refused: Option<Reason> = None;
    for at in 0..most {
        let value = &values[at % values.len()];
        let row = |name: &str| {
            let place = beside.iter().position(|column| column.name == name)?;
            rows[place].get(at % rows[place].len())
        };
        let shows = lens.of_row(value, &row, &TimeZone::UTC);
        match failure(&shows) {
            None => results.push((value.clone(), shows)),
            Some(reason) => drop(refused.get_or_insert(reason)),
        }
    }
    let kind = results.iter().find_map(|(_, shows)| samples::kind_of(shows));
    match (&kind, &refused) {
        // Texts may be of a form that no sample has.
        (None, Some(reason)) if !samples::is_free(to.uses_value().then_some(&own), beside) => {
            let message = format!("for no value of its columns' types it gives a result: {}", reason.text);
            look.complain(setting, "wrong_expression", message, "docs/expressions.md describes the language");
            return None;
        }
        (None, Some(reason)) => look.warn(
            setting.key.clone(),
            format!("for no sample it gives a result: {}", reason.text),
            Some("records for which it fails are parked".to_owned()),
        ),
        (Some(_), _) | (None, None) => {}
    }
    // What people forget: nothing is written out as a word.
    let spells = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "none");
    let spelled = results.iter().any(|(_, shows)| matches!(shows, Value::Text(text) if spells(text)));
    if spelled && !words.iter().any(|word| spells(word)) {
        look.warn(
            setting.key.clone(),
            "it shows the word none where a column is NULL",
            Some(
                "join texts with [a, b]|join(' '), which leaves out what is not there, or write (a or '')"
                    .to_owned(),
            ),
        );
    }
    if lens.from_notion.is_some() {
        comes_back(look, field, lens, &results)?;
    }
    Some(kind.unwrap_or(ColumnKind::Text { max: None }))
}

/// Whether samples come back from Notion as what they were.
fn comes_back(
    look: &mut Look<'_>,
    field: &FieldConfig,
    lens: &Lens,
    results: &[(Value, Value)],
) -> Option<()> {
    let (from, setting) = lens.from_notion.as_ref().zip(field.from_notion.as_ref())?;
    if from.looks_around() {
        look.complain(
            setting,
            "wrong_expression",
            "beside `to_notion` it can look at `value` only, since it is evaluated when the row is written",
            "leave `page` and `edited_at` out, or leave `to_notion` out",
        );
        return None;
    }
    let back = |(value, shows): &&(Value, Value)| lens.brings_back(value, shows, &TimeZone::UTC);
    let lost: Vec<&(Value, Value)> = results.iter().filter(|one| !back(one)).collect();
    let Some((value, _)) = lost.first() else { return Some(()) };
    let sample = if value.is_null() { "NULL".to_owned() } else { value.plain().to_string() };
    // That nothing comes back as nothing is little.
    let some = |one: &&(Value, Value)| !one.0.is_null();
    if results.iter().filter(some).all(|one| !back(&one)) {
        let message = format!("it brings no value back that `to_notion` showed, for example not {sample}");
        look.complain(setting, "lossy_pair", message, "make it the inverse of `to_notion`, or leave it out");
        return None;
    }
    look.warn(
        setting.key.clone(),
        format!("it does not bring every value back that `to_notion` showed, for example not {sample}"),
        Some("an edit in Notion is not written over such a value; its record is parked".to_owned()),
    );
    Some(())
}
