//! Whether the demo shows its alert mails, and whether the mail server that
//! takes them behaves as a client of somebody else expects.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scaleio_framework::sim::MailSink;

use crate::world::{read, wait_for};

/// Ends the process when the test ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn get(url: &str) -> (u16, Vec<(String, String)>, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status().as_u16(), headers.collect(), answer.text().await.unwrap())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
}

fn seconds(line: &str) -> u32 {
    let clock = line.split_whitespace().next().unwrap();
    clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<u32>().unwrap())
}

#[tokio::test]
async fn the_demo_shows_a_mail_within_a_minute_of_the_fault() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio-demo"));
    command.args(["--port", "0", "--mail-port", "0", "--seconds", "110", "--log", "warn"]);
    let command = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut demo = Demo(command.spawn().unwrap());
    let begun = Instant::now();
    let said = loop {
        let said = std::fs::read_to_string(&log).unwrap();
        if said.contains("  mail: ") {
            break said;
        }
        assert!(demo.0.try_wait().unwrap().is_none() && begun.elapsed().as_secs() < 105, "no mail came: {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let line = |what: &str| said.lines().find(|line| line.contains(what)).unwrap();
    let (fault, mail) = (line(" has one copy only"), line("  mail: "));
    assert!(mail.contains("[CRITICAL] demo: Device dev-1-1-1 of SDS sds-1-1 failed"), "{said}");
    let waited = (86_400 + seconds(mail) - seconds(fault)) % 86_400;
    assert!(waited <= 60, "{waited} s from the fault to the mail: {said}");

    let page = line("  mails ").split_whitespace().nth(1).unwrap();
    let (_, _, list) = get(page).await;
    assert!(list.contains("Device dev-1-1-1 of SDS sds-1-1 failed") && list.contains("href=\"/mail/1\""), "{list}");
    let (_, _, shown) = get(&format!("{page}mail/1/html")).await;
    assert!(shown.contains("CRITICAL") && shown.contains("Runbook"), "{shown}");
}

async fn sink() -> MailSink {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    MailSink::start(any, any).await.unwrap()
}

#[tokio::test]
async fn a_client_of_somebody_else_is_let_in_only_by_tls_and_login() {
    const SCRIPT: &str = r#"
import smtplib, ssl, sys
port, authority, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=authority)
refused = []
with smtplib.SMTP("127.0.0.1", port, timeout=10) as s:
    s.ehlo()
    refused.append(s.mail("a@demo.test")[0])
    s.starttls(context=context)
    s.ehlo()
    refused.append(s.mail("a@demo.test")[0])
    try:
        s.login(user, "wrong")
    except smtplib.SMTPAuthenticationError as error:
        refused.append(error.smtp_code)
    s.login(user, password)
    refused.append(s.rcpt("b@demo.test")[0])
    s.sendmail("a@demo.test", ["b@demo.test", "c@demo.test"], b"Subject: dots\r\n\r\n.one\r\n..two\r\n")
    s.mail("a@demo.test")
    s.rcpt("b@demo.test")
    refused.append(s.data(b"x" * (11 << 20))[0])
    s.sendmail("a@demo.test", ["b@demo.test"], b"Subject: after\r\n\r\nit goes on\r\n")
print(refused)
"#;
    let sink = sink().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, sink.authority_pem()).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT, &sink.smtp().port().to_string()]).arg(&authority);
    command.args([&sink.login().user, &sink.login().password]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("python3 is needed")).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[530, 530, 535, 503, 552]");
    let mails = sink.inbox().all();
    assert_eq!(mails.len(), 2);
    assert_eq!(
        (mails[0].from.as_str(), &mails[0].to[..]),
        ("a@demo.test", &["b@demo.test".into(), "c@demo.test".into()][..])
    );
    assert_eq!(mails[0].raw, b"Subject: dots\r\n\r\n.one\r\n..two\r\n");
    assert_eq!(read(&[&mails[1].raw])[0].subject, "after");
}

#[tokio::test]
async fn a_hostile_mail_can_do_nothing_on_the_page() {
    let sink = sink().await;
    let raw = "Subject: <script>alert(1)</script>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\n<b>text</b> https://x.test/?\"onmouseover=alert(2) javascript:alert(3)\r\n\
        --b\r\nContent-Type: text/html\r\n\r\n<script>alert(4)</script><p>html\r\n--b--\r\n";
    let script = format!(
        "import smtplib, ssl\nc = ssl._create_unverified_context()\ns = smtplib.SMTP('127.0.0.1', {}, timeout=10)\n\
         s.starttls(context=c)\ns.login('{}', '{}')\ns.sendmail('<i>@x', ['b@x'], {raw:?})\ns.quit()",
        sink.smtp().port(),
        sink.login().user,
        sink.login().password
    );
    let sent =
        tokio::task::spawn_blocking(move || Command::new("python3").args(["-c", &script]).status().unwrap()).await;
    assert!(sent.unwrap().success());
    wait_for("the mail", || sink.inbox().one(1)).await;
    let web = sink.web();
    for path in ["", "mail/1", "mail/1/text", "mail/1/source"] {
        let (status, headers, page) = get(&format!("http://{web}/{path}")).await;
        assert_eq!(status, 200, "{path}");
        assert!(
            !page.contains("<script") && !page.contains("<b>text") && !page.contains("\"onmouse"),
            "{path}: {page}"
        );
        assert!(!page.contains("href=\"javascript:"), "{path}: {page}");
        let policy = header(&headers, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{path}: {policy}");
    }
    let (_, headers, page) = get(&format!("http://{web}/mail/1/html")).await;
    assert!(page.contains("alert(4)"), "the frame holds the mail as it is");
    let policy = header(&headers, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox;"), "{policy}");
    let (_, _, around) = get(&format!("http://{web}/mail/1")).await;
    assert!(around.contains("<iframe sandbox=\"\""), "{around}");
    assert_eq!(get(&format!("http://{web}/mail/2")).await.0, 404);
}
