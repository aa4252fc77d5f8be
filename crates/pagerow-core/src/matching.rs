//! Which page belongs to which row when nothing remembers it: tiers from certain to likely, each pair with how sure it
//! is and why.
//!
//! The certain tiers are [`adopt`](crate::adopt)'s. Below them titles are compared as people read them (without case,
//! accents, punctuation and the like), then as people mistype them, and last the content. One row has at most one page.
//! What fits several is asked, with its candidates, and takes no part in the tiers below. Nothing depends on the order
//! of the input, nor on which key or page id a record happens to have.

mod assign;
mod confidence;
mod content;
mod halves;
mod likeness;
mod shelf;
mod short_forms;
mod spelling;
mod tiers;
mod titles;
mod vocabulary;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    adopt::{self, PageHalf, RowHalf},
    record::{PageId, RowKey},
};

/// A row that looks for its page.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its key, and what names its page for certain.
    pub half: RowHalf,
    /// What would be the page's title; empty when there is none.
    pub title: String,
    /// The text of every other field, in the mapping's order; empty where there is nothing.
    pub content: Vec<String>,
}

/// A page that looks for its row.
#[derive(Clone, Debug)]
pub struct Page {
    pub half: PageHalf,
    pub title: String,
    /// As the row's: the same fields at the same places.
    pub content: Vec<String>,
}

/// What a person has said about pairs. It stands above every tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    pub accepted: BTreeMap<RowKey, PageId>,
    pub refused: BTreeSet<(RowKey, PageId)>,
}

/// How titles are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether a title in another script may be one in Latin letters, as it sounds. Such a pair is never more than
    /// [`Confidence::Low`] without content that agrees, since several titles sound alike. Two titles in one script are
    /// compared by their letters in any case.
    pub transliterate: bool,
}

/// How sure a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Worth a look.
    Low,
    /// Right in at least 95 of 100 cases.
    Medium,
    /// Right in at least 99 of 100 cases; links by itself.
    High,
}

/// By what a pair was found, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// A person said so.
    Chosen,
    StoredPageId,
    KeyProperty,
    NaturalKey,
    Checksum,
    ExactTitle,
    SimilarTitle,
    SimilarContent,
}

/// How alike two texts are, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub u16);

/// A row and its page. Shown, it is the reason: `matched on title 0.94, next best 0.61`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub row: RowKey,
    pub page: PageId,
    pub tier: Tier,
    pub confidence: Confidence,
    /// How alike they are as a whole; the certain tiers have 1.00.
    pub score: Score,
    /// How alike their titles are, where that was compared.
    pub title: Option<Score>,
    /// How alike their other fields are, where that was compared.
    pub content: Option<Score>,
    /// The best score that either half has with anybody else in this tier.
    pub next: Option<Score>,
    /// Whether the page carries another row's key, or the row another page's id. Then it is never more than low.
    pub contradicted: bool,
}

/// Rows and pages of which nobody can say who belongs to whom. Each of them is in one question only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub tier: Tier,
    pub rows: Vec<RowKey>,
    pub pages: Vec<PageId>,
    /// The likeliest pairs, best first; at most [`CANDIDATES_SHOWN`], and none where so many fit that showing
    /// some would mislead. A row that has its page already may be among them: another page claims it too.
    pub candidates: Vec<Candidate>,
}

/// A possible pair of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub row: RowKey,
    pub page: PageId,
    pub score: Score,
}

/// Everything that was found. Each row and each page is in a pair, in a question, or alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// By row.
    pub pairs: Vec<Match>,
    pub questions: Vec<Question>,
    pub rows_alone: Vec<RowKey>,
    pub pages_alone: Vec<PageId>,
    /// Accepted pairs that name a row or page that is not there, or one page for two rows. They were not followed.
    pub unusable: Vec<(RowKey, PageId)>,
}

/// How many candidates a question shows.
pub const CANDIDATES_SHOWN: usize = 20;

/// Finds the page of each row. Keys and page ids have to be unique.
///
/// 100,000 rows and 100,000 pages take seconds: titles are looked up by the rarest of their letters, all pairs are never
/// compared.
#[must_use]
pub fn match_up(rows: &[Row], pages: &[Page], choices: &Choices, reading: Reading) -> Matching {
    tiers::match_up(rows, pages, choices, reading)
}

impl Matching {
    /// The pairs that are at least as sure as this: those to link.
    pub fn at_least(&self, accept: Confidence) -> impl Iterator<Item = &Match> {
        self.pairs.iter().filter(move |pair| pair.confidence >= accept)
    }

    /// The pairs that are less sure than this: those to show to a person.
    pub fn below(&self, accept: Confidence) -> impl Iterator<Item = &Match> {
        self.pairs.iter().filter(move |pair| pair.confidence < accept)
    }
}

impl Match {
    /// How far the next best is behind; all of the score where there is none.
    #[must_use]
    pub fn margin(&self) -> Score {
        Score(self.score.0.saturating_sub(self.next.map_or(0, |next| next.0)))
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tier {
            Tier::Chosen => f.write_str("chosen by a person")?,
            Tier::StoredPageId => f.write_str("the row carries the page's id")?,
            Tier::KeyProperty => f.write_str("the page carries the row's key")?,
            Tier::NaturalKey => f.write_str("same natural key, which no other has")?,
            Tier::Checksum => f.write_str("same content, which no other has")?,
            Tier::ExactTitle => f.write_str("same title")?,
            Tier::SimilarTitle => f.write_str("matched on title")?,
            Tier::SimilarContent => f.write_str("matched on content")?,
        }
        match (self.tier, self.title, self.content) {
            (Tier::ExactTitle, _, Some(content)) => write!(f, " and content {content}")?,
            (Tier::SimilarTitle, Some(title), Some(content)) => write!(f, " {title} and content {content}")?,
            (Tier::SimilarTitle, Some(title), None) => write!(f, " {title}")?,
            (Tier::SimilarContent, _, Some(content)) => write!(f, " {content}")?,
            _ => {}
        }
        if let Some(next) = self.next {
            write!(f, ", next best {next}")?;
        }
        if self.contradicted {
            f.write_str(", though one of them names another half")?;
        }
        Ok(())
    }
}

impl fmt::Display for Score {
    /// Cut, not rounded: what is not the same is never shown as 1.00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

impl FromStr for Confidence {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err("high, medium or low"),
        }
    }
}

impl From<adopt::Tier> for Tier {
    fn from(tier: adopt::Tier) -> Self {
        match tier {
            adopt::Tier::StoredPageId => Self::StoredPageId,
            adopt::Tier::KeyProperty => Self::KeyProperty,
            adopt::Tier::NaturalKey => Self::NaturalKey,
            adopt::Tier::Checksum => Self::Checksum,
        }
    }
}
