//! What became of the hostile plugins, from the agent's own metrics and status and from what its sinks have written.

use std::{collections::BTreeMap, path::PathBuf};

use millrace_tests::{Agent, json_events, lines_of};
use serde_json::Value;

use super::case::{Amount, Case, Expect, Role};

/// Everything that can be seen at a moment.
pub(super) struct Observed {
    rounds: u64,
    uptime_ms: u64,
    out: PathBuf,
    /// Series with their values.
    metrics: BTreeMap<String, f64>,
    status: Value,
    log: String,
    /// Bodies and reasons, by component.
    letters: BTreeMap<String, Vec<(String, String)>>,
}

impl Observed {
    /// After so many rounds of lines.
    pub(super) fn now(agent: &Agent, out: PathBuf, rounds: u64) -> Self {
        let metrics = agent.get("/metrics");
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        let status = agent.status();
        // Rounded down, so one more.
        let uptime_ms = (status["uptime_seconds"].as_u64().unwrap_or(0) + 1) * 1000;
        let mut observed = Self {
            rounds,
            uptime_ms,
            out,
            metrics: metrics.lines().filter_map(value).collect(),
            status,
            log: agent.log(),
            letters: BTreeMap::new(),
        };
        observed.read_letters();
        observed
    }

    pub(super) fn read_letters(&mut self) {
        self.letters.clear();
        for letter in json_events(&self.out.join("letters")) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let header = |name| text(&letter["headers"][name]);
            let of = self.letters.entry(header("dead-letter.component")).or_default();
            of.push((text(&letter["body"]), header("dead-letter.reason")));
        }
    }

    /// The value of a series; 0 where there is none.
    pub(super) fn metric(&self, series: &str) -> u64 {
        self.metrics.get(series).map_or(0, |value| *value as u64)
    }

    fn plugin(&self, case: &Case, name: &str, labels: &str) -> u64 {
        let comma = if labels.is_empty() { "" } else { "," };
        let (component, plugin) = (case.component(), case.name);
        self.metric(&format!(
            "millrace_plugin_{name}{{component=\"{component}\",plugin=\"{plugin}\"{comma}{labels}}}"
        ))
    }

    /// Why a case is not, or not yet, what it has to be.
    pub(super) fn problem(&self, case: &Case) -> Option<String> {
        case.expect.iter().find_map(|expect| self.unmet(case, expect)).or_else(|| self.other_faults(case))
    }

    /// Of what was written, which is also there when the agent is not any more.
    pub(super) fn problem_of_output(&self, case: &Case) -> Option<String> {
        let written = |expect: &&Expect| {
            matches!(
                expect,
                Expect::Delivers(_) | Expect::Letters(..) | Expect::CountsTo(_) | Expect::Counts(_)
            )
        };
        case.expect.iter().filter(written).find_map(|expect| self.unmet(case, expect))
    }

    fn unmet(&self, case: &Case, expect: &Expect) -> Option<String> {
        match expect {
            Expect::Plugin(name, labels, amount) => {
                self.not_so_much(case, &format!("{name} {labels}"), self.plugin(case, name, labels), *amount)
            }
            Expect::Metric(name, amount) => {
                let series = format!("millrace_{name}{{component=\"{}\"}}", case.name);
                self.not_so_much(case, name, self.metric(&series), *amount)
            }
            Expect::Delivers(lines) => {
                let wanted = self.every_round(case, lines);
                let found = self.delivered(case);
                let fits = |(found, wanted): (&String, &String)| match wanted.strip_suffix('*') {
                    Some(start) => found.starts_with(start),
                    None => found == wanted,
                };
                let all = found.len() == wanted.len() && found.iter().zip(&wanted).all(fits);
                (!all).then(|| different("delivered", &found, &wanted))
            }
            Expect::Counts(least) => {
                let found = self.delivered(case);
                let wanted: Vec<String> =
                    (0..(found.len() as u64).max(*least)).map(|number| number.to_string()).collect();
                (found != wanted).then(|| different("delivered", &found, &wanted))
            }
            Expect::CountsTo(events) => {
                let found = self.delivered(case);
                let wanted: Vec<String> = (0..*events).map(|number| number.to_string()).collect();
                (found != wanted).then(|| different("delivered", &found, &wanted))
            }
            Expect::Letters(bodies, reason) => {
                let letters = self.letters_of(case);
                let wanted = self.every_round(case, bodies);
                let found: Vec<String> = letters.iter().map(|(body, _)| body.clone()).collect();
                if found != wanted {
                    return Some(different("dead letters", &found, &wanted));
                }
                let other = letters.iter().find(|(_, why)| !why.contains(reason))?;
                Some(format!("a dead letter for another reason: {}", other.1))
            }
            Expect::LastError(reason) => {
                let last = self.last_error(case);
                (!last.contains(reason)).then(|| format!("the last error is {last:?}"))
            }
            Expect::KeptPerRound(events) => {
                let all = self.status["channels"].as_array().into_iter().flatten();
                let kept = all.filter(|channel| channel["name"] == case.name).map(|one| &one["events"]);
                let kept = kept.filter_map(Value::as_u64).sum();
                self.not_so_much(case, "events in the channel", kept, Amount::PerRound(*events))
            }
            Expect::LogLinesPerCall(lines) => {
                let label = format!("component=\"{}\"", case.component());
                let written =
                    self.log.lines().filter(|line| line.contains(&label) && line.contains("line=\""));
                let told = written.count() as u64 + self.plugin(case, "log_lines_suppressed_total", "");
                let calls = self.plugin(case, "calls_total", "");
                self.not_so_much(case, "log lines", told, Amount::Exactly(calls * lines))
            }
            Expect::CallsArePaced => {
                let calls = self.plugin(case, "calls_total", "");
                self.not_so_much(case, "calls", calls, Amount::AtMost(self.uptime_ms))
            }
        }
    }

    /// A fault of a kind that nobody expects.
    fn other_faults(&self, case: &Case) -> Option<String> {
        ["trap", "deadline", "memory", "stack", "edits", "answer"].into_iter().find_map(|kind| {
            let labels = format!("kind=\"{kind}\"");
            let is_expected = case.expect.iter().any(
                |expect| matches!(expect, Expect::Plugin("faults_total", expected, _) if *expected == labels),
            );
            let count = self.plugin(case, "faults_total", &labels);
            (count > 0 && !is_expected).then(|| format!("{count} faults of the kind {kind}"))
        })
    }

    fn not_so_much(&self, case: &Case, what: &str, found: u64, amount: Amount) -> Option<String> {
        let exactly = |wanted: u64| (found == wanted, format!("{wanted}"));
        let (is_met, wanted) = match amount {
            Amount::Exactly(wanted) => exactly(wanted),
            Amount::PerRound(each) => exactly(each * case.rounds(self.rounds)),
            Amount::PerCall(each) => exactly(each * self.plugin(case, "calls_total", "")),
            Amount::AtLeast(least) => (found >= least, format!("at least {least}")),
            Amount::AtMost(most) => (found <= most, format!("at most {most}")),
        };
        (!is_met).then(|| format!("{what}: {found}, not {wanted}"))
    }

    fn every_round(&self, case: &Case, lines: &[String]) -> Vec<String> {
        (0..case.rounds(self.rounds)).flat_map(|_| lines.iter().cloned()).collect()
    }

    /// What came out: the body, and the headers where there are any.
    fn delivered(&self, case: &Case) -> Vec<String> {
        let folder = self.out.join(case.name);
        if case.role == Role::Encoder {
            return lines_of(&folder);
        }
        let shown = |event: Value| {
            let body = event["body"].as_str().unwrap_or_default().to_owned();
            let headers: Vec<String> = event["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            if headers.is_empty() { body } else { format!("{body} [{}]", headers.join(" ")) }
        };
        json_events(&folder).into_iter().map(shown).collect()
    }

    fn letters_of(&self, case: &Case) -> &[(String, String)] {
        self.letters.get(&case.letter_component()).map_or(&[], Vec::as_slice)
    }

    fn last_error(&self, case: &Case) -> String {
        let part = if case.role == Role::Sink { "sinks" } else { "sources" };
        let all = self.status[part].as_array().into_iter().flatten();
        let mut own = all.filter(|one| one["name"] == case.name);
        own.next().and_then(|one| one["last_error"]["reason"].as_str()).unwrap_or_default().to_owned()
    }

    /// One line of the table: the case, and what happened to it.
    pub(super) fn row(&self, case: &Case) -> String {
        let mut what = Vec::new();
        let mut note = |count: u64, name: &str| {
            if count > 0 {
                what.push(format!("{count} {name}"));
            }
        };
        for kind in ["trap", "deadline", "memory", "stack", "edits", "answer"] {
            note(self.plugin(case, "faults_total", &format!("kind=\"{kind}\"")), &format!("{kind} faults"));
        }
        for kind in ["http-origin", "address", "secret", "configure", "socket", "file"] {
            note(self.plugin(case, "refused_total", &format!("what=\"{kind}\"")), &format!("{kind} refused"));
        }
        for (series, name) in [
            ("log_lines_suppressed_total", "log lines suppressed"),
            ("metrics_undeclared_total", "metrics undeclared"),
            ("metrics_refused_total", "metrics refused"),
            ("state_refused_total", "writes refused"),
        ] {
            note(self.plugin(case, series, ""), name);
        }
        note(self.letters_of(case).len() as u64, "dead letters");
        let reason = self.letters_of(case).first().map(|(_, reason)| reason.clone());
        let delivered = if case.role == Role::Sink {
            self.metric(&format!("millrace_sink_events_delivered_total{{component=\"{}\"}}", case.name))
        } else {
            self.delivered(case).len() as u64
        };
        let why = reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| self.last_error(case));
        let why: String = why.lines().next().unwrap_or_default().chars().take(110).collect();
        let calls = self.plugin(case, "calls_total", "");
        format!(
            "{:<24} {:<20} {calls:>6} calls, {delivered:>4} delivered, {}; {why}",
            case.name,
            case.guest,
            what.join(", ")
        )
    }
}

fn different(what: &str, found: &[String], wanted: &[String]) -> String {
    let at = found.iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
    format!(
        "{what}: {} of {}, the first difference {:?} instead of {:?}",
        found.len(),
        wanted.len(),
        found.get(at),
        wanted.get(at)
    )
}
