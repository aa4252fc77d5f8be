//! A plan: the complete, ordered, serialisable list of writes, and of everything that is not written and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    fidelity::Reason,
    observation::Absence,
    record::{PageId, RowKey},
    side::{Side, Sides},
    value::Value,
};

/// Everything one cycle will do, for all mappings that took part. Made by the planner, carried out by the engine,
/// shown by everything else; execution has no choices left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub mappings: Vec<MappingPlan>,
}

/// One mapping's part of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappingPlan {
    pub mapping: String,
    /// Which mapping it was made for ([`crate::mapping::Mapping::fingerprint`]).
    pub fingerprint: Digest,
    /// Column names by field number, so that a kept plan can be read alone.
    pub columns: Vec<String>,
    pub steps: Vec<Step>,
    /// New bases where nothing needs to be written.
    pub settlements: Vec<Settlement>,
    pub conflicts: Vec<Conflict>,
    pub parked: Vec<Parked>,
    pub skipped: Vec<Skipped>,
    pub census: Census,
}

/// The numbers against which a plan is weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Links before the plan.
    pub links: u64,
    /// Records on each side, where a complete read counted them.
    pub records: Sides<Option<u64>>,
    /// Links that were found equal to their bases.
    pub unchanged: u64,
}

/// One write to one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Steps of one wave are independent; a wave begins when the one before is done.
    pub wave: u32,
    /// The side that is written to.
    pub side: Side,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    pub fields: Vec<FieldWrite>,
    /// Write the row's key into the page's key property.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mark: bool,
    /// What the record must look like for the write to go ahead.
    pub expect: Expect,
    /// What the record's other half looked like when the step was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    pub because: Because,
    /// The whole row as Postgres's JSON, columns without a property included: what the journal keeps of a row that was
    /// deleted, and what an undo makes it again from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make a row or a page.
    Create,
    /// Change fields; with no fields, only the key property is put right.
    Update,
    /// Take a page out of the trash, clear a row's deletion mark; carries no fields.
    Restore,
    /// Put a page in the trash, set a row's deletion mark.
    Trash,
    /// Delete a row.
    Delete,
}

/// One field of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldWrite {
    /// The field's number in the mapping.
    pub field: usize,
    /// What the target holds now; it is what an undo would bring back. `None` for a record that is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be written: already in the form in which the target stores it.
    pub after: Value,
    /// The other side's value where it differs in form from `after` (seconds that Notion cuts, for example). Of a record
    /// that is deleted: the other side's base, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// Not written, only remembered: a field of a new record that does not flow to this side, or that is left to the
    /// column's default. `after` is then `Null`, so that whatever the new record shows counts as a change. In a half
    /// that an undo brings back, `after` is what it held: it comes back by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Who decided, where both sides had changed: `before` is then the value that lost, and this step keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

/// Who decided between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A rule of the field or the mapping's policy.
    Rule,
    /// A person, for one side's value.
    Person,
    /// A person, for a value of their own. It is written to the row as if it had been edited there, so that the next
    /// plan takes it to the page; `source` is the page's value, which loses with the row's.
    Typed,
}

impl FieldWrite {
    /// The value of the side from which the write comes: that side's new base.
    #[must_use]
    pub fn source(&self) -> &Value {
        self.source.as_ref().unwrap_or(&self.after)
    }
}

/// What a step expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Nothing: the record is made now.
    Nothing,
    /// The record as it was seen, by content.
    Seen(Digest),
    /// The record, absent in this way.
    Absent(Absence),
}

/// Why a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Only the other side has the record.
    New,
    /// The other side changed.
    Edited,
    /// Both changed, and a rule or a policy decided.
    Decided,
    /// The other side deleted the record.
    Deleted,
    /// One side deleted what the other edited: the edit wins.
    EditBeatsDeletion,
    /// The page's key property is not the row's key.
    Unmarked,
    /// Both halves were deleted, and the other one is back.
    Back,
    /// A person answered a conflict.
    Answered,
    /// An earlier run is taken back.
    Undone,
    /// The whole row that the page keeps is not the row any more: a column without a property changed.
    Backup,
    /// Its side is being rebuilt from the other one.
    Recovered,
}

/// New bases for one link, without a write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<i64>,
    pub key: RowKey,
    pub page: PageId,
    pub fields: Vec<Settled>,
    /// Both halves are gone: the link goes too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forget: bool,
    /// Both halves are back: the link counts again, with the bases it had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raise: bool,
}

/// The values on which the two sides agree for one field, each in its own form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    pub field: usize,
    pub values: Sides<Value>,
}

/// A field that both sides changed to different values, and that no policy decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    pub kind: ConflictKind,
    /// When each side was last edited, where it says so.
    pub edited: Sides<Option<Timestamp>>,
    /// Who edited each side last, where it says so.
    #[serde(default)]
    pub authors: Sides<Option<String>>,
}

/// What is contested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// One field's value.
    Field { field: usize, base: Sides<Option<Value>>, values: Sides<Value> },
    /// The record was deleted on this side, and the mapping says to ask.
    Deleted { on: Side, how: Absence },
}

/// A record that cannot be written as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The side that cannot take it.
    pub side: Side,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<usize>,
    pub reason: Reason,
    /// The value that waits; shown to its owner, never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A record for which nothing is done, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    pub why: Why,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A side could not be read.
    Unreadable(Side, String),
    /// The mapping does not flow that way.
    Direction,
    /// The row is gone and the mapping keeps the page, or the other way round.
    Kept(Side),
    /// The page is archived, moved or out of reach: none of these is a deletion.
    Away(Absence),
    /// Another page already carries this row's key, or several halves fit each other.
    Double { candidates: Vec<String> },
    /// It may belong to a half that is there, and nobody has said whether it does.
    Asked,
    /// A write of which nobody knows yet whether it happened.
    InDoubt,
    /// It failed before and its time to try again has not come.
    Waiting,
    /// It cannot be made or deleted while this field is paused.
    Paused { column: String },
    /// It was found to be gone on this side just now; the other half follows when a later look still finds it gone.
    JustGone(Side),
}

impl Why {
    /// Whether a person has to decide before this record moves.
    #[must_use]
    pub fn needs_decision(&self) -> bool {
        matches!(self, Self::Double { .. } | Self::Asked)
    }
}

impl Plan {
    /// A name for this plan: equal plans have equal names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of_json(self)
    }

    /// All steps with their mapping's place in [`Plan::mappings`].
    pub fn steps(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.mappings.iter().enumerate().flat_map(|(at, mapping)| mapping.steps.iter().map(move |s| (at, s)))
    }

    /// Whether carrying it out would change anything, bases included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mappings.iter().all(|m| m.steps.is_empty() && m.settlements.is_empty())
    }
}
