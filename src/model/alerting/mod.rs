//! What is wrong, and what is said about it: alerts, the set of those that
//! fire, and the notifications that tell people.
//!
//! The engine makes [`Alert`]s and decides which [`Notification`] is due; the
//! outbox keeps a notification until every receiver has it; a mail or a
//! webhook is only a rendering of one. All of it is stored as JSON, so fields
//! may be added with a default, and never change their meaning.

mod alert;
mod handling;
mod matcher;
mod notification;
mod number;
mod report;
mod threshold;
mod underway;

pub use alert::{Alert, AlertState, Annotations, Fingerprint, FiringSet, Labels, Reading, Severity, Source, Unit};
pub use handling::{Acknowledgement, Silence, SilenceId, Via};
pub use matcher::{BadMatcher, Matcher, all_accept};
pub use notification::{
    Affected, BadId, Change, Chart, GroupKey, Held, HoldReason, Item, Kind, Links, MessageId, Notification,
    NotificationId, Outlook, Thread,
};
pub use number::Number;
pub use report::{Incident, PoolReport, RebuildReport, Report};
pub use threshold::{Measure, THRESHOLDS, Threshold};
pub use underway::{StepKind, Touched, Underway};
