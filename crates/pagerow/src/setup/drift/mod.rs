//! What moved under the configuration since it was last bound to both schemas: renames are followed, what is lost or
//! replaced pauses the field or the mapping that it touches, and each comes with what would mend it.
//!
//! What was never bound cannot drift: there a name that leads nowhere is a mistake in the file, and stays an error.

mod accept;
mod finding;
mod follow;
mod memory;
mod pause;

pub use accept::Accepted;

pub use finding::{ConfigEdit, Drift, Pause};
pub use memory::{ColumnMemory, FieldMemory, Meaning, Memories, Memory, PropertyMemory};

pub(super) use follow::{Followed, follow};
pub(super) use memory::meaning;
