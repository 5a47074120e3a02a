//! The HTTP interface of ClickHouse: one insert is one request.

use std::time::Duration;

use millrace_plugin::{http, metrics};

/// How much of what the server says is quoted, in bytes.
const QUOTED_BYTES_MAX: usize = 300;

/// Where rows go.
pub struct Server {
    /// The address with the query, up to the token.
    address: String,
    user: Option<String>,
    secret: Option<String>,
}

/// What became of an insert.
pub enum Inserted {
    /// The server has all rows, now or since an earlier request with the same token.
    All,
    /// It has none: there is something wrong with the rows themselves.
    Refused(String),
    /// It has none: the server, or the way to it, does not work now.
    Later(Option<Duration>, String),
}

impl Server {
    pub fn new(
        url: &str,
        database: Option<&str>,
        table: &str,
        user: Option<String>,
        secret: Option<String>,
    ) -> Self {
        let table = match database {
            Some(database) => format!("{}.{}", quoted(database), quoted(table)),
            None => quoted(table),
        };
        let query = encoded(&format!("INSERT INTO {table} FORMAT JSONEachRow"));
        let address = format!("{}/?query={query}", url.trim_end_matches('/'));
        Self { address, user, secret }
    }

    /// Inserts rows. The server ignores a second insert with the same token.
    pub fn insert(&self, lines: &[u8], token: &str) -> Inserted {
        let url = format!("{}&insert_deduplication_token={}", self.address, encoded(token));
        let mut request = http::Request::post(url, lines);
        if let Some(user) = &self.user {
            request = request.header("x-clickhouse-user", user.as_str());
        }
        if let Some(secret) = &self.secret {
            request = request.secret(secret);
        }
        match request.send() {
            Ok(response) => {
                metrics::counter_add("inserts", &[&response.status.to_string()], 1);
                read(&response)
            }
            Err(error) => {
                metrics::counter_add("inserts", &["none"], 1);
                Inserted::Later(None, error.to_string())
            }
        }
    }
}

/// Reads an answer. A server that has begun to answer says by a header that it failed after all.
fn read(response: &http::Response) -> Inserted {
    let exception = response.header("x-clickhouse-exception-code");
    match (response.status, exception) {
        (200..300, None) => Inserted::All,
        // The rows cannot be read, or there are too many at once: fewer of them may do.
        (400 | 413 | 422, _) => Inserted::Refused(said(response)),
        (status, _) => {
            Inserted::Later(response.retry_after(), format!("status {status}: {}", said(response)))
        }
    }
}

/// Gives the beginning of what the server says, on one line.
fn said(response: &http::Response) -> String {
    let quoted = &response.body[..response.body.len().min(QUOTED_BYTES_MAX)];
    String::from_utf8_lossy(quoted).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Quotes the name of a table.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Encodes a text as part of a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_query() {
        let server = Server::new("http://db:8123/", Some("a`b"), r"c\", None, None);
        assert_eq!(
            server.address,
            "http://db:8123/?query=INSERT%20INTO%20%60a%5C%60b%60.%60c%5C%5C%60%20FORMAT%20JSONEachRow"
        );
    }
}
