//! One record, two states: the whole matrix of what follows, in one total match.

use crate::{
    mapping::{Flow, Mapping, OnPageTrashed, OnRowDeleted},
    observation::Absence,
    plan::{Because, Why},
    side::{Side, Sides},
};

/// How far a record is known to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By a link with bases.
    Linked,
    /// By the link of two halves that were both deleted.
    Buried,
    /// By a link with bases; the half on this side is away on purpose.
    Apart(Side),
    /// Both halves were found to belong together; there is no base.
    Adopted,
    /// Only as a row.
    Row,
    /// Only as a page.
    Page,
}

/// One half's state against its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    Same,
    Changed,
    Away(Absence),
    Unreadable(&'a str),
}

/// What is to be done about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, and nothing to say about it.
    Quiet,
    /// Both halves are there: field by field.
    Merge,
    /// Make the half on this side from the other half.
    Create(Side, Because),
    /// Bring this side's half back as it is; what the other half changed since follows when it was seen.
    Restore(Side, Because),
    /// Put this side's half in the trash, or mark it as deleted.
    Trash(Side),
    /// Delete the row.
    Delete,
    /// A person decides what the deletion on this side means.
    Ask(Side, Absence),
    /// Both halves are gone: so is the link.
    Forget,
    /// Nothing, for this reason.
    Skip(Why),
}

/// Decides one record.
#[must_use]
pub fn decide(known: Known, state: Sides<State<'_>>, mapping: &Mapping) -> Decision {
    use Absence::{Archived, Deleted, Moved, OutOfScope, Trashed, Unreachable};
    use State::{Away, Changed, Same, Unreadable};

    match (known, state.postgres, state.notion) {
        // What could not be read stops the record, and never deletes it.
        (_, Unreadable(why), _) => Decision::Skip(Why::Unreadable(Side::Postgres, why.to_owned())),
        (_, _, Unreadable(why)) => Decision::Skip(Why::Unreadable(Side::Notion, why.to_owned())),

        // Only one half was ever there; without a sight of it there is nothing to make the other from.
        (Known::Row, Changed, _) => create(Side::Notion, mapping.direction),
        (Known::Page, _, Changed) => create(Side::Postgres, mapping.direction),
        (Known::Row, Same | Away(_), _) | (Known::Page, _, Same | Away(_)) => Decision::Quiet,

        // Both halves are there.
        (Known::Linked, Same, Same) => Decision::Quiet,
        (Known::Linked, Same | Changed, Same | Changed) => Decision::Merge,
        // What was away on purpose is back: both are there from now on.
        (Known::Apart(_), Same | Changed, Same | Changed) => Decision::Merge,
        (Known::Adopted, Same | Changed, Same | Changed) => Decision::Merge,
        // A half is back, and the other one that it names is still in the trash; no link remembers them.
        (Known::Adopted, Away(Trashed), Changed) if mapping.direction.reaches(Side::Postgres) => {
            Decision::Restore(Side::Postgres, Because::Back)
        }
        (Known::Adopted, Changed, Away(Trashed)) if mapping.direction.reaches(Side::Notion) => {
            Decision::Restore(Side::Notion, Because::Back)
        }
        // A pair of which one half left again meanwhile: the next look tells.
        (Known::Adopted, Away(_), _) | (Known::Adopted, _, Away(_)) => Decision::Quiet,

        // Both halves had been deleted: what is back brings the other one back.
        (Known::Buried, Same | Changed, Same | Changed) => Decision::Merge,
        (Known::Buried, Away(_), Away(_)) => Decision::Quiet,
        (Known::Buried, Away(Trashed), Same | Changed) => back(Decision::Restore, Side::Postgres, mapping),
        (Known::Buried, Same | Changed, Away(Trashed)) => back(Decision::Restore, Side::Notion, mapping),
        (Known::Buried, Away(Deleted), Same | Changed) => back(Decision::Create, Side::Postgres, mapping),
        // The page is out of the trash's reach: another one is made.
        (Known::Buried, Same | Changed, Away(Deleted | Moved | Unreachable)) => {
            back(Decision::Create, Side::Notion, mapping)
        }
        (Known::Buried, Away(away), _) | (Known::Buried, _, Away(away)) => Decision::Skip(Why::Away(away)),

        // Both halves were deleted.
        (Known::Linked | Known::Apart(_), Away(Deleted | Trashed), Away(Deleted | Trashed)) => {
            Decision::Forget
        }

        // Away without being deleted: not our business until it comes back or a person says so.
        (Known::Linked | Known::Apart(_), Away(away @ (Archived | Moved | Unreachable | OutOfScope)), _)
        | (Known::Linked | Known::Apart(_), _, Away(away @ (Archived | Moved | Unreachable | OutOfScope))) => {
            Decision::Skip(Why::Away(away))
        }

        // An undo took one half away, or left it away. An edit of the other half brings it back.
        (Known::Apart(Side::Postgres), Away(Deleted | Trashed), Same)
        | (Known::Apart(Side::Notion), Same, Away(Deleted | Trashed)) => Decision::Quiet,
        (Known::Apart(side @ Side::Postgres), Away(Deleted | Trashed), Changed)
        | (Known::Apart(side @ Side::Notion), Changed, Away(Deleted | Trashed))
            if !mapping.direction.reaches(side) =>
        {
            Decision::Skip(Why::Direction)
        }

        // The row was deleted.
        (Known::Linked | Known::Apart(_), Away(how @ (Deleted | Trashed)), Same) => row_deleted(how, mapping),
        (Known::Linked | Known::Apart(_), Away(how @ (Deleted | Trashed)), Changed) => {
            match (mapping.direction.reaches(Side::Postgres), how) {
                (true, Trashed) => Decision::Restore(Side::Postgres, Because::EditBeatsDeletion),
                (true, _) => Decision::Create(Side::Postgres, Because::EditBeatsDeletion),
                (false, _) => row_deleted(how, mapping),
            }
        }

        // The page was deleted.
        (Known::Linked | Known::Apart(_), Same, Away(how @ (Deleted | Trashed))) => {
            page_deleted(how, mapping)
        }
        (Known::Linked | Known::Apart(_), Changed, Away(how @ (Deleted | Trashed))) => {
            if mapping.direction.reaches(Side::Notion) {
                Decision::Restore(Side::Notion, Because::EditBeatsDeletion)
            } else {
                page_deleted(how, mapping)
            }
        }
    }
}

fn back(how: fn(Side, Because) -> Decision, side: Side, mapping: &Mapping) -> Decision {
    if mapping.direction.reaches(side) { how(side, Because::Back) } else { Decision::Skip(Why::Direction) }
}

fn create(side: Side, direction: Flow) -> Decision {
    if direction.reaches(side) {
        Decision::Create(side, Because::New)
    } else {
        Decision::Skip(Why::Direction)
    }
}

fn row_deleted(how: Absence, mapping: &Mapping) -> Decision {
    if !mapping.direction.reaches(Side::Notion) {
        return Decision::Skip(Why::Kept(Side::Notion));
    }
    match mapping.on_row_deleted {
        OnRowDeleted::Trash => Decision::Trash(Side::Notion),
        OnRowDeleted::Keep => Decision::Skip(Why::Kept(Side::Notion)),
        OnRowDeleted::Ask => Decision::Ask(Side::Postgres, how),
    }
}

fn page_deleted(how: Absence, mapping: &Mapping) -> Decision {
    if !mapping.direction.reaches(Side::Postgres) {
        return Decision::Skip(Why::Kept(Side::Postgres));
    }
    match mapping.on_page_trashed {
        OnPageTrashed::Ask => Decision::Ask(Side::Notion, how),
        OnPageTrashed::SoftDelete => Decision::Trash(Side::Postgres),
        OnPageTrashed::Delete => Decision::Delete,
        OnPageTrashed::Restore if mapping.direction.reaches(Side::Notion) => {
            Decision::Restore(Side::Notion, Because::Deleted)
        }
        OnPageTrashed::Restore | OnPageTrashed::Keep => Decision::Skip(Why::Kept(Side::Postgres)),
    }
}
