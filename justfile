# Short names for what is done often. Everything here is a plain command that works without `just`.

# Everything that has to pass before a commit.
check:
    ./check

# Only the rules: seconds.
core:
    cargo test -p pagerow-core

# Real Postgres, an emulated Notion, a two-way sync of a small business.
demo:
    cargo run --release -- demo

# The Notion emulator alone.
emulator *ARGS:
    cargo run --release -- emulator {{ARGS}}

# Figures: pull, push, calls, idle, planning, memory.
bench *ARGS:
    cargo run --release -p pagerow --example bench -- {{ARGS}}

# How well rows find their pages by what people wrote: precision, recall, seconds, memory.
matching *ARGS:
    cargo run --release -p pagerow-core --example matching -- {{ARGS}}

# Ten minutes of everything going wrong at once on real parts, and a reckoning of every edit.
soup *ARGS="--minutes 10":
    cargo run -p pagerow --example soup -- {{ARGS}}

# How much longer writers wait for the triggers of capture.
capture-overhead:
    cargo run --release -p pagerow --example capture_overhead

# Laws with more generated cases than the check takes.
laws CASES="20000000":
    PAGEROW_LAW_CASES={{CASES}} cargo test --release -p pagerow-core --test laws

# Every decoder with more mutated input than the check takes.
fuzz RUNS="1000000":
    PAGEROW_FUZZ_RUNS={{RUNS}} cargo test --release -p pagerow --test fuzz -- --nocapture

# Licences and sources of what we depend on.
deny:
    cargo deny check bans licenses sources
