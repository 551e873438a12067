//! `sio doctor`: does everything that the configuration names work, seen from this host?
//!
//! Nothing is changed anywhere: no mail is sent, no framework registered, no
//! store taken. `finding` and `judge` decide, `local` and `remote` look.

mod finding;
mod judge;
mod local;
mod remote;

use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};

use crate::config::Config;
use finding::Finding;

use super::controller::{Asker, Where};

/// What is asked of the doctor.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Where,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Looks at everything and says what was found.
pub(super) async fn doctor(arguments: &Arguments, asker: &mut Asker<'_>) -> u8 {
    let findings = examine(&arguments.whom, asker.file, asker.variables).await;
    let text = if arguments.json {
        // Texts and enums cannot fail to be written.
        serde_json::to_string_pretty(&findings).unwrap_or_default()
    } else {
        finding::render(&findings)
    };
    match super::say(asker.out, text.trim_end()) {
        0 if findings
            .first()
            .is_some_and(|finding| finding.what == CONFIGURATION && finding.level == finding::Level::Fail) =>
        {
            super::MISUSED
        }
        0 => finding::code(&findings),
        code => code,
    }
}

/// The report as text, for the bundle.
pub(super) async fn report(whom: &Where, file: Option<&Path>, variables: &[(String, String)]) -> String {
    finding::render(&examine(whom, file, variables).await)
}

const CONFIGURATION: &str = "configuration";

async fn examine(whom: &Where, file: Option<&Path>, variables: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match Config::load(file, variables.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => {
            findings.extend(errors.problems().iter().map(|problem| {
                let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
                Finding::fail(CONFIGURATION, format!("{}: {key}{}", problem.place, problem.what), &problem.mend)
            }));
            return findings;
        }
    };
    let from = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    findings.push(Finding::ok(CONFIGURATION, format!("{from} is good")));
    findings.extend(local::settings(&config));
    findings.extend(local::secrets(&config, file, variables));
    findings.extend(local::space(&config));
    findings.extend(local::for_nodes(&config));
    findings.extend(local::cache(&config.artefacts.sources));

    // Whoever does not answer must not hold up the others.
    let mut looks: Vec<LocalBoxFuture<'_, Vec<Finding>>> = vec![
        local::controller(whom, config.mesos.is_some(), file, variables).boxed_local(),
        local::store(&config).boxed_local(),
    ];
    looks.extend(config.agents.iter().map(|agents| remote::for_nodes(agents, &config).boxed_local()));
    let sources = &config.artefacts.sources;
    looks.extend(sources.files.iter().map(|source| remote::source(source, sources).boxed_local()));
    looks.extend(config.systems.iter().map(|(name, system)| remote::system(name, system).boxed_local()));
    looks.extend(config.mesos.iter().map(|mesos| remote::mesos(mesos).boxed_local()));
    looks.extend(config.mail.iter().map(|mail| remote::mail(mail).boxed_local()));
    looks.extend(config.alertmanager.iter().map(|to| remote::alertmanager(to).boxed_local()));
    looks.extend(config.webhook.iter().map(|to| remote::webhook(to).boxed_local()));
    findings.extend(join_all(looks).await.into_iter().flatten());
    findings
}
