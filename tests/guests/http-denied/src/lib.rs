//! Asks for every one of `url` once per batch and says how that went in headers on all events: `outcome` (`ok`, `denied`,
//! `dns`, `timeout`, `too-large`, `invalid` or `transport`; one word for each of several) and, where there was an answer,
//! `status` and `body`. `secret` names a granted one, `timeout-ms` limits each request, `parallel` how many are under way.

use std::time::Duration;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, http};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(deserialize_with = "millrace_plugin::one_or_many")]
    url: Vec<String>,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    #[serde(default = "one")]
    parallel: u32,
}

struct HttpDenied {
    config: Config,
}

impl Interceptor for HttpDenied {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config })
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let mut requests: Vec<_> = self.config.url.iter().map(|url| self.request(url)).collect();
        let answers = match requests.pop() {
            // One goes by `send`, several by `send-many`.
            Some(only) if requests.is_empty() => vec![only.send()],
            Some(last) => {
                requests.push(last);
                http::send_many(requests, self.config.parallel)
            }
            None => vec![],
        };
        let outcomes: Vec<_> = answers.iter().map(outcome).collect();
        edits.set_header_on_all("outcome", &outcomes.join(" "));
        let responses: Vec<_> = answers.iter().flatten().collect();
        if !responses.is_empty() {
            let statuses: Vec<_> = responses.iter().map(|response| response.status.to_string()).collect();
            edits.set_header_on_all("status", &statuses.join(" "));
            let bodies: Vec<_> = responses.iter().map(|response| response.text()).collect();
            edits.set_header_on_all("body", &bodies.join(" "));
        }
        Ok(())
    }
}

impl HttpDenied {
    fn request(&self, url: &str) -> http::Request {
        let mut request = http::Request::new(&self.config.method, url);
        request.secret = self.config.secret.clone();
        request.timeout = self.config.timeout_ms.map(Duration::from_millis);
        request
    }
}

millrace_plugin::export!(HttpDenied);

fn outcome(answer: &Result<http::Response, http::Error>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(http::Error::Denied) => "denied",
        Err(http::Error::Dns) => "dns",
        Err(http::Error::Timeout) => "timeout",
        Err(http::Error::TooLarge) => "too-large",
        Err(http::Error::Invalid(_)) => "invalid",
        Err(http::Error::Transport(_)) => "transport",
    }
}

fn get() -> String {
    "GET".to_owned()
}

fn one() -> u32 {
    1
}
