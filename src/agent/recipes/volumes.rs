//! How tasks of Mesos get volumes: REX-Ray maps and mounts them, dvdcli asks
//! it, and the `docker/volume` isolator of the Mesos agent calls dvdcli (`mesos`).

use serde_json::{Map, Value, json};

use super::os::{Family, Os};
use crate::model::order::Consume;
use crate::model::version::Generation;

/// Where REX-Ray reads what it shall do.
pub const CONFIG: &str = "/etc/rexray/config.yml";

/// The service.
pub const UNIT: &str = "rexray";

/// Where units of ours go; those of packages are elsewhere, and stay.
pub const UNIT_FILE: &str = "/etc/systemd/system/rexray.service";

/// Units that REX-Ray's own packages bring.
pub const OTHER_UNITS: [&str; 2] = ["/usr/lib/systemd/system/rexray.service", "/lib/systemd/system/rexray.service"];

/// What is added to a unit that is not ours.
pub const DROP_IN: &str = "/etc/systemd/system/rexray.service.d/10-scaleio-framework.conf";

/// Where it answers dvdcli.
pub const SOCKET: &str = "/run/docker/plugins/rexray.sock";

/// The program that maps and mounts.
pub const REXRAY: &str = "rexray";

/// The program that asks it.
pub const DVDCLI: &str = "dvdcli";

/// Folders in which the Mesos agent and people find programs.
pub const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/opt/bin"];

/// Where programs of ours go: `/usr` of an immutable system cannot be written.
pub const fn folder(os: &Os) -> &'static str {
    match os.family {
        Family::El | Family::Sles | Family::Debian => "/usr/bin",
        Family::Immutable => "/opt/bin",
    }
}

/// Whether the driver works with a generation. The error is for people.
pub fn exists(generation: Generation) -> Result<(), String> {
    if generation >= Generation::V4 {
        return Err(format!(
            "REX-Ray does not know the login of release {generation}; there tasks get volumes by Mesos' CSI support, see docs/rollout.md"
        ));
    }
    Ok(())
}

/// What REX-Ray is told. Keys of others stay, such as their modules; ours win.
/// The error says why the old text cannot be kept.
pub fn config(old: &str, consume: &Consume, password: &str) -> Result<Value, String> {
    let mut all = read(old)?;
    merge(
        &mut all,
        json!({
            "libstorage": {
                // By this the plain socket leads to ScaleIO, whatever other services there are.
                "service": "scaleio",
                "integration": { "volume": { "operations": {
                    "mount": { "preempt": consume.preempts },
                    // Mesos counts who uses a volume on a node.
                    "unmount": { "ignoreUsedCount": true },
                    // No scheduler deletes data.
                    "remove": { "disable": true },
                } } },
            },
            "scaleio": {
                "endpoint": format!("{}/api", consume.gateway.trim_end_matches('/')),
                "insecure": consume.trusts_any,
                "userName": consume.user,
                "password": password,
                "systemID": consume.system,
                "protectionDomainName": consume.domain,
                "storagePoolName": consume.pool,
                "thinOrThick": if consume.thin { "ThinProvisioned" } else { "ThickProvisioned" },
            },
        }),
    );
    // The name would not be looked at, and another one would mislead people.
    if let Some(scaleio) = all.get_mut("scaleio").and_then(Value::as_object_mut) {
        scaleio.remove("systemName");
    }
    Ok(all)
}

/// What REX-Ray is told where a node has no volumes of a system any more. None: nothing that somebody else has told it.
/// What it may do with volumes is said for those of others too, and stays with them. The error says why the old text
/// cannot be read.
pub fn without(old: &str) -> Result<Option<Value>, String> {
    let mut all = read(old)?;
    subtract(
        &mut all,
        &json!({
            "libstorage": { "service": "scaleio" },
            "scaleio": {
                "endpoint": null,
                "insecure": null,
                "userName": null,
                "password": null,
                "systemID": null,
                "protectionDomainName": null,
                "storagePoolName": null,
                "thinOrThick": null,
            },
        }),
    );
    let mut of_others = all.clone();
    let ours =
        json!({ "mount": { "preempt": null }, "unmount": { "ignoreUsedCount": null }, "remove": { "disable": null } });
    subtract(&mut of_others, &json!({ "libstorage": { "integration": { "volume": { "operations": ours } } } }));
    Ok(of_others.as_object().is_some_and(|keys| !keys.is_empty()).then_some(all))
}

/// Takes keys away: those of no value whatever they say, others where they say the same; and what is empty then.
fn subtract(from: &mut Value, what: &Value) {
    let (Some(keys), Some(what)) = (from.as_object_mut(), what.as_object()) else { return };
    for (key, value) in what {
        let Some(known) = keys.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned() else { continue };
        let Some(there) = keys.get_mut(&known) else { continue };
        subtract(there, value);
        let is_empty = there.as_object().is_some_and(Map::is_empty);
        if is_empty || value.is_null() || there == value {
            keys.remove(&known);
        }
    }
}

/// A configuration as it lies on the node; an empty one is one without keys.
pub fn read(text: &str) -> Result<Value, String> {
    let empty = || Value::Object(Map::new());
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(empty());
    }
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(format!("{CONFIG} is no list of keys and values; mend it or move it away")),
        // The text may hold passwords: where it is wrong is not repeated.
        Err(_) => Err(format!("{CONFIG} is no YAML that can be read; mend it or move it away")),
    }
}

/// The text of a configuration: JSON, which is YAML too, and quotes passwords of all signs.
pub fn text(config: &Value) -> String {
    format!("{config:#}\n")
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                // REX-Ray does not tell small letters from capital ones.
                let twin = into.keys().find(|known| known.eq_ignore_ascii_case(&key) && **known != key).cloned();
                if let Some(twin) = twin
                    && let Some(old) = into.remove(&twin)
                {
                    into.insert(key.clone(), old);
                }
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What makes a unit of somebody else start behind the SDC.
pub const DROP_IN_TEXT: &str = "[Unit]\nWants=scini.service\nAfter=scini.service\n";

/// The unit where there is none.
pub fn unit(program: &str) -> String {
    format!(
        "[Unit]\nDescription=REX-Ray, volumes for containers\nWants=network-online.target scini.service\n\
         After=network-online.target scini.service\nBefore=mesos-slave.service mesos-agent.service\n\n\
         [Service]\nExecStart={program} start -f\nExecReload=/bin/kill -HUP $MAINPID\nKillMode=process\n\
         Restart=always\nRestartSec=5\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consume() -> Consume {
        Consume {
            rexray: None,
            dvdcli: None,
            gateway: "https://gw.example.com:8443/".to_owned(),
            user: "rexray".to_owned(),
            system: "4c8a0b2300000001".to_owned(),
            domain: "d1".to_owned(),
            pool: "ssd".to_owned(),
            thin: true,
            preempts: true,
            trusts_any: false,
            generation: Generation::V2_0,
            accepted: false,
        }
    }

    #[test]
    fn a_configuration_says_where_volumes_come_from_and_quotes_what_it_must() {
        let text = text(&config("", &consume(), "a: \"b\" #c\n").unwrap());
        let again = read(&text).unwrap();
        assert_eq!(again["scaleio"]["password"], "a: \"b\" #c\n");
        assert_eq!(again["scaleio"]["endpoint"], "https://gw.example.com:8443/api");
        assert_eq!(again["scaleio"]["systemID"], "4c8a0b2300000001");
        assert_eq!(again["libstorage"]["integration"]["volume"]["operations"]["mount"]["preempt"], true);
    }

    #[test]
    fn keys_of_others_stay_and_ours_are_there_once() {
        let old = "# by hand\nrexray:\n  logLevel: warn\n  modules:\n    second:\n      type: docker\n\
                   libstorage:\n  service: ebs\n  server:\n    services:\n      ebs:\n        driver: ebs\n\
                   scaleio:\n  username: admin\n  systemName: old\n  apiVersion: \"2.0\"\n";
        let new = config(old, &consume(), "p").unwrap();
        assert_eq!(new["rexray"]["modules"]["second"]["type"], "docker");
        assert_eq!(new["libstorage"]["service"], "scaleio");
        assert_eq!(new["libstorage"]["server"]["services"]["ebs"]["driver"], "ebs");
        assert_eq!(new["scaleio"]["apiVersion"], "2.0");
        assert_eq!(new["scaleio"]["userName"], "rexray");
        assert_eq!((new["scaleio"].get("username"), new["scaleio"].get("systemName")), (None, None));
        assert_eq!(config(&text(&new), &consume(), "p").unwrap(), new, "once more changes nothing");
    }

    #[test]
    fn what_was_told_is_taken_back_and_the_keys_of_others_stay() {
        let ours = text(&config("", &consume(), "hunter2").unwrap());
        assert_eq!(without(&ours), Ok(None), "all of it is ours");
        let old = "rexray:\n  logLevel: warn\nlibstorage:\n  server:\n    services:\n      ebs:\n        driver: ebs\n\
                   scaleio:\n  USERNAME: admin\n  apiVersion: \"2.0\"\n";
        let left = without(&text(&config(old, &consume(), "hunter2").unwrap())).unwrap().unwrap();
        assert_eq!(left["scaleio"], json!({ "apiVersion": "2.0" }));
        assert_eq!((&left["rexray"]["logLevel"], left["libstorage"].get("service")), (&json!("warn"), None));
        assert_eq!(left["libstorage"]["server"]["services"]["ebs"]["driver"], "ebs");
        assert_eq!(left["libstorage"]["integration"]["volume"]["operations"]["remove"]["disable"], true);
        assert_eq!(without(&text(&left)), Ok(Some(left)), "once more changes nothing");
        let service = without("libstorage:\n  service: ebs\n").unwrap().unwrap();
        assert_eq!(service["libstorage"]["service"], "ebs");
        assert!(without("- hunter2\n").unwrap_err().contains(CONFIG));
    }

    #[test]
    fn what_is_no_configuration_is_told_without_its_text() {
        for old in ["- a\n- hunter2\n", "hunter2", "a: [hunter2\n"] {
            let why = config(old, &consume(), "p").unwrap_err();
            assert!(why.contains(CONFIG) && !why.contains("hunter2"), "{why}");
        }
        assert!(exists(Generation::V3_5).is_ok());
        assert!(exists(Generation::V4).unwrap_err().contains("CSI"));
    }
}
