//! HTTPS with certificates of our own making.

use std::sync::Arc;

use millrace_config::MapEnvironment;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::{
    FakeResolver, HttpError, get, ok, rig,
    servers::{Reply, Server},
    text,
};

/// A server with a certificate for these names, and the certificate that signed it.
async fn server(names: &[&str]) -> (Server, String) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let wrap = move |stream| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(stream).await.ok() }
    };
    (Server::start_on("127.0.0.1:0", |_| Reply::Say(ok("over tls")), wrap).await, authority.pem())
}

fn resolver() -> FakeResolver {
    let here = &[&["127.0.0.1"][..]];
    FakeResolver::default().with("api.test", here).with("other.test", here)
}

#[tokio::test]
async fn the_certificate_must_be_for_the_host_and_signed_by_whom_the_grant_trusts() {
    let (server, pem) = server(&["api.test", "127.0.0.1"]).await;
    let port = server.address.port();
    let granted = |host: &str, ca: bool| {
        let environment = MapEnvironment::default().with_file("/ca.pem", pem.as_bytes());
        let ca = if ca { " ca=\"/ca.pem\"" } else { "" };
        let grant = format!("http \"https://{host}:{port}\" private=#true{ca}");
        super::rig_with(&grant, resolver(), environment, 64 << 20)
    };
    for host in ["api.test", "127.0.0.1"] {
        let answer = granted(host, true).send(get(format!("https://{host}:{port}/"))).await.unwrap();
        assert_eq!(text(&answer.body), "over tls");
    }
    for (host, ca) in [("other.test", true), ("api.test", false)] {
        let Err(HttpError::Transport(reason)) =
            granted(host, ca).send(get(format!("https://{host}:{port}/"))).await
        else {
            panic!("{host} is trusted")
        };
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_https() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let rig = rig(&format!("http \"https://{address}\""), FakeResolver::default());
    let error = rig.send(get(format!("https://{address}/"))).await.unwrap_err();
    assert!(matches!(&error, HttpError::Transport(reason) if reason.contains("tls: ")), "{error:?}");
    drop(server.await.unwrap());
}
