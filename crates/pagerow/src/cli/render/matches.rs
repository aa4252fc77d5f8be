//! Which row may be which page, how sure that is and why: what a recovery took for one record, and what it asks.

use std::fmt::Write as _;

use pagerow_core::{
    matching::{Match, Question, Score, Tier},
    record::{PageId, RowKey},
    value::Value,
};
use serde_json::{Value as Json, json};

use super::{table::counted, value};
use crate::engine::Matches;

/// So many of a kind are shown of each mapping, unless everything is asked for.
const SHOWN: usize = 50;

/// For people; empty where there is nothing to say. `everything` shows more than fits a screen.
pub(crate) fn text(all: &[Matches], everything: bool) -> String {
    let mut out = String::new();
    let most = if everything { usize::MAX } else { SHOWN };
    for matches in all.iter().filter(|matches| !matches.is_empty()) {
        let _ = writeln!(out, "{}: rows and pages that no key brings together", matches.mapping);
        for pair in matches.linked.iter().take(most) {
            let _ = writeln!(out, "  = {}", self::pair(matches, pair, "is"));
        }
        rest(&mut out, matches.linked.len(), most);
        for pair in matches.likely.iter().take(most) {
            let _ = writeln!(out, "  ? {}", self::pair(matches, pair, "may be"));
        }
        rest(&mut out, matches.likely.len(), most);
        for question in matches.questions.iter().take(most) {
            out.push_str(&self::question(matches, question));
        }
        rest(&mut out, matches.questions.len(), most);
        for (key, page) in &matches.unusable {
            let _ = writeln!(
                out,
                "  ! row {key} was said to be page {page}, and one of the two is not there; the other one waits until that is \
                 taken back: `pagerow recover choose {} {key} --take-back`",
                matches.mapping
            );
        }
        for name in matches.parted.iter().take(most) {
            let half = match name {
                (Some(key), _) => format!("row {}", row(matches, key)),
                (None, Some(id)) => format!("page {}", page(matches, *id)),
                (None, None) => continue,
            };
            let _ = writeln!(out, "  ? {half}: its link was taken apart, and nobody has said what it is");
        }
        rest(&mut out, matches.parted.len(), most);
        if matches.rows_alone > 0 && matches.pages_alone > 0 {
            let _ = writeln!(
                out,
                "  + {} and {} are like none on the other side, and are records of their own",
                counted(matches.rows_alone, "row", "rows"),
                counted(matches.pages_alone, "page", "pages")
            );
        }
        if !(matches.likely.is_empty() && matches.questions.is_empty() && matches.parted.is_empty()) {
            let name = &matches.mapping;
            let _ = writeln!(
                out,
                "  these wait for an answer: `pagerow recover choose {name} KEY --page PAGE`, or --new for a row or a page \
                 that belongs to none; until then neither half is made a second time"
            );
        }
    }
    out
}

fn rest(out: &mut String, all: usize, most: usize) {
    if all > most {
        let _ = writeln!(out, "  … and {} more (-v or --json shows all)", all - most);
    }
}

fn pair(matches: &Matches, pair: &Match, is: &str) -> String {
    let (row, page) = (row(matches, &pair.row), page(matches, pair.page));
    let margin = if pair.next.is_some() { format!(", {} ahead", pair.margin()) } else { String::new() };
    format!("row {row} {is} page {page} ({}: {pair}{margin})", pair.confidence)
}

fn question(matches: &Matches, question: &Question) -> String {
    let mut out = String::new();
    let rows: Vec<String> = question.rows.iter().map(|key| row(matches, key)).collect();
    let pages: Vec<String> = question.pages.iter().map(|id| page(matches, *id)).collect();
    let halves = match (rows.is_empty(), pages.is_empty()) {
        (true, _) => format!("pages {}", pages.join(", ")),
        (false, true) => format!("rows {}", rows.join(", ")),
        (false, false) => format!("rows {} and pages {}", rows.join(", "), pages.join(", ")),
    };
    let _ = writeln!(out, "  ? {halves}: {}", reason(question.tier));
    for candidate in &question.candidates {
        let (row, page) = (row(matches, &candidate.row), page(matches, candidate.page));
        let _ = writeln!(out, "      {} row {row}, page {page}", candidate.score);
    }
    out
}

fn reason(tier: Tier) -> &'static str {
    match tier {
        Tier::Chosen => "chosen more than once",
        Tier::StoredPageId => "several carry one page's id",
        Tier::KeyProperty => "several carry one row's key",
        Tier::NaturalKey => "several have one natural key",
        Tier::Checksum => "several have one content",
        Tier::ExactTitle => "several have one title",
        Tier::SimilarTitle => "several have titles that are about as much alike",
        Tier::SimilarContent => "several have contents that are about as much alike",
    }
}

fn row(matches: &Matches, key: &RowKey) -> String {
    titled(&key.to_string(), matches.row_titles.get(key))
}

fn page(matches: &Matches, id: PageId) -> String {
    titled(&id.to_string(), matches.page_titles.get(&id))
}

fn titled(name: &str, title: Option<&String>) -> String {
    title.map_or_else(
        || name.to_owned(),
        |title| format!("{name} {}", value::text(&Value::Text(title.clone()))),
    )
}

/// For scripts: `[{mapping, linked, likely, questions, parted, rows_alone, pages_alone, unusable}]`, of mappings of which there is something to say.
pub(crate) fn json(all: &[Matches]) -> Json {
    all.iter().filter(|matches| !matches.is_empty()).map(of_mapping).collect()
}

fn of_mapping(matches: &Matches) -> Json {
    let pair = |pair: &Match| {
        json!({
            "key": pair.row.as_str(),
            "title": matches.row_titles.get(&pair.row),
            "page_id": pair.page.to_string(),
            "page_title": matches.page_titles.get(&pair.page),
            "confidence": pair.confidence,
            "tier": pair.tier,
            "score": number(pair.score),
            "next_best": pair.next.map(number),
            "margin": number(pair.margin()),
            "contradicted": pair.contradicted,
            "reason": pair.to_string(),
        })
    };
    let question = |question: &Question| {
        let row = |key: &RowKey| json!({ "key": key.as_str(), "title": matches.row_titles.get(key) });
        let page = |id: &PageId| json!({ "page_id": id.to_string(), "title": matches.page_titles.get(id) });
        let candidates = question.candidates.iter().map(|candidate| {
            json!({
                "key": candidate.row.as_str(),
                "page_id": candidate.page.to_string(),
                "score": number(candidate.score),
            })
        });
        json!({
            "tier": question.tier,
            "reason": reason(question.tier),
            "rows": question.rows.iter().map(row).collect::<Vec<_>>(),
            "pages": question.pages.iter().map(page).collect::<Vec<_>>(),
            "candidates": candidates.collect::<Vec<_>>(),
        })
    };
    let unusable =
        |(key, page): &(RowKey, PageId)| json!({ "key": key.as_str(), "page_id": page.to_string() });
    let parted = |(key, page): &(Option<RowKey>, Option<PageId>)| json!({ "key": key.as_ref().map(RowKey::as_str), "page_id": page.map(|page| page.to_string()) });
    json!({
        "mapping": matches.mapping,
        "linked": matches.linked.iter().map(pair).collect::<Vec<_>>(),
        "likely": matches.likely.iter().map(pair).collect::<Vec<_>>(),
        "questions": matches.questions.iter().map(question).collect::<Vec<_>>(),
        "parted": matches.parted.iter().map(parted).collect::<Vec<_>>(),
        "rows_alone": matches.rows_alone,
        "pages_alone": matches.pages_alone,
        "unusable": matches.unusable.iter().map(unusable).collect::<Vec<_>>(),
    })
}

/// Between 0 and 1.
fn number(score: Score) -> f64 {
    f64::from(score.0) / 1000.0
}
