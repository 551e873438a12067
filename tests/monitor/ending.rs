//! Does a part that fails end the whole, so that a supervisor sees it?

use std::process::Command;
use std::time::Duration;

use scaleio_framework::sim::{Release, Running};

use crate::child::{self, Process};
use crate::site::{Scrape, client, eventually, still};

fn toggle(world: &Running) {
    world.world(|world| {
        let away = !world.sds.values().find(|sds| sds.name == "sds-2-1").unwrap().connected();
        if away { world.return_sds("sds-2-1").unwrap() } else { world.fail_sds("sds-2-1").unwrap() }
    });
    world.advance(Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_controller_with_an_error_that_names_it() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    // A file of the store may not grow beyond 128 KiB: enough to start, not
    // enough for many changes. The log is a pipe away from that limit.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" run --config \"$1\" 2>&1 | cat"]);
    command.arg(env!("CARGO_BIN_EXE_sio")).arg(&config).env_clear().env("PATH", "/usr/bin:/bin");
    let mut process = Process::start(&mut command, folder.path().join("log"));
    let web = process.says("web=").await;
    for _ in 0..500 {
        toggle(&world);
        let connected = world.world(|world| world.sds.values().filter(|sds| sds.connected()).count()) as f64;
        let seen = eventually("the change is told, or it is at its end", async || {
            let Ok(response) = client().get(format!("http://{web}/metrics")).send().await else {
                return Ok(false);
            };
            let Ok(text) = response.text().await else { return Ok(false) };
            let told = Scrape::read(&text);
            let family = told.families.get("scaleio_sds_mdm_connected");
            let sum: f64 = family.iter().flat_map(|family| &family.samples).map(|sample| sample.value).sum();
            if sum == connected { Ok(true) } else { Err(format!("{sum} of {connected}")) }
        })
        .await;
        if !seen {
            break;
        }
    }
    process.ends().await;
    let said = process.said();
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("sio: the store failed: ") && last.contains("state.db"), "{said}");
}
