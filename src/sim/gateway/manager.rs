//! PowerFlex Manager of 4.x, as far as clients of the block API ask it.

use axum::http::Method;
use axum::response::Response;

use super::json::Json;
use super::refusal::Refused;
use super::{Asked, Gateway, ok};
use crate::sim::release::Release;
use crate::sim::world::{Maintenance, Upgrade, World};

impl Gateway {
    /// `/Api/V1`, in whatever case.
    pub(super) fn manager(&self, asked: &Asked, path: &[&str]) -> Result<Response, Refused> {
        if self.release < Release::V4_5 {
            return Err(Refused::not_found());
        }
        self.caller(asked)?;
        match (&asked.method, path) {
            (&Method::GET, ["corelcm", "status"]) => Ok(ok(status(&self.world()))),
            (&Method::GET, ["ManagedDevice"]) => Ok(ok(devices(&self.world()))),
            // Nobody deployed anything, or keeps firmware here.
            (&Method::GET, ["Deployment" | "FirmwareRepository" | "ServiceTemplate" | "OSRepository"]) => Ok(ok("[]")),
            _ => Err(Refused::not_found()),
        }
    }
}

fn status(world: &World) -> String {
    let upgrading = matches!(world.upgrade, Upgrade::Running { .. } | Upgrade::PostProcessing { .. });
    let mut json = Json::default();
    json.object(|json| {
        json.key("lcmStatus").string(if upgrading { "UPGRADING" } else { "READY" });
        json.key("clusterVersion").string("4.6.0.0");
        json.key("clusterBuild").string("1258");
    });
    json.finish()
}

/// The nodes, each under the address of its SDS.
fn devices(world: &World) -> String {
    let mut json = Json::default();
    json.array(|json| {
        for sds in world.sds.values() {
            let down = !sds.connected();
            let working = sds.maintenance != Maintenance::None;
            json.object(|json| {
                json.key("refId").shown(format_args!("softwareOnlyServer-{}", sds.id));
                json.key("deviceType").string("SoftwareOnlyServer");
                json.key("ipAddress").opt_string(sds.ips.first().map(|address| address.ip.as_str()));
                json.key("serviceTag").shown(format_args!("SIM{}", sds.id));
                json.key("model").string("Simulated node");
                json.key("displayName").string(&sds.name);
                json.key("state").string("DEPLOYED");
                json.key("managedState").string("MANAGED");
                json.key("health").string(match (down, working) {
                    (_, true) => "servicemode",
                    (true, false) => "red",
                    (false, false) => "green",
                });
                json.key("compliance").string("COMPLIANT");
                json.key("flexosMaintMode").number(u64::from(working));
            });
        }
    });
    json.finish()
}
