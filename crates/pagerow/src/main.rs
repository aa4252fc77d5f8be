//! The `pagerow` program: parses, wires, runs one command, and ends with its exit code.

use std::process::ExitCode;

/// Plans and reads allocate many small values at once, which the system's allocator is slow at on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pagerow::cli::main()
}
