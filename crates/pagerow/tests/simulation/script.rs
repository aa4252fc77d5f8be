//! A simulation as data: the world it begins with, and everything that people and fate do to it. Any event can be left
//! out, which is how a failing one is made small.

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// One simulation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// What everything that is left to chance follows from.
    pub(crate) seed: u64,
    pub(crate) world: WorldSpec,
    /// In order of time.
    pub(crate) events: Vec<Event>,
    /// When nothing happens any more, in milliseconds.
    pub(crate) quiet_at: u64,
}

/// What there is at the beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorldSpec {
    pub(crate) rows: u64,
    /// Longest time in milliseconds by which queries may be behind.
    pub(crate) lag: u64,
}

/// Something that happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Milliseconds since the beginning.
    pub(crate) at: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// A person or an application writes to a table.
    Row(RowDeed),
    /// A person writes to a data source.
    Page(PageDeed),
    /// The next calls to Notion meet this.
    Network { fault: NetworkFault, calls: u64 },
    /// The next statements meet this.
    Store { fault: StoreFault, times: u64 },
    /// The engine's process dies when it has been polled so many times more, and a new one starts some time later.
    Crash { polls: u64, down: u64 },
}

/// `pick` names one of those that are there, by its number modulo theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RowDeed {
    Insert { table: u64 },
    Edit { table: u64, pick: u64, field: u64, how: How },
    Delete { table: u64, pick: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PageDeed {
    Create { table: u64 },
    Edit { table: u64, pick: u64, field: u64, how: How },
}

/// What becomes of a cell.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// A text gets one word more; anything else another value.
    Add,
    /// A text is written anew.
    Replace,
    Clear,
}

/// What becomes of one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkFault {
    pub(crate) kind: NetworkKind,
    /// Whether it only hits calls that change something.
    pub(crate) writes_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetworkKind {
    /// No connection comes about.
    Unsent,
    /// The connection breaks before Notion has carried it out, or after.
    Broken { applied: bool },
    /// Notion carries it out so many milliseconds later, when the client knows only that the connection broke.
    Late { after: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreFault {
    /// The connection breaks at a statement.
    StatementLost,
    /// The connection breaks at a commit, which does not take place.
    CommitLost,
    /// The connection breaks at a commit, which takes place.
    CommitAnswerLost,
}

impl StoreFault {
    pub(crate) fn hits_commit(self) -> bool {
        matches!(self, Self::CommitLost | Self::CommitAnswerLost)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StatementLost => "database: connection lost at a statement",
            Self::CommitLost => "database: connection lost before a commit",
            Self::CommitAnswerLost => "database: answer to a commit lost",
        }
    }
}

impl NetworkKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unsent => "call: not sent",
            Self::Broken { applied: false } => "call: lost on its way",
            Self::Broken { applied: true } => "call: answer lost",
            Self::Late { .. } => "call: carried out after it was given up",
        }
    }
}

impl Script {
    /// The simulation of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = WorldSpec { rows: dice.between(0, 12), lag: 0 };
        let quiet_at = dice.between(60, 600) * 1000;
        let mut events = Vec::new();
        for _ in 0..dice.between(3, 40) {
            events.push(Event { at: dice.between(0, quiet_at), what: edit(&mut dice) });
        }
        for _ in 0..dice.between(0, 12) {
            events.push(Event { at: dice.between(0, quiet_at), what: trouble(&mut dice) });
        }
        events.sort_by_key(|event| event.at);
        Self { seed, world, events, quiet_at }
    }
}

fn edit(dice: &mut Dice) -> What {
    let how = *dice.pick(&[How::Add, How::Add, How::Add, How::Replace, How::Clear]);
    let (table, pick, field) = (dice.bits() % 8, dice.bits() % 64, dice.bits() % 64);
    match dice.between(0, 9) {
        0 | 1 => What::Row(RowDeed::Insert { table }),
        2..=4 => What::Row(RowDeed::Edit { table, pick, field, how }),
        5 => What::Row(RowDeed::Delete { table, pick }),
        6 => What::Page(PageDeed::Create { table }),
        _ => What::Page(PageDeed::Edit { table, pick, field, how }),
    }
}

fn trouble(dice: &mut Dice) -> What {
    match dice.between(0, 9) {
        0..=3 => {
            let kinds = [
                NetworkKind::Unsent,
                NetworkKind::Broken { applied: false },
                NetworkKind::Broken { applied: true },
                NetworkKind::Late { after: dice.between(1, 30) * 1000 },
            ];
            let fault = NetworkFault { kind: *dice.pick(&kinds), writes_only: dice.percent(70) };
            What::Network { fault, calls: dice.between(1, 4) }
        }
        4 | 5 => {
            let kinds = [StoreFault::StatementLost, StoreFault::CommitLost, StoreFault::CommitAnswerLost];
            What::Store { fault: *dice.pick(&kinds), times: dice.between(1, 2) }
        }
        _ => What::Crash { polls: dice.between(0, 120), down: dice.between(0, 100) * 1000 },
    }
}
