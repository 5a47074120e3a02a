//! Reads events from an HTTP API, page by page: `GET /events?after=CURSOR&limit=N` answers with a JSON array of what
//! comes behind the cursor. Each item becomes an event, its JSON text the body.
//!
//! The position is the cursor of the last item. The agent stores it in the commit that stores the events, so every
//! item is read once, whatever crashes.

mod page;

use std::time::Duration;

use millrace_plugin::{Failure, Instance, Issue, Limits, Pace, Polled, Source, http, log, metrics};
use serde::Deserialize;

/// The cursor is part of a URL, and a position has at most 64 KiB.
const CURSOR_BYTES_MAX: usize = 4 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Where the events are.
    url: String,
    /// The member of an item that is its cursor.
    #[serde(default = "id")]
    cursor_field: String,
    /// The parameter that asks for what comes behind a cursor.
    #[serde(default = "after")]
    after_parameter: String,
    /// The parameter that limits the number of items.
    #[serde(default = "limit")]
    limit_parameter: String,
    /// When to ask again once everything has been read, unless the server says so itself.
    #[serde(default = "five")]
    interval_seconds: u64,
    /// A granted secret that the agent adds to each request.
    #[serde(default)]
    secret: Option<String>,
}

fn id() -> String {
    "id".to_owned()
}

fn after() -> String {
    "after".to_owned()
}

fn limit() -> String {
    "limit".to_owned()
}

fn five() -> u64 {
    5
}

struct HttpPoll {
    config: Config,
    /// The cursor of the last item that was read.
    cursor: Option<String>,
}

impl Source for HttpPoll {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        if !config.url.starts_with("http://") && !config.url.starts_with("https://") {
            issues.push(Issue::new("/url", "expected an address that begins with http:// or https://"));
        }
        if config.interval_seconds == 0 {
            issues.push(Issue::new("/interval-seconds", "must be at least 1"));
        }
        if issues.is_empty() { Ok(Self { config, cursor: None }) } else { Err(issues) }
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        let text = |position: &[u8]| String::from_utf8(position.to_vec());
        let cursor = position.map(text).transpose();
        self.cursor = cursor.map_err(|_| Failure::Fatal("the stored position is no cursor".into()))?;
        Ok(())
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled, Failure> {
        let response = self.request(limits).send()?;
        metrics::counter_add("requests", &[&response.status.to_string()], 1);
        let pause = response.retry_after().unwrap_or(Duration::from_secs(self.config.interval_seconds));
        if matches!(response.status, 204 | 304) {
            return Ok(Polled { pace: Pace::After(pause), ..Polled::default() });
        }
        if !response.is_success() {
            // Also what would be rejected as a delivery: there is nothing to set aside, only something to wait for.
            log::warn!("the answer was {}: {:.200}", response.status, response.text());
            return Err(Failure::Retry(response.retry_after()));
        }
        let items = page::read(&response.body, &self.config.cursor_field).map_err(unusable)?;
        let mut polled = Polled::default();
        if items.is_empty() {
            polled.pace = Pace::After(pause);
            return Ok(polled);
        }
        let mut cursor = None;
        for item in items {
            // What has no room comes with the next page, since the cursor stays before it.
            if !limits.has_room(&polled.events, item.text.len()) {
                break;
            }
            polled.events.push(item.text.as_bytes());
            cursor = Some(item.cursor);
        }
        if cursor == self.cursor || cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_BYTES_MAX) {
            return Err(unusable("the cursor stays where it is, or is too long to ask for".into()));
        }
        polled.position = cursor.clone().map(String::into_bytes);
        self.cursor = cursor;
        Ok(polled)
    }
}

impl HttpPoll {
    fn request(&self, limits: Limits) -> http::Request {
        let separator = if self.config.url.contains('?') { '&' } else { '?' };
        let limit = limits.events_max;
        let mut url = format!("{}{separator}{}={limit}", self.config.url, self.config.limit_parameter);
        if let Some(cursor) = &self.cursor {
            url.push_str(&format!("&{}={}", self.config.after_parameter, encoded(cursor)));
        }
        let mut request = http::Request::get(url).header("accept", "application/json");
        request.secret = self.config.secret.clone();
        request
    }
}

/// An answer that makes no sense is logged, and the server asked again: it may be a mistake of a moment, and
/// nothing has been read yet.
fn unusable(reason: String) -> Failure {
    Failure::retry_because(&reason)
}

/// Encodes a text as part of a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

millrace_plugin::export!(HttpPoll as source);

#[cfg(test)]
mod tests;
