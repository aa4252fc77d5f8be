//! Known bugs, to be switched on one at a time: whoever claims that the tests would notice can see whether they do.
//!
//! Without the feature `mutants` none of them can be switched on, and [`is`] is a constant.

/// Declares the bugs, each with what it does wrong.
macro_rules! mutants {
    ($($name:ident: $wrong:literal,)+) => {
        /// One known bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $(#[doc = $wrong] $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What goes wrong.
            #[must_use]
            pub fn wrong(self) -> &'static str {
                match self {
                    $(Self::$name => $wrong,)+
                }
            }
        }
    };
}

mutants! {
    // What a lost answer leaves behind.
    TimeoutIsNotApplied: "a write without an answer counts as not done",
    BrokenIsNotApplied: "a write whose connection broke counts as not done",
    ServerErrorIsNotApplied: "a write that ended with 5xx counts as not done",
    SavedIsNotApplied: "a write that was saved, as 503 says, counts as not done",
    CutAnswerIsNotApplied: "a write whose answer was cut off counts as not done",
    WritesAreRepeated: "a write is sent again like a read",
    NoIntent: "a page is made without a word in the journal before",
    NotFoundIsNotApplied: "a page that is not found at once counts as not made",
    DoubtfulIsPlanned: "a row whose page may have been made is planned like any other",
    FoundIsAsItWas: "an edit of a page since its lost create counts as settled",
    UnknownIsForgotten: "what became of a write is not looked up",
    // Reading.
    WatermarkIsExclusive: "edits of the minute of the last one seen are not asked for again",
    NoOverlap: "a lagging index is not asked again for the minutes before the last edit",
    CutListIsWhole: "a list that Notion cut off counts as complete",
    UnreadableIsAbsent: "a page that cannot be read counts as trashed",
    UnsharedIsTrashed: "a page that is out of reach counts as trashed",
    UnseenIsTrashed: "a page that a list does not show counts as trashed, without looking at it",
    ListIsBelieved: "a list that is older than our own write is believed",
    CountIsIgnored: "rows that vanish without a name are not missed",
    CountIsKept: "a number of rows that an interrupted plan left behind is trusted",
    UnlinkedIsBelieved: "a listed page of a deleted row is believed, and brings the row back",
    NobodySearches: "a row without a link gets a page, whether or not one carries its key",
    // Writing.
    StaleIsWritten: "a page that was edited since the look is overwritten",
    NobodyLooksAgain: "pages are overwritten on the word of an old look",
    NoKey: "new pages do not carry their row's key",
    NoMark: "pages that people made do not get their row's key",
    RetryAfterIsIgnored: "calls go on while Notion asks to wait",
    // Remembering.
    CursorFirst: "cursors move before the plan is carried out",
    StaleIsForgotten: "a record that was not written because it had moved is not looked at again",
    FailureIsForgotten: "a record that could not be written is not parked",
    ConflictIsForgotten: "a conflict is not written down",
    OneBase: "a write settles only the side that was written",
    GoneLinksLive: "references go by links that are gone",
    // Working alone.
    NoFence: "a holder that came too late still commits",
    LeaseIsTaken: "the lease of a living engine is taken at once",
    // Deciding.
    NoGuard: "no guard stops a plan",
    ContestIsIgnored: "where both sides changed, Postgres wins in silence",
    EmptyCheckbox: "an empty column is not the same as an empty checkbox",
    TriggersEcho: "what a trigger makes of a one-way field counts as an edit",
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether this bug is switched on in this thread.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// Switches one bug on in this thread, or all off.
    pub fn switch(mutant: Option<Mutant>) {
        ON.set(mutant);
    }
}

#[cfg(feature = "mutants")]
pub use switch::{is, switch};

/// Whether this bug is switched on: never, without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn is(_: Mutant) -> bool {
    false
}
