//! The protocol itself: Flume's own text, byte for byte, and whether another text means the same calls.
//!
//! Both sides know a protocol by the MD5 of its text. With Flume's own text Java peers agree at once; any
//! other text with the same two calls is accepted too.

use md5::{Digest, Md5};
use serde_json::Value;

use super::error::AvroError;

/// The digest by which a protocol is known.
pub(crate) type Hash = [u8; 16];

/// Flume's `AvroSourceProtocol`, exactly as Java writes it, comment included: its digest depends on it.
pub(crate) const TEXT: &str = include_str!("avro_source_protocol.json");

/// The MD5 of [`TEXT`].
pub(crate) const MD5: Hash =
    [0x86, 0xaa, 0xda, 0xe2, 0xc4, 0x54, 0x74, 0xc0, 0xfe, 0x93, 0xff, 0xd0, 0xf2, 0x35, 0x0a, 0x65];

/// References between types are followed this far.
const REFERENCES_MAX: usize = 4;

/// The digest of a protocol text.
pub(crate) fn md5(text: &str) -> Hash {
    Md5::digest(text.as_bytes()).into()
}

/// Whether the calls of another protocol have the bytes of ours. It needs one of the two calls and may have more.
pub(crate) fn is_compatible(text: &str) -> Result<(), AvroError> {
    let other = |reason: &str| AvroError::OtherProtocol(reason.to_owned());
    let protocol: Value = serde_json::from_str(text).map_err(|error| other(&format!("no JSON: {error}")))?;
    let types =
        Types { declared: protocol.get("types").and_then(Value::as_array).map_or(&[], Vec::as_slice) };
    let append = types.call(&protocol, "append");
    let batch = types.call(&protocol, "appendBatch");
    if append.is_none() && batch.is_none() {
        return Err(other("neither append nor appendBatch"));
    }
    if let Some(call) = append
        && !call.parameter.is_some_and(|parameter| types.is_event(parameter))
    {
        return Err(other("append does not take an event of headers (map of string) and body (bytes)"));
    }
    if let Some(call) = batch
        && !call.parameter.is_some_and(|parameter| types.is_events(parameter))
    {
        return Err(other("appendBatch does not take an array of events"));
    }
    let answers = [append, batch];
    if !answers.iter().flatten().all(|call| call.answer.is_some_and(|answer| types.is_status(answer))) {
        return Err(other("the calls do not answer with a status of OK, FAILED, UNKNOWN"));
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct CallTypes<'a> {
    parameter: Option<&'a Value>,
    answer: Option<&'a Value>,
}

/// The named types of a protocol.
#[derive(Clone, Copy)]
struct Types<'a> {
    declared: &'a [Value],
}

impl<'a> Types<'a> {
    fn call(&self, protocol: &'a Value, name: &str) -> Option<CallTypes<'a>> {
        let call = protocol.get("messages")?.get(name)?;
        let request = call.get("request").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let parameter = match request {
            [only] => only.get("type"),
            _ => None,
        };
        Some(CallTypes { parameter, answer: call.get("response") })
    }

    /// Follows references by name and `{"type": …}` wrappings to the kind of a type and its definition.
    fn resolve(&self, mut found: &'a Value) -> Option<(&'a str, &'a Value)> {
        for _ in 0..REFERENCES_MAX {
            found = match found {
                Value::String(name) => match self.named(name) {
                    Some(definition) => definition,
                    None => return Some((name, found)),
                },
                Value::Object(definition) => match definition.get("type")? {
                    Value::String(kind) if self.named(kind).is_none() => return Some((kind, found)),
                    wrapped => wrapped,
                },
                _ => return None,
            };
        }
        None
    }

    fn named(&self, name: &str) -> Option<&'a Value> {
        self.declared.iter().find(|declared| {
            declared.get("name").and_then(Value::as_str).is_some_and(|own| last_word(own) == last_word(name))
        })
    }

    fn is(&self, found: Option<&'a Value>, kind: &str) -> bool {
        found.and_then(|found| self.resolve(found)).is_some_and(|(resolved, _)| resolved == kind)
    }

    fn is_event(&self, found: &'a Value) -> bool {
        let Some(("record", definition)) = self.resolve(found) else { return false };
        let Some([headers, body]) = definition.get("fields").and_then(Value::as_array).map(Vec::as_slice)
        else {
            return false;
        };
        let is_text_map = headers
            .get("type")
            .and_then(|headers| self.resolve(headers))
            .is_some_and(|(kind, map)| kind == "map" && self.is(map.get("values"), "string"));
        is_text_map && self.is(body.get("type"), "bytes")
    }

    fn is_events(&self, found: &'a Value) -> bool {
        let Some(("array", definition)) = self.resolve(found) else { return false };
        definition.get("items").is_some_and(|items| self.is_event(items))
    }

    fn is_status(&self, found: &'a Value) -> bool {
        let Some(("enum", definition)) = self.resolve(found) else { return false };
        let symbols = definition.get("symbols").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        matches!(symbols, [ok, failed, ..] if ok == "OK" && failed == "FAILED")
    }
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{MD5, TEXT, is_compatible, md5};

    #[test]
    fn the_text_is_flumes_own_to_the_byte() {
        assert_eq!(md5(TEXT), MD5);
        assert_eq!(is_compatible(TEXT), Ok(()));
    }

    /// The calls as other libraries write them: nested definitions, Java's string hints, names with a namespace.
    #[test]
    fn the_same_calls_in_other_words_are_the_same_protocol() {
        let nested = r#"{"protocol":"P","messages":{"appendBatch":{"request":[{"name":"events","type":
            {"type":"array","items":{"type":"record","name":"a.E","fields":[
            {"name":"h","type":{"type":"map","values":{"type":"string","avro.java.string":"String"}}},
            {"name":"b","type":{"type":"bytes"}}]}}}],
            "response":{"type":"enum","name":"S","symbols":["OK","FAILED","UNKNOWN"]}}}}"#;
        assert_eq!(is_compatible(nested), Ok(()));
        let named = TEXT.replace(r#""items":"AvroFlumeEvent""#, r#""items":"org.apache.AvroFlumeEvent""#);
        assert_eq!(is_compatible(&named), Ok(()));
    }

    #[test]
    fn a_protocol_whose_bytes_would_differ_is_refused_with_the_reason() {
        let reason = |text: &str| is_compatible(text).unwrap_err().to_string();
        assert!(reason("{").contains("no JSON"));
        assert!(reason(r#"{"messages":{}}"#).contains("neither append nor appendBatch"));
        assert!(reason(&TEXT.replace(r#""type":"bytes""#, r#""type":"string""#)).contains("body (bytes)"));
        assert!(reason(&TEXT.replace(r#"["OK","FAILED""#, r#"["FAILED","OK""#)).contains("status of OK"));
        let endless = TEXT.replace(r#""items":"AvroFlumeEvent""#, r#""items":{"type":{"type":"array"}}"#);
        assert!(reason(&endless).contains("array of events"));
        let itself =
            r#"{"types":[{"name":"A","type":"A"}],"messages":{"append":{"request":[{"type":"A"}]}}}"#;
        assert!(reason(itself).contains("append does not take"));
        assert!(reason(&"[".repeat(100_000)).contains("no JSON"));
    }
}
