//! Do nodes get back to the release that they had, and only as long as there is a way back?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::node::NodeFacts;
use scaleio_framework::model::permit::Permit;
use scaleio_framework::model::plan::{Approval, Plan, Request, Risk};
use scaleio_framework::model::state::Seen;
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepId, StepKind};
use scaleio_framework::model::version::ProductVersion;
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::fault::Fault;
use scaleio_framework::proof::simulate::Play;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::Upgrade;
use scaleio_framework::upgrade::plan::{Habits, plan};
use scaleio_framework::work::book::{Before, Book, Plans, WayBack};
use scaleio_framework::work::check::{Unsafe, check, covers};
use scaleio_framework::work::command;
use scaleio_framework::work::facts::{Facts, Policy};
use scaleio_framework::work::make_mistake;
use scaleio_framework::work::record::{Duty, Effect, Obligation, Record};
use scaleio_framework::work::undo::{Cause, undo};

use crate::scene::{Asked, Scene, each, fleet, run_id};
use crate::seeds::counted;

/// Plays it for some seeds; gives how often nodes were sent back, and how often that became impossible meanwhile.
fn sent_back(seeds: std::ops::Range<u64>, events: u32, play: impl Fn(Play) -> Play) -> (u64, u64) {
    let counts = counted(seeds.map(|seed| play(Play { goes_back: true, ..Play::of(seed, 5, events) })));
    let count = |what| counts.get(what).copied().unwrap_or_default();
    (count("effect: back"), count("fault: Finalised"))
}

#[test]
fn nodes_are_sent_back_and_upgraded_again_while_nothing_goes_wrong() {
    let (often, _) = sent_back(0..8, 2500, |play| Play { only: Some(Vec::new()), ..play });
    assert!(often > 8, "{often}");
}

#[test]
fn whatever_goes_wrong_while_nodes_are_sent_back_no_promise_is_broken() {
    let (often, is_final) = sent_back(0..300, 2500, |play| play);
    // Also when somebody makes the upgrade final meanwhile.
    assert!(often > 20 && is_final > 5, "{often} {is_final}");
}

/// Mistakes that break a promise about nodes that go back, each with what is said then, of the release from before, and with
/// what must go wrong meanwhile; nothing: whatever may.
const BROKEN: [(&str, &str, &str, &[Fault]); 4] = [
    ("UpgradeState", "I14", "goes back, and the upgrade is final", &[]),
    ("take for staged", "I14", "FROM is installed on", &[]),
    (
        "Stale",
        "I16",
        ", rollback, is intended on what was seen",
        &[Fault::GatewayDeaf, Fault::GatewayDeaf, Fault::DrainStuck, Fault::DrainEnds],
    ),
    ("take for installed", "I20", " is not at FROM", &[]),
];

#[test]
fn each_promise_about_nodes_that_go_back_is_broken_by_a_mistake() {
    let unbroken = BROKEN.into_iter().filter(|(mistake, promise, says, faults)| {
        let breaks = |seed: u64| {
            let only = (!faults.is_empty()).then(|| faults.to_vec());
            let play = Play { goes_back: true, only, ..Play::of(seed, 5, 2500) };
            // The end of a release counts: the new one begins with it.
            let says = format!("{} ", says.replace("FROM", play.release.component()));
            make_mistake(Some(mistake));
            let outcome = play.run();
            make_mistake(None);
            let broken = |line: &String| line.contains(promise) && format!("{line} ").contains(&says);
            outcome.violations.iter().any(broken)
        };
        !(0..1000).any(breaks)
    });
    assert_eq!(unbroken.collect::<Vec<_>>(), []);
}

/// A system in which all hosts have the new release, and how it looks from outside.
struct Case {
    site: Site,
    plan: Plan,
    before: Before,
}

const BOTH: [Component; 2] = [Component::Sds, Component::Sdc];

impl Case {
    fn new() -> Self {
        let mut site = Site::new(5, Release::V3_6, ChaCha8Rng::seed_from_u64(1), 1);
        let (from, to) = (site.from.clone(), site.to.clone());
        for host in site.hosts.values_mut() {
            host.installed.values_mut().for_each(|version| version.clone_from(&to));
        }
        site.world.sds.values_mut().for_each(|sds| sds.version = to.to_string());
        site.world.sdcs.values_mut().for_each(|sdc| sdc.version = to.to_string());
        site.world.mdm.members.iter_mut().for_each(|member| member.version = to.to_string());
        site.world.upgrade = Upgrade::Running { from: from.to_string(), commands_allowed: true };
        let way = WayBack { from, to };
        let ways = || BOTH.into_iter().map(|component| (component, way.clone())).collect();
        let before = site.hosts.keys().map(|name| (name.clone(), ways())).collect();
        let all: Vec<NodeName> = site.hosts.keys().cloned().collect();
        Self { plan: plan_of(&site, &all), site, before }
    }

    fn wrong(&self) -> BTreeSet<Unsafe> {
        self.wrong_by(&told(&self.site))
    }

    /// What is wrong with its plan by these words of hosts.
    fn wrong_by(&self, nodes: &BTreeMap<NodeName, NodeFacts>) -> BTreeSet<Unsafe> {
        let controller = shown(&self.site);
        check(&self.plan, &Facts { nodes, ..controller.facts(self.site.now()) }, &self.before)
    }
}

/// What hosts say, with the addresses at which a controller finds them.
fn told(site: &Site) -> BTreeMap<NodeName, NodeFacts> {
    let mut nodes = shown(site).facts(site.now()).nodes.clone();
    for (name, addresses) in site.addresses() {
        nodes.get_mut(&name).unwrap().addresses = addresses;
    }
    nodes
}

fn shown(site: &Site) -> Controller {
    let now = site.now();
    let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
    controller.poll(site);
    controller
}

fn plan_of(site: &Site, only: &[NodeName]) -> Plan {
    let (controller, addresses, now) = (shown(site), site.addresses(), site.now());
    let facts = controller.facts(now);
    let request = Request::Back { to: site.from.clone(), only: only.iter().cloned().collect() };
    plan(request, &fleet(&facts, &addresses), &Habits::default(), None, now).plan
}

#[test]
fn clients_go_back_before_servers_and_what_nothing_may_be_newer_than_stays() {
    let case = Case::new();
    assert_eq!(case.wrong(), [].into());
    let stages: Vec<(&str, usize)> = case.plan.stages.iter().map(|stage| (&*stage.name, stage.tasks.len())).collect();
    assert_eq!(stages, [("sdc", 5), ("sds", 5)]);
    let back = case.plan.tasks().flat_map(|(_, _, task)| &task.steps).filter_map(|step| match &step.action {
        Action::Rollback { components, version } => Some((components.clone(), version.clone())),
        _ => None,
    });
    assert!(back.into_iter().all(|(components, to)| to == case.site.from && BOTH.contains(&components[0])));
}

/// What is found after something was spoiled; it names the first node.
fn found(spoil: impl FnOnce(&mut Case), wanted: impl FnOnce(NodeName) -> Unsafe) {
    let mut case = Case::new();
    let node = case.plan.stages[0].tasks[0].node.clone();
    spoil(&mut case);
    let (wanted, wrong) = (wanted(node), case.wrong());
    assert!(wrong.contains(&wanted), "{wanted:?} is not found, but {wrong:?}");
}

#[test]
fn a_way_back_that_is_closed_or_not_known_is_refused() {
    // The point of no return, in all its forms.
    found(|at| at.site.world.upgrade = Upgrade::Finished, |_| Unsafe::Final);
    found(|at| at.site.world.upgrade = Upgrade::None, |_| Unsafe::Final);
    let until = std::time::Duration::from_secs(9999);
    found(|at| at.site.world.upgrade = Upgrade::PostProcessing { until }, |_| Unsafe::Final);
    // The MDM is at work on another upgrade than ours.
    found(|at| at.site.world.mdm.members[0].version = "R9_9.0.1".into(), |_| Unsafe::Final);

    let sdc = Component::Sdc;
    let not_before = |node| Unsafe::NotBefore { node, component: sdc };
    found(|at| at.before.clear(), not_before);
    found(
        |at| {
            let way = at.before.values_mut().next().unwrap().get_mut(&sdc).unwrap();
            way.from = "R3_5.0.0".into();
        },
        not_before,
    );
    // Somebody installed something else since.
    found(
        |at| {
            let host = at.site.hosts.values_mut().next().unwrap();
            host.installed.insert(sdc, "R3_6.0.999".into());
        },
        not_before,
    );
}

#[test]
fn only_what_was_asked_for_goes_back_and_nothing_else_is_done() {
    let spoil = |action: Action| {
        move |at: &mut Case| {
            let steps = &mut at.plan.stages[0].tasks[0].steps;
            let place = steps.iter().position(|step| step.action.kind() == StepKind::Rollback).unwrap();
            steps[place].action = action;
        }
    };
    let put = |version: &str, component| Action::Rollback { version: version.into(), components: vec![component] };
    found(spoil(put("R3_5.0.0", Component::Sdc)), |node| Unsafe::Version { node });
    for component in [Component::Mdm, Component::Lia] {
        found(spoil(put("R3_6.0.0", component)), |node| Unsafe::Foremost { node, component });
    }
    for (action, step) in [(Action::Reboot, StepKind::Reboot), (Action::Finalise, StepKind::Finalise)] {
        found(spoil(action), |node| Unsafe::NotAsked { node, step });
    }
    let step = StepKind::Rollback;
    found(
        |at| {
            let Request::Back { only, .. } = &mut at.plan.request else { panic!("another request") };
            only.pop_first();
        },
        |node| Unsafe::NotAsked { node, step },
    );
    // No other plan puts anything back.
    found(
        |at| at.plan.request = Request::Upgrade { to: at.site.from.clone(), only: [].into() },
        |node| Unsafe::NotAsked { node, step },
    );
    // A server is put back in maintenance, and a client on a drained host, as everywhere.
    found(
        |at| at.plan.stages[0].tasks[0].steps.retain(|step| step.action != Action::Drain),
        |node| Unsafe::Before { node, step, needs: StepKind::Drain },
    );
    found(
        |at| {
            let steps = &mut at.plan.stages[1].tasks[0].steps;
            steps.retain(|step| step.action.kind() != StepKind::EnterMaintenance);
        },
        |node| Unsafe::Before { node, step, needs: StepKind::EnterMaintenance },
    );
    found(
        |at| at.plan.stages.iter_mut().flat_map(|at| &mut at.tasks).for_each(|task| drop(task.steps.remove(0))),
        |node| Unsafe::Before { node, step, needs: StepKind::Stage },
    );
}

#[test]
fn no_server_becomes_older_than_a_client() {
    let mut case = Case::new();
    let all: Vec<NodeName> = case.site.hosts.keys().cloned().collect();
    case.plan = plan_of(&case.site, &all[..1]);
    let newer: BTreeSet<Unsafe> = all[1..].iter().map(|node| Unsafe::NewerClient { node: node.clone() }).collect();
    assert_eq!(case.wrong(), newer);
    // Servers first is the wrong order.
    let mut case = Case::new();
    case.plan.stages.swap(0, 1);
    assert!(case.wrong().contains(&Unsafe::NewerClient { node: all[0].clone() }), "{:?}", case.wrong());
}

#[test]
fn a_client_of_a_host_that_is_gone_counts_by_the_word_of_the_mdm_and_so_does_one_of_others() {
    let mut case = Case::new();
    let all: Vec<NodeName> = case.site.hosts.keys().cloned().collect();
    let (gone, to) = (all[4].clone(), case.site.to.to_string());
    case.plan = plan_of(&case.site, &all[..4]);
    let mut nodes = told(&case.site);
    let newer: BTreeSet<Unsafe> = [Unsafe::NewerClient { node: gone.clone() }].into();
    assert_eq!(case.wrong_by(&nodes), newer);
    let client = case.site.hosts[&gone].sdc;
    let now = case.site.now();
    let silent = |nodes: &mut BTreeMap<NodeName, NodeFacts>, minutes| {
        nodes.get_mut(&gone).unwrap().seen_at = now - chrono::TimeDelta::minutes(minutes);
    };
    // Connected, it is there, whatever its agent does not say.
    silent(&mut nodes, 11);
    assert_eq!(case.wrong_by(&nodes), newer);
    case.site.world.set_sdc_connected(&client.to_string(), false).unwrap();
    assert_eq!(case.wrong_by(&nodes), [].into());
    // It may be about to come back.
    silent(&mut nodes, 9);
    assert_eq!(case.wrong_by(&nodes), newer);
    // Where nobody knows where the host is, nobody knows which client is its own.
    silent(&mut nodes, 11);
    nodes.get_mut(&gone).unwrap().addresses.clear();
    assert_eq!(case.wrong_by(&nodes), newer);

    // A client on a host that is none of ours.
    nodes.remove(&gone);
    assert_eq!(case.wrong_by(&nodes), [].into());
    case.site.world.set_sdc_connected(&client.to_string(), true).unwrap();
    let elsewhere = case.wrong_by(&nodes);
    let named = |wrong: &Unsafe| matches!(wrong, Unsafe::NewerClientElsewhere { .. });
    assert!(elsewhere.len() == 1 && elsewhere.iter().all(named), "{elsewhere:?}");
    let sdc = case.site.world.sdcs.get_mut(&client).unwrap();
    assert_eq!(sdc.version, to);
    sdc.version = case.site.from.to_string();
    assert_eq!(case.wrong_by(&nodes), [].into());
}

#[test]
fn a_release_that_nodes_leave_is_quarantined_when_they_begin_to() {
    let case = Case::new();
    let (controller, id, now) = (shown(&case.site), case.plan.id(), case.site.now());
    let plans = [(id.clone(), Arc::new(case.plan.clone()))].into();
    let mut book = Book { plans, before: case.before.clone(), ..Book::default() };
    let approval = Approval::Hash { plan: id.clone(), by: "ada".into(), at: now };
    let records = command::open(&book, &controller.facts(now), run_id(), &id, approval, [].into()).unwrap();
    records.iter().for_each(|record| book.apply(record, now).unwrap());
    let why = "nodes were sent back from it by ada".into();
    assert_eq!(book.quarantined, [(case.site.to, why)].into());
}

#[test]
fn after_a_client_was_put_back_tasks_come_only_to_one_that_runs() {
    let case = Case::new();
    let (id, now) = (case.plan.id(), case.site.now());
    let plans = [(id.clone(), Arc::new(case.plan.clone()))].into();
    let mut book = Book { plans, ..Book::default() };
    let approval = Approval::Hash { plan: id.clone(), by: "ada".into(), at: now };
    let (run, task) = (run_id(), 0);
    let planned = case.plan.task(task).unwrap().2.clone();
    let node = planned.node.clone();
    let duty = Duty::Deactivated { agent: planned.agent.clone().unwrap() };
    let (since, deadline) = (now, now + chrono::TimeDelta::hours(1));
    let obligation =
        Obligation { duty, run: run.clone(), task, node: node.clone(), mode: None, since, deadline, handed: None };
    for record in [
        Record::Opened { run: run.clone(), plan: id, approval, baseline: [].into() },
        Record::Began { run: run.clone(), task },
        Record::Took { obligation },
    ] {
        book.apply(&record, now).unwrap();
    }
    let back = |book: &Book| -> Vec<StepKind> {
        let (task, state) = book.runs[&run].task(task).unwrap();
        undo(book, task, state, Cause::TakeBack).iter().map(|step| step.action.kind()).collect()
    };
    assert_eq!(back(&book), [StepKind::Reactivate]);
    let place = planned.steps.iter().position(|step| step.action.kind() == StepKind::Rollback).unwrap() as u32;
    for place in 0..place {
        book.apply(&Record::Confirmed { run: run.clone(), task, place }, now).unwrap();
    }
    let step = StepId { run: run.clone(), task, place, attempt: 0 };
    let action = planned.steps[place as usize].action.clone();
    let permit = Permit {
        node,
        step: step.clone(),
        action,
        epoch: 1,
        gate: "".into(),
        expires: now + chrono::TimeDelta::hours(1),
    };
    let effect = Effect::Order { permit, boot_id: "boot".into() };
    book.apply(&Record::Intended { step, epoch: 1, effect, gate: "".into() }, now).unwrap();
    assert_eq!(back(&book), [StepKind::Verify, StepKind::Reactivate]);
}

#[test]
fn an_upgrade_that_the_mdm_is_in_is_ours_only_while_its_members_have_what_we_gave() {
    let asks = |versions: &[&str]| {
        let mut scene = Scene::waiting();
        let Request::Upgrade { to, .. } = scene.run().plan.request.clone() else { panic!("no upgrade") };
        let from = scene.task().from.clone().unwrap();
        let way = WayBack { from: from.clone(), to: to.clone() };
        scene.book.before = [(scene.task().node, [(Component::Lia, way)].into())].into();
        scene.array(|array| {
            array.upgrade_state = Some(Seen::read("UpgradeInProgress"));
            let members = array.mdm.iter_mut().flat_map(|mdm| &mut mdm.members);
            for (member, version) in members.zip(versions.iter().cycle()) {
                let version = match *version {
                    "to" => Some(&*to),
                    "from" => Some(&*from),
                    "" => None,
                    other => Some(other),
                };
                member.version = version.map(ProductVersion::read);
            }
        });
        scene.kinds(&Asked::Admit).contains(&ReasonKind::UpgradeState)
    };
    assert!(!asks(&["to"]) && !asks(&["to", ""]) && !asks(&["to", "from"]));
    // Somebody brings the MDM elsewhere, or has just begun to; or nobody knows.
    assert!(asks(&["to", "R9_9.0.1"]) && asks(&["from"]) && asks(&[""]));
}

#[test]
fn nobody_is_sent_back_under_a_standing_approval() {
    let case = Case::new();
    let (controller, now) = (shown(&case.site), case.site.now());
    let standing = Approval::Policy {
        job: "nightly".into(),
        to: case.site.from.clone(),
        selection: BTreeSet::new(),
        modes: [MaintenanceMode::Instant].into(),
        max_risk: Risk::Medium,
        until: now + chrono::TimeDelta::days(1),
        by: "ada".into(),
    };
    let wrong = covers(&standing, &case.plan, &controller.facts(now));
    assert_eq!(wrong, [Unsafe::NotCovered("this request".into())].into());
}

#[test]
fn a_server_that_goes_back_is_stopped_only_where_an_upgrade_would_stop_it() {
    let scene = || {
        let mut scene = Scene::going_back();
        scene.begin_and_drain();
        scene.enter();
        scene
    };
    let asks = |spoil: &dyn Fn(&mut Scene)| {
        let mut scene = scene();
        spoil(&mut scene);
        scene.kinds(&Asked::Step(StepKind::Rollback))
    };
    assert_eq!(asks(&|_| ()), [].into());
    let upgrade = |word: Option<&'static str>| {
        move |scene: &mut Scene| scene.array(|array| array.upgrade_state = word.map(Seen::read))
    };
    assert_eq!(asks(&upgrade(Some("NoUpgrade"))), [ReasonKind::UpgradeState].into());
    assert_eq!(asks(&upgrade(None)), [ReasonKind::Unseen].into());
    assert_eq!(asks(&|scene| scene.host().staged.clear()), [ReasonKind::NotStaged].into());
    let newer = |scene: &mut Scene| {
        let host = scene.nodes.values_mut().next_back().unwrap();
        host.installed.insert(Component::Sdc, ["R9_9.0.1".into()].into());
    };
    assert_eq!(asks(&newer), [ReasonKind::OrderOfComponents].into());
    // Nothing is drained for what cannot be.
    let mut before = Scene::going_back();
    assert_eq!(before.ask(&Asked::Admit), []);
    newer(&mut before);
    assert_eq!(before.kinds(&Asked::Admit), [ReasonKind::OrderOfComponents].into());
    let elsewhere = |scene: &mut Scene| {
        each(&mut scene.snapshot().sdcs, |sdc| sdc.version = Some(ProductVersion::read("R9_9.0.1")));
    };
    assert_eq!(asks(&elsewhere), [ReasonKind::OrderOfComponents].into());
    assert_eq!(asks(&|scene| scene.snapshot().sdcs = None), [ReasonKind::Unseen].into());
    let old = |scene: &mut Scene| {
        let at = scene.now - chrono::TimeDelta::minutes(5);
        scene.snapshot().sdcs.iter_mut().for_each(|part| part.begun_at = at);
    };
    assert_eq!(asks(&old), [ReasonKind::Stale].into());
    let leaves = |scene: &mut Scene| {
        let own = scene.task().sds;
        scene.sds(|sds| {
            if Some(&sds.id) == own.as_ref() {
                sds.maintenance = Seen::read("NoMaintenance");
            }
        });
    };
    assert_eq!(asks(&leaves), [ReasonKind::NotInMaintenance].into());
    let hurt = |scene: &mut Scene| {
        let own = scene.task().sds;
        scene.sds(|sds| {
            if Some(&sds.id) != own.as_ref() {
                sds.connection = Seen::read("Disconnected");
            }
        });
    };
    assert!(asks(&hurt).contains(&ReasonKind::SdsAway));
}
