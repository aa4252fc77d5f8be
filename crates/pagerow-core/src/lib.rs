//! The rules of pagerow: which writes make a table and a data source equal, decided without touching either.
//!
//! Everything here is pure, total and deterministic: no IO, no clock, no chance, no hash-map order. The same
//! inputs give the same plan, byte for byte. Reading order: [`value`], [`record`], [`mapping`], [`fidelity`],
//! [`expression`], [`lens`], [`observation`], [`change`], [`merge`], [`decide`], [`adopt`], [`matching`], [`answer`],
//! [`plan`], [`planner`], [`recovery`], [`guard`],
//! [`journal`], [`settle`], [`undo`], [`rewind`], [`audit`], [`retry`].

pub mod adopt;
pub mod answer;
pub mod audit;
pub mod change;
pub mod decide;
pub mod digest;
pub mod expression;
pub mod fidelity;
pub mod guard;
pub mod journal;
pub mod lens;
pub mod mapping;
pub mod matching;
pub mod merge;
pub mod mutant;
pub mod number;
pub mod observation;
pub mod plan;
pub mod planner;
pub mod record;
pub mod recovery;
pub mod retry;
pub mod rewind;
pub mod rich_text;
pub mod settle;
pub mod side;
pub mod undo;
pub mod value;
