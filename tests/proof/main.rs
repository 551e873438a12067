//! Does the engine keep its promises, and is it noticed when it does not?
//!
//! Run by `./test` in a profile of its own, optimised, with builds that can be
//! told to make mistakes: `cargo test --profile proof --features mutants --test proof`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod crashes;
mod gate;
mod jobs;
mod kept;
mod mistakes;
mod scene;
mod seeds;
mod speed;
