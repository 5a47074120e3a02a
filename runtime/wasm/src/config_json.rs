//! A plugin's options as JSON, and the way back from a place in the JSON to the place in the file.
//!
//! A plugin's options are its own affair: no table of ours knows them. `name value` is a member, several
//! values or repeated nodes are an array, properties and children are an object, a bare name is `true`. A
//! node with values and properties at once is an object with the values as its member `value`.

use serde_json::{Map, Number, Value};

use millrace_config::{Node, Scalar, Span, Spanned};

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
    Object(Vec<(String, Placed)>),
}

/// The properties and children of a node as a JSON object. Its arguments (the component's name) are left out;
/// so should be what the host reads itself, with [`Node::without`].
pub(crate) fn to_json(node: &Node) -> Value {
    object(node).into_json()
}

/// The place that a JSON pointer into [`to_json`] means; the closest part around it where there is none.
pub(crate) fn pointer_span(node: &Node, pointer: &str) -> Span {
    let mut place = &object(node);
    let mut span = node.name.span;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match &place.shape {
            Shape::Plain(_) => None,
            Shape::Array(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
            Shape::Object(members) => {
                members.iter().find(|(name, _)| *name == part).map(|(_, member)| member)
            }
        };
        let Some(next) = next else { break };
        place = next;
        span = next.span;
    }
    span
}

impl Placed {
    fn into_json(self) -> Value {
        match self.shape {
            Shape::Plain(value) => value,
            Shape::Array(items) => items.into_iter().map(Self::into_json).collect(),
            Shape::Object(members) => {
                let members = members.into_iter().map(|(name, member)| (name, member.into_json()));
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
    let mut members: Vec<(String, Placed)> = Vec::new();
    let properties = node.properties.iter().map(|property| (&property.name, scalar(&property.value)));
    let children = node.children.iter().map(|child| (&child.name, child_value(child)));
    for (name, value) in properties.chain(children) {
        let Some((_, first)) = members.iter_mut().find(|(known, _)| *known == name.value) else {
            members.push((name.value.clone(), value));
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
        && !members.iter().any(|(name, _)| name == "value")
    {
        members.insert(0, ("value".into(), values));
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
