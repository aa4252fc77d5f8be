//! What is to be done about a record while one side is rebuilt from the other: what is lost there is made again, and
//! nothing is deleted on either side.

use crate::{
    decide::{Decision, Known, State},
    observation::Absence,
    plan::{Because, Why},
    side::{Side, Sides},
};

/// Decides one record while `side` is being rebuilt. Only what brings a half back on this side, or merges two halves
/// that are both there, is ever decided; whatever else there is to do waits for the next sync.
#[must_use]
pub fn recover(side: Side, known: Known, state: Sides<State<'_>>) -> Decision {
    use Absence::{Archived, Deleted, Moved, OutOfScope, Trashed, Unreachable};
    use State::{Away, Changed, Same, Unreadable};

    let (lost, kept) = (*state.of(side), *state.of(side.other()));
    match (known, lost, kept) {
        (_, Unreadable(why), _) => Decision::Skip(Why::Unreadable(side, why.to_owned())),
        (_, _, Unreadable(why)) => Decision::Skip(Why::Unreadable(side.other(), why.to_owned())),

        // Both halves are there: field by field, as ever. Two that are as they were settled may still refer to what is
        // lost.
        (
            Known::Linked | Known::Apart(_) | Known::Adopted | Known::Buried,
            Same | Changed,
            Same | Changed,
        ) => Decision::Merge,

        // One half that nothing remembers the other one of.
        (Known::Row, _, Changed) if side == Side::Notion => Decision::Create(side, Because::Recovered),
        (Known::Page, _, Changed) if side == Side::Postgres => Decision::Create(side, Because::Recovered),
        (Known::Row | Known::Page, _, _) => Decision::Quiet,

        // An undo put it away on purpose.
        (Known::Apart(away), Away(_), Same | Changed) if away == side => Decision::Quiet,

        (Known::Linked | Known::Apart(_) | Known::Adopted | Known::Buried, Away(how), Same | Changed) => {
            match (how, side) {
                (Trashed, _) => Decision::Restore(side, because(known)),
                (Deleted, _) | (Unreachable, Side::Notion) => Decision::Create(side, because(known)),
                // It is somewhere, only not where it can be seen: another one would be a twin.
                (Unreachable, Side::Postgres) | (Archived | Moved | OutOfScope, _) => {
                    Decision::Skip(Why::Away(how))
                }
            }
        }

        // There is nothing to rebuild it from.
        (Known::Linked | Known::Apart(_) | Known::Adopted | Known::Buried, _, Away(how)) => {
            Decision::Skip(Why::Away(how))
        }
    }
}

/// A link that was forgotten counts again with its half, as whenever a half is back.
fn because(known: Known) -> Because {
    match known {
        Known::Buried => Because::Back,
        Known::Linked | Known::Apart(_) | Known::Adopted | Known::Row | Known::Page => Because::Recovered,
    }
}
