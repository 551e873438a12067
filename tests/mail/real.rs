//! A mail server as it runs out there: exim, with STARTTLS and a login.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use scaleio_framework::alert::mail::{Mailer, Outcome, Settings, Stage, render};
use scaleio_framework::config::{Login, Mail, MailTls};
use scaleio_framework::model::alerting::*;
use scaleio_framework::store::{Batch, Disk};

use crate::life::Life;
use crate::server::Certificates;
use crate::world::*;

/// A running exim; ends and leaves nothing when dropped.
struct Exim {
    process: Child,
    folder: tempfile::TempDir,
    certificates: Certificates,
    port: u16,
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let found = ["/usr/sbin/exim4", "/usr/sbin/exim"].into_iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("a real mail server is needed: apt-get install exim4-daemon-light")
}

impl Exim {
    async fn start() -> Self {
        let certificates = Certificates::new();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for name in ["spool", "log", "mail"] {
            std::fs::create_dir(home.join(name)).unwrap();
        }
        std::fs::copy(certificates.path("server.pem"), home.join("cert.pem")).unwrap();
        std::fs::copy(certificates.path("server.key"), home.join("key.pem")).unwrap();
        let owned = Command::new("chown").args(["-R", "Debian-exim:"]).arg(home).status().unwrap();
        assert!(owned.success(), "exim needs its own user, and this test needs root to use it");
        std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = home.join("exim.conf");
        std::fs::write(&config, configuration(home, port)).unwrap();
        let process = Command::new(program())
            .arg("-C")
            .arg(&config)
            .arg("-bdf")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut exim = Self { process, folder, certificates, port };
        wait_for("exim", || {
            if let Some(status) = exim.process.try_wait().unwrap() {
                panic!("exim ended with {status}: {}", exim.said());
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        exim
    }

    fn said(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}\n{}\n{}", read("stderr"), read("log/mainlog"), read("log/paniclog"))
    }

    fn config(&self) -> Mail {
        mail(&[self.port], MailTls::StartTls, self.certificates.trust())
    }

    /// The mails of a mailbox, once there are that many.
    async fn mailbox(&self, name: &str, count: usize) -> Vec<Read> {
        let path = self.folder.path().join(format!("mail/{name}.mbox"));
        let there = || std::fs::read_to_string(&path).unwrap_or_default().matches("\nMessage-ID: ").count() == count;
        let begun = std::time::Instant::now();
        while !there() {
            assert!(begun.elapsed().as_secs() < 60, "{count} mails for {name} did not come: {}", self.said());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        read_mbox(&path)
    }
}

fn configuration(home: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        r"exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {home}/spool
log_file_path = {home}/log/%slog
primary_hostname = localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_certificate = {home}/cert.pem
tls_privatekey = {home}/key.pem
tls_advertise_hosts = *
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = rcpt
acl_smtp_data = data
never_users =
host_lookup =
keep_environment =
begin acl
rcpt:
  deny !authenticated = *
       message = authentication required
  deny !domains = example.test
       message = relay not permitted
  deny local_parts = gone
       message = no such user
  accept
data:
  accept
begin routers
all:
  driver = accept
  local_parts = ops : oncall
  transport = mbox
begin transports
mbox:
  driver = appendfile
  file = {home}/mail/$local_part_data.mbox
  return_path_add
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{sio}}}}{{eq{{$auth3}}{{s3cret-word}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{sio}}}}{{eq{{$auth2}}{{s3cret-word}}}}}}}}
  server_set_id = $auth1
"
    )
}

#[tokio::test]
async fn a_real_server_delivers_an_incident_as_one_thread() {
    let exim = Exim::start().await;
    let root = MessageId::of(&full().id, DOMAIN);
    let mut reminder = full();
    reminder.id = NotificationId::parse("20261124t170000000-8").unwrap();
    reminder.kind = Kind::Reminder;
    reminder.created_at = at("17:00");
    reminder.thread = Thread::Reply { root: root.clone(), last: root.clone() };
    let mut over = resolution();
    over.thread = Thread::Reply { root: root.clone(), last: MessageId::of(&reminder.id, DOMAIN) };
    let life = Life::begin(&Disk::new(), &exim.config());
    // One after the other, as an incident goes.
    for (count, note) in [full(), reminder, over].into_iter().enumerate() {
        life.post.add(vec![note], Batch::new()).await.unwrap();
        life.is_empty().await;
        exim.mailbox("ops", count + 1).await;
    }
    assert_eq!(life.health.borrow().problems(scaleio_framework::clock::now()), [""; 0]);
    life.end().await;

    for name in ["ops", "oncall"] {
        let mails = exim.mailbox(name, 3).await;
        for mail in &mails {
            mail.is_well_made();
            assert_eq!(mail.thread, root.as_str(), "{}", mail.subject);
            assert_eq!(mail.header("Return-path"), "<bounces@example.test>");
            let received = mail.header("Received");
            assert!(received.contains("with esmtpsa") && received.contains("TLS1.3"), "{received}");
        }
        let statuses: Vec<&str> = mails.iter().map(|mail| mail.header("X-Scaleio-Status")).collect();
        assert_eq!(statuses, ["firing", "reminder", "resolved"]);
    }
}

#[tokio::test]
async fn a_real_server_refuses_what_it_should() {
    let exim = Exim::start().await;
    let config = exim.config();
    let message = render(&full(), &Settings::new(&config, "ctl1"), at("13:00")).unwrap().formatted();
    let to = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();

    let mut mailer = Mailer::new(&config).unwrap();
    assert!(mailer.verify().await.iter().all(|(_, answer)| answer.is_ok()), "{}", exim.said());
    let outcome = mailer.send(&to(&["gone@example.test", "ops@example.test"]), &message).await;
    let Outcome::Sent { accepted, refused, .. } = outcome else { panic!("{outcome:?}: {}", exim.said()) };
    assert_eq!((accepted.len(), refused[0].0.as_str()), (1, "gone@example.test"));
    let outcome = mailer.send(&to(&["stranger@elsewhere.test"]), &message).await;
    assert!(matches!(&outcome, Outcome::Failed { why, .. } if why.what.contains("relay not permitted")), "{outcome:?}");

    let mut wrong = exim.config();
    wrong.login = Some(Login::new("sio", "wrong-word"));
    let outcome = Mailer::new(&wrong).unwrap().send(&to(&["ops@example.test"]), &message).await;
    let Outcome::Retry { why, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((why.stage, why.reply.map(|reply| reply.code)), (Stage::Login, Some(535)));

    let mut none = exim.config();
    none.login = None;
    let outcome = Mailer::new(&none).unwrap().send(&to(&["ops@example.test"]), &message).await;
    assert!(
        matches!(&outcome, Outcome::Failed { why, .. } if why.what.contains("authentication required")),
        "{outcome:?}"
    );
    assert_eq!(exim.mailbox("ops", 1).await.len(), 1, "nothing else was delivered");
}
