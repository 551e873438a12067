//! `sio plan`: what would be done, before anything is.

use std::fmt::Write as _;

use clap::Subcommand;

use super::controller::{Asker, Question, Where, path_part, tame};
use crate::model::rollout::{MdmPreview, Preview};

#[derive(Debug, Subcommand)]
pub(super) enum Plan {
    /// Shows what a rollout would add to a system now, what differs, and which nodes are left out and why
    Rollout {
        /// The system
        system: String,
        /// Print the answer as it came
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whom: Where,
    },
    #[command(flatten)]
    Work(super::work::Planned),
}

pub(super) async fn plan(what: Plan, asker: &mut Asker<'_>) -> u8 {
    let (system, json, whom) = match what {
        Plan::Rollout { system, json, whom } => (system, json, whom),
        Plan::Work(what) if what.is_order() => {
            let text = "to take a maintenance over is an order, and no plan; leave the word plan out";
            return super::fail(&anyhow::anyhow!(text));
        }
        Plan::Work(what) => return super::work::planned(what, asker).await,
    };
    asker.json = json;
    let path = format!("/api/v1/systems/{}/rollout", path_part(&system));
    asker.show(&whom, &Question::get(&path), |preview: Preview| render(&preview)).await
}

/// One block for each question that has an answer.
fn render(preview: &Preview) -> String {
    let mut text = String::new();
    let mut block = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            let _ = writeln!(text, "{title}:");
            for line in lines {
                let _ = writeln!(text, "  {}", tame(line));
            }
        }
    };
    if let Some(unseen) = &preview.unseen {
        block("not known", std::slice::from_ref(unseen));
    }
    block("to be done, in this order", &preview.additions);
    block("differs, and is left alone", &preview.drift);
    let progress: Vec<String> = preview.progress.iter().map(|(node, how)| format!("{node} is {how}")).collect();
    block("nodes", &progress);
    let alone: Vec<String> = preview
        .left_alone
        .iter()
        .flat_map(|(node, disks)| disks.iter().map(move |disk| format!("{node} {disk}")))
        .collect();
    block("disks that are left alone", &alone);
    let refused: Vec<String> =
        preview.refused.iter().flat_map(|(node, why)| why.iter().map(move |why| format!("{node} {why}"))).collect();
    block("left out", &refused);
    let idle: Vec<String> = preview.idle.iter().map(|(node, why)| format!("{node}: {why}")).collect();
    block("gives no storage", &idle);
    if let Some(MdmPreview { seats, missing, warnings, unproven, waits }) = &preview.mdm {
        let seats: Vec<String> = seats.iter().map(|(node, seat)| format!("{node} is {seat}")).collect();
        block("MDM cluster", &seats);
        block("the MDM cluster is not yet as it shall be", waits);
        block("seats that nobody can take", missing);
        block("to be known", warnings);
        block("never seen in use, and refused until they are accepted by name", unproven);
    }
    if text.is_empty() {
        text.push_str("nothing is to be done\n");
    }
    if let Some(by) = &preview.approved {
        let _ = writeln!(text, "approved by {}", tame(by));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeName;

    #[test]
    fn each_question_with_an_answer_is_shown_and_hostile_names_are_tamed() {
        assert_eq!(render(&Preview::default()), "nothing is to be done\n");
        let preview = Preview {
            additions: vec!["add protection domain d1".to_owned()],
            refused: [(NodeName::new("n\u{1b}[31m"), vec!["has no address".to_owned()])].into(),
            idle: [(NodeName::new("n2"), "it has no free disk".to_owned())].into(),
            mdm: Some(MdmPreview {
                seats: [(NodeName::new("n3"), "manager".to_owned())].into(),
                ..MdmPreview::default()
            }),
            ..Preview::default()
        };
        let text = render(&preview);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.starts_with("to be done, in this order:\n  add protection domain d1\nleft out:\n"), "{text}");
        assert!(
            text.ends_with("gives no storage:\n  n2: it has no free disk\nMDM cluster:\n  n3 is manager\n"),
            "{text}"
        );
    }
}
