//! One mapping's data source as the engine sees it.
mod windows;
