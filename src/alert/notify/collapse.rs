//! What does one mail say for many groups: in a storm, after the quiet hours, or
//! when the hour's mails are used up?

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::group::{Due, What};
use super::memory::{Memory, Storm};
use super::mute::View;
use super::policy::Policy;
use super::route::GroupId;
use super::write;
use crate::config::Route;
use crate::model::alerting::{Fingerprint, GroupKey, Item, Kind, MessageId, Notification, Severity, Thread};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

/// Mails of one storm that lasts are one thread; a storm after so long is another one.
const STORM_THREAD: TimeDelta = TimeDelta::hours(6);

/// Groups of which all is remembered that a later mail may say; of more, only what fits into one commit.
const IN_FULL: usize = 4;

/// Why many groups are told in one mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The quiet hours are over.
    Morning,
    /// There are too many of them, or too many mails.
    Storm,
}

/// Tells of all these groups in one notification, with what was held back of the route.
pub(super) fn tell(
    now: Timestamp,
    due: &[(GroupId, Due)],
    why: Why,
    view: &View<'_>,
    policy: &Policy,
    route: &Route,
    memory: &mut Memory,
) -> Notification {
    let mut items: Vec<Item> = Vec::new();
    let mut untold = 0;
    let mut seen: BTreeSet<Fingerprint> = BTreeSet::new();
    for (id, due) in due {
        let (some, more) = write::news(now, id, *due, view, memory);
        untold += more;
        items.extend(some.into_iter().filter(|item| seen.insert(item.alert.fingerprint())));
    }
    let fires = |severity: Severity| {
        let alerts = items.iter().filter(|item| !item.alert.is_resolved() && item.alert.severity == severity);
        u32::try_from(alerts.count()).unwrap_or(u32::MAX)
    };
    let kind = match why {
        Why::Morning => Kind::Digest,
        Why::Storm if items.iter().all(|item| item.alert.is_resolved()) => Kind::Resolved,
        Why::Storm => {
            let [critical, warning, info] = Severity::ALL.map(fires);
            Kind::Storm { critical, warning, info }
        }
    };
    let mut n = write::empty(now, kind, key(due), route, memory);
    let message = MessageId::of(&n.id, &policy.domain);
    if why == Why::Storm {
        let busy = memory.busy(&route.name);
        let open = busy.storm.take().filter(|storm| now - storm.at < STORM_THREAD);
        let root = open.as_ref().map_or_else(|| message.clone(), |storm| storm.root.clone());
        if let Some(storm) = open {
            n.thread = Thread::Reply { root: storm.root, last: storm.last };
        }
        busy.storm = Some(Storm { root, last: message.clone(), at: now });
    }
    let mut escalated = false;
    let full = due.len() <= IN_FULL;
    for (id, due) in due {
        escalated |= memory.groups.get(id).is_some_and(|group| group.escalated.is_some());
        // Each group goes on in its own thread, and one without a thread in this one.
        let own = memory
            .groups
            .get(id)
            .and_then(|group| group.open_thread(now))
            .map(|begun| Thread::Reply { root: begun.root.clone(), last: begun.last.clone() });
        let thread = own.unwrap_or_else(|| n.thread.clone());
        write::remember(now, id, *due, view, memory, &thread, &message, full);
    }
    if escalated {
        write::further(&mut n.recipients, route);
    }
    write::fill(&mut n, items, untold);
    write::lately(&mut n, view, route, memory);
    n
}

/// What the groups have in common.
fn key(due: &[(GroupId, Due)]) -> GroupKey {
    let systems: BTreeSet<Option<&SystemId>> = due.iter().map(|(id, _)| id.key.system.as_ref()).collect();
    let areas: BTreeSet<&str> = due.iter().map(|(id, _)| id.key.area.as_str()).collect();
    let system = systems.first().copied().flatten().filter(|_| systems.len() == 1);
    let area = areas.first().filter(|_| areas.len() == 1).copied().unwrap_or(GroupKey::SEVERAL);
    GroupKey::new(system.cloned(), area)
}

/// Whether a group has news, and is not only told again.
pub(super) fn is_news(due: Due) -> bool {
    match due.what {
        What::Firing | What::Update | What::Resolved | What::Flapping => true,
        What::Reminder | What::Escalation => false,
    }
}
