//! Whether the rules keep their promises: a table of cases that people can read, an exhaustive small world, and laws
//! on generated cases.
//!
//! `PAGEROW_LAW_CASES` scales the number of generated cases (1,000,000 in all by default), `PAGEROW_LAW_SEED` gives
//! others. A failure names its seed, with which it happens again.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod converges;
#[cfg(test)]
mod expressions;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod generators;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod loses_nothing;
#[cfg(test)]
mod lost_bases;
#[cfg(test)]
mod matching;
#[cfg(test)]
mod order;
#[cfg(test)]
mod paused;
mod recovery;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod rewind;
#[cfg(test)]
mod rich_text;
#[cfg(test)]
mod small_world;
mod undo;
#[cfg(test)]
mod world;
