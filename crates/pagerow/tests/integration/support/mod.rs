//! What the integration tests share.

pub mod desk;
pub mod notion;
pub mod pooler;
pub mod postgres;
pub mod program;
pub mod rows;
pub mod world;
