//! Does the engine keep its promises, and is it noticed when it does not?
//!
//! Builds with the feature `mutants` can be told to make mistakes. `./test` plays a sample, another one each time, since
//! its build is not optimised; `PROOF=all CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo test --features mutants --test proof` plays
//! all of it. docs/proof.md has the ranges that were played.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cancels;
mod crashes;
mod gate;
mod jobs;
mod kept;
mod mistakes;
mod removal;
mod scene;
mod seeds;
mod speed;

/// Whether all is to be played, in a build that is optimised.
fn all() -> bool {
    std::env::var("PROOF").is_ok_and(|asked| asked == "all")
}

/// A number that is another one each time.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}
