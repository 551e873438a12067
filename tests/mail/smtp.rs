//! What becomes of one try to send, whatever the server does.

use std::sync::Arc;
use std::time::Duration;

use scaleio_framework::alert::mail::{Mailer, Outcome, Scope, Stage, Trouble};
use scaleio_framework::config::{Mail, MailTls, Trust};

use crate::server::{At, Certificates, Do, Script, Server, Style, well};
use crate::world::*;

const MAIL: &[u8] = b"Message-ID: <1@x>\r\nSubject: x\r\n\r\n.dots\r\nbody\r\n";

fn script(act: impl Fn(At, &str, usize) -> Do + Send + Sync + 'static) -> Script {
    Arc::new(act)
}

/// The first time at a place, and well ever after.
fn once(place: At, act: Do) -> Script {
    script(move |at, _, nth| if at == place && nth == 0 { act.clone() } else { Do::Well })
}

fn always(place: At, act: Do) -> Script {
    script(move |at, _, _| if at == place { act.clone() } else { Do::Well })
}

async fn send(mail: &Mail) -> Outcome {
    send_to(mail, &["ops@example.test"]).await
}

async fn send_to(mail: &Mail, to: &[&str]) -> Outcome {
    let to: Vec<_> = to.iter().map(|text| text.parse().unwrap()).collect();
    Mailer::new(mail).unwrap().send(&to, MAIL).await
}

fn retry(outcome: Outcome) -> Trouble {
    match outcome {
        Outcome::Retry { why, .. } => why,
        other => panic!("it should be tried again, but is {other:?}"),
    }
}

fn failed(outcome: Outcome) -> Trouble {
    match outcome {
        Outcome::Failed { why, .. } => why,
        other => panic!("it should be given up, but is {other:?}"),
    }
}

fn is_sent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Sent { refused, deferred, .. } if refused.is_empty() && deferred.is_empty())
}

#[tokio::test]
async fn a_mail_goes_over_starttls_with_a_login() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let outcome = send(&mail(&[server.port], MailTls::StartTls, certificates.trust())).await;
    assert!(is_sent(&outcome), "{outcome:?}");
    let [got] = server.mails().try_into().unwrap();
    assert!(got.encrypted);
    assert_eq!((got.user.as_str(), got.from.as_str()), ("sio", "bounces@example.test"));
    assert_eq!(got.to, ["ops@example.test"]);
    assert_eq!(got.data, MAIL, "dots and line ends arrive as they were");
    let size = format!("MAIL FROM:<bounces@example.test> SIZE={}", MAIL.len());
    assert!(server.commands().contains(&size), "{:?}", server.commands());
}

#[tokio::test]
async fn a_mail_goes_over_tls_from_the_first_byte() {
    let certificates = Certificates::new();
    let server = Server::start(Style::Implicit, &certificates, well()).await;
    let outcome = send(&mail(&[server.port], MailTls::Implicit, certificates.trust())).await;
    assert!(is_sent(&outcome), "{outcome:?}");
    assert!(server.mails()[0].encrypted);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let certificates = Certificates::new();
    let server = Server::start(Style::ClientCertificate, &certificates, well()).await;
    let mut mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let why = retry(send(&mail).await);
    assert!(server.mails().is_empty(), "{why:?}");
    mail.certificate = Some(certificates.own());
    let outcome = send(&mail).await;
    assert!(is_sent(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_gets_no_mail_and_no_password() {
    let (ours, theirs) = (Certificates::new(), Certificates::new());
    for style in [Style::StartTls, Style::Implicit] {
        let server = Server::start(style, &theirs, well()).await;
        let tls = if style == Style::Implicit { MailTls::Implicit } else { MailTls::StartTls };
        let why = retry(send(&mail(&[server.port], tls, ours.trust())).await);
        assert_eq!((why.stage, why.scope), (Stage::Tls, Scope::Server), "{why:?}");
        assert!(why.what.contains("was refused") && why.what.contains("SHA-256"), "{why}");
        assert!(server.mails().is_empty());
        assert!(!server.commands().iter().any(|command| command.starts_with("AUTH")), "{:?}", server.commands());
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_it_is_the_pinned_one() {
    let certificates = Certificates::named(&["other.example.test"]);
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let why = retry(send(&mail(&[server.port], MailTls::StartTls, certificates.trust())).await);
    assert!(why.what.contains("another host name"), "{why}");
    assert!(server.mails().is_empty());
    let pinned = Trust::CaFile(certificates.path("server.pem"));
    assert!(is_sent(&send(&mail(&[server.port], MailTls::StartTls, pinned)).await));
}

#[tokio::test]
async fn without_starttls_nothing_is_said() {
    let certificates = Certificates::new();
    let server = Server::start(Style::Clear, &certificates, well()).await;
    let why = retry(send(&mail(&[server.port], MailTls::StartTls, certificates.trust())).await);
    assert!(why.stage == Stage::Tls && why.what.contains("does not offer STARTTLS"), "{why}");
    assert_eq!(server.commands(), ["EHLO ctl1.example.test"], "nothing but the greeting went in the clear");
}

#[tokio::test]
async fn what_was_slipped_behind_the_answer_to_starttls_ends_the_talk() {
    let certificates = Certificates::new();
    let server = Server::start(Style::Injecting, &certificates, well()).await;
    let why = retry(send(&mail(&[server.port], MailTls::StartTls, certificates.trust())).await);
    assert!(why.what.contains("before it was encrypted"), "{why}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_password_never_goes_in_the_clear() {
    let certificates = Certificates::new();
    let server = Server::start(Style::Clear, &certificates, well()).await;
    let mut mail = mail(&[server.port], MailTls::None, certificates.trust());
    assert!(is_sent(&send(&mail).await), "without a login, loopback may be clear");
    mail.login = Some(scaleio_framework::config::Login::new("sio", "s3cret-word"));
    let why = retry(send(&mail).await);
    assert!(why.stage == Stage::Login && why.what.contains("in the clear"), "{why}");
    assert!(!server.commands().iter().any(|command| command.starts_with("AUTH")), "{:?}", server.commands());
}

#[tokio::test]
async fn a_refused_login_is_tried_again_and_never_shows_the_password() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let mut mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    mail.login = Some(scaleio_framework::config::Login::new("sio", "wrong-word"));
    let mut mailer = Mailer::new(&mail).unwrap();
    let why = retry(mailer.send(&["a@example.test".parse().unwrap()], MAIL).await);
    assert_eq!((why.stage, why.scope), (Stage::Login, Scope::Server));
    let reply = why.reply.clone().unwrap();
    assert_eq!((reply.code, reply.enhanced.as_str()), (535, "5.7.8"));
    for shown in [why.to_string(), format!("{why:?}"), format!("{mailer:?}"), format!("{mail:?}")] {
        assert!(!shown.contains("wrong-word"), "{shown}");
    }
}

#[tokio::test]
async fn one_refused_recipient_costs_the_others_nothing() {
    let certificates = Certificates::new();
    let no = |at, said: &str, _| match at {
        At::Rcpt if said.contains("gone@") => Do::Say("550 5.1.1 no such user"),
        At::Rcpt if said.contains("later@") => Do::Say("452 4.2.2 mailbox full"),
        _ => Do::Well,
    };
    let server = Server::start(Style::StartTls, &certificates, script(no)).await;
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let outcome = send_to(&mail, &["gone@example.test", "ops@example.test", "later@example.test"]).await;
    let Outcome::Sent { accepted, refused, deferred, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(accepted, ["ops@example.test"]);
    assert_eq!((refused[0].0.as_str(), deferred[0].0.as_str()), ("gone@example.test", "later@example.test"));
    let reply = refused[0].1.reply.clone().unwrap();
    assert_eq!((reply.code, reply.enhanced.as_str(), reply.text.as_str()), (550, "5.1.1", "no such user"));
    assert_eq!(server.mails()[0].to, ["ops@example.test"]);
    let why = failed(send_to(&mail, &["gone@example.test"]).await);
    assert_eq!(why.reply.unwrap().code, 550);
    assert_eq!(retry(send_to(&mail, &["gone@example.test", "later@example.test"]).await).reply.unwrap().code, 452);
}

#[tokio::test]
async fn each_answer_means_what_its_class_says() {
    let certificates = Certificates::new();
    for (place, answer, again) in [
        (At::Greeting, "554 5.3.2 no service", true),
        (At::Greeting, "421 4.3.2 too many", true),
        (At::Ehlo, "550 go away", true),
        (At::StartTls, "454 4.7.0 TLS not available", true),
        (At::Auth, "454 4.7.0 later", true),
        (At::MailFrom, "451 4.3.0 later", true),
        (At::MailFrom, "550 5.7.1 sender refused", false),
        (At::MailFrom, "530 5.7.0 log in first", true),
        (At::Rcpt, "450 4.2.0 greylisted", true),
        (At::Rcpt, "550 5.7.1 relay not permitted", false),
        (At::Data, "451 4.3.0 later", true),
        (At::Data, "554 5.5.1 no valid recipients", false),
        (At::Body, "451 4.7.1 later", true),
        (At::Body, "421 4.3.0 shutting down", true),
        (At::Body, "554 5.7.1 looks like spam", false),
    ] {
        let server = Server::start(Style::StartTls, &certificates, always(place, Do::Say(answer))).await;
        let outcome = send(&mail(&[server.port], MailTls::StartTls, certificates.trust())).await;
        let why = if again { retry(outcome) } else { failed(outcome) };
        assert_eq!(why.reply.as_ref().map(|reply| reply.code.to_string()).unwrap(), answer[..3], "{place:?} {answer}");
        assert!(server.mails().is_empty());
    }
}

#[tokio::test]
async fn a_connection_that_ends_anywhere_is_a_reason_to_try_again() {
    let certificates = Certificates::new();
    let places = [At::Greeting, At::Ehlo, At::StartTls, At::Auth, At::MailFrom, At::Rcpt, At::Data, At::Body];
    for place in places {
        let server = Server::start(Style::StartTls, &certificates, once(place, Do::Cut)).await;
        let mut mailer = Mailer::new(&mail(&[server.port], MailTls::StartTls, certificates.trust())).unwrap();
        let to = ["ops@example.test".parse().unwrap()];
        let why = retry(mailer.send(&to, MAIL).await);
        assert_eq!(why.scope, Scope::Server, "{place:?}: {why:?}");
        assert!(is_sent(&mailer.send(&to, MAIL).await), "{place:?}");
        assert_eq!(server.mails().len(), 1, "{place:?}");
    }
}

#[tokio::test]
async fn silence_anywhere_ends_within_its_time() {
    let certificates = Certificates::new();
    let places = [At::Greeting, At::Ehlo, At::StartTls, At::Auth, At::MailFrom, At::Rcpt, At::Data, At::Body];
    for place in places {
        let server = Server::start(Style::StartTls, &certificates, always(place, Do::Nothing)).await;
        let mut mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
        mail.command_timeout = Duration::from_millis(300);
        mail.final_timeout = Duration::from_millis(300);
        let why = retry(tokio::time::timeout(Duration::from_secs(20), send(&mail)).await.unwrap());
        assert!(why.what.contains("said nothing") || why.what.contains("took more than"), "{place:?}: {why}");
    }
}

#[tokio::test]
async fn a_mail_that_may_have_been_taken_goes_to_no_other_server_at_once() {
    let certificates = Certificates::new();
    let first = Server::start(Style::StartTls, &certificates, once(At::Body, Do::KeepAndCut)).await;
    let second = Server::start(Style::StartTls, &certificates, well()).await;
    let why = retry(send(&mail(&[first.port, second.port], MailTls::StartTls, certificates.trust())).await);
    assert_eq!((why.stage, why.reply), (Stage::Final, None));
    assert_eq!((first.mails().len(), second.mails().len()), (1, 0));
}

#[tokio::test]
async fn the_next_server_takes_over_and_the_bad_one_is_asked_last() {
    let certificates = Certificates::new();
    let bad = Server::start(Style::StartTls, &certificates, always(At::Greeting, Do::Say("421 4.3.2 closed"))).await;
    let good = Server::start(Style::StartTls, &certificates, well()).await;
    let mail = mail(&[bad.port, good.port], MailTls::StartTls, certificates.trust());
    let mut mailer = Mailer::new(&mail).unwrap();
    let to = ["ops@example.test".parse().unwrap()];
    for _ in 0..3 {
        assert!(is_sent(&mailer.send(&to, MAIL).await));
    }
    assert_eq!((bad.connections(), good.connections(), good.mails().len()), (1, 1, 3));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_idled_is_made_anew() {
    let certificates = Certificates::new();
    // It says goodbye to the second mail, as servers do that count mails or seconds.
    let server = Server::start(
        Style::StartTls,
        &certificates,
        script(|at, _, nth| match (at, nth) {
            (At::MailFrom, 1) => Do::Say("421 4.4.2 idle too long"),
            (At::MailFrom, 3) => Do::Cut,
            _ => Do::Well,
        }),
    )
    .await;
    let mut mailer = Mailer::new(&mail(&[server.port], MailTls::StartTls, certificates.trust())).unwrap();
    for _ in 0..4 {
        let outcome = mailer.send(&["ops@example.test".parse().unwrap()], MAIL).await;
        assert!(is_sent(&outcome), "{outcome:?}");
    }
    assert_eq!((server.mails().len(), server.connections()), (4, 3));
}

#[tokio::test]
async fn a_mail_larger_than_the_server_takes_is_not_even_begun() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let mut mailer = Mailer::new(&mail(&[server.port], MailTls::StartTls, certificates.trust())).unwrap();
    let why = failed(mailer.send(&["ops@example.test".parse().unwrap()], &vec![b'x'; 10_000_001]).await);
    assert_eq!(why.reply.unwrap().enhanced, "5.3.4");
    assert!(!server.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[tokio::test]
async fn an_address_beyond_ascii_is_refused_where_the_server_cannot_take_it() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let outcome = send_to(&mail, &["b\u{fc}ro@example.test", "ops@example.test"]).await;
    let Outcome::Sent { accepted, refused, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(accepted, ["ops@example.test"]);
    assert!(refused[0].1.what.contains("SMTPUTF8"));
}

#[tokio::test]
async fn the_check_at_the_start_logs_in_and_sends_nothing() {
    let certificates = Certificates::new();
    let good = Server::start(Style::StartTls, &certificates, well()).await;
    let bad = Server::start(Style::Clear, &certificates, well()).await;
    let mail = mail(&[good.port, bad.port], MailTls::StartTls, certificates.trust());
    let answers = Mailer::new(&mail).unwrap().verify().await;
    assert!(answers[0].1.is_ok() && answers[1].1.is_err(), "{answers:?}");
    assert!(good.commands().iter().any(|command| command.starts_with("AUTH")));
    assert!(!good.commands().iter().any(|command| command.starts_with("MAIL")));
}
