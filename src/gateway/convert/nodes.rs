//! SDSs, devices, clients, replicators and targets.

use super::{Answer, ParseError, id, kib, moment, needed, port, state, table, text, version, word, words};
use crate::gateway::wire::nodes as wire;
use crate::model::cluster::{
    CounterWindow, Device, FailureCounter, OscillatingCounter, Sdc, Sdr, Sds, SdsAddress, Sdt, WindowLength,
};
use crate::model::id::{
    AccelerationPoolId, DeviceId, FaultSetId, ProtectionDomainId, SdcId, SdrId, SdsId, SdtId, StoragePoolId,
};
use crate::model::snapshot::Table;

/// Reads `types/Sds/instances`.
pub fn sds(body: &[u8]) -> Result<Answer<Table<Sds>>, ParseError> {
    table(&text(body), "Sds", |wire: wire::Sds<'_>, odd| {
        let certificate = wire.certificate.unwrap_or_default();
        Some(Sds {
            id: id(&wire.id, SdsId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
            fault_set: id(&wire.fault_set, FaultSetId::new),
            addresses: wire
                .addresses
                .into_iter()
                .filter_map(|address| Some(SdsAddress { ip: word(address.ip)?, role: word(address.role) }))
                .collect(),
            port: port(wire.port, odd),
            state: needed(&wire.state, odd),
            membership: needed(&wire.membership, odd),
            connection: needed(&wire.connection, odd),
            maintenance: needed(&wire.maintenance, odd),
            maintenance_type: word(wire.maintenance_type),
            version: version(&wire.version),
            drl_mode: word(wire.drl_mode),
            authentication_error: word(wire.authentication_error).filter(|error| &**error != "None"),
            restarts: wire.restarts,
            // The size stays configured while the cache is off.
            rmcache: if wire.rmcache_on == Some(false) { None } else { kib(wire.rmcache_kib) },
            certificate_expires: moment(&certificate.valid_to, odd),
            oscillating: counters([
                (FailureCounter::SdsDecoupled, wire.decoupled),
                (FailureCounter::SdsConfigurationFailure, wire.configuration),
                (FailureCounter::ReceiveBufferAllocation, wire.receive_buffer),
            ]),
        })
    })
}

/// Reads `types/Device/instances`.
pub fn devices(body: &[u8]) -> Result<Answer<Table<Device>>, ParseError> {
    table(&text(body), "Device", |wire: wire::Device<'_>, odd| {
        Some(Device {
            id: id(&wire.id, DeviceId::new)?,
            name: word(wire.name),
            sds: id(&wire.sds, SdsId::new),
            pool: id(&wire.pool, StoragePoolId::new),
            acceleration_pool: id(&wire.acceleration_pool, AccelerationPoolId::new),
            path: word(wire.path),
            state: needed(&wire.state, odd),
            error: needed(&wire.error, odd),
            media: state(&wire.media, odd),
            size: kib(wire.max_kib),
            vendor: word(wire.vendor),
            model: word(wire.model),
            serial: word(wire.serial),
            firmware: word(wire.firmware),
            temperature: state(&wire.temperature, odd),
            end_of_life: state(&wire.end_of_life, odd),
            smart: state(&wire.smart, odd),
            long_operations: counter(FailureCounter::LongSuccessfulIo, wire.long_operations),
        })
    })
}

/// Reads `types/Sdc/instances`, which from 4.x on lists NVMe hosts too.
pub fn sdcs(body: &[u8]) -> Result<Answer<Table<Sdc>>, ParseError> {
    table(&text(body), "Sdc", |wire: wire::Sdc<'_>, odd| {
        let mut addresses = words(wire.ips);
        let ip = word(wire.ip).filter(|ip| !addresses.contains(ip));
        addresses.extend(ip);
        let version = [&wire.version, &wire.installed_version, &wire.version_info].into_iter().find_map(version);
        Some(Sdc {
            id: id(&wire.id, SdcId::new)?,
            name: word(wire.name),
            host_type: state(&wire.host_type, odd),
            guid: word(wire.guid),
            nqn: word(wire.nqn),
            addresses,
            approved: wire.approved,
            connection: state(&wire.connection, odd),
            os: word(wire.os),
            version,
            oscillating: counters([(FailureCounter::Memory, wire.memory), (FailureCounter::Socket, wire.socket)]),
        })
    })
}

/// Reads `types/Sdr/instances`.
pub fn sdrs(body: &[u8]) -> Result<Answer<Table<Sdr>>, ParseError> {
    table(&text(body), "Sdr", |wire: wire::Sdr<'_>, odd| {
        Some(Sdr {
            id: id(&wire.id, SdrId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
            membership: state(&wire.membership, odd),
            connection: state(&wire.connection, odd),
            maintenance: state(&wire.maintenance, odd),
            addresses: ips(wire.addresses),
            version: version(&wire.version),
        })
    })
}

/// Reads `types/Sdt/instances`.
pub fn sdts(body: &[u8]) -> Result<Answer<Table<Sdt>>, ParseError> {
    table(&text(body), "Sdt", |wire: wire::Sdt<'_>, odd| {
        Some(Sdt {
            id: id(&wire.id, SdtId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
            fault_set: id(&wire.fault_set, FaultSetId::new),
            membership: state(&wire.membership, odd),
            connection: state(&wire.connection, odd),
            maintenance: state(&wire.maintenance, odd),
            addresses: ips(wire.addresses),
            version: version(&wire.version),
        })
    })
}

pub(super) fn ips(addresses: Vec<wire::Address<'_>>) -> Vec<Box<str>> {
    addresses.into_iter().filter_map(|address| word(address.ip)).collect()
}

fn counters<const N: usize>(counted: [(FailureCounter, Option<wire::Oscillating<'_>>); N]) -> Vec<OscillatingCounter> {
    counted.into_iter().filter_map(|(name, wire)| counter(name, wire)).collect()
}

fn counter(counter: FailureCounter, wire: Option<wire::Oscillating<'_>>) -> Option<OscillatingCounter> {
    let wire = wire?;
    let windows: Vec<CounterWindow> =
        [(WindowLength::Short, wire.short), (WindowLength::Medium, wire.medium), (WindowLength::Long, wire.long)]
            .into_iter()
            .filter_map(|(length, window)| {
                let window = window?;
                Some(CounterWindow { length, threshold: window.threshold?, count: window.count? })
            })
            .collect();
    (!windows.is_empty()).then_some(OscillatingCounter { counter, windows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::{Connection, Maintenance, State};

    #[test]
    fn what_an_sds_did_not_send_is_unsafe_or_absent_never_a_default() {
        let body = br#"[{"id":"00000000000000aa","mdmConnectionState":"Connected","rmcacheSizeInKb":131072,
            "rmcacheEnabled":true,"certificateInfo":{"validTo":"Oct 13 08:08:27 2035 GMT"},
            "sdsDecoupled":{"shortWindow":{"threshold":300,"windowSizeInSec":60,"lastOscillationCount":2},
            "longWindow":null}}]"#;
        let sds = &sds(body).unwrap().value[0];
        assert!(sds.connection.is(Connection::Connected));
        assert!(Maintenance::ALL.iter().all(|state| !sds.maintenance.is(*state)));
        assert_eq!(sds.restarts, None);
        assert_eq!(sds.rmcache.unwrap().get(), 131_072 * 1024);
        assert_eq!(sds.certificate_expires.unwrap().timestamp(), 2_075_875_707);
        assert_eq!(sds.oscillating.len(), 1);
        assert_eq!(sds.oscillating[0].windows.len(), 1);
    }

    #[test]
    fn a_client_is_found_at_either_of_its_address_fields() {
        let body = br#"[{"id":"1","sdcIp":"10.0.0.1"},{"id":"2","sdcIps":["10.0.0.2","10.0.0.3"],"sdcIp":"10.0.0.2"},
            {"id":"3","hostType":"NVMeHost","nqn":"nqn.x","sdcIp":null,"mdmConnectionState":null}]"#;
        let answer = sdcs(body).unwrap();
        assert_eq!(*answer.value[0].addresses[0], *"10.0.0.1");
        assert_eq!(answer.value[1].addresses.len(), 2);
        assert_eq!(answer.value[2].connection, None);
        assert!(answer.unknown.is_empty());
    }
}
