//! The simulated world for a controller that is a process of its own: it can be killed, and the world goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use scaleio_framework::sim::world::{Maintenance, World};
use scaleio_framework::sim::{MailSink, Running};
use scaleio_framework::stage::renewal::Renewal;

use super::{MAX_ANSWER_BYTES, READER};

/// How often it is looked what changed.
const LOOK: Duration = Duration::from_millis(100);

/// An upgrade that the controller is to carry out.
pub(super) struct Upgrade {
    /// After so long a job asks for it.
    pub(super) begins: Duration,
    /// Where the controller hears agents, and gives out packages.
    pub(super) agents: SocketAddr,
    /// See `agents`.
    pub(super) packages: SocketAddr,
}

/// Writes what a controller needs to watch this system, and what it needs to upgrade it where that is wanted; says so, and
/// what happens, until the end.
pub(super) async fn play(
    world: Running,
    folder: &Path,
    upgrade: Option<Upgrade>,
    say: fn(&str),
    end: impl Future<Output = &'static str>,
) -> anyhow::Result<()> {
    let mut more = String::new();
    let renewal = match &upgrade {
        Some(_) => Some(Renewal::of(&world, "demo", folder).map_err(anyhow::Error::msg)?),
        None => None,
    };
    let mut mails = None;
    if let (Some(renewal), Some(Upgrade { begins, agents, packages })) = (&renewal, &upgrade) {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sink = MailSink::start(any, any).await?;
        more.push_str(&renewal.written(folder, *agents, *packages, *begins).map_err(anyhow::Error::msg)?);
        more.push_str(&mailing(&sink, folder)?);
        mails = Some(sink);
        renewal.come(&folder.join("ca"), &[format!("https://{agents}")]).map_err(anyhow::Error::msg)?;
    }
    hand_over(&world, folder, &more)?;
    if let (Some(renewal), Some(mails), Some(upgrade)) = (&renewal, &mails, &upgrade) {
        println!("  mails     http://{}/", mails.web());
        println!(
            "  (in {} s a job asks for release {}; kill that controller whenever you like)",
            upgrade.begins.as_secs(),
            renewal.to()
        );
    }
    std::io::stdout().flush()?;
    let mut told = Told::default();
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = &mut end => break,
            () = tokio::time::sleep(LOOK), if renewal.is_some() => {}
        }
        world.world(|world| told.look(world)).iter().for_each(|line| say(line));
        told.hear(renewal.as_ref(), mails.as_ref()).iter().for_each(|line| say(line));
    }
    drop(renewal);
    world.stop().await;
    Ok(())
}

/// Writes what a controller needs to watch this system, and more that is wanted of it, and says so.
pub(super) fn hand_over(world: &Running, folder: &Path, more: &str) -> anyhow::Result<()> {
    let text = watching(world, folder)? + more;
    // Last: who waits for it finds the rest there.
    write(folder, "sio.toml", 0o644, &text)?;
    println!("  gateway   {}", world.urls().join(", "));
    println!("  watch it  sio run --config {}", folder.join("sio.toml").display());
    Ok(std::io::stdout().flush()?)
}

/// By whom the controller changes the system.
pub(super) fn changing(world: &Running, folder: &Path) -> anyhow::Result<String> {
    let admin = world.admin();
    write(folder, "admin.password", 0o600, &admin.password)?;
    Ok(format!("[systems.demo.lifecycle]\nuser = {:?}\npassword_file = \"admin.password\"\n", admin.user))
}

/// What of it was told.
#[derive(Default)]
struct Told {
    maintenance: BTreeMap<String, Maintenance>,
    deeds: BTreeMap<String, usize>,
    mails: u64,
}

impl Told {
    /// Servers that began or ended a maintenance.
    fn look(&mut self, world: &World) -> Vec<String> {
        let mut lines = Vec::new();
        for sds in world.sds.values() {
            let before = self.maintenance.insert(sds.name.clone(), sds.maintenance);
            let was_out = before.is_none_or(|before| before == Maintenance::None);
            match (was_out, sds.maintenance == Maintenance::None) {
                (true, false) => lines.push(format!("{} enters maintenance", sds.name)),
                (false, true) => lines.push(format!("{} is out of maintenance", sds.name)),
                (true, true) | (false, false) => {}
            }
        }
        lines
    }

    /// What agents changed on hosts, and mails.
    fn hear(&mut self, renewal: Option<&Renewal>, mails: Option<&MailSink>) -> Vec<String> {
        let mut lines = Vec::new();
        for host in renewal.iter().flat_map(|renewal| renewal.hosts().all()) {
            let known = self.deeds.entry(host.name.clone()).or_default();
            let machine = host.machine();
            lines.extend(machine.deeds.iter().skip(*known).map(|deed| format!("{}: {deed}", host.name)));
            *known = machine.deeds.len();
        }
        let known = self.mails;
        for mail in mails.iter().flat_map(|mails| mails.inbox().all()).filter(|mail| mail.number > known) {
            self.mails = mail.number;
            lines.push(format!("mail: {}", mail.subject()));
        }
        lines
    }
}

fn write(folder: &Path, name: &str, mode: u32, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The system, and where the controller keeps what it knows.
fn watching(world: &Running, folder: &Path) -> anyhow::Result<String> {
    let user = world.monitor();
    write(folder, "gateway.pem", 0o644, world.certificate_pem())?;
    write(folder, "password", 0o600, &user.password)?;
    let gateways: Vec<String> = world.urls().iter().map(|url| format!("{url:?}")).collect();
    Ok(format!(
        "[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n[systems.demo]\ngateways = [{}]\n\
         ca_file = \"gateway.pem\"\nmax_answer_bytes = {MAX_ANSWER_BYTES}\n\
         [systems.demo.monitor]\nuser = {:?}\npassword_file = \"password\"\n",
        gateways.join(", "),
        user.user,
    ))
}

/// Who tells people, and whom.
fn mailing(sink: &MailSink, folder: &Path) -> anyhow::Result<String> {
    write(folder, "mail-ca.pem", 0o644, sink.authority_pem())?;
    write(folder, "mail-password", 0o600, &sink.login().password)?;
    let mut text = String::new();
    writeln!(text, "[mail]\nhosts = [\"{}\"]\nca_file = \"mail-ca.pem\"", sink.smtp())?;
    writeln!(text, "from = \"Demo storage <sio@demo.test>\"\nto = [\"{READER}\"]\nhello = \"demo.test\"")?;
    writeln!(text, "[mail.login]\nuser = {:?}\npassword_file = \"mail-password\"", sink.login().user)?;
    Ok(text)
}
