//! The `pagerow` program.
fn main() {}
