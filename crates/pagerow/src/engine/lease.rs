//! Working only while the lease certainly holds: taking it, keeping it through long work, giving it back.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use jiff::Timestamp;
use pagerow_core::mutant::{self, Mutant};

use super::{Engine, EngineError, Event, Parts, Tx, holder};
use crate::store::{Lease, Leases, StoreError};

/// The lease's name: one engine at a time works on a connection.
const LEASE: &str = "sync";

/// Between two tries for a lease that somebody else holds.
const PAUSE: Duration = Duration::from_secs(1);

impl<W: Parts> Engine<W> {
    /// Takes the lease, or renews it. That of a process of this machine which is gone is taken at once; any other one is
    /// waited for, as long as nothing shows that its holder lives.
    pub(super) async fn take_lease(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.outdated) {
            self.relatives = None;
        }
        let mut epoch = 0;
        if let Some(lease) = &self.lease {
            let begun = self.clock.uptime();
            match self.store.renew(lease).await {
                Ok(()) => {
                    lease.was_renewed(begun);
                    return Ok(());
                }
                // Somebody else worked meanwhile: what was read before is not to be relied on.
                Err(StoreError::Fenced) => {
                    epoch = lease.epoch();
                    self.lease = None;
                    self.relatives = None;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The end of the lease that is waited for, and the uptime at which it was first seen.
        let mut known: Option<(Timestamp, Duration)> = None;
        loop {
            let begun = self.clock.uptime();
            let is_gone = |holder: &str, until: Timestamp| {
                // Clocks are set: a lease that nobody has renewed for as long as one lasts has ended, whatever its end says.
                let is_over =
                    known.is_some_and(|(end, seen)| end == until && begun.saturating_sub(seen) > Lease::TERM);
                is_over || holder::is_gone(holder) || mutant::is(Mutant::LeaseIsTaken)
            };
            match self.store.take_lease(LEASE, &self.holder, is_gone, begun).await {
                Ok(lease) => {
                    // The number only grows, unless the database was put back.
                    self.went_back |= lease.epoch() <= epoch;
                    self.lease = Some(lease);
                    return Ok(());
                }
                Err(StoreError::Held { holder, seconds, until })
                    if known.is_none_or(|(end, _)| end == until) =>
                {
                    known = known.or_else(|| Some((until, self.clock.uptime())));
                    self.progress.tell(&Event::Waiting { holder: &holder, seconds: seconds.unsigned_abs() });
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(PAUSE) => {}
                        () = self.stop.asked() => return Err(EngineError::Stopped),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the lease back. A dropped engine's lease ends by itself after a minute.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rest(&mut self) -> Result<(), EngineError> {
        if let Some(lease) = self.lease.take() {
            self.store.give_back(&lease).await?;
        }
        self.relatives = None;
        Ok(())
    }

    /// Renews the lease while something long goes on, and goes on with it only while the lease certainly holds: a
    /// process that slept through its end must not send what another one may have sent meanwhile.
    pub(super) async fn keeping_lease<T>(&self, work: impl Future<Output = T>) -> Result<T, EngineError> {
        let Some(lease) = &self.lease else { return Ok(work.await) };
        let mut work = pin!(work);
        loop {
            let guarded = poll_fn(|context| {
                // The renewal that is overdue then wakes this up.
                if lease.is_sure(self.clock.uptime()) { work.as_mut().poll(context) } else { Poll::Pending }
            });
            tokio::select! {
                biased;
                () = tokio::time::sleep(lease.until_renewal(self.clock.uptime())) => {
                    let begun = self.clock.uptime();
                    self.store.renew(lease).await?;
                    lease.was_renewed(begun);
                }
                done = guarded => return Ok(done),
            }
        }
    }

    /// Makes a transaction worthless if another engine has taken over.
    pub(super) async fn fence(&self, tx: &mut Tx<W>) -> Result<(), EngineError> {
        match &self.lease {
            Some(_) if mutant::is(Mutant::NoFence) => Ok(()),
            Some(lease) => Ok(self.store.fence(tx, lease).await?),
            None => Err(EngineError::Store(StoreError::Fenced)),
        }
    }

    /// Ends work that writes nothing as soon as a stop is asked for.
    pub(super) async fn unless_stopped<T>(
        stop: super::Stop,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            () = stop.asked() => Err(EngineError::Stopped),
            done = work => done,
        }
    }
}
