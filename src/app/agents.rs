//! Wiring of what nodes come to: the authority, the agents' endpoint, the
//! program they fetch, and who gives them orders.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Tasks;
use crate::config::{self, Config};
use crate::enrol::artefacts::Shelf;
use crate::enrol::ca::Authority;
use crate::enrol::crew::{Crew, Steward};
use crate::enrol::desk;
use crate::enrol::endpoint::{Endpoint, Papers};
use crate::enrol::program::Program;
use crate::enrol::renewal::{self, Renewal};
use crate::enrol::stock::Stock;
use crate::enrol::token::Admissions;
use crate::fleet::launch;
use crate::mesos::scheduler::Template;
use crate::model::enrolment;
use crate::model::order::Artefact;
use crate::model::unit::Timestamp;
use crate::store::{Desk, State};
use crate::web::access::Access;
use crate::web::listener::Listener;

/// Everything about nodes that was opened and is not yet served.
pub(super) struct Agents {
    /// The handle for whoever wants something done on a node.
    pub(super) crew: Crew,
    /// Who signs for nodes.
    pub(super) authority: Arc<Authority>,
    /// Packages.
    pub(super) shelf: Shelf,
    /// Tokens of hosts outside of Mesos.
    pub(super) admissions: Admissions,
    /// The program that Mesos agents start.
    pub(super) template: Template,
    /// How agents stand to the program that they are to be.
    pub(super) renewal: watch::Sender<Arc<Renewal>>,
    steward: Steward,
    endpoint: Endpoint,
    mirror: (TcpListener, Program),
    /// The program that agents become; none: they stay as they are.
    renewed: Option<Artefact>,
    /// Who brings what comes from elsewhere.
    stock: Option<Stock>,
}

/// Opens all that the configuration asks for; none without `[agents]`.
pub(super) async fn open(
    config: &Config,
    desk: &Desk,
    state: &State,
    now: Timestamp,
) -> anyhow::Result<Option<Agents>> {
    let Some(settings) = &config.agents else { return Ok(None) };
    let authority = Authority::open(&settings.folder, now).context("the authority for agents cannot be used")?;
    let authority = Arc::new(authority.with_life(settings.certificate_life));
    let artefacts = config.artefacts.clone();
    let read = tokio::task::spawn_blocking(move || read(&artefacts));
    let (shelf, program, stock) = read.await.context("the artefacts could not be read")??;
    let admissions = Admissions::default();
    let (orderer, counter) = desk::open();
    let (steward, crew) = Steward::new(orderer, desk.clone(), state);
    let names: Vec<String> = settings.addresses.iter().filter_map(|address| host(address)).collect();
    let endpoint =
        Endpoint::bind(settings.listen, &names, authority.clone(), counter, shelf.clone(), admissions.clone()).await?;
    let renewed = (settings.renew && config.lifecycle.mode > config::Mode::Observe).then(|| program.artefact());
    let renewal = watch::Sender::default();
    let mirror = listen(config.artefacts.listen).await?;
    let address = format!("{}{}", config.artefacts.url, program.path());
    let launched = launch::Program { address, sha256: program.sha256() };
    let environment = vec![
        (enrolment::CONTROLLERS.to_owned(), settings.addresses.join(",")),
        (enrolment::AUTHORITY.to_owned(), authority.fingerprint()),
    ];
    let (cpus, mem) = config.mesos.as_ref().map_or((0.0, 0.0), |mesos| (mesos.executor_cpus, mesos.executor_mem));
    let template = launch::template(&launched, environment, cpus, mem);
    info!(addresses = ?settings.addresses, "agents may come");
    let mirror = (mirror, program);
    Ok(Some(Agents {
        crew,
        authority,
        shelf,
        admissions,
        template,
        renewal,
        steward,
        endpoint,
        mirror,
        renewed,
        stock,
    }))
}

/// Packages and program, with their hashes.
fn read(artefacts: &config::Artefacts) -> anyhow::Result<(Shelf, Program, Option<Stock>)> {
    let shelf = Shelf::of(artefacts).map_err(anyhow::Error::msg)?;
    let (stock, shelf) = Stock::open(&artefacts.sources, shelf).map_err(anyhow::Error::msg)?;
    // The file that runs, though another may lie in its place by now.
    let path = artefacts.program.clone().unwrap_or_else(|| "/proc/self/exe".into());
    let program = Program::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((shelf.with_program(program.artefact(), path), program, stock))
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let place = || format!("cannot listen on {address} for Mesos agents; free it, or set artefacts.listen to another");
    TcpListener::bind(address).await.with_context(place)
}

/// The host of `https://host:port`, without the brackets of IPv6.
fn host(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    Some(url.host_str()?.trim_matches(['[', ']']).to_owned())
}

impl Agents {
    /// How long the certificates of nodes are good.
    pub(super) fn papers(&self) -> Papers {
        self.endpoint.papers()
    }

    /// Starts the tasks.
    pub(super) fn serve(self, tasks: &mut Tasks, stop: &CancellationToken) {
        let steward = self.steward.run(stop.clone());
        tasks.spawn(async move { ("orders of nodes", steward.await.map_err(anyhow::Error::from)) });
        if let Some(stock) = self.stock {
            super::spawn(tasks, "artefacts from elsewhere", stock.run(stop.clone()));
        }
        super::spawn(tasks, "agents' endpoint", self.endpoint.serve(stop.clone()));
        if let Some(program) = self.renewed {
            let renewing = renewal::run(self.crew, program, self.renewal, stop.clone());
            super::spawn(tasks, "renewal of agents", renewing);
        }
        let (listener, program) = self.mirror;
        let mirror = Listener::Tcp(listener, Arc::new(Access::open()));
        super::spawn(tasks, "program for agents", mirror.serve(program.router(), stop.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_for_the_hosts_of_the_addresses() {
        assert_eq!(host("https://sio.example.com:9466").as_deref(), Some("sio.example.com"));
        assert_eq!(host("https://[::1]:9466").as_deref(), Some("::1"));
    }
}
