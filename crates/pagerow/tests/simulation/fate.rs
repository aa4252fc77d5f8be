//! How a script follows from a seed.

use std::ops::RangeInclusive;

use pagerow_core::mapping::{Flow, OnPageTrashed, OnRowDeleted, Policy};

use crate::{
    aimed::{self, Story},
    dice::Dice,
    kind::Kind,
    script::{
        Cell, Event, FieldSpec, How, MappingSpec, NetworkFault, NetworkKind, PageDeed, RowDeed, Says, Script,
        StoreFault, What, Whose, WorldSpec,
    },
};

const MINUTE: u64 = 60_000;
const DAY: i64 = 86_400_000;

impl Script {
    /// The simulation of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self::drawn(seed, 0..=2)
    }

    /// One in which more happens that aims at a promise, for those who look whether a bug would be noticed.
    pub(crate) fn crowded(seed: u64) -> Self {
        Self::drawn(seed, 2..=5)
    }

    fn drawn(seed: u64, aims: RangeInclusive<u64>) -> Self {
        let mut dice = Dice::new(seed);
        let world = world(&mut dice);
        let quiet_at = dice.between(1, 12) * MINUTE;
        let mut events = Vec::new();
        // Whether somebody else has pagerow's token.
        let is_shared = dice.percent(30);
        for _ in 0..dice.between(3, 40) {
            events.push(Event { at: dice.between(0, quiet_at), what: edit(&mut dice, is_shared) });
        }
        if dice.percent(30) {
            burst(&mut dice, quiet_at, &mut events);
        }
        let mut world = world;
        if dice.percent(35) {
            storm(&mut dice, quiet_at, &mut events);
            world.lag = dice.between(30, 120) * 1000;
        }
        if dice.percent(40) {
            // Not now and then, but each time.
            world.lag_min = world.lag / 10 * 9;
        }
        for _ in 0..dice.between(0, 12) {
            events.push(Event { at: dice.between(0, quiet_at), what: trouble(&mut dice) });
        }
        if dice.percent(20) {
            takeover(&mut dice, quiet_at, &mut events);
        }
        if dice.percent(20) {
            fleeting(&mut dice, quiet_at, &mut events);
        }
        let is_gentle = dice.percent(35);
        if is_gentle {
            events.retain(|event| event.what.is_gentle());
        }
        let mut story = Story { events: &mut events, quiet_at };
        aimed::add(&mut dice, aims, &mut world, is_gentle, &mut story);
        let quiet_at = story.quiet_at;
        events.sort_by_key(|event| event.at);
        Self { seed, world, events, quiet_at }
    }
}

fn world(dice: &mut Dice) -> WorldSpec {
    let names = ["people", "teams", "tasks"];
    let count = *dice.pick(&[1, 1, 2, 2, 3]);
    let mappings = names[..count].iter().map(|name| mapping(dice, name, &names[..count])).collect();
    let rows = dice.between(0, 9);
    WorldSpec {
        mappings,
        rows,
        pages: if dice.percent(25) { dice.between(1, 30) } else { 0 },
        keyed_pages: 0,
        lag: if dice.percent(30) { dice.between(1, 60) * 1000 } else { 0 },
        lag_min: 0,
        cap: if dice.percent(30) { dice.between(10, 20) } else { 10_000 },
        calls_a_minute: dice.percent(15).then(|| dice.between(60, 180)),
    }
}

fn mapping(dice: &mut Dice, name: &str, all: &[&str]) -> MappingSpec {
    let mut fields = vec![FieldSpec { kind: Kind::Title, flow: Flow::Both }];
    for kind in [Kind::Text, Kind::Number, Kind::Check, Kind::Day, Kind::Moment, Kind::Choice, Kind::Tags] {
        if dice.percent(if kind == Kind::Text { 90 } else { 35 }) {
            let flow = *dice.pick(&[
                Flow::Both,
                Flow::Both,
                Flow::Both,
                Flow::Both,
                Flow::ToNotion,
                Flow::ToPostgres,
            ]);
            fields.push(FieldSpec { kind, flow });
        }
    }
    if dice.percent(60) {
        fields.push(FieldSpec { kind: Kind::Refers, flow: Flow::Both });
    }
    MappingSpec {
        name: name.to_owned(),
        fields,
        refers: (*dice.pick(all)).to_owned(),
        direction: *dice.pick(&[
            Flow::Both,
            Flow::Both,
            Flow::Both,
            Flow::Both,
            Flow::Both,
            Flow::Both,
            Flow::ToNotion,
            Flow::ToPostgres,
        ]),
        on_conflict: *dice.pick(&[
            Policy::Manual,
            Policy::Manual,
            Policy::LastWriteWins,
            Policy::PreferPostgres,
            Policy::PreferNotion,
        ]),
        on_row_deleted: *dice.pick(&[
            OnRowDeleted::Trash,
            OnRowDeleted::Trash,
            OnRowDeleted::Keep,
            OnRowDeleted::Ask,
        ]),
        on_page_trashed: *dice.pick(&[
            OnPageTrashed::Ask,
            OnPageTrashed::SoftDelete,
            OnPageTrashed::Delete,
            OnPageTrashed::Restore,
            OnPageTrashed::Keep,
        ]),
        soft_delete: dice.percent(40),
        unique: dice.percent(20),
        capitals: dice.percent(20),
        default: dice.percent(30),
    }
}

pub(crate) fn cell(dice: &mut Dice) -> Cell {
    let how = *dice.pick(&[How::Add, How::Add, How::Add, How::Replace, How::Clear]);
    Cell { field: dice.bits() % 64, how, value: dice.bits() % 100_000 }
}

fn edit(dice: &mut Dice, is_shared: bool) -> What {
    let (table, pick, value) = (dice.bits() % 8, dice.bits() % 64, dice.bits() % 100_000);
    let cell = cell(dice);
    match dice.between(0, 29) {
        0..=4 => What::Row(RowDeed::Insert { table, value }),
        5..=11 => {
            let open = if dice.percent(20) { dice.between(1, 90) * 1000 } else { 0 };
            What::Row(RowDeed::Edit { table, pick, cell, open })
        }
        12 | 13 => What::Row(RowDeed::Delete { table, pick }),
        14 => What::Row(RowDeed::Reinsert { table, pick, value }),
        15 => What::Row(RowDeed::Mark { table, pick }),
        16 if dice.percent(15) => What::Row(RowDeed::Truncate { table }),
        16..=18 => What::Page(PageDeed::Create { table, value }),
        19..=25 => What::Page(PageDeed::Edit {
            table,
            pick,
            cell,
            as_bot: is_shared && dice.percent(40),
            whose: Whose::Anybodys,
        }),
        26 => What::Page(PageDeed::Trash { table, pick, whose: Whose::Anybodys }),
        27 => What::Page(PageDeed::Restore { table, pick }),
        28 => What::Page(PageDeed::Duplicate { table, pick, whose: Whose::Anybodys }),
        _ => What::Row(RowDeed::Edit { table, pick, cell, open: 0 }),
    }
}

/// Both sides of few records are edited within seconds.
fn burst(dice: &mut Dice, quiet_at: u64, events: &mut Vec<Event>) {
    let (begins, table, pick) = (dice.between(0, quiet_at), dice.bits() % 8, dice.bits() % 64);
    if dice.percent(50) {
        // A look takes long, and what it saw is old before it is acted on.
        let kind = NetworkKind::Slow { by: dice.between(3, 30) * 1000 };
        let fault = NetworkFault { kind, writes_only: false, questions_only: false };
        events.push(Event { at: begins, what: What::Network { fault, calls: dice.between(1, 3) } });
    }
    for _ in 0..dice.between(3, 12) {
        let at = (begins + dice.between(0, 15_000)).min(quiet_at);
        let cell = Cell { field: dice.bits() % 2, ..cell(dice) };
        let what = if dice.percent(50) {
            What::Row(RowDeed::Edit { table, pick, cell, open: 0 })
        } else {
            What::Page(PageDeed::Edit { table, pick, cell, as_bot: false, whose: Whose::Anybodys })
        };
        events.push(Event { at, what });
    }
}

/// An engine stands still in the middle of its work until another one has taken over, and goes on.
fn takeover(dice: &mut Dice, quiet_at: u64, events: &mut Vec<Event>) {
    let begins = dice.between(0, quiet_at);
    if dice.percent(70) {
        let span = dice.between(50, 180) * 1000;
        events.push(Event { at: begins + dice.between(0, 500), what: What::Freeze { span } });
    }
    let span = dice.between(100, 240) * 1000;
    events.push(Event { at: begins + dice.between(0, 20_000), what: What::SecondEngine { span } });
    for _ in 0..dice.between(3, 10) {
        let at = begins + dice.between(0, 120_000);
        events.push(Event { at, what: edit(dice, false) });
        let insert = RowDeed::Insert { table: dice.bits() % 8, value: dice.bits() % 100_000 };
        events.push(Event { at: begins + dice.between(0, 90_000), what: What::Row(insert) });
    }
    events.iter_mut().for_each(|event| event.at = event.at.min(quiet_at));
}

/// Rows come and go within a minute or two.
fn fleeting(dice: &mut Dice, quiet_at: u64, events: &mut Vec<Event>) {
    let (begins, table) = (dice.between(0, quiet_at), dice.bits() % 8);
    for _ in 0..dice.between(1, 3) {
        let insert = RowDeed::Insert { table, value: dice.bits() % 100_000 };
        events.push(Event { at: (begins + dice.between(0, 10_000)).min(quiet_at), what: What::Row(insert) });
    }
    for _ in 0..dice.between(2, 5) {
        let delete = RowDeed::Delete { table, pick: dice.bits() % 64 };
        let at = (begins + dice.between(15_000, 90_000)).min(quiet_at);
        events.push(Event { at, what: What::Row(delete) });
    }
}

/// The answers to many writes are lost, while queries are far behind.
fn storm(dice: &mut Dice, quiet_at: u64, events: &mut Vec<Event>) {
    let begins = dice.between(0, quiet_at);
    for _ in 0..dice.between(4, 10) {
        let at = (begins + dice.between(0, 40_000)).min(quiet_at);
        let says = |status| NetworkKind::Says { status, applied: true };
        let kinds = [
            NetworkKind::Broken { applied: true },
            NetworkKind::Hang { applied: true },
            NetworkKind::Truncated,
            NetworkKind::Late { after: dice.between(1, 30) * 1000 },
            says(Says::Error),
            says(Says::Saved),
            says(Says::Timeout),
        ];
        let fault = NetworkFault { kind: *dice.pick(&kinds), writes_only: true, questions_only: false };
        events.push(Event { at, what: What::Network { fault, calls: 1 } });
        let insert = RowDeed::Insert { table: dice.bits() % 8, value: dice.bits() % 100_000 };
        events.push(Event { at, what: What::Row(insert) });
    }
}

fn trouble(dice: &mut Dice) -> What {
    let span = dice.between(1, 240) * 1000;
    match dice.between(0, 42) {
        0..=14 => {
            let writes_only = dice.percent(70);
            let fault = NetworkFault { kind: network(dice), writes_only, questions_only: false };
            What::Network { fault, calls: dice.between(1, 4) }
        }
        40 => What::PageUnshared { table: dice.bits() % 8, pick: dice.bits() % 64, span },
        41 | 42 => {
            let kind = NetworkKind::Says { status: Says::Error, applied: false };
            let fault = NetworkFault { kind, writes_only: false, questions_only: true };
            What::Network { fault, calls: dice.between(6, 14) }
        }
        15..=20 => {
            let kinds = [StoreFault::Statement, StoreFault::Commit, StoreFault::CommitAnswer];
            What::Store { fault: *dice.pick(&kinds), times: dice.between(1, 2) }
        }
        21..=30 => What::Crash { polls: dice.between(0, 160), down: dice.between(0, 100) * 1000 },
        31 | 32 => What::Freeze { span },
        33 | 34 => What::SecondEngine { span },
        35 => {
            let days = [-2 * DAY, 0, 0, 2 * DAY];
            What::Clock { database: *dice.pick(&days), machine: *dice.pick(&days) }
        }
        36 => What::Outage { span },
        37 => What::Revoked { span },
        38 => What::Unshared { table: dice.bits() % 8, span },
        _ => What::DatabaseTrashed { table: dice.bits() % 8, span },
    }
}

fn network(dice: &mut Dice) -> NetworkKind {
    let applied = dice.percent(50);
    match dice.between(0, 11) {
        0 => NetworkKind::Unsent,
        1 | 2 => NetworkKind::Broken { applied },
        3 => NetworkKind::Late { after: dice.between(1, 30) * 1000 },
        4 => NetworkKind::Hang { applied },
        5 => NetworkKind::Slow { by: dice.between(1, 61) * 1000 },
        6 => NetworkKind::Truncated,
        7 | 8 => {
            let seconds = *dice.pick(&[1, 3, 30, 400]);
            let says = [Says::Limited(seconds), Says::WorkspaceLimited(seconds), Says::Overloaded(seconds)];
            NetworkKind::Says { status: *dice.pick(&says), applied: false }
        }
        9 => NetworkKind::Says { status: Says::Collision, applied: false },
        10 => NetworkKind::Says { status: Says::Saved, applied: true },
        _ => {
            let says = [Says::Error, Says::BadGateway, Says::Unavailable, Says::Timeout];
            NetworkKind::Says { status: *dice.pick(&says), applied }
        }
    }
}
