//! Volumes, snapshots and snapshot policies.

use super::args::{Args, Changes};
use crate::sim::gateway::refusal::Refused;
use crate::sim::world::{
    Access, Code, Command, Id, NewSnapshot, NewVolume, PolicyCommand, RemoveMode, Setting, VolumeCommand, World,
};

type Found<T> = Result<Option<T>, Refused>;

const TYPES: &[(&str, bool)] = &[("ThickProvisioned", true), ("ThinProvisioned", false)];
const ACCESS: &[(&str, Access)] =
    &[("ReadWrite", Access::ReadWrite), ("ReadOnly", Access::ReadOnly), ("NoAccess", Access::NoAccess)];
const COMPRESSION: &[&str] = &["Invalid", "None", "Normal"];

pub(super) fn new_volume(args: &Args) -> Result<Command, Refused> {
    args.need(&["storagePoolId"])?;
    args.need_one(&["volumeSizeInKb", "volumeSizeInGb"])?;
    let size_kb = match args.number("volumeSizeInGb")? {
        Some(gb) => gb.saturating_mul(1 << 20),
        None => args.needed_number("volumeSizeInKb")?,
    };
    let mut settings = Changes::new();
    args.keep_truth("useRmcache", "useRmcache", &mut settings)?;
    args.keep_word("compressionMethod", COMPRESSION, &mut settings)?;
    Ok(Command::CreateVolume(NewVolume {
        pool: args.needed_id("storagePoolId")?,
        name: args.text("name"),
        size_kb,
        // What nobody asked to be thick was thick in old releases.
        thick: args.choice("volumeType", TYPES)?.unwrap_or(false),
        settings,
    }))
}

/// A client by its id or GUID; for hosts by their id or NQN.
fn client(world: &World, args: &Args) -> Found<Id> {
    for name in ["sdcId", "hostId"] {
        if let Some(id) = args.id(name)? {
            return Ok(Some(id));
        }
    }
    if let Some(guid) = args.text("guid") {
        let found = world.sdcs.values().find(|sdc| sdc.guid.eq_ignore_ascii_case(&guid));
        return Ok(Some(found.ok_or_else(|| Refused::code(Code::SdcNotFound))?.id));
    }
    if let Some(nqn) = args.text("nqn") {
        let found = world.hosts.values().find(|host| host.nqn == nqn);
        return Ok(Some(found.ok_or_else(|| Refused::code(Code::SdcNotFound))?.id));
    }
    Ok(None)
}

fn needed_client(world: &World, args: &Args) -> Result<Id, Refused> {
    client(world, args)?.ok_or_else(|| Refused::missing_one(&["sdcId", "guid"]))
}

pub(super) fn volume(world: &World, action: &str, args: &Args) -> Found<VolumeCommand> {
    let set = |field, value| Ok(Some(VolumeCommand::Set(vec![(field, value)])));
    Ok(Some(match action {
        "setVolumeName" => VolumeCommand::Rename(args.needed("newName")?),
        "setVolumeSize" => VolumeCommand::Resize(args.needed_number("sizeInGB")?.saturating_mul(1 << 20)),
        "addMappedSdc" | "addMappedHost" => {
            let access = args.choice("accessMode", ACCESS)?.unwrap_or_default();
            // Whoever says `allSdcs` at all, with whatever value, means all.
            match client(world, args)? {
                Some(sdc) => VolumeCommand::Map { sdc, multiple: args.flag("allowMultipleMappings")?, access },
                None if args.has("allSdcs") || args.has("allHosts") => VolumeCommand::MapAll { access },
                None => return Err(Refused::missing_one(&["sdcId", "guid", "allSdcs"])),
            }
        }
        "removeMappedSdc" | "removeMappedHost" => match client(world, args)? {
            Some(sdc) => VolumeCommand::Unmap(Some(sdc)),
            None if args.has("allSdcs") || args.has("allHosts") => VolumeCommand::Unmap(None),
            None => return Err(Refused::missing_one(&["sdcId", "guid", "allSdcs"])),
        },
        "setMappedSdcLimits" => {
            args.need_one(&["bandwidthLimitInKbps", "iopsLimit"])?;
            VolumeCommand::Limit {
                sdc: needed_client(world, args)?,
                iops: args.number("iopsLimit")?,
                kbps: args.number("bandwidthLimitInKbps")?,
            }
        }
        "setVolumeMappingAccessMode" => {
            args.need(&["accessMode"])?;
            let access = args.choice("accessMode", ACCESS)?.unwrap_or_default();
            VolumeCommand::Access { sdc: Some(needed_client(world, args)?), access }
        }
        "setAllVolumeMappingsAccessMode" => {
            args.need(&["accessMode"])?;
            VolumeCommand::Access { sdc: None, access: args.choice("accessMode", ACCESS)?.unwrap_or_default() }
        }
        "setVolumeAccessModeLimit" => {
            args.need(&["accessModeLimit"])?;
            let valid: Vec<&str> = ACCESS.iter().map(|(word, _)| *word).collect();
            VolumeCommand::Set(args.word("accessModeLimit", &valid)?.into_iter().collect())
        }
        "setVolumeUseRmcache" => return set("useRmcache", Setting::Bool(args.needed_truth("useRmcache")?)),
        "modifyCompressionMethod" => {
            args.need(&["compressionMethod"])?;
            VolumeCommand::Set(args.word("compressionMethod", COMPRESSION)?.into_iter().collect())
        }
        "setSnapshotSecurity" => {
            let minutes = args.needed_number("retentionPeriodInMin")?;
            let now = u64::try_from(world.wall(world.now()).timestamp()).unwrap_or(0);
            return set("secureSnapshotExpTime", Setting::Number(now + minutes.saturating_mul(60)));
        }
        "overwriteVolumeContent" => VolumeCommand::Overwrite { from: args.needed_id("srcVolumeId")? },
        "migrateVTree" => VolumeCommand::Migrate { to: args.needed_id("destSPId")? },
        "pauseVTreeMigration" => VolumeCommand::PauseMigration,
        "resumeVTreeMigration" => VolumeCommand::ResumeMigration,
        "lockAutoSnapshot" => VolumeCommand::Lock(true),
        "unlockAutoSnapshot" => VolumeCommand::Lock(false),
        "removeVolume" => {
            let modes = [
                ("ONLY_ME", RemoveMode::OnlyMe),
                ("INCLUDING_DESCENDANTS", RemoveMode::IncludingDescendants),
                ("DESCENDANTS_ONLY", RemoveMode::DescendantsOnly),
                ("WHOLE_VTREE", RemoveMode::WholeVTree),
            ];
            VolumeCommand::Remove(args.choice("removeMode", &modes)?.unwrap_or(RemoveMode::OnlyMe))
        }
        _ => return Ok(None),
    }))
}

pub(super) fn snapshots(args: &Args) -> Result<Command, Refused> {
    args.need(&["snapshotDefs"])?;
    let wanted = args.objects("snapshotDefs", "snapshotDef");
    if wanted.is_empty() {
        return Err(Refused::missing(&["snapshotDefs"]));
    }
    let limit = args.word("accessModeLimit", &["ReadWrite", "ReadOnly", "NoAccess"])?;
    let wanted = wanted
        .iter()
        .map(|one| {
            one.need(&["volumeId"])?;
            let settings = limit.clone().into_iter().collect();
            Ok(NewSnapshot { of: one.needed_id("volumeId")?, name: one.text("snapshotName"), settings })
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    Ok(Command::SnapshotVolumes(wanted))
}

pub(super) fn new_policy(args: &Args) -> Result<Command, Refused> {
    args.need(&["autoSnapshotCreationCadenceInMin", "numOfRetainedSnapshotsPerLevel"])?;
    Ok(Command::CreatePolicy {
        name: args.text("name").or_else(|| args.text("Name")).unwrap_or_default(),
        cadence_minutes: args.needed_number("autoSnapshotCreationCadenceInMin")?,
        retained: args.numbers("numOfRetainedSnapshotsPerLevel")?,
        paused: args.flag("paused")?,
    })
}

pub(super) fn policy(action: &str, args: &Args) -> Found<PolicyCommand> {
    Ok(Some(match action {
        "renameSnapshotPolicy" => PolicyCommand::Rename(args.needed("newName")?),
        "modifySnapshotPolicy" => {
            args.need(&["autoSnapshotCreationCadenceInMin", "numOfRetainedSnapshotsPerLevel"])?;
            PolicyCommand::Modify {
                cadence_minutes: args.needed_number("autoSnapshotCreationCadenceInMin")?,
                retained: args.numbers("numOfRetainedSnapshotsPerLevel")?,
            }
        }
        "pauseSnapshotPolicy" => PolicyCommand::Pause(true),
        "resumeSnapshotPolicy" => PolicyCommand::Pause(false),
        "addSourceVolumeToSnapshotPolicy" => PolicyCommand::AddVolume(args.needed_id("sourceVolumeId")?),
        "removeSourceVolumeFromSnapshotPolicy" => {
            args.need(&["sourceVolumeId", "autoSnapshotRemovalAction"])?;
            let snapshots = args.choice("autoSnapshotRemovalAction", &[("Detach", false), ("Remove", true)])?;
            let volume = args.needed_id("sourceVolumeId")?;
            PolicyCommand::RemoveVolume { volume, snapshots: snapshots.unwrap_or(false) }
        }
        "removeSnapshotPolicy" => PolicyCommand::Remove,
        _ => return Ok(None),
    }))
}
