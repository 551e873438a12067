//! Where exactly do gate and check begin to say no? One step to this side of each limit they say yes, and one to the other
//! side no.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use scaleio_framework::model::hold::{Reason, ReasonKind};
use scaleio_framework::model::id::ObjectId;
use scaleio_framework::model::node::{AgentState, Carries};
use scaleio_framework::model::plan::{Approval, Parallel, Plan};
use scaleio_framework::model::snapshot::Table;
use scaleio_framework::model::state::Seen;
use scaleio_framework::model::stats::Stat;
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepKind};
use scaleio_framework::model::version::{Generation, ProductVersion};
use scaleio_framework::model::window::{Window, Zone};
use scaleio_framework::work::facts::Others;
use scaleio_framework::work::record::{Duty, Record};

use crate::scene::{Asked, Scene, each, run_id};

/// Changes the plan of a scene whose task is not begun.
fn planned(mut scene: Scene, change: impl FnOnce(&mut Plan)) -> Scene {
    let mut plan = (*scene.run().plan).clone();
    change(&mut plan);
    let approval = Approval::Hash { plan: plan.id(), by: "a person".into(), at: scene.now };
    scene.open(plan, approval);
    scene
}

/// A scene with another first task.
fn changed(scene: Scene, change: impl Fn(&mut Action)) -> Scene {
    planned(scene, |plan| {
        plan.stages[0].tasks.iter_mut().flat_map(|task| &mut task.steps).for_each(|step| change(&mut step.action));
    })
}

fn within(scene: Scene) -> Scene {
    let mut scene = scene;
    scene.begin_and_drain();
    scene.enter();
    scene
}

/// All that was seen is so old.
fn aged(mut scene: Scene, fast: TimeDelta, middle: TimeDelta) -> Scene {
    scene.seen(scene.now - fast, scene.now - middle);
    scene
}

#[test]
fn what_is_as_old_as_it_may_be_counts_and_what_is_older_does_not() {
    let (fast, middle, second) = (TimeDelta::seconds(30), TimeDelta::seconds(90), TimeDelta::seconds(1));
    let asked = [
        (Scene::waiting as fn() -> Scene, Asked::Admit),
        (Scene::waiting, Asked::Step(StepKind::Drain)),
        (Scene::drained, Asked::Step(StepKind::EnterMaintenance)),
        (Scene::in_maintenance, Asked::Step(StepKind::Apply)),
        (Scene::in_maintenance, Asked::Step(StepKind::Reboot)),
        (Scene::in_maintenance, Asked::Step(StepKind::ExitMaintenance)),
        (Scene::in_maintenance, Asked::Step(StepKind::Rollback)),
        (Scene::drained, Asked::Step(StepKind::Reactivate)),
        (Scene::drained, Asked::Soak),
        (Scene::drained, Asked::Resynced),
    ];
    for (scene, asked) in asked {
        assert_eq!(aged(scene(), fast, middle).ask(&asked), [], "{asked:?}");
        // Each of the two ages alone is enough to hold; whether both are asked for depends on the step.
        let old = aged(scene(), fast + second, middle + second).kinds(&asked);
        assert!(old.contains(&ReasonKind::Stale) || old.contains(&ReasonKind::NodeStale), "{asked:?}: {old:?}");
    }
    let agent = |scene: fn() -> Scene, kind, reason| {
        let kinds = aged(scene(), fast, middle + second).kinds(&Asked::Step(kind));
        assert!(kinds.contains(&reason), "{kind:?}: {kinds:?}");
    };
    agent(Scene::drained, StepKind::EnterMaintenance, ReasonKind::NotDrained);
    agent(Scene::waiting, StepKind::Drain, ReasonKind::Stale);
    agent(Scene::drained, StepKind::Reactivate, ReasonKind::Stale);
    agent(Scene::in_maintenance, StepKind::Apply, ReasonKind::NodeStale);
    // What was asked for when something changed is of before that change.
    let mut scene = Scene::drained();
    scene.book.changed_at = Some(scene.now - second);
    assert_eq!(scene.ask(&Asked::Step(StepKind::EnterMaintenance)), []);
}

#[test]
fn a_drain_counts_when_it_is_ours() {
    let asked = Asked::Step(StepKind::EnterMaintenance);
    let mut scene = Scene::drained();
    let agent = scene.task().agent.unwrap();
    scene.write(Record::Settled { duty: Duty::Deactivated { agent } });
    assert!(scene.kinds(&asked).contains(&ReasonKind::NotDrained));
    for state in [AgentState::Active, AgentState::Deactivated, AgentState::Unreachable, AgentState::Gone] {
        let mut scene = Scene::drained();
        scene.agent().state = state;
        assert!(scene.kinds(&asked).contains(&ReasonKind::NotDrained));
    }
    // Whoever does not drain asks for none.
    let mut scene = planned(Scene::waiting(), |plan| {
        for task in &mut plan.stages[0].tasks {
            task.steps.retain(|step| !matches!(step.action, Action::Drain | Action::Reactivate));
        }
    });
    scene.write(Record::Began { run: run_id(), task: scene.number });
    assert_eq!(scene.ask(&asked), []);
}

#[test]
fn the_room_that_is_needed_is_enough() {
    let asked = Asked::Step(StepKind::EnterMaintenance);
    let mut scene = Scene::drained();
    scene.policy.margin = u64::MAX / 4;
    let held = scene.ask(&asked);
    let Some(Reason::NoRoom { free, needed, .. }) = held.first() else { panic!("{held:?}") };
    scene.policy.margin = free - needed;
    assert_eq!(scene.ask(&asked), []);
    scene.policy.margin += 1;
    assert_eq!(scene.kinds(&asked), [ReasonKind::NoRoom].into());

    let asked = Asked::Step(StepKind::Evacuate);
    let mut scene = Scene::leaving();
    scene.policy.margin = u64::MAX / 4;
    let held = scene.ask(&asked);
    assert!(matches!(held.first(), Some(Reason::NoRoomLeft { usable: 0, .. })), "{held:?}");
    let Some(Reason::NoRoomLeft { used, .. }) = held.first() else { panic!("{held:?}") };
    // The largest margin with which all has its place.
    let (mut fits, mut too_much) = (0, u64::MAX / 4);
    while too_much - fits > 1 {
        scene.policy.margin = fits.midpoint(too_much);
        let is_enough = scene.ask(&asked).is_empty();
        *(if is_enough { &mut fits } else { &mut too_much }) = scene.policy.margin;
    }
    scene.policy.margin = too_much;
    let held = scene.ask(&asked);
    let Some(Reason::NoRoomLeft { usable, .. }) = held.first() else { panic!("{held:?}") };
    assert_eq!(*usable, used - 1);
}

#[test]
fn a_mode_is_there_from_a_generation_on_and_instant_is_for_less_than_half_an_hour() {
    let asked = Asked::Step(StepKind::EnterMaintenance);
    let protected = || {
        let mut scene = changed(Scene::waiting(), |action| {
            if let Action::EnterMaintenance { mode } = action {
                *mode = MaintenanceMode::Protected;
            }
        });
        scene.begin_and_drain();
        scene
    };
    assert_eq!(protected().snapshot().generation, Generation::V3_5);
    assert_eq!(protected().ask(&asked), []);
    let mut scene = protected();
    scene.snapshot().generation = Generation::V3_0;
    assert_eq!(scene.kinds(&asked), [ReasonKind::ModeMissing].into());
    for (seconds, holds) in [(1799, false), (1800, true)] {
        let mut scene = planned(Scene::waiting(), |plan| {
            for step in plan.stages[0].tasks.iter_mut().flat_map(|task| &mut task.steps) {
                step.predicted_seconds = if step.action.kind() == StepKind::Reboot { seconds } else { 0 };
            }
        });
        scene.begin_and_drain();
        assert_eq!(scene.kinds(&asked).contains(&ReasonKind::TooLong), holds, "{seconds}");
    }
}

#[test]
fn a_client_is_upgraded_after_the_servers_or_with_its_own() {
    let components = |all: &[Component]| {
        let all = all.to_vec();
        within(changed(Scene::waiting(), move |action| {
            if let Action::Apply { components, .. } = action {
                components.clone_from(&all);
            }
        }))
    };
    let order = |mut scene: Scene| {
        let version = scene.run().plan.tasks().find_map(|(_, _, task)| {
            task.steps.iter().find_map(|step| match &step.action {
                Action::Apply { version, .. } => Some(version.clone()),
                _ => None,
            })
        });
        scene.host().staged.insert(Component::Sdc, [version.unwrap()].into());
        scene.kinds(&Asked::Step(StepKind::Apply)).contains(&ReasonKind::OrderOfComponents)
    };
    assert!(order(components(&[Component::Sdc])));
    assert!(!order(components(&[Component::Sds, Component::Sdc])));
    // An LIA that is older than the MDM beside it would be.
    let old = |mut scene: Scene| {
        scene.host().installed.insert(Component::Lia, ["R1_0".into()].into());
        order(scene)
    };
    assert!(old(components(&[Component::Mdm])));
    assert!(!old(components(&[Component::Lia, Component::Mdm])));
    assert!(!old(components(&[Component::Sds])));
    // What replicates comes after every MDM.
    for component in [Component::Sdr, Component::Sdt] {
        assert!(!order(components(&[component])));
        let mut scene = components(&[component]);
        scene.array(|array| {
            array.mdm.as_mut().unwrap().members[0].version = Some(ProductVersion::read("R1_0"));
        });
        assert!(order(scene));
    }
}

#[test]
fn the_alertmanager_of_the_site_is_heard_and_must_have_been() {
    let asked = Asked::Step(StepKind::EnterMaintenance);
    let with = |change: fn(&mut Others)| {
        let mut scene = Scene::drained();
        let mut others = Others { begun_at: Some(scene.now), ..Others::default() };
        change(&mut others);
        scene.firing.others = Some(others);
        scene.kinds(&asked)
    };
    assert_eq!(with(|_| ()), BTreeSet::new());
    assert_eq!(with(|at| at.begun_at = None), [ReasonKind::Unseen].into());
    let alert = || ("Planted".into(), "somewhere".into());
    assert_eq!(
        with(|at| {
            at.critical.insert(("Planted".into(), "somewhere".into()));
        }),
        [ReasonKind::Firing].into()
    );
    assert_eq!(
        with(|at| {
            at.mild.insert(("Planted".into(), "somewhere".into()));
        }),
        [ReasonKind::FiringMild].into()
    );
    // What was there when the run was approved is no news.
    let mut scene = Scene::waiting();
    let run = scene.book.runs.get_mut(&run_id()).unwrap();
    std::sync::Arc::make_mut(run).baseline.insert(alert());
    scene.firing.mild.insert(alert());
    assert_eq!(scene.ask(&Asked::Admit), []);
}

#[test]
fn so_many_are_in_work_as_their_stage_allows() {
    let together = |parallel: Parallel, most: u32, same_set: bool| {
        let mut scene = planned(Scene::waiting(), |plan| {
            let stage = &mut plan.stages[0];
            (stage.parallel, stage.most) = (parallel, most);
            let set = stage.tasks[0].fault_set.clone();
            for task in &mut stage.tasks {
                task.mdm = None;
                if same_set {
                    task.fault_set.clone_from(&set);
                }
            }
        });
        let task = scene.other().0;
        scene.write(Record::Began { run: run_id(), task });
        !scene.kinds(&Asked::Admit).contains(&ReasonKind::InWork)
    };
    assert!(!together(Parallel::One, 2, true));
    assert!(together(Parallel::All, 2, false));
    assert!(!together(Parallel::All, 1, false));
    assert!(together(Parallel::FaultSet, 2, true));
    assert!(!together(Parallel::FaultSet, 2, false));
    assert!(!together(Parallel::FaultSet, 1, true));
    // In two domains: the domains of the two others in work, and whether the one that is asked for is a member of the MDM
    // cluster.
    let apart = |domains: u32, others: [&str; 2], is_member: bool| {
        let scene = Scene::waiting();
        let number = scene.number as usize;
        let mut scene = planned(scene, |plan| {
            let stage = &mut plan.stages[0];
            (stage.parallel, stage.most, stage.domains) = (Parallel::One, 1, domains);
            for (task, domain) in stage.tasks.iter_mut().rev().zip(others) {
                task.domain = Some(ObjectId::new(domain).into());
                task.mdm = None;
            }
            let asked = &mut stage.tasks[number];
            asked.domain = Some(ObjectId::new("d1").into());
            asked.mdm = is_member.then(|| ObjectId::new("1").into());
        });
        let tasks = scene.run().plan.tasks().count() as u32;
        for task in [tasks - 1, tasks - 2] {
            scene.write(Record::Began { run: run_id(), task });
        }
        !scene.kinds(&Asked::Admit).contains(&ReasonKind::InWork)
    };
    assert!(apart(2, ["d2", "d2"], false));
    assert!(apart(3, ["d2", "d3"], false));
    assert!(!apart(2, ["d2", "d3"], false), "a third domain");
    assert!(!apart(1, ["d2", "d2"], false), "it is not asked for");
    assert!(!apart(3, ["d1", "d2"], false), "one in its own domain");
    assert!(!apart(3, ["d2", "d3"], true), "a member of the MDM cluster");
    // Never two tasks of one host.
    let mut scene = planned(Scene::waiting(), |plan| {
        let stage = &mut plan.stages[0];
        (stage.parallel, stage.most) = (Parallel::All, 4);
        let node = stage.tasks[0].node.clone();
        stage.tasks.iter_mut().for_each(|task| task.node = node.clone());
    });
    let task = scene.other().0;
    scene.write(Record::Began { run: run_id(), task });
    assert!(scene.kinds(&Asked::Admit).contains(&ReasonKind::InWork));
}

#[test]
fn the_first_of_a_stage_goes_alone_and_a_stage_waits_for_the_one_before() {
    let alone = |canary: bool| {
        planned(Scene::waiting(), |plan| {
            let stage = &mut plan.stages[0];
            (stage.parallel, stage.most, stage.canary) = (Parallel::All, 4, canary);
        })
    };
    let at = |mut scene: Scene, number: u32| {
        scene.number = number;
        scene.kinds(&Asked::Admit).contains(&ReasonKind::InWork)
    };
    assert!(!at(alone(true), 0) && at(alone(true), 1) && !at(alone(false), 1));
    let over = |mut scene: Scene| {
        let task = 0;
        scene.write(Record::Began { run: run_id(), task });
        let steps = scene.run().plan.tasks().next().unwrap().2.steps.len() as u32;
        (0..steps).for_each(|place| scene.write(Record::Confirmed { run: run_id(), task, place }));
        scene
    };
    let skipped = |mut scene: Scene| {
        scene.write(Record::Skipped { run: run_id(), task: 0, by: "a person".into() });
        scene
    };
    assert!(!at(over(alone(true)), 1) && !at(skipped(alone(true)), 1));
    // One that a person holds is no canary, unless it is in work already.
    let held = |mut scene: Scene| {
        let node = scene.run().plan.tasks().next().unwrap().2.node.clone();
        scene.write(Record::HeldNode { node, until: None, by: "a person".into() });
        scene
    };
    let begun = |mut scene: Scene| {
        scene.write(Record::Began { run: run_id(), task: 0 });
        scene
    };
    assert!(!at(held(alone(true)), 1) && at(held(begun(alone(true))), 1) && at(held(alone(true)), 2));
    // Two stages of which the second has the last task.
    let two = || {
        planned(Scene::waiting(), |plan| {
            let last = plan.stages[0].tasks.pop().unwrap();
            plan.stages[0].tasks.truncate(1);
            let mut second = plan.stages[0].clone();
            (second.name, second.tasks) = ("second".into(), vec![last]);
            plan.stages.push(second);
        })
    };
    assert!(at(two(), 1) && !at(over(two()), 1) && !at(skipped(two()), 1));
}

#[test]
fn servers_of_one_fault_set_are_in_maintenance_together_and_no_others() {
    let beside = |same_set: bool| {
        let mut scene = Scene::drained();
        let (task, other) = scene.other();
        scene.write(Record::Began { run: run_id(), task });
        let number = std::mem::replace(&mut scene.number, task);
        scene.enter();
        scene.number = number;
        let set = scene.task().fault_set;
        scene.sds(|sds| {
            if Some(&sds.id) == other.sds.as_ref() {
                sds.connection = Seen::read("Disconnected");
                if same_set {
                    sds.fault_set.clone_from(&set);
                }
            }
        });
        scene.kinds(&Asked::Step(StepKind::EnterMaintenance))
    };
    let (same, another) = (beside(true), beside(false));
    assert!(!same.contains(&ReasonKind::MaintenanceElsewhere) && !same.contains(&ReasonKind::SdsAway), "{same:?}");
    assert!(another.contains(&ReasonKind::MaintenanceElsewhere) && another.contains(&ReasonKind::SdsAway));
    // Somebody else's maintenance excuses nobody who is away.
    let mut scene = Scene::drained();
    let other = scene.other().1.sds;
    scene.sds(|sds| {
        if Some(&sds.id) == other.as_ref() {
            (sds.connection, sds.maintenance) = (Seen::read("Disconnected"), Seen::read("InMaintenance"));
        }
    });
    let foreign = scene.kinds(&Asked::Step(StepKind::EnterMaintenance));
    assert!(foreign.contains(&ReasonKind::SdsAway) && foreign.contains(&ReasonKind::MaintenanceForeign));
}

#[test]
fn an_sds_is_put_back_in_our_own_maintenance_only() {
    let asked = Asked::Step(StepKind::Rollback);
    let mut foreign = Scene::in_maintenance();
    let sds = foreign.task().sds.unwrap();
    foreign.write(Record::Settled { duty: Duty::Maintenance { sds } });
    assert_eq!(foreign.kinds(&asked), [ReasonKind::NotInMaintenance].into());
    let mut left = Scene::in_maintenance();
    left.sds(|sds| sds.maintenance = Seen::read("NoMaintenance"));
    assert_eq!(left.kinds(&asked), [ReasonKind::NotInMaintenance].into());
}

#[test]
fn data_is_back_when_its_server_is_out_of_maintenance_or_of_the_system() {
    let within = Scene::in_maintenance().kinds(&Asked::Resynced);
    assert!(within.contains(&ReasonKind::NotInMaintenance), "{within:?}");
    let gone = || {
        let mut scene = Scene::drained();
        let own = scene.task().sds.unwrap();
        let part = scene.snapshot().sds.as_mut().unwrap();
        let left = part.value.iter().filter(|sds| sds.id != own).cloned().collect();
        part.value = std::sync::Arc::new(Table::new(left));
        scene
    };
    assert_eq!(gone().ask(&Asked::Resynced), []);
    let mut hurt = gone();
    hurt.pool_statistic(Stat::DegradedHealthyCapacityInKb, 1024.0);
    assert_eq!(hurt.kinds(&Asked::Resynced), [ReasonKind::DataUnprotected].into());
}

#[test]
fn what_a_generation_counts_must_be_known() {
    let asked = Asked::Step(StepKind::EnterMaintenance);
    for stat in [Stat::SemiProtectedCapacityInKb, Stat::PendingNormRebuildCapacityInKb, Stat::FailedCapacityInKb] {
        let mut scene = Scene::drained();
        scene.pool_statistic(stat, f64::NAN);
        assert_eq!(scene.kinds(&asked), [ReasonKind::Unseen].into(), "{stat:?}");
    }
}

#[test]
fn a_pool_lies_on_three_fault_units_or_more() {
    let on = |units: usize| {
        let mut scene = Scene::drained();
        let own = scene.task().sds.unwrap();
        let all: Vec<_> = scene.snapshot().sds.as_ref().unwrap().iter().map(|sds| sds.id.clone()).collect();
        let others = all.into_iter().filter(|id| *id != own).take(units - 1);
        let kept: BTreeSet<_> = others.chain([own.clone()]).collect();
        each(&mut scene.snapshot().devices, |device| {
            if !device.sds.as_ref().is_some_and(|sds| kept.contains(sds)) {
                device.pool = None;
            }
        });
        scene.kinds(&Asked::Step(StepKind::EnterMaintenance)).contains(&ReasonKind::TooFewFaultUnits)
    };
    assert!(on(2) && !on(3) && !on(4));
}

#[test]
fn a_node_is_held_and_a_window_lasts_up_to_their_moment() {
    for (seconds, holds) in [(0, false), (1, true)] {
        let mut scene = Scene::waiting();
        let until = Some(scene.now + TimeDelta::seconds(seconds));
        let node = scene.task().node;
        scene.write(Record::HeldNode { node, until, by: "a person".into() });
        assert_eq!(scene.kinds(&Asked::Admit).contains(&ReasonKind::Held), holds, "{seconds}");
    }
    for (seconds, holds) in [(600, false), (601, true)] {
        let mut scene = planned(Scene::waiting(), |plan| {
            for step in plan.stages[0].tasks.iter_mut().flat_map(|task| &mut task.steps) {
                step.predicted_seconds = if step.action.kind() == StepKind::Reboot { seconds } else { 0 };
            }
        });
        let at = |minutes| (scene.now + TimeDelta::minutes(minutes)).time();
        let days = [scene.now, scene.now - TimeDelta::days(1)];
        let days = days.map(|day| chrono::Datelike::weekday(&day).into());
        let window = Window { days: days.into(), from: at(-60), until: at(10), zone: Zone::UTC };
        scene.policy.calendar.windows = vec![window];
        assert_eq!(scene.kinds(&Asked::Admit).contains(&ReasonKind::WindowTooShort), holds, "{seconds}");
    }
    // So many failures as are allowed are too many for another beginning.
    for (failures, holds) in [(0, false), (1, true), (2, true)] {
        let mut scene = planned(Scene::waiting(), |plan| plan.limits.failures = 1);
        let run = scene.book.runs.get_mut(&run_id()).unwrap();
        std::sync::Arc::make_mut(run).failures = failures;
        assert_eq!(scene.kinds(&Asked::Admit).contains(&ReasonKind::BudgetSpent), holds, "{failures}");
    }
}

#[test]
fn a_server_of_a_quorum_waits_for_another_one_of_it_and_for_nothing_else() {
    let beside = |own: bool, other: bool, harmless: bool| {
        let mut scene = planned(Scene::waiting(), |plan| {
            if harmless {
                let steps = plan.stages[0].tasks.iter_mut().map(|task| &mut task.steps);
                steps.for_each(|steps| steps.retain(|step| step.action.kind() == StepKind::Stage));
            }
        });
        let (task, at) = scene.other();
        scene.write(Record::Began { run: run_id(), task });
        for (carries, node) in [(own, scene.task().node), (other, at.node)] {
            if carries {
                scene.nodes.get_mut(&node).unwrap().carries.insert(Carries::ZooKeeper);
            }
        }
        scene.kinds(&Asked::Admit).contains(&ReasonKind::QuorumInWork)
    };
    assert!(beside(true, true, false));
    assert!(!beside(false, true, false) && !beside(true, false, false) && !beside(true, true, true));
}

#[test]
fn a_task_that_stops_its_server_is_asked_for_it_however_it_does() {
    for left in [StepKind::Apply, StepKind::Reboot] {
        let mut scene = planned(Scene::waiting(), |plan| {
            let stops = [StepKind::EnterMaintenance, StepKind::Apply, StepKind::Reboot];
            let steps = plan.stages[0].tasks.iter_mut().map(|task| &mut task.steps);
            steps.for_each(|steps| {
                steps.retain(|step| step.action.kind() == left || !stops.contains(&step.action.kind()));
            });
        });
        each(&mut scene.snapshot().pools, |pool| pool.rebuild_enabled = Some(false));
        assert!(scene.kinds(&Asked::Admit).contains(&ReasonKind::RebuildDisabled), "{left:?}");
    }
}
