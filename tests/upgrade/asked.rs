//! What people ask wrongly, at the wrong time, or twice: a clear answer each.

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::model::order::Component;
use scaleio_framework::stage::{Hosts, package};
use serde_json::{Value, json};

use crate::site::{AFTER, Site};

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_order_is_refused_with_what_to_do() {
    let site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    let upgrade = |to: &str| json!({"request": "upgrade", "to": to, "only": []});
    let cases: Vec<(Value, u16, &str)> = vec![
        (json!({"order": "approve", "plan": plan.id}), 400, "say who asks"),
        (json!({"order": "approve", "by": "ada", "plan": "0123456789"}), 404, "no plan on file"),
        (json!({"order": "approve", "by": "ada", "plan": "0"}), 404, "no plan on file"),
        (json!({"order": "pause", "by": "ada"}), 404, "no run is open"),
        (json!({"order": "release", "by": "ada", "node": "node-1"}), 404, "not held"),
        (json!({"order": "free", "by": "ada", "version": "x"}), 404, "not quarantined"),
        (json!({"order": "dance", "by": "ada"}), 422, "unknown variant"),
        (json!({"order": "plan", "by": "ada", "request": {"request": "rotate_secrets"}}), 400, "Change secrets"),
    ];
    for (order, status, says) in cases {
        let (was, text) = site.ask(order.clone()).await;
        assert!(was == status && text.contains(says), "{order}: {was} {text}");
    }
    // A version of which a package lacks is not begun, and each file that lacks is named, however the release is written.
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": upgrade("3.6.0.999")})).await;
    assert!(status == 409 && text.contains("EMC-ScaleIO-sds-3.6-0.999.el7.x86_64.rpm"), "{status} {text}");
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": upgrade(AFTER)})).await;
    assert!(status == 200 && text.contains(&site.to), "{status} {text}");
    // Two at once: the second one is told of the first.
    assert_eq!(site.approve(&plan).await.0, 200);
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("is not over"), "{status} {text}");
    let hard =
        json!({"order": "override", "by": "ada", "reason": "device_error", "node": null, "seconds": 60, "why": "x"});
    let (status, text) = site.ask(hard).await;
    assert!(status == 409 && text.contains("nobody can override"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_observe_nothing_is_approved_and_facts_that_changed_refuse_a_plan() {
    let site = Site::new("observe").await;
    let plan = site.plan_upgrade().await;
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("observe"), "{status} {text}");

    let site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    // Somebody installs another one by hand meanwhile.
    let host = site.hosts.all().remove(0);
    let (name, text) = package(Component::Sds, "3.6-0.9", Books::Rpm);
    host.machine().node.files.insert(name.clone(), text.into_bytes());
    assert_eq!(host.machine().node.run(&["rpm", "-U", &name], &[].into(), false).status, 0);
    let begun = std::time::Instant::now();
    while !site.get("/api/v1/systems/prod/sds").await.contains("R3_6.0.9") {
        assert!(begun.elapsed().as_secs() < 120, "no picture shows it");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("has another version"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_which_a_package_lacks_for_one_system_of_the_fleet_is_refused_by_name_and_nothing_begins() {
    let released = |id: &'static str, version: &'static str| {
        move |hosts: &Hosts| {
            let text = format!("ID={id}\nVERSION_ID={version}\nPRETTY_NAME=\"{id} {version}\"\n");
            let host = hosts.all().pop().unwrap();
            host.machine().node.files.insert("/etc/os-release".to_owned(), text.into_bytes());
        }
    };
    // All packages are there for CentOS 7, which the other three hosts have.
    let site = Site::on("act", released("rocky", "8.9")).await;
    let odd = site.hosts.all().pop().unwrap().name.clone();
    let request = json!({"request": "upgrade", "to": AFTER, "only": []});
    let order = json!({"order": "plan", "by": "ada", "request": request});
    let ask = async |site: &Site, says: &dyn Fn(u16, &str) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            let (status, text) = site.ask(order.clone()).await;
            if says(status, &text) {
                return text;
            }
            assert!(begun.elapsed().as_secs() < 120, "{status} {text}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let text = ask(&site, &|status, text| status == 409 && text.contains(&odd)).await;
    // What comes and the way back, of each component: the system, the file, and who needs it.
    for release in ["3.6-0.200", "3.6-0.0"] {
        for component in ["sds", "sdc"] {
            let file = format!("EMC-ScaleIO-{component}-{release}.el8.x86_64.rpm (needed on {odd})");
            let of = format!("{component} R3_6.0.{} for rocky 8.9", release.rsplit('.').next().unwrap());
            assert!(text.contains(&file) && text.contains(&of), "{file}, {of}: {text}");
        }
    }
    assert!(text.contains("artefacts.folder") && !text.contains(".el7."), "{text}");
    let (code, said) = site.sio(&["plan", "upgrade", "--to", AFTER, "--by", "ada"]);
    assert!(code != Some(0) && said.contains(&format!("(needed on {odd})")) && said.contains("rocky 8.9"), "{said}");
    assert!(site.lifecycle().await.run.is_none());
    assert_eq!(site.installed(), [0; 4]);

    // Without that host the others can be brought to it.
    let only: Vec<String> = site.hosts.all().iter().map(|host| host.name.clone()).filter(|name| *name != odd).collect();
    let request = json!({"request": "upgrade", "to": AFTER, "only": only});
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
    assert!(status == 200 && text.contains("was not asked for"), "{status} {text}");

    // A system that we do not know, of which the agent cannot even tell what is installed, is no host with nothing to do.
    let site = Site::on("act", released("plan9", "4")).await;
    let all = |status: u16, text: &str| status == 200 && text.contains(&odd) && text.matches("planned, ").count() == 3;
    let text = ask(&site, &all).await;
    let plan: Value = serde_json::from_str(&text).unwrap();
    let says = plan["nodes"][&odd].as_str().unwrap();
    assert!(says.contains("cannot be planned") && says.contains("plan9 4"), "{says}");
    assert!(plan["stages"].as_array().unwrap().iter().all(|stage| stage["name"] != "sdc"), "{text}");
    assert_eq!(site.installed(), [0; 4]);
}
