//! From the text of a case file to cases, with every mistake at its place.

use std::{collections::BTreeMap, time::Duration};

use millrace_config::{
    Diagnostic, Diagnostics, Files, MapEnvironment, Node, Span, parse_duration, parse_nodes,
};

use super::event::{CaseEvent, bytes, event, text};
use crate::rig::Around;

/// All cases of a file.
#[derive(Debug)]
pub struct CaseFile {
    /// In order of writing.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// What the operator would write around the plugin.
    pub around: Around,
    /// Mistakes that the plugin must find in its options; empty: it must start.
    pub issues: Vec<Issue>,
    /// Calls, in order.
    pub calls: Vec<Call>,
    /// What a source must answer.
    pub polls: Vec<Poll>,
    /// The position that a source starts from.
    pub open: Option<Vec<u8>>,
    /// Whether a source must end behind its last answer.
    pub ends: bool,
    /// How many events a source is asked for.
    pub events_max: Option<u64>,
    /// Answers of the recorded server.
    pub answers: Vec<Answer>,
}

/// A mistake that must be found.
#[derive(Debug)]
pub struct Issue {
    /// A JSON pointer into the options.
    pub path: String,
    /// What the reason must contain.
    pub reason: Option<String>,
}

/// A call with a batch, and what must come of it, as lines to be compared.
#[derive(Debug)]
pub struct Call {
    /// The batch.
    pub events: Vec<CaseEvent>,
    /// What must come of it.
    pub expected: Vec<String>,
}

/// An answer of a source.
#[derive(Debug)]
pub struct Poll {
    /// Its events and its position, as lines to be compared.
    pub expected: Vec<String>,
}

/// An answer of the recorded server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The method that the request must have.
    pub method: String,
    /// The origin that the plugin believes to ask; empty: `http://recorded`.
    pub origin: String,
    /// The path that it must have, with its query.
    pub path: String,
    /// The body that it must have; None: any.
    pub sent: Option<Vec<u8>>,
    /// The status of the answer.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What an outcome consists of; turned into lines in an order of its own, so that the order of writing does not matter.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) out: Vec<CaseEvent>,
    /// By what stands in front of it: `route "audit"`, `reject "no account"`, `fault "trap"`.
    pub(super) elsewhere: BTreeMap<String, Vec<CaseEvent>>,
    /// `failure …`, `delivered`, `refused …`.
    pub(super) words: Vec<String>,
}

impl Outcome {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.out.iter().map(|event| format!("out: {}", event.shown())).collect();
        for (place, events) in &self.elsewhere {
            lines.extend(events.iter().map(|event| format!("{place}: {}", event.shown())));
        }
        lines.extend(self.words.iter().cloned());
        lines
    }
}

/// Reads a case file; `name` is its path in diagnostics.
///
/// # Errors
/// Every mistake, and the text that it points into.
pub fn read(name: &str, content: &str) -> Result<CaseFile, (Diagnostics, Files)> {
    let (nodes, files, found) = parse_nodes(name, content, &MapEnvironment::default());
    let mut reader = Reader { files, found, defaults: Around::default() };
    let cases = if reader.found.has_errors() { Vec::new() } else { reader.file(&nodes) };
    if reader.found.has_errors() { Err((reader.found, reader.files)) } else { Ok(CaseFile { cases }) }
}

struct Reader {
    files: Files,
    found: Diagnostics,
    defaults: Around,
}

/// What stands in a case so far.
#[derive(Default)]
struct Draft {
    /// The batch under way, with its place and what is said of it.
    batch: Option<(Vec<CaseEvent>, Span)>,
    outcome: Option<Outcome>,
    calls: Vec<Call>,
}

impl Reader {
    fn file(&mut self, nodes: &[Node]) -> Vec<Case> {
        self.defaults = self.around(nodes, &Around::default());
        let mut cases: Vec<Case> = Vec::new();
        for node in nodes {
            match node.name.value.as_str() {
                "config" | "grant" | "limits" => {}
                "case" => {
                    let case = self.case(node);
                    if cases.iter().any(|known| known.name == case.name) {
                        self.wrong(node.span, format!("there are two cases called {:?}", case.name));
                    }
                    cases.push(case);
                }
                other => self.wrong(
                    node.name.span,
                    format!("a case file has no `{other}`: it has `case`, `config`, `grant` and `limits`"),
                ),
            }
        }
        if cases.is_empty() && !self.found.has_errors() {
            self.found.push(Diagnostic::general("case::empty", "there is no case in the file"));
        }
        cases
    }

    fn around(&self, nodes: &[Node], defaults: &Around) -> Around {
        let find = |name: &str| nodes.iter().find(|node| node.name.value == name).cloned();
        Around {
            config: find("config").or_else(|| defaults.config.clone()),
            grant: find("grant").or_else(|| defaults.grant.clone()),
            limits: find("limits").or_else(|| defaults.limits.clone()),
            component: None,
            files: self.files.clone(),
        }
    }

    fn case(&mut self, node: &Node) -> Case {
        let name = node.arguments.first().and_then(|name| text(name).ok()).unwrap_or_default();
        if name.is_empty() {
            self.wrong(node.name.span, "a case says what it shows: `case \"nothing changes\" { … }`".into());
        }
        let around = self.around(&node.children, &self.defaults.clone());
        let mut case = Case {
            name,
            around,
            issues: Vec::new(),
            calls: Vec::new(),
            polls: Vec::new(),
            open: None,
            ends: false,
            events_max: None,
            answers: Vec::new(),
        };
        let mut draft = Draft::default();
        for child in &node.children {
            if let Err((span, reason)) = self.part(child, &mut case, &mut draft) {
                self.wrong(span, reason);
            }
        }
        self.finish(&mut draft);
        case.calls = draft.calls;
        if case.calls.is_empty() && case.polls.is_empty() && case.issues.is_empty() && !case.ends {
            self.wrong(
                node.name.span,
                "the case expects nothing: it needs `in`, `poll`, `end` or `issue`".into(),
            );
        }
        let does_something = !case.calls.is_empty() || !case.polls.is_empty();
        if !case.issues.is_empty() && does_something {
            self.wrong(
                node.name.span,
                "a plugin that finds `issue`s does not start: nothing else can be expected".into(),
            );
        }
        case
    }

    /// One node inside of a case.
    fn part(&mut self, node: &Node, case: &mut Case, draft: &mut Draft) -> Result<(), (Span, String)> {
        let word = node.name.value.as_str();
        match word {
            "config" | "grant" | "limits" => {}
            "in" => {
                self.finish(draft);
                let batch = events(node)?;
                if batch.is_empty() {
                    return Err((node.span, "a batch has at least one event".into()));
                }
                draft.batch = Some((batch, node.span));
            }
            "issue" => {
                let path = node.arguments.first().map(text).transpose()?.unwrap_or_default();
                let reason = node.arguments.get(1).map(text).transpose()?;
                case.issues.push(Issue { path, reason });
            }
            "open" if node.arguments.is_empty() && node.properties.is_empty() => case.open = None,
            "open" => case.open = Some(bytes(node)?),
            "poll" => {
                let (poll, is_last) = poll(node)?;
                if node.property("events").is_some() {
                    case.events_max = Some(number(node, "events")?);
                }
                case.ends |= is_last;
                // An answer without anything is not seen from outside.
                if !poll.expected.is_empty() {
                    case.polls.push(poll);
                }
            }
            "end" => case.ends = true,
            "http" => case.answers.push(answer(node)?),
            _ => {
                let Some((batch, _)) = &draft.batch else {
                    return Err((
                        node.name.span,
                        format!("`{word}` says what comes of a batch: an `in` must stand before it"),
                    ));
                };
                outcome(node, batch, draft.outcome.get_or_insert_default())?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, draft: &mut Draft) {
        let Some((events, span)) = draft.batch.take() else { return };
        match draft.outcome.take() {
            Some(outcome) => draft.calls.push(Call { events, expected: outcome.lines() }),
            None => self
                .wrong(span, "nothing says what must come of this batch: `out { … }`, `unchanged`, …".into()),
        }
    }

    fn wrong(&mut self, span: Span, reason: String) {
        self.found.push(Diagnostic::error("case::wrong", span, reason).label("here"));
    }
}

/// What must come of a batch.
fn outcome(node: &Node, batch: &[CaseEvent], outcome: &mut Outcome) -> Result<(), (Span, String)> {
    let label = || match node.arguments.first() {
        Some(label) => text(label),
        None => Err((node.span, format!("`{0}` needs a text: `{0} \"…\" {{ … }}`", node.name.value))),
    };
    match node.name.value.as_str() {
        "out" => outcome.out.extend(events(node)?),
        "unchanged" => outcome.out.extend_from_slice(batch),
        place @ ("route" | "reject" | "fault") => {
            let place = format!("{place} {}", super::event::quoted(&label()?));
            outcome.elsewhere.entry(place).or_default().extend(events(node)?);
        }
        "failure" => outcome.words.push(failure(node, &label()?)?),
        "delivered" => outcome.words.push("delivered".into()),
        "refused" => {
            let row = number(node, "row")?;
            let kind = label()?;
            let reason = node.arguments.get(1).map(text).transpose()?;
            let is_known = matches!((kind.as_str(), &reason), ("reject", Some(_)) | ("retry", None));
            if !is_known {
                let help = "write `refused row=1 \"reject\" \"reason\"` or `refused row=1 \"retry\"`";
                return Err((node.span, help.into()));
            }
            outcome.words.push(refused_text(row, reason.as_deref()));
        }
        other => {
            let near = ["out", "unchanged", "route", "reject", "fault", "failure", "delivered", "refused"];
            let near = millrace_config::closest(other, near)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err((node.name.span, format!("a case has no `{other}`{near}")));
        }
    }
    Ok(())
}

fn failure(node: &Node, kind: &str) -> Result<String, (Span, String)> {
    let reason = node.arguments.get(1).map(text).transpose()?;
    let reason = reason.map_or_else(String::new, |reason| format!(" {}", super::event::quoted(&reason)));
    let after = match node.property("after") {
        None => None,
        Some(after) => {
            let written = text(&after.value)?;
            let time = parse_duration(&written)
                .map_err(|error| (after.value.span, format!("{}; {}", error.label, error.help)))?;
            Some(time)
        }
    };
    Ok(format!("failure {}{reason}{}", super::event::quoted(kind), after_text(after)))
}

pub(super) fn after_text(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" after=\"{}ms\"", after.as_millis()))
}

/// A row that was not taken: for good, for this reason, or only for now.
pub(super) fn refused_text(row: u64, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("refused row={row} \"reject\" {}", super::event::quoted(reason)),
        None => format!("refused row={row} \"retry\""),
    }
}

fn number(node: &Node, name: &str) -> Result<u64, (Span, String)> {
    let missing = || (node.span, format!("`{}` needs `{name}=`", node.name.value));
    let value = node.property(name).ok_or_else(missing)?;
    text(&value.value)?.parse().map_err(|_| (value.value.span, "expected a whole number".into()))
}

/// All `event`s of a block.
fn events(node: &Node) -> Result<Vec<CaseEvent>, (Span, String)> {
    let mut all = Vec::with_capacity(node.children.len());
    for child in &node.children {
        if child.name.value != "event" {
            return Err((
                child.name.span,
                format!("`{}` holds `event`s, not `{}`", node.name.value, child.name.value),
            ));
        }
        all.push(event(child)?);
    }
    Ok(all)
}

/// An answer, and whether it is the last one.
fn poll(node: &Node) -> Result<(Poll, bool), (Span, String)> {
    let mut expected = Vec::new();
    let mut position = None;
    let mut is_last = false;
    for child in &node.children {
        match child.name.value.as_str() {
            "event" => expected.push(event(child)?.shown()),
            "position" => position = Some(position_text(&bytes(child)?)),
            "pace" => match child.arguments.first().map(text).transpose()?.as_deref() {
                Some("end") => is_last = true,
                Some("now" | "after") => {}
                _ => {
                    return Err((
                        child.span,
                        "write `pace \"now\"`, `pace \"after\"` or `pace \"end\"`".into(),
                    ));
                }
            },
            other => {
                return Err((
                    child.name.span,
                    format!("a poll has `event`s, a `position` and a `pace`, not `{other}`"),
                ));
            }
        }
    }
    expected.extend(position);
    Ok((Poll { expected }, is_last))
}

pub(super) fn position_text(position: &[u8]) -> String {
    let event = CaseEvent { headers: Vec::new(), body: position.to_vec() }.shown();
    event.replacen("event", "position", 1)
}

fn answer(node: &Node) -> Result<Answer, (Span, String)> {
    let [method, path] = node.arguments.as_slice() else {
        return Err((node.span, "write `http \"GET\" \"/path\" status=200 { body \"…\" }`".into()));
    };
    let url = text(path)?;
    let (origin, path_only) = split_url(&url);
    let status = node.property("status").map_or(Ok(200), |_| number(node, "status"))?;
    let mut answer = Answer {
        method: text(method)?,
        origin,
        path: path_only,
        sent: None,
        status: u16::try_from(status)
            .ok()
            .filter(|status| (100..600).contains(status))
            .ok_or((node.span, "the status of HTTP is 100 to 599".to_owned()))?,
        headers: Vec::new(),
        body: Vec::new(),
    };
    for child in &node.children {
        match (child.name.value.as_str(), child.arguments.as_slice()) {
            ("sent", _) => answer.sent = Some(bytes(child)?),
            ("body", _) => answer.body = bytes(child)?,
            ("header", [name, value]) => answer.headers.push((text(name)?, text(value)?)),
            (other, _) => {
                return Err((
                    child.name.span,
                    format!("`http` has `sent`, `header` and `body`, not `{other}`"),
                ));
            }
        }
    }
    Ok(answer)
}

/// `https://host/path` as origin and path; a path alone has no origin.
fn split_url(url: &str) -> (String, String) {
    let Some(start) = url.find("://").map(|at| at + 3) else { return (String::new(), url.to_owned()) };
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    let (origin, path) = url.split_at(end);
    (origin.to_owned(), if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn cases_are_read_in_any_order_of_what_is_expected() {
        let text = "config { keep 4 }\ncase \"a\" { in { event \"x\" b=\"2\" a=1 }; reject \"no\" { event { body hex=\"00 ff\" } }; out { event \"y\" } }";
        let file = read("cases.kdl", text).unwrap();
        assert_eq!(file.cases[0].calls[0].events[0].shown(), "event \"x\" a=\"1\" b=\"2\"");
        assert_eq!(
            file.cases[0].calls[0].expected,
            ["out: event \"y\"", "reject \"no\": event { body hex=\"00ff\" }"]
        );
        assert!(file.cases[0].around.config.is_some());
    }

    #[test]
    fn mistakes_are_told_where_they_stand() {
        for (text, reason) in [
            ("", "there is no case in the file"),
            ("case", "a case says what it shows: `case \"nothing changes\" { … }`"),
            (
                "case \"a\" { in { event \"x\" } }",
                "nothing says what must come of this batch: `out { … }`, `unchanged`, …",
            ),
            ("case \"a\" { in; out }", "a batch has at least one event"),
            ("case \"a\" { out }", "`out` says what comes of a batch: an `in` must stand before it"),
            (
                "case \"a\" { in { event \"x\" }; unchnged }",
                "a case has no `unchnged`; did you mean `unchanged`?",
            ),
            (
                "case \"a\" { in { event { body hex=\"0\" } }; out }",
                "no hexadecimal digits: Odd number of digits",
            ),
            ("case \"a\" { in { event \"x\" \"y\" }; out }", "an event has one body"),
            (
                "case \"a\" { in { event \"x\" a=1 { header \"a\" \"2\" } }; out }",
                "the header \"a\" is given twice",
            ),
            (
                "case \"a\" { in { event \"x\" }; out; issue \"/a\" }",
                "a plugin that finds `issue`s does not start: nothing else can be expected",
            ),
            ("case \"a\" { end }\ncase \"a\" { end }", "there are two cases called \"a\""),
            ("chase \"a\"", "a case file has no `chase`: it has `case`, `config`, `grant` and `limits`"),
            (
                "case \"a\" { in { event \"x\" }; failure \"retry\" after=\"5\" }",
                "the unit is missing; write \"5s\" for seconds, or use ms, m, h or d",
            ),
        ] {
            let (found, _) = read("cases.kdl", text).unwrap_err();
            assert!(found.iter().any(|one| one.reason == reason), "{text}: {found:?}");
        }
    }
}
