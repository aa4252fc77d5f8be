//! How sure a pair is, by how alike its halves are and how far behind the next best is.

use super::{Confidence, assign::Edge};

/// Titles that are less alike are not compared any further.
pub(super) const TITLE_LEAST: u16 = 500;
/// Pairs that are less alike as a whole are none.
pub(super) const LEAST: u16 = 620;
/// Contents that are less alike are no pair by themselves.
pub(super) const CONTENT_LEAST: u16 = 550;
/// Below this a tie is no question worth a person's time.
pub(super) const ASKED: u16 = 700;
/// Contents that have less in common speak against a pair.
const CONTENT_AGAINST: u16 = 200;
/// Contents that have this much in common speak for a pair whose titles differ.
const CONTENT_FOR: u16 = 600;

/// How alike two records are as a whole: the title counts most.
pub(super) fn together(title: u16, content: Option<u16>) -> u16 {
    content.map_or(title, |content| ((u32::from(title) * 7 + u32::from(content) * 3) / 10) as u16)
}

/// Of a pair with one title; `alone` where nobody else has it.
pub(super) fn of_exact_title(edge: Edge, next: Option<u16>, alone: bool) -> Confidence {
    let margin = edge.score.saturating_sub(next.unwrap_or(0));
    let sure = match alone {
        true => edge.content.is_none_or(|content| content >= CONTENT_AGAINST),
        false => edge.content.is_some_and(|content| content >= 500) && margin >= 45,
    };
    if sure { Confidence::Medium } else { Confidence::Low }
}

/// Of a pair whose titles are only alike.
pub(super) fn of_similar_title(edge: Edge, next: Option<u16>) -> Confidence {
    let title = edge.title.unwrap_or(0);
    let margin = edge.score.saturating_sub(next.unwrap_or(0));
    let sure = match edge.content {
        Some(content) if content >= CONTENT_FOR => title >= 600 && margin >= 100,
        Some(content) if content < CONTENT_AGAINST => false,
        _ => !edge.doubtful && title >= 860 && margin >= 100,
    };
    if sure { Confidence::Medium } else { Confidence::Low }
}
