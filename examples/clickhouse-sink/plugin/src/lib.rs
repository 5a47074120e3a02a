//! Inserts events into a table of ClickHouse: one batch is one `INSERT`, with the id of the delivery as its token,
//! so that a batch which is delivered again is not inserted again.
//!
//! When the server refuses the rows of a batch, it refuses all of them and says little about which one is wrong.
//! So the batch is halved until the wrong rows are alone. Each half has a token of its own, made of the
//! same id: a delivery that is repeated makes the same halves.

mod rows;
mod server;

use std::ops::Range;

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink, log, metrics};
use serde::Deserialize;

use crate::rows::{Columns, Lines};
use crate::server::{Inserted, Server};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// The HTTP interface: scheme, host, port.
    url: String,
    table: String,
    #[serde(default)]
    database: Option<String>,
    #[serde(default)]
    user: Option<String>,
    /// The granted secret with the password; the agent adds it as the header `x-clickhouse-key`.
    #[serde(default)]
    secret: Option<String>,
    /// The column that gets the body. None: bodies are JSON objects.
    #[serde(default)]
    body_column: Option<String>,
    /// Headers that become columns.
    #[serde(default, deserialize_with = "millrace_plugin::one_or_many")]
    header_columns: Vec<String>,
    /// How many requests the halving of one batch may take.
    #[serde(default = "sixty_four")]
    requests_max: u32,
}

fn sixty_four() -> u32 {
    64
}

struct ClickhouseSink {
    server: Server,
    columns: Columns,
    requests_max: u32,
}

impl Sink for ClickhouseSink {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        if !config.url.starts_with("http://") && !config.url.starts_with("https://") {
            issues.push(Issue::new("/url", "expected an address that begins with http:// or https://"));
        }
        if config.table.is_empty() {
            issues.push(Issue::new("/table", "must not be empty"));
        }
        if config.requests_max == 0 {
            issues.push(Issue::new("/requests-max", "must be at least 1"));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let database = config.database.as_deref();
        let server = Server::new(&config.url, database, &config.table, config.user, config.secret);
        let columns = Columns { body: config.body_column, headers: config.header_columns };
        Ok(Self { server, columns, requests_max: config.requests_max })
    }

    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        let lines = self.columns.lines(batch);
        let mut outcome = Outcome::delivered();
        for (row, reason) in &lines.refused {
            outcome.reject(*row, reason);
        }
        self.insert(&lines, delivery, &mut outcome)?;
        metrics::counter_add("rows_refused", &[], outcome.refused().len() as u64);
        Ok(outcome)
    }
}

impl ClickhouseSink {
    /// Inserts all lines, in halves where that is needed.
    fn insert(&self, lines: &Lines, delivery: &Delivery, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut left = Vec::new();
        left.push(0..lines.rows.len());
        let mut requests = 0;
        while let Some(range) = left.pop() {
            if range.is_empty() {
                continue;
            }
            if requests == self.requests_max {
                // What was found out so far counts; the rest comes again without the rows that were wrong.
                left.push(range);
                retry(lines, &left, outcome);
                return Ok(());
            }
            requests += 1;
            match self.server.insert(bytes_of(lines, &range), &token(delivery, &range, lines.rows.len())) {
                Inserted::All => {}
                Inserted::Refused(reason) if range.len() == 1 => {
                    outcome.reject(lines.rows[range.start], reason);
                }
                Inserted::Refused(_) => {
                    let middle = range.start + range.len() / 2;
                    left.push(middle..range.end);
                    left.push(range.start..middle);
                }
                // Nothing of this delivery is there that its own tokens would not find again.
                Inserted::Later(pause, reason) => {
                    log::warn!("the insert is to be tried again: {reason}"; "delivery" => delivery.id);
                    return Err(Failure::Retry(pause));
                }
            }
        }
        Ok(())
    }
}

/// Has rows delivered again.
fn retry(lines: &Lines, left: &[Range<usize>], outcome: &mut Outcome) {
    for range in left {
        for row in &lines.rows[range.clone()] {
            outcome.retry(*row, None);
        }
    }
}

/// Gives some lines, which lie one behind the other.
fn bytes_of<'a>(lines: &'a Lines, range: &Range<usize>) -> &'a [u8] {
    let ends = lines.lines.ends();
    let start = if range.start == 0 { 0 } else { ends[range.start - 1] as usize };
    &lines.lines.bytes()[start..ends[range.end - 1] as usize]
}

/// Names an insert: the delivery, and which part of it unless it is the whole.
fn token(delivery: &Delivery, range: &Range<usize>, count: usize) -> String {
    if range.len() == count {
        return delivery.id.clone();
    }
    format!("{}:{}-{}", delivery.id, range.start, range.end)
}

millrace_plugin::export!(ClickhouseSink as sink);

#[cfg(test)]
mod tests;
