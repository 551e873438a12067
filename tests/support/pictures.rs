//! Pictures of systems that never were, in the words of the domain.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by test binaries, each of which uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use scaleio_framework::model::cluster::*;
use scaleio_framework::model::id::*;
use scaleio_framework::model::observed::{Noted, Observed};
use scaleio_framework::model::picture::{CollectorHealth, Picture, PollHealth};
use scaleio_framework::model::snapshot::{Collector, Keyed, Part, Slot, Snapshot, Table};
use scaleio_framework::model::state::*;
use scaleio_framework::model::stats::{Columns, Stat, StatKind, StatTable, StatUnit, Statistics};
use scaleio_framework::model::unit::{Bytes, Ratio, Window};
use scaleio_framework::model::version::{Generation, ProductVersion};

/// The moment of the first poll.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// The moment of the n-th poll.
pub fn poll_time(seq: u64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(30 * i64::try_from(seq).unwrap())
}

/// How large a system is.
#[derive(Clone, Copy)]
pub struct Size {
    pub domains: usize,
    pub pools: usize,
    pub fault_sets: usize,
    pub sds: usize,
    pub devices_per_sds: usize,
    pub sdcs: usize,
    pub volumes: usize,
}

impl Size {
    pub const TINY: Self =
        Self { domains: 1, pools: 1, fault_sets: 1, sds: 2, devices_per_sds: 1, sdcs: 1, volumes: 2 };
    pub const SMALL: Self =
        Self { domains: 1, pools: 2, fault_sets: 0, sds: 5, devices_per_sds: 4, sdcs: 10, volumes: 50 };
    pub const LARGE: Self =
        Self { domains: 4, pools: 16, fault_sets: 16, sds: 128, devices_per_sds: 10, sdcs: 500, volumes: 1_000 };
    pub const HUGE: Self =
        Self { domains: 16, pools: 64, fault_sets: 128, sds: 1_024, devices_per_sds: 16, sdcs: 2_000, volumes: 30_000 };
}

/// Statistics of one kind, changeable.
struct Rows {
    columns: Columns,
    ids: Vec<ObjectId>,
    values: Vec<f64>,
}

/// A system in the making: change what matters, then take a picture.
pub struct World {
    pub array: Option<System>,
    pub domains: Option<Vec<ProtectionDomain>>,
    pub fault_sets: Option<Vec<FaultSet>>,
    pub pools: Option<Vec<StoragePool>>,
    pub sds: Option<Vec<Sds>>,
    pub devices: Option<Vec<Device>>,
    pub sdcs: Option<Vec<Sdc>>,
    pub volumes: Option<Vec<Volume>>,
    pub policies: Option<Vec<SnapshotPolicy>>,
    pub groups: Option<Vec<ConsistencyGroup>>,
    pub pairs: Option<Vec<ReplicationPair>>,
    pub alerts: Option<Vec<MdmAlert>>,
    pub events: Option<Vec<MdmEvent>>,
    pub observed: Observed,
    statistics: BTreeMap<StatKind, Rows>,
}

pub fn id<T: From<ObjectId>>(kind: u64, number: usize) -> T {
    T::from(ObjectId::from_number((kind << 32) + number as u64 + 1))
}

fn name(prefix: &str, number: usize) -> Option<Box<str>> {
    Some(format!("{prefix}-{}", number + 1).into())
}

fn words(text: &str) -> Option<Box<str>> {
    Some(text.into())
}

fn version(text: &str) -> Option<ProductVersion> {
    Some(ProductVersion::read(text))
}

fn failures(counter: FailureCounter) -> OscillatingCounter {
    let window = |length, threshold| CounterWindow { length, threshold, count: 3.0 };
    OscillatingCounter { counter, windows: vec![window(WindowLength::Short, 300.0), window(WindowLength::Long, 0.0)] }
}

impl World {
    /// A healthy, busy system of 3.6 with names everywhere.
    pub fn of(size: Size) -> Self {
        let pools_per_domain = size.pools.div_ceil(size.domains);
        let domain_of_pool = |pool: usize| pool / pools_per_domain;
        let domain = |number: usize| ProtectionDomain {
            id: id(1, number),
            name: name("domain", number),
            state: Seen::Is(DomainState::Active),
            throttling: BTreeMap::new(),
        };
        let pool = |number: usize| StoragePool {
            id: id(3, number),
            name: name("pool", number % pools_per_domain),
            domain: Some(id(1, domain_of_pool(number))),
            media: Some(Seen::Is(MediaType::Ssd)),
            layout: Some(Seen::Is(DataLayout::MediumGranularity)),
            spare: Some(Ratio::from_percent(10.0)),
            rebuild_enabled: Some(true),
            rebalance_enabled: Some(true),
            zero_padding: Some(true),
            checksum: Some(false),
            usage: Some(Seen::Is(UsageState::Normal)),
            capacity_alert_high: Some(Ratio::from_percent(80.0)),
            capacity_alert_critical: Some(Ratio::from_percent(90.0)),
            policies: Default::default(),
        };
        let sds = |number: usize| Sds {
            id: id(4, number),
            name: name("sds", number),
            domain: Some(id(1, number % size.domains)),
            fault_set: (size.fault_sets > 0).then(|| id(2, number % size.fault_sets)),
            addresses: vec![SdsAddress { ip: format!("10.0.{}.{}", number / 250, number % 250).into(), role: None }],
            port: Some(7072),
            state: Seen::Is(SdsState::Normal),
            membership: Seen::Is(Membership::Joined),
            connection: Seen::Is(Connection::Connected),
            maintenance: Seen::Is(Maintenance::None),
            maintenance_type: None,
            version: version("R3_6.0.0"),
            drl_mode: words("Volatile"),
            authentication_error: None,
            restarts: Some(1),
            rmcache: Some(Bytes::from_kib(131_072)),
            certificate_expires: None,
            oscillating: Vec::new(),
        };
        let device = |number: usize| {
            let sds = number / size.devices_per_sds;
            let domain = sds % size.domains;
            Device {
                id: id(5, number),
                name: None,
                sds: Some(id(4, sds)),
                pool: Some(id(3, domain * pools_per_domain + number % pools_per_domain)),
                acceleration_pool: None,
                path: Some(format!("/dev/sd{}", char::from(b'b' + (number % size.devices_per_sds) as u8)).into()),
                state: Seen::Is(DeviceState::Normal),
                error: Seen::Is(DeviceError::None),
                media: Some(Seen::Is(MediaType::Ssd)),
                size: Some(Bytes::from_gib(960)),
                vendor: words("ACME"),
                model: words("Fast 1"),
                serial: Some(format!("S{number:08}").into()),
                firmware: words("1.0"),
                temperature: Some(Seen::Is(Smart::NeverFailed)),
                end_of_life: Some(Seen::Is(Smart::NeverFailed)),
                smart: Some(Seen::Is(Smart::NeverFailed)),
                long_operations: None,
            }
        };
        let sdc = |number: usize| Sdc {
            id: id(6, number),
            name: None,
            host_type: Some(Seen::Is(HostType::Sdc)),
            guid: None,
            nqn: None,
            addresses: vec![format!("10.1.{}.{}", number / 250, number % 250).into()],
            approved: Some(true),
            connection: Some(Seen::Is(Connection::Connected)),
            os: words("Linux"),
            version: version("R3_6.0.0"),
            oscillating: Vec::new(),
        };
        let volume = |number: usize| Volume {
            id: id(7, number),
            name: name("volume", number),
            kind: Seen::Is(VolumeType::Thin),
            size: Some(Bytes::from_gib(8)),
            pool: Some(id(3, number % size.pools)),
            vtree: Some(id(8, number)),
            ancestor: None,
            created: Some(start()),
            mapped_to_all: false,
            mappings: Vec::new(),
        };
        let mut world = Self {
            array: Some(array()),
            domains: Some((0..size.domains).map(domain).collect()),
            fault_sets: Some(
                (0..size.fault_sets)
                    .map(|number| FaultSet {
                        id: id(2, number),
                        name: name("rack", number),
                        domain: Some(id(1, number % size.domains)),
                    })
                    .collect(),
            ),
            pools: Some((0..size.pools).map(pool).collect()),
            sds: Some((0..size.sds).map(sds).collect()),
            devices: Some((0..size.sds * size.devices_per_sds).map(device).collect()),
            sdcs: Some((0..size.sdcs).map(sdc).collect()),
            volumes: Some((0..size.volumes).map(volume).collect()),
            policies: None,
            groups: None,
            pairs: None,
            alerts: Some(Vec::new()),
            events: None,
            observed: Observed { primary: Some("0000000a00000001".into()), ..Observed::default() },
            statistics: BTreeMap::new(),
        };
        world.busy(0);
        world
    }

    /// A small system where everything that has a family happens at once.
    pub fn eventful() -> Self {
        let mut world = Self::of(Size::TINY);
        world.array.as_mut().unwrap().license_days_left = Some(90.0);
        world.array.as_mut().unwrap().licensed_capacity = Some(Bytes::from_gib(1000));
        world.pools.as_mut().unwrap()[0].layout = Some(Seen::Is(DataLayout::FineGranularity));
        {
            let sds = &mut world.sds.as_mut().unwrap()[0];
            sds.maintenance = Seen::Is(Maintenance::In);
            sds.maintenance_type = words("InstantMaintenance");
            sds.certificate_expires = Some(start());
            sds.oscillating = vec![failures(FailureCounter::SdsDecoupled)];
            let noted =
                Noted { connected: true, disconnections: 2, maintenance_since: Some(start()), ..Noted::default() };
            world.observed.sds.insert(sds.id.to_string(), noted);
        }
        let device = &mut world.devices.as_mut().unwrap()[0];
        device.smart = Some(Seen::Is(Smart::FailedNow));
        device.long_operations = Some(failures(FailureCounter::LongSuccessfulIo));
        let sdc = &mut world.sdcs.as_mut().unwrap()[0];
        sdc.oscillating = vec![failures(FailureCounter::Memory)];
        let noted = Noted { disconnections: 1, ..Noted::default() };
        world.observed.sdcs.insert(sdc.id.to_string(), noted);
        let mapping =
            Mapping { sdc: id(6, 0), limit_iops: Some(500.0), limit_bandwidth: None, access_mode: words("ReadWrite") };
        let volumes = world.volumes.as_mut().unwrap();
        volumes[0].mappings.push(mapping);
        volumes[1].kind = Seen::Is(VolumeType::Snapshot);
        world.policies = Some(vec![SnapshotPolicy {
            id: id(9, 0),
            name: words("nightly"),
            state: Seen::Is(PolicyState::Active),
            interval_minutes: Some(60.0),
            last_snapshot: Some(start()),
            last_failure: None,
            last_failure_reason: None,
        }]);
        world.groups = Some(vec![ConsistencyGroup {
            id: id(11, 0),
            name: words("databases"),
            domain: Some(id(1, 0)),
            peer: None,
            direction: None,
            rpo_seconds: Some(30.0),
            state: Some(Seen::Is(ReplicationState::Ok)),
            consistency: Some(Seen::Is(Consistency::Consistent)),
            pause_mode: words("None"),
            freeze_state: None,
            failover_state: None,
        }]);
        world.pairs = Some(vec![ReplicationPair {
            id: id(12, 0),
            name: None,
            group: Some(id(11, 0)),
            local_volume: Some(id(7, 0)),
            initial_copy: Some(Seen::Is(InitialCopy::Done)),
            lifetime_state: None,
        }]);
        world.alerts = Some(vec![MdmAlert {
            id: "1".into(),
            name: "SDS_DISCONNECTED".into(),
            severity: Seen::Is(Severity::Critical),
            description: None,
            repair: None,
            resource_type: None,
            resource_name: None,
            resource_id: None,
            started: None,
            last_seen: None,
            acknowledged: false,
        }]);
        world.events = Some(vec![event("1")]);
        world.busy(0);
        world
    }

    /// All objects do I/O; figures differ by object and by `seed`.
    pub fn busy(&mut self, seed: u64) {
        self.fill(seed, true);
    }

    /// Nobody does I/O.
    pub fn idle(&mut self) {
        self.fill(0, false);
    }

    fn fill(&mut self, seed: u64, busy: bool) {
        fn ids<T: Keyed>(objects: &Option<Vec<T>>, id: impl Fn(&T) -> &ObjectId) -> Vec<ObjectId> {
            objects.iter().flatten().map(|object| id(object).clone()).collect()
        }
        for kind in StatKind::ALL {
            let ids = match kind {
                StatKind::System => vec![ObjectId::from_number(1)],
                StatKind::ProtectionDomain => ids(&self.domains, |o| o.id.object()),
                StatKind::StoragePool => ids(&self.pools, |o| o.id.object()),
                StatKind::Sds => ids(&self.sds, |o| o.id.object()),
                StatKind::Device => ids(&self.devices, |o| o.id.object()),
                StatKind::Sdc => ids(&self.sdcs, |o| o.id.object()),
                StatKind::Volume => ids(&self.volumes, |o| o.id.object()),
                StatKind::ConsistencyGroup => ids(&self.groups, |o| o.id.object()),
                StatKind::ReplicationPair => ids(&self.pairs, |o| o.id.object()),
            };
            let columns = Columns::new(Stat::wanted(kind));
            let mut values = Vec::with_capacity(ids.len() * columns.width());
            for number in 0..ids.len() as u64 {
                for stat in columns.stats() {
                    figures(*stat, number * 7 + seed * 13 + *stat as u64, busy, &mut values);
                }
            }
            self.statistics.insert(kind, Rows { columns, ids, values });
        }
    }

    /// Sets one statistic of one object.
    pub fn set(&mut self, kind: StatKind, object: &ObjectId, stat: Stat, value: f64) {
        *self.cell(kind, object, stat, 0) = value;
    }

    /// Sets the window of one object.
    pub fn window(&mut self, kind: StatKind, object: &ObjectId, stat: Stat, window: Window) {
        for (place, value) in [window.seconds, window.weight, window.count].into_iter().enumerate() {
            *self.cell(kind, object, stat, place) = value;
        }
    }

    /// The gateway does not have a statistic.
    pub fn without(&mut self, kind: StatKind, stat: Stat) {
        let rows = self.statistics.get_mut(&kind).unwrap();
        let wide = rows.columns.width();
        let columns = Columns::new(rows.columns.stats().iter().copied().filter(|other| *other != stat));
        let at = rows.columns.place(stat).unwrap();
        let gone = at..at + stat.unit().width();
        rows.values = rows
            .values
            .chunks(wide)
            .flat_map(|row| row.iter().enumerate().filter(|(place, _)| !gone.contains(place)).map(|(_, value)| *value))
            .collect();
        rows.columns = columns;
    }

    fn cell(&mut self, kind: StatKind, object: &ObjectId, stat: Stat, more: usize) -> &mut f64 {
        let rows = self.statistics.get_mut(&kind).unwrap();
        let row = rows.ids.iter().position(|id| id == object).unwrap();
        let at = row * rows.columns.width() + rows.columns.place(stat).unwrap() + more;
        &mut rows.values[at]
    }

    /// The snapshot of the poll with this number.
    pub fn snapshot(&self, system: &str, seq: u64) -> Snapshot {
        let at = poll_time(seq);
        fn list<T: Keyed + Clone>(at: DateTime<Utc>, objects: &Option<Vec<T>>) -> Slot<Table<T>> {
            objects.as_ref().map(|objects| part(at, Table::new(objects.clone())))
        }
        let tables = self
            .statistics
            .iter()
            .map(|(kind, rows)| (*kind, StatTable::new(rows.columns.clone(), rows.ids.clone(), rows.values.clone())))
            .collect();
        Snapshot {
            array: self.array.clone().map(|array| part(at, array)),
            domains: list(at, &self.domains),
            fault_sets: list(at, &self.fault_sets),
            pools: list(at, &self.pools),
            sds: list(at, &self.sds),
            devices: list(at, &self.devices),
            sdcs: list(at, &self.sdcs),
            volumes: list(at, &self.volumes),
            policies: list(at, &self.policies),
            groups: list(at, &self.groups),
            pairs: list(at, &self.pairs),
            alerts: self.alerts.clone().map(|alerts| part(at, alerts)),
            events: self.events.clone().map(|events| part(at, events)),
            statistics: Some(part(at, Statistics::new(tables))),
            ..Snapshot::empty(SystemId::new(system), Generation::V3_5, seq, at)
        }
    }

    /// The picture after that poll, which went well.
    pub fn picture(&self, system: &str, seq: u64) -> Arc<Picture> {
        Arc::new(picture_of(self.snapshot(system, seq), self.observed.clone()))
    }
}

/// A picture of a poll that went well.
pub fn picture_of(snapshot: Snapshot, observed: Observed) -> Picture {
    let at = snapshot.taken_at;
    let collector = |objects| CollectorHealth {
        interval: Duration::from_secs(30),
        last_begun: at,
        last_duration: Duration::from_millis(120),
        last_success: Some(at),
        objects,
        failures: 0,
        error: None,
    };
    Picture {
        at,
        system: snapshot.system.clone(),
        health: PollHealth {
            last_poll_succeeded: true,
            last_poll: Some(at),
            gateway: words("https://gateway"),
            collectors: [(Collector::System, collector(1)), (Collector::Statistics, collector(9))].into(),
            unknown: BTreeMap::new(),
        },
        snapshot: Some(Arc::new(snapshot)),
        observed: Arc::new(observed),
    }
}

/// The next poll: statistics and states are asked again, devices, clients and
/// volumes are not, as between two slow beats.
pub fn next_poll(world: &World, before: &Picture, seq: u64) -> Arc<Picture> {
    let old = before.snapshot.as_ref().unwrap();
    let mut snapshot = world.snapshot(before.system.as_str(), seq);
    snapshot.devices = old.devices.clone();
    snapshot.sdcs = old.sdcs.clone();
    snapshot.volumes = old.volumes.clone();
    Arc::new(picture_of(snapshot, world.observed.clone()))
}

pub fn part<T>(at: DateTime<Utc>, value: T) -> Part<T> {
    Part { begun_at: at, taken_at: at, value: Arc::new(value) }
}

pub fn event(id: &str) -> MdmEvent {
    MdmEvent {
        id: id.into(),
        name: "SDS_DECOUPLED".into(),
        severity: Seen::Is(Severity::Major),
        description: None,
        resource_type: None,
        resource_name: None,
        at: Some(start()),
    }
}

fn array() -> System {
    let member = |number: usize, role, status| MdmMember {
        id: id(10, number),
        name: name("mdm", number),
        role,
        status,
        version: version("R3_6.0.0"),
        ips: Vec::new(),
        management_ips: Vec::new(),
        port: Some(9011),
    };
    System {
        id: id(0, 0),
        name: words("cluster"),
        version: ProductVersion::read("R3_6.0.0"),
        install_id: words("abc"),
        performance_profile: words("Default"),
        upgrade_state: Some(Seen::Is(UpgradeState::NoUpgrade)),
        licensed_capacity: None,
        license_days_left: None,
        has_trial_license: None,
        connectivity: vec![PathState {
            path: NetworkPath::SdcToSds,
            state: Seen::Is(Connectivity::AllConnected),
            client: None,
            server: None,
        }],
        restricted_sdc_mode: None,
        remote_read_only_limit: None,
        mdm: Some(MdmCluster {
            id: None,
            name: None,
            mode: Seen::Is(ClusterMode::ThreeNodes),
            state: Seen::Is(ClusterState::Normal),
            good_nodes: Some(3),
            good_replicas: Some(2),
            virtual_ips: Vec::new(),
            members: vec![
                member(0, MdmRole::Primary, None),
                member(1, MdmRole::Secondary, Some(Seen::Is(MdmStatus::Normal))),
                member(2, MdmRole::TieBreaker, Some(Seen::Is(MdmStatus::Normal))),
            ],
        }),
    }
}

/// Figures that look like a system's: whole numbers, odd ratios, some zeros.
fn figures(stat: Stat, mix: u64, busy: bool, out: &mut Vec<f64>) {
    let some = (mix % 97 + 1) as f64;
    match stat.unit() {
        StatUnit::Kib => out.push(some * 1024.0 * 1_048_576.0),
        StatUnit::Mib => out.push(some * 1_048_576.0),
        StatUnit::Count => out.push((mix % 5) as f64),
        StatUnit::Micros => out.push(if busy { some * 1e-5 } else { 0.0 }),
        StatUnit::Millis => out.push(some * 1e-3),
        StatUnit::Ratio => out.push(1.0 / some),
        StatUnit::Window if busy => out.extend([5.0, some * 173.0 * 300.0, some * 31.0]),
        StatUnit::Window => out.extend([0.0, 0.0, 0.0]),
    }
}
