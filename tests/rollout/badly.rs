//! Whether what is wrong with a node is told in every place where people look,
//! nothing is half done there, and others go on.

use std::fs;
use std::sync::Arc;

use scaleio_framework::stage::{Disk, Host, Spec};

use crate::cluster::until;
use crate::ready::{OS, at_work, none, packages, phase, tick};
use crate::site::Site;

/// A host of whom something is wrong, and what is told of it.
struct Bad {
    name: &'static str,
    attributes: &'static str,
    spec: fn(Spec) -> Spec,
    told: &'static str,
}

const ALL: &[Bad] = &[
    Bad {
        name: "contradicts",
        attributes: "scaleio-sds-domains = \"d1,d2\"\nscaleio-sds-d1 = \"p\"\nscaleio-sds-d2 = \"p\"\nscaleio-sds-p = \"/dev/sdb\"",
        spec: |spec| spec,
        told: "pool p is named for domain d1 and for domain d2",
    },
    Bad {
        name: "misnames",
        attributes: "scaleio-sds-domains = \"d1\"\nscaleio-sds-d1 = \"p\"\nscaleio-sds-q = \"/dev/sdb\"",
        spec: |spec| spec,
        told: "attribute scaleio-sds-q is for q, which no other attribute names",
    },
    Bad {
        name: "misses",
        attributes: "scaleio-sds-domains = \"d1\"\nscaleio-sds-d1 = \"p1\"\nscaleio-sds-p1 = \"/dev/sdx\"",
        spec: |spec| spec,
        told: "/dev/sdx",
    },
    Bad {
        name: "uses",
        attributes: "scaleio-sds-domains = \"d1\"\nscaleio-sds-d1 = \"p1\"\nscaleio-sds-p1 = \"/dev/sdc\"",
        spec: |spec| spec.disk("/dev/sdc", Disk::Data),
        told: "/dev/sdc",
    },
    Bad { name: "small", attributes: "", spec: |spec| Spec { memory_mib: 128, ..spec }, told: "memory: 128 MiB" },
    Bad { name: "alien", attributes: "", spec: |spec| spec.os("plan9", "4"), told: "no operating system we know" },
    Bad { name: "old", attributes: "", spec: |spec| spec.os("centos", "6"), told: "is not supported" },
    Bad {
        name: "packageless",
        attributes: "",
        spec: |spec| spec.os("rocky", "9.2"),
        told: "artefacts.folder has none",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_node_is_told_everywhere_and_holds_up_no_other() {
    let section = |(at, bad): (usize, &Bad)| {
        let (name, attributes, at) = (bad.name, bad.attributes, at + 2);
        format!("[fleet.static.{name}]\naddress = \"10.9.0.{at}\"\n[fleet.static.{name}.attributes]\n{attributes}\n")
    };
    let sections: String = ALL.iter().enumerate().map(section).collect();
    // A host may be called so, and no store has room for it.
    let endless = format!("endless{}", ".x".repeat(60));
    let more = format!(
        "[fleet.static.\"{endless}\"]\naddress = \"10.9.0.99\"\n\
         [systems.prod.rollout]\ntopology = \"attributes\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [lifecycle]\nmode = \"act\"\n[fleet.static.good]\naddress = \"10.9.0.1\"\n{sections}"
    );
    let mut site = Site::start(&more).await;
    packages(&site);
    site.kill();
    site.run().await;
    let hosts = none(&site);
    let add = |spec: Spec| -> Arc<Host> {
        let host = hosts.add(&spec.disk("/dev/sdb", Disk::Blank)).unwrap();
        at_work(&site, &host);
        host
    };
    let made: Vec<Arc<Host>> = ALL
        .iter()
        .enumerate()
        .map(|(at, bad)| add((bad.spec)(Spec::new(bad.name, &format!("10.9.0.{}", at + 2)).os(OS.0, OS.1))))
        .collect();
    let good = add(Spec::new("good", "10.9.0.1").os(OS.0, OS.1));
    phase(&site, &hosts, "good", "ready").await;
    assert_eq!(good.machine().node.effects["install"], 2);

    for (bad, host) in ALL.iter().zip(&made) {
        let name = bad.name;
        // By the API.
        until(&format!("{name} to tell {}", bad.told), async || {
            tick(&site, &hosts);
            let node = site.node(name).await?;
            (node["phase"] == "failed" && node["because"].to_string().contains(bad.told)).then_some(())
        })
        .await;
        // Nothing was begun.
        let machine = host.machine();
        assert_eq!(machine.node.effects.get("install"), None, "{name}: {:?}", machine.deeds);
        assert_eq!(machine.deeds, [] as [&str; 0], "{name}");
    }
    let (_, plan) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(plan.contains(&endless) && plan.contains("is longer than what can be written down"), "{plan}");
    let (_, nodes) = site.sio(&["nodes"]).await;
    let (_, explained) = site.sio(&["status", "--explain"]).await;
    let metrics = site.text("/metrics").await;
    for Bad { name, told, .. } in ALL {
        for (place, text) in [("nodes", &nodes), ("status --explain", &explained)] {
            let from =
                text.find(&format!("{name}  failed")).unwrap_or_else(|| panic!("{name} is not in {place}: {text}"));
            assert!(text[from..].contains(told), "{place} does not tell {told:?} of {name}: {text}");
        }
        // The alert ScaleioNodeFailed looks at this.
        let state =
            format!("scaleio_framework_node_state{{system=\"prod\",node=\"{name}\",role=\"sdc\",state=\"failed\"}} 1");
        assert!(metrics.contains(&state), "{state} is not in the metrics");
    }
    assert!(!explained.contains("good  ready"), "what is ready needs no explanation: {explained}");

    // What a person mends goes on by itself.
    let file = fs::read_to_string(site.folder.path().join("sio.toml")).unwrap();
    fs::write(
        site.folder.path().join("sio.toml"),
        file.replace("scaleio-sds-p1 = \"/dev/sdx\"", "scaleio-sds-p1 = \"/dev/sdb\""),
    )
    .unwrap();
    site.kill();
    site.run().await;
    phase(&site, &hosts, "misses", "ready").await;
}
