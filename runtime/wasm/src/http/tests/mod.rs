//! The client against real servers on loopback, and against names that resolve as they should not.

mod limits;
mod places;
mod secrets;
mod servers;
mod tls;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{GRANT_OPTIONS, MapEnvironment, check, parse_nodes};
use tokio::time::Instant;

use super::{Answer, Asked, HttpClient, HttpError, Resolve};
use crate::{grants::Grants, refusals::Refusals};

/// Answers each question with the next list of addresses; the last one stays.
#[derive(Default)]
pub struct FakeResolver {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl FakeResolver {
    fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|list| list.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        self.answers.insert(name.to_owned(), answers);
        self
    }
}

#[async_trait]
impl Resolve for FakeResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answers = self.answers.get(name).ok_or_else(|| io::Error::other("no such name"))?;
        Ok(answers[asked.min(answers.len() - 1)].clone())
    }
}

/// A client with these grants.
struct Rig {
    client: HttpClient,
    refusals: Arc<Refusals>,
    resolver: Arc<FakeResolver>,
}

fn rig(grant: &str, resolver: FakeResolver) -> Rig {
    rig_with(grant, resolver, MapEnvironment::default(), 64 << 20)
}

fn rig_with(grant: &str, resolver: FakeResolver, environment: MapEnvironment, call_bytes_max: u64) -> Rig {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let text = format!("grant {{\n{grant}\n}}");
    let (nodes, files, _) = parse_nodes("agent.kdl", &text, &environment);
    let (section, found) = check(&nodes[0], GRANT_OPTIONS, false, &files);
    assert!(found.is_empty(), "{found:?}");
    let (grants, found) = Grants::read(Some(&section), &environment);
    assert!(found.is_empty(), "{found:?}");
    let refusals = Arc::new(Refusals::new("c", "p", Default::default()));
    let resolver = Arc::new(resolver);
    let shared: Arc<dyn Resolve> = Arc::<FakeResolver>::clone(&resolver);
    let client = HttpClient::new(Arc::new(grants), shared, Arc::clone(&refusals), call_bytes_max);
    Rig { client, refusals, resolver }
}

fn get(url: impl Into<String>) -> Asked {
    Asked { method: "GET".into(), url: url.into(), ..Asked::default() }
}

/// Far enough away never to be met where all is well.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

impl Rig {
    async fn send(&self, asked: Asked) -> Result<Answer, HttpError> {
        self.client.send(asked, far()).await
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
