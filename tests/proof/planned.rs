//! What does the planner make of each request, on each kind of system? Its plans are kept as texts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scaleio_framework::model::cluster::Sds;
use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::node::{Carries, NodeFacts};
use scaleio_framework::model::plan::{Request, Step, Task};
use scaleio_framework::model::snapshot::Snapshot;
use scaleio_framework::model::state::{Connection, Membership, Seen};
use scaleio_framework::model::step::{Action, Component, MaintenanceMode, StepKind};
use scaleio_framework::model::version::ProductVersion;
use scaleio_framework::proof::controller::Controller;
use scaleio_framework::proof::site::Site;
use scaleio_framework::sim::Release;
use scaleio_framework::upgrade::plan::{Fleet, Habits, Proposal, plan};
use scaleio_framework::work::book::{Before, Plans};
use scaleio_framework::work::check::{Unsafe, check};
use scaleio_framework::work::facts::Policy;
use scaleio_framework::work::seam::Packages;

use crate::scene::each;

/// All that the planner is shown.
struct Known {
    site: Site,
    snapshot: Snapshot,
    nodes: BTreeMap<NodeName, NodeFacts>,
    packages: BTreeMap<NodeName, Arc<Packages>>,
    habits: Habits,
    controller: Controller,
}

impl Known {
    fn of(release: Release) -> Self {
        Self::with(release, |_| ())
    }

    fn with(release: Release, change: impl FnOnce(&mut Site)) -> Self {
        let mut site = Site::new(5, release, ChaCha8Rng::seed_from_u64(1), 1);
        site.free_last();
        change(&mut site);
        let now = site.now();
        let (mut controller, _) = Controller::start(Plans::new(), &mut Vec::new(), 1, Policy::default(), now).unwrap();
        controller.poll(&site);
        let facts = controller.facts(now);
        let (snapshot, nodes) = (facts.snapshot().unwrap().clone(), facts.nodes.clone());
        let habits = Habits::default();
        Self { site, snapshot, nodes, packages: BTreeMap::new(), habits, controller }
    }

    fn node(&mut self, name: &str) -> &mut NodeFacts {
        self.nodes.get_mut(&NodeName::new(name)).unwrap()
    }

    /// The server of a node.
    fn server(&mut self, name: &str, mut change: impl FnMut(&mut Sds)) {
        let ip = self.site.addresses()[&NodeName::new(name)].first().unwrap().clone();
        each(&mut self.snapshot.sds, |sds| {
            if sds.addresses.iter().any(|at| at.ip == ip) {
                change(sds);
            }
        });
    }

    fn plan(&self, request: Request) -> Proposal {
        let (addresses, facts) = (self.site.addresses(), self.controller.facts(self.site.now()));
        let fleet = Fleet {
            snapshot: &self.snapshot,
            nodes: &self.nodes,
            agents: facts.agents,
            addresses: &addresses,
            packages: &self.packages,
        };
        plan(request, &fleet, &self.habits, None, self.site.now())
    }
}

#[test]
fn no_client_is_planned_while_the_mdm_shows_an_older_server_that_nobody_plans() {
    let mut known = Known::of(Release::V3_6);
    let (from, to) = (known.site.from.clone(), known.site.to.clone());
    let everywhere: Vec<NodeName> = known.nodes.keys().cloned().collect();
    for name in &everywhere {
        let installed = &mut known.node(name.as_str()).installed;
        for (_, versions) in installed.iter_mut().filter(|(component, _)| **component != Component::Sdc) {
            *versions = [to.clone()].into();
        }
        known.server(name.as_str(), |sds| sds.version = Some(ProductVersion::read(&to)));
    }
    let stages = |known: &Known| {
        let plan = known.plan(Request::Upgrade { to: to.clone(), only: [].into() }).plan;
        plan.stages.iter().map(|stage| stage.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(stages(&known), ["packages", "sdc"]);
    // Its agent was silent while it went back.
    known.server("node-2", |sds| sds.version = Some(ProductVersion::read(&from)));
    assert_eq!(stages(&known), ["packages"]);
}

#[test]
fn a_third_copy_is_given_twice_the_time_that_it_takes_and_one_of_more_than_a_day_is_refused() {
    let enter = |tib: u64| {
        // Two devices of each server.
        let filled = |site: &mut Site| site.world.devices.values_mut().for_each(|device| device.used_kb = tib << 29);
        let known = Known::with(Release::V3_6, filled);
        let mode = Some(MaintenanceMode::Protected);
        let plan =
            known.plan(Request::Maintain { node: node("node-1"), mode, minutes: 60, purpose: "a fan".into() }).plan;
        let step =
            plan.tasks().next().unwrap().2.steps.iter().find(|step| step.action.kind() == StepKind::EnterMaintenance);
        let step = step.unwrap();
        let wrong = check(&plan, &known.controller.facts(known.site.now()), &Before::new());
        (step.predicted_seconds, step.deadline_seconds, wrong)
    };
    // At 100 MiB a second.
    assert_eq!(enter(1), (10_485, 21_600, [].into()));
    assert_eq!(enter(3), (31_457, 62_914, [].into()));
    assert_eq!(enter(5), (52_428, 86_400, [].into()));
    let (predicted_seconds, _, wrong) = enter(9);
    let step = StepKind::EnterMaintenance;
    assert_eq!(wrong, [Unsafe::TooLong { node: node("node-1"), step, predicted_seconds }].into());
    assert!(predicted_seconds > 86_400, "{predicted_seconds}");
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn step(step: &Step) -> String {
    let all = |components: &[Component]| components.iter().map(|at| at.as_str()).collect::<Vec<_>>().join("+");
    let what = match &step.action {
        Action::Stage { components, .. }
        | Action::Apply { components, .. }
        | Action::Rollback { components, .. }
        | Action::Verify { components, .. }
        | Action::Uninstall { components } => all(components),
        Action::EnterMaintenance { mode } => mode.to_string(),
        Action::Soak { seconds } => seconds.to_string(),
        _ => String::new(),
    };
    let (kind, most, about) = (step.action.kind(), step.deadline_seconds, step.predicted_seconds);
    format!("{kind} {what} {about}/{most}").replace("  ", " ")
}

fn task(task: &Task) -> String {
    let carries = |what: &str, is: bool| if is { format!(" {what}") } else { String::new() };
    let (sds, mdm, from) = (task.sds.is_some(), task.mdm.is_some(), task.from.as_deref().unwrap_or("nothing"));
    let steps: Vec<String> = task.steps.iter().map(step).collect();
    format!("{}{}{} from {from}: {}", task.node, carries("sds", sds), carries("mdm", mdm), steps.join(", "))
}

/// A proposal in words.
fn told(known: &Known, request: Request) -> String {
    let mut text = format!("== {request:?}\n");
    let proposal = known.plan(request);
    for stage in &proposal.plan.stages {
        let canary = if stage.canary { ", the first one alone" } else { "" };
        writeln!(text, "{}: {:?}, {} at once{canary}", stage.name, stage.parallel, stage.most).unwrap();
        stage.tasks.iter().for_each(|at| writeln!(text, "  {}", task(at)).unwrap());
    }
    for (node, verdict) in &proposal.report {
        writeln!(text, "{node} {verdict:?}").unwrap();
    }
    for (what, nodes) in &proposal.lacking {
        writeln!(text, "lacking on {}: {what}", nodes.len()).unwrap();
    }
    writeln!(text, "maintenance up to {} s", proposal.plan.limits.maintenance_seconds).unwrap();
    text
}

#[test]
fn each_request_leads_to_the_plan_that_was_kept() {
    let mut text = String::new();
    let mut say = |about: &str, known: &Known, request: Request| {
        writeln!(text, "# {about}\n{}", told(known, request)).unwrap();
    };
    let known = Known::of(Release::V3_6);
    let to = known.site.to.clone();
    let upgrade =
        |only: &[&str]| Request::Upgrade { to: to.clone(), only: only.iter().map(|name| node(name)).collect() };
    let reboot = |name: &str| Request::Reboot { node: node(name) };
    let remove = |name: &str| Request::Remove { node: node(name) };
    let replace = |name: &str, by: &str| Request::Replace { node: node(name), by: node(by) };
    let maintain = |mode, minutes| Request::Maintain { node: node("node-5"), mode, minutes, purpose: "a disk".into() };
    say("all hosts", &known, upgrade(&[]));
    say("some hosts, and one that is not there", &known, upgrade(&["node-5", "node-9"]));
    let from = known.site.from.clone();
    let back = |only: &[&str]| Request::Back { to: from.clone(), only: only.iter().map(|name| node(name)).collect() };
    say("back where nothing is newer", &known, back(&["node-1", "node-9"]));
    let mut newer = Known::of(Release::V3_6);
    for name in ["node-1", "node-4", "node-5"] {
        newer.node(name).installed.values_mut().for_each(|all| *all = [to.clone()].into());
    }
    newer.node("node-4").carries.insert(Carries::Controller);
    say(
        "back, a member of the MDM cluster and the host of the controller among them",
        &newer,
        back(&["node-1", "node-4", "node-5"]),
    );
    say("packages only", &known, Request::Fetch { to: to.clone(), only: [].into() });
    say("its end", &known, Request::Finalise { to: to.clone() });
    say("a restart", &known, reboot("node-1"));
    say("a restart of nobody", &known, reboot("node-9"));
    say("what no plan is made of", &known, Request::Rollout);
    // Below 25 minutes instant, from then on protected, unless somebody says otherwise or the generation has no other.
    for (mode, minutes) in [(None, 24), (None, 25), (None, 26), (Some(MaintenanceMode::Instant), 25)] {
        say("a maintenance", &known, maintain(mode, minutes));
    }
    for mode in [MaintenanceMode::Instant, MaintenanceMode::Protected] {
        let handed = |name: &str| Request::Adopt { node: node(name), mode, because: "a shift ends".into() };
        say("a maintenance of others", &known, handed("node-5"));
        say("a maintenance of nobody", &known, handed("node-9"));
    }
    let old = Known::of(Release::V3_0);
    say("a maintenance in 3.0", &old, maintain(None, 25));
    // What takes half an hour is never instant, where there is something else.
    for (release, restart) in [(Release::V3_6, 1679), (Release::V3_6, 1680), (Release::V3_0, 1680)] {
        let mut known = Known::of(release);
        known.habits = Habits { reboot: restart, ..Habits::default() };
        say(&format!("a restart of {restart} s in {release:?}"), &known, reboot("node-5"));
    }
    let mut known = Known::of(Release::V3_6);
    known.habits = Habits { reboots: true, at_once: 2, ..Habits::default() };
    say("several at once, with restarts", &known, upgrade(&[]));

    let mut known = Known::of(Release::V3_6);
    known.node("node-1").carries.insert(Carries::Controller);
    known.node("node-2").installed.get_mut(&Component::Sdc).unwrap().insert("another".into());
    let new: Box<str> = to.clone();
    known.node("node-3").installed.values_mut().for_each(|all| *all = [new.clone()].into());
    known.server("node-4", |sds| sds.addresses.clear());
    say("hosts that cannot, or need not", &known, upgrade(&[]));

    let mut known = Known::of(Release::V3_6);
    let packages = |missing: Component| {
        let versions = Component::ALL.into_iter().filter(|at| *at != missing);
        let versions = versions.map(|at| (at, [known.site.from.clone(), to.clone()].into())).collect();
        let pattern = "COMPONENT-VERSION.rpm".into();
        Arc::new(Packages { os: "el9".into(), versions, pattern, cannot: BTreeMap::new() })
    };
    let there = [("node-1", packages(Component::Gateway)), ("node-2", packages(Component::Sds))];
    let mut there: BTreeMap<_, _> = there.into_iter().map(|(name, at)| (node(name), at)).collect();
    let mut no_way_back = (*there[&node("node-1")]).clone();
    no_way_back.versions.insert(Component::Lia, [to.clone()].into());
    there.insert(node("node-3"), Arc::new(no_way_back));
    known.packages = there;
    say("packages that are missing, one only for the way back", &known, upgrade(&[]));

    let known = Known::of(Release::V3_6);
    say("a node leaves", &known, remove("node-5"));
    say("nobody leaves", &known, remove("node-9"));
    say("a member leaves", &known, remove("node-1"));
    say("another one serves in its place", &known, replace("node-5", "node-4"));
    say("nobody serves in its place", &known, replace("node-5", "node-9"));
    say("it serves in its own place", &known, replace("node-5", "node-5"));
    type Change = fn(&mut Known);
    let spoiled: [(&str, Change); 9] = [
        ("the other one is away", |at| at.server("node-4", |sds| sds.connection = Seen::Is(Connection::Disconnected))),
        ("the other one has not joined", |at| {
            at.server("node-4", |sds| sds.membership = Seen::Is(Membership::JoinPending))
        }),
        ("the other one is of another domain", |at| at.server("node-4", |sds| sds.domain = None)),
        ("it carries the controller", |at| {
            at.node("node-5").carries.insert(Carries::Controller);
        }),
        ("it carries a gateway", |at| {
            at.node("node-5").carries.insert(Carries::Gateway);
        }),
        ("an MDM is installed and in no cluster", |at| {
            at.node("node-5").installed.insert(Component::Mdm, ["R3_6".into()].into());
        }),
        ("its SDS is not known", |at| at.server("node-5", |sds| sds.addresses.clear())),
        ("nothing is installed on it", |at| at.node("node-5").installed.clear()),
        ("its client is not known", |at| each(&mut at.snapshot.sdcs, |sdc| sdc.addresses.clear())),
    ];
    for (about, spoil) in spoiled {
        let mut known = Known::of(Release::V3_6);
        spoil(&mut known);
        say(about, &known, replace("node-5", "node-4"));
    }
    crate::kept::same("planned.txt", &text);
}
