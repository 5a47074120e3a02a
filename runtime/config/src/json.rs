//! A plugin's options as JSON, and the way back from a place in the JSON to the place in the file.
//!
//! A plugin's options are its own affair: no table of ours knows them. `name value` is a member, several
//! values or repeated nodes are an array, properties and children are an object, a bare name is `true`. A
//! node with values and properties at once is an object with the values as its member `value`.

use serde_json::{Map, Number, Value};

use crate::{
    diagnostic::Span,
    node::{Node, Scalar, Spanned},
};

/// A JSON value that remembers where each part was written.
#[derive(Debug)]
struct Placed {
    span: Span,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Plain(Value),
    Array(Vec<Placed>),
    /// Each member with its name and where that stands.
    Object(Vec<(String, Span, Placed)>),
}

/// The properties and children of a node as a JSON object. Its arguments (the component's name) are left out;
/// so should be what the host reads itself, with [`Node::without`].
pub fn to_json(node: &Node) -> Value {
    object(node).into_json()
}

/// The place that a JSON pointer into [`to_json`] means; the closest part around it where there is none.
pub fn pointer_span(node: &Node, pointer: &str) -> Span {
    walk(node, pointer).1
}

/// The place of the name that a JSON pointer into [`to_json`] ends in; where it ends in no name, as [`pointer_span`].
pub fn pointer_name_span(node: &Node, pointer: &str) -> Span {
    walk(node, pointer).0
}

/// Where the name stands that a pointer leads to, and where its value does.
fn walk(node: &Node, pointer: &str) -> (Span, Span) {
    let mut place = &object(node);
    let mut span = node.name.span;
    let mut name_span = span;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match &place.shape {
            Shape::Plain(_) => None,
            Shape::Array(items) => {
                let item = part.parse::<usize>().ok().and_then(|at| items.get(at));
                item.map(|item| (item.span, item))
            }
            Shape::Object(members) => {
                let member = members.iter().find(|(name, _, _)| *name == part);
                member.map(|(_, name_span, member)| (*name_span, member))
            }
        };
        let Some((name, next)) = next else { break };
        place = next;
        name_span = name;
        span = next.span;
    }
    (name_span, span)
}

impl Placed {
    fn into_json(self) -> Value {
        match self.shape {
            Shape::Plain(value) => value,
            Shape::Array(items) => items.into_iter().map(Self::into_json).collect(),
            Shape::Object(members) => {
                let members = members.into_iter().map(|(name, _, member)| (name, member.into_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// The parts that this adds to an array of all that bear its name.
    fn into_items(self) -> Vec<Self> {
        match self.shape {
            Shape::Array(items) => items,
            shape => vec![Self { span: self.span, shape }],
        }
    }
}

fn object(node: &Node) -> Placed {
    let mut members: Vec<(String, Span, Placed)> = Vec::new();
    let properties = node.properties.iter().map(|property| (&property.name, scalar(&property.value)));
    let children = node.children.iter().map(|child| (&child.name, child_value(child)));
    for (name, value) in properties.chain(children) {
        let Some((_, _, first)) = members.iter_mut().find(|(known, _, _)| *known == name.value) else {
            members.push((name.value.clone(), name.span, value));
            continue;
        };
        let before = std::mem::replace(first, Placed { span: first.span, shape: Shape::Array(Vec::new()) });
        let items = before.into_items().into_iter().chain(value.into_items()).collect();
        first.shape = Shape::Array(items);
    }
    Placed { span: node.name.span, shape: Shape::Object(members) }
}

fn child_value(node: &Node) -> Placed {
    let span = node.name.span;
    let values = match node.arguments.as_slice() {
        [] => None,
        [one] => Some(scalar(one)),
        several => Some(Placed { span, shape: Shape::Array(several.iter().map(scalar).collect()) }),
    };
    if node.properties.is_empty() && node.children.is_empty() {
        return values.unwrap_or(Placed { span, shape: Shape::Plain(Value::Bool(true)) });
    }
    let mut whole = object(node);
    if let (Shape::Object(members), Some(values)) = (&mut whole.shape, values)
        && !members.iter().any(|(name, _, _)| name == "value")
    {
        members.insert(0, ("value".into(), span, values));
    }
    whole
}

fn scalar(value: &Spanned<Scalar>) -> Placed {
    let json = match &value.value {
        Scalar::Text(text) => Value::String(text.clone()),
        Scalar::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => Number::from_f64(*number as f64).map_or(Value::Null, Value::Number),
        },
        // JSON has neither infinities nor #nan.
        Scalar::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Scalar::Boolean(yes) => Value::Bool(*yes),
        Scalar::Null => Value::Null,
    };
    Placed { span: value.span, shape: Shape::Plain(json) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{MapEnvironment, parse_nodes};

    const TEXT: &str = r##"
wasm "redact" channel="c" {
    pattern #"\d+"#
    words "a" "b"
    words "c"
    strict
    rate 0.5
    big 18446744073709551615
    nothing #null
    rule "first" level=3 { field "x"; field "y" }
    rule "second"
    nested { deeper { value 1 } }
    "a/b~c" 1
}
"##;

    fn node() -> (Node, crate::Files) {
        let (nodes, files, found) = parse_nodes("t.kdl", TEXT, &MapEnvironment::default());
        assert!(found.is_empty(), "{found:?}");
        (nodes.into_iter().next().unwrap(), files)
    }

    #[test]
    fn options_become_one_json_object() {
        assert_eq!(
            to_json(&node().0.without(&["channel"])),
            json!({
                "pattern": "\\d+",
                "words": ["a", "b", "c"],
                "strict": true,
                "rate": 0.5,
                "big": 18_446_744_073_709_551_615_u64,
                "nothing": null,
                "rule": [{ "value": "first", "level": 3, "field": ["x", "y"] }, "second"],
                "nested": { "deeper": { "value": 1 } },
                "a/b~c": 1,
            })
        );
    }

    #[test]
    fn a_pointer_leads_to_the_place_in_the_file() {
        let (node, files) = node();
        for (pointer, written) in [
            ("/pattern", "#\"\\d+\"#"),
            ("/words/2", "\"c\""),
            ("/strict", "strict"),
            ("/rule/0/level", "3"),
            ("/rule/0/field/1", "\"y\""),
            ("/rule/1", "\"second\""),
            ("/nested/deeper", "deeper"),
            ("/nested/deeper/value", "1"),
            ("/a~1b~0c", "1"),
            ("/nested/missing/x", "nested"),
            ("/words/9", "words"),
            ("/missing", "wasm"),
            ("", "wasm"),
            ("no pointer", "wasm"),
        ] {
            assert_eq!(files.source(pointer_span(&node, pointer)), written, "{pointer}");
        }
        for (pointer, written) in [
            ("/pattern", "pattern"),
            ("/rule/0/level", "level"),
            ("/nested/deeper/value", "value"),
            ("/words/2", "\"c\""),
            ("/missing", "wasm"),
        ] {
            assert_eq!(files.source(pointer_name_span(&node, pointer)), written, "{pointer}");
        }
    }
}
