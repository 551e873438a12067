//! What may go wrong, and what people may do meanwhile.

use chrono::TimeDelta;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::controller::Controller;
use super::host::Mesos;
use super::site::Site;
use crate::model::id::NodeName;
use crate::model::step::{Action, Component};
use crate::sim::world::{Command, Id, Maintenance, MaintenanceCommand, Mode, PoolCommand, Scope};
use crate::work::book::Run;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Fault {
    Crash,
    GatewayDeaf,
    MesosDeaf,
    SdsFails,
    SdsReturns,
    DeviceFails,
    DeviceReturns,
    MdmFails,
    MdmReturns,
    MdmFailover,
    RebuildOff,
    RebuildOn,
    ForeignEnter,
    ForeignExit,
    AgentSilent,
    AgentSpeaks,
    BrokenPackage,
    SlowHost,
    PackagesBusy,
    DrainStuck,
    DrainEnds,
    ModuleMissing,
    ModuleBuilt,
    OldKernel,
    AlertFires,
    AlertEnds,
    Loss,
    NoLoss,
    Pause,
    Resume,
    Cancel,
    /// A person hands the maintenance of somebody else over to us.
    Adopt,
    RestoreServices,
    PowerOff,
    /// Somebody else makes the upgrade final, while nodes are sent back from it. Only where that is played.
    Finalised,
}

impl Fault {
    /// Every kind that may come anywhere, with how often it does.
    pub const ALL: &'static [(Self, u32)] = &[
        (Self::Crash, 20),
        (Self::GatewayDeaf, 6),
        (Self::MesosDeaf, 4),
        (Self::SdsFails, 4),
        (Self::SdsReturns, 16),
        (Self::DeviceFails, 2),
        (Self::DeviceReturns, 10),
        (Self::MdmFails, 3),
        (Self::MdmReturns, 14),
        (Self::MdmFailover, 2),
        (Self::RebuildOff, 2),
        (Self::RebuildOn, 14),
        (Self::ForeignEnter, 3),
        (Self::ForeignExit, 14),
        (Self::AgentSilent, 3),
        (Self::AgentSpeaks, 14),
        (Self::BrokenPackage, 1),
        (Self::SlowHost, 2),
        (Self::PackagesBusy, 3),
        (Self::DrainStuck, 1),
        (Self::DrainEnds, 10),
        (Self::ModuleMissing, 2),
        (Self::ModuleBuilt, 14),
        (Self::OldKernel, 1),
        (Self::AlertFires, 2),
        (Self::AlertEnds, 14),
        (Self::Loss, 3),
        (Self::NoLoss, 10),
        (Self::Pause, 2),
        (Self::Resume, 14),
        (Self::Cancel, 1),
        (Self::Adopt, 4),
        (Self::RestoreServices, 8),
        (Self::PowerOff, 20),
    ];

    /// One by chance.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        let all: u32 = Self::ALL.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.random_range(0..all);
        for (fault, weight) in Self::ALL {
            if left < *weight {
                return *fault;
            }
            left -= weight;
        }
        Self::Crash
    }
}

fn any<T: Clone>(all: &[T], rng: &mut ChaCha8Rng) -> Option<T> {
    if all.is_empty() { None } else { all.get(rng.random_range(0..all.len())).cloned() }
}

/// Lets it happen. Tells whether anything did. Crashes and what people say are the caller's.
pub fn happen(fault: Fault, site: &mut Site, controller: &mut Controller) -> bool {
    let now = site.now();
    let mut rng = site.rng.clone();
    let seconds = TimeDelta::seconds(rng.random_range(20..400));
    let happened = match fault {
        Fault::Crash | Fault::Pause | Fault::Resume | Fault::Cancel | Fault::Adopt => false,
        Fault::GatewayDeaf => {
            site.deaf_until = now + seconds;
            true
        }
        Fault::MesosDeaf => {
            site.mesos_deaf_until = now + seconds;
            true
        }
        Fault::SdsFails => {
            // Two at once lose data in any system; that is another story.
            let away = site.world.sds.values().filter(|sds| !sds.connected()).count();
            let all: Vec<String> = site.world.sds.values().map(|sds| sds.name.clone()).collect();
            away == 0 && any(&all, &mut rng).is_some_and(|name| site.world.fail_sds(&name).is_ok())
        }
        Fault::SdsReturns | Fault::RestoreServices | Fault::MdmReturns => restore(site, fault),
        Fault::DeviceFails => {
            let failed = site.world.devices.values().any(|device| device.failed);
            let all: Vec<String> = site.world.devices.values().map(|device| device.name.clone()).collect();
            !failed && any(&all, &mut rng).is_some_and(|name| site.world.fail_device(&name).is_ok())
        }
        Fault::DeviceReturns => {
            let all: Vec<String> =
                site.world.devices.values().filter(|at| at.failed).map(|device| device.name.clone()).collect();
            any(&all, &mut rng).is_some_and(|name| site.world.return_device(&name).is_ok())
        }
        Fault::MdmFails => {
            let now = site.world.now();
            let all: Vec<String> = site.world.mdm.voters().map(|mdm| mdm.name.clone()).collect();
            site.world.mdm.normal(now) && any(&all, &mut rng).is_some_and(|name| site.world.fail_mdm(&name).is_ok())
        }
        Fault::MdmFailover => {
            site.world.mdm_failover();
            true
        }
        Fault::RebuildOff | Fault::RebuildOn => {
            let all: Vec<Id> = site.world.pools.keys().copied().collect();
            let on = fault == Fault::RebuildOn;
            any(&all, &mut rng).is_some_and(|pool| {
                let was = site.world.pools.get(&pool).is_some_and(|pool| pool.rebuild_enabled);
                was != on && site.world.command(Command::Pool(pool, PoolCommand::Rebuild(on))).is_ok()
            })
        }
        Fault::ForeignEnter => {
            let all: Vec<Id> = site.world.sds.keys().copied().collect();
            any(&all, &mut rng).is_some_and(|id| {
                let command = MaintenanceCommand::Enter { scope: Scope::Sds(id), mode: Mode::Instant, force: false };
                let quiet = site.world.sds.values().all(|sds| sds.maintenance == Maintenance::None);
                let entered = quiet && site.world.command(Command::Maintenance(command)).is_ok();
                if entered {
                    site.unknown.entered(id);
                }
                entered
            })
        }
        Fault::ForeignExit => {
            // Now and then somebody takes ours for theirs.
            let ours = site.ours.len() == 1 && rng.random_range(0..8) == 0;
            let all = inside(site, |id| ours || !site.ours.contains_key(&id));
            any(&all, &mut rng).is_some_and(|id| site.ended_by_others(id))
        }
        Fault::AgentSilent
        | Fault::AgentSpeaks
        | Fault::BrokenPackage
        | Fault::SlowHost
        | Fault::PackagesBusy
        | Fault::DrainStuck
        | Fault::DrainEnds
        | Fault::ModuleMissing
        | Fault::ModuleBuilt
        | Fault::OldKernel => {
            let names: Vec<NodeName> = site.hosts.keys().cloned().collect();
            let Some(host) = any(&names, &mut rng).and_then(|name| site.hosts.get_mut(&name)) else { return false };
            match fault {
                Fault::AgentSilent => host.silent = true,
                Fault::AgentSpeaks => host.silent = false,
                Fault::BrokenPackage => host.broken = true,
                Fault::OldKernel => host.boots_old = true,
                Fault::SlowHost => host.slow_seconds = rng.random_range(100..1500),
                Fault::PackagesBusy => host.busy_seconds = rng.random_range(5..60),
                Fault::DrainStuck => host.drain_stuck = true,
                Fault::DrainEnds => {
                    host.drain_stuck = false;
                    if host.mesos == Mesos::Draining(None) {
                        host.mesos = Mesos::Draining(Some(now));
                    }
                }
                Fault::ModuleMissing => {
                    let kernel = host.next_kernel.clone();
                    host.modules.remove(&kernel);
                }
                _ => {
                    let kernel = host.next_kernel.clone();
                    host.modules.insert(kernel);
                }
            }
            true
        }
        Fault::AlertFires => !std::mem::replace(&mut controller.planted, true),
        Fault::AlertEnds => std::mem::take(&mut controller.planted),
        Fault::Loss => {
            site.loss = 25;
            true
        }
        Fault::NoLoss => std::mem::take(&mut site.loss) > 0,
        Fault::Finalised => {
            let book = controller.journal.book();
            let goes_back = book.open_run().is_some_and(Run::goes_back);
            goes_back && site.finalised_by_others()
        }
        Fault::PowerOff => {
            let book = controller.journal.book();
            let there = book.in_work().find_map(|(_, _, task, state)| {
                let step = Run::step_at_hand(task, state)?;
                (step.action == Action::Handwork).then(|| task.node.clone())
            });
            there.is_some_and(|node| site.switch_off(&node, now + seconds))
        }
    };
    site.rng = rng;
    happened
}

/// Servers in maintenance of which that is so.
fn inside(site: &Site, wanted: impl Fn(Id) -> bool) -> Vec<Id> {
    let all = site.world.sds.values().filter(|sds| sds.maintenance == Maintenance::In);
    all.map(|sds| sds.id).filter(|id| wanted(*id)).collect()
}

/// Services whose host is up, and that nobody works on, are started again.
fn restore(site: &mut Site, fault: Fault) -> bool {
    let now = site.now();
    let names: Vec<_> = site.hosts.keys().cloned().collect();
    let mut any = false;
    for name in names {
        let Some(host) = site.hosts.get(&name).filter(|host| host.working.is_none() && now >= host.up_at) else {
            continue;
        };
        let (sds, mdm) = (host.sds, host.mdm.clone());
        // What a broken package stopped only another package starts.
        let well = |component: Component| host.running.contains(&component);
        let sds_away = well(Component::Sds) && site.world.sds.get(&sds).is_some_and(|sds| !sds.connected());
        let mdm_away = well(Component::Mdm)
            && mdm.is_some_and(|name| site.world.mdm.members.iter().any(|mdm| mdm.name == name && !mdm.up));
        let component = match fault {
            Fault::SdsReturns if sds_away => Component::Sds,
            Fault::MdmReturns if mdm_away => Component::Mdm,
            _ => continue,
        };
        site.start(&name, &[component]);
        any = true;
    }
    any
}

/// Everything is mended from outside, for what must hold once faults stop.
pub fn heal(site: &mut Site, controller: &mut Controller) {
    site.deaf_until = site.now();
    site.mesos_deaf_until = site.now();
    site.loss = 0;
    controller.planted = false;
    let now = site.now();
    let well = |host: &mut super::host::Host| {
        host.silent = false;
        host.broken = false;
        host.boots_old = false;
        if host.is_off {
            host.up_at = now;
        }
        host.drain_stuck = false;
        host.slow_seconds = 0;
        host.busy_seconds = 0;
        let kernel = host.next_kernel.clone();
        host.modules.insert(kernel);
    };
    site.hosts.values_mut().for_each(well);
    for host in site.hosts.values_mut().filter(|host| host.mesos == Mesos::Draining(None)) {
        host.mesos = Mesos::Draining(Some(now));
    }
    let devices: Vec<String> = site.world.devices.values().filter(|at| at.failed).map(|at| at.name.clone()).collect();
    for device in devices {
        let _ = site.world.return_device(&device);
    }
    restore(site, Fault::SdsReturns);
    restore(site, Fault::MdmReturns);
    let pools: Vec<Id> = site.world.pools.keys().copied().collect();
    for pool in pools {
        let _ = site.world.command(Command::Pool(pool, PoolCommand::Rebuild(true)));
    }
    for id in inside(site, |id| !site.ours.contains_key(&id)) {
        site.ended_by_others(id);
    }
}
