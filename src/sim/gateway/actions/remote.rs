//! Replication to another system, and NVMe targets.

use super::args::{Args, Changes};
use crate::sim::gateway::refusal::Refused;
use crate::sim::world::{Address, Command, GroupCommand, Id, NewGroup, PairCommand, PeerCommand, SdtCommand, Setting};

type Found<T> = Result<Option<T>, Refused>;

pub(super) fn new_group(args: &Args) -> Result<Command, Refused> {
    args.need(&["rpoInSeconds", "protectionDomainId"])?;
    args.need_one(&["peerMdmId", "destinationSystemId"])?;
    Ok(Command::CreateGroup(NewGroup {
        name: args.text("name"),
        rpo_seconds: args.needed_number("rpoInSeconds")?,
        domain: args.needed_id("protectionDomainId")?,
        peer: args.id("peerMdmId")?,
    }))
}

pub(super) fn new_pair(args: &Args) -> Result<Command, Refused> {
    args.need(&["sourceVolumeId", "destinationVolumeId", "replicationConsistencyGroupId", "copyType"])?;
    args.word("copyType", &["OnlineCopy", "OfflineCopy"])?;
    Ok(Command::CreatePair {
        group: args.needed_id("replicationConsistencyGroupId")?,
        name: args.text("name").or_else(|| args.text("Name")),
        volume: args.needed_id("sourceVolumeId")?,
        remote_volume: args.needed_id("destinationVolumeId")?,
    })
}

/// What a group is in after an action, by the action's name without the type's.
fn state_after(action: &str) -> Option<&'static [(&'static str, &'static str)]> {
    Some(match action {
        "freezeApply" => &[("freezeState", "Frozen")],
        "unfreezeApply" => &[("freezeState", "Unfrozen")],
        "resume" => &[("pauseMode", "None")],
        "failover" => &[("failoverType", "Failover"), ("failoverState", "Done")],
        "switchover" => &[("failoverType", "Switchover"), ("failoverState", "Done")],
        "restore" => &[("failoverType", "None"), ("failoverState", "None")],
        "reverse" => &[("failoverType", "None"), ("failoverState", "None"), ("replicationDirection", "RemoteToLocal")],
        "activate" => &[("localActivityState", "Active"), ("remoteActivityState", "Active")],
        "terminate" => &[("localActivityState", "Inactive"), ("remoteActivityState", "Inactive")],
        "syncNow" => &[],
        _ => return None,
    })
}

pub(super) fn group(action: &str, args: &Args) -> Found<GroupCommand> {
    let state = |changes: &[(&'static str, &str)]| {
        GroupCommand::State(changes.iter().map(|(name, word)| (*name, Setting::Text((*word).to_owned()))).collect())
    };
    Ok(Some(match action {
        "renameReplicationConsistencyGroup" => GroupCommand::Rename(args.needed("newName")?),
        "ModifyReplicationConsistencyGroupRpo" => GroupCommand::Rpo(args.needed_number("rpoInSeconds")?),
        "removeReplicationConsistencyGroup" => GroupCommand::Remove,
        "createReplicationConsistencyGroupSnapshots" => GroupCommand::Snapshot,
        "setReplicationConsistencyGroupConsistent" => state(&[("currConsistMode", "Consistent")]),
        "setReplicationConsistencyGroupInconsistent" => state(&[("currConsistMode", "Inconsistent")]),
        "pauseReplicationConsistencyGroup" => {
            args.need(&["pauseMode"])?;
            let mode = args.word("pauseMode", &["StopDataTransfer", "OnlyTrackChanges"])?;
            GroupCommand::State(mode.into_iter().collect())
        }
        "modifyReplicationConsistencyGroupTargetVolumeAccessMode" => {
            args.need(&["targetVolumeAccessMode"])?;
            let mode = args.word("targetVolumeAccessMode", &["ReadOnly", "NoAccess"])?;
            GroupCommand::State(mode.into_iter().collect())
        }
        _ => {
            let verb = action.strip_suffix("ReplicationConsistencyGroup").and_then(state_after);
            return Ok(verb.map(state));
        }
    }))
}

pub(super) fn pair(action: &str) -> Option<PairCommand> {
    Some(match action {
        "pausePairInitialCopy" => PairCommand::PauseInitialCopy(true),
        "resumePairInitialCopy" => PairCommand::PauseInitialCopy(false),
        "removeReplicationPair" => PairCommand::Remove,
        _ => return None,
    })
}

/// Whether an action of an SDR enters maintenance or leaves it.
pub(super) fn sdr(action: &str) -> Option<bool> {
    match action {
        "enterSdrMaintenanceMode" => Some(true),
        "exitSdrMaintenanceMode" => Some(false),
        _ => None,
    }
}

const ROLES: &[(&str, &str)] =
    &[("StorageOnly", "StorageOnly"), ("HostOnly", "HostOnly"), ("StorageAndHost", "StorageAndHost")];

fn address(args: &Args, role: &str) -> Result<Address, Refused> {
    args.need(&["ip", role])?;
    let found = args.choice(role, ROLES)?.unwrap_or("StorageAndHost");
    Ok(Address { ip: args.ip("ip")?, role: found.to_owned() })
}

pub(super) fn new_sdt(args: &Args) -> Result<Command, Refused> {
    args.need(&["protectionDomainId", "name"])?;
    args.need_one(&["ips", "sdtIpList"])?;
    let mut ips = args.objects("ips", "SdtIp");
    ips.extend(args.objects("sdtIpList", "SdtIp"));
    let mut settings = Changes::new();
    for port in ["storagePort", "nvmePort", "discoveryPort"] {
        args.keep_number(port, port_field(port), &mut settings)?;
    }
    let create = SdtCommand::Create {
        name: args.needed("name")?,
        domain: args.needed_id("protectionDomainId")?,
        ips: ips.iter().map(|ip| address(ip, "role")).collect::<Result<_, _>>()?,
        settings,
    };
    Ok(Command::Sdt(Id(0), create))
}

fn port_field(name: &str) -> &'static str {
    match name {
        "storagePort" | "newStoragePort" => "storagePort",
        "nvmePort" | "newNvmePort" => "nvmePort",
        _ => "discoveryPort",
    }
}

pub(super) fn sdt(action: &str, args: &Args) -> Found<SdtCommand> {
    let port = |name: &str| {
        let number = args.port(name)?.ok_or_else(|| Refused::missing(&[name]))?;
        Ok(Some(SdtCommand::Set(vec![(port_field(name), Setting::Number(number.into()))])))
    };
    Ok(Some(match action {
        "renameSdt" => SdtCommand::Rename(args.needed("newName")?),
        "addIp" | "addSdtIp" => SdtCommand::AddIp(address(args, "role")?),
        "removeIp" => SdtCommand::RemoveIp(args.ip("ip")?),
        "modifyIpRole" => SdtCommand::IpRole(address(args, "newRole")?),
        "modifyStoragePort" => return port("newStoragePort"),
        "modifyNvmePort" => return port("newNvmePort"),
        "modifyDiscoveryPort" | "modifyDiscoveryRole" => return port("newDiscoveryPort"),
        "enterMaintenanceMode" => SdtCommand::Maintenance(true),
        "exitMaintenanceMode" => SdtCommand::Maintenance(false),
        "removeSdt" => SdtCommand::Remove,
        _ => return Ok(None),
    }))
}

pub(super) fn new_peer(args: &Args) -> Result<Command, Refused> {
    args.need(&["peerSystemId", "peerSystemIps"])?;
    let add = PeerCommand::Add {
        system: args.needed_id("peerSystemId")?,
        ips: args.addresses("peerSystemIps"),
        name: args.text("name"),
        port: args.port("port")?.map(u64::from),
    };
    Ok(Command::Peer(Id(0), add))
}

pub(super) fn peer(action: &str, args: &Args) -> Found<PeerCommand> {
    Ok(Some(match action {
        "modifyPeerMdmName" => PeerCommand::Rename(args.needed("newName")?),
        "modifyPeerMdmIp" => {
            args.need(&["newPeerSystemIps"])?;
            PeerCommand::Ips(args.addresses("newPeerSystemIps"))
        }
        "modifyPeerMdmPort" => {
            let port = args.port("newPort")?.ok_or_else(|| Refused::missing(&["newPort"]))?;
            PeerCommand::Set(vec![("port", Setting::Number(port.into()))])
        }
        "setPeerMdmPerformanceParameters" => {
            args.need(&["perfProfile"])?;
            let profile = args.word("perfProfile", &["Compact", "HighPerformance", "Custom"])?;
            PeerCommand::Set(profile.into_iter().collect())
        }
        "removePeerMdm" => PeerCommand::Remove,
        _ => return Ok(None),
    }))
}
