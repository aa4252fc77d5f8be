//! Groups of events that bring about together what chance alone seldom does: each aims at one promise.

use std::ops::RangeInclusive;

use pagerow_core::mapping::{Flow, OnPageTrashed, OnRowDeleted, Policy};

use crate::{
    dice::Dice,
    fate::cell,
    kind::Kind,
    script::{
        Call, Cell, Event, FieldSpec, How, Keeps, MappingSpec, NetworkFault, NetworkKind, PageDeed, RowDeed,
        Says, What, Whose, Wish, WorldSpec,
    },
};

type Aim = fn(&mut Dice, &mut WorldSpec, &mut Story<'_>);

/// Those that looks for changes alone have to cope with.
const GENTLE: [Aim; 5] = [edited_during_a_look, interrupted, contested, bare, answered];

const HARSH: [Aim; 12] = [
    edited_during_a_look,
    interrupted,
    contested,
    bare,
    answered,
    trashed_during_a_look,
    out_of_sight,
    many_gone,
    copied_and_gone,
    earlier_life,
    two_at_work,
    unanswered,
];

/// What happens until all is quiet.
pub(crate) struct Story<'e> {
    pub(crate) events: &'e mut Vec<Event>,
    pub(crate) quiet_at: u64,
}

impl Story<'_> {
    fn add(&mut self, at: u64, what: What) {
        self.events.push(Event { at: at.min(self.quiet_at), what });
    }

    /// Some time before the end.
    fn sometime(&self, dice: &mut Dice) -> u64 {
        dice.between(0, self.quiet_at.saturating_sub(20_000))
    }
}

/// Adds so many groups.
pub(crate) fn add(
    dice: &mut Dice,
    aims: RangeInclusive<u64>,
    world: &mut WorldSpec,
    is_gentle: bool,
    story: &mut Story<'_>,
) {
    let times = dice.between(*aims.start(), *aims.end());
    let aims: &[Aim] = if is_gentle { &GENTLE } else { &HARSH };
    for _ in 0..times {
        dice.pick(aims)(dice, world, story);
    }
}

/// A mapping that is made to be as a group needs it.
fn pick_mapping<'w>(dice: &mut Dice, world: &'w mut WorldSpec) -> (u64, &'w mut MappingSpec) {
    let at = usize::try_from(dice.bits()).unwrap_or(0) % world.mappings.len();
    (at as u64, &mut world.mappings[at])
}

/// A row is to go to its page, and somebody edits the page while the answer that shows it is on its way: or the other
/// way round.
fn edited_during_a_look(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    // What a list that lags does not show may be overwritten.
    (world.lag, world.lag_min) = (0, 0);
    for _ in 0..dice.between(2, 4) {
        let (at, table, pick) = (story.sometime(dice), dice.bits() % 8, dice.bits() % 64);
        let same = Cell { field: dice.bits() % 2, ..cell(dice) };
        let row = What::Row(RowDeed::Edit { table, pick, cell: same, open: 0 });
        let other = Cell { how: How::Add, ..same };
        let page =
            What::Page(PageDeed::Edit { table, pick, cell: other, as_bot: false, whose: Whose::TheRows });
        let (first, then) = if dice.percent(70) { (row, page) } else { (page, row) };
        story.add(at, first);
        let (after, slow) = (dice.between(0, 1), dice.between(3, 20) * 1000);
        story.add(at, What::Meanwhile { call: Call::List, after, slow, what: vec![then] });
    }
}

/// The same, but the page is put in the trash.
fn trashed_during_a_look(dice: &mut Dice, _: &mut WorldSpec, story: &mut Story<'_>) {
    for _ in 0..dice.between(2, 4) {
        let (at, table, pick) = (story.sometime(dice), dice.bits() % 8, dice.bits() % 64);
        let edited = Cell { field: dice.bits() % 2, ..cell(dice) };
        story.add(at, What::Row(RowDeed::Edit { table, pick, cell: edited, open: 0 }));
        let trash = What::Page(PageDeed::Trash { table, pick, whose: Whose::TheRows });
        let (after, slow) = (dice.between(0, 1), dice.between(0, 5) * 1000);
        story.add(at, What::Meanwhile { call: Call::List, after, slow, what: vec![trash] });
    }
}

/// The engine dies between the rows that it makes and their pages, and as many other rows are deleted until another one
/// takes its place.
fn interrupted(dice: &mut Dice, _: &mut WorldSpec, story: &mut Story<'_>) {
    for _ in 0..dice.between(2, 3) {
        let (at, table) = (story.sometime(dice), dice.bits() % 8);
        let count = dice.between(1, 2);
        let mut what = vec![What::Crash { polls: 0, down: dice.between(1, 20) * 1000 }];
        for _ in 0..count {
            story.add(at, What::Page(PageDeed::Create { table, value: dice.bits() % 100_000 }));
            what.push(What::Row(RowDeed::Delete { table, pick: dice.bits() % 64 }));
        }
        story.add(at, What::Meanwhile { call: Call::Write, after: dice.between(0, 1), slow: 5, what });
    }
}

/// Another engine starts while this one waits for the answer to one of many writes.
fn two_at_work(dice: &mut Dice, _: &mut WorldSpec, story: &mut Story<'_>) {
    let (at, table) = (story.sometime(dice), dice.bits() % 8);
    for _ in 0..dice.between(8, 20) {
        story.add(at, What::Row(RowDeed::Insert { table, value: dice.bits() % 100_000 }));
    }
    let what = vec![What::SecondEngine { span: dice.between(60, 200) * 1000 }];
    let (after, slow) = (dice.between(0, 3), dice.between(2, 15) * 1000);
    story.add(at, What::Meanwhile { call: Call::Write, after, slow, what });
}

/// Pages are made by calls that nobody answers, and lists do not show them yet when the time is up.
fn unanswered(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    world.lag = dice.between(100, 120) * 1000;
    world.lag_min = world.lag / 10 * 9;
    for _ in 0..dice.between(1, 3) {
        let (at, table) = (story.sometime(dice), dice.bits() % 8);
        let kind = NetworkKind::Hang { applied: true };
        let fault = NetworkFault { kind, writes_only: true, questions_only: false };
        story.add(at, What::Network { fault, calls: dice.between(1, 3) });
        for _ in 0..dice.between(1, 3) {
            story.add(at, What::Row(RowDeed::Insert { table, value: dice.bits() % 100_000 }));
        }
    }
}

/// Both sides of a record are edited in the same field, where a person is to decide.
fn contested(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    let (table, mapping) = pick_mapping(dice, world);
    mapping.on_conflict = Policy::Manual;
    for _ in 0..dice.between(1, 4) {
        let (at, pick) = (story.sometime(dice), dice.bits() % 64);
        let same = Cell { field: dice.bits() % 2, ..cell(dice) };
        story.add(at, What::Row(RowDeed::Edit { table, pick, cell: same, open: 0 }));
        let other = Cell { how: How::Add, ..same };
        let deed = PageDeed::Edit { table, pick, cell: other, as_bot: false, whose: Whose::TheRows };
        story.add(at + dice.between(0, 2_000), What::Page(deed));
    }
}

/// The same, and somebody answers what is asked then.
fn answered(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    contested(dice, world, story);
    for _ in 0..dice.between(2, 6) {
        let keeps = *dice.pick(&[Keeps::Rows, Keeps::Pages, Keeps::Neither]);
        let wish = match dice.percent(85) {
            true => Wish::Answer { pick: dice.bits() % 64, keeps },
            false => Wish::Retry,
        };
        let at = dice.between(0, story.quiet_at);
        story.add(at, What::Says(wish));
    }
}

/// Rows come of which only the title is given, and the answers to some of their creates are lost.
fn bare(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    let (table, mapping) = pick_mapping(dice, world);
    if mapping.fields.iter().all(|field| field.kind != Kind::Check) {
        mapping.fields.insert(1, FieldSpec { kind: Kind::Check, flow: Flow::Both });
    }
    for _ in 0..dice.between(2, 5) {
        let at = story.sometime(dice);
        if dice.percent(50) {
            let fault = NetworkFault {
                kind: NetworkKind::Broken { applied: true },
                writes_only: true,
                questions_only: false,
            };
            story.add(at, What::Network { fault, calls: 1 });
        }
        story.add(at, What::Row(RowDeed::InsertBare { table, value: dice.bits() % 100_000 }));
    }
}

/// Pages that are there cannot be seen for a while: lists do not show them yet, they are not shared, or a question for
/// them fails. All of them are looked at meanwhile, and a page in the trash would take its row with it.
fn out_of_sight(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    world.lag = dice.between(30, 120) * 1000;
    world.lag_min = world.lag / 10 * 9;
    let (table, mapping) = pick_mapping(dice, world);
    mapping.direction = Flow::Both;
    mapping.on_page_trashed = *dice.pick(&[OnPageTrashed::Delete, OnPageTrashed::SoftDelete]);
    mapping.soft_delete |= mapping.on_page_trashed == OnPageTrashed::SoftDelete;
    let begins = story.sometime(dice);
    for _ in 0..dice.between(2, 4) {
        let at = begins + dice.between(0, 20_000);
        story.add(at, What::Row(RowDeed::Insert { table, value: dice.bits() % 100_000 }));
    }
    for _ in 0..dice.between(1, 3) {
        let (at, span) = (begins + dice.between(0, 30_000), dice.between(60, 240) * 1000);
        story.add(at, What::PageUnshared { table, pick: dice.bits() % 64, span });
    }
    for _ in 0..dice.between(2, 4) {
        let at = begins + dice.between(20_000, 90_000);
        if dice.percent(50) {
            let kind = NetworkKind::Says { status: Says::Error, applied: false };
            let fault = NetworkFault { kind, writes_only: false, questions_only: true };
            story.add(at, What::Network { fault, calls: dice.between(6, 14) });
        }
        story.add(at, What::FullLooks { times: 1 });
    }
}

/// Many rows or pages go at once.
fn many_gone(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    world.rows = world.rows.max(dice.between(2, 16));
    let (table, mapping) = pick_mapping(dice, world);
    mapping.direction = Flow::Both;
    mapping.on_row_deleted = OnRowDeleted::Trash;
    mapping.on_page_trashed = OnPageTrashed::Delete;
    let at = story.sometime(dice);
    let pages = dice.percent(30);
    if !pages && dice.percent(50) {
        story.add(at, What::Row(RowDeed::Truncate { table }));
        return;
    }
    for _ in 0..dice.between(8, 20) {
        let (at, pick) = (at + dice.between(0, 3_000), dice.bits() % 64);
        story.add(
            at,
            match pages {
                true => What::Page(PageDeed::Trash { table, pick, whose: Whose::Anybodys }),
                false => What::Row(RowDeed::Delete { table, pick }),
            },
        );
    }
    story.add(at + 5_000, What::FullLooks { times: 1 });
}

/// Somebody copies a page, and puts the copy in the trash shortly before its row is deleted; lists show it for some time
/// more.
fn copied_and_gone(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    world.lag = dice.between(90, 120) * 1000;
    world.lag_min = world.lag / 10 * 9;
    let (table, mapping) = pick_mapping(dice, world);
    mapping.direction = Flow::Both;
    mapping.on_row_deleted = OnRowDeleted::Trash;
    let (at, pick) = (story.sometime(dice), dice.bits() % 64);
    story.add(at, What::Page(PageDeed::Duplicate { table, pick, whose: Whose::TheRows }));
    let gone = at + dice.between(90, 200) * 1000;
    // All of it has to have time to happen.
    story.quiet_at = story.quiet_at.max(gone + 60_000);
    story.add(gone, What::Row(RowDeed::Delete { table, pick }));
    let trash = PageDeed::Trash { table, pick: 0, whose: Whose::Copies };
    story.add(gone - dice.between(0, 5_000), What::Page(trash));
    story.add(gone + 10_000, What::FullLooks { times: 2 });
}

/// An earlier pagerow's pages are there, and their rows come one after another.
fn earlier_life(dice: &mut Dice, world: &mut WorldSpec, story: &mut Story<'_>) {
    world.keyed_pages = dice.between(1, 6);
    let (table, mapping) = pick_mapping(dice, world);
    if dice.percent(70) {
        mapping.direction = Flow::ToNotion;
    }
    for _ in 0..dice.between(2, 6) {
        let (at, pick, value) = (story.sometime(dice), dice.bits() % 64, dice.bits() % 100_000);
        story.add(at, What::Row(RowDeed::Reinsert { table, pick, value }));
    }
}
