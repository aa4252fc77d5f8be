//! What to do after a failure: wait and try again, ask a person, or stop.

use std::time::Duration;

/// The kinds of failure that the two sides have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Certainly not applied, and likely to work later (overload, a lock, a lost connection before sending).
    Passing,
    /// The record moved since it was looked at: plan again.
    Stale,
    /// Nobody knows whether it happened: look before anything else.
    Unknown,
    /// This record cannot be written as it is (validation, a constraint).
    Record,
    /// A related record is missing so far.
    Missing,
    /// The whole connection is refused (token, rights, sharing).
    Refused,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Try the same record again after this long.
    Wait(Duration),
    /// Plan the record anew, at once.
    Replan,
    /// Find out what happened first.
    Look,
    /// Out of tries: it stays parked until a person, or a change of its content, moves it.
    Park,
    /// Nothing more on this connection until a person mends it.
    Stop,
}

const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// What to do after the `attempt`th failure (from 1) of one record, when `max_attempts` are allowed.
///
/// Waits grow fourfold from half a minute to six hours. A missing relative is waited for without end, since its
/// arrival is the other record's business.
#[must_use]
pub fn advise(failure: Failure, attempt: u32, max_attempts: u32) -> Advice {
    match failure {
        Failure::Stale => Advice::Replan,
        Failure::Unknown => Advice::Look,
        Failure::Refused => Advice::Stop,
        Failure::Missing => Advice::Wait(wait(attempt)),
        Failure::Passing | Failure::Record if attempt >= max_attempts => Advice::Park,
        Failure::Passing | Failure::Record => Advice::Wait(wait(attempt)),
    }
}

fn wait(attempt: u32) -> Duration {
    let factor = 4u32.saturating_pow(attempt.saturating_sub(1).min(10));
    (FIRST_WAIT * factor).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..=3).map(|attempt| advise(Failure::Record, attempt, 3)).collect();
        assert_eq!(
            waits,
            [Advice::Wait(Duration::from_secs(30)), Advice::Wait(Duration::from_secs(120)), Advice::Park]
        );
        assert_eq!(advise(Failure::Missing, 40, 3), Advice::Wait(LONGEST_WAIT));
        assert_eq!(advise(Failure::Refused, 1, 3), Advice::Stop);
    }
}
