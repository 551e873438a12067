//! The simulated Mesos as a place to play cases at. Executors are real processes here too.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use scaleio_framework::sim::mesos::{Host, Options, SimMesos, processes};

use crate::site::{Fate, Site, Wanted};

pub(crate) struct Simulated {
    // Before the folder, so that no executor outlives its sandbox.
    pub(crate) mesos: SimMesos,
    folder: tempfile::TempDir,
}

impl Site for Simulated {
    async fn up(_: Range<u16>, wanted: Wanted) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(processes(), folder.path().join("state"));
        options.login = wanted.login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        if wanted.quick_ping {
            options.ping = Duration::from_secs(2);
        }
        let mesos = SimMesos::start(options).await.unwrap();
        for (number, attributes) in wanted.agents.iter().enumerate() {
            mesos.join(&Host::new(format!("agent{}", number + 1), *attributes)).await.unwrap();
        }
        Self { mesos, folder }
    }

    fn master(&self) -> String {
        self.mesos.masters()[0].clone()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn agent(&self, number: usize, fate: Fate) {
        let host = format!("agent{number}");
        match fate {
            Fate::Kill => self.mesos.kill_agent(&host),
            Fate::Start => self.mesos.start_agent(&host),
            Fate::Pause => self.mesos.pause_agent(&host),
            Fate::Resume => self.mesos.resume_agent(&host),
            Fate::Forget => self.mesos.forget_agent(&host),
        }
    }
}
