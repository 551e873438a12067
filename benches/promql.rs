//! What does an evaluation cost over the vectors of the huge system?
//!
//! 16,000 devices and as many volumes; the expressions are of the shapes the shipped rules have.
//! All of them together must leave room within one CPU-second per evaluation.

use criterion::{Criterion, criterion_group, criterion_main};
use scaleio_framework::alert::promql::{Bounds, History, Labels, Latest, Query, Reach, Source};
use scaleio_framework::alert::template::{Data, Template};

const OBJECTS: usize = 16_000;
const POLL_MS: i64 = 30_000;
const POLLS: i64 = 240;

/// Expression shapes, by what they are about.
const EXPRESSIONS: [(&str, &str); 9] = [
    ("filter", "device_error == 1"),
    ("group", r#"sum by (system, protection_domain, storage_pool) (device_latency_seconds{direction="write"})"#),
    ("group_twice", "count by (system) (count by (system, storage_pool) (device_error)) > 1"),
    ("unless_on", "device_error == 0 unless on (system, sds) sds_maintenance"),
    ("divide", "device_latency_seconds / device_operations_per_second"),
    (
        "slower_than_its_pool",
        r#"device_latency_seconds{direction="write"} > 0.02 and device_latency_seconds{direction="write"}
           > on (system, protection_domain, storage_pool) group_left ()
           4 * quantile by (system, protection_domain, storage_pool) (0.5, device_latency_seconds{direction="write"})"#,
    ),
    ("regex", r#"count by (system) (device_latency_seconds{direction=~"wri.+|none", sds!~"sds9.*"})"#),
    ("rate_1h", "rate(device_read_errors_fixed_total[1h]) > 0"),
    ("trend_2h", "predict_linear(pool_used_ratio[2h], 4 * 86400) > 1"),
];

fn labels(name: &str, device: usize, direction: &str) -> Labels {
    let (sds, pool) = (format!("sds{}", device / 24), format!("pool{}", device % 40));
    Labels::from_pairs([
        ("__name__", name),
        ("system", "huge"),
        ("protection_domain", "pd1"),
        ("storage_pool", pool.as_str()),
        ("sds", sds.as_str()),
        ("device", format!("/dev/disk/by-id/scsi-{device:016x}").as_str()),
        ("direction", direction),
    ])
}

fn poll(at: i64) -> Latest {
    let mut latest = Latest::new(at);
    for device in 0..OBJECTS {
        let noise = ((device as i64 * 7919 + at) % 1000) as f64 / 1e5;
        latest.push(labels("device_error", device, ""), f64::from(u8::from(device % 4000 == 0)));
        latest.push(labels("device_read_errors_fixed_total", device, ""), (at / 600_000 * (device as i64 % 7)) as f64);
        for direction in ["read", "write"] {
            latest.push(labels("device_latency_seconds", device, direction), 0.002 + noise);
            latest.push(labels("device_operations_per_second", device, direction), 100.0 + noise);
        }
        if device % 24 == 0 && device % 480 == 0 {
            latest.push(labels("sds_maintenance", device, "").with("device", ""), 1.0);
        }
    }
    for pool in 0..40 {
        let used = 0.5 + at as f64 / 1e12 + f64::from(pool) / 100.0;
        latest.push(labels("pool_used_ratio", pool as usize, "").with("device", "").with("sds", ""), used);
    }
    latest
}

fn queries() -> Vec<(&'static str, Query)> {
    EXPRESSIONS.into_iter().filter_map(|(name, expression)| Some((name, Query::parse(expression).ok()?))).collect()
}

fn evaluation(criterion: &mut Criterion) {
    let queries = queries();
    assert_eq!(queries.len(), EXPRESSIONS.len());
    let reaches = Reach::merged(queries.iter().flat_map(|(_, query)| query.reaches()));
    let mut history = History::new(Bounds::default());
    let mut latest = poll(0);
    for number in 0..POLLS {
        latest = poll(number * POLL_MS);
        history.record(&latest, &reaches);
        history.finish();
    }
    let mut group = criterion.benchmark_group("promql");
    group.sample_size(20);
    for (name, query) in &queries {
        let source = Source::new(&latest, &history);
        group.bench_function(*name, |bencher| bencher.iter(|| query.evaluate(source, latest.at())));
    }
    let mut at = latest.at();
    group.bench_function("record_a_poll", |bencher| {
        bencher.iter_batched(
            || {
                at += POLL_MS;
                poll(at)
            },
            |latest| {
                history.record(&latest, &reaches);
                history.finish();
                latest
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn texts(criterion: &mut Criterion) {
    let text = "Device {{ $labels.device }} of {{ $labels.sds }} needs {{ $value | humanizeDuration }}\
                {{ if gt $value 1.0 }}: {{ printf \"%.2f\" $value }}{{ end }}.";
    let labels = labels("device_latency_seconds", 1, "write");
    let external = std::collections::BTreeMap::new();
    let data = Data {
        labels: &labels,
        value: 3.5,
        external_labels: &external,
        external_url: "http://localhost",
        now_ms: 0,
        query: &|_| Ok(Vec::new()),
    };
    criterion.bench_function("template", |bencher| {
        bencher.iter(|| Template::parse(text).and_then(|template| template.expand(&data)));
    });
}

criterion_group!(benches, evaluation, texts);
criterion_main!(benches);
