//! What do a system's applications do now, and what moves in the background? Pure.

use crate::model::snapshot::Snapshot;
use crate::model::stats::{Stat, StatRow};

/// Rates and latencies of a moment. What was not told is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Bytes per second that applications read.
    pub(super) read: Option<f64>,
    /// Bytes per second that applications write.
    pub(super) write: Option<f64>,
    /// Reads per second.
    pub(super) reads: Option<f64>,
    /// Writes per second.
    pub(super) writes: Option<f64>,
    /// Seconds of a read at the clients.
    pub(super) read_latency: Option<f64>,
    /// Seconds of a write at the clients.
    pub(super) write_latency: Option<f64>,
    /// Bytes per second that are rebuilt.
    pub(super) rebuild: Option<f64>,
    /// Bytes per second that are moved to even out devices.
    pub(super) rebalance: Option<f64>,
    /// Bytes that are still to be moved to even out devices.
    pub(super) rebalance_left: Option<f64>,
}

impl Figures {
    /// Those of a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let Some(row) = snapshot.statistics.as_ref().and_then(|part| part.system()) else { return Self::default() };
        let rate = |stat: Stat| row.window(stat)?.bytes_per_second();
        let operations = |stat: Stat| row.window(stat)?.per_second();
        let latency = |stat: Stat| row.window(stat)?.mean_seconds();
        Self {
            read: rate(Stat::UserDataReadBwc),
            write: rate(Stat::UserDataWriteBwc),
            reads: operations(Stat::UserDataReadBwc),
            writes: operations(Stat::UserDataWriteBwc),
            read_latency: latency(Stat::UserDataSdcReadLatency),
            write_latency: latency(Stat::UserDataSdcWriteLatency),
            rebuild: sum(row, &[Stat::FwdRebuildWriteBwc, Stat::BckRebuildWriteBwc, Stat::NormRebuildWriteBwc]),
            rebalance: rate(Stat::RebalanceWriteBwc),
            rebalance_left: left(row),
        }
    }
}

/// The sum of those that are told; none when none is.
fn sum(row: StatRow<'_>, stats: &[Stat]) -> Option<f64> {
    let told = stats.iter().filter_map(|stat| row.window(*stat)?.bytes_per_second());
    told.fold(None, |sum, rate| Some(sum.unwrap_or(0.0) + rate))
}

fn left(row: StatRow<'_>) -> Option<f64> {
    let told = [Stat::PendingRebalanceCapacityInKb, Stat::ActiveRebalanceCapacityInKb];
    let told = told.iter().filter_map(|stat| row.bytes(*stat)).map(|bytes| bytes.as_f64());
    told.fold(None, |sum, bytes| Some(sum.unwrap_or(0.0) + bytes))
}
