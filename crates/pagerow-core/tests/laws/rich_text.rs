//! Formatted text: Markdown says all of it, and new words take nothing from those that stay.

use pagerow_core::{
    fidelity::{self, Fidelity},
    mapping::{ColumnKind, Policy, PropertyKind},
    merge::{Merged, merge},
    rich_text::{self, from_markdown, to_markdown},
    side::{Side, Sides},
    value::Value,
};

use crate::{
    generators::{any_spans, cases},
    world::{field, text},
};

#[test]
fn markdown_says_all_of_a_text() {
    cases("text → Markdown → text", 200_000, |rng| {
        let spans = any_spans(rng);
        let markdown = to_markdown(&spans);
        assert_eq!(from_markdown(&markdown), spans, "{markdown}");
    });
}

#[test]
fn any_markdown_has_one_form() {
    cases("Markdown → text → Markdown", 100_000, |rng| {
        let markdown: String = any_spans(rng).iter().map(|span| span.words().to_owned()).collect();
        let spans = from_markdown(&markdown);
        assert_eq!(from_markdown(&to_markdown(&spans)), spans, "{markdown}");
        assert_eq!(rich_text::joined(spans.clone()), spans, "{markdown}");
    });
}

#[test]
fn new_words_are_the_words_and_keep_the_formatting_around_them() {
    cases("new words", 100_000, |rng| {
        let spans = any_spans(rng);
        let mut words: Vec<char> = rich_text::words(&spans).chars().collect();
        let from = rng.below(words.len() + 1);
        let until = from + rng.below(words.len() + 1 - from);
        let put: Vec<char> = (0..rng.below(3)).map(|_| *rng.pick(&['x', 'a', '*', ' '])).collect();
        words.splice(from..until, put);
        let words: String = words.into_iter().collect();
        let kept = rich_text::with_words(&spans, &words);
        assert_eq!(rich_text::words(&kept), words);
        assert_eq!(rich_text::joined(kept.clone()), kept);
        if words == rich_text::words(&spans) {
            let only_shown = |all: &[rich_text::Span]| rich_text::words(all).is_empty();
            assert!(kept == spans || only_shown(&spans), "nothing changed: {spans:?} {kept:?}");
        }
    });
}

#[test]
fn formatting_alone_is_no_edit_of_a_row() {
    let notes = field("notes", ColumnKind::Text { max: None }, PropertyKind::RichText);
    let (plain, bold) = (text("Ada said"), Value::Markdown("**Ada** said".to_owned()));
    let edited = Sides { postgres: None, notion: None };
    let merged = |base: Sides<&Value>, now: Sides<&Value>| {
        let base = Sides { postgres: Some(base.postgres), notion: Some(base.notion) };
        merge(&notes, Policy::Manual, base, now, edited)
    };
    let base = Sides { postgres: &plain, notion: &plain };
    assert_eq!(merged(base, Sides { postgres: &plain, notion: &bold }), Merged::Settle);
    // Words from the row, formatting from the page: both stay.
    let wrote = text("Ada wrote");
    let after = Value::Markdown("**Ada** wrote".to_owned());
    let write = Merged::Write { to: Side::Notion, after: after.clone(), decided: false };
    assert_eq!(merged(base, Sides { postgres: &wrote, notion: &bold }), write);
    // What comes back agrees, and going back brings the formatting with it.
    assert!(fidelity::agree(&wrote, &after, &notes));
    assert_eq!(fidelity::in_notion(&bold, &notes), Fidelity::Stored(bold.clone()));
    // Other words on both sides are a conflict, formatted or not.
    let eva = Value::Markdown("**Eva** said".to_owned());
    assert_eq!(merged(base, Sides { postgres: &wrote, notion: &eva }), Merged::Conflict);
}

#[test]
fn a_markdown_column_takes_formatting_both_ways() {
    let notes = field("notes", ColumnKind::Text { max: None }, PropertyKind::Markdown);
    let row = text("__Ada__ said");
    let page = Value::Markdown("**Ada** said".to_owned());
    assert_eq!(fidelity::in_notion(&row, &notes), Fidelity::Stored(page.clone()));
    assert_eq!(fidelity::in_postgres(&page, &notes), Fidelity::Stored(text("**Ada** said")));
    assert!(fidelity::agree(&row, &page, &notes), "the row's own signs stay");
}

#[test]
fn what_notion_would_refuse_of_a_text_is_refused() {
    let notes = field("notes", ColumnKind::Text { max: None }, PropertyKind::Markdown);
    let refused = |markdown: String| match fidelity::in_notion(&Value::Text(markdown), &notes) {
        Fidelity::Unstorable(reason) => Some(reason.code),
        Fidelity::Stored(_) => None,
    };
    let spans = |many: usize| "**a**b".repeat(many / 2);
    assert_eq!(refused(spans(100)), None);
    assert_eq!(refused(spans(102)).as_deref(), Some("too_many"));
    let link = |length: usize| format!("[a](https://{})", "x".repeat(length - 8));
    assert_eq!(refused(link(2_000)), None);
    assert_eq!(refused(link(2_001)).as_deref(), Some("too_long"));
    let equation = |length: usize| format!("$`{}`$", "x".repeat(length));
    assert_eq!(refused(equation(1_000)), None);
    assert_eq!(refused(equation(1_001)).as_deref(), Some("too_long"));
    assert_eq!(refused("**a\0**".to_owned()).as_deref(), Some("nul"));
    // Pairs of units that may not be cut in two can make a text of 200,000 units a hundred and one items.
    let plain = field("notes", ColumnKind::Text { max: None }, PropertyKind::RichText);
    let odd = format!("a{}", "😀".repeat(999)).repeat(100) + &"b".repeat(100);
    let even = format!("ab{}", "😀".repeat(999)).repeat(100);
    for (text, fits) in [(odd, false), (even, true)] {
        assert_eq!(text.encode_utf16().count(), 200_000);
        let stored = fidelity::in_notion(&Value::Text(text), &plain);
        assert_eq!(matches!(stored, Fidelity::Stored(_)), fits);
    }
}
