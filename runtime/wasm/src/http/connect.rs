//! Connections: to a checked address and no other, with TLS where the origin says so.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;
use url::Url;

use super::{
    error::Refused,
    resolve::{Resolve, socket_addresses},
};
use crate::grants::{Grants, HttpGrant, Scheme, Target, TargetHost};

/// Time for one address while there are others to try.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(3);

/// Makes the connections of one plugin.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(super) grants: Arc<Grants>,
    pub(super) resolver: Arc<dyn Resolve>,
    /// Made when the first connection with the certificates of the system is.
    system: Arc<std::sync::OnceLock<Arc<ClientConfig>>>,
}

/// A connection, with or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    pub(super) fn new(grants: Arc<Grants>, resolver: Arc<dyn Resolve>) -> Self {
        Self { grants, resolver, system: Arc::default() }
    }

    /// Connects to the host of an address. The grant is looked up here once more: a connection without a grant does not
    /// exist, whoever asks for it.
    async fn connect(self, uri: Uri) -> Result<Stream, Refused> {
        let target = Url::parse(&uri.to_string())
            .map_err(|error| error.to_string())
            .and_then(|url| Target::of(&url).map_err(str::to_owned))
            .map_err(Refused::Connect)?;
        let Some(grant) = self.grants.http_for(&target) else {
            return Err(Refused::Origin { origin: target.to_string() });
        };
        let addresses = socket_addresses(&*self.resolver, &target, grant).await?;
        let stream = first_that_answers(&addresses).await?;
        let _ = stream.set_nodelay(true);
        match target.scheme {
            Scheme::Http => Ok(Stream::Plain(stream)),
            Scheme::Https => self.encrypted(stream, &target, grant).await,
        }
    }

    async fn encrypted(
        &self,
        stream: TcpStream,
        target: &Target,
        grant: &HttpGrant,
    ) -> Result<Stream, Refused> {
        let config = match &grant.authorities {
            Some(pem) => Arc::new(config(Some(pem)).map_err(Refused::Tls)?),
            None => match self.system.get() {
                Some(config) => Arc::clone(config),
                None => {
                    let made = Arc::new(config(None).map_err(Refused::Tls)?);
                    Arc::clone(self.system.get_or_init(|| made))
                }
            },
        };
        let name = match &target.host {
            TargetHost::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| Refused::Tls(format!("{name} cannot be the name of a certificate")))?,
            TargetHost::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let encrypted = TlsConnector::from(config).connect(name, stream).await;
        encrypted
            .map(|stream| Stream::Tls(Box::new(stream)))
            .map_err(|error| Refused::Tls(format!("tls: {error}")))
    }
}

/// Tries the addresses in their order.
async fn first_that_answers(addresses: &[SocketAddr]) -> Result<TcpStream, Refused> {
    let mut last = Refused::Connect("no address".into());
    for (place, address) in addresses.iter().enumerate() {
        let attempt = TcpStream::connect(*address);
        let connected = if place + 1 == addresses.len() {
            attempt.await
        } else {
            let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
            tokio::time::timeout(ATTEMPT_TIME_MAX, attempt).await.unwrap_or_else(late)
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Refused::Connect(format!("no connection: {error}")),
        }
    }
    Err(last)
}

/// What TLS needs to know: the certificates to trust and that HTTP/1.1 is spoken.
fn config(authorities: Option<&[u8]>) -> Result<ClientConfig, String> {
    let provider = rustls::crypto::CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match authorities {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("there is none in it".into()) } else { Ok(roots) }
}

/// Whether certificates can be used.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check_authorities(pem: &[u8]) -> Result<(), String> {
    roots(pem).map(drop)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
