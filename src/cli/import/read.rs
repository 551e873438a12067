//! What did the framework of 2016 know? Its flags, the dump of its key/value
//! store, and the attributes of the agents, each as they are written. Pure.
//!
//! Flags stand in the `cmd` and `env` of a Marathon app, or in a line of shell:
//! `-name=value`. The dump is its log at level debug: `Key A/B = Value C`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The variables that gave flags their defaults. `USER`, `ROLE`, `HOSTNAME` and
/// `DEBUG` are left out: whatever started it set those for itself.
const VARIABLES: [(&str, &str); 24] = [
    ("LOG_LEVEL", "loglevel"),
    ("EXPERIMENTAL", "experimental"),
    ("STORE_TYPE", "store.type"),
    ("STORE_URI", "store.uri"),
    ("REST_ADDRESS", "rest.address"),
    ("REST_PORT", "rest.port"),
    ("MESOS_MASTER_HTTP", "uri"),
    ("EXECUTOR_MDM_CPU", "executor.cpu.mdm"),
    ("EXECUTOR_NON_CPU", "executor.cpu.non"),
    ("EXECUTOR_MDM_MEM", "executor.mem.mdm"),
    ("EXECUTOR_NON_MEM", "executor.mem.non"),
    ("CLUSTER_NAME", "scaleio.clustername"),
    ("CLUSTER_ID", "scaleio.clusterid"),
    ("LB_GATEWAY", "scaleio.lbgateway"),
    ("PROTECTION_DOMAIN", "scaleio.protectiondomain"),
    ("STORAGE_POOL", "scaleio.storagepool"),
    ("ADMIN_PASSWORD", "scaleio.password"),
    ("PRIMARY_MDM_ADDRESS", "scaleio.preconfig.primary"),
    ("SECONDARY_MDM_ADDRESS", "scaleio.preconfig.secondary"),
    ("TIEBREAKER_MDM_ADDRESS", "scaleio.preconfig.tiebreaker"),
    ("GATEWAY_ADDRESS", "scaleio.preconfig.gateway"),
    ("AWS_ACCESS_KEY", "aws.accesskey"),
    ("AWS_SECRET_KEY", "aws.secretkey"),
    ("AWS_USED_THRESHOLD", "aws.threshold"),
];

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seed {
    pub(super) flags: BTreeMap<String, String>,
    /// Keys of the store below `scaleio-framework/ROLE/configuration`.
    pub(super) store: BTreeMap<String, String>,
    /// Attributes of each agent that has any of ours.
    pub(super) agents: BTreeMap<String, BTreeMap<String, String>>,
}

/// Flags from a Marathon app, a group of them, or a line of shell.
pub(super) fn flags(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    match serde_json::from_str::<Value>(text) {
        Ok(app) => in_app(&app, &mut found),
        Err(_) => in_line(text, &mut found),
    }
    found
}

fn in_app(app: &Value, found: &mut BTreeMap<String, String>) {
    if let Some(apps) = app.get("apps").and_then(Value::as_array) {
        apps.iter().for_each(|app| in_app(app, found));
    }
    // Flags win over variables, so they come later.
    for (name, value) in app.get("env").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        in_variable(name, &value, found);
    }
    if let Some(line) = app.get("cmd").and_then(Value::as_str) {
        in_line(line, found);
    }
    let args: Vec<&str> =
        app.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    in_words(&args, found);
}

fn in_variable(name: &str, value: &str, found: &mut BTreeMap<String, String>) {
    if let Some((_, flag)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        found.insert((*flag).to_owned(), value.to_owned());
    }
}

fn in_line(line: &str, found: &mut BTreeMap<String, String>) {
    let words: Vec<&str> =
        line.split(|c: char| c.is_whitespace() || c == ';').filter(|word| !word.is_empty()).collect();
    in_words(&words, found);
}

fn in_words(words: &[&str], found: &mut BTreeMap<String, String>) {
    let bare = |word: &str| word.trim_matches(['"', '\'']).to_owned();
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        let word = word.trim_start_matches(['"', '\'']);
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            if let Some((name, value)) = word.split_once('=') {
                in_variable(name, &bare(value), found);
            }
            continue;
        };
        match flag.split_once('=') {
            Some((name, value)) => found.insert(name.to_owned(), bare(value)),
            None if matches!(flag, "debug" | "experimental" | "store.dump" | "store.delete") => {
                found.insert(flag.to_owned(), "true".to_owned())
            }
            None if flag.chars().next().is_some_and(char::is_alphabetic) && flag.len() > 1 => {
                let value = words.next_if(|word| !word.starts_with('-')).map(bare);
                found.insert(flag.to_owned(), value.unwrap_or_default())
            }
            None => None,
        };
    }
}

/// Entries of a dump of its store.
pub(super) fn store(text: &str) -> BTreeMap<String, String> {
    let entry = |line: &str| {
        let (_, after) = line.split_once("Key ")?;
        let (key, value) = after.split_once("= Value")?;
        // Its log ends a message with a quote, and escapes those in it.
        let value = value.trim().trim_end_matches('"').trim().replace("\\\"", "\"");
        let below = key.trim().split_once("scaleio-framework/")?.1.split_once("/configuration/")?.1;
        Some((below.to_owned(), value))
    };
    text.lines().filter_map(entry).collect()
}

/// Attributes from the master's `/slaves` or `/state`, or from lines of
/// `HOST NAME:VALUE;NAME:VALUE` as agents are started with.
pub(super) fn agents(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let all: BTreeMap<String, BTreeMap<String, String>> = match serde_json::from_str::<Value>(text) {
        Ok(answer) => answer.get("slaves").and_then(Value::as_array).into_iter().flatten().filter_map(agent).collect(),
        Err(_) => text.lines().filter_map(line).collect(),
    };
    let ours = |attributes: &BTreeMap<String, String>| attributes.keys().any(|name| name.starts_with("scaleio-"));
    all.into_iter().filter(|(_, attributes)| ours(attributes)).collect()
}

fn agent(slave: &Value) -> Option<(String, BTreeMap<String, String>)> {
    let host = slave.get("hostname")?.as_str()?.to_owned();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attributes = slave.get("attributes")?.as_object()?;
    Some((host, attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect()))
}

fn line(line: &str) -> Option<(String, BTreeMap<String, String>)> {
    let (host, rest) = line.trim().split_once(char::is_whitespace)?;
    let pairs = rest.trim().trim_start_matches("--attributes=").trim_matches(['"', '\'']).split(';');
    let pairs = pairs
        .filter_map(|pair| pair.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    Some((host.to_owned(), pairs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_an_app_of_marathon_and_win_over_variables() {
        let app = r#"{"id":"scaleio-scheduler","cmd":"chmod u+x scaleio-scheduler && ./scaleio-scheduler -loglevel=debug -rest.port=$PORT --uri 10.0.0.21:5050 -experimental -scaleio.password='F00barbaz'",
            "env":{"STORAGE_POOL":"fast","LOG_LEVEL":"info","DEBUG":"1","AWS_USED_THRESHOLD":85}}"#;
        let found = flags(app);
        let expected = [
            ("aws.threshold", "85"),
            ("experimental", "true"),
            ("loglevel", "debug"),
            ("rest.port", "$PORT"),
            ("scaleio.password", "F00barbaz"),
            ("scaleio.storagepool", "fast"),
            ("uri", "10.0.0.21:5050"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(
            flags("STORE_TYPE=zk ./scaleio-scheduler -uri=m:5050"),
            [("store.type", "zk"), ("uri", "m:5050")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );
    }

    #[test]
    fn a_dump_is_read_in_both_forms_that_its_log_has() {
        let dump = "time=\"2017-03-01T10:00:00Z\" level=debug msg=\"Key scaleio-framework/scaleio/configuration/primary = Value host1\" \n\
                    DEBU[0000] Key scaleio-framework/scaleio/configuration/host1/state = Value 1024\n\
                    DEBU[0000] Key scaleio-framework/scaleio/version = Value 100\nsomething else\n";
        let expected = [("host1/state", "1024"), ("primary", "host1")];
        assert_eq!(store(dump), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn attributes_come_from_the_master_or_from_what_agents_are_started_with() {
        let expected: BTreeMap<_, _> = [(
            "h1".to_owned(),
            [("scaleio-sds-domains".to_owned(), "d1,d2".to_owned()), ("level".to_owned(), "3.0".to_owned())].into(),
        )]
        .into();
        let answer = r#"{"slaves":[{"hostname":"h1","attributes":{"scaleio-sds-domains":"d1,d2","level":3.0}},{"hostname":"h2","attributes":{"rack":"r"}}]}"#;
        assert_eq!(agents(answer), expected);
        assert_eq!(agents("h1 --attributes=\"scaleio-sds-domains:d1,d2;level:3.0\"\nh2 rack:r\n\n"), expected);
    }
}
