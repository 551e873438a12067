//! SDSs, their devices, and clients.

use super::args::{Args, Changes};
use crate::sim::gateway::refusal::Refused;
use crate::sim::release::Release;
use crate::sim::world::{
    Address, Command, DeviceCommand, Id, NewDevice, NewSds, SdcCommand, SdsCommand, Setting, Test, World,
};

type Found<T> = Result<Option<T>, Refused>;

const ROLES: &[(&str, &str)] =
    &[("sdsOnly", "sdsOnly"), ("sdcOnly", "sdcOnly"), ("all", "all"), ("sdsSdsOnly", "sdsSdsOnly")];
const MEDIA: &[(&str, bool)] = &[("HDD", false), ("SSD", true), ("NVDIMM", true)];
const PROFILES: &[&str] = &["Default", "HighPerformance", "Compact", "Custom"];
const TESTS: &[(&str, Test)] = &[("testOnly", Test::Only), ("noTest", Test::No), ("testAndActivate", Test::Activate)];

fn address(args: &Args, role: &str) -> Result<Address, Refused> {
    let found = args.choice(role, ROLES)?.ok_or_else(|| Refused::missing(&[role]))?;
    Ok(Address { ip: args.ip("ip")?, role: found.to_owned() })
}

pub(super) fn new_sds(world: &World, args: &Args) -> Result<Command, Refused> {
    args.need(&["protectionDomainId", "sdsIpList"])?;
    let ips = args.objects("sdsIpList", "SdsIp");
    if ips.is_empty() {
        return Err(Refused::missing(&["sdsIpList"]));
    }
    let ips = ips
        .iter()
        .map(|ip| match ip.has("role") {
            true => address(ip, "role"),
            false => Ok(Address { ip: ip.ip("ip")?, role: "all".to_owned() }),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut devices = Vec::new();
    for device in args.objects("deviceInfoList", "DeviceInfo") {
        device.need(&["devicePath", "storagePoolId"])?;
        devices.push((device.needed("devicePath")?, device.needed_id("storagePoolId")?, device.text("deviceName")));
    }
    let mut settings = Changes::new();
    args.keep_word("drlMode", &["Volatile", "NonVolatile"], &mut settings)?;
    args.keep_truth("rmcacheEnabled", "rmcacheEnabled", &mut settings)?;
    args.keep_number("rmcacheSizeInKb", "rmcacheSizeInKb", &mut settings)?;
    let buffers = if world.release >= Release::V4_5 { "numIoBuffers" } else { "numOfIoBuffers" };
    args.keep_number("numOfIoBuffers", buffers, &mut settings)?;
    Ok(Command::CreateSds(NewSds {
        domain: args.needed_id("protectionDomainId")?,
        fault_set: args.id("faultSetId")?,
        name: args.text("name"),
        ips,
        port: args.port("sdsPort")?,
        devices,
        settings,
    }))
}

pub(super) fn sds(action: &str, args: &Args) -> Found<SdsCommand> {
    let set = |field, value| Ok(Some(SdsCommand::Set(vec![(field, value)])));
    Ok(Some(match action {
        "setSdsName" => SdsCommand::Rename(args.needed("name")?),
        "setSdsPort" => SdsCommand::Port(args.port("sdsPort")?.ok_or_else(|| Refused::missing(&["sdsPort"]))?),
        "addSdsIp" => {
            args.need(&["ip", "role"])?;
            SdsCommand::AddIp(address(args, "role")?)
        }
        "removeSdsIp" => SdsCommand::RemoveIp(args.ip("ip")?),
        "setSdsIpRole" => {
            args.need(&["sdsIpToSet", "newRole"])?;
            let role = args.choice("newRole", ROLES)?.unwrap_or("all").to_owned();
            SdsCommand::IpRole(Address { ip: args.ip("sdsIpToSet")?, role })
        }
        "setDrlMode" => {
            args.need(&["drlMode"])?;
            SdsCommand::Set(args.word("drlMode", &["Volatile", "NonVolatile"])?.into_iter().collect())
        }
        "setSdsPerformanceParameters" => {
            args.need(&["perfProfile"])?;
            SdsCommand::Set(args.word("perfProfile", PROFILES)?.into_iter().collect())
        }
        "setSdsRmcacheEnabled" => {
            return set("rmcacheEnabled", Setting::Bool(args.needed_truth("rmcacheEnabled")?));
        }
        "setSdsRmcacheSize" => {
            let mb = args.needed_number("rmcacheSizeInMB")?;
            return set("rmcacheSizeInKb", Setting::Number(mb.saturating_mul(1024)));
        }
        "enableRfcache" => return set("rfcacheEnabled", Setting::Bool(true)),
        "disableRfcache" => return set("rfcacheEnabled", Setting::Bool(false)),
        "activateDevices" => SdsCommand::ActivateDevices,
        "clearDevicesError" => SdsCommand::ClearErrors,
        "removeSds" => SdsCommand::Remove { force: args.flag("force")? },
        "abortRemoveSds" => SdsCommand::AbortRemove,
        _ => return Ok(None),
    }))
}

pub(super) fn new_device(args: &Args) -> Result<Command, Refused> {
    args.need(&["deviceCurrentPathname", "sdsId"])?;
    args.need_one(&["storagePoolId", "accelerationPoolId"])?;
    Ok(Command::CreateDevice(NewDevice {
        path: args.needed("deviceCurrentPathname")?,
        sds: args.needed_id("sdsId")?,
        pool: args.needed_id("storagePoolId")?,
        name: args.text("name"),
        ssd: args.choice("mediaType", MEDIA)?,
        test: args.choice("testMode", TESTS)?.unwrap_or(Test::Activate),
        seconds: args.number("testTimeSecs")?,
    }))
}

pub(super) fn device(action: &str, args: &Args) -> Found<DeviceCommand> {
    let led = |word: &str| DeviceCommand::Set(vec![("ledSetting", Setting::Text(word.to_owned()))]);
    Ok(Some(match action {
        "setDeviceName" => DeviceCommand::Rename(args.needed("newName")?),
        "activateDevice" => DeviceCommand::Activate,
        "clearDeviceError" => DeviceCommand::ClearError,
        "setMediaType" => {
            args.need(&["mediaType"])?;
            DeviceCommand::Media { ssd: args.choice("mediaType", MEDIA)?.unwrap_or(true) }
        }
        "setDeviceCapacityLimit" => DeviceCommand::CapacityLimit(args.needed_number("capacityLimitInGB")?),
        "updateDeviceOriginalPathname" => DeviceCommand::Set(Vec::new()),
        "setDeviceLedOn" => led("On"),
        "setDeviceLedOff" => led("Off"),
        "removeDevice" => DeviceCommand::Remove { force: args.flag("forceRemove")? },
        "abortRemoveDevice" => DeviceCommand::AbortRemove,
        _ => return Ok(None),
    }))
}

pub(super) fn sdc(action: &str, args: &Args, id: Id) -> Found<Command> {
    let set = |name, value| Ok(Some(Command::Set { object: id, settings: vec![(name, value)] }));
    let command = match action {
        "setSdcName" => SdcCommand::Rename(args.needed("sdcName")?),
        "renameHost" => SdcCommand::Rename(args.needed("newName")?),
        "removeSdc" => SdcCommand::Remove,
        "setSdcPerformanceParameters" => {
            args.need(&["perfProfile"])?;
            SdcCommand::Set(args.word("perfProfile", PROFILES)?.into_iter().collect())
        }
        "modifyMaxNumPaths" => {
            return set("maxNumPaths", Setting::Number(args.needed_number("newMaxNumPaths")?));
        }
        "modifyMaxNumSysPorts" => {
            return set("maxNumSysPorts", Setting::Number(args.needed_number("newMaxNumSysPorts")?));
        }
        _ => return Ok(None),
    };
    Ok(Some(Command::Sdc(id, command)))
}
