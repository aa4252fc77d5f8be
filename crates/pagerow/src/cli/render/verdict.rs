//! Whether both sides are equal, as people read it.

use super::table::counted;
use crate::engine::Verdict;

/// So many differences are shown of each mapping.
const SHOWN: usize = 20;

/// The verdict of `verify` beside so many pauses.
pub(crate) fn verdict(verdict: &Verdict, paused: usize) -> String {
    let mut lines = Vec::new();
    for part in &verdict.mappings {
        lines.push(format!(
            "{}: {}, {}, {} equal in every mapped field",
            part.mapping,
            counted(part.rows, "row", "rows"),
            counted(part.pages, "page", "pages"),
            part.equal
        ));
        let differing = part.differing.iter().map(|one| format!("  differs: {} {}", one.key, one.column));
        let rows = part.only_in_postgres.iter().map(|key| format!("  only in Postgres: {key}"));
        let pages = part.only_in_notion.iter().map(|page| format!("  only in Notion: page {page}"));
        let all: Vec<String> = differing.chain(rows).chain(pages).collect();
        let left = all.len().saturating_sub(SHOWN);
        lines.extend(all.into_iter().take(SHOWN));
        if left > 0 {
            lines.push(format!("  … and {left} more (--json shows all)"));
        }
    }
    lines.push(if verdict.equal && paused > 0 {
        "both sides are equal but for what is paused".to_owned()
    } else if verdict.equal {
        "both sides are equal".to_owned()
    } else {
        "the sides differ; `pagerow plan` says what a sync would do about it".to_owned()
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MappingVerdict;

    #[test]
    fn what_differs_is_named() {
        let part = MappingVerdict {
            mapping: "orders".into(),
            rows: 2,
            pages: 1,
            equal: 1,
            only_in_postgres: vec!["7".into()],
            ..MappingVerdict::default()
        };
        let told = verdict(&Verdict { equal: false, mappings: vec![part] }, 0);
        assert_eq!(
            told,
            "orders: 2 rows, 1 page, 1 equal in every mapped field\n  only in Postgres: 7\n\
             the sides differ; `pagerow plan` says what a sync would do about it"
        );
    }
}
