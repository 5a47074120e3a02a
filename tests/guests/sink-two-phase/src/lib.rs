//! A sink to a server with transactions under `url`: `stage`, `prepare`, `commit` and `abort` by id, and the list of those
//! that are `open`. Status 418 makes it break, other statuses and errors are those of the SDK. A body that begins with
//! `poison` breaks it in `deliver`, one that begins with `bad` is refused.

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink, TwoPhase, http};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    url: String,
}

struct SinkTwoPhase {
    url: String,
    lane: u32,
    lanes: u32,
}

impl SinkTwoPhase {
    /// `POST <url>/<what>/<lane>/<id>`; the answer's body.
    fn ask(&self, what: &str, id: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let response = http::Request::post(format!("{}/{what}/{}/{id}", self.url, self.lane), body).send()?;
        assert!(response.status != 418, "{what} broke");
        Ok(response.success()?.body)
    }
}

fn text(token: &[u8]) -> String {
    String::from_utf8_lossy(token).into_owned()
}

impl Sink for SinkTwoPhase {
    type Config = Config;

    fn configure(config: Config, instance: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { url: config.url, lane: instance.lane, lanes: instance.lanes })
    }

    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::delivered();
        let mut body = Vec::new();
        for (row, event) in batch.bodies().iter().enumerate() {
            if event.starts_with(b"bad") {
                outcome.reject(row as u32, "it is bad");
                continue;
            }
            body.extend_from_slice(event);
            body.push(b'\n');
        }
        let breaks = batch.bodies().iter().any(|event| event.starts_with(b"poison"));
        self.ask("stage", &delivery.id, body)?;
        assert!(!breaks, "poison");
        Ok(outcome)
    }
}

impl TwoPhase for SinkTwoPhase {
    fn prepare(&mut self, delivery: &str) -> Result<Vec<u8>, Failure> {
        self.ask("prepare", delivery, Vec::new())
    }

    fn commit(&mut self, token: &[u8]) -> Result<(), Failure> {
        self.ask("commit", &text(token), Vec::new()).map(drop)
    }

    fn abort(&mut self, token: &[u8]) -> Result<(), Failure> {
        self.ask("abort", &text(token), Vec::new()).map(drop)
    }

    fn recover(&mut self, tokens: Vec<Vec<u8>>) -> Result<(), Failure> {
        for token in &tokens {
            self.commit(token)?;
        }
        let open = self.ask("open", &self.lanes.to_string(), Vec::new())?;
        for token in open.split(|byte| *byte == b'\n').filter(|token| !token.is_empty()) {
            self.abort(token)?;
        }
        Ok(())
    }
}

millrace_plugin::export!(SinkTwoPhase as sink + two_phase);
