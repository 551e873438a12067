//! What users do to volumes: daily waves, noise, and what a window counts of it.

use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Length of a window: what a loaded system shows.
pub const WINDOW: Duration = Duration::from_secs(5);
const WINDOW_SECONDS: u64 = WINDOW.as_secs();
const DAY_SECONDS: f64 = 86_400.0;

/// Operations of one kind in the last window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Io {
    pub ops: u64,
    pub kb: u64,
    /// Sum of the time each took, as clients saw it.
    pub micros: u64,
}

impl Io {
    /// Length of the window in seconds; an idle one has none.
    pub const fn seconds(self) -> u64 {
        if self.ops == 0 && self.kb == 0 { 0 } else { WINDOW_SECONDS }
    }

    /// Operations that move an amount of data in pieces of this size.
    pub const fn moved(kb: u64, piece_kb: u64) -> Self {
        Self { ops: kb.div_ceil(piece_kb), kb, micros: 0 }
    }

    /// The part `share` of `whole`.
    pub fn part(self, share: u64, whole: u64) -> Self {
        let whole = whole.max(1);
        // What does not exceed 64 bits is divided far quicker.
        let of = |value: u64| match value.checked_mul(share) {
            Some(parts) => parts / whole,
            None => u64::try_from(u128::from(value) * u128::from(share) / u128::from(whole)).unwrap_or(u64::MAX),
        };
        Self { ops: of(self.ops), kb: of(self.kb), micros: of(self.micros) }
    }
}

impl std::ops::AddAssign for Io {
    fn add_assign(&mut self, other: Self) {
        self.ops += other.ops;
        self.kb += other.kb;
        self.micros += other.micros;
    }
}

/// User I/O of an object in the last window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Traffic {
    pub read: Io,
    pub write: Io,
    pub trim: Io,
}

impl Traffic {
    /// The part `share` of `whole`.
    pub fn part(self, share: u64, whole: u64) -> Self {
        Self {
            read: self.read.part(share, whole),
            write: self.write.part(share, whole),
            trim: self.trim.part(share, whole),
        }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.write += other.write;
        self.trim += other.trim;
    }
}

/// How a volume is used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Profile {
    /// Mean operations per second over a day; 0 is a volume nobody uses.
    pub iops: f64,
    pub read_share: f64,
    pub io_kb: u64,
    /// Hour of its busiest time, as part of a day.
    pub peak: f64,
    /// Part of what is written that takes new space.
    pub growth: f64,
}

impl Profile {
    pub(super) fn random(rng: &mut ChaCha8Rng, mean_iops: f64) -> Self {
        let idle = rng.random_range(0..10) == 0;
        // A few volumes carry most of the load.
        let skew: f64 = rng.random_range(0.0..1.0);
        Self {
            iops: if idle { 0.0 } else { mean_iops * 3.0 * skew * skew },
            read_share: rng.random_range(0.4..0.9),
            io_kb: [4, 8, 8, 16, 32, 64][rng.random_range(0..6)],
            peak: rng.random_range(0.4..0.7),
            growth: rng.random_range(0.0..0.02),
        }
    }

    /// One window at this moment of the day. `pressure` lengthens latencies.
    pub(super) fn window(&self, now: Duration, load: f64, pressure: f64, rng: &mut ChaCha8Rng) -> Traffic {
        if self.iops <= 0.0 || load <= 0.0 {
            return Traffic::default();
        }
        let day = now.as_secs_f64() / DAY_SECONDS;
        let wave = 1.0 + 0.6 * (std::f64::consts::TAU * (day - self.peak + 0.25)).sin();
        let noise: f64 = rng.random_range(0.8..1.2);
        let ops = self.iops * load * wave * noise * WINDOW_SECONDS as f64;
        let reads = (ops * self.read_share) as u64;
        let writes = (ops * (1.0 - self.read_share)) as u64;
        let slow: f64 = rng.random_range(0.9..1.3) * pressure;
        Traffic {
            read: Io { ops: reads, kb: reads * self.io_kb, micros: (reads as f64 * 320.0 * slow) as u64 },
            write: Io { ops: writes, kb: writes * self.io_kb, micros: (writes as f64 * 540.0 * slow) as u64 },
            trim: Io::default(),
        }
    }
}
