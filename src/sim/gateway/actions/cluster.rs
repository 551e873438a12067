//! The system: its MDM cluster, maintenance, upgrade, and what holds for all of it.

use super::args::Args;
use super::volumes;
use crate::sim::gateway::refusal::Refused;
use crate::sim::world::{
    ClusterCommand, Command, MaintenanceCommand, MdmMembership, MdmRole, Mode, NewMdm, Scope, Setting, UpgradeCommand,
    World,
};

type Found<T> = Result<Option<T>, Refused>;

const ROLES: &[(&str, MdmRole)] = &[("Manager", MdmRole::Manager), ("TieBreaker", MdmRole::TieBreaker)];
const MODES: &[(&str, usize)] = &[("OneNode", 1), ("ThreeNodes", 3), ("FiveNodes", 5)];

pub(super) fn system(world: &World, action: &str, args: &Args) -> Found<Command> {
    let set = |field, value| Ok(Some(Command::Set { object: world.system.id, settings: vec![(field, value)] }));
    let keep = |field: &'static str, valid: &[&str]| {
        args.need(&[field])?;
        let settings = args.word(field, valid)?.into_iter().collect();
        Ok(Some(Command::Set { object: world.system.id, settings }))
    };
    Ok(Some(match action {
        "snapshotVolumes" => volumes::snapshots(args)?,
        "removeConsistencyGroupSnapshots" => Command::RemoveSnapshotGroup(args.needed_id("snapGroupId")?),
        "enterMaintenanceMode" => Command::Maintenance(MaintenanceCommand::Enter {
            scope: scope(args)?,
            mode: Mode::Instant,
            force: args.flag("forceInsufficientSpace")?,
        }),
        "enterProtectedMaintenanceMode" => {
            Command::Maintenance(MaintenanceCommand::Enter { scope: scope(args)?, mode: Mode::Protected, force: false })
        }
        "exitMaintenanceMode" => exit(args, Mode::Instant)?,
        "exitProtectedMaintenanceMode" => exit(args, Mode::Protected)?,
        "startUpgrade" => Command::Upgrade(UpgradeCommand::Start),
        "allowCommandsDuringUpgrade" => Command::Upgrade(UpgradeCommand::AllowCommands),
        "finalizeUpgrade" => Command::Upgrade(UpgradeCommand::Finalize),
        "abortUpgrade" => Command::Upgrade(UpgradeCommand::Abort),
        "approveSdc" => {
            args.need_one(&["sdcIp", "sdcIps", "sdcGuid"])?;
            let ip = args.text("sdcIp").or_else(|| args.list("sdcIps").into_iter().next());
            Command::ApproveSdc { guid: args.text("sdcGuid"), ip, name: args.text("name") }
        }
        "setApprovedSdcIps" => {
            args.need(&["sdcId", "sdcApprovedIps"])?;
            let ips = args.list("sdcApprovedIps").join(",");
            let settings = vec![("sdcApprovedIps", Setting::Text(ips))];
            Command::Set { object: args.needed_id("sdcId")?, settings }
        }
        "setRestrictedSdcMode" => return keep("restrictedSdcMode", &["None", "Guid", "ApprovedIp"]),
        "setMdmPerformanceParameters" => return keep("perfProfile", &["Default", "HighPerformance", "Compact"]),
        "setSystemName" => Command::RenameSystem(args.needed("newName")?),
        "setCliPasswordAcceptance" => {
            return set("cliPasswordAllowed", Setting::Bool(args.needed_truth("cliPasswordAllowed")?));
        }
        "enableDefragmentation" => return set("defragmentationEnabled", Setting::Bool(true)),
        "disableDefragmentation" => return set("defragmentationEnabled", Setting::Bool(false)),
        "refreshMdmClusterCapabilities" => Command::Set { object: world.system.id, settings: Vec::new() },
        _ => return mdm(action, args).map(|found| found.map(Command::Cluster)),
    }))
}

fn scope(args: &Args) -> Result<Scope, Refused> {
    args.need_one(&["sdsId", "fsId"])?;
    Ok(match args.id("sdsId")? {
        Some(sds) => Scope::Sds(sds),
        None => Scope::FaultSet(args.needed_id("fsId")?),
    })
}

fn exit(args: &Args, mode: Mode) -> Result<Command, Refused> {
    let force = args.flag("forceFailedSds")? || args.has("forceFailedDevIds");
    Ok(Command::Maintenance(MaintenanceCommand::Exit { scope: scope(args)?, mode, force }))
}

fn mdm(action: &str, args: &Args) -> Found<ClusterCommand> {
    let one = || args.id("id").and_then(|id| id.ok_or_else(|| Refused::missing(&["id"])));
    Ok(Some(match action {
        "addStandbyMdm" => {
            args.need(&["ips", "role"])?;
            ClusterCommand::AddStandby(NewMdm {
                role: args.choice("role", ROLES)?.unwrap_or(MdmRole::Manager),
                ips: args.list("ips"),
                management_ips: args.list("managementIps"),
                name: args.text("name"),
                interfaces: args.list("virtIpIntfs"),
            })
        }
        "removeStandbyMdm" => ClusterCommand::RemoveStandby(one()?),
        "switchClusterMode" => {
            args.need(&["mode"])?;
            let members = args.choice("mode", MODES)?.unwrap_or(1);
            ClusterCommand::Switch { members, change: membership(args)? }
        }
        "replaceClusterMdm" => ClusterCommand::Replace(membership(args)?),
        "changeMdmOwnership" => ClusterCommand::ChangeOwnership(one()?),
        "renameMdm" => {
            args.need(&["id", "newName"])?;
            ClusterCommand::Rename { id: one()?, name: args.needed("newName")? }
        }
        "setManagementIps" => {
            args.need(&["id"])?;
            let ips = if args.flag("clearAll")? { Vec::new() } else { args.list("mdmManagementIpList") };
            ClusterCommand::ManagementIps { id: one()?, ips }
        }
        "modifyVirtualIpInterfaces" => {
            args.need(&["id"])?;
            args.need_one(&["virtIpIntfs", "clear"])?;
            ClusterCommand::Interfaces { id: one()?, interfaces: args.list("virtIpIntfs") }
        }
        "modifyClusterVirtualIPs" => {
            args.need_one(&["virtIPs", "clear"])?;
            ClusterCommand::VirtualIps(args.list("virtIPs"))
        }
        _ => return Ok(None),
    }))
}

fn membership(args: &Args) -> Result<MdmMembership, Refused> {
    Ok(MdmMembership {
        add_managers: args.ids("addSlaveMdmIdList")?,
        add_tie_breakers: args.ids("addTBIdList")?,
        remove_managers: args.ids("removeSlaveMdmIdList")?,
        remove_tie_breakers: args.ids("removeTBIdList")?,
        allow_failed: args.flag("allowLeaveFailed")?,
    })
}
