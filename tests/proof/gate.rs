//! Does each reason of the gate hold in a situation made for it, and go unnoticed when the gate forgets it?

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::TimeDelta;
use scaleio_framework::model::cluster::Mapping;
use scaleio_framework::model::hold::{Hardness, ReasonKind};
use scaleio_framework::model::id::{AgentId, ObjectId};
use scaleio_framework::model::node::{AgentState, Carries};
use scaleio_framework::model::plan::{Approval, Limits, Plan, Risk};
use scaleio_framework::model::state::Seen;
use scaleio_framework::model::stats::Stat;
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepKind};
use scaleio_framework::model::unit::Ratio;
use scaleio_framework::model::version::{Generation, ProductVersion};
use scaleio_framework::model::window::{Blackout, Window, Zone};
use scaleio_framework::work::make_mistake;
use scaleio_framework::work::record::{Duty, Record};

use crate::scene::{Asked, Scene, each, run_id};

struct Case {
    reason: ReasonKind,
    asked: Asked,
    scene: Scene,
}

fn case(reason: ReasonKind, asked: Asked, mut scene: Scene, spoil: impl FnOnce(&mut Scene)) -> Case {
    spoil(&mut scene);
    Case { reason, asked, scene }
}

fn replan(scene: &mut Scene, change: impl FnOnce(&mut Plan)) {
    let mut plan = (*scene.run().plan).clone();
    change(&mut plan);
    let approval = Approval::Hash { plan: plan.id(), by: "a person".into(), at: scene.now };
    scene.open(plan, approval);
}

/// The release of the task did not come up elsewhere.
fn found_bad(scene: &mut Scene) {
    let version = scene.task().steps.iter().find_map(|step| match &step.action {
        Action::Apply { version, .. } => Some(version.clone()),
        _ => None,
    });
    scene.write(Record::Quarantined { version: version.unwrap(), why: "it failed".into() });
}

#[allow(clippy::too_many_lines)]
fn cases() -> Vec<Case> {
    use Asked::{Admit, Step};
    use ReasonKind as R;
    use StepKind as K;
    let (waiting, drained, within) = (Scene::waiting, Scene::drained, Scene::in_maintenance);
    let own = |scene: &Scene| scene.task().sds.unwrap();
    let others = |scene: &mut Scene, change: fn(&mut scaleio_framework::model::cluster::Sds)| {
        let id = scene.other().1.sds.unwrap();
        scene.sds(|sds| {
            if sds.id == id {
                change(sds);
            }
        });
    };
    let foreign_enter = |sds: &mut scaleio_framework::model::cluster::Sds| {
        sds.maintenance = Seen::read("InMaintenance");
    };
    vec![
        case(R::Unseen, Admit, waiting(), |s| s.snapshot().pools = None),
        case(R::Unseen, Step(K::EnterMaintenance), drained(), |s| s.snapshot().statistics = None),
        case(R::Unseen, Step(K::EnterMaintenance), drained(), |s| {
            s.pool_statistic(Stat::DegradedHealthyCapacityInKb, f64::NAN);
        }),
        case(R::Stale, Admit, waiting(), |s| s.policy.fresh = TimeDelta::seconds(-1)),
        case(R::Stale, Step(K::EnterMaintenance), drained(), |s| {
            s.snapshot().sds.as_mut().unwrap().begun_at -= TimeDelta::minutes(5);
        }),
        case(R::Stale, Step(K::Rollback), within(), |s| {
            s.snapshot().sds.as_mut().unwrap().begun_at -= TimeDelta::minutes(5);
        }),
        case(R::BeforeEffect, Step(K::EnterMaintenance), drained(), |s| s.book.changed_at = Some(s.now)),
        case(R::UnknownState, Admit, waiting(), |s| s.sds(|sds| sds.membership = Seen::read("Levitating"))),
        case(R::UnknownState, Admit, waiting(), |s| {
            s.array(|array| array.upgrade_state = Some(Seen::read("Levitating")));
        }),
        case(R::AlertsBehind, Step(K::EnterMaintenance), drained(), |s| s.firing.seq -= 1),
        case(R::MdmNotNormal, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().state = Seen::read("ClusteredDegraded"));
        }),
        case(R::MdmNotNormal, Step(K::EnterMaintenance), drained(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().good_replicas = Some(1));
        }),
        case(R::MdmMemberBad, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().members[1].status = Some(Seen::read("OutOfSync")));
        }),
        case(R::MdmMemberBad, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().members[1].status = None);
        }),
        case(R::UnknownState, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().state = Seen::read("Levitating"));
        }),
        case(R::MdmNotNormal, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().good_nodes = Some(1));
        }),
        case(R::Unseen, Admit, waiting(), |s| s.array(|array| array.mdm = None)),
        case(R::UpgradeState, Step(K::Finalise), waiting(), |_| ()),
        case(R::NotUpgraded, Step(K::Finalise), Scene::finalising(), |s| {
            s.sds(|sds| sds.version = Some(ProductVersion::read("R2_6.0.01")));
        }),
        case(R::NotUpgraded, Step(K::Finalise), Scene::finalising(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().members[2].version = None);
        }),
        case(R::NotUpgraded, Step(K::Finalise), Scene::finalising(), |s| {
            s.host().installed.insert(Component::Sdc, ["R2_6.0.01".into()].into());
        }),
        case(R::MdmOwned, Asked::PutBackMdm, waiting().at_the_owner(), |_| ()),
        case(R::MdmMemberBad, Asked::PutBackMdm, member(), |s| {
            let own = s.task().mdm;
            s.array(|array| {
                let others = array.mdm.as_mut().unwrap().members.iter_mut().filter(|at| Some(&at.id) != own.as_ref());
                others.last().unwrap().status = Some(Seen::read("Disconnected"));
            });
        }),
        // Its host says that it runs.
        case(R::MdmMemberBad, Asked::PutBackMdm, member(), |s| {
            s.array(|array| {
                array
                    .mdm
                    .as_mut()
                    .unwrap()
                    .members
                    .iter_mut()
                    .for_each(|at| at.status = Some(Seen::read("Disconnected")));
            });
        }),
        case(R::DataUnprotected, Step(K::Finalise), waiting(), |s| {
            s.pool_statistic(Stat::DegradedHealthyCapacityInKb, 1024.0);
        }),
        case(R::SdsAway, Step(K::Finalise), waiting(), |s| {
            others(s, |sds| sds.connection = Seen::read("Disconnected"));
        }),
        case(R::MaintenanceElsewhere, Step(K::Finalise), waiting(), |s| others(s, foreign_enter)),
        case(R::Firing, Step(K::Finalise), waiting(), |s| {
            s.firing.critical.insert(("Planted".into(), "somewhere".into()));
        }),
        case(R::MdmChanged, Admit, waiting(), |s| {
            let mut observed = (*s.picture.observed).clone();
            observed.primary_changed_at = Some(s.now - TimeDelta::minutes(1));
            s.picture.observed = observed.into();
        }),
        case(R::MdmInWork, Admit, waiting().at_the_owner(), |s| {
            let member = s.run().each().find(|(number, _, task, _)| task.mdm.is_some() && *number != s.number);
            let task = member.unwrap().0;
            s.write(Record::Began { run: run_id(), task });
        }),
        case(R::MdmOwned, Step(K::Reboot), waiting().at_the_owner(), |s| {
            s.begin_and_drain();
            s.enter();
        }),
        case(R::UpgradeState, Admit, waiting(), |s| {
            s.array(|array| array.upgrade_state = Some(Seen::read("UpgradeInProgress")));
        }),
        case(R::SdsAway, Admit, waiting(), |s| {
            others(s, |sds| sds.connection = Seen::read("Disconnected"));
        }),
        case(R::SdsAway, Step(K::Apply), within(), |s| {
            others(s, |sds| sds.connection = Seen::read("Disconnected"));
        }),
        case(R::SdsAwayElsewhere, Admit, waiting(), |s| {
            others(s, |sds| {
                sds.connection = Seen::read("Disconnected");
                sds.domain = None;
            });
            let (id, mut plan) = (s.other().1.sds.unwrap(), (*s.run().plan).clone());
            plan.based_on.topology.get_mut(&id).unwrap().0 = None;
            let approval = Approval::Hash { plan: plan.id(), by: "a person".into(), at: s.now };
            s.open(plan, approval);
        }),
        case(R::OwnSdsAway, Admit, waiting(), |s| {
            let id = own(s);
            s.sds(|sds| {
                if sds.id == id {
                    sds.connection = Seen::read("Disconnected");
                }
            });
        }),
        case(R::OwnSdsAway, Step(K::ExitMaintenance), within(), |s| {
            let id = own(s);
            s.sds(|sds| {
                if sds.id == id {
                    sds.connection = Seen::read("Disconnected");
                }
            });
        }),
        case(R::MaintenanceForeign, Admit, waiting(), |s| others(s, foreign_enter)),
        case(R::MaintenanceForeign, Step(K::EnterMaintenance), drained(), |s| others(s, foreign_enter)),
        case(R::MaintenanceForeign, Step(K::ExitMaintenance), within(), Scene::left_by_the_mdm),
        case(R::MaintenanceElsewhere, Step(K::EnterMaintenance), drained(), |s| {
            let (task, other) = s.other();
            s.write(Record::Began { run: run_id(), task });
            let number = std::mem::replace(&mut s.number, task);
            s.enter();
            s.number = number;
            assert_ne!(other.fault_set, s.task().fault_set);
        }),
        case(R::NotInMaintenance, Step(K::Apply), drained(), |_| ()),
        case(R::NotInMaintenance, Step(K::Apply), within(), |s| {
            // In maintenance, and not by us.
            let sds = own(s);
            s.write(Record::Settled { duty: Duty::Maintenance { sds } });
        }),
        case(R::NotInMaintenance, Step(K::Rollback), drained(), |_| ()),
        case(R::NotInMaintenance, Asked::Soak, within(), |_| ()),
        case(R::TooFewHealthySds, Step(K::EnterMaintenance), drained(), |s| {
            let keep = own(s);
            let mut left = 1;
            s.sds(|sds| {
                if sds.id != keep && left == 0 {
                    sds.state = Seen::read("RemovePending");
                } else if sds.id != keep {
                    left -= 1;
                }
            });
        }),
        case(R::TooFewFaultUnits, Step(K::EnterMaintenance), drained(), |s| {
            let one = s.other().1.sds;
            let keep = Some(own(s));
            each(&mut s.snapshot().devices, |device| {
                if device.sds != keep {
                    device.sds.clone_from(&one);
                }
            });
        }),
        case(R::DataUnprotected, Admit, waiting(), |s| s.pool_statistic(Stat::DegradedHealthyCapacityInKb, 1024.0)),
        case(R::DataUnprotected, Admit, waiting(), |s| s.pool_statistic(Stat::DegradedFailedCapacityInKb, 1024.0)),
        case(R::DataUnprotected, Admit, waiting(), |s| s.pool_statistic(Stat::FailedCapacityInKb, 1024.0)),
        case(R::DataUnprotected, Admit, waiting(), |s| s.pool_statistic(Stat::SemiProtectedCapacityInKb, 1024.0)),
        case(R::DataUnprotected, Admit, waiting(), |s| s.pool_statistic(Stat::InMaintenanceCapacityInKb, 1024.0)),
        case(R::DataUnprotected, Asked::Resynced, drained(), |s| {
            s.pool_statistic(Stat::DegradedHealthyCapacityInKb, 1024.0);
        }),
        case(R::Moving, Admit, waiting(), |s| s.pool_statistic(Stat::PendingFwdRebuildCapacityInKb, 1024.0)),
        case(R::Moving, Admit, waiting(), |s| s.pool_statistic(Stat::ActiveBckRebuildCapacityInKb, 1024.0)),
        case(R::Moving, Admit, waiting(), |s| s.pool_statistic(Stat::PendingNormRebuildCapacityInKb, 1024.0)),
        case(R::Moving, Step(K::Apply), within(), |s| {
            s.pool_statistic(Stat::ActiveFwdRebuildCapacityInKb, 1024.0);
        }),
        case(R::Moving, Asked::Resynced, drained(), |s| {
            s.pool_statistic(Stat::PendingExitProtectedMaintenanceModeCapacityInKb, 1024.0);
        }),
        case(R::Rebalancing, Admit, waiting(), |s| s.pool_statistic(Stat::ActiveRebalanceCapacityInKb, 1024.0)),
        case(R::RebuildDisabled, Admit, waiting(), |s| {
            each(&mut s.snapshot().pools, |pool| pool.rebuild_enabled = Some(false));
        }),
        case(R::DeviceError, Admit, waiting(), |s| {
            each(&mut s.snapshot().devices, |device| device.error = Seen::read("Error"));
        }),
        case(R::DeviceState, Admit, waiting(), |s| {
            each(&mut s.snapshot().devices, |device| device.state = Seen::read("RemovePending"));
        }),
        case(R::NoRoom, Step(K::EnterMaintenance), drained(), |s| s.policy.margin = u64::MAX / 4),
        case(R::DomainNotActive, Admit, waiting(), |s| {
            each(&mut s.snapshot().domains, |domain| domain.state = Seen::read("InactivePending"));
        }),
        case(R::MdmAlert, Admit, waiting(), |s| s.alert("FWD_REBUILD_STUCK")),
        case(R::MdmAlert, Step(K::Apply), within(), |s| s.alert("DEVICE_FAILED")),
        case(R::MdmAlertMild, Admit, waiting(), |s| s.alert("SPARE_CAPACITY_BELOW_THRESHOLD")),
        case(R::Firing, Admit, waiting(), |s| {
            s.firing.critical.insert(("Planted".into(), "somewhere".into()));
        }),
        case(R::Firing, Asked::Soak, drained(), |s| {
            s.firing.critical.insert(("Planted".into(), "somewhere".into()));
        }),
        case(R::FiringMild, Admit, waiting(), |s| {
            s.firing.mild.insert(("Planted".into(), "somewhere".into()));
        }),
        case(R::NodeUnseen, Admit, waiting(), |s| s.nodes.clear()),
        case(R::NotReady, Admit, waiting(), |s| s.host().unready = Some("joining".into())),
        case(R::NodeStale, Step(K::Apply), within(), |s| s.host().seen_at -= TimeDelta::minutes(10)),
        case(R::NotStaged, Step(K::Apply), within(), |s| s.host().staged.clear()),
        case(R::Ambiguous, Step(K::Apply), within(), |s| {
            s.host().installed.get_mut(&Component::Sds).unwrap().insert("other".into());
        }),
        case(R::NoModule, Admit, waiting(), |s| s.host().modules.clear()),
        case(R::NoModule, Step(K::Reboot), within(), |s| s.host().modules.clear()),
        case(R::VolumesOpen, Step(K::Reboot), within(), |s| s.host().open_volumes = 1),
        case(R::OrderOfComponents, Admit, waiting(), |s| {
            s.array(|array| {
                let member = &mut array.mdm.as_mut().unwrap().members[0];
                member.version = Some(ProductVersion::read("R1_0"));
            });
        }),
        case(R::NotDrained, Step(K::EnterMaintenance), drained(), |s| s.agent().state = AgentState::Active),
        case(R::NotDrained, Step(K::Reactivate), drained(), |s| {
            s.agent().state = AgentState::Draining { waits_for: Vec::new() };
        }),
        case(R::DrainWaits, Step(K::EnterMaintenance), drained(), |s| {
            s.agent().state = AgentState::Draining { waits_for: vec!["marathon".into()] };
        }),
        case(R::ForeignSchedule, Admit, waiting(), |s| s.agent().scheduled_by_others = true),
        case(R::AgentForeign, Admit, waiting(), |s| s.agent().state = AgentState::Deactivated),
        case(R::AgentForeign, Step(K::Drain), waiting(), |s| s.agent().agent = AgentId::new("another")),
        case(R::InWork, Admit, waiting(), |s| {
            let task = s.other().0;
            s.write(Record::Began { run: run_id(), task });
        }),
        case(R::HostsController, Admit, waiting(), |s| {
            s.host().carries.insert(Carries::Controller);
        }),
        case(R::QuorumInWork, Admit, waiting(), |s| {
            let (task, other) = s.other();
            s.write(Record::Began { run: run_id(), task });
            s.host().carries.insert(Carries::ZooKeeper);
            s.nodes.get_mut(&other.node).unwrap().carries.insert(Carries::ZooKeeper);
        }),
        case(R::TooLong, Step(K::EnterMaintenance), drained(), |s| {
            replan(s, |plan| {
                for step in plan.stages[0].tasks.iter_mut().flat_map(|task| &mut task.steps) {
                    step.predicted_seconds += 3600;
                }
            });
            s.begin_and_drain();
        }),
        case(R::ModeMissing, Step(K::EnterMaintenance), drained(), |s| {
            replan(s, |plan| {
                for step in plan.stages[0].tasks.iter_mut().flat_map(|task| &mut task.steps) {
                    if let Action::EnterMaintenance { mode } = &mut step.action {
                        *mode = MaintenanceMode::Protected;
                    }
                }
            });
            s.begin_and_drain();
            s.snapshot().generation = Generation::V3_0;
        }),
        case(R::OutsideWindow, Admit, waiting(), |s| s.policy.calendar.windows = vec![window(s, -120, -60)]),
        case(R::WindowTooShort, Admit, waiting(), |s| s.policy.calendar.windows = vec![window(s, -60, 1)]),
        case(R::Blackout, Admit, waiting(), |s| {
            let (first, last, zone) = (s.now.date_naive(), s.now.date_naive(), Zone::UTC);
            s.policy.calendar.blackouts = vec![Blackout { name: "year end".into(), first, last, zone }];
        }),
        case(R::Paused, Admit, waiting(), |s| s.write(Record::Paused { run: run_id(), by: "a person".into() })),
        case(R::Held, Admit, waiting(), |s| {
            let node = s.task().node;
            s.write(Record::HeldNode { node, until: None, by: "a person".into() });
        }),
        case(R::Cancelled, Admit, waiting(), |s| s.write(Record::Cancelled { run: run_id(), by: "a person".into() })),
        case(R::ApprovalOver, Admit, waiting(), |s| {
            let plan = (*s.run().plan).clone();
            let approval = Approval::Policy {
                job: "nightly".into(),
                to: "x".into(),
                selection: BTreeSet::new(),
                modes: BTreeSet::new(),
                max_risk: Risk::Medium,
                until: s.now,
                by: "a person".into(),
            };
            s.open(plan, approval);
        }),
        case(R::NotApproved, Admit, waiting(), |s| {
            let plan = (*s.run().plan).clone();
            let other = Plan { limits: Limits { failures: 7, ..plan.limits.clone() }, ..plan.clone() };
            let approval = Approval::Hash { plan: other.id(), by: "a person".into(), at: s.now };
            s.open(plan, approval);
        }),
        case(R::Superseded, Admit, waiting(), |s| s.sds(|sds| sds.fault_set = None)),
        case(R::Superseded, Admit, waiting(), |s| {
            s.array(|array| array.mdm.as_mut().unwrap().members[2].id = ObjectId::new("ff").into());
        }),
        case(R::BudgetSpent, Admit, waiting(), |s| s.write(Record::Halted { run: run_id(), why: "enough".into() })),
        case(R::Quarantined, Admit, waiting(), found_bad),
        case(R::Quarantined, Step(K::EnterMaintenance), drained(), found_bad),
        case(R::Quarantined, Step(K::Apply), within(), found_bad),
        case(R::Regressed, Admit, waiting(), |s| {
            let (number, other) = s.other();
            s.write(Record::Began { run: run_id(), task: number });
            for place in 0..other.steps.len() as u32 {
                s.write(Record::Confirmed { run: run_id(), task: number, place });
            }
            s.nodes.get_mut(&other.node).unwrap().running.remove(&Component::Sds);
        }),
        case(R::WaitsForEffect, Asked::Soak, waiting(), |s| {
            s.host().running.remove(&Component::Sds);
        }),
        case(R::WaitsForEffect, Step(K::AddSds), drained(), |_| ()),
        case(R::NoRoomLeft, Step(K::Evacuate), Scene::leaving(), |s| {
            each(&mut s.snapshot().pools, |pool| pool.spare = Some(Ratio::from_percent(95.0)));
        }),
        case(R::TooFewFaultUnits, Step(K::Evacuate), Scene::leaving(), |s| {
            let own = s.task().sds;
            let mut left = 2;
            let stays: Vec<_> = s.snapshot().sds.as_ref().unwrap().iter().map(|sds| sds.id.clone()).collect();
            let stays: Vec<_> = stays
                .into_iter()
                .filter(|id| {
                    let is_own = Some(id) == own.as_ref();
                    let stays = is_own || left > 0;
                    left -= i32::from(stays && !is_own);
                    stays
                })
                .collect();
            each(&mut s.snapshot().devices, |device| {
                if !device.sds.as_ref().is_some_and(|sds| stays.contains(sds)) {
                    device.pool = None;
                }
            });
        }),
        case(R::DataUnprotected, Step(K::Evacuate), Scene::leaving(), |s| {
            s.pool_statistic(Stat::DegradedFailedCapacityInKb, 1024.0);
        }),
        case(R::NotDrained, Step(K::Evacuate), Scene::leaving(), |s| s.agent().state = AgentState::Active),
        case(R::OwnSdsAway, Step(K::Uninstall), Scene::leaving(), |_| ()),
        case(R::ClientConnected, Step(K::RemoveSdc), Scene::leaving(), |_| ()),
        case(R::VolumesMapped, Step(K::RemoveSdc), Scene::leaving(), |s| {
            let client = s.task().steps.iter().find_map(|step| match &step.action {
                Action::RemoveSdc { sdc } => Some(sdc.clone()),
                _ => None,
            });
            let client = client.unwrap();
            each(&mut s.snapshot().volumes, |volume| {
                let (limit_iops, limit_bandwidth, access_mode) = (None, None, None);
                volume.mappings.push(Mapping { sdc: client.clone(), limit_iops, limit_bandwidth, access_mode });
            });
        }),
    ]
}

/// A secondary of the MDM cluster.
fn member() -> Scene {
    let mut scene = Scene::waiting().at_the_owner();
    let owner = scene.task().mdm;
    let found = scene.run().each().find(|(_, _, task, _)| task.mdm.is_some() && task.mdm != owner).map(|at| at.0);
    scene.number = found.unwrap();
    scene
}

/// A window of today from so many to so many minutes from now.
fn window(scene: &Scene, from: i64, until: i64) -> Window {
    let at = |minutes| (scene.now + TimeDelta::minutes(minutes)).time();
    let days = [scene.now, scene.now - TimeDelta::days(1)];
    let days = days.map(|day| chrono::Datelike::weekday(&day).into());
    Window { days: days.into(), from: at(from), until: at(until), zone: Zone::UTC }
}

#[test]
fn a_healthy_node_is_let_through_at_each_step() {
    assert_eq!(Scene::waiting().ask(&Asked::Admit), []);
    assert_eq!(Scene::waiting().ask(&Asked::Step(StepKind::Drain)), []);
    assert_eq!(Scene::drained().ask(&Asked::Step(StepKind::EnterMaintenance)), []);
    assert_eq!(Scene::in_maintenance().ask(&Asked::Step(StepKind::Apply)), []);
    assert_eq!(Scene::in_maintenance().ask(&Asked::Step(StepKind::Reboot)), []);
    assert_eq!(Scene::in_maintenance().ask(&Asked::Step(StepKind::ExitMaintenance)), []);
    assert_eq!(Scene::in_maintenance().ask(&Asked::Step(StepKind::Rollback)), []);
    assert_eq!(Scene::drained().ask(&Asked::Resynced), []);
    assert_eq!(Scene::finalising().ask(&Asked::Step(StepKind::Finalise)), []);
    assert_eq!(member().ask(&Asked::PutBackMdm), []);
    // One that is down already loses nothing, whatever the others are.
    let mut down = member();
    down.host().running.remove(&Component::Mdm);
    down.array(|array| {
        array.mdm.as_mut().unwrap().members.iter_mut().for_each(|at| at.status = Some(Seen::read("Disconnected")));
    });
    assert_eq!(down.ask(&Asked::PutBackMdm), []);
    assert_eq!(Scene::drained().ask(&Asked::Step(StepKind::Reactivate)), []);
    assert_eq!(Scene::drained().ask(&Asked::Soak), []);
    assert_eq!(Scene::leaving().ask(&Asked::Step(StepKind::Evacuate)), []);
    assert_eq!(Scene::leaving().ask(&Asked::Step(StepKind::KeepSds)), []);
}

#[test]
fn each_reason_holds_in_its_situation_and_a_gate_that_forgets_it_is_noticed() {
    let mut table = String::from(
        "Situations made for one reason each: what is asked, and all that the gate holds for.\n\
         A gate that forgets the first reason no longer says it, and the test fails.\n\n",
    );
    let mut met = BTreeSet::new();
    for Case { reason, asked, scene } in cases() {
        let kinds = scene.kinds(&asked);
        assert!(kinds.contains(&reason), "{reason:?} asked {asked:?}: {:?}", scene.ask(&asked));
        assert_eq!(scene.is_admitted(), scene.ask(&Asked::Admit).is_empty(), "{reason:?}");
        make_mistake(Some(reason.as_str()));
        let forgot = scene.kinds(&asked);
        make_mistake(None);
        assert!(!forgot.contains(&reason), "{reason:?} cannot be forgotten");
        met.insert(reason);
        let also: Vec<&str> = kinds.iter().filter(|kind| **kind != reason).map(|kind| kind.as_str()).collect();
        let asked = match asked {
            Asked::Step(kind) => kind.as_str(),
            Asked::Admit => "to begin",
            Asked::Soak => "soak",
            Asked::Resynced => "resynced",
            Asked::PutBackMdm => "put back the MDM",
        };
        let hardness = if reason.hardness() == Hardness::Hard { "hard" } else { "soft" };
        let row = format!("{:<22} {hardness}  {asked:<18} {}", reason.as_str(), also.join(", "));
        writeln!(table, "{}", row.trim_end()).unwrap();
    }
    let unmet: Vec<_> = ReasonKind::ALL.iter().filter(|kind| !met.contains(kind)).collect();
    assert!(unmet.is_empty(), "no situation is made for {unmet:?}");
    crate::kept::same("gate.txt", &table);
}

#[test]
fn a_soft_reason_is_lifted_by_a_person_and_a_hard_one_by_nobody() {
    for Case { reason, asked, mut scene } in cases() {
        let given = scaleio_framework::model::hold::Override {
            reason,
            node: None,
            until: scene.now + TimeDelta::hours(1),
            by: "a person".into(),
            why: "I know better".into(),
        };
        scene.write(Record::Overridden { run: run_id(), given });
        assert_eq!(scene.is_admitted(), scene.ask(&Asked::Admit).is_empty(), "{reason:?}");
        let lifted = !scene.kinds(&asked).contains(&reason);
        assert_eq!(lifted, reason.hardness() == Hardness::Soft, "{reason:?} asked {asked:?}");
    }
}

#[test]
fn a_client_that_is_away_holds_no_restart_that_is_to_bring_it_back() {
    // The client of this node is away by the MDM's word, or by our rule.
    let scene = |number: usize, by_rule: bool| {
        let mut scene = Scene::restarting();
        let own = scene.task().node;
        let node = if number == 0 { own } else { scene.nodes.keys().find(|name| **name != own).unwrap().clone() };
        let address = scene.addresses[&node].iter().next().unwrap().clone();
        let sdcs = scene.snapshot().sdcs.clone().unwrap();
        let sdc = sdcs.iter().find(|sdc| sdc.addresses.contains(&address)).unwrap().clone();
        scene.nodes.get_mut(&node).unwrap().addresses = [address.clone()].into();
        if by_rule {
            scene.firing.mild.insert(("ScaleioSdcDisconnected".into(), format!("sdc {address}").into()));
        } else {
            scene.alert_of("SDC_DISCONNECTED", Some(&sdc.id.to_string()));
        }
        (scene, node)
    };
    for (by_rule, held) in [(false, ReasonKind::MdmAlertMild), (true, ReasonKind::FiringMild)] {
        let (own, _) = scene(0, by_rule);
        assert_eq!(own.ask(&Asked::Admit), []);
        assert_eq!(own.ask(&Asked::Step(StepKind::Drain)), []);
        // That of another host, of which nobody knows why: it may be the network.
        let (mut other, node) = scene(1, by_rule);
        assert_eq!(other.kinds(&Asked::Admit), [held].into());
        other.nodes.get_mut(&node).unwrap().running.remove(&Component::Sdc);
        assert_eq!(other.ask(&Asked::Admit), [], "its own host says that it does not run");
        other.nodes.get_mut(&node).unwrap().seen_at -= TimeDelta::minutes(5);
        assert_eq!(other.kinds(&Asked::Admit), [held].into(), "that was long ago");
        // Whoever installs something waits for it all the same.
        let mut upgrade = Scene::waiting();
        let (alerts, firing) = (other.snapshot().alerts.clone(), other.firing.clone());
        (upgrade.snapshot().alerts, upgrade.firing) = (alerts, firing);
        assert_eq!(upgrade.kinds(&Asked::Admit), [held].into());
    }
}
