//! How does an order of the work reach the agent of its node, and what came of it?
//!
//! An order carries the permit's step as its id, its epoch and its end. What an agent was given is taken back when it
//! does not come for it before the permit ended, or when the work orders something else instead; an agent that has begun
//! ends it all the same, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::clock;
use crate::config::Secret;
use crate::enrol::crew::{Crew, Members, NotTaken};
use crate::model::cluster::{MdmCluster, MdmRole};
use crate::model::id::{NodeName, SystemId};
use crate::model::order::{self, Artefact, Finished, Hidden, Install, Order, OrderId, Outcome, Secrets, Task};
use crate::model::permit::Permit;
use crate::model::step::{Action, Answer, Component, StepId};
use crate::model::unit::Timestamp;
use crate::watches::Gallery;
use crate::work::record::Effect;
use crate::work::seam::{Errand, Surroundings};

/// After the end of a permit an agent that came for its order in time has said so.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// A node that is busy with an order of ours is asked again this soon at the latest.
const AGAIN: Duration = Duration::from_secs(1);

/// Chooses the package of a component for a node, by its os-release, in exactly this version.
pub type Choose = Arc<dyn Fn(&str, order::Component, &str) -> Result<Artefact, String> + Send + Sync>;

/// What must be known of a node to tell its agent what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Site {
    /// The lines of its os-release.
    pub os: String,
    /// Its MDM has the smaller role, which is another component of the same package.
    pub breaks_ties: bool,
    /// Where clients find the MDM.
    pub managers: Vec<IpAddr>,
}

/// What an agent shall make so for an action, in this order. The error says why that cannot be told.
pub fn tasks(action: &Action, boot_id: &str, site: &Site, choose: &Choose) -> Result<Vec<Task>, String> {
    let packages = |version: &str, components: &[Component]| {
        let all = components.iter().map(|component| {
            let component = of_agents(*component, site)?;
            Ok((component, choose(&site.os, component, version)?))
        });
        all.collect::<Result<Vec<_>, String>>()
    };
    let install = |(component, artefact)| Install { component, artefact, mdms: site.managers.clone() };
    match action {
        Action::Stage { version, components } => {
            let artefacts = packages(version, components)?.into_iter().map(|(_, artefact)| artefact).collect();
            Ok(vec![Task::Stage { artefacts }])
        }
        Action::Apply { version, components } => {
            Ok(packages(version, components)?.into_iter().map(install).map(Task::Install).collect())
        }
        Action::Rollback { version, components } => {
            Ok(packages(version, components)?.into_iter().map(install).map(Task::PutBack).collect())
        }
        Action::Uninstall { components } => {
            let all = components.iter().map(|component| Ok(Task::Remove { component: of_agents(*component, site)? }));
            all.collect()
        }
        Action::Reboot => Ok(vec![Task::Reboot { boot_id: boot_id.to_owned() }]),
        Action::Drain
        | Action::SwitchMdm
        | Action::AddMember
        | Action::SwitchClusterMode { .. }
        | Action::AddSds
        | Action::AddDevice { .. }
        | Action::EnterMaintenance { .. }
        | Action::Handwork
        | Action::Verify { .. }
        | Action::ExitMaintenance
        | Action::AwaitResync
        | Action::Reactivate
        | Action::Soak { .. }
        | Action::Evacuate
        | Action::KeepSds
        | Action::RemoveSdc { .. }
        | Action::Vendor { .. }
        | Action::Finalise => Err(format!("{} is nothing that the agent of a node does", action.kind())),
    }
}

/// A component as agents call it.
fn of_agents(component: Component, site: &Site) -> Result<order::Component, String> {
    match component {
        Component::Mdm if site.breaks_ties => Ok(order::Component::Tb),
        Component::Mdm => Ok(order::Component::Mdm),
        Component::Sds => Ok(order::Component::Sds),
        Component::Sdc => Ok(order::Component::Sdc),
        Component::Lia => Ok(order::Component::Lia),
        Component::Gateway => Ok(order::Component::Gateway),
        Component::Sdr | Component::Sdt => Err(format!("agents of this release have no recipe for {component}")),
    }
}

/// How long an action may take once its agent has begun: less than the work waits for it to be seen.
const fn within_s(action: &Action) -> u32 {
    match action {
        Action::Stage { .. } | Action::Reboot => 25 * 60,
        _ => 9 * 60,
    }
}

/// The orders for a permit. An action that takes several is numbered by what each is about.
pub fn orders(permit: &Permit, tasks: Vec<Task>, lia: Option<&Secret>) -> Vec<Order> {
    let several = tasks.len() > 1;
    let id = |task: &Task| match task {
        Task::Install(install) | Task::PutBack(install) if several => format!("{}+{}", permit.step, install.component),
        Task::Remove { component } if several => format!("{}+{component}", permit.step),
        _ => permit.step.to_string(),
    };
    let order = |task: Task| Order {
        id: OrderId::new(id(&task)),
        epoch: permit.epoch,
        expires: permit.expires,
        within_s: within_s(&permit.action),
        secrets: secrets(&task, lia),
        task,
    };
    tasks.into_iter().map(order).collect()
}

/// What only the agent may read: the installation of LIA asks for its token.
fn secrets(task: &Task, lia: Option<&Secret>) -> Secrets {
    let asks = match task {
        Task::Install(install) | Task::PutBack(install) => install.component == order::Component::Lia,
        _ => false,
    };
    let lia_token = lia.filter(|_| asks).map(|token| Hidden::new(token.reveal()));
    Secrets { lia_token, ..Secrets::default() }
}

/// What an agent's end of an order says of the effect.
pub fn answer(finished: Finished) -> Answer {
    match finished.outcome {
        Outcome::AlreadySo => Answer::AlreadySo,
        Outcome::Done => Answer::Accepted,
        Outcome::Failed { why } => Answer::Failed { why: why.into() },
        Outcome::Refused { why } => Answer::Refused { why: why.into() },
        Outcome::Unknown => Answer::Unknown { why: "the agent said what this release does not know".into() },
    }
}

/// Whoever has the effects of one system on nodes, by their agents.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Foreman {
    pub system: SystemId,
    pub crew: Crew,
    pub gallery: Gallery,
    pub around: watch::Receiver<Arc<Surroundings>>,
    pub choose: Choose,
    /// Where clients find an MDM cluster.
    pub managers: fn(&MdmCluster) -> Vec<IpAddr>,
    /// The token of LIA; none: it was not told to us.
    pub lia: Option<Secret>,
    /// Who has what in hand.
    pub in_hand: watch::Sender<InHand>,
}

/// The step that each node has in hand, until the work was told what came of it. A node that shows the effect of a step
/// while that is not over may still fail it.
pub type InHand = BTreeMap<NodeName, StepId>;

impl Foreman {
    /// The loop. Orders that are laid out stay so when it is told to stop: the next life looks what came of them.
    pub async fn run(self, mut errands: mpsc::UnboundedReceiver<Errand>, stop: CancellationToken) {
        let this = Arc::new(self);
        let mut at_work = JoinSet::new();
        let mut around = this.around.clone();
        let mut told = BTreeSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = around.changed(), if this.lia.is_some() => this.tell_secrets(&mut told).await,
                Some(_) = at_work.join_next() => {}
                errand = errands.recv() => match errand {
                    Some(errand) => {
                        let this = Arc::clone(&this);
                        at_work.spawn(async move {
                            let node = this.take_in_hand(&errand);
                            let answer = this.carry_out(&errand).await;
                            errand.answer(answer);
                            this.in_hand.send_modify(|all| {
                                let node = node.filter(|node| all.get(node) == Some(&errand.step));
                                drop(node.and_then(|node| all.remove(&node)));
                            });
                        });
                    }
                    None => return,
                },
            }
        }
    }

    /// Orders that lie without their secrets since a restart, which nobody has stored, are laid out once more.
    async fn tell_secrets(&self, told: &mut BTreeSet<OrderId>) {
        let members = Arc::clone(&self.crew.members().borrow());
        let own: Vec<NodeName> = self.around.borrow().addresses.keys().cloned().collect();
        for member in own.iter().filter_map(|node| members.get(node)) {
            let lies = member.order.as_ref().filter(|order| member.has_secrets && is_ours(&order.id));
            let Some(order) = lies.filter(|order| told.insert(order.id.clone())) else { continue };
            let order = Order { secrets: secrets(&order.task, self.lia.as_ref()), ..order.clone() };
            // One that was given in this life has them; it is the same order then.
            if let Err(why) = self.crew.lay_out(&member.node, order).await {
                info!(node = %member.node, %why, "an order was not told its secrets");
            }
        }
    }

    fn take_in_hand(&self, errand: &Errand) -> Option<NodeName> {
        let Effect::Order { permit, .. } = &errand.effect else { return None };
        self.in_hand.send_modify(|all| drop(all.insert(permit.node.clone(), errand.step.clone())));
        Some(permit.node.clone())
    }

    async fn carry_out(&self, errand: &Errand) -> Answer {
        let Effect::Order { permit, boot_id } = &errand.effect else {
            return Answer::Refused { why: "not for the agent of a node".into() };
        };
        let orders = match tasks(&permit.action, boot_id, &self.site(&permit.node), &self.choose) {
            Ok(tasks) => orders(permit, tasks, self.lia.as_ref()),
            Err(why) => return Answer::Refused { why: why.into() },
        };
        let mut all = Answer::AlreadySo;
        for order in orders {
            info!(node = %permit.node, order = %order.id, task = order.task.name(), "an agent gets an order of the work");
            match self.order(errand, permit, order).await {
                Answer::AlreadySo => {}
                Answer::Accepted => all = Answer::Accepted,
                other => return other,
            }
        }
        all
    }

    /// Lays an order out, and waits until it is known what came of it.
    async fn order(&self, errand: &Errand, permit: &Permit, order: Order) -> Answer {
        let (node, id) = (&permit.node, order.id.clone());
        if let Some(old) = self.overtaken(node, &id)
            && let Err(why) = self.crew.take_back(node, &old).await
        {
            return not_taken(&why);
        }
        let mut news = self.crew.members();
        let pending = loop {
            news.mark_unchanged();
            match self.crew.lay_out(node, order.clone()).await {
                Ok(pending) => break pending,
                // What was cancelled or given up is brought to its end first: its way back is behind it.
                Err(NotTaken::Busy { with, .. }) if is_ours(&with) && clock::now() < permit.expires => {
                    let _ = tokio::time::timeout(AGAIN, news.changed()).await;
                }
                Err(why) => return not_taken(&why),
            }
        };
        let outcome = pending.outcome();
        tokio::pin!(outcome);
        tokio::select! {
            finished = &mut outcome => ended(finished),
            () = self.begun(node, &id) => {
                // Not before: what only lies here may be fetched yet, and the work waits for that.
                errand.answer(Answer::Accepted);
                ended(outcome.await)
            }
            () = until(permit.expires + GRACE) => {
                match self.crew.take_back(node, &id).await {
                    // It may have begun, and be cut off since: the node itself will show it.
                    Ok(true) => Answer::Unknown { why: format!("the agent of {node} did not come for it").into() },
                    Ok(false) => ended(outcome.await),
                    Err(why) => not_taken(&why),
                }
            }
        }
    }

    /// Waits until the agent of a node says that it is at work on an order.
    async fn begun(&self, node: &NodeName, id: &OrderId) {
        let mut news = self.crew.members();
        let at_it = |all: &Members| all.get(node).is_some_and(|member| member.working_on.as_ref() == Some(id));
        if news.wait_for(|all| at_it(all)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// An order of the work that is laid out and not begun, in whose place another one comes.
    fn overtaken(&self, node: &NodeName, by: &OrderId) -> Option<OrderId> {
        let member = self.crew.member(node)?;
        let open = member.order.as_ref().map(|order| &order.id).filter(|open| *open != by)?;
        (is_ours(open) && member.working_on.as_ref() != Some(open)).then(|| open.clone())
    }

    fn site(&self, node: &NodeName) -> Site {
        let host = self.crew.member(node).and_then(|member| member.host.clone());
        let own = self.around.borrow().addresses.get(node).cloned().unwrap_or_default();
        let snapshot = self.gallery.of(&self.system).and_then(|picture| picture.snapshot.clone());
        let cluster = snapshot.as_ref().and_then(|snapshot| snapshot.array.as_ref()?.mdm.as_ref());
        Site {
            os: host.map(|host| host.os).unwrap_or_default(),
            breaks_ties: cluster.is_some_and(|cluster| breaks_ties(cluster, &own)),
            managers: cluster.map(self.managers).unwrap_or_default(),
        }
    }
}

/// Whether an order is one of the work.
fn is_ours(id: &OrderId) -> bool {
    StepId::read(id.as_str()).is_some()
}

/// Whether the member of the cluster that has one of these addresses is a tie-breaker.
fn breaks_ties(cluster: &MdmCluster, own: &BTreeSet<Box<str>>) -> bool {
    let here = cluster.members.iter().find(|member| member.ips.iter().any(|ip| own.contains(ip)));
    here.is_some_and(|member| matches!(member.role, MdmRole::TieBreaker | MdmRole::StandbyTieBreaker))
}

fn ended(finished: Result<Finished, NotTaken>) -> Answer {
    match finished {
        Ok(finished) => answer(finished),
        Err(_) => Answer::Unknown { why: "the order was taken back, or the controller ends".into() },
    }
}

fn not_taken(why: &NotTaken) -> Answer {
    match why {
        NotTaken::Ending => Answer::Unknown { why: why.to_string().into() },
        NotTaken::Busy { .. } | NotTaken::Reused { .. } | NotTaken::NotStored { .. } | NotTaken::Stranger { .. } => {
            Answer::Refused { why: why.to_string().into() }
        }
    }
}

async fn until(moment: Timestamp) {
    tokio::time::sleep((moment - clock::now()).to_std().unwrap_or_default()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RunId;
    use crate::model::step::MaintenanceMode;

    fn choose() -> Choose {
        Arc::new(|os, component, version| match os {
            "centos" => {
                Ok(Artefact { name: format!("{component}-{version}.rpm"), sha256: "0".into(), size: 1, url: None })
            }
            other => Err(format!("no package of {component} {version} for {other}")),
        })
    }

    fn site() -> Site {
        Site { os: "centos".into(), breaks_ties: false, managers: vec!["10.0.0.1".parse().unwrap()] }
    }

    fn permit(action: Action) -> Permit {
        let step = StepId { run: RunId::new("run-0001"), task: 3, place: 2, attempt: 1 };
        let (node, expires) = (NodeName::new("n1"), Timestamp::from_timestamp(60, 0).unwrap());
        Permit { node, step, action, epoch: 7, gate: "".into(), expires }
    }

    fn names(tasks: &[Task]) -> Vec<String> {
        let told = tasks.iter().map(|task| match task {
            Task::Stage { artefacts } => {
                format!("stage {}", artefacts.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(" "))
            }
            Task::Install(install) | Task::PutBack(install) => {
                format!("{} {} {}", task.name(), install.component, install.artefact.name)
            }
            Task::Reboot { boot_id } => format!("reboot {boot_id}"),
            other => other.name().to_owned(),
        });
        told.collect()
    }

    #[test]
    fn each_action_of_an_agent_becomes_its_tasks_and_others_are_refused() {
        let of = |action: Action, site: &Site| tasks(&action, "b1", site, &choose()).map(|tasks| names(&tasks));
        let (version, both): (Box<str>, _) = ("R3_6.1.2".into(), vec![Component::Mdm, Component::Sds]);
        let stage = Action::Stage { version: version.clone(), components: both.clone() };
        assert_eq!(of(stage, &site()).unwrap(), ["stage mdm-R3_6.1.2.rpm sds-R3_6.1.2.rpm"]);
        let apply = Action::Apply { version: version.clone(), components: both };
        let told = of(apply.clone(), &site()).unwrap();
        assert_eq!(told, ["install mdm mdm-R3_6.1.2.rpm", "install sds sds-R3_6.1.2.rpm"]);
        let breaker = Site { breaks_ties: true, ..site() };
        assert_eq!(of(apply.clone(), &breaker).unwrap()[0], "install tb tb-R3_6.1.2.rpm");
        let back = Action::Rollback { version: version.clone(), components: vec![Component::Sdc] };
        assert_eq!(of(back, &site()).unwrap(), ["put_back sdc sdc-R3_6.1.2.rpm"]);
        assert_eq!(of(Action::Reboot, &site()).unwrap(), ["reboot b1"]);
        let elsewhere = Site { os: "debian".into(), ..site() };
        assert!(of(apply, &elsewhere).unwrap_err().contains("no package of mdm R3_6.1.2 for debian"));
        let later = Action::Apply { version, components: vec![Component::Sdt] };
        assert!(of(later, &site()).unwrap_err().contains("no recipe for sdt"));
        for other in [Action::Drain, Action::EnterMaintenance { mode: MaintenanceMode::Instant }, Action::Finalise] {
            assert!(of(other, &site()).is_err());
        }
    }

    #[test]
    fn an_order_has_the_permit_s_step_epoch_and_end_and_several_have_names_of_one_step() {
        let one = permit(Action::Reboot);
        let made = orders(&one, tasks(&one.action, "b1", &site(), &choose()).unwrap(), None);
        let [order] = &made[..] else { panic!("{made:?}") };
        assert_eq!((order.id.as_str(), order.epoch, order.expires), ("run-0001/3/2/1", 7, one.expires));
        assert_eq!(StepId::read(order.id.as_str()), Some(one.step));
        let both = permit(Action::Apply { version: "1.2".into(), components: vec![Component::Sds, Component::Sdc] });
        let made = orders(&both, tasks(&both.action, "b1", &site(), &choose()).unwrap(), None);
        assert_eq!(
            made.iter().map(|order| order.id.as_str()).collect::<Vec<_>>(),
            ["run-0001/3/2/1+sds", "run-0001/3/2/1+sdc"]
        );
        assert!(made.iter().all(|order| StepId::read(order.id.as_str()) == Some(both.step.clone())));
        let away = permit(Action::Uninstall { components: vec![Component::Sds, Component::Sdc] });
        let made = orders(&away, tasks(&away.action, "b1", &site(), &choose()).unwrap(), None);
        assert_eq!(
            made.iter().map(|order| order.id.as_str()).collect::<Vec<_>>(),
            ["run-0001/3/2/1+sds", "run-0001/3/2/1+sdc"]
        );
    }

    #[test]
    fn the_token_of_lia_goes_with_lia_alone() {
        let both = permit(Action::Apply { version: "1.2".into(), components: vec![Component::Lia, Component::Sds] });
        let tasks = || tasks(&both.action, "b1", &site(), &choose()).unwrap();
        let token = Secret::new("token-1");
        let told: Vec<bool> =
            orders(&both, tasks(), Some(&token)).iter().map(|order| !order.secrets.is_empty()).collect();
        assert_eq!(told, [true, false]);
        assert!(orders(&both, tasks(), None).iter().all(|order| order.secrets.is_empty()));
    }

    #[test]
    fn what_came_of_an_order_says_whether_it_happened() {
        let of = |outcome| {
            let at = Timestamp::from_timestamp(1, 0).unwrap();
            answer(Finished { id: OrderId::new("x"), outcome, at, found: Default::default() })
        };
        assert_eq!(of(Outcome::Done), Answer::Accepted);
        assert_eq!(of(Outcome::AlreadySo), Answer::AlreadySo);
        assert_eq!(of(Outcome::Failed { why: "x".into() }), Answer::Failed { why: "x".into() });
        assert_eq!(of(Outcome::Refused { why: "x".into() }), Answer::Refused { why: "x".into() });
        assert!(matches!(of(Outcome::Unknown), Answer::Unknown { .. }));
    }
}
