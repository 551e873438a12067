//! What people tell objects to do: requests become commands of the world, and
//! its replies become answers. The rules are the world's.

mod args;
mod cluster;
mod nodes;
mod people;
mod remote;
mod served;
mod storage;
mod volumes;

use axum::response::Response;

pub(super) use args::Args;
pub(in crate::sim) use served::served;

use super::journal::Made;
use super::json::Json;
use super::kind::Kind;
use super::ok;
use super::refusal::Refused;
use crate::sim::world::{Code, Command, Id, Reply, World};

/// The command that an action of an object is, if there is such an action.
pub(super) fn command(
    world: &World,
    by: Id,
    (kind, id): (Kind, Id),
    action: &str,
    args: &Args,
) -> Result<Command, Refused> {
    if !served::is_served(kind, action, world.release) {
        return Err(Refused::not_found());
    }
    let found = match kind {
        Kind::System => cluster::system(world, action, args)?,
        Kind::ProtectionDomain => storage::domain(action, args)?.map(|command| Command::Domain(id, command)),
        Kind::FaultSet => storage::fault_set(action, args)?.map(|command| Command::FaultSet(id, command)),
        Kind::StoragePool => storage::pool(world, action, args)?.map(|command| Command::Pool(id, command)),
        Kind::Sds => nodes::sds(action, args)?.map(|command| Command::Sds(id, command)),
        Kind::Device => nodes::device(action, args)?.map(|command| Command::Device(id, command)),
        Kind::Sdc | Kind::Host => nodes::sdc(action, args, id)?,
        Kind::Volume => volumes::volume(world, action, args)?.map(|command| Command::Volume(id, command)),
        Kind::SnapshotPolicy => volumes::policy(action, args)?.map(|command| Command::Policy(id, command)),
        Kind::ReplicationConsistencyGroup => remote::group(action, args)?.map(|command| Command::Group(id, command)),
        Kind::ReplicationPair => remote::pair(action).map(|command| Command::Pair(id, command)),
        Kind::Sdr => remote::sdr(action).map(|enter| Command::SdrMaintenance(id, enter)),
        Kind::Sdt => remote::sdt(action, args)?.map(|command| Command::Sdt(id, command)),
        Kind::AccelerationPool => {
            storage::acceleration_pool(action, args)?.map(|command| Command::Acceleration(id, command))
        }
        Kind::PeerMdm => remote::peer(action, args)?.map(|command| Command::Peer(id, command)),
        Kind::RemoteSystem => people::remote_system(action, args)?.map(|command| Command::RemoteSystem(id, command)),
        Kind::User => people::user(action, args)?.map(|command| Command::User { by, user: id, command }),
        Kind::VTree | Kind::SpSds | Kind::RfcacheDevice | Kind::Alert => None,
    };
    found.ok_or_else(Refused::not_found)
}

/// The command that makes an object of a type.
pub(super) fn creation(world: &World, by: Id, kind: Kind, args: &Args) -> Result<Command, Refused> {
    match kind {
        Kind::ProtectionDomain => Ok(Command::CreateDomain { name: args.needed("name")? }),
        Kind::FaultSet => storage::new_fault_set(world, args),
        Kind::StoragePool => storage::new_pool(world, args),
        Kind::Sds => nodes::new_sds(world, args),
        Kind::Device => nodes::new_device(args),
        Kind::Volume => volumes::new_volume(args),
        Kind::SnapshotPolicy => volumes::new_policy(args),
        Kind::AccelerationPool => storage::new_acceleration_pool(args),
        Kind::PeerMdm => remote::new_peer(args),
        Kind::ReplicationConsistencyGroup => remote::new_group(args),
        Kind::ReplicationPair => remote::new_pair(args),
        Kind::Sdt => remote::new_sdt(args),
        Kind::Host => Ok(Command::CreateHost { name: args.text("name"), nqn: args.needed("nqn")? }),
        Kind::RemoteSystem => people::new_remote_system(args),
        Kind::User => people::new_user(args, by),
        Kind::System | Kind::Sdc | Kind::VTree | Kind::SpSds | Kind::RfcacheDevice | Kind::Sdr | Kind::Alert => {
            Err(Refused::not_found())
        }
    }
}

/// What the gateway answers to a command that was obeyed.
pub(super) fn answer(action: &str, reply: &Reply) -> Response {
    match reply {
        // These two alone answer nothing at all.
        Reply::Done if matches!(action, "removeStandbyMdm" | "switchClusterMode") => ok(""),
        Reply::Done => ok("{}"),
        Reply::Created(id) => {
            let mut answer = ok(format!("{{\"id\":\"{id}\"}}"));
            answer.extensions_mut().insert(Made(*id));
            answer
        }
        Reply::Snapshots { group, volumes } => {
            let mut json = Json::default();
            json.object(|json| {
                json.key("volumeIdList").array(|json| {
                    for id in volumes {
                        json.shown(id);
                    }
                });
                json.key("snapshotGroupId").shown(group);
            });
            ok(json.finish())
        }
        Reply::Verdicts(verdicts) => {
            let mut json = Json::default();
            let rows = |json: &mut Json| {
                json.array(|json| {
                    for (sds, refused) in verdicts {
                        verdict(json, *sds, *refused);
                    }
                });
            };
            // Protected mode answers the bare list.
            if action.contains("Protected") {
                rows(&mut json);
            } else {
                json.object(|json| {
                    json.key("sdsMMResults");
                    rows(json);
                });
            }
            ok(json.finish())
        }
    }
}

/// What success looks like was never seen: the symbol and number of it in the
/// vendor's table are the likeliest.
fn verdict(json: &mut Json, sds: Id, refused: Option<Code>) {
    let (symbol, number) = refused.map_or(("SUCCESS", 65), |code| (code.symbol(), code.number()));
    json.object(|json| {
        json.key("sdsId").shown(sds);
        json.key("message").string(symbol);
        json.key("resultCode").shown(number);
    });
}
