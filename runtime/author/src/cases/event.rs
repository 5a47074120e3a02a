//! Events as cases write them, and bytes as text, as hexadecimal digits or as base64.

use base64::{Engine, prelude::BASE64_STANDARD};
use millrace_config::{Node, Property, Scalar, Spanned};
use millrace_core::{Event, Headers};

/// An event of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseEvent {
    /// Names and values, in order of name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl CaseEvent {
    /// The event of the agent, to be compared.
    pub fn of(event: &Event) -> Self {
        let headers = event.headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        Self { headers, body: event.body.to_vec() }
    }

    /// As the agent has it.
    pub fn to_event(&self) -> Event {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            headers.set(name.as_str().into(), value.as_str().into());
        }
        Event::with_headers(headers, self.body.clone())
    }

    /// As a case would write it, on one line.
    pub fn shown(&self) -> String {
        let mut line = "event".to_owned();
        let text = std::str::from_utf8(&self.body).ok().filter(|text| is_plain(text));
        if let Some(text) = text {
            line.push_str(&format!(" {}", quoted(text)));
        }
        for (name, value) in &self.headers {
            let is_word = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                && name.starts_with(|c: char| c.is_ascii_alphabetic());
            let name = if is_word { name.clone() } else { quoted(name) };
            line.push_str(&format!(" {name}={}", quoted(value)));
        }
        if text.is_none() {
            line.push_str(&format!(" {{ body hex=\"{}\" }}", hex::encode(&self.body)));
        }
        line
    }
}

/// Text that can be read in a terminal as it is.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// A string of KDL.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads an `event`.
pub(super) fn event(node: &Node) -> Result<CaseEvent, (millrace_config::Span, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for Property { name, value } in &node.properties {
        headers.push((name.value.clone(), text(value)?));
    }
    let mut body = None;
    for child in &node.children {
        match (child.name.value.as_str(), child.arguments.as_slice()) {
            ("header", [name, value]) => headers.push((text(name)?, text(value)?)),
            ("header", _) => return Err((child.span, "write `header \"name\" \"value\"`".into())),
            ("body", _) if body.is_none() && node.arguments.is_empty() => body = Some(bytes(child)?),
            ("body", _) => return Err((child.span, "the event has two bodies".into())),
            (other, _) => {
                return Err((
                    child.name.span,
                    format!("an event has no `{other}`: it has `header` and `body`"),
                ));
            }
        }
    }
    let body = match (body, node.arguments.as_slice()) {
        (Some(body), _) => body,
        (None, []) => Vec::new(),
        (None, [one]) => text(one)?.into_bytes(),
        (None, [_, second, ..]) => return Err((second.span, "an event has one body".into())),
    };
    headers.sort();
    if let Some(pair) = headers.windows(2).find(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
        let name = pair.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        return Err((node.span, format!("the header {name:?} is given twice")));
    }
    Ok(CaseEvent { headers, body })
}

/// Bytes as `NAME "text"`, `NAME hex="…"` or `NAME base64="…"`.
pub(super) fn bytes(node: &Node) -> Result<Vec<u8>, (millrace_config::Span, String)> {
    match (node.arguments.as_slice(), node.properties.as_slice()) {
        ([one], []) => Ok(text(one)?.into_bytes()),
        ([], [property]) => {
            let written = text(&property.value)?;
            let plain: String = written.chars().filter(|c| !c.is_whitespace()).collect();
            match property.name.value.as_str() {
                "hex" => hex::decode(&plain)
                    .map_err(|error| (property.value.span, format!("no hexadecimal digits: {error}"))),
                "base64" => BASE64_STANDARD
                    .decode(&plain)
                    .map_err(|error| (property.value.span, format!("no base64: {error}"))),
                other => Err((
                    property.name.span,
                    format!("bytes are given as text, `hex=` or `base64=`, not `{other}=`"),
                )),
            }
        }
        _ => Err((
            node.span,
            format!("write `{0} \"text\"`, `{0} hex=\"…\"` or `{0} base64=\"…\"`", node.name.value),
        )),
    }
}

/// A value as text; numbers and booleans are what they look like.
pub(super) fn text(value: &Spanned<Scalar>) -> Result<String, (millrace_config::Span, String)> {
    match &value.value {
        Scalar::Text(text) => Ok(text.clone()),
        Scalar::Integer(number) => Ok(number.to_string()),
        Scalar::Boolean(yes) => Ok(yes.to_string()),
        _ => Err((value.span, "expected text".into())),
    }
}
