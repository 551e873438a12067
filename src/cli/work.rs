//! `sio plan upgrade`, `sio approve` and whatever else is asked of the work on a system.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::controller::{Asker, Question, Where, path_part, tame};
use crate::model::hold::ReasonKind;
use crate::model::id::NodeName;
use crate::model::lifecycle::{Answer, Lifecycle, Order, PlanShown, RunShown, TaskShown};
use crate::model::plan::Request;
use crate::model::step::{MaintenanceMode, StepKind};
use crate::model::unit::Timestamp;

/// Which system, which controller, and who asks.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The system; needed only when the controller watches several
    #[arg(long)]
    system: Option<String>,
    /// Who asks [default: $USER]
    #[arg(long)]
    by: Option<String>,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

/// What can be planned for nodes.
#[derive(Debug, Subcommand)]
pub(super) enum Planned {
    /// Makes a plan that brings nodes to a release, for `sio approve`
    Upgrade {
        /// The release, as its packages name it
        #[arg(long)]
        to: String,
        /// Only these nodes; may be given several times
        #[arg(long = "node")]
        nodes: Vec<String>,
        /// Back to the release that these nodes had before, as long as the upgrade is not final
        #[arg(long, requires = "nodes")]
        back: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that has the packages of a release on nodes, and installs none
    Fetch {
        /// The release, as its packages name it
        #[arg(long)]
        to: String,
        /// Only these nodes; may be given several times
        #[arg(long = "node")]
        nodes: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that ends an upgrade for good
    Finalise {
        /// The release that all nodes have
        #[arg(long)]
        to: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that restarts a node
    Reboot {
        /// The node
        node: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that takes a node out for good: its data moves away first
    Remove {
        /// The node
        node: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that takes a node out whose place another one has
    Replace {
        /// The node
        node: String,
        /// The node in its place, which the rollout has made ready
        #[arg(long)]
        with: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Makes a plan that keeps a node in maintenance while somebody works on it; or takes one over that others began
    #[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
    Maintenance {
        /// The node
        #[arg(required = true)]
        node: Option<String>,
        /// For how long
        #[arg(long = "for", value_name = "TIME", required = true, value_parser = humantime::parse_duration)]
        time: Option<Duration>,
        /// `instant` or `protected` [default: by the time it takes]
        #[arg(long)]
        mode: Option<String>,
        /// What for
        #[arg(long, required = true)]
        why: Option<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(subcommand)]
        handed: Option<Box<Handed>>,
    },
}

impl Planned {
    /// Whether it is done at once, and no plan is made.
    pub(super) const fn is_order(&self) -> bool {
        matches!(self, Self::Maintenance { handed: Some(_), .. })
    }
}

/// What can be asked of runs.
#[derive(Debug, Subcommand)]
pub(super) enum Told {
    /// Shows runs, what each task waits for and why, and plans that wait for a yes
    Runs {
        #[command(flatten)]
        whose: Whose,
    },
    /// Shows what is begun by the calendar, when next, and what came of it last
    Jobs {
        #[command(flatten)]
        whose: Whose,
    },
    /// Carries out the plan of this hash; its beginning is enough
    Approve {
        /// The hash
        plan: String,
        /// A step that was only concluded, and never seen in use, is done all the same; may be given several times
        #[arg(long = "accept-unproven", value_name = "STEP")]
        accept: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Begins nothing more; what is in work goes on to its end
    Pause {
        #[command(flatten)]
        whose: Whose,
    },
    /// Goes on
    Resume {
        #[command(flatten)]
        whose: Whose,
    },
    /// Begins nothing more, and undoes what is in work
    Cancel {
        #[command(flatten)]
        whose: Whose,
    },
    /// Leaves a node out of the open run
    Skip {
        /// The node
        node: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Leaves a node alone in every run
    Hold {
        /// The node
        node: String,
        /// For how long [default: until released]
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
        time: Option<Duration>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Ends that
    Release {
        /// The node
        node: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Lets a soft reason not hold, for a while
    Override {
        /// The reason, as `sio runs` names it
        reason: String,
        /// For this node only
        #[arg(long)]
        node: Option<String>,
        /// For how long, at most a day
        #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
        time: Duration,
        /// Why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Lets a version be installed again that failed
    Free {
        /// The version
        version: String,
        #[command(flatten)]
        whose: Whose,
    },
}

/// What can be done about maintenance that others began.
#[derive(Debug, Subcommand)]
pub(super) enum Handed {
    /// Takes over the maintenance of a node, and ends it as soon as that is safe
    Adopt {
        /// The node
        node: String,
        /// Why it is handed over, and by whom
        #[arg(long)]
        because: String,
        /// `instant` or `protected`, where the MDM does not say how it was begun
        #[arg(long)]
        mode: Option<String>,
        /// A step that was only concluded, and never seen in use, is done all the same; may be given several times
        #[arg(long = "accept-unproven", value_name = "STEP")]
        accept: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Serialize)]
struct Asking {
    #[serde(flatten)]
    order: Order,
    by: String,
}

pub(super) async fn planned(what: Planned, asker: &mut Asker<'_>) -> u8 {
    let (request, whose) = match what {
        Planned::Upgrade { to, nodes, back, whose } => {
            let (to, only) = (to.into(), nodes.iter().map(|name| NodeName::new(name)).collect());
            (if back { Request::Back { to, only } } else { Request::Upgrade { to, only } }, whose)
        }
        Planned::Fetch { to, nodes, whose } => {
            let only = nodes.iter().map(|name| NodeName::new(name)).collect();
            (Request::Fetch { to: to.into(), only }, whose)
        }
        Planned::Finalise { to, whose } => (Request::Finalise { to: to.into() }, whose),
        Planned::Reboot { node, whose } => (Request::Reboot { node: NodeName::new(&node) }, whose),
        Planned::Remove { node, whose } => (Request::Remove { node: NodeName::new(&node) }, whose),
        Planned::Replace { node, with, whose } => {
            (Request::Replace { node: NodeName::new(&node), by: NodeName::new(&with) }, whose)
        }
        Planned::Maintenance { handed: Some(handed), .. } => return handed_over(*handed, asker).await,
        Planned::Maintenance { node, time, mode, why, whose, handed: None } => {
            let mode = match mode_of(mode.as_deref()) {
                Ok(mode) => mode,
                Err(error) => return super::fail(&error),
            };
            // Without any of them the command line was refused.
            let (Some(node), Some(time), Some(why)) = (node, time, why) else { return super::MISUSED };
            let minutes = u32::try_from(time.as_secs().div_ceil(60)).unwrap_or(u32::MAX);
            (Request::Maintain { node: NodeName::new(&node), mode, minutes, purpose: why.into() }, whose)
        }
    };
    ask(Order::Plan { request }, whose, asker).await
}

async fn handed_over(Handed::Adopt { node, because, mode, accept, whose }: Handed, asker: &mut Asker<'_>) -> u8 {
    match mode_of(mode.as_deref()).and_then(|mode| Ok((mode, accepted(&accept)?))) {
        Ok((mode, accept)) => {
            ask(Order::Adopt { node: NodeName::new(&node), mode, because, accept }, whose, asker).await
        }
        Err(error) => super::fail(&error),
    }
}

pub(super) async fn told(what: Told, asker: &mut Asker<'_>) -> u8 {
    let node = |name: &str| NodeName::new(name);
    let (order, whose) = match what {
        Told::Runs { whose } => {
            asker.json = whose.json;
            let question = Question::get("/api/v1/runs");
            return asker.show(&whose.whom, &question, |all: Vec<Lifecycle>| render(&all, crate::clock::now())).await;
        }
        Told::Jobs { whose } => {
            asker.json = whose.json;
            let question = Question::get("/api/v1/runs");
            return asker.show(&whose.whom, &question, |all: Vec<Lifecycle>| jobs(&all)).await;
        }
        Told::Approve { plan, accept, whose } => match accepted(&accept) {
            Ok(accept) => (Order::Approve { plan, accept }, whose),
            Err(error) => return super::fail(&error),
        },
        Told::Pause { whose } => (Order::Pause, whose),
        Told::Resume { whose } => (Order::Resume, whose),
        Told::Cancel { whose } => (Order::Cancel, whose),
        Told::Skip { node: name, whose } => (Order::Skip { node: node(&name) }, whose),
        Told::Hold { node: name, time, whose } => {
            let time = time.and_then(|time| TimeDelta::from_std(time).ok());
            (Order::Hold { node: node(&name), until: time.map(|time| crate::clock::now() + time) }, whose)
        }
        Told::Release { node: name, whose } => (Order::Release { node: node(&name) }, whose),
        Told::Override { reason, node: name, time, why, whose } => {
            let Some(reason) = ReasonKind::ALL.iter().copied().find(|kind| kind.as_str() == reason) else {
                return super::fail(&anyhow::anyhow!("{reason:?} is no reason; `sio runs` names those that hold"));
            };
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            (Order::Override { reason, node: name.as_deref().map(node), seconds, why }, whose)
        }
        Told::Free { version, whose } => (Order::Free { version: version.into() }, whose),
    };
    ask(order, whose, asker).await
}

fn mode_of(word: Option<&str>) -> anyhow::Result<Option<MaintenanceMode>> {
    let named = |word: &str| {
        MaintenanceMode::named(word).ok_or_else(|| anyhow::anyhow!("{word:?} is no mode; write instant or protected"))
    };
    word.map(named).transpose()
}

/// Steps by their names.
fn accepted(words: &[String]) -> anyhow::Result<BTreeSet<StepKind>> {
    let read = |word: &String| {
        let step = StepKind::ALL.into_iter().find(|step| step.as_str() == *word);
        step.ok_or_else(|| anyhow::anyhow!("{word:?} is no step; `sio plan` names them"))
    };
    words.iter().map(read).collect()
}

async fn ask(order: Order, whose: Whose, asker: &mut Asker<'_>) -> u8 {
    let Whose { system, by, json, whom } = whose;
    let system = match system {
        Some(system) => system,
        None => match only_system(&whom, asker).await {
            Ok(system) => system,
            Err(code) => return code,
        },
    };
    asker.json = json;
    let body = Asking { order, by: asker.name(by) };
    let path = format!("/api/v1/systems/{}/runs", path_part(&system));
    asker.show(&whom, &Question::post(&path, &body), |answer: Answer| said(&answer)).await
}

/// The only system there is.
pub(super) async fn only_system(whom: &Where, asker: &Asker<'_>) -> Result<String, u8> {
    let (_, body) = super::controller::ask(whom, &Question::get("/api/v1/systems"), asker.file, asker.variables)
        .await
        .map_err(|error| {
            super::fail(&error.into());
            super::UNREACHABLE
        })?;
    match serde_json::from_slice::<Vec<String>>(&body).as_deref() {
        Ok([only]) => Ok(only.clone()),
        Ok(several) => Err(super::fail(&anyhow::anyhow!("say which system with --system: {}", several.join(", ")))),
        Err(error) => Err(super::fail(&anyhow::anyhow!("what answers is no controller of this product: {error}"))),
    }
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Done => "done\n".to_owned(),
        Answer::Run { run } => format!("{run} is begun; see `sio runs`\n"),
        Answer::Plan(plan) => {
            let mut text = plan_in_words(plan);
            for (node, says) in &plan.nodes {
                line(&mut text, &format!("  {node}: {says}"));
            }
            if plan.stages.is_empty() {
                line(&mut text, "nothing is to be done");
            } else if plan.unsafe_because.is_empty() {
                let accept: String = plan.unproven.iter().map(|step| format!(" --accept-unproven {step}")).collect();
                if !accept.is_empty() {
                    line(&mut text, "some steps were only concluded for this generation, and never seen in use");
                }
                line(&mut text, &format!("carry it out with: sio approve {}{accept}", plan.id));
            }
            for why in &plan.unsafe_because {
                line(&mut text, &format!("it would not be carried out: {why}"));
            }
            text
        }
    }
}

fn line(text: &mut String, what: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", tame(what));
}

fn minutes(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds.div_ceil(60) * 60)).to_string()
}

fn plan_in_words(plan: &PlanShown) -> String {
    let mut text = String::new();
    line(
        &mut text,
        &format!("plan {}: {}, about {}, risk {:?}", plan.id, plan.what, minutes(plan.predicted_seconds), plan.risk),
    );
    for stage in &plan.stages {
        line(&mut text, &format!("  stage {}", stage.name));
        for task in &stage.tasks {
            line(
                &mut text,
                &format!("    {} ({}): {}", task.node, minutes(task.predicted_seconds), task.steps.join(", ")),
            );
        }
    }
    text
}

fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now - since).num_seconds().max(0).unsigned_abs();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// All work on all systems, and why what waits does.
pub(super) fn render(all: &[Lifecycle], now: Timestamp) -> String {
    let mut text = String::new();
    for of in all {
        line(&mut text, &format!("{} (mode {})", of.system, of.mode.as_str()));
        match &of.run {
            Some(run) => run_in_words(&mut text, run, now),
            None => line(&mut text, "  no run is open"),
        }
        for open in &of.obligations {
            let late = if open.overdue { ", OVERDUE" } else { "" };
            line(
                &mut text,
                &format!("  to be undone: {} ({}, for {}{late})", open.what, open.node, age(open.since, now)),
            );
        }
        for problem in &of.problems {
            line(&mut text, &format!("  PROBLEM: {problem}"));
        }
        for (node, until) in &of.held {
            let until = until.map_or_else(|| "released".to_owned(), |until| until.to_string());
            line(&mut text, &format!("  {node} is held until {until}"));
        }
        for node in &of.retired {
            line(&mut text, &format!("  {node} was taken out for good; `sio release {node}` lets it come back"));
        }
        for (version, why) in &of.quarantined {
            line(&mut text, &format!("  version {version} is quarantined: {why}"));
        }
        for plan in &of.plans {
            line(&mut text, &format!("  plan {} waits for a yes: {}", plan.id, plan.what));
        }
        for past in &of.past {
            let why = past.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            line(&mut text, &format!("  {} {} ({}){why}", past.id, past.end, past.what));
        }
    }
    text
}

/// All jobs of all systems.
fn jobs(all: &[Lifecycle]) -> String {
    let mut text = String::new();
    for (of, job) in all.iter().flat_map(|of| of.jobs.iter().map(move |job| (of, job))) {
        line(&mut text, &format!("{}: {} on {}, {}", job.name, job.what, of.system, job.line));
        for (at, blackout) in &job.next {
            let not = blackout.as_ref().map(|name| format!(", but not in {name}")).unwrap_or_default();
            line(&mut text, &format!("  next {at}{not}"));
        }
        if let (Some(due), Some(result)) = (&job.last_due, &job.last_result) {
            line(&mut text, &format!("  last {due}: {result}"));
        }
        if let Some(due) = job.looking {
            line(&mut text, &format!("  {due} is being looked at"));
        }
        for found in &job.found {
            line(&mut text, &format!("    {found}"));
        }
    }
    if text.is_empty() {
        text.push_str("no job is configured; see [[jobs]] of the example configuration\n");
    }
    text
}

fn run_in_words(text: &mut String, run: &RunShown, now: Timestamp) {
    const WIDTH: usize = 20;
    let filled = (run.tasks_done * WIDTH).checked_div(run.tasks_total).unwrap_or(WIDTH);
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
    line(text, &format!("  {}: {}, approved by {}", run.id, run.what, run.approved_by));
    let left = age(now, run.predicted_end);
    line(text, &format!("  [{bar}] {} of {} tasks, {left} left if nothing holds it", run.tasks_done, run.tasks_total));
    for (what, by) in [("paused by", &run.paused_by), ("cancelled by", &run.cancelled_by), ("halted:", &run.halted)] {
        if let Some(by) = by {
            line(text, &format!("  {what} {by}"));
        }
    }
    let waiting = |task: &&TaskShown| !task.holds.is_empty() || matches!(&*task.standing, "working" | "undoing");
    for task in run.tasks.iter().filter(waiting) {
        let step = task.step.as_ref().map(|step| format!(", {step}")).unwrap_or_default();
        line(text, &format!("  {} {}{step}, for {}", task.node, task.standing, age(task.since, now)));
        if let Some(why) = &task.why {
            line(text, &format!("    given up: {why}"));
        }
        for hold in &task.holds {
            let soft = if hold.hardness == crate::model::hold::Hardness::Soft { ", may be overridden" } else { "" };
            line(
                text,
                &format!(
                    "    waits {} because {} [{}{soft}]; clears with: {}",
                    age(hold.since, now),
                    hold.text,
                    hold.reason.as_str(),
                    hold.clears
                ),
            );
        }
    }
}
