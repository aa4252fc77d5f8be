//! Turns configuration, catalogue and data sources into mappings that can be synced; makes what is missing.
//!
//! Reading order: [`found`] (what both sides hold), [`drift`] (what moved since it was last bound), [`draft`] (the
//! configuration against the tables), [`resolve`](mod@resolve) (and against the data sources), [`pairing`] and
//! [`propose`](mod@propose) (a first configuration).

pub mod capture;
pub mod connect;
pub mod doctor;
pub mod draft;
pub mod drift;
pub mod found;
pub mod inspect;
pub mod kinds;
pub mod lost;
pub mod pairing;
pub mod propose;
pub mod resolve;
pub mod schema;
pub mod tables;

pub use found::{Found, People, Problem, Sight, SourceFound, Warning};
pub use inspect::{InspectError, inspect, inspect_beside};
pub use propose::{Proposal, Surroundings, propose};
pub use resolve::{Resolution, Resolved, resolve};
