//! The whole program on a real Postgres and the emulator: what is promised, seen from both sides.

mod northwind;
