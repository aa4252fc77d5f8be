//! Whether our memory is from the past: a backup that was put back, a copy, a server that took over too early.
//!
//! The database's own numbers tell of most of it, an engine that still runs sees the number of runs go backwards, and
//! where neither does, the pages do: each of our writes settles its link, so that an edit of ours that is later than the
//! last one we know of, and that left something else than what we settled, is one that was forgotten.

use pagerow_core::{
    change::{Change, change},
    fidelity::agree,
    mapping::Mapping,
    observation::{Identity, Link, Observation, Pair, Sighting},
    side::Side,
};

use super::{Bound, Engine, EngineError, Event, Parts, look::View};
use crate::store::{Identities, Transaction, Transactions, Whereabouts};

impl<W: Parts> Engine<W> {
    /// Finds out whether this is the database, and the time, that the memory belongs to. If not, the bases of all
    /// mappings are given up; without the lease only for as long as this engine plans.
    pub(super) async fn find_its_place(&mut self) -> Result<(), EngineError> {
        let now = self.store.whereabouts().await?;
        let known = self.store.remembered("").await?.database;
        let why = if now.last_run < self.last_run || self.went_back {
            Some("the memory itself has gone back to an earlier point".to_owned())
        } else {
            known.as_ref().and_then(|known| now.differs(known))
        };
        self.last_run = now.last_run;
        self.went_back = false;
        self.presumed = None;
        match why {
            None if known.as_ref() == Some(&Whereabouts { last_run: 0, ..now.clone() }) => Ok(()),
            None if self.lease.is_none() => Ok(()),
            None => {
                let mut tx = self.store.begin().await?;
                self.fence(&mut tx).await?;
                self.store.keep_whereabouts(&mut tx, &now).await?;
                Ok(tx.commit().await?)
            }
            Some(why) => {
                // What was read before is of another time.
                self.relatives = None;
                if self.lease.is_none() {
                    self.presumed = Some(why);
                    return Ok(());
                }
                let mut tx = self.store.begin().await?;
                self.fence(&mut tx).await?;
                for bound in &self.bound {
                    self.store.lose_bases(&mut tx, &bound.mapping.name, &why).await?;
                }
                self.store.keep_whereabouts(&mut tx, &now).await?;
                tx.commit().await?;
                for bound in &self.bound {
                    self.progress.tell(&Event::BasesLost { mapping: &bound.mapping.name, why: &why });
                }
                Ok(())
            }
        }
    }

    /// Whether what a look saw gives the memory away; then the mapping's bases are given up. Answers why.
    pub(super) async fn given_away(
        &self,
        bound: &Bound<W>,
        view: &View,
    ) -> Result<Option<String>, EngineError> {
        if bound.settings.shared_token {
            return Ok(None);
        }
        let suspects: Vec<(i64, &Sighting)> =
            view.pairs.iter().filter_map(|pair| suspect(&bound.mapping, pair)).collect();
        if suspects.is_empty() {
            return Ok(None);
        }
        let links: Vec<i64> = suspects.iter().map(|(link, _)| *link).collect();
        let own = self.store.own_writes(&links).await?;
        let forgotten = suspects
            .iter()
            .filter(|(link, page)| {
                own.get(link).is_some_and(|own| {
                    page.editor.as_deref() == Some(own.by.as_str()) && page.edited > Some(own.at)
                })
            })
            .count();
        if forgotten == 0 {
            return Ok(None);
        }
        let pages = if forgotten == 1 { "1 page was" } else { &format!("{forgotten} pages were") };
        let why = format!("{pages} edited with our own token later than we remember");
        let name = &bound.mapping.name;
        if self.lease.is_some() {
            let mut tx = self.store.begin().await?;
            self.fence(&mut tx).await?;
            self.store.lose_bases(&mut tx, name, &why).await?;
            tx.commit().await?;
        }
        self.progress.tell(&Event::BasesLost { mapping: name, why: &why });
        Ok(Some(why))
    }
}

/// A page that is not as it was settled, in a field that we write, and not as its row is either.
fn suspect<'p>(mapping: &Mapping, pair: &'p Pair) -> Option<(i64, &'p Sighting)> {
    let (Identity::Linked(link), Observation::Present(page)) = (&pair.identity, &pair.seen.notion) else {
        return None;
    };
    page.editor.as_ref()?;
    let differs = |(number, field): (usize, &pagerow_core::mapping::Field)| {
        let (Some(base), Some(shown)) = (link.base.notion.get(number), page.record.get(number)) else {
            return false;
        };
        field.flow.reaches(Side::Notion)
            && mapping.direction.reaches(Side::Notion)
            && change(Some(base), shown) == Change::Changed
            && row_now(pair, link, number).is_some_and(|row| !agree(row, shown, field))
    };
    mapping.fields.iter().enumerate().any(differs).then_some((link.id, page))
}

/// What the row holds, as far as it was seen or is as it was settled.
fn row_now<'p>(pair: &'p Pair, link: &'p Link, field: usize) -> Option<&'p pagerow_core::value::Value> {
    match &pair.seen.postgres {
        Observation::Present(row) => row.record.get(field),
        Observation::Unchanged => link.base.postgres.get(field),
        Observation::Absent(_) | Observation::Unreadable(_) => None,
    }
}
