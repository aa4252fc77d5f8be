//! Who belongs to whom when several fit: the best pairs first, each only where nothing else is about as good.

use std::collections::BTreeSet;

/// A row and a page that may belong together, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) row: u32,
    pub(super) page: u32,
    /// How well they fit, in thousandths.
    pub(super) score: u16,
    /// How alike their titles are, where that was compared.
    pub(super) title: Option<u16>,
    /// How alike their contents are, where that was compared.
    pub(super) content: Option<u16>,
    /// Whether their titles may well mean something else.
    pub(super) doubtful: bool,
}

/// What became of the edges.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    /// Pairs, each with the best score that either half has with anybody else.
    pub(super) pairs: Vec<(Edge, Option<u16>)>,
    /// Edges among rows and pages that fit several about as well, the best first.
    pub(super) doubts: Vec<Vec<Edge>>,
}

/// Scores that are no further apart say nothing.
const TIE: u16 = 15;

/// Chooses pairs so that no row and page would both rather have each other.
pub(super) fn assign(mut edges: Vec<Edge>) -> Assigned {
    edges.sort_unstable_by_key(|edge| (std::cmp::Reverse(edge.score), edge.row, edge.page));
    let mut board = Board {
        rows: Ends::new(&edges, |edge| edge.row),
        pages: Ends::new(&edges, |edge| edge.page),
        edges: &edges,
    };
    let mut assigned = Assigned::default();
    for (at, edge) in edges.iter().enumerate() {
        if !board.is_free(*edge) {
            continue;
        }
        let doubt = board.about_as_good(at);
        if doubt.len() > 1 {
            doubt.iter().for_each(|edge| board.take(*edge));
            assigned.doubts.push(doubt);
        } else {
            board.take(*edge);
            assigned.pairs.push((*edge, board.next_best(at)));
        }
    }
    assigned
}

struct Board<'a> {
    /// Best first.
    edges: &'a [Edge],
    rows: Ends,
    pages: Ends,
}

impl Board<'_> {
    fn is_free(&self, edge: Edge) -> bool {
        !self.rows.is_taken(edge.row) && !self.pages.is_taken(edge.page)
    }

    fn take(&mut self, edge: Edge) {
        self.rows.take(edge.row);
        self.pages.take(edge.page);
    }

    /// All free edges that hang together with this one and are about as good, best first.
    fn about_as_good(&self, at: usize) -> Vec<Edge> {
        let least = self.edges[at].score.saturating_sub(TIE);
        let mut seen = BTreeSet::from([at]);
        let mut open = vec![at];
        // Each row and page is asked for its edges once, however many of them are in doubt.
        let (mut rows, mut pages) = (BTreeSet::new(), BTreeSet::new());
        while let Some(at) = open.pop() {
            let edge = self.edges[at];
            let of_row = if rows.insert(edge.row) { self.rows.edges(edge.row) } else { &[] };
            let of_page = if pages.insert(edge.page) { self.pages.edges(edge.page) } else { &[] };
            for list in [of_row, of_page] {
                let near = list.iter().map(|next| *next as usize);
                for next in near.take_while(|next| self.edges[*next].score >= least) {
                    if self.is_free(self.edges[next]) && seen.insert(next) {
                        open.push(next);
                    }
                }
            }
        }
        seen.into_iter().map(|at| self.edges[at]).collect()
    }

    /// The best score that either half of an edge has elsewhere, whoever that belongs to.
    fn next_best(&self, at: usize) -> Option<u16> {
        let edge = self.edges[at];
        let best = |list: &[u32]| list.iter().find(|other| **other as usize != at).copied();
        let others = [self.rows.edges(edge.row), self.pages.edges(edge.page)];
        others.into_iter().filter_map(best).map(|other| self.edges[other as usize].score).max()
    }
}

/// The rows or the pages of all edges: which edges each has, and whether it is taken.
struct Ends {
    /// Ascending, each once.
    places: Vec<u32>,
    /// Where the edges of each place end in `edges`.
    ends: Vec<u32>,
    /// The numbers of the edges of one place after the other, best first.
    edges: Vec<u32>,
    taken: Vec<bool>,
}

impl Ends {
    fn new(all: &[Edge], place: impl Fn(&Edge) -> u32) -> Self {
        let mut edges: Vec<u32> = (0..all.len() as u32).collect();
        edges.sort_by_key(|at| place(&all[*at as usize]));
        let (mut places, mut ends) = (Vec::new(), Vec::new());
        for (end, at) in (1..).zip(&edges) {
            let place = place(&all[*at as usize]);
            if places.last() == Some(&place) {
                ends.pop();
            } else {
                places.push(place);
            }
            ends.push(end);
        }
        Self { taken: vec![false; places.len()], places, ends, edges }
    }

    fn edges(&self, place: u32) -> &[u32] {
        match self.places.binary_search(&place) {
            Ok(0) => &self.edges[..self.ends[0] as usize],
            Ok(at) => &self.edges[self.ends[at - 1] as usize..self.ends[at] as usize],
            Err(_) => &[],
        }
    }

    fn is_taken(&self, place: u32) -> bool {
        self.places.binary_search(&place).is_ok_and(|at| self.taken[at])
    }

    fn take(&mut self, place: u32) {
        if let Ok(at) = self.places.binary_search(&place) {
            self.taken[at] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(row: u32, page: u32, score: u16) -> Edge {
        Edge { row, page, score, title: None, content: None, doubtful: false }
    }

    #[test]
    fn the_best_pairs_come_first() {
        let edges = vec![edge(0, 0, 900), edge(0, 1, 800), edge(7, 0, 850), edge(7, 1, 600), edge(2, 1, 500)];
        let assigned = assign(edges);
        assert_eq!(assigned.pairs, [(edge(0, 0, 900), Some(850)), (edge(7, 1, 600), Some(850))]);
        assert!(assigned.doubts.is_empty());
    }

    #[test]
    fn what_is_about_as_good_is_no_pair() {
        let edges = vec![edge(0, 0, 900), edge(0, 1, 895), edge(1, 1, 893), edge(2, 2, 700), edge(1, 2, 650)];
        let assigned = assign(edges.clone());
        assert_eq!(assigned.pairs, [(edge(2, 2, 700), Some(650))]);
        assert_eq!(assigned.doubts, [edges[..3].to_vec()]);
    }
}
