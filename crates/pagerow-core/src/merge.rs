//! One field, two changes: keep, take or conflict.

use jiff::Timestamp;

use crate::{
    change::{Change, change},
    fidelity::{self, Fidelity, Reason},
    mapping::{Field, Flow, Policy},
    mutant::{self, Mutant},
    side::{Side, Sides},
    value::Value,
};

/// What is to be done about one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Merged {
    /// Neither side changed. Where the sides differ all the same, they are held apart on purpose.
    Quiet,
    /// The sides agree: new bases, no write.
    Settle,
    /// One side's value goes to the other, in the form that the other will store.
    Write {
        to: Side,
        after: Value,
        /// Both had changed, and a rule or a policy decided.
        decided: bool,
    },
    /// Both changed, differently, and nothing decides.
    Conflict,
    /// The value that should go to this side cannot be held there.
    Park { to: Side, reason: Reason },
}

/// Merges one field.
///
/// `base` is what was last settled with each side (`None`: unknown), `now` what each side holds, `edited` when each
/// side was last edited, by its own clock.
#[must_use]
pub fn merge(
    field: &Field,
    policy: Policy,
    base: Sides<Option<&Value>>,
    now: Sides<&Value>,
    edited: Sides<Option<Timestamp>>,
) -> Merged {
    if field.is_paused() {
        return Merged::Quiet;
    }
    let changed =
        Sides { postgres: change(base.postgres, now.postgres), notion: change(base.notion, now.notion) };
    match (changed.postgres, changed.notion) {
        (Change::Same, Change::Same) => return Merged::Quiet,
        _ if fidelity::agree(now.postgres, now.notion, field) => return Merged::Settle,
        _ => {}
    }
    // Formatting alone is no edit of what the row holds: it never competes with one.
    let in_words = |value| fidelity::in_words(value, field);
    let notion = match base.notion {
        Some(base) if in_words(base) == in_words(now.notion) => Change::Same,
        _ => changed.notion,
    };
    match (changed.postgres, notion) {
        (Change::Same, Change::Same) => Merged::Quiet,
        (Change::Changed, Change::Same) => carry(field, Side::Postgres, now),
        (Change::Same, Change::Changed) => carry(field, Side::Notion, now),
        (Change::Changed, Change::Changed) => contest(field, policy, now, edited),
        // Without a base, something beats nothing: this loses no value. The rest is a contest.
        (Change::Unknown, _) | (_, Change::Unknown) => match (now.postgres.is_empty(), now.notion.is_empty())
        {
            (true, false) => carry(field, Side::Notion, now),
            (false, true) => carry(field, Side::Postgres, now),
            (true, true) | (false, false) => contest(field, policy, now, edited),
        },
    }
}

/// Compares one field whose base was lost. Without it nobody knows which value is the later one, so that no rule decides
/// either: a policy would write the past over the present.
#[must_use]
pub fn compare(field: &Field, now: Sides<&Value>) -> Merged {
    if fidelity::agree(now.postgres, now.notion, field) { Merged::Settle } else { Merged::Conflict }
}

/// Takes one side's change to the other. A field that flows one way is a mirror: a change on the receiving side is
/// answered with the giving side's value.
fn carry(field: &Field, from: Side, now: Sides<&Value>) -> Merged {
    if field.flow.reaches(from.other()) {
        write(field, from, now, false)
    } else {
        write(field, from.other(), now, true)
    }
}

fn contest(field: &Field, policy: Policy, now: Sides<&Value>, edited: Sides<Option<Timestamp>>) -> Merged {
    let winner = match field.flow {
        Flow::ToNotion => Some(Side::Postgres),
        Flow::ToPostgres => Some(Side::Notion),
        Flow::Both => field.wins.or_else(|| by_policy(policy, edited)),
        Flow::Paused => None,
    };
    winner.map_or(Merged::Conflict, |winner| write(field, winner, now, true))
}

fn by_policy(policy: Policy, edited: Sides<Option<Timestamp>>) -> Option<Side> {
    match policy {
        Policy::Manual if mutant::is(Mutant::ContestIsIgnored) => Some(Side::Postgres),
        Policy::Manual => None,
        Policy::PreferPostgres => Some(Side::Postgres),
        Policy::PreferNotion => Some(Side::Notion),
        Policy::LastWriteWins => {
            let (row, page) = (edited.postgres?, edited.notion?);
            // The page's time is the start of its minute: a row edited in that minute may be the earlier or the
            // later one, and wins.
            Some(if row >= page { Side::Postgres } else { Side::Notion })
        }
    }
}

/// Takes one side's value to the other, because somebody decided so.
#[must_use]
pub fn take(field: &Field, from: Side, now: Sides<&Value>) -> Merged {
    write(field, from, now, true)
}

fn write(field: &Field, from: Side, now: Sides<&Value>, decided: bool) -> Merged {
    let to = from.other();
    match fidelity::over(to, now.of(from), now.of(to), field) {
        Fidelity::Stored(after) => Merged::Write { to, after, decided },
        Fidelity::Unstorable(reason) => Merged::Park { to, reason },
    }
}
