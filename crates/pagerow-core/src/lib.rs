//! The rules of pagerow: pure, total, deterministic.
