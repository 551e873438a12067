//! How long does it take to encode, pack and hand out a poll, by size of the system?

#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, reason = "a bench is no library and talks to people")]

#[path = "../tests/support/pictures.rs"]
mod pictures;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pictures::{Size, World, next_poll, poll_time};
use scaleio_framework::config;
use scaleio_framework::metrics::{Build, Encoder, Format, Own};

fn encode(criterion: &mut Criterion) {
    let own = Own::new(Build { version: "0", revision: "0", rustc: "0" }).expect("the catalogue is sound");
    for (name, size) in [("small", Size::SMALL), ("large", Size::LARGE), ("huge", Size::HUGE)] {
        let mut world = World::of(size);
        let first = world.picture("prod", 1);
        let polls: Vec<_> = (2..4)
            .map(|seq| {
                world.busy(seq);
                next_poll(&world, &first, seq)
            })
            .collect();
        let mut encoder = Encoder::new(&config::Metrics::all(usize::MAX));
        let exposition = encoder.encode(&[first], poll_time(1));
        let body = exposition.body(Format::Text, false, None, &own, poll_time(1));
        println!("{name}: {} series, {} bytes", exposition.series(), body.length);

        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(exposition.series() as u64));
        let mut turn = 0;
        let mut next = || {
            turn += 1;
            [Arc::clone(&polls[turn % 2])]
        };
        group.bench_function("encode", |bench| {
            // Whoever serves it holds the one before until the next is there.
            let mut held = exposition.clone();
            bench.iter_batched(
                &mut next,
                |pictures| held = encoder.encode(&pictures, poll_time(1)),
                BatchSize::PerIteration,
            );
            black_box(held);
        });
        group.bench_function("encode and pack", |bench| {
            let mut held = exposition.clone();
            held.body(Format::Text, true, None, &own, poll_time(1));
            bench.iter_batched(
                &mut next,
                |pictures| held = encoder.encode(&pictures, poll_time(1)),
                BatchSize::PerIteration,
            );
            let packed = held.body(Format::Text, true, None, &own, poll_time(1));
            println!("{name}: {} bytes packed", packed.length);
        });
        group.bench_function("hand out", |bench| {
            bench.iter(|| black_box(exposition.body(Format::OpenMetrics, false, None, &own, poll_time(1))));
        });
        group.finish();
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
