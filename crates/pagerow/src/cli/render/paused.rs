//! What does not flow for now, as people and scripts read it.

use serde::Serialize;
use serde_json::Value as Json;

use crate::setup::drift::Pause;

/// One line for each pause and one for what would mend it; empty when nothing is paused.
pub(crate) fn paused(pauses: &[Pause]) -> String {
    let mut lines = Vec::new();
    for pause in pauses {
        lines.push(pause.to_string());
        lines.push(format!("  {}", pause.advice));
    }
    lines.join("\n")
}

/// A text with the pauses below it.
pub(crate) fn below(text: String, pauses: &[Pause]) -> String {
    if pauses.is_empty() {
        return text;
    }
    format!("{}\n{}", text.trim_end_matches('\n'), paused(pauses))
}

/// An answer with the pauses as a member: `paused: [{mapping, column, code, reason, advice}]`.
pub(crate) fn with(answer: &impl Serialize, pauses: &[Pause]) -> Json {
    // Answers are plain structs of numbers and texts, which always serialise.
    let mut json = serde_json::to_value(answer).unwrap_or_default();
    if let Some(members) = json.as_object_mut() {
        members.insert("paused".to_owned(), serde_json::to_value(pauses).unwrap_or_default());
    }
    json
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pause_says_what_why_and_what_then() {
        let pause: Pause = serde_json::from_value(json!({
            "mapping": "products", "column": "price", "code": "property_removed",
            "reason": "the property \"Price\" was removed from \"Products\"", "advice": "restore it in Notion",
        }))
        .unwrap();
        assert_eq!(
            below("equal\n".to_owned(), std::slice::from_ref(&pause)),
            "equal\nproducts.price is paused: the property \"Price\" was removed from \"Products\"\n  restore it in Notion"
        );
        assert_eq!(with(&json!({ "quiet": true }), &[pause])["paused"][0]["column"], "price");
        assert_eq!(below("equal".to_owned(), &[]), "equal");
    }
}
