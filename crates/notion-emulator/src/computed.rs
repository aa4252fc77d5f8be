//! Values that follow from others: rollups of the simple functions, and formulas simple enough to evaluate.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    dates::DateValue,
    rich_text,
    schema::{Kind, Property},
    values::Value,
    world::{DataSource, Page, World},
};

/// What a rollup or formula comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Number(Option<f64>),
    Text(String),
    Boolean(bool),
    Date(Option<DateValue>),
    /// The related pages whose values a rollup lists.
    List(Vec<Uuid>),
    Unsupported,
}

/// The related pages, and the column of them that a rollup looks at.
pub(crate) struct RolledUp<'w> {
    pub(crate) pages: Vec<&'w Page>,
    pub(crate) source: &'w DataSource,
    pub(crate) property: &'w Property,
}

/// What a rollup looks at; `None` when its relation or column is gone.
pub(crate) fn rolled_up<'w>(
    world: &'w World,
    source: &'w DataSource,
    page: &Page,
    relation: &str,
    target: &str,
) -> Option<RolledUp<'w>> {
    let relation = source.by_id(relation)?;
    let Kind::Relation { source: other, .. } = &relation.kind else { return None };
    let other = world.sources.get(other)?;
    let property = other.by_id(target)?;
    let pages = match page.value(&relation.id) {
        Some(Value::Relation(ids)) => {
            ids.iter().filter_map(|id| world.pages.get(id)).filter(|page| !page.in_trash).collect()
        }
        _ => Vec::new(),
    };
    Some(RolledUp { pages, source: other, property })
}

/// Computes a rollup. Functions beyond the simple ones come to `Unsupported`.
pub(crate) fn rollup(
    world: &World,
    source: &DataSource,
    page: &Page,
    (relation, target, function): (&str, &str, &str),
) -> Outcome {
    let Some(RolledUp { pages, property, .. }) = rolled_up(world, source, page, relation, target) else {
        return Outcome::Unsupported;
    };
    let values: Vec<Option<&Value>> = pages.iter().map(|page| page.value(&property.id)).collect();
    let total = values.len();
    let filled = values.iter().flatten().count();
    let checked = values.iter().filter(|value| matches!(value, Some(Value::Checkbox(true)))).count();
    let numbers: Vec<f64> = values
        .iter()
        .flatten()
        .filter_map(|value| if let Value::Number(number) = value { Some(*number) } else { None })
        .collect();
    let mut dates: Vec<&DateValue> = values
        .iter()
        .flatten()
        .filter_map(|value| if let Value::Date(date) = value { Some(&**date) } else { None })
        .collect();
    dates.sort_by_key(|date| date.start.at);
    let of_numbers =
        |compute: fn(&[f64]) -> f64| Outcome::Number((!numbers.is_empty()).then(|| compute(&numbers)));
    match function {
        "count" | "count_all" => count(total),
        "count_values" | "not_empty" | "not_empty_values" => count(filled),
        "empty" => count(total - filled),
        "percent_empty" => share(total - filled, total),
        "percent_not_empty" => share(filled, total),
        "checked" => count(checked),
        "unchecked" => count(total - checked),
        "percent_checked" => share(checked, total),
        "percent_unchecked" => share(total - checked, total),
        "sum" => of_numbers(|numbers| numbers.iter().sum()),
        "average" => of_numbers(|numbers| numbers.iter().sum::<f64>() / as_f64(numbers.len())),
        "min" => of_numbers(|numbers| numbers.iter().copied().fold(f64::INFINITY, f64::min)),
        "max" => of_numbers(|numbers| numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "range" => of_numbers(|numbers| {
            numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
                - numbers.iter().copied().fold(f64::INFINITY, f64::min)
        }),
        "median" => of_numbers(median),
        "earliest_date" => Outcome::Date(dates.first().map(|date| DateValue::clone(date))),
        "latest_date" => Outcome::Date(dates.last().map(|date| DateValue::clone(date))),
        "unique" | "unique_values" => {
            let mut distinct: Vec<&Value> = Vec::new();
            for value in values.into_iter().flatten() {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            }
            count(distinct.len())
        }
        "show_original" => Outcome::List(pages.iter().map(|page| page.id).collect()),
        _ => Outcome::Unsupported,
    }
}

fn count(count: usize) -> Outcome {
    Outcome::Number(Some(as_f64(count)))
}

fn share(part: usize, whole: usize) -> Outcome {
    Outcome::Number((whole > 0).then(|| as_f64(part) / as_f64(whole)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of related pages are far below 2^53")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Computes a formula that is a literal, one `prop("…")`, or a sum, difference, product or quotient of such
/// numbers, or a concatenation of such texts; all else is `Unsupported`.
pub(crate) fn formula(source: &DataSource, page: &Page, expression: &str) -> Outcome {
    evaluate(source, page, expression.trim()).unwrap_or(Outcome::Unsupported)
}

fn evaluate(source: &DataSource, page: &Page, expression: &str) -> Option<Outcome> {
    for operator in ['+', '-', '*', '/'] {
        if let Some((left, right)) = split(expression, operator) {
            let left = evaluate(source, page, left.trim())?;
            let right = evaluate(source, page, right.trim())?;
            return apply(operator, &left, &right);
        }
    }
    if let Ok(number) = expression.parse::<f64>() {
        return Some(Outcome::Number(Some(number)));
    }
    match expression {
        "true" => return Some(Outcome::Boolean(true)),
        "false" => return Some(Outcome::Boolean(false)),
        _ => {}
    }
    if let Some(text) = expression.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return (!text.contains(['"', '\\'])).then(|| Outcome::Text(text.to_owned()));
    }
    let name = expression.strip_prefix("prop(\"")?.strip_suffix("\")")?;
    let property = source.property(name)?;
    let value = page.value(&property.id);
    Some(match (&property.kind, value) {
        (Kind::Number { .. }, Some(Value::Number(number))) => Outcome::Number(Some(*number)),
        (Kind::Number { .. }, _) => Outcome::Number(None),
        (Kind::Checkbox, value) => Outcome::Boolean(value.is_some()),
        (Kind::Title | Kind::RichText, Some(Value::RichText(items))) => {
            Outcome::Text(rich_text::plain_text(items))
        }
        (Kind::Url | Kind::Email | Kind::PhoneNumber, Some(Value::Text(text))) => Outcome::Text(text.clone()),
        (Kind::Title | Kind::RichText | Kind::Url | Kind::Email | Kind::PhoneNumber, _) => {
            Outcome::Text(String::new())
        }
        (Kind::Date, Some(Value::Date(date))) => Outcome::Date(Some(DateValue::clone(date))),
        (Kind::Date, _) => Outcome::Date(None),
        (Kind::Formula { expression }, _) if !expression.contains("prop(") => {
            evaluate(source, page, expression)?
        }
        _ => return None,
    })
}

/// Splits at the last such operator that stands outside quotes and brackets.
fn split(expression: &str, operator: char) -> Option<(&str, &str)> {
    let (mut quoted, mut depth, mut found) = (false, 0_i32, None);
    for (index, letter) in expression.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            letter if letter == operator && !quoted && depth == 0 && index > 0 => found = Some(index),
            _ => {}
        }
    }
    found.map(|index| (&expression[..index], &expression[index + 1..]))
}

fn apply(operator: char, left: &Outcome, right: &Outcome) -> Option<Outcome> {
    match (operator, left, right) {
        ('+', Outcome::Text(left), Outcome::Text(right)) => Some(Outcome::Text(format!("{left}{right}"))),
        (_, Outcome::Number(left), Outcome::Number(right)) => {
            let (Some(left), Some(right)) = (left, right) else { return Some(Outcome::Number(None)) };
            Some(Outcome::Number(Some(match operator {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' if *right != 0.0 => left / right,
                _ => return Some(Outcome::Number(None)),
            })))
        }
        _ => None,
    }
}

/// The object under `formula`.
pub(crate) fn formula_json(outcome: &Outcome) -> Json {
    match outcome {
        Outcome::Number(number) => json!({"type": "number", "number": number_json(*number)}),
        Outcome::Text(text) => json!({"type": "string", "string": text}),
        Outcome::Boolean(value) => json!({"type": "boolean", "boolean": value}),
        Outcome::Date(date) => json!({"type": "date", "date": date_json(date.as_ref())}),
        Outcome::List(_) | Outcome::Unsupported => json!({"type": "unsupported", "unsupported": {}}),
    }
}

/// A number as a tree, whole where it is whole.
pub(crate) fn number_json(number: Option<f64>) -> Json {
    let mut out = String::new();
    match number {
        None => return Json::Null,
        Some(number) => crate::json::number(&mut out, number),
    }
    serde_json::from_str(&out).unwrap_or_default()
}

/// A date as a tree.
pub(crate) fn date_json(date: Option<&DateValue>) -> Json {
    match date {
        None => Json::Null,
        Some(date) => json!({
            "start": date.start.text, "end": date.end.as_ref().map(|end| &end.text), "time_zone": date.time_zone,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn operators_inside_quotes_do_not_split() {
        assert_eq!(split("\"a+b\"", '+'), None);
        assert_eq!(split("1 + 2 + 3", '+'), Some(("1 + 2 ", " 3")));
        assert_eq!(split("f(1+2)", '+'), None);
    }
}
