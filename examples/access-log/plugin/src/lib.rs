//! Reads lines of web-server access logs (common and combined format of nginx and Apache) and puts
//! method, path and status into headers, so that selectors and paths of files can use them.
//!
//! Lines can be dropped by status or by method. What is no such line stays as it is, or is rejected.

mod line;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

use line::Line;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Lines with one of these statuses are dropped.
    #[serde(default, deserialize_with = "millrace_plugin::one_or_many")]
    drop_status: Vec<u16>,
    /// If there are any, lines with other methods are dropped.
    #[serde(default, deserialize_with = "millrace_plugin::one_or_many")]
    keep_methods: Vec<String>,
    /// What to do with a line that is not of an access log.
    #[serde(default)]
    unparsed: Unparsed,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unparsed {
    /// It passes as it is.
    #[default]
    Keep,
    /// It goes to the dead-letter channel.
    Reject,
}

struct AccessLog {
    config: Config,
}

impl Interceptor for AccessLog {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let is_status = |status: &u16| (100..=599).contains(status);
        let strange = config.drop_status.iter().filter(|status| !is_status(status));
        let issues: Vec<_> = strange
            .map(|status| Issue::new("/drop-status", format!("{status} is no HTTP status (100 to 599)")))
            .collect();
        if issues.is_empty() { Ok(Self { config }) } else { Err(issues) }
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            match Line::parse(body) {
                Some(line) if self.is_dropped(&line) => edits.drop(row),
                Some(line) => {
                    edits.set_header(row, "method", line.method);
                    edits.set_header(row, "path", line.path);
                    edits.set_header(row, "status", line.status);
                }
                None => match self.config.unparsed {
                    Unparsed::Keep => {}
                    Unparsed::Reject => edits.reject(row, "not a line of an access log"),
                },
            }
        }
        Ok(())
    }
}

impl AccessLog {
    fn is_dropped(&self, line: &Line<'_>) -> bool {
        let Config { drop_status, keep_methods, .. } = &self.config;
        drop_status.contains(&line.status_number())
            || (!keep_methods.is_empty() && !keep_methods.iter().any(|method| method == line.method))
    }
}

millrace_plugin::export!(AccessLog);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    fn line(method: &str, status: u16) -> Event {
        Event::new(format!(
            "203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] \"{method} /a HTTP/1.1\" {status} 12 \"-\" \"curl\""
        ))
    }

    #[test]
    fn method_path_and_status_become_headers() {
        let mut plugin = testing::configure::<AccessLog>("{}").unwrap();
        let events = vec![line("GET", 200), Event::new("no such line")];
        let outcome = testing::run(&mut plugin, events).unwrap();
        let expected = line("GET", 200)
            .with_header("method", "GET")
            .with_header("path", "/a")
            .with_header("status", "200");
        assert_eq!(outcome.kept, [expected, Event::new("no such line")]);
    }

    #[test]
    fn lines_are_dropped_by_status_and_by_method() {
        let config = r#"{"drop-status": 404, "keep-methods": ["GET", "POST"]}"#;
        let mut plugin = testing::configure::<AccessLog>(config).unwrap();
        let events = vec![line("GET", 200), line("GET", 404), line("PUT", 200), line("POST", 500)];
        let outcome = testing::run(&mut plugin, events).unwrap();
        let statuses: Vec<_> = outcome.kept.iter().filter_map(|event| event.header("status")).collect();
        assert_eq!(statuses, ["200", "500"]);
        assert_eq!(outcome.dropped, [line("GET", 404), line("PUT", 200)]);
    }

    #[test]
    fn what_is_no_access_log_is_rejected_if_asked_for() {
        let mut plugin = testing::configure::<AccessLog>(r#"{"unparsed": "reject"}"#).unwrap();
        let outcome = testing::run(&mut plugin, vec![Event::new("x"), line("GET", 200)]).unwrap();
        assert_eq!(outcome.rejected, [("not a line of an access log".to_owned(), Event::new("x"))]);
        assert_eq!(outcome.kept.len(), 1);
    }

    #[test]
    fn a_status_that_is_none_is_an_issue() {
        let issues = testing::configure::<AccessLog>(r#"{"drop-status": [404, 4040]}"#).err().unwrap();
        assert_eq!(issues, [Issue::new("/drop-status", "4040 is no HTTP status (100 to 599)")]);
    }
}
