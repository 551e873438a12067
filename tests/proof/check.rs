//! Does the check notice each thing that makes a plan unsafe, and is the planner's own plan none of them?

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::cluster::MdmRole;
use scaleio_framework::model::id::{MdmId, NodeName, SdsId};
use scaleio_framework::model::node::{Carries, NodeFacts};
use scaleio_framework::model::picture::Picture;
use scaleio_framework::model::plan::{Approval, FORM, Parallel, Plan, Request, Risk, Step, Task};
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepKind};
use scaleio_framework::model::version::Generation;
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::upgrade::plan::{Habits, plan};
use scaleio_framework::work::book::{Before, Plans};
use scaleio_framework::work::check::{Unsafe, check, covers};
use scaleio_framework::work::facts::{Facts, Policy};

use crate::scene::fleet;

/// A plan for a healthy system of 3.6, restarts included, and what is known of that.
struct Asked {
    plan: Plan,
    controller: Controller,
    picture: Picture,
    nodes: BTreeMap<NodeName, NodeFacts>,
    now: scaleio_framework::model::unit::Timestamp,
}

impl Asked {
    fn new() -> Self {
        Self::of(|to| Request::Upgrade { to, only: [].into() })
    }

    fn of(request: impl FnOnce(Box<str>) -> Request) -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        site.free_last();
        let now = site.now();
        let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
        controller.poll(&site);
        let facts = controller.facts(now);
        let addresses = site.addresses();
        let fleet = fleet(&facts, &addresses);
        let habits = Habits { reboots: true, ..Habits::default() };
        let plan = plan(request(site.to.clone()), &fleet, &habits, None, now).plan;
        let (picture, nodes) = (facts.picture.clone(), facts.nodes.clone());
        Self { plan, controller, picture, nodes, now }
    }

    fn facts(&self) -> Facts<'_> {
        Facts { picture: &self.picture, nodes: &self.nodes, ..self.controller.facts(self.now) }
    }

    fn generation(&mut self, generation: Generation) {
        std::sync::Arc::make_mut(self.picture.snapshot.as_mut().unwrap()).generation = generation;
    }

    /// The second task of the stage of servers.
    fn task(&mut self) -> &mut Task {
        self.stage("sds").get_mut(1).unwrap()
    }

    fn stage(&mut self, name: &str) -> &mut Vec<Task> {
        &mut self.plan.stages.iter_mut().find(|stage| &*stage.name == name).unwrap().tasks
    }

    fn place(&self, name: &str) -> usize {
        self.plan.stages.iter().position(|stage| &*stage.name == name).unwrap()
    }

    fn step(&mut self, kind: StepKind) -> &mut Step {
        self.task().steps.iter_mut().find(|step| step.action.kind() == kind).unwrap()
    }

    fn without(&mut self, kind: StepKind) {
        self.task().steps.retain(|step| step.action.kind() != kind);
    }
}

/// What must be found after something was spoiled; it names the node of the spoiled task.
fn found(spoil: impl FnOnce(&mut Asked), wanted: impl FnOnce(NodeName) -> Unsafe) {
    let mut asked = Asked::new();
    let node = asked.task().node.clone();
    spoil(&mut asked);
    let (wanted, wrong) = (wanted(node), check(&asked.plan, &asked.facts(), &Before::new()));
    assert!(wrong.contains(&wanted), "{wanted:?} is not found, but {wrong:?}");
}

fn nothing(spoil: impl FnOnce(&mut Asked)) {
    let mut asked = Asked::new();
    spoil(&mut asked);
    assert_eq!(check(&asked.plan, &asked.facts(), &Before::new()), [].into());
}

#[test]
fn a_plan_of_the_planner_is_safe_and_so_is_what_differs_from_it_within_the_rules() {
    nothing(|_| ());
    nothing(|at| at.step(StepKind::Reboot).deadline_seconds = 86_400);
    nothing(|at| at.plan.stages.iter_mut().for_each(|stage| stage.most = stage.most.max(1)));
    nothing(|at| {
        for step in &mut at.task().steps {
            if let Action::EnterMaintenance { mode } = &mut step.action {
                *mode = MaintenanceMode::Protected;
            }
            step.predicted_seconds = 7200;
        }
    });
    // Where nothing is stopped, all may be done at once, also on the host of this controller.
    let mut asked = Asked::new();
    let place = asked.place("packages");
    assert_eq!(asked.plan.stages[place].parallel, Parallel::All);
    assert!(asked.plan.stages[place].most > 1);
    asked.plan.stages[place].tasks[0].carries.insert(Carries::Controller);
    assert_eq!(check(&asked.plan, &asked.facts(), &Before::new()), [].into());
}

#[test]
fn a_plan_of_another_form_or_of_nothing_or_of_what_was_not_seen_is_unsafe() {
    found(|at| at.plan.form = FORM + 1, |_| Unsafe::Form(FORM + 1));
    found(
        |at| at.plan.stages.iter_mut().flat_map(|stage| &mut stage.tasks).for_each(|task| task.steps.clear()),
        |_| Unsafe::Empty,
    );
    found(|at| at.step(StepKind::Verify).action = Action::Finalise, |_| Unsafe::FinaliseBeside);
    found(|at| at.step(StepKind::Verify).action = Action::Vendor { version: "R3_6.0.01".into() }, |_| Unsafe::NoVendor);
    found(|at| at.picture.snapshot = None, |_| Unsafe::Unseen);
    found(|at| std::sync::Arc::make_mut(at.picture.snapshot.as_mut().unwrap()).sds = None, |_| Unsafe::Unseen);
}

#[test]
fn a_plan_that_installs_what_is_older_or_was_not_asked_for_or_forgets_a_member_is_unsafe() {
    let version = |at: &mut Asked, version: &str| {
        let node = at.task().node.clone();
        at.nodes.get_mut(&node).unwrap().installed.insert(Component::Sds, [version.into()].into());
    };
    found(|at| version(at, "R9_0.0.1"), |node| Unsafe::Older { node });
    nothing(|at| {
        let to = at.plan.stages.iter().flat_map(|stage| &stage.tasks).flat_map(|task| &task.steps).find_map(|step| {
            match &step.action {
                Action::Apply { version, .. } => Some(version.clone()),
                _ => None,
            }
        });
        version(at, &to.unwrap());
    });
    found(
        |at| {
            let (other, to) = (at.stage("sds")[0].node.clone(), "R3_6.11000.0".into());
            let to = if let Request::Upgrade { to, .. } = &at.plan.request { to.clone() } else { to };
            at.plan.request = Request::Upgrade { to, only: [other].into() };
        },
        |node| Unsafe::NotAsked { node, step: StepKind::Apply },
    );
    found(
        |at| {
            let node = at.task().node.clone();
            at.nodes.get_mut(&node).unwrap().installed.insert(Component::Mdm, ["R3_6.0.1".into()].into());
            at.task().mdm = None;
        },
        |node| Unsafe::ForgottenMdm { node },
    );
}

#[test]
fn steps_that_lack_what_comes_before_or_after_them_are_unsafe() {
    use StepKind as K;
    let before = |gone: StepKind, step: StepKind| {
        found(|at| at.without(gone), |node| Unsafe::Before { node, step, needs: gone });
    };
    let after = |gone: StepKind, step: StepKind| {
        found(|at| at.without(gone), |node| Unsafe::After { node, step, needs: gone });
    };
    for step in [K::ExitMaintenance, K::Apply, K::Reboot] {
        before(K::EnterMaintenance, step);
    }
    for step in [K::EnterMaintenance, K::Apply, K::Reboot] {
        after(K::ExitMaintenance, step);
    }
    before(K::Verify, K::ExitMaintenance);
    after(K::Verify, K::Apply);
    after(K::Verify, K::Reboot);
    after(K::AwaitResync, K::ExitMaintenance);
    after(K::Soak, K::EnterMaintenance);
    after(K::Soak, K::Reboot);
    before(K::Drain, K::Reactivate);
    before(K::Drain, K::Reboot);
    after(K::Reactivate, K::Drain);
    after(K::Reactivate, K::Reboot);
    before(K::Stage, K::Apply);
    // Not in its own maintenance any more.
    found(
        |at| {
            let steps = &mut at.task().steps;
            let apply = steps.iter().position(|step| step.action.kind() == K::Apply).unwrap();
            let apply = steps.remove(apply);
            let exit = steps.iter().position(|step| step.action.kind() == K::ExitMaintenance).unwrap();
            steps.insert(exit + 1, apply);
        },
        |node| Unsafe::After { node, step: K::Apply, needs: K::ExitMaintenance },
    );
    for kind in [K::Drain, K::EnterMaintenance, K::ExitMaintenance, K::Reactivate] {
        found(
            |at| {
                let again = at.step(kind).clone();
                at.task().steps.push(again);
            },
            |node| Unsafe::Twice { node, step: kind },
        );
    }
    for deadline in [0, 86_401] {
        found(|at| at.step(K::Apply).deadline_seconds = deadline, |node| Unsafe::Deadline { node, step: K::Apply });
    }
}

#[test]
fn hosts_that_carry_something_else_are_unsafe() {
    found(
        |at| {
            let again = at.task().clone();
            at.stage("sds").push(again);
        },
        Unsafe::NodeTwice,
    );
    for (parallel, most) in [(Parallel::All, 2), (Parallel::FaultSet, 2)] {
        found(
            |at| {
                let place = at.place("sds");
                (at.plan.stages[place].parallel, at.plan.stages[place].most) = (parallel, most);
            },
            |_| Unsafe::TooParallel { stage: "sds".into() },
        );
    }
    found(
        |at| {
            let place = at.place("sds");
            at.plan.stages[place].domains = 2;
        },
        |_| Unsafe::TooParallel { stage: "sds".into() },
    );
    let wrong = |spoil: fn(&mut Task)| found(|at| spoil(at.task()), |node| Unsafe::WrongSds { node });
    wrong(|task| task.domain = None);
    wrong(|task| task.fault_set = None);
    wrong(|task| task.sds = Some(SdsId::new("ff")));
    // It is the server of another host, as that lies there.
    found(
        |at| {
            let Task { sds, domain, fault_set, .. } = at.stage("sds")[0].clone();
            let task = at.task();
            (task.sds, task.domain, task.fault_set) = (sds, domain, fault_set);
        },
        |node| Unsafe::WrongSds { node },
    );
    found(|at| at.task().sds = None, |node| Unsafe::ForgottenSds { node });
    found(|at| at.task().mdm = Some(MdmId::new("ff")), |node| Unsafe::WrongMdm { node });
    found(
        |at| {
            let member = at.plan.tasks().find_map(|(_, _, task)| task.mdm.clone());
            let task = at.task();
            (task.node, task.mdm) = (NodeName::new("elsewhere"), member);
        },
        |_| Unsafe::WrongMdm { node: NodeName::new("elsewhere") },
    );
    found(
        |at| {
            at.task().carries.insert(Carries::Controller);
        },
        Unsafe::Controller,
    );
    found(
        |at| {
            let node = at.task().node.clone();
            at.nodes.get_mut(&node).unwrap().carries.insert(Carries::Controller);
        },
        Unsafe::Controller,
    );
}

#[test]
fn versions_modes_and_orders_that_do_not_fit_are_unsafe() {
    found(|at| at.plan.request = Request::Rollout, |node| Unsafe::Version { node });
    found(
        |at| {
            if let Action::Apply { version, .. } = &mut at.step(StepKind::Apply).action {
                *version = "R9_9.9".into();
            }
        },
        |node| Unsafe::Version { node },
    );
    found(|at| at.task().from = None, |node| Unsafe::NoWayBack { node });
    let mode = |mode| move |node| Unsafe::Mode { node, mode };
    found(|at| at.step(StepKind::Reboot).predicted_seconds = 1800, mode(MaintenanceMode::Instant));
    found(
        |at| {
            at.step(StepKind::EnterMaintenance).action = Action::EnterMaintenance { mode: MaintenanceMode::Protected };
            std::sync::Arc::make_mut(at.picture.snapshot.as_mut().unwrap()).generation = Generation::V3_0;
        },
        mode(MaintenanceMode::Protected),
    );
    for (first, second, earlier, later) in
        [("mdm", "sds", Component::Mdm, Component::Sds), ("sds", "sdc", Component::Sds, Component::Sdc)]
    {
        let mut asked = Asked::new();
        let (first, second) = (asked.place(first), asked.place(second));
        asked.plan.stages.swap(first, second);
        let wrong = check(&asked.plan, &asked.facts(), &Before::new());
        let is = |at: &Unsafe| matches!(at, Unsafe::Order { earlier: e, later: l, .. } if (*e, *l) == (earlier, later));
        assert!(wrong.iter().any(is), "{wrong:?}");
    }
}

#[test]
fn who_owns_the_mdm_cluster_hands_over_and_is_the_last() {
    let owner = |spoil: fn(&mut Vec<Task>)| {
        let mut asked = Asked::new();
        spoil(asked.stage("mdm"));
        let wrong = check(&asked.plan, &asked.facts(), &Before::new());
        assert!(wrong.iter().any(|at| matches!(at, Unsafe::Owner { .. })), "{wrong:?}");
    };
    owner(|tasks| tasks.iter_mut().for_each(|task| task.steps.retain(|step| step.action != Action::SwitchMdm)));
    owner(|tasks| tasks.rotate_right(1));
}

#[test]
fn an_approval_covers_its_own_plan_within_its_limits() {
    let asked = Asked::new();
    let Request::Upgrade { to, .. } = asked.plan.request.clone() else { panic!("an upgrade was asked for") };
    let (plan, facts) = (&asked.plan, asked.facts());
    let hash = |plan| Approval::Hash { plan, by: "a person".into(), at: asked.now };
    assert_eq!(covers(&hash(plan.id()), plan, &facts), [].into());
    let other = scaleio_framework::model::id::PlanId::new("0123");
    assert_eq!(covers(&hash(other), plan, &facts), [Unsafe::OtherPlan].into());
    let standing = |change: fn(&mut Approval)| {
        let mut approval = Approval::Policy {
            job: "nightly".into(),
            to: to.clone(),
            selection: [].into(),
            modes: [MaintenanceMode::Instant].into(),
            max_risk: Risk::Medium,
            until: asked.now + TimeDelta::hours(1),
            by: "a person".into(),
        };
        change(&mut approval);
        covers(&approval, plan, &facts)
    };
    let one = |what: &str| [Unsafe::NotCovered(what.into())].into();
    assert_eq!(standing(|_| ()), [].into());
    let now = |approval: &mut Approval| {
        if let Approval::Policy { until, .. } = approval {
            *until -= TimeDelta::hours(1);
        }
    };
    assert_eq!(standing(now), one("this moment: it has run out"));
    let version = |approval: &mut Approval| {
        if let Approval::Policy { to, .. } = approval {
            *to = "R9_9.9".into();
        }
    };
    assert_eq!(standing(version), one("this request"));
    let risk = |approval: &mut Approval| {
        if let Approval::Policy { max_risk, .. } = approval {
            *max_risk = Risk::None;
        }
    };
    assert_eq!(standing(risk), one("this risk"));
    let modes = |approval: &mut Approval| {
        if let Approval::Policy { modes, .. } = approval {
            modes.clear();
        }
    };
    assert_eq!(standing(modes), one("instant"));
    let selected = |approval: &mut Approval| {
        if let Approval::Policy { selection, .. } = approval {
            selection.insert(NodeName::new("node-1"));
        }
    };
    assert_eq!(standing(selected).len(), 4);
}

#[test]
fn the_end_of_an_upgrade_is_a_plan_of_its_own() {
    let asked = Asked::of(|to| Request::Finalise { to });
    assert_eq!(asked.plan.tasks().count(), 1);
    assert_eq!(check(&asked.plan, &asked.facts(), &Before::new()), [].into());
}

#[test]
fn what_installs_on_4_x_is_for_its_vendor_and_nothing_else_is() {
    let only = |kind: Option<StepKind>| {
        let mut asked = Asked::new();
        asked.generation(Generation::V4);
        for task in asked.plan.stages.iter_mut().flat_map(|stage| &mut stage.tasks) {
            let installs = [StepKind::Stage, StepKind::Apply];
            task.steps.retain(|step| {
                let at = step.action.kind();
                !installs.contains(&at) || Some(at) == kind
            });
        }
        check(&asked.plan, &asked.facts(), &Before::new()).contains(&Unsafe::Vendor)
    };
    assert!(only(Some(StepKind::Stage)) && only(Some(StepKind::Apply)) && !only(None));
    let mut end = Asked::of(|to| Request::Finalise { to });
    end.generation(Generation::V4);
    assert!(check(&end.plan, &end.facts(), &Before::new()).contains(&Unsafe::Vendor));
    let mut before = Asked::new();
    before.generation(Generation::V3_5);
    assert!(!check(&before.plan, &before.facts(), &Before::new()).contains(&Unsafe::Vendor));
}

#[test]
fn one_at_a_time_is_safe_however_it_is_said() {
    nothing(|at| {
        let place = at.place("sds");
        (at.plan.stages[place].parallel, at.plan.stages[place].most) = (Parallel::All, 1);
    });
    nothing(|at| {
        let place = at.place("sds");
        (at.plan.stages[place].parallel, at.plan.stages[place].most) = (Parallel::One, 3);
    });
}

#[test]
fn instant_is_for_less_than_half_an_hour() {
    for (seconds, is_safe) in [(1799, true), (1800, false)] {
        let mut asked = Asked::new();
        for step in &mut asked.task().steps {
            step.predicted_seconds = if step.action.kind() == StepKind::Reboot { seconds } else { 0 };
        }
        let node = asked.task().node.clone();
        let wrong = check(&asked.plan, &asked.facts(), &Before::new());
        assert_eq!(!wrong.contains(&Unsafe::Mode { node, mode: MaintenanceMode::Instant }), is_safe, "{seconds}");
    }
}

#[test]
fn a_client_may_come_beside_a_server_of_another_host_and_a_server_never_beside_an_mdm() {
    let with = |stage: &str, component: Component| {
        let mut asked = Asked::new();
        asked.plan.stages.retain(|at| &*at.name == stage);
        for step in &mut asked.stage(stage)[1].steps {
            if let Action::Apply { components, .. } = &mut step.action {
                *components = vec![component];
            }
        }
        check(&asked.plan, &asked.facts(), &Before::new()).iter().any(|at| matches!(at, Unsafe::Order { .. }))
    };
    assert!(!with("sds", Component::Sdc) && with("mdm", Component::Sds) && with("sds", Component::Mdm));
}

#[test]
fn a_fault_set_may_be_worked_on_together_where_nobody_is_a_member() {
    nothing(|at| {
        at.stage("sds").retain(|task| task.mdm.is_none());
        let place = at.place("sds");
        (at.plan.stages[place].parallel, at.plan.stages[place].most) = (Parallel::FaultSet, 2);
    });
}

#[test]
fn who_leaves_was_asked_to_and_is_drained_and_empty_first() {
    use StepKind as K;
    let remove = || Asked::of(|_| Request::Remove { node: NodeName::new("node-5") });
    let node = || NodeName::new("node-5");
    let wrong = |spoil: fn(&mut Asked)| {
        let mut asked = remove();
        spoil(&mut asked);
        check(&asked.plan, &asked.facts(), &Before::new())
    };
    let leaver = |at: &mut Asked, gone: StepKind| {
        at.plan.stages[0].tasks[0].steps.retain(|step| step.action.kind() != gone);
    };
    assert_eq!(wrong(|_| ()), [].into());
    for (gone, found) in [
        (K::Evacuate, Unsafe::Before { node: node(), step: K::Uninstall, needs: K::Evacuate }),
        (K::Drain, Unsafe::Before { node: node(), step: K::Uninstall, needs: K::Drain }),
        (K::Reactivate, Unsafe::After { node: node(), step: K::Uninstall, needs: K::Reactivate }),
    ] {
        let mut asked = remove();
        leaver(&mut asked, gone);
        let wrong = check(&asked.plan, &asked.facts(), &Before::new());
        assert!(wrong.contains(&found), "{gone:?}: {wrong:?}");
    }
    // What is not taken away needs nothing before it.
    let before = |at: &Unsafe| matches!(at, Unsafe::Before { step: K::Uninstall, .. });
    let only = |component: Component, alone: fn(&mut Task)| {
        let mut asked = remove();
        let task = &mut asked.plan.stages[0].tasks[0];
        task.steps.retain(|step| step.action.kind() == K::Uninstall);
        task.steps[0].action = Action::Uninstall { components: vec![component] };
        alone(task);
        check(&asked.plan, &asked.facts(), &Before::new()).iter().any(before)
    };
    assert!(only(Component::Sds, |_| ()) && only(Component::Sdc, |_| ()) && !only(Component::Lia, |_| ()));
    assert!(!only(Component::Sds, |task| task.sds = None) && !only(Component::Sdc, |task| task.agent = None));
    let asked_for = wrong(|at| at.plan.request = Request::Remove { node: NodeName::new("node-4") });
    for step in [K::Evacuate, K::Uninstall, K::RemoveSdc] {
        assert!(asked_for.contains(&Unsafe::NotAsked { node: node(), step }), "{asked_for:?}");
    }
    assert!(
        wrong(|at| at.plan.request = Request::Rollout).contains(&Unsafe::NotAsked { node: node(), step: K::Evacuate })
    );
    let replaced = |at: &mut Asked| {
        at.plan.request = Request::Replace { node: NodeName::new("node-5"), by: NodeName::new("node-4") };
    };
    assert_eq!(wrong(replaced), [].into());
    let seat = wrong(|at| at.plan.stages[0].tasks[0].mdm = Some(MdmId::new("ff")));
    assert!(seat.contains(&Unsafe::SeatLost { node: node() }));
}

#[test]
fn a_cluster_of_one_manager_hands_over_to_nobody() {
    let mut asked = Asked::new();
    for task in asked.stage("mdm") {
        task.steps.retain(|step| step.action != Action::SwitchMdm);
    }
    let snapshot = std::sync::Arc::make_mut(asked.picture.snapshot.as_mut().unwrap());
    let array = std::sync::Arc::make_mut(&mut snapshot.array.as_mut().unwrap().value);
    let mdm = array.mdm.as_mut().unwrap();
    mdm.members.retain(|member| member.role == MdmRole::Primary);
    let wrong = check(&asked.plan, &asked.facts(), &Before::new());
    let owner = |at: &Unsafe| matches!(at, Unsafe::Owner { .. });
    assert!(!wrong.iter().any(owner), "{wrong:?}");
}
