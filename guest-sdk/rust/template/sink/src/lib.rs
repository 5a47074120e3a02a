//! A sink that posts each batch to an HTTP server, a line for each event, with the id of the delivery as the
//! idempotency key: a server that knows the key already has the batch, and answers as it did before.
//!
//! A place to begin: change what is sent, change the options, run `cargo test`.

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink, http, metrics};
use serde::Deserialize;

/// The options, as they stand in the configuration of the agent.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Where the batches go. The operator grants the origin.
    url: String,
    /// The name of a granted secret, which the agent adds to each request.
    #[serde(default)]
    secret: Option<String>,
}

struct MyPlugin {
    config: Config,
}

impl Sink for MyPlugin {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        if !config.url.starts_with("http://") && !config.url.starts_with("https://") {
            let reason = "expected an address that begins with http:// or https://";
            return Err(vec![Issue::new("/url", reason)]);
        }
        Ok(Self { config })
    }

    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::delivered();
        let mut lines = Vec::new();
        for (row, body) in batch.bodies().rows() {
            // One line is one event over there, so an event of two lines would become two.
            if body.contains(&b'\n') {
                outcome.reject(row, "the body has more than one line");
                continue;
            }
            lines.extend_from_slice(body);
            lines.push(b'\n');
        }
        if !lines.is_empty() {
            let mut request = http::Request::post(&self.config.url, lines)
                .header("content-type", "text/plain")
                .header("idempotency-key", delivery.id.as_str());
            if let Some(secret) = &self.config.secret {
                request = request.secret(secret);
            }
            // 2xx is delivered; 429, 5xx and a connection that fails come again; any other answer is final.
            request.send()?.success()?;
        }
        metrics::counter_add("posted", &[], u64::from(batch.count()) - outcome.refused().len() as u64);
        Ok(outcome)
    }
}

millrace_plugin::export!(MyPlugin as sink);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_plugin::http::Response;
    use millrace_plugin::testing::{self, Event, Host};

    use super::*;

    fn sink() -> MyPlugin {
        testing::configure_sink(r#"{"url": "https://logs.example.com/in", "secret": "token"}"#).unwrap()
    }

    #[test]
    fn a_batch_is_one_request() {
        let host = Host::new();
        host.on_http(|_| Ok(Response::new(204)));
        let events = vec![Event::new("one"), Event::new("two\nlines"), Event::new("")];
        let outcome = testing::deliver(&mut sink(), "batch-7", events).unwrap();
        let refused: Vec<_> = outcome.refused().map(|(row, _)| row).collect();
        assert_eq!(refused, [1]);
        let requests = host.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(
            (requests[0].method.as_str(), requests[0].body.as_slice()),
            ("POST", b"one\n\n".as_slice())
        );
        assert_eq!(requests[0].headers[1], ("idempotency-key".to_owned(), b"batch-7".to_vec()));
        assert_eq!(requests[0].secret.as_deref(), Some("token"));
    }

    #[test]
    fn the_answer_says_what_becomes_of_the_batch() {
        let host = Host::new();
        let deliver = |response: Response| {
            host.on_http(move |_| Ok(response.clone()));
            testing::deliver(&mut sink(), "batch-7", vec![Event::new("one")])
        };
        assert_eq!(deliver(Response::new(200)), Ok(Outcome::delivered()));
        let busy = Response::new(503).with_header("Retry-After", "2");
        assert_eq!(deliver(busy), Err(Failure::Retry(Some(Duration::from_secs(2)))));
        let wrong = Response::new(422).with_body("no");
        assert_eq!(deliver(wrong), Err(Failure::Reject("status 422: no".into())));
    }

    #[test]
    fn an_address_of_something_else_is_a_mistake() {
        let issues = testing::configure_sink::<MyPlugin>(r#"{"url": "logs"}"#).err().unwrap();
        assert_eq!(issues[0].path, "/url");
    }
}
