//! What a node's owner wants to be asked before a step and told after it.
//!
//! A hook is a program on the node, `before-TASK` or `after-TASK` in the
//! folder below. The controller never sends one. It has five minutes; whatever
//! it does but end with 0 stops the step, and so does a hook that somebody
//! else than root could have written. After a crash it may be run again.

use std::time::Duration;

use super::host::{Call, Host};
use crate::model::order::{Hidden, Order, Task};

/// Where hooks are.
pub const FOLDER: &str = "/etc/scaleio-framework/hooks";

/// Long enough to move a service away, short enough to be noticed when it hangs.
const WITHIN: Duration = Duration::from_secs(5 * 60);

/// Before or after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the node is changed.
    Before,
    /// After it was seen to be as ordered.
    After,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Whether root alone can write it and its folder.
    pub by_root_alone: bool,
    /// Whether it is a file that can be run.
    pub is_program: bool,
}

/// Runs the hook of a step, if there is one. The error stops the step.
pub fn run(when: When, order: &Order, host: &mut dyn Host) -> Result<(), String> {
    let before = if when == When::Before { "before" } else { "after" };
    let path = format!("{FOLDER}/{before}-{}", order.task.name());
    let owned = match host.owned(&path) {
        Ok(None) => return Ok(()),
        Ok(Some(owned)) => owned,
        Err(error) => return Err(format!("the hook {path} cannot be looked at: {error}")),
    };
    if !owned.is_program {
        return Err(format!("the hook {path} is no program; make it executable, or take it away"));
    }
    if !owned.by_root_alone {
        return Err(format!(
            "the hook {path} could have been written by others than root; chown it to root and chmod it to 0755"
        ));
    }
    let mut env = vec![("SIO_ORDER", order.id.to_string()), ("SIO_TASK", order.task.name().to_owned())];
    if let Some(component) = component(&order.task) {
        env.push(("SIO_COMPONENT", component));
    }
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), Hidden::new(value))).collect();
    let call = Call { env, within: WITHIN, ..Call::new(&path, []) };
    match host.run(&call) {
        Ok(output) if output.is_good() => Ok(()),
        Ok(output) => Err(format!("the hook {path} said no: {}", output.last_words())),
        Err(error) => Err(format!("the hook {path} failed: {error}")),
    }
}

fn component(task: &Task) -> Option<String> {
    match task {
        Task::Install(install) | Task::InstallBare { install, .. } | Task::PutBack(install) => {
            Some(install.component.to_string())
        }
        Task::Remove { component } | Task::Service { component, .. } => Some(component.to_string()),
        Task::ConnectSdc { .. } => Some("sdc".to_owned()),
        Task::Mdm(_) | Task::MdmRole { .. } => Some("mdm".to_owned()),
        Task::LinkLia { .. } => Some("lia".to_owned()),
        Task::ConnectGateway { .. } => Some("gateway".to_owned()),
        Task::MesosVolumes(_) | Task::MesosPutBack => Some("mesos".to_owned()),
        Task::ConsumeVolumes(_) => Some("volumes".to_owned()),
        Task::Preflight(_)
        | Task::Stage { .. }
        | Task::Prerequisites { .. }
        | Task::JudgeDisks { .. }
        | Task::Reboot { .. }
        | Task::RenewAgent { .. }
        | Task::Unknown => None,
    }
}
