//! How many instructions does a series cost? Encodes a large system as often
//! as its argument says; `tests/scripts/instructions.sh` counts two such runs
//! and divides the difference.

#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, reason = "a measurement talks to people")]

#[path = "../tests/support/pictures.rs"]
mod pictures;

use std::sync::Arc;

use pictures::{Size, World, next_poll, poll_time};
use scaleio_framework::config::Metrics;
use scaleio_framework::metrics::Encoder;

fn main() {
    let polls: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("a number of polls");
    let mut world = World::of(Size::LARGE);
    let first = world.picture("prod", 1);
    let pictures: Vec<_> = (2..4)
        .map(|seq| {
            world.busy(seq);
            next_poll(&world, &first, seq)
        })
        .collect();
    let mut encoder = Encoder::new(&Metrics::all(usize::MAX));
    let mut exposition = encoder.encode(&[first], poll_time(1));
    for turn in 0..polls {
        // Whoever serves it holds the one before until the next is there.
        exposition = encoder.encode(&[Arc::clone(&pictures[turn % 2])], poll_time(1));
    }
    println!("{}", exposition.series());
}
