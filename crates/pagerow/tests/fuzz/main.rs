//! Whatever comes in, no decoder falls over, runs away, or takes one thing for another.
//!
//! Inputs are made from the small ones in `corpus/` by mutation, from one seed: the same seed gives the same inputs. Each
//! target has a law beside "does not panic"; it is written where the target is.
//!
//! `PAGEROW_FUZZ_RUNS` says how many inputs each target gets (5,000 by default), `PAGEROW_FUZZ_SEED` where to begin,
//! `PAGEROW_FUZZ_TARGET` names one target alone. A failure prints the seed that repeats it, and the input.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod run;
#[cfg(test)]
mod texts;
