//! The database, modelled: the user's tables and pagerow's own, with transactions that commit all or nothing.

pub(crate) mod attention;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod memory;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod shared;
pub(crate) mod table;

pub(crate) use server::{Server, Tx};
