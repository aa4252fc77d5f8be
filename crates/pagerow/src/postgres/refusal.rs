//! What a refused statement means for a record, in words without its contents.

use pagerow_core::{fidelity::Reason, plan::Action, retry::Failure};

use super::transaction::SqlError;
use crate::replica::Failed;

/// What the server's refusal means for one record.
pub(super) fn failed(refused: &SqlError, action: Option<Action>) -> Failed {
    let code = refused.code.as_str();
    let deleting = action == Some(Action::Delete);
    let failure = match code {
        "23503" if !deleting => Failure::Missing,
        _ if refused.may_pass() => Failure::Passing,
        "42501" if !is_row_policy(refused) => Failure::Refused,
        "42P01" | "42703" | "25006" => Failure::Refused,
        _ => Failure::Record,
    };
    let text = match code {
        "23505" => "another row has the same value".to_owned(),
        "23503" if deleting => "other rows refer to it".to_owned(),
        "23503" => "the row it refers to is not there".to_owned(),
        "23502" => "a required column has no value".to_owned(),
        "23514" => "it breaks a rule of its table or type".to_owned(),
        "23P01" => "it collides with another row".to_owned(),
        "22001" => "a text is too long for its column".to_owned(),
        "22003" => "a number is out of range for its column".to_owned(),
        "22P02" | "22007" | "22008" => "a value is not of its column's type".to_owned(),
        "42501" if is_row_policy(refused) => "a row security policy forbids it".to_owned(),
        "40001" | "40P01" => "it collided with another transaction".to_owned(),
        "55P03" => "another transaction holds what it needs".to_owned(),
        "57014" => "it took longer than statement_timeout allows".to_owned(),
        "P0001" => "a trigger or function of the database refused it".to_owned(),
        _ => refused.to_string(),
    };
    let place = match (&refused.constraint, &refused.column) {
        (Some(constraint), _) => format!(" (constraint {constraint})"),
        (None, Some(column)) => format!(" (column {column})"),
        (None, None) => String::new(),
    };
    Failed { failure, reason: Reason::new(code, format!("{text}{place}")), not_before: None }
}

/// A write that the server accepted and did not carry out.
pub(super) fn swallowed() -> Failed {
    let text = "a trigger, rule or row security policy kept it from being written";
    Failed { failure: Failure::Record, reason: Reason::new("swallowed", text), not_before: None }
}

/// Whether the refusal has nothing to do with one record, so that trying them one by one is pointless.
pub(super) fn concerns_all(refused: &SqlError) -> bool {
    match refused.code.as_str() {
        "42501" => !is_row_policy(refused),
        "42P01" | "42703" | "25006" => true,
        code => code.starts_with("53"),
    }
}

/// A missing privilege and a row security policy share a code, and differ in who says it.
fn is_row_policy(refused: &SqlError) -> bool {
    refused.routine.as_deref() == Some("ExecWithCheckOptions")
}
