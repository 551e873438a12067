//! A controller with own rules that fire at once, and a mail server that takes what it says of them.

use std::net::{Ipv4Addr, SocketAddr};

use chrono::TimeDelta;
use scaleio_framework::config::{Config, LinkKey, Login, Mail, MailHost, Notify, Secret, Trust};
use scaleio_framework::sim::MailSink;

pub const RULES: &str = r#"
groups:
  - name: sds
    rules:
      - alert: OwnSdsAway
        expr: scaleio_sds_mdm_connected == 0
        labels: {severity: critical, area: sds}
        annotations:
          summary: "SDS {{ $labels.sds }} is away."
          description: "Bring it back."
"#;

/// What signs the links of its mails.
pub const KEY: [u8; 32] = [9; 32];

pub async fn sink() -> MailSink {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    MailSink::start(any, any).await.unwrap()
}

/// Own rules that fire at once, and somebody who is told at once.
pub fn alerting(config: &mut Config, sink: &MailSink) {
    let folder = config.store.path.parent().unwrap().to_owned();
    let rules = folder.join("own.rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    config.alerts.shipped = false;
    config.alerts.files = vec![rules];
    let authority = folder.join("mail-ca.pem");
    std::fs::write(&authority, sink.authority_pem()).unwrap();
    let host = MailHost { name: sink.smtp().ip().to_string(), port: sink.smtp().port() };
    let login = sink.login();
    config.mail = Some(Mail {
        trust: Trust::CaFile(authority),
        login: Some(Login { user: login.user.clone(), password: Secret::new(&login.password) }),
        link_key: LinkKey::new(&KEY),
        base_url: Some("http://sio.example.test/".parse().unwrap()),
        ..Mail::new(vec![host], "sio@example.test".parse().unwrap(), vec!["ops@example.test".parse().unwrap()])
    });
    let mut notify = Notify::default_for(vec!["ops@example.test".to_owned()]);
    notify.routes[0].wait = TimeDelta::milliseconds(100);
    notify.routes[0].interval = TimeDelta::milliseconds(100);
    config.notify = notify;
}
