//! What ZooKeeper says of who leads: asked once at each try to subscribe.
//!
//! Nothing is watched meanwhile: a leader that loses ZooKeeper ends itself and
//! with that our stream, and a stream that works must survive ZooKeeper.

use std::time::Duration;

use zookeeper_client::{Client, Error};

use super::MesosError;
use super::master::{address_in, leading};
use crate::config::{MasterUrl, MastersInZooKeeper};

/// For all of it. The client itself tries every server of the list.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A leader may go between two questions; more often than this is no accident.
const TRIES: usize = 3;

pub(super) async fn leader(place: &MastersInZooKeeper) -> Result<MasterUrl, MesosError> {
    let fail = |why: String| MesosError::ZooKeeper { servers: place.servers.clone(), why };
    match tokio::time::timeout(TIMEOUT, ask(place)).await {
        Ok(Ok(address)) => Ok(MasterUrl { tls: place.tls, address }),
        Ok(Err(why)) => Err(fail(why)),
        Err(_) => Err(fail(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

async fn ask(place: &MastersInZooKeeper) -> Result<String, String> {
    let mut connector = Client::connector().with_session_timeout(TIMEOUT).with_fail_eagerly();
    if let Some(auth) = &place.auth {
        connector = connector.with_auth("digest", auth.0.reveal().as_bytes());
    }
    let client = connector.connect(&place.servers).await.map_err(|error| error.to_string())?;
    for _ in 0..TRIES {
        let children = client.list_children(&place.path).await.map_err(|error| match error {
            Error::NoNode => format!("{} is not there; see the path in mesos.masters", place.path),
            Error::NoAuth => format!("{} may not be read; see mesos.zookeeper_auth_file", place.path),
            other => other.to_string(),
        })?;
        let Some(child) = leading(&children) else {
            return Err(format!("no master stands in {}", place.path));
        };
        match client.get_data(&format!("{}/{child}", place.path)).await {
            Ok((json, _)) => return address_in(&json).map_err(|why| format!("{child} cannot be read: {why}")),
            Err(Error::NoNode) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the leader changes all the time".to_owned())
}
