//! Whether a configuration is understood, and whether a bad one is told so
//! that a person can mend it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scaleio_framework::config::{Config, Place, Trust, find};
use scaleio_framework::model::id::SystemId;

/// A folder with the files that configurations name.
struct Folder(tempfile::TempDir);

const SECRETS: [&str; 3] = ["hunter2", "s3cret-line", "w0rd"];

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.file("password", 0o600, "hunter2\n");
        folder.file("windows-password", 0o640, "hunter2\r\n");
        folder.file("padded-password", 0o600, " hunter2 \n\n");
        folder.file("open-password", 0o644, "hunter2\n");
        folder.file("empty-password", 0o600, "\n");
        folder.file("two-lines", 0o600, "hunter2\ns3cret-line\n");
        folder.file("not-a-certificate", 0o644, "hello");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, mode: u32, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, toml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        self.file("sio.toml", 0o600, toml);
        load(Some(&self.path("sio.toml")), variables)
            .map_err(|text| text.replace(&self.0.path().display().to_string(), "DIR"))
    }
}

fn load(path: Option<&Path>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(path, variables).map_err(|errors| errors.to_string())
}

const SYSTEM: &str = r#"
[systems.prod]
gateways = ["https://gw"]
monitor = { user = "watcher", password_file = "password" }
"#;

const SYSTEM_BY_VARIABLES: [(&str, &str); 3] = [
    ("SIO__SYSTEMS__PROD__GATEWAYS", "https://gw1, https://gw2:8443/"),
    ("SIO__SYSTEMS__PROD__MONITOR__USER", "watcher"),
    ("SIO__SYSTEMS__PROD__MONITOR__PASSWORD", "hunter2"),
];

fn prod(config: &Config) -> &scaleio_framework::config::System {
    &config.systems[&SystemId::new("prod")]
}

#[test]
fn variables_alone_are_enough() {
    let config = load(None, &SYSTEM_BY_VARIABLES).unwrap();
    let gateways: Vec<&str> = prod(&config).gateways.iter().map(|gateway| gateway.as_str()).collect();
    assert_eq!(gateways, ["https://gw1", "https://gw2:8443"]);
    assert_eq!(prod(&config).monitor.password.reveal(), "hunter2");
    assert_eq!(prod(&config).trust, Trust::SystemRoots);
    assert_eq!(config.poll.fast, Duration::from_secs(15));
}

#[test]
fn a_variable_wins_over_the_file_and_takes_each_kind_of_value() {
    let folder = Folder::new();
    let toml = format!("[web]\nlisten = \"127.0.0.1:1\"\n[poll]\nfast = \"20s\"\n{SYSTEM}");
    let config = folder.load(
        &toml,
        &[
            ("SIO__WEB__LISTEN", "[::]:9"),
            ("SIO__METRICS__MAX_SERIES", "7"),
            ("SIO__SYSTEMS__PROD__INSECURE", "true"),
            ("SIO__SYSTEMS__PROD__MONITOR__PASSWORD", "w0rd"),
            ("SIO_CONFIG", "is not ours"),
            ("PATH", "is not ours"),
        ],
    );
    let config = config.unwrap();
    assert_eq!((config.web.listen.to_string().as_str(), config.metrics.max_series), ("[::]:9", 7));
    assert_eq!(config.poll.fast, Duration::from_secs(20));
    assert_eq!(prod(&config).trust, Trust::Insecure);
    assert_eq!(prod(&config).monitor.password.reveal(), "w0rd");
}

#[test]
fn a_variable_finds_a_system_with_a_dash_in_its_name() {
    let folder = Folder::new();
    let toml = SYSTEM.replace("prod", "prod-east");
    let config = folder.load(&toml, &[("SIO__SYSTEMS__PROD_EAST__GATEWAYS", "https://other")]).unwrap();
    let names: Vec<&str> = config.systems.keys().map(SystemId::as_str).collect();
    assert_eq!(names, ["prod-east"]);
    assert_eq!(config.systems[&SystemId::new("prod-east")].gateways[0].as_str(), "https://other");
}

#[test]
fn paths_start_at_the_folder_of_the_file_and_one_line_break_is_no_password() {
    let folder = Folder::new();
    let toml = format!("[store]\npath = \"state.db\"\n{SYSTEM}");
    let config = folder.load(&toml, &[]).unwrap();
    assert_eq!(config.store.path, folder.path("state.db"));
    assert_eq!(prod(&config).monitor.password.reveal(), "hunter2");
    let config = folder.load(&SYSTEM.replace("\"password\"", "\"windows-password\""), &[]).unwrap();
    assert_eq!(prod(&config).monitor.password.reveal(), "hunter2");
}

#[test]
fn http_is_taken_for_loopback_only() {
    let folder = Folder::new();
    for good in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1", "https://[2001:db8::1]"] {
        let config = folder.load(&SYSTEM.replace("https://gw", good), &[]).unwrap();
        assert_eq!(prod(&config).gateways[0].as_str(), good);
    }
    assert!(folder.load(&SYSTEM.replace("https://gw", "http://gw"), &[]).is_err());
}

#[test]
fn a_pin_may_be_written_as_openssl_prints_it() {
    let folder = Folder::new();
    let digits = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    for text in [&digits, &colons] {
        let toml = SYSTEM.replace("[systems.prod]", &format!("[systems.prod]\npin = \"{text}\""));
        assert_eq!(prod(&folder.load(&toml, &[]).unwrap()).trust, Trust::Pin([0xab; 32]));
    }
}

#[test]
fn a_configuration_never_shows_its_passwords() {
    let config = load(None, &SYSTEM_BY_VARIABLES).unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("watcher") && shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_file_is_the_one_that_is_named_then_the_variable() {
    let variable = [("SIO_CONFIG".to_owned(), "/b".to_owned())];
    assert_eq!(find(Some(Path::new("/a")), &variable), Some(PathBuf::from("/a")));
    assert_eq!(find(None, &variable), Some(PathBuf::from("/b")));
}

#[test]
fn each_problem_has_a_key_and_a_place_for_programs() {
    let folder = Folder::new();
    folder.file("sio.toml", 0o600, &format!("{SYSTEM}\n[poll]\nfast = \"0s\"\n"));
    let errors = Config::load(Some(&folder.path("sio.toml")), std::iter::empty()).unwrap_err();
    let [problem] = errors.problems() else { panic!("{errors}") };
    assert_eq!(problem.key, "poll.fast");
    assert_eq!(problem.place, Place::File { path: folder.path("sio.toml"), line: Some(7) });
}

/// The kept transcript: for each case its file, its variables (`$ NAME=VALUE`)
/// and what is said. `UPDATE_EXPECTED=1` writes it anew.
#[test]
fn every_mistake_is_told_as_in_the_kept_transcript() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected/config.txt");
    let text = std::fs::read_to_string(&kept).unwrap();
    let mut told = String::new();
    let mut cases = 0;
    for case in text.split("=== ").skip(1) {
        cases += 1;
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, _) = rest.split_once("--- says\n").unwrap();
        let variables: Vec<(&str, &str)> = input
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .map(|line| line.split_once('=').unwrap())
            .collect();
        let toml: String =
            input.lines().map(|line| if line.starts_with("$ ") { "\n".into() } else { format!("{line}\n") }).collect();
        let says = Folder::new().load(&toml, &variables).err().unwrap_or_else(|| "nothing".to_owned());
        for secret in SECRETS {
            assert!(!says.contains(secret), "{title}: the secret {secret} is told: {says}");
        }
        write!(told, "=== {title}\n{input}--- says\n{says}\n\n").unwrap();
    }
    assert!(cases > 20, "{cases} cases were read");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&kept, &told).unwrap();
    }
    for (line, (expected, told)) in text.lines().zip(told.lines()).enumerate() {
        assert_eq!(told, expected, "line {} of {}", line + 1, kept.display());
    }
    assert_eq!(told, text);
}

/// Keys that the code knows, as it tells them itself when asked for one that it does not know.
fn known_keys() -> BTreeSet<String> {
    const ODD: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
    let folder = Folder::new();
    let mut known = BTreeSet::new();
    let mut sections = vec![String::new()];
    while let Some(section) = sections.pop() {
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let said = folder.load(&format!("{header}{ODD} = 1\n"), &[]).unwrap_err();
        let line = said.lines().find(|line| line.contains(ODD)).unwrap();
        let Some((_, keys)) = line.split_once("known here: ") else { panic!("{line}") };
        for key in keys.split(", ") {
            let full = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
            match full.as_str() {
                "log"
                | "web"
                | "web.proxy"
                | "control"
                | "store"
                | "poll"
                | "metrics"
                | "metrics.devices"
                | "metrics.sdcs"
                | "metrics.volumes"
                | "mail"
                | "mail.login"
                | "alertmanager"
                | "alertmanager.login"
                | "webhook"
                | "webhook.login"
                | "mesos"
                | "mesos.login"
                | "agents"
                | "artefacts"
                | "fleet"
                | "lifecycle"
                | "lifecycle.alertmanager"
                | "lifecycle.alertmanager.login"
                | "alerts"
                | "alerts.thresholds"
                | "notify"
                | "notify.quiet_hours"
                | "notify.escalate"
                | "systems.prod.monitor"
                | "systems.prod.lifecycle"
                | "systems.prod.volumes"
                | "systems.prod.rollout"
                | "systems.prod.rollout.disks"
                | "systems.prod.rollout.mdm"
                | "systems.prod.rollout.gateway"
                | "systems.prod.rollout.lia"
                | "systems.prod.rollout.networks"
                | "systems.prod.rollout.preflight"
                | "systems.prod.rollout.nodes.storage.networks"
                | "systems.prod.rollout.nodes.storage.disks" => sections.push(full),
                "web.users" => sections.push("web.users.anna".to_owned()),
                "web.tokens" => sections.push("web.tokens.prometheus".to_owned()),
                "systems" => sections.push("systems.prod".to_owned()),
                "fleet.static" => sections.push(full + ".storage9"),
                "fleet.static.storage9.attributes" => assert!(known.insert(full + ".scaleio-system")),
                "systems.prod.rollout.mdm.virtual_ip_interfaces_of" => assert!(known.insert(full + ".storage1")),
                "systems.prod.rollout.domains" => sections.push(full + ".d1"),
                "systems.prod.rollout.domains.d1.pools" => sections.push(full + ".ssd"),
                "systems.prod.rollout.nodes" => sections.push(full + ".storage"),
                "systems.prod.rollout.nodes.storage.attributes" => assert!(known.insert(full + ".kind")),
                _ => assert!(known.insert(full)),
            }
        }
    }
    known
}

fn example() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml")).unwrap()
}

/// The example with the keys that it shows only.
fn example_with_all() -> toml::Table {
    let shown =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n";
    example().lines().map(shown).collect::<String>().parse().unwrap()
}

fn flat(path: &str, table: &toml::Table, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value.as_table() {
            Some(inner) => flat(&full, inner, keys),
            None => assert!(keys.insert(full)),
        }
    }
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let mut shown = BTreeSet::new();
    flat("", &example_with_all(), &mut shown);
    assert_eq!(shown, known_keys());
}

#[test]
fn the_values_of_the_example_are_the_defaults() {
    let folder = Folder::new();
    let defaults = format!("{:?}", folder.load("", &SYSTEM_BY_VARIABLES).unwrap());
    assert_eq!(format!("{:?}", folder.load(&example(), &SYSTEM_BY_VARIABLES).unwrap()), defaults);

    let all = example_with_all();
    let system = all["systems"]["prod"].as_table().unwrap();
    let lines = ["insecure", "connect_timeout", "request_timeout", "max_answer_bytes"];
    let lines: String = lines.iter().map(|key| format!("{key} = {}\n", system[*key])).collect();
    let toml = format!("[systems.prod]\n{lines}");
    assert_eq!(format!("{:?}", folder.load(&toml, &SYSTEM_BY_VARIABLES).unwrap()), defaults);
}

#[test]
fn each_key_of_the_example_outside_systems_that_has_a_default_is_not_commented_out() {
    const ABSENT: [&str; 18] = [
        "systems.",
        "mail.",
        "mesos.",
        "agents.",
        "artefacts.",
        "fleet.",
        "alertmanager.",
        "webhook.",
        "alerts.override",
        "notify.",
        "web.users.",
        "web.tokens.",
        "web.proxy.",
        "lifecycle.window",
        "lifecycle.syslog",
        "lifecycle.alertmanager",
        "lifecycle.blackout",
        "jobs",
    ];
    let (mut live, mut shown) = (BTreeSet::new(), BTreeSet::new());
    flat("", &example().parse().unwrap(), &mut live);
    flat("", &example_with_all(), &mut shown);
    let hidden: Vec<&String> = shown.difference(&live).collect();
    // Sections that are absent until somebody writes them.
    let hidden: Vec<&String> =
        hidden.into_iter().filter(|key| !ABSENT.iter().any(|absent| key.starts_with(absent))).collect();
    assert_eq!(
        hidden,
        ["store.zookeeper", "store.zookeeper_auth_file", "store.zookeeper_session_timeout", "web.config_file"]
    );
}

#[test]
fn a_short_mesos_section_is_enough_and_its_defaults_are_those_of_the_example() {
    let load = |more: &str| {
        let masters = "[mesos]\nmasters = [\"http://m1\"]\n";
        let folder = Folder::new();
        folder.file("sio.toml", 0o600, &format!("{masters}{more}"));
        let variables = SYSTEM_BY_VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        format!("{:?}", Config::load(Some(&folder.path("sio.toml")), variables.into_iter()).unwrap().mesos)
    };
    let all = example_with_all();
    let keys = ["insecure", "cluster", "name", "user", "roles", "failover_timeout", "executor_cpus", "executor_mem"];
    let lines: String = keys.iter().map(|key| format!("{key} = {}\n", all["mesos"][*key])).collect();
    assert_eq!(load(""), load(&lines));
}

const MAIL: &str = r#"
[mail]
hosts = ["mail.example.test"]
from = "Alerts <sio@example.test>"
to = ["ops@example.test"]
"#;

fn mail(more: &str) -> Result<scaleio_framework::config::Mail, String> {
    let folder = Folder::new();
    folder.file("link.key", 0o600, &"k".repeat(32));
    folder.file("open.key", 0o644, &"k".repeat(32));
    folder.file("short.key", 0o600, "short");
    folder.load(&format!("{SYSTEM}{MAIL}{more}"), &[]).map(|config| config.mail.unwrap())
}

#[test]
fn a_short_mail_section_is_enough_and_its_defaults_are_those_of_the_example() {
    let short = mail("").unwrap();
    assert_eq!(short.hosts[0].to_string(), "mail.example.test:587");
    assert_eq!(short.domain, "example.test");
    let all = example_with_all();
    let section = all["mail"].as_table().unwrap();
    // What has no default, or one that follows from another key.
    let own = [
        "hosts",
        "from",
        "to",
        "ca_file",
        "pin",
        "certificate_file",
        "key_file",
        "hello",
        "envelope_from",
        "reply_to",
        "domain",
        "base_url",
        "dashboards_url",
        "link_key_file",
        "login",
    ];
    let lines = section.iter().filter(|(key, _)| !own.contains(&key.as_str()));
    let lines: String = lines.map(|(key, value)| format!("{key} = {value}\n")).collect();
    assert_eq!(format!("{:?}", mail(&lines).unwrap()), format!("{short:?}"));
}

#[test]
fn users_tokens_and_a_proxy_are_read_and_mistakes_are_told_with_their_mend() {
    let hash = scaleio_framework::web::access::hash("hunter2").unwrap();
    let digest = "ab".repeat(32);
    let good = format!(
        "[web.users.anna]\npassword_hash = \"{hash}\"\nrole = \"operator\"\n\
         [web.users.\"bob@example.test\"]\npassword_hash = \"{hash}\"\nrole = \"admin\"\n\
         [web.tokens.ci]\nsha256 = \"{}\"\nrole = \"viewer\"\n\
         [web.proxy]\naddresses = [\"127.0.0.1\", \"::ffff:10.0.0.1\"]\nheader = \"Remote-User\"\n",
        digest.to_uppercase()
    );
    let web = Folder::new().load(&format!("{SYSTEM}{good}"), &[]).unwrap().web;
    assert_eq!(web.users.keys().collect::<Vec<_>>(), ["anna", "bob@example.test"]);
    assert_eq!((web.users["anna"].role.as_str(), web.tokens["ci"].sha256.as_str()), ("operator", digest.as_str()));
    let proxy = web.proxy.unwrap();
    let addresses: Vec<String> = proxy.addresses.iter().map(ToString::to_string).collect();
    assert_eq!((proxy.header.as_str(), proxy.role.as_str()), ("remote-user", "viewer"));
    assert_eq!(addresses, ["127.0.0.1", "10.0.0.1"]);

    for (text, key, words) in [
        (
            "[web.users.anna]\npassword_hash = \"hunter2\"\nrole = \"admin\"",
            "web.users.anna.password_hash",
            "sio hash-password",
        ),
        ("[web.users.anna]\nrole = \"admin\"", "web.users.anna.password_hash", "missing"),
        (
            "[web.users.anna]\npassword_hash = \"HASH\"\nrole = \"root\"",
            "web.users.anna.role",
            "\"viewer\", \"operator\" or \"admin\"",
        ),
        ("[web.users.anna]\npassword_hash = \"HASH\"", "web.users.anna.role", "missing"),
        ("[web.users.\"a:b\"]\npassword_hash = \"HASH\"\nrole = \"admin\"", "web.users.a:b", "no name of a user"),
        ("[web.tokens.ci]\nsha256 = \"abc\"\nrole = \"viewer\"", "web.tokens.ci.sha256", "no SHA-256"),
        ("[web.proxy]\nheader = \"x\"", "web.proxy.addresses", "missing"),
        ("[web.proxy]\naddresses = [\"proxy\"]", "web.proxy.addresses", "no IP address"),
        ("[web.proxy]\naddresses = [\"::1\"]\nheader = \"Authorization\"", "web.proxy.header", "x-forwarded-user"),
        ("[web]\nacts_per_minute = 0", "web.acts_per_minute", "write 60"),
        ("[web]\nconfig_file_role = \"all\"", "web.config_file_role", "no role"),
    ] {
        let said = Folder::new().load(&format!("{SYSTEM}{}\n", text.replace("HASH", &hash)), &[]).unwrap_err();
        assert!(said.contains(key) && said.contains(words), "{text}: {said}");
    }
}

#[test]
fn without_its_section_no_mail_is_sent() {
    assert!(Folder::new().load(SYSTEM, &[]).unwrap().mail.is_none());
}

#[test]
fn a_mail_section_says_everything() {
    let more = r#"tls = "implicit"
time_zone = "Europe/Berlin"
link_key_file = "link.key"
base_url = "https://sio.example.test/"
subject_prefix = "SAN "
[mail.login]
user = "sio"
password_file = "password"
"#;
    let mail = mail(more).unwrap();
    assert_eq!(mail.hosts[0].port, 465);
    assert_eq!(mail.time_zone, chrono_tz::Europe::Berlin);
    assert_eq!(mail.login.as_ref().unwrap().password.reveal(), "hunter2");
    assert_eq!(mail.link_key.as_ref().unwrap().reveal(), &[b'k'; 32]);
    let shown = format!("{mail:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("107, 107"), "{shown}");
}

#[test]
fn a_bad_mail_section_says_which_key_and_what_to_do() {
    for (more, key, words) in [
        ("tls = \"none\"", "mail.hosts", "loopback only"),
        ("tls = \"ssl\"", "mail.tls", "write \"starttls\""),
        ("time_zone = \"Berlin\"", "mail.time_zone", "Europe/Berlin"),
        ("link_key_file = \"open.key\"", "mail.link_key_file", "run: chmod 600"),
        ("link_key_file = \"short.key\"", "mail.link_key_file", "has 5 bytes"),
        ("link_key_file = \"none.key\"", "mail.link_key_file", "/dev/urandom"),
        ("base_url = \"ftp://x/\"", "mail.base_url", "https://HOST/"),
        ("key_file = \"password\"", "mail.key_file", "certificate_file is missing"),
        ("reply_to = \"nobody\"", "mail.reply_to", "name@example.com"),
        ("subject_prefix = \"a\\nb\"", "mail.subject_prefix", "one line"),
        ("outbox_max = 1", "mail.outbox_max", "10 or more"),
        ("hello = \"a b\"", "mail.hello", "no domain"),
        ("[mail.login]\nuser = \"sio\"", "mail.login.password_file", "the password is missing"),
        ("[mail.login]\nuser = \"sio\"\npassword = \"w0rd\"", "mail.login.password", "does not belong"),
    ] {
        let said = mail(more).unwrap_err();
        assert!(said.contains(key) && said.contains(words), "{more}: {said}");
        assert!(!said.contains("w0rd"), "{said}");
    }
    for (hosts, words) in [
        ("[]", "the list is empty"),
        ("[\"smtp://mail\"]", "no mail server"),
        ("[\"user:pw@mail\"]", "no mail server"),
        ("[\"mail:99999\"]", "no mail server"),
        ("[\"\"]", "no mail server"),
    ] {
        let text = MAIL.replace("[\"mail.example.test\"]", hosts);
        let said = Folder::new().load(&format!("{SYSTEM}{text}"), &[]).unwrap_err();
        assert!(said.contains("mail.hosts") && said.contains(words), "{hosts}: {said}");
    }
    let clear = MAIL.replace("mail.example.test", "[::1]:2525") + "tls = \"none\"\n";
    let open = Folder::new().load(&format!("{SYSTEM}{clear}"), &[]).unwrap().mail.unwrap();
    assert_eq!(open.hosts[0].to_string(), "[::1]:2525");
    let login = format!("{SYSTEM}{clear}[mail.login]\nuser = \"sio\"\npassword_file = \"password\"\n");
    let said = Folder::new().load(&login, &[]).unwrap_err();
    assert!(said.contains("mail.tls") && said.contains("in the clear"), "{said}");
}

#[test]
fn receivers_are_read_and_send_no_password_in_the_clear() {
    let folder = Folder::new();
    folder.file("token", 0o600, "t0ken-word");
    let load = |more: &str| folder.load(&format!("{SYSTEM}{more}"), &[]);
    let way = "token_file = \"token\"\ntimeout = \"3s\"\n";
    let both = format!(
        "[alertmanager]\nurls = [\"https://a.example.test\", \"https://b.example.test/am/\"]\nresend = \"30s\"\n{way}\
         [webhook]\nurl = \"http://127.0.0.1:8080/hook\"\n{way}"
    );
    let config = load(&both).unwrap();
    let alertmanager = config.alertmanager.unwrap();
    assert_eq!(
        (alertmanager.urls.len(), alertmanager.resend.as_secs(), alertmanager.way.timeout.as_secs()),
        (2, 30, 3)
    );
    assert_eq!(config.webhook.unwrap().url.as_str(), "http://127.0.0.1:8080/hook");
    for (text, says) in [
        ("[webhook]\nurl = \"ftp://a.example.test\"\n", "is no address of a server"),
        ("[webhook]\nurl = \"https://u:secret@a.example.test\"\n", "user and password belong into the section login"),
        ("[alertmanager]\nurls = []\n", "the list is empty"),
        ("[alertmanager]\nurls = [\"http://a.example.test\"]\ntoken_file = \"token\"\n", "in the clear"),
        ("[alertmanager]\nurls = [\"http://a.example.test\"]\nresend = \"10ms\"\n", "shorter than a second"),
    ] {
        let error = load(text).err().unwrap_or_else(|| panic!("taken: {text}"));
        assert!(error.contains(says) && !error.contains("secret"), "{text}: {error}");
    }
}

fn notify(more: &str) -> Result<scaleio_framework::config::Notify, String> {
    Folder::new().load(&format!("{SYSTEM}{MAIL}{more}"), &[]).map(|config| config.notify)
}

#[test]
fn without_a_word_everything_goes_to_the_addresses_of_mail() {
    let notify = notify("").unwrap();
    let [default] = notify.routes.as_slice() else { panic!("{notify:?}") };
    assert_eq!(
        (default.name.as_str(), default.recipients.as_slice()),
        ("default", &["ops@example.test".to_owned()][..])
    );
    assert!(notify.heartbeat.is_none() && notify.report.is_none() && !notify.act_without_login);
}

#[test]
fn a_route_has_what_it_says_and_else_what_holds_for_all() {
    let more = r#"
[notify]
group_interval = "2m"
report = "mon 07:00"
heartbeat = "daily 08:30"
[notify.quiet_hours]
from = "20:00"
to = "07:00"
days = ["mon", "Sunday"]
[[notify.routes]]
name = "production"
match = ['system=~"prod.*"', 'severity!="info"']
to = ["a@example.test", "b@example.test", "a@example.test"]
group_wait = "1m"
group_by = ["system", "storage_pool"]
continue = true
escalate = { after = "30m", to = ["boss@example.test"] }
[[notify.routes]]
name = "test"
match = ['system="test"']
to = ["test@example.test"]
quiet_hours = { from = "12:00", to = "13:00", time_zone = "Asia/Tokyo" }
"#;
    let notify = notify(&more.replace("[notify]", "[notify]\nlongest_silence = \"10d\"")).unwrap();
    let names: Vec<&str> = notify.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["production", "test", "default"]);
    let [production, test, default] = notify.routes.as_slice() else { panic!() };
    assert_eq!(production.recipients, ["a@example.test", "b@example.test"]);
    assert_eq!((production.wait.num_seconds(), production.interval.num_seconds()), (60, 120));
    assert!(production.go_on && !test.go_on);
    assert_eq!(production.escalate.as_ref().unwrap().after.num_minutes(), 30);
    assert_eq!(production.quiet, default.quiet);
    assert_eq!(default.quiet.as_ref().unwrap().days, BTreeSet::from([0, 6]));
    assert_eq!(test.quiet.as_ref().unwrap().zone, chrono_tz::Asia::Tokyo);
    assert_eq!(notify.heartbeat.as_ref().unwrap().days.len(), 7);
    assert_eq!(notify.longest_silence.num_days(), 10);
}

#[test]
fn a_bad_notify_section_says_which_key_and_what_to_do() {
    let route = "[[notify.routes]]\nname = \"a\"\nmatch = ['a=\"b\"']\nto = [\"a@example.test\"]\n";
    for (more, key, words) in [
        ("[notify]\ngroup_wait = \"1\"", "notify.group_wait", "is no duration"),
        ("[notify]\ngroup_wait = \"30d\"", "notify.group_wait", "write \"7days\" or less"),
        ("[notify]\ngroup_by = [\"a-b\"]", "notify.group_by", "no name of a label"),
        ("[notify]\nflap_changes = 1", "notify.flap_changes", "2 to 1000"),
        ("[notify]\nreport = \"monday\"", "notify.report", "mon 07:00"),
        ("[notify]\nreport = \"moonday 07:00\"", "notify.report", "is no day"),
        ("[notify]\nheartbeat = \"daily 7\"", "notify.heartbeat", "is no time of day"),
        ("[notify.quiet_hours]\nfrom = \"20:00\"", "notify.quiet_hours.to", "the key is missing"),
        ("[notify.quiet_hours]\nfrom = \"20:00\"\nto = \"20:00\"", "notify.quiet_hours.to", "never end"),
        ("[notify.escalate]\nafter = \"1h\"\nto = []", "notify.escalate.to", "nobody"),
        ("[notify.routes]\nname = \"a\"", "notify.routes", "write [[notify.routes]]"),
        ("[[notify.routes]]\nname = \"a b\"", "notify.routes[0].name", "no name of a route"),
        ("[[notify.routes]]\nname = \"a\"\nmatch = []", "notify.routes[0].match", "every alert"),
        ("[[notify.routes]]\nname = \"a\"\nmatch = ['a']", "notify.routes[0].match", "compares no label"),
        ("[[notify.routes]]\nname = \"a\"\nmatch = ['a=~\"(\"']", "notify.routes[0].match", "unclosed group"),
        ("[[notify.routes]]\nname = \"a\"\nto = [\"nobody\"]", "notify.routes[0].to", "name@example.com"),
        ("[[notify.routes]]\nnam = \"a\"", "notify.routes[0].nam", "did you mean `name`"),
        (&format!("{route}{route}"), "notify.routes[1].name", "is taken"),
        (&route.replace("\"a\"", "\"default\""), "notify.routes[0].name", "is taken"),
        ("[[notify.inhibit]]\nsource = ['a=b']", "notify.inhibit[0].target", "the key is missing"),
    ] {
        let said = notify(more).unwrap_err();
        assert!(said.contains(key) && said.contains(words), "{more}: {said}");
    }
}

#[test]
fn windows_and_blackouts_are_read_and_each_mistake_in_them_is_told_with_the_mend() {
    let folder = Folder::new();
    let load = |toml: &str| folder.load(&format!("{toml}{SYSTEM}"), &[]);
    let config = load(
        "[lifecycle]\nmode = \"act\"\ntime_zone = \"Europe/Berlin\"\n\
         [[lifecycle.window]]\ndays = [\"sat\", \"Sunday\"]\nfrom = \"22:00\"\nuntil = \"04:00\"\n\
         [[lifecycle.blackout]]\nname = \"year end\"\nfirst = \"2026-12-20\"\nlast = \"2027-01-03\"\ntime_zone = \"UTC\"\n",
    )
    .unwrap();
    let calendar = config.lifecycle.calendar;
    assert_eq!((calendar.windows[0].days.len(), calendar.windows[0].zone.to_string().as_str()), (2, "Europe/Berlin"));
    assert_eq!(calendar.blackouts[0].zone.to_string(), "UTC");
    for (toml, key, says) in [
        ("[lifecycle]\nmode = \"yolo\"", "lifecycle.mode", "observe"),
        ("[lifecycle]\nsoak = \"2d\"", "lifecycle.soak", "24h"),
        ("[lifecycle]\nfailures = 0", "lifecycle.failures", "between 1"),
        ("[lifecycle]\ndomains_at_once = 0", "lifecycle.domains_at_once", "between 1"),
        ("[lifecycle]\ntime_zone = \"Berlin\"", "lifecycle.time_zone", "Europe/Berlin"),
        (
            "[[lifecycle.window]]\ndays = [\"someday\"]\nfrom = \"1:00\"\nuntil = \"2:00\"",
            "lifecycle.window[0].days",
            "no day",
        ),
        (
            "[[lifecycle.window]]\ndays = [\"sat\"]\nfrom = \"25:00\"\nuntil = \"2:00\"",
            "lifecycle.window[0].from",
            "22:00",
        ),
        ("[[lifecycle.window]]\ndays = [\"sat\"]\nfrom = \"01:00\"", "lifecycle.window[0].until", "04:00"),
        (
            "[[lifecycle.blackout]]\nname = \"x\"\nfirst = \"2026-12-24\"\nlast = \"2026-12-23\"",
            "lifecycle.blackout[0].last",
            "before the first",
        ),
        // Windows in which nothing ever fits.
        (
            "[[lifecycle.window]]\ndays = [\"sat\"]\nfrom = \"01:00\"\nuntil = \"01:05\"",
            "lifecycle.window[0].until",
            "none could ever be begun",
        ),
        (
            "[lifecycle]\nsoak = \"2h\"\n[[lifecycle.window]]\ndays = [\"sat\"]\nfrom = \"23:00\"\nuntil = \"00:30\"",
            "lifecycle.window[0].until",
            "open for 1h 30m",
        ),
        ("[lifecycle]\nsyslog = \"/dev/log\"", "lifecycle.syslog", "unix:/dev/log"),
        ("[lifecycle]\nsyslog = \"tcp://host\"", "lifecycle.syslog", "no place of a system log"),
        ("[lifecycle.alertmanager]\nurls = []", "lifecycle.alertmanager.urls", "the list is empty"),
        (
            "[lifecycle.alertmanager]\nurls = [\"https://am\"]\nmatchers = [\"severity: page\"]",
            "lifecycle.alertmanager.matchers",
            "is no matcher",
        ),
        (
            "[lifecycle.alertmanager]\nurls = [\"https://am\"]\nevery = \"5m\"",
            "lifecycle.alertmanager.every",
            "between 1s and 1m",
        ),
    ] {
        let said = load(&format!("{toml}\n")).unwrap_err();
        assert!(said.contains(key) && said.contains(says), "{toml}: {said}");
    }
}

#[test]
fn a_job_of_each_kind_is_read_and_each_mistake_in_one_is_told_with_the_mend() {
    let job = |lines: &str| {
        let toml = format!("{SYSTEM}[[jobs]]\nname = \"one\"\ncron = \"30 2 * * SAT\"\n{lines}\n");
        Folder::new().load(&toml, &[]).map(|mut config| config.jobs.remove(0))
    };
    for (lines, kind, what) in [
        ("upgrade_to = \"R3_6.1.2\"", "upgrade", "upgrade to R3_6.1.2"),
        ("reboot = \"n1\"", "reboot", "restart n1"),
        ("kind = \"finalise\"\nupgrade_to = \"R3_6.1.2\"", "finalise", "make the upgrade to R3_6.1.2 final"),
        (
            "kind = \"maintenance\"\nnode = \"n1\"\ntime = \"20m\"\nwhy = \"fans\"",
            "maintenance",
            "keep n1 in maintenance for 20 min: fans",
        ),
        ("kind = \"health_check\"", "health_check", "look whether each node could be worked on now"),
        ("kind = \"capacity_report\"", "capacity_report", "mail how full the pools are"),
        ("kind = \"certificate_check\"", "certificate_check", "look for certificates that end within 30 days"),
        ("kind = \"rule_self_test\"", "rule_self_test", "try the alert rules"),
        ("kind = \"artefact_prefetch\"", "artefact_prefetch", "look at the artefacts"),
        ("kind = \"state_backup\"\nfolder = \"/b\"", "state_backup", "copy the state to /b, 14 kept"),
    ] {
        let job = job(lines).unwrap();
        assert_eq!((job.asks.kind(), &*job.asks.in_words()), (kind, what));
    }
    for (lines, wrong) in [
        ("", "a job asks for one thing"),
        ("upgrade_to = \"1\"\nreboot = \"n\"", "a job asks for one thing"),
        ("kind = \"dance\"", "\"dance\" is no kind of job; write one of upgrade, reboot, maintenance"),
        ("kind = \"secret_rotation\"", "see \"Change secrets\" in docs/operations.md"),
        ("kind = \"upgrade\"", "write upgrade_to"),
        ("kind = \"maintenance\"\nnode = \"n\"\ntime = \"20m\"", "say what for"),
        ("kind = \"maintenance\"\nnode = \"n\"\nwhy = \"x\"", "say for how long"),
        ("kind = \"state_backup\"", "say where to"),
        ("kind = \"state_backup\"\nfolder = \"/b\"\nkeep = 0", "write 1 to 1000"),
        ("kind = \"certificate_check\"\ndays = 0", "write 1 to 3650"),
        // What another kind takes is told, and not left out in silence.
        ("kind = \"health_check\"\nfolder = \"/b\"", "folder"),
    ] {
        let told = job(lines).unwrap_err();
        assert!(told.contains(wrong), "{lines}: {told}");
    }
    // Times that never come, and lines that programs read differently.
    for (cron, wrong) in [
        ("0 2 30 2 *", "no day fits, so it never fires"),
        ("0 2 * * 1-5", "names weekdays by number"),
        ("0 2 1 * MON", "write two jobs"),
        ("0 2 * *", "4 fields stand where five or six"),
        ("61 2 * * *", "write numbers"),
        ("@daily", "write \"0 0 * * *\""),
    ] {
        let toml = format!("{SYSTEM}[[jobs]]\nname = \"one\"\nkind = \"health_check\"\ncron = \"{cron}\"\n");
        let told = Folder::new().load(&toml, &[]).unwrap_err();
        assert!(told.contains(wrong), "{cron}: {told}");
    }
    // What is of the whole controller needs no system where there are several.
    let two = format!("{SYSTEM}{}", SYSTEM.replace("prod", "lab"));
    let of = |kind: &str| {
        let toml = format!("{two}[[jobs]]\nname = \"one\"\ncron = \"0 2 * * *\"\nkind = \"{kind}\"\n");
        Folder::new().load(&toml, &[]).map(|mut config| config.jobs.remove(0).system)
    };
    assert_eq!(of("rule_self_test").unwrap(), Some(SystemId::new("lab")));
    assert!(of("health_check").unwrap_err().contains("say which one"));
}
