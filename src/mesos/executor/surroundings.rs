//! What does an agent tell the executor that it starts? Its environment.

use std::time::Duration;

use crate::config::Secret;
use crate::model::id::{ExecutorId, FrameworkId};

/// Where an executor stands.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Surroundings {
    pub framework: FrameworkId,
    pub executor: ExecutorId,
    /// `host:port` of the agent.
    pub agent: String,
    /// Whether it may outlive a restart of the agent.
    pub checkpoint: bool,
    /// How long it waits for an agent that is away.
    pub recovery_timeout: Duration,
    /// The longest pause between two tries to subscribe.
    pub backoff_max: Duration,
    /// How long it has to end.
    pub grace: Duration,
    /// For agents that ask executors for it.
    pub token: Option<Secret>,
}

/// A variable is missing or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SurroundingsError {
    #[error("{name} is not set: this command is run by a Mesos agent, not by hand")]
    Missing { name: &'static str },
    #[error("{name} is {value:?}, which is no duration of Mesos such as \"15mins\"")]
    Duration { name: &'static str, value: String },
}

impl Surroundings {
    /// Reads the environment.
    pub fn read(variables: &[(String, String)]) -> Result<Self, SurroundingsError> {
        let get = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let need =
            |name: &'static str| get(name).filter(|value| !value.is_empty()).ok_or(SurroundingsError::Missing { name });
        let span = |name: &'static str, default: u64| match get(name) {
            None => Ok(Duration::from_secs(default)),
            Some(value) => {
                parse_duration(value).ok_or_else(|| SurroundingsError::Duration { name, value: value.to_owned() })
            }
        };
        Ok(Self {
            framework: FrameworkId::new(need("MESOS_FRAMEWORK_ID")?),
            executor: ExecutorId::new(need("MESOS_EXECUTOR_ID")?),
            agent: need("MESOS_AGENT_ENDPOINT")?.to_owned(),
            checkpoint: get("MESOS_CHECKPOINT") == Some("1"),
            // The defaults are those of the agent.
            recovery_timeout: span("MESOS_RECOVERY_TIMEOUT", 15 * 60)?,
            backoff_max: span("MESOS_SUBSCRIPTION_BACKOFF_MAX", 2)?,
            grace: span("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", 5)?,
            token: get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN").map(Secret::new),
        })
    }
}

/// A number with a unit of Mesos.
fn parse_duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let base =
            [("MESOS_FRAMEWORK_ID", "F"), ("MESOS_EXECUTOR_ID", "E"), ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051")];
        base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_environment_of_an_agent_is_read() {
        let found = Surroundings::read(&variables(&[
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "15mins"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2.5secs"),
            ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "hunter2"),
        ]))
        .unwrap();
        assert!(found.checkpoint);
        assert_eq!(found.recovery_timeout, Duration::from_secs(900));
        assert_eq!(found.backoff_max, Duration::from_millis(2500));
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn who_runs_it_by_hand_is_told_so() {
        let error = Surroundings::read(&[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "MESOS_FRAMEWORK_ID is not set: this command is run by a Mesos agent, not by hand"
        );
        for bad in ["", "5", "5m", "x5secs", "-1secs"] {
            assert!(Surroundings::read(&variables(&[("MESOS_RECOVERY_TIMEOUT", bad)])).is_err(), "{bad}");
        }
    }
}
