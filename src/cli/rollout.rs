//! `sio rollout`: what only a person may decide about the rollout, and `sio
//! nodes`: how far each node is and why it is no further.

use std::fmt::Write as _;
use std::path::Path;

use clap::Subcommand;
use serde::Deserialize;

use super::controller::{AskError, Asker, Question, Where, ask, tame};
use crate::model::id::{NodeName, SystemId};
use crate::model::preflight::Row;
use crate::model::rollout::RolloutOrder;
use crate::model::unit::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Lets nodes of a system be changed: those that are there, and those that join later
    Approve {
        /// The system
        system: String,
        /// Who says so [default: the user that runs this]
        #[arg(long)]
        by: Option<String>,
        #[command(flatten)]
        whom: Where,
    },
    /// Begins nothing more; what is under way is ended
    Withdraw {
        /// The system
        system: String,
        /// Who says so [default: the user that runs this]
        #[arg(long)]
        by: Option<String>,
        #[command(flatten)]
        whom: Where,
    },
    /// Gives up a member of the MDM cluster whose host is gone for good: another node takes its place
    GiveUp {
        /// The node
        node: String,
        /// Who says so [default: the user that runs this]
        #[arg(long)]
        by: Option<String>,
        #[command(flatten)]
        whom: Where,
    },
    /// Tries a node again that has failed
    Retry {
        /// The node
        node: String,
        #[command(flatten)]
        whom: Where,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Adopt {
    /// Who says so [default: the user that runs this]
    #[arg(long)]
    by: Option<String>,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Nodes {
    /// Only this node, with the table of what was found of it before it was touched
    node: Option<String>,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

pub(super) async fn rollout(what: Rollout, asker: &mut Asker<'_>) -> u8 {
    let user = |by: Option<String>, asker: &Asker<'_>| -> Box<str> {
        let name = asker.name(by);
        if name.is_empty() { "somebody".into() } else { name.into() }
    };
    let (order, whom) = match what {
        Rollout::Approve { system, by, whom } => {
            (RolloutOrder::Approve { system: SystemId::new(&system), by: user(by, asker) }, whom)
        }
        Rollout::Withdraw { system, by, whom } => {
            (RolloutOrder::Withdraw { system: SystemId::new(&system), by: user(by, asker) }, whom)
        }
        Rollout::GiveUp { node, by, whom } => {
            (RolloutOrder::GiveUp { node: NodeName::new(&node), by: user(by, asker) }, whom)
        }
        Rollout::Retry { node, whom } => (RolloutOrder::Retry { node: NodeName::new(&node) }, whom),
    };
    asker.json = true;
    let question = Question::post("/api/v1/rollout/orders", &order);
    asker.show(&whom, &question, |(): ()| String::new()).await
}

/// The agents that were taken over.
#[derive(Deserialize)]
struct Adopted {
    nodes: Vec<String>,
}

pub(super) async fn adopt(arguments: Adopt, asker: &mut Asker<'_>) -> u8 {
    let Adopt { by, json, whom } = arguments;
    asker.json = json;
    let by = asker.name(by);
    let by = if by.is_empty() { "somebody".to_owned() } else { by };
    let question = Question::post("/api/v1/agents/adopt", &serde_json::json!({ "by": by }));
    let told = |adopted: Adopted| {
        let names: Vec<String> = adopted.nodes.iter().map(|node| tame(node)).collect();
        format!("taken over: {}\n", names.join(", "))
    };
    asker.show(&whom, &question, told).await
}

/// What is shown of a node; more may be said of it.
#[derive(Deserialize)]
struct Node {
    node: String,
    #[serde(default)]
    system: Option<String>,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    since: Option<Timestamp>,
    #[serde(default)]
    because: Vec<String>,
    #[serde(default)]
    agent: Option<Agent>,
    #[serde(default)]
    preflight: Vec<Row>,
}

#[derive(Deserialize)]
struct Agent {
    seen_at: Option<Timestamp>,
    #[serde(default)]
    release: String,
}

pub(super) async fn nodes(arguments: Nodes, asker: &mut Asker<'_>) -> u8 {
    let Nodes { node, json, whom } = arguments;
    asker.json = json;
    let render = |nodes: Vec<Node>| match &node {
        None => render(nodes.iter()),
        Some(only) => {
            let one: Vec<&Node> = nodes.iter().filter(|one| *only == one.node).collect();
            let table = one.first().filter(|one| !one.preflight.is_empty());
            let table = table.map(|one| format!("\n{}", super::node::render(&one.preflight)));
            render(one.into_iter()) + &table.unwrap_or_default()
        }
    };
    asker.show(&whom, &Question::get("/api/v1/nodes"), render).await
}

/// Nodes that are no further, with the reasons; nothing where no node works for the controller.
pub(super) async fn unready(
    whom: &Where,
    file: Option<&Path>,
    variables: &[(String, String)],
) -> Result<String, AskError> {
    let (at, body) = match ask(whom, &Question::get("/api/v1/nodes"), file, variables).await {
        Ok(answered) => answered,
        Err(AskError::Refused { status: 404, .. }) => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let nodes: Vec<Node> = serde_json::from_slice(&body).map_err(|source| AskError::Strange { at, source })?;
    let is_unready = |node: &&Node| node.phase.as_deref().is_some_and(|phase| phase != "ready");
    let unready: Vec<&Node> = nodes.iter().filter(is_unready).collect();
    Ok(if unready.is_empty() { String::new() } else { format!("\n{}", render(unready.into_iter())) })
}

fn render<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut text = String::new();
    for node in nodes {
        let phase = node.phase.as_deref().unwrap_or("not rolled out");
        let _ = write!(text, "{}  {}", tame(&node.node), tame(phase));
        if let Some(system) = &node.system {
            let _ = write!(text, "  system {}", tame(system));
        }
        if let Some(since) = &node.since {
            let _ = write!(text, "  since {}", since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        }
        match &node.agent {
            Some(Agent { seen_at: Some(at), release }) => {
                let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                let _ = write!(text, "  agent {} heard {at}", tame(release));
            }
            Some(_) | None => text.push_str("  agent not heard"),
        }
        text.push('\n');
        for why in &node.because {
            let _ = writeln!(text, "    {}", tame(why));
        }
    }
    if text.is_empty() {
        text.push_str("no such node\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_says_how_far_it_is_and_why_and_hostile_names_are_tamed() {
        let text =
            r#"[{"node":"n1","system":"prod","phase":"failed","because":["no disk\u001b[31m"],"new":1},{"node":"n2"}]"#;
        let nodes: Vec<Node> = serde_json::from_str(text).unwrap();
        let shown = render(nodes.iter());
        assert!(shown.starts_with("n1  failed  system prod  agent not heard\n    no disk"), "{shown}");
        assert!(shown.contains("n2  not rolled out") && !shown.contains('\u{1b}'), "{shown:?}");
        assert_eq!(render([].iter()), "no such node\n");
    }
}
