//! Encoding a poll allocates by the family, never by the series.

#[path = "support/pictures.rs"]
mod pictures;

use std::alloc::System;
use std::sync::Arc;

use pictures::{Size, World, next_poll, poll_time};
use scaleio_framework::config;
use scaleio_framework::metrics::{Encoder, families};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The one test of this file: another at the same time would be counted too.
#[test]
fn encoding_allocates_nothing_by_the_series() {
    for size in [Size::SMALL, Size::LARGE, Size::HUGE] {
        let mut world = World::of(size);
        let mut encoder = Encoder::new(&config::Metrics::all(usize::MAX));
        let mut picture = world.picture("prod", 1);
        let mut exposition = encoder.encode(&[Arc::clone(&picture)], poll_time(1));
        for seq in 2..=4 {
            // Latencies come and go, so that buffers have to change their length.
            world.busy(seq);
            picture = next_poll(&world, &picture, seq);
            let pictures = [Arc::clone(&picture)];
            let region = Region::new(GLOBAL);
            // The old exposition is still held by whoever serves it.
            let next = encoder.encode(&pictures, poll_time(seq));
            let change = region.change();
            let series = next.series();
            exposition = next;
            println!(
                "poll {seq}: {series} series, {} allocations, {} reallocations, {} bytes",
                change.allocations, change.reallocations, change.bytes_allocated
            );
            if seq > 2 {
                // From the third poll on, memory of the one before the last is
                // used again. What is left goes by family, pool and SDS list.
                let allowed = 16 * families().len() + 8 * size.pools;
                assert!(change.allocations + change.reallocations < allowed, "{change:?} for {series} series");
            }
        }
        assert!(exposition.series() > 0);
    }
}
