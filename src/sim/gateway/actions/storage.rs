//! Protection domains, fault sets and storage pools.

use super::args::{Args, Changes};
use crate::sim::gateway::refusal::Refused;
use crate::sim::release::Release;
use crate::sim::world::{
    AccelerationCommand, Command, DomainCommand, FaultSetCommand, Id, NetworkLimits, NewPool, PoolCommand, Setting,
    World,
};

type Found<T> = Result<Option<T>, Refused>;

const CACHE_MODES: &[&str] = &["None", "Read", "Write", "ReadAndWrite", "WriteMiss"];

pub(super) fn domain(action: &str, args: &Args) -> Found<DomainCommand> {
    let set = |field, value| Ok(Some(DomainCommand::Set(vec![(field, value)])));
    Ok(Some(match action {
        "setProtectionDomainName" => DomainCommand::Rename(args.needed("name")?),
        "activateProtectionDomain" => DomainCommand::Activate { force: args.flag("forceActivate")? },
        "inactivateProtectionDomain" => DomainCommand::Inactivate { force: args.flag("forceShutdown")? },
        "removeProtectionDomain" => DomainCommand::Remove,
        "setSdsNetworkLimits" => {
            let names = [
                "rebuildLimitInKbps",
                "rebalanceLimitInKbps",
                "vtreeMigrationLimitInKbps",
                "protectedMaintenanceModeLimitInKbps",
                "overallLimitInKbps",
            ];
            args.need_one(&names)?;
            DomainCommand::Limits(NetworkLimits {
                rebuild: args.number(names[0])?,
                rebalance: args.number(names[1])?,
                migration: args.number(names[2])?,
                maintenance: args.number(names[3])?,
                overall: args.number(names[4])?,
            })
        }
        "enableSdsRfcache" => return set("rfcacheEnabled", Setting::Bool(true)),
        "disableSdsRfcache" => return set("rfcacheEnabled", Setting::Bool(false)),
        "setRfcacheParameters" => {
            args.need_one(&["pageSizeKb", "maxIOSizeKb", "rfcacheOperationMode"])?;
            let mut changes = Changes::new();
            args.keep_number("pageSizeKb", "rfcachePageSizeKb", &mut changes)?;
            args.keep_number("maxIOSizeKb", "rfcacheMaxIoSizeKb", &mut changes)?;
            if let Some((_, mode)) = args.word("rfcacheOperationMode", CACHE_MODES)? {
                // The misspelt name is the true one.
                changes.push(("rfcacheOpertionalMode", mode));
            }
            DomainCommand::Set(changes)
        }
        _ => return Ok(None),
    }))
}

pub(super) fn new_fault_set(world: &World, args: &Args) -> Result<Command, Refused> {
    let domain = args.needed_id("protectionDomainId")?;
    let name = args.text("name").unwrap_or_else(|| format!("fault-set-{}", world.fault_sets.len() + 1));
    Ok(Command::CreateFaultSet { domain, name })
}

pub(super) fn fault_set(action: &str, args: &Args) -> Found<FaultSetCommand> {
    Ok(Some(match action {
        "setFaultSetName" => FaultSetCommand::Rename(args.needed("newName")?),
        "clearFaultSet" => FaultSetCommand::Clear,
        "removeFaultSet" => FaultSetCommand::Remove,
        _ => return Ok(None),
    }))
}

const MEDIA: &[(&str, bool)] = &[("HDD", false), ("SSD", true), ("Transitional", false)];
const LAYOUTS: &[&str] = &["MediumGranularity", "FineGranularity"];
const COMPRESSION: &[&str] = &["Invalid", "None", "Normal"];
const ACCELERATION: &[&str] = &["None", "Read", "Write", "ReadAndWrite"];
const HANDLING: &[&str] = &["Passthrough", "Cached"];

pub(super) fn new_pool(world: &World, args: &Args) -> Result<Command, Refused> {
    args.need(&["protectionDomainId"])?;
    let media = args.choice("mediaType", MEDIA)?;
    // Older releases do not ask for it.
    if media.is_none() && world.release >= Release::V3_6 {
        return Err(Refused::missing(&["mediaType"]));
    }
    let mut settings = Changes::new();
    for (name, field) in [
        ("zeroPaddingEnabled", "zeroPaddingEnabled"),
        ("useRmcache", "useRmcache"),
        ("useRfcache", "useRfcache"),
        ("checksumEnabled", "checksumEnabled"),
    ] {
        args.keep_truth(name, field, &mut settings)?;
    }
    args.keep_word("dataLayout", LAYOUTS, &mut settings)?;
    args.keep_word("compressionMethod", COMPRESSION, &mut settings)?;
    args.keep_word("externalAccelerationType", ACCELERATION, &mut settings)?;
    args.keep_word("rmcacheWriteHandlingMode", HANDLING, &mut settings)?;
    Ok(Command::CreatePool(NewPool {
        domain: args.needed_id("protectionDomainId")?,
        name: args.text("name"),
        ssd: media.unwrap_or(true),
        spare_percent: args.number("sparePercentage")?,
        settings,
    }))
}

/// The field of a policy, of its number of operations, and of its bandwidth.
fn priority_fields(action: &str) -> Option<[&'static str; 3]> {
    Some(match action {
        "setRebuildIoPriorityPolicy" => [
            "rebuildIoPriorityPolicy",
            "rebuildIoPriorityNumOfConcurrentIosPerDevice",
            "rebuildIoPriorityBwLimitPerDeviceInKbps",
        ],
        "setRebalanceIoPriorityPolicy" => [
            "rebalanceIoPriorityPolicy",
            "rebalanceIoPriorityNumOfConcurrentIosPerDevice",
            "rebalanceIoPriorityBwLimitPerDeviceInKbps",
        ],
        "setVTreeMigrationIoPriorityPolicy" => [
            "vtreeMigrationIoPriorityPolicy",
            "vtreeMigrationIoPriorityNumOfConcurrentIosPerDevice",
            "vtreeMigrationIoPriorityBwLimitPerDeviceInKbps",
        ],
        "setProtectedMaintenanceModeIoPriorityPolicy" => [
            "protectedMaintenanceModeIoPriorityPolicy",
            "protectedMaintenanceModeIoPriorityNumOfConcurrentIosPerDevice",
            "protectedMaintenanceModeIoPriorityBwLimitPerDeviceInKbps",
        ],
        _ => return None,
    })
}

fn priority_policies(world: &World, action: &str) -> &'static [&'static str] {
    match action {
        // Older releases had one that throttles by what users do.
        _ if world.release < Release::V3_6 => {
            &["unlimited", "limitNumOfConcurrentIos", "favorAppIos", "dynamicBwThrottling"]
        }
        "setProtectedMaintenanceModeIoPriorityPolicy" => {
            &["unlimited", "limitNumOfConcurrentIos", "favorAppIos", "dynamicBwThrottling", "optimizedLimits"]
        }
        "setVTreeMigrationIoPriorityPolicy" => &["limitNumOfConcurrentIos", "favorAppIos"],
        _ => &["unlimited", "limitNumOfConcurrentIos", "favorAppIos"],
    }
}

pub(super) fn pool(world: &World, action: &str, args: &Args) -> Found<PoolCommand> {
    let set = |field, value| Ok(Some(PoolCommand::Set(vec![(field, value)])));
    let truth = |name: &str| args.needed_truth(name).map(Setting::Bool);
    if let Some(fields) = priority_fields(action) {
        args.need(&["policy"])?;
        let policy = args.word("policy", priority_policies(world, action))?;
        let Some((_, Setting::Text(policy))) = policy else { return Ok(None) };
        let ios = args.number("numOfConcurrentIosPerDevice")?;
        let kbps = args.number("bwLimitPerDeviceInKbps")?;
        return Ok(Some(PoolCommand::IoPriority { fields, policy, ios, kbps }));
    }
    Ok(Some(match action {
        "setStoragePoolName" => PoolCommand::Rename(args.needed("name")?),
        "removeStoragePool" => PoolCommand::Remove,
        "setSparePercentage" => PoolCommand::Spare(args.needed_number("sparePercentage")?),
        "setRebuildEnabled" => PoolCommand::Rebuild(args.needed_truth("rebuildEnabled")?),
        "setRebalanceEnabled" => PoolCommand::Rebalance(args.needed_truth("rebalanceEnabled")?),
        "setCapacityAlertThresholds" => {
            let names = ["capacityAlertHighThresholdPercent", "capacityAlertCriticalThresholdPercent"];
            args.need(&names)?;
            let (high, critical) = (args.needed_number(names[0])?, args.needed_number(names[1])?);
            PoolCommand::Thresholds { high, critical }
        }
        "setRebuildRebalanceParallelism" => PoolCommand::Parallelism(args.needed_number("limit")?),
        "setZeroPaddingPolicy" => PoolCommand::ZeroPadding(args.needed_truth("zeroPadEnabled")?),
        "setMediaType" => {
            args.need(&["mediaType"])?;
            PoolCommand::Media { ssd: args.choice("mediaType", MEDIA)?.unwrap_or(true) }
        }
        "setUseRmcache" => return set("useRmcache", truth("useRmcache")?),
        "setChecksumEnabled" => return set("checksumEnabled", truth("checksumEnabled")?),
        "enableRfcache" => return set("useRfcache", Setting::Bool(true)),
        "disableRfcache" => return set("useRfcache", Setting::Bool(false)),
        "enableFragmentation" => return set("fragmentationEnabled", Setting::Bool(true)),
        "disableFragmentation" => return set("fragmentationEnabled", Setting::Bool(false)),
        "setReplicationJournalCapacity" => {
            let ratio = args.needed_number("replicationJournalCapacityMaxRatio")?;
            return set("replicationCapacityMaxRatio", Setting::Number(ratio));
        }
        "modifyCompressionMethod" => kept(args, "compressionMethod", COMPRESSION)?,
        "setExternalAccelerationType" => kept(args, "externalAccelerationType", ACCELERATION)?,
        "setRmcacheWriteHandlingMode" => kept(args, "rmcacheWriteHandlingMode", HANDLING)?,
        "enablePersistentChecksum" | "modifyPersistentChecksum" => {
            let mut changes = Changes::new();
            if action.starts_with("enable") {
                changes.push(("persistentChecksumEnabled", Setting::Bool(true)));
            }
            args.keep_truth("validateOnRead", "persistentChecksumValidateOnRead", &mut changes)?;
            args.keep_number("builderLimitInKb", "persistentChecksumBuilderLimitKb", &mut changes)?;
            PoolCommand::Set(changes)
        }
        "disablePersistentChecksum" => return set("persistentChecksumEnabled", Setting::Bool(false)),
        "enableBackgroundDeviceScanner" => {
            let mut changes = vec![("backgroundScannerMode", Setting::Text("DeviceOnly".to_owned()))];
            args.keep_number("bandwidthLimitInKbpsPerDevice", "backgroundScannerBWLimitKBps", &mut changes)?;
            PoolCommand::Set(changes)
        }
        "disableBackgroundDeviceScanner" => {
            return set("backgroundScannerMode", Setting::Text("Disabled".to_owned()));
        }
        _ => return Ok(None),
    }))
}

fn kept(args: &Args, field: &'static str, valid: &[&str]) -> Result<PoolCommand, Refused> {
    args.need(&[field])?;
    Ok(PoolCommand::Set(args.word(field, valid)?.into_iter().collect()))
}

pub(super) fn new_acceleration_pool(args: &Args) -> Result<Command, Refused> {
    args.need(&["protectionDomainId", "mediaType"])?;
    let create = AccelerationCommand::Create {
        domain: args.needed_id("protectionDomainId")?,
        name: args.text("name"),
        nvdimm: args.choice("mediaType", &[("SSD", false), ("NVDIMM", true)])?.unwrap_or(false),
        rfcache: args.flag("isRfcache")?,
    };
    Ok(Command::Acceleration(Id(0), create))
}

pub(super) fn acceleration_pool(action: &str, args: &Args) -> Found<AccelerationCommand> {
    Ok(Some(match action {
        "setAccelerationPoolName" => AccelerationCommand::Rename(args.needed("newName")?),
        "removeAccelerationPool" => AccelerationCommand::Remove,
        _ => return Ok(None),
    }))
}
