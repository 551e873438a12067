//! Whom the gateway client trusts, and what it says when it does not.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use scaleio_framework::config::{GatewayUrl, System, Trust};
use scaleio_framework::model::picture::FailureReason;
use support::{Accounts, Flow, Identity, ONE, Reply, Server, client, plain, settings};

fn file(folder: &tempfile::TempDir, pem: &str) -> Trust {
    let path = folder.path().join(format!("{}.pem", pem.len()));
    std::fs::write(&path, pem).unwrap();
    Trust::CaFile(path)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_certificate_is_trusted_by_pin_by_file_or_by_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (_, server) = plain(Flow::Basic).await;
    for trust in [server.trust(), file(&folder, &server.identity.pem), Trust::Insecure] {
        let settings = System { trust, ..settings(&[&server]) };
        client(&settings).fault_sets().await.unwrap();
    }
    let (authority, identity) = Identity::signed("127.0.0.1");
    let accounts = Accounts::new(Flow::Basic);
    let server = Server::start_as(identity, move |request| accounts.serve(request, |_| Reply::json(ONE))).await;
    let settings = System { trust: file(&folder, &authority), ..settings(&[&server]) };
    client(&settings).fault_sets().await.unwrap();
}

#[tokio::test]
async fn a_refused_certificate_is_named_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = Identity::self_signed();
    let (authority, elsewhere) = Identity::signed("gateway.example");
    let (_, server) = plain(Flow::Basic).await;
    let accounts = Accounts::new(Flow::Basic);
    let other_name = Server::start_as(elsewhere, move |request| accounts.serve(request, |_| Reply::json(ONE))).await;
    for (server, trust, why) in [
        (&server, Trust::Pin([7; 32]), "not the one in `pin`"),
        (&server, file(&folder, &stranger.pem), "was not signed by it"),
        (&other_name, file(&folder, &stranger.pem), "issuer is not trusted"),
        (&server, Trust::SystemRoots, "issuer is not trusted"),
        (&other_name, file(&folder, &authority), "another host name"),
    ] {
        let settings = System { trust, ..settings(&[server]) };
        let error = client(&settings).fault_sets().await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.reason(), FailureReason::Tls, "{text}");
        for part in [why, &hex(&server.identity.sha256), "CN=", "valid from", "`pin`", "`ca_file`", server.url.as_str()]
        {
            assert!(text.contains(part), "{part:?} is missing: {text}");
        }
        assert!(server.requests().is_empty(), "nothing is sent to a stranger");
    }
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = GatewayUrl::at(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad\r\n\r\n").await;
        }
    });
    let settings = System { gateways: vec![url], ..settings(&[]) };
    let error = client(&settings).fault_sets().await.unwrap_err();
    assert_eq!(error.reason(), FailureReason::Tls, "{error}");
    assert!(error.to_string().contains("port"), "{error}");
    server.abort();
}

#[tokio::test]
async fn a_port_that_never_answers_is_given_up_after_the_connect_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = GatewayUrl::at(listener.local_addr().unwrap());
    let settings = System { gateways: vec![url], connect_timeout: Duration::from_millis(200), ..settings(&[]) };
    let error = client(&settings).fault_sets().await.unwrap_err();
    assert_eq!(error.reason(), FailureReason::Connect, "{error}");
    assert!(error.to_string().contains("no connection within"), "{error}");
}
