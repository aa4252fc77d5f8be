//! What a run did, counted.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use pagerow_core::{
    guard::Refusal,
    plan::{Action, Because, MappingPlan, Step, Why},
    side::Side,
};
use serde::{Deserialize, Serialize};

use super::look::RecordName;

/// What a run did: the shape that `--json` prints and the store keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's number; `None` when there was nothing to do.
    pub run: Option<i64>,
    pub mappings: Vec<MappingReport>,
    /// Calls to Notion.
    pub calls: u64,
    pub seconds: f64,
    /// Nothing is left to do, but for what waits for a person.
    pub quiet: bool,
    /// Why the guard stopped some of the mappings; of these nothing was written.
    #[serde(default)]
    pub stopped: Vec<Refusal>,
}

/// One mapping's part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MappingReport {
    pub mapping: String,
    pub to_notion: ToNotion,
    pub to_postgres: ToPostgres,
    pub unchanged: u64,
    pub conflicts: u64,
    pub parked: u64,
    /// Records that one side deleted and the other edited: the edit won, and they are there again.
    #[serde(default)]
    pub revived: u64,
    /// Doubles, which a person has to look at.
    pub doubles: u64,
    /// Rows and pages that may belong together, and of which nobody has said whether they do.
    #[serde(default)]
    pub asked: u64,
    pub calls: u64,
    /// Why what was remembered of it is not relied on, if so: nothing is deleted, and every difference is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bases_lost: Option<String>,
}

/// Pages written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToNotion {
    pub created: u64,
    pub updated: u64,
    pub trashed: u64,
}

/// Rows written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToPostgres {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

impl Report {
    /// Whether something waits for a person.
    #[must_use]
    pub fn needs_decision(&self) -> bool {
        !self.stopped.is_empty()
            || self.mappings.iter().any(|m| m.conflicts + m.parked + m.doubles + m.asked > 0)
    }
}

/// A run in progress: one or more plans, until nothing is left to do.
pub(super) struct Run {
    pub(super) id: Option<i64>,
    /// The next step's number.
    pub(super) next_seq: i32,
    /// What brought it about, for the history.
    pub(super) origin: String,
    pub(super) mappings: BTreeMap<String, MappingReport>,
    pub(super) started: Instant,
    /// By the mappings' places in the engine.
    pub(super) calls_before: Vec<u64>,
    /// Creates of which nobody knows yet whether they happened.
    pub(super) doubts: usize,
    /// Those of which time alone will not tell.
    pub(super) unsure: usize,
    pub(super) failed: u64,
    /// What the guard stopped: these mappings are left alone for the rest of the run.
    pub(super) stopped: Vec<Refusal>,
    /// Failures that a moved schema would explain.
    pub(super) misfits: u64,
    /// How often the mappings were made anew.
    pub(super) renewals: u32,
    /// Records of which a step was not done, by their mapping.
    pub(super) stuck: BTreeSet<(String, RecordName)>,
    /// Records of which a step failed, or of which nobody knows whether it did; and pages that were not in the trash from
    /// which they were to be taken.
    pub(super) troubled: BTreeSet<(String, RecordName)>,
    /// Records that were written without something that refers to what is not there yet, by their mapping.
    pub(super) left_out: BTreeSet<(String, RecordName)>,
}

impl Run {
    pub(super) fn new(origin: &str, calls_before: Vec<u64>) -> Self {
        Self {
            id: None,
            next_seq: 1,
            origin: origin.to_owned(),
            mappings: BTreeMap::new(),
            started: Instant::now(),
            calls_before,
            doubts: 0,
            unsure: 0,
            failed: 0,
            stopped: Vec::new(),
            misfits: 0,
            renewals: 0,
            stuck: BTreeSet::new(),
            troubled: BTreeSet::new(),
            left_out: BTreeSet::new(),
        }
    }

    pub(super) fn is_stopped(&self, mapping: &str) -> bool {
        self.stopped.iter().any(|refusal| refusal.mapping == mapping)
    }

    pub(super) fn of(&mut self, mapping: &str) -> &mut MappingReport {
        self.mappings
            .entry(mapping.to_owned())
            .or_insert_with(|| MappingReport { mapping: mapping.to_owned(), ..MappingReport::default() })
    }

    /// Remembers that a step was not done.
    pub(super) fn stick(&mut self, mapping: &str, step: &Step, is_trouble: bool) {
        let name = (mapping.to_owned(), (step.key.clone(), step.page));
        if is_trouble || (step.side, step.action) == (Side::Notion, Action::Restore) {
            self.troubled.insert(name.clone());
        }
        self.stuck.insert(name);
    }

    /// Remembers that a step was done without some of its references.
    pub(super) fn leave_out(&mut self, mapping: &str, step: &Step) {
        self.left_out.insert((mapping.to_owned(), (step.key.clone(), step.page)));
    }

    /// Counts what a plan leaves for a person to pair.
    pub(super) fn count_asked(&mut self, part: &MappingPlan) {
        let count =
            |is: fn(&Why) -> bool| part.skipped.iter().filter(|skipped| is(&skipped.why)).count() as u64;
        let report = self.of(&part.mapping);
        report.doubles = report.doubles.max(count(|why| matches!(why, Why::Double { .. })));
        report.asked = report.asked.max(count(|why| matches!(why, Why::Asked)));
    }

    /// Counts a step that was done.
    pub(super) fn count(&mut self, mapping: &str, step: &Step) {
        let report = self.of(mapping);
        report.revived += u64::from(step.because == Because::EditBeatsDeletion);
        let counter = match (step.side, step.action) {
            (Side::Notion, Action::Create) => &mut report.to_notion.created,
            (Side::Notion, Action::Update | Action::Restore) => &mut report.to_notion.updated,
            (Side::Notion, Action::Trash | Action::Delete) => &mut report.to_notion.trashed,
            (Side::Postgres, Action::Create) => &mut report.to_postgres.inserted,
            (Side::Postgres, Action::Update | Action::Restore) => &mut report.to_postgres.updated,
            (Side::Postgres, Action::Trash | Action::Delete) => &mut report.to_postgres.deleted,
        };
        *counter += 1;
    }
}
