//! Notion's property values as core values and back, without IO.

mod dates;
mod incoming;
mod outgoing;
mod rich_text;

pub use incoming::{Incoming, value};
pub use outgoing::{Outgoing, Unsendable, plain_text, property};

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
