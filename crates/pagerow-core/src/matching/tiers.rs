//! The tiers one after the other: what each finds leaves the table.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CANDIDATES_SHOWN, Candidate, Choices, Confidence, Match, Matching, Page, Question, Reading, Row, Score,
    Tier,
    assign::{Edge, assign},
    confidence::{ASKED, CONTENT_LEAST, LEAST, TITLE_LEAST, of_exact_title, of_similar_title, together},
    content::Contents,
    shelf::Shelf,
    titles::Titles,
};
use crate::{
    adopt::adopt_but,
    record::{PageId, RowKey},
};

/// More rows or pages than this with one title, and it tells none of them apart.
const CROWD: usize = 8;

pub(super) fn match_up(rows: &[Row], pages: &[Page], choices: &Choices, reading: Reading) -> Matching {
    let mut table = Table::new(rows, pages, choices);
    table.chosen(choices);
    table.certain();
    table.doubles();
    if table.is_open() {
        let contents = Contents::new(&table.rows, &table.pages);
        let titles = Titles::new(&table.rows, &table.pages, reading);
        table.exact_titles(&titles, &contents);
        table.similar_titles(&titles, &contents);
        drop(titles);
        table.similar_contents(&contents);
    }
    table.finish()
}

/// Rows and pages by key and id, and who of them is still free.
struct Table<'a> {
    rows: Vec<&'a Row>,
    pages: Vec<&'a Page>,
    row_is_free: Vec<bool>,
    page_is_free: Vec<bool>,
    refused: &'a BTreeSet<(RowKey, PageId)>,
    found: Matching,
}

impl<'a> Table<'a> {
    fn new(rows: &'a [Row], pages: &'a [Page], choices: &'a Choices) -> Self {
        let mut rows: Vec<&Row> = rows.iter().collect();
        rows.sort_unstable_by(|one, two| one.half.key.cmp(&two.half.key));
        let mut pages: Vec<&Page> = pages.iter().collect();
        pages.sort_unstable_by_key(|page| page.half.page);
        Self {
            row_is_free: vec![true; rows.len()],
            page_is_free: vec![true; pages.len()],
            rows,
            pages,
            refused: &choices.refused,
            found: Matching::default(),
        }
    }

    fn row_at(&self, key: &RowKey) -> Option<usize> {
        self.rows.binary_search_by(|row| row.half.key.cmp(key)).ok()
    }

    fn page_at(&self, id: PageId) -> Option<usize> {
        self.pages.binary_search_by_key(&id, |page| page.half.page).ok()
    }

    fn is_open(&self) -> bool {
        self.row_is_free.contains(&true) && self.page_is_free.contains(&true)
    }

    fn chosen(&mut self, choices: &Choices) {
        let mut times: BTreeMap<PageId, u32> = BTreeMap::new();
        choices.accepted.values().for_each(|page| *times.entry(*page).or_default() += 1);
        for (key, page) in &choices.accepted {
            let refused = choices.refused.contains(&(key.clone(), *page));
            match (self.row_at(key), self.page_at(*page)) {
                (Some(row), Some(at)) if times[page] == 1 && !refused => {
                    self.pair(edge(row, at, 1000), Tier::Chosen, Confidence::High, None);
                }
                _ => self.found.unusable.push((key.clone(), *page)),
            }
        }
    }

    /// The four tiers that are certain.
    fn certain(&mut self) {
        let free_rows = self.rows.iter().zip(&self.row_is_free).filter(|(_, free)| **free);
        let free_pages = self.pages.iter().zip(&self.page_is_free).filter(|(_, free)| **free);
        let adoption = adopt_but(
            self.refused,
            free_rows.map(|(row, _)| &row.half),
            free_pages.map(|(page, _)| &page.half),
        );
        for (key, page, tier) in adoption.pairs {
            if let (Some(row), Some(page)) = (self.row_at(&key), self.page_at(page)) {
                self.pair(edge(row, page, 1000), tier.into(), Confidence::High, None);
            }
        }
        for doubt in adoption.doubtful {
            let rows: Vec<usize> = doubt.rows.iter().filter_map(|key| self.row_at(key)).collect();
            let pages: Vec<usize> = doubt.pages.iter().filter_map(|page| self.page_at(*page)).collect();
            let mut candidates = Vec::new();
            for (row, page) in rows.iter().flat_map(|row| pages.iter().map(move |page| (*row, *page))) {
                if candidates.len() == CANDIDATES_SHOWN {
                    break;
                }
                candidates.extend(self.candidate(edge(row, page, 1000)));
            }
            self.ask(doubt.tier.into(), rows, pages, candidates);
        }
    }

    /// Those that name a half which has found another: a page that a person duplicated, a copied row.
    fn doubles(&mut self) {
        for page in 0..self.pages.len() {
            let named = self.pages[page].half.key.as_ref().and_then(|key| self.row_at(key));
            if let (true, Some(row)) = (self.page_is_free[page], named)
                && !self.row_is_free[row]
                && let Some(candidate) = self.candidate(edge(row, page, 1000))
            {
                self.ask(Tier::KeyProperty, vec![], vec![page], vec![candidate]);
            }
        }
        for row in 0..self.rows.len() {
            let named = self.rows[row].half.page.and_then(|page| self.page_at(page));
            if let (true, Some(page)) = (self.row_is_free[row], named)
                && !self.page_is_free[page]
                && let Some(candidate) = self.candidate(edge(row, page, 1000))
            {
                self.ask(Tier::StoredPageId, vec![row], vec![], vec![candidate]);
            }
        }
    }

    /// Titles that read the same. Where several have one, their content may tell who is who.
    fn exact_titles(&mut self, titles: &Titles, contents: &Contents) {
        for title in &titles.all {
            let (rows, pages) = (self.free_rows(&title.rows), self.free_pages(&title.pages));
            if rows.len() * pages.len() > CROWD * CROWD {
                self.ask(Tier::ExactTitle, rows, pages, Vec::new());
                continue;
            }
            let alone = rows.len() == 1 && pages.len() == 1;
            let edges = self.edges(&rows, &pages, |edge| {
                let content = contents.compare(edge);
                let score = if alone { 1000 } else { together(1000, Some(content.unwrap_or(0))) };
                Some(Edge { score, title: Some(1000), content, ..edge })
            });
            self.assign(Tier::ExactTitle, edges, |edge, next| (of_exact_title(edge, next, alone), next));
        }
    }

    /// Titles that are nearly the same, and content that speaks for it.
    fn similar_titles(&mut self, titles: &Titles, contents: &Contents) {
        let on_pages: Vec<usize> =
            (0..titles.all.len()).filter(|at| !titles.all[*at].pages.is_empty()).collect();
        let mut shelf = Shelf::new(on_pages.iter().map(|at| titles.all[*at].features.as_slice()));
        let mut edges = Vec::new();
        // How alike a row's title is to that of a page that belongs to another.
        let mut near: Vec<u16> = vec![0; self.rows.len()];
        for (at, title) in titles.all.iter().enumerate() {
            let rows = self.free_rows(&title.rows);
            if rows.is_empty() || rows.len() > CROWD {
                continue;
            }
            for candidate in shelf.candidates(&title.features) {
                let candidate = on_pages[candidate as usize];
                let other = &titles.all[candidate];
                let alike = titles.compare(title, other);
                if candidate == at || alike.score < TITLE_LEAST {
                    continue;
                }
                let pages = self.free_pages(&other.pages);
                if pages.len() < other.pages.len() {
                    rows.iter().for_each(|row| near[*row] = near[*row].max(alike.score));
                }
                if pages.len() > CROWD {
                    continue;
                }
                edges.extend(self.edges(&rows, &pages, |edge| {
                    let content = contents.compare(edge);
                    let score = together(alike.score, content);
                    let compared = Edge { score, title: Some(alike.score), content, ..edge };
                    (score >= LEAST).then_some(Edge { doubtful: alike.doubtful, ..compared })
                }));
            }
        }
        self.assign(Tier::SimilarTitle, edges, |edge, next| {
            let near = Some(near[edge.row as usize]).filter(|near| *near > 0);
            let next = next.max(near);
            (of_similar_title(edge, next), next)
        });
    }

    /// What is left: records whose title has become another, by what their fields say.
    fn similar_contents(&mut self, contents: &Contents) {
        type Places = (Vec<u32>, Vec<u32>);
        let mut groups: BTreeMap<Vec<u64>, Places> = BTreeMap::new();
        let names = |features: &[(u64, u32)]| features.iter().map(|(name, _)| *name).collect::<Vec<u64>>();
        for row in (0..self.rows.len()).filter(|row| self.row_is_free[*row]) {
            groups.entry(names(&contents.rows[row])).or_default().0.push(row as u32);
        }
        for page in (0..self.pages.len()).filter(|page| self.page_is_free[*page]) {
            groups.entry(names(&contents.pages[page])).or_default().1.push(page as u32);
        }
        groups.retain(|names, (rows, pages)| names.len() > 1 && rows.len() <= CROWD && pages.len() <= CROWD);
        let with_pages: Vec<(&Vec<u64>, &Vec<u32>)> = (groups.iter())
            .filter(|(_, (_, pages))| !pages.is_empty())
            .map(|(names, (_, pages))| (names, pages))
            .collect();
        let mut shelf = Shelf::new(with_pages.iter().map(|(names, _)| names.as_slice()));
        let mut edges = Vec::new();
        for (names, (rows, _)) in groups.iter().filter(|(_, (rows, _))| !rows.is_empty()) {
            for candidate in shelf.candidates(names) {
                let rows = self.free_rows(rows);
                let pages = self.free_pages(with_pages[candidate as usize].1);
                edges.extend(self.edges(&rows, &pages, |edge| {
                    let content = contents.compare(edge).filter(|score| *score >= CONTENT_LEAST)?;
                    Some(Edge { score: content, content: Some(content), ..edge })
                }));
            }
        }
        self.assign(Tier::SimilarContent, edges, |_, next| (Confidence::Low, next));
    }

    /// Chooses among edges; takes the pairs and the questions off the table. `judge` says how sure a pair is, and what
    /// is next to it.
    fn assign(
        &mut self,
        tier: Tier,
        edges: Vec<Edge>,
        judge: impl Fn(Edge, Option<u16>) -> (Confidence, Option<u16>),
    ) {
        let assigned = assign(edges);
        for (edge, next) in assigned.pairs {
            let (confidence, next) = judge(edge, next);
            self.pair(edge, tier, confidence, next);
        }
        for doubt in assigned.doubts {
            if tier != Tier::ExactTitle && doubt.iter().all(|edge| edge.score < ASKED) {
                continue;
            }
            let rows: BTreeSet<usize> = doubt.iter().map(|edge| edge.row as usize).collect();
            let pages: BTreeSet<usize> = doubt.iter().map(|edge| edge.page as usize).collect();
            let candidates = doubt.iter().take(CANDIDATES_SHOWN);
            let candidates = candidates.filter_map(|edge| self.candidate(*edge)).collect();
            self.ask(tier, rows.into_iter().collect(), pages.into_iter().collect(), candidates);
        }
    }

    /// All edges between these rows and pages that a person has not refused, as they compare.
    fn edges(&self, rows: &[usize], pages: &[usize], compare: impl Fn(Edge) -> Option<Edge>) -> Vec<Edge> {
        let all = rows.iter().flat_map(|row| pages.iter().map(move |page| edge(*row, *page, 0)));
        all.filter(|edge| self.may(*edge)).filter_map(compare).collect()
    }

    fn pair(&mut self, edge: Edge, tier: Tier, confidence: Confidence, next: Option<u16>) {
        let contradicted = tier > Tier::KeyProperty && self.contradict(edge);
        // The certain tiers are sure in spite of it: a marker may have come along with a copy.
        let likely_only = tier >= Tier::ExactTitle;
        let (row, page) = (edge.row as usize, edge.page as usize);
        self.row_is_free[row] = false;
        self.page_is_free[page] = false;
        self.found.pairs.push(Match {
            row: self.rows[row].half.key.clone(),
            page: self.pages[page].half.page,
            tier,
            confidence: if likely_only && contradicted { Confidence::Low } else { confidence },
            score: Score(edge.score),
            title: edge.title.map(Score),
            content: edge.content.map(Score),
            next: next.map(Score),
            contradicted,
        });
    }

    fn ask(&mut self, tier: Tier, rows: Vec<usize>, pages: Vec<usize>, candidates: Vec<Candidate>) {
        rows.iter().for_each(|row| self.row_is_free[*row] = false);
        pages.iter().for_each(|page| self.page_is_free[*page] = false);
        self.found.questions.push(Question {
            tier,
            rows: rows.into_iter().map(|row| self.rows[row].half.key.clone()).collect(),
            pages: pages.into_iter().map(|page| self.pages[page].half.page).collect(),
            candidates,
        });
    }

    /// A candidate, unless a person has refused it.
    fn candidate(&self, edge: Edge) -> Option<Candidate> {
        let row = self.rows[edge.row as usize].half.key.clone();
        let page = self.pages[edge.page as usize].half.page;
        self.may(edge).then_some(Candidate { row, page, score: Score(edge.score) })
    }

    /// Whether the page carries another row's key, or the row another page's id.
    fn contradict(&self, edge: Edge) -> bool {
        let (row, page) = (&self.rows[edge.row as usize].half, &self.pages[edge.page as usize].half);
        row.page.is_some_and(|named| named != page.page)
            || page.key.as_ref().is_some_and(|named| *named != row.key)
    }

    fn may(&self, edge: Edge) -> bool {
        if self.refused.is_empty() {
            return true;
        }
        let row = self.rows[edge.row as usize].half.key.clone();
        !self.refused.contains(&(row, self.pages[edge.page as usize].half.page))
    }

    fn free_rows(&self, places: &[u32]) -> Vec<usize> {
        places.iter().map(|at| *at as usize).filter(|at| self.row_is_free[*at]).collect()
    }

    fn free_pages(&self, places: &[u32]) -> Vec<usize> {
        places.iter().map(|at| *at as usize).filter(|at| self.page_is_free[*at]).collect()
    }

    fn finish(mut self) -> Matching {
        let Self { rows, pages, row_is_free, page_is_free, found, .. } = &mut self;
        found.pairs.sort_unstable_by(|one, two| one.row.cmp(&two.row));
        found.questions.sort_unstable_by(|one, two| {
            (one.tier, &one.rows, &one.pages).cmp(&(two.tier, &two.rows, &two.pages))
        });
        let alone = rows.iter().zip(row_is_free).filter(|(_, free)| **free);
        found.rows_alone = alone.map(|(row, _)| row.half.key.clone()).collect();
        let alone = pages.iter().zip(page_is_free).filter(|(_, free)| **free);
        found.pages_alone = alone.map(|(page, _)| page.half.page).collect();
        self.found
    }
}

fn edge(row: usize, page: usize, score: u16) -> Edge {
    Edge { row: row as u32, page: page as u32, score, title: None, content: None, doubtful: false }
}
