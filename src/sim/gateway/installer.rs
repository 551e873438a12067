//! The Installation Manager, as far as its shape is known: what it says of
//! packages and topology, and the phases that its work goes through.
//!
//! It installs nothing here; phases only follow each other when told to.

use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::actions::Args;
use super::json::Json;
use super::refusal::Refused;
use super::{Asked, Gateway, json_response, ok};
use crate::sim::world::{MdmRole, Right, World};

/// Phases of an installation, in their order.
const PHASES: [&str; 4] = ["query", "upload", "install", "configure"];

/// What the Installation Manager is about.
#[derive(Debug, Default)]
pub(super) struct Installer(Mutex<Work>);

#[derive(Debug, Default)]
struct Work {
    /// Nothing, or the phase and what for.
    phase: Option<(usize, &'static str)>,
}

impl Gateway {
    /// `/im`.
    pub(super) fn installer(&self, asked: &Asked, path: &[&str]) -> Result<Response, Refused> {
        // Older ones take the user's own password instead of a token.
        let role = match self.caller(asked) {
            Ok(caller) => caller.role,
            Err(refused) => self.password_role(asked).ok_or(refused)?,
        };
        let look = asked.method == Method::GET || path == ["types", "Configuration", "instances"];
        if !look && !role.may(Right::Backend) {
            return Err(Refused::forbidden());
        }
        let mut work = self.installer.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&asked.method, path) {
            (&Method::GET, ["types", "installationPackages", "instances"]) => Ok(ok(packages(&self.world()))),
            (&Method::POST, ["types", "Configuration", "instances"]) => {
                let ips = Args::read(asked)?.addresses("mdmIps");
                let world = self.world();
                let known = world.mdm.master().is_some_and(|mdm| mdm.ips.iter().any(|ip| ips.contains(ip)));
                // Whoever asks another than the primary MDM is told nothing.
                Ok(ok(if known { topology(&world) } else { String::new() }))
            }
            (&Method::GET, ["types", "ProcessPhase", "instances"]) => Ok(ok(phase(&work))),
            (&Method::POST, ["types", "Configuration", "actions", "install"]) => begin(&mut work, "install"),
            (&Method::POST, ["types", "Configuration", "actions", "uninstall"]) => begin(&mut work, "uninstall"),
            (&Method::POST, ["types", "Configuration", "actions", "runUnattendedUpgrade"]) => {
                begin(&mut work, "upgrade")
            }
            (&Method::POST, ["types", "ProcessPhase", "actions", "moveToNextPhase"]) => {
                work.phase = work.phase.map(|(at, what)| (at + 1, what)).filter(|(at, _)| *at < PHASES.len());
                Ok(ok("{}"))
            }
            (&Method::POST, ["types", "ProcessPhase", "actions", "moveToIdlePhase"]) => {
                work.phase = None;
                Ok(ok("{}"))
            }
            // No command is ever pending or failed here.
            (&Method::GET, ["types", "Command", "instances"]) => Ok(ok("{}")),
            (&Method::POST, ["types", "Command", "instances", "actions", "retry" | "abort" | "clear"]) => Ok(ok("{}")),
            _ => Err(Refused::not_found()),
        }
    }
}

/// One process at a time.
fn begin(work: &mut Work, what: &'static str) -> Result<Response, Refused> {
    if work.phase.is_some() {
        return Err(Refused::malformed("another process is running"));
    }
    work.phase = Some((0, what));
    Ok(json_response(StatusCode::ACCEPTED, "{}"))
}

fn phase(work: &Work) -> String {
    let mut json = Json::default();
    json.object(|json| {
        let at = work.phase.map(|(at, _)| at);
        json.key("phase").string(at.map_or("idle", |at| PHASES[at]));
        json.key("nextPhase").opt_string(at.and_then(|at| PHASES.get(at + 1)).copied());
        json.key("operation").opt_string(work.phase.map(|(_, what)| what));
        json.key("upgradePersistenceRecord").raw("null");
        json.key("rollbackEnabled").bool(false);
    });
    json.finish()
}

fn packages(world: &World) -> String {
    let release = world.release.as_str();
    let mut json = Json::default();
    json.array(|json| {
        for kind in ["lia", "mdm", "sds", "sdc"] {
            json.object(|json| {
                json.key("version").shown(format_args!("{release}-0.100"));
                json.key("sioPatchNumber").number(0);
                json.key("type").string(kind);
                json.key("size").number(50_000_000);
                json.key("label").string("0.100.el7.x86_64");
                json.key("operatingSystem").string("linux");
                json.key("linuxFlavour").string("rhel7");
                json.key("activemqPackage").bool(false);
                json.key("filename").shown(format_args!("EMC-ScaleIO-{kind}-{release}-0.100.el7.x86_64.rpm"));
                json.key("activemqRpmPackage").bool(false);
                json.key("activemqUbuntuPackage").bool(false);
                json.key("latest").bool(true);
            });
        }
    });
    json.finish()
}

fn topology(world: &World) -> String {
    let master = world.mdm.master().map(|mdm| mdm.id);
    let ips = |json: &mut Json, ips: &[String]| {
        json.array(|json| {
            for ip in ips {
                json.string(ip);
            }
        });
    };
    let node = |json: &mut Json, name: &str, own: &[String]| {
        json.object(|json| {
            json.key("nodeIPs");
            ips(json, own);
            json.key("name").string(name);
        });
    };
    let mut json = Json::default();
    json.object(|json| {
        json.key("systemVersionName").string(&world.system.version_name);
        json.key("virtualIps");
        ips(json, &world.cluster_ips);
        json.key("masterMdm");
        match world.mdm.master() {
            Some(mdm) => node(json, &mdm.name, &mdm.ips),
            None => json.raw("null"),
        }
        for (key, role, standby) in [
            ("slaveMdmSet", MdmRole::Manager, false),
            ("tbSet", MdmRole::TieBreaker, false),
            ("standbyMdmSet", MdmRole::Manager, true),
            ("standbyTbSet", MdmRole::TieBreaker, true),
        ] {
            json.key(key).array(|json| {
                for mdm in &world.mdm.members {
                    if mdm.role == role && mdm.standby == standby && Some(mdm.id) != master {
                        node(json, &mdm.name, &mdm.ips);
                    }
                }
            });
        }
        json.key("sdsList").array(|json| {
            for sds in world.sds.values() {
                let own: Vec<String> = sds.ips.iter().map(|address| address.ip.clone()).collect();
                node(json, &sds.name, &own);
            }
        });
        json.key("sdcList").array(|json| {
            for sdc in world.sdcs.values() {
                node(json, sdc.name.as_deref().unwrap_or_default(), std::slice::from_ref(&sdc.ip));
            }
        });
    });
    json.finish()
}
