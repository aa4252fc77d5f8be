//! The audit: entries that cannot be changed, taken out or put in without breaking a chain of hashes.
//!
//! Each entry is kept as the very text that was hashed; its link is the SHA-256 of the link before it, of its number,
//! and of that text. What retention cuts off at the beginning leaves its last link behind as the anchor.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::Digest,
    plan::Step,
    record::{PageId, RowKey},
    side::Side,
    value::Value,
};

/// One entry. Values are in it only by their digests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    /// The person or the machine.
    pub who: String,
    /// The command, or the daemon.
    pub origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RowKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// What was done, in one word: a step's action, or `override`, `undo`, `resolve`, `retention`.
    pub action: String,
    /// Of the values that a step wrote over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Of the values that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// What else belongs to it: a plan's hash, an undone run, a cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Entry {
    /// The text that is kept and hashed.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings, numbers and enums always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The digests of what a step wrote over and of what it wrote, by column.
#[must_use]
pub fn digests(step: &Step, columns: &[String]) -> (Option<Digest>, Option<Digest>) {
    let of = |value: &dyn Fn(usize) -> Option<Value>| {
        let told: Vec<(&str, Value)> = (step.fields.iter().enumerate())
            .filter(|(_, write)| !write.withheld)
            .filter_map(|(at, write)| Some((columns.get(write.field).map_or("", String::as_str), value(at)?)))
            .collect();
        (!told.is_empty()).then(|| Digest::of_json(&told))
    };
    (of(&|at| step.fields[at].before.clone()), of(&|at| Some(step.fields[at].after.clone())))
}

/// A link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first entry of all follows.
    pub const START: Self = Self([0; 32]);

    /// The link of an entry.
    #[must_use]
    pub fn next(self, seq: i64, text: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(seq.to_be_bytes());
        hasher.update(text.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A place in the chain: an entry's number and its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub seq: i64,
    pub hash: Hash,
}

impl Place {
    /// Before the first entry.
    pub const START: Self = Self { seq: 0, hash: Hash::START };

    /// The place of the next entry, with this text.
    #[must_use]
    pub fn next(self, text: &str) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: self.hash.next(seq, text) }
    }
}

/// What an entry says that records a cut.
#[must_use]
pub fn cut_text(anchor: Place) -> String {
    format!("entries up to {} were cut off; the last one was {}", anchor.seq, anchor.hash)
}

/// The action of an entry that records a cut.
pub const RETENTION: &str = "retention";

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The first entry that is not right.
    pub seq: i64,
    pub why: &'static str,
}

/// Walks along a chain, entry by entry.
#[derive(Clone, Debug)]
pub struct Verifier {
    anchor: Place,
    at: Place,
    /// What the last entry about a cut said.
    cut: Option<String>,
}

impl Verifier {
    /// A walk that begins after this place.
    #[must_use]
    pub fn new(anchor: Place) -> Self {
        Self { anchor, at: anchor, cut: None }
    }

    /// Where the walk is.
    #[must_use]
    pub fn at(&self) -> Place {
        self.at
    }

    /// The next entry, as it is kept.
    ///
    /// # Errors
    /// [`Broken`] when it is not the one that was written.
    pub fn take(&mut self, seq: i64, text: &str, hash: Hash) -> Result<(), Broken> {
        let expected = self.at.next(text);
        if seq != expected.seq {
            return Err(Broken { seq: expected.seq, why: "the entry is missing" });
        }
        if hash != expected.hash {
            return Err(Broken { seq, why: "the entry is not the one that was written" });
        }
        if let Ok(entry) = serde_json::from_str::<Entry>(text)
            && entry.action == RETENTION
        {
            self.cut = entry.about;
        }
        self.at = expected;
        Ok(())
    }

    /// The end of the chain, which the head must be; the beginning must be where an entry says that it was cut.
    ///
    /// # Errors
    /// [`Broken`] when entries are missing at the end or at the beginning.
    pub fn finish(self, head: Place) -> Result<Place, Broken> {
        if self.at != head {
            return Err(Broken { seq: self.at.seq + 1, why: "entries are missing at the end" });
        }
        let as_cut = self.cut.is_some_and(|cut| cut == cut_text(self.anchor));
        if self.anchor != Place::START && !as_cut {
            return Err(Broken {
                seq: self.anchor.seq,
                why: "entries were cut off at the beginning, and no entry says so",
            });
        }
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, about: Option<String>) -> Entry {
        Entry {
            at: Timestamp::UNIX_EPOCH,
            who: "me".to_owned(),
            origin: "sync".to_owned(),
            run: Some(1),
            mapping: Some("things".to_owned()),
            key: Some("1".into()),
            page: None,
            side: Some(Side::Notion),
            action: action.to_owned(),
            before: None,
            after: Some(Digest::of(b"x")),
            about,
        }
    }

    fn chain(entries: &[Entry], from: Place) -> Vec<(i64, String, Hash)> {
        let mut at = from;
        let link = |entry: &Entry| {
            at = at.next(&entry.text());
            (at.seq, entry.text(), at.hash)
        };
        entries.iter().map(link).collect()
    }

    fn verify(anchor: Place, kept: &[(i64, String, Hash)], head: Place) -> Result<Place, Broken> {
        let mut verifier = Verifier::new(anchor);
        for (seq, text, hash) in kept {
            verifier.take(*seq, text, *hash)?;
        }
        verifier.finish(head)
    }

    fn five() -> (Vec<(i64, String, Hash)>, Place) {
        let entries: Vec<Entry> =
            ["create", "update", "trash", "update", "delete"].map(|action| entry(action, None)).into();
        let kept = chain(&entries, Place::START);
        let head = Place { seq: 5, hash: kept[4].2 };
        (kept, head)
    }

    #[test]
    fn what_was_done_to_a_chain_is_found_and_named() {
        let (kept, head) = five();
        assert_eq!(verify(Place::START, &kept, head), Ok(head));
        for at in 0..5 {
            let mut changed = kept.clone();
            changed[at].1 = changed[at].1.replace("me", "you");
            let seq = kept[at].0;
            assert_eq!(verify(Place::START, &changed, head).map_err(|broken| broken.seq), Err(seq));
            // Hashed anew, it no longer fits the next one, or the head.
            let before = if at == 0 { Place::START } else { Place { seq: seq - 1, hash: kept[at - 1].2 } };
            changed[at].2 = before.next(&changed[at].1).hash;
            assert_eq!(verify(Place::START, &changed, head).map_err(|broken| broken.seq), Err(seq + 1));
            let mut missing = kept.clone();
            missing.remove(at);
            assert_eq!(verify(Place::START, &missing, head).map_err(|broken| broken.seq), Err(seq));
        }
    }

    #[test]
    fn a_cut_beginning_is_anchored_in_the_chain() {
        let (mut kept, head) = five();
        let anchor = Place { seq: 2, hash: kept[1].2 };
        let told = chain(&[entry(RETENTION, Some(cut_text(anchor)))], head);
        let end = Place { seq: 6, hash: told[0].2 };
        kept.extend(told);
        assert_eq!(verify(anchor, &kept[2..], end), Ok(end));
        // Cut a little more, without a word.
        let further = Place { seq: 3, hash: kept[2].2 };
        assert_eq!(verify(further, &kept[3..], end).map_err(|broken| broken.seq), Err(3));
    }
}
