//! What the integration tests share.

pub mod pooler;
pub mod postgres;
pub mod rows;
pub mod world;
