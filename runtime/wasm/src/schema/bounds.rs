//! Keeps schemas away that could not be checked against in bounded time: references to elsewhere, references in a circle,
//! and combinations that multiply.

use std::collections::HashMap;

use serde_json::Value;

use super::{pointer_part, resolve};

/// Schemas that may have to be looked at for one value.
const LOOKS_MAX: u64 = 10_000;

/// Keywords whose schemas apply to the value itself: a list of them, a map of them, or one.
const SAME_VALUE: &[&str] =
    &["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "$ref"];

/// Keywords that refer to something in a way that depends on where one comes from.
const DYNAMIC: &[&str] = &["$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor", "$id", "$vocabulary"];

/// Checks a whole schema.
pub(super) fn check(root: &Value) -> Result<(), String> {
    let mut bounds = Bounds { root, known: HashMap::new() };
    bounds.everywhere(root, &mut String::new())
}

struct Bounds<'a> {
    root: &'a Value,
    /// How many looks a place takes; None: it is being counted.
    known: HashMap<String, Option<u64>>,
}

impl Bounds<'_> {
    /// Visits every place of the text; its depth is bounded by the JSON parser.
    fn everywhere(&mut self, place: &Value, pointer: &mut String) -> Result<(), String> {
        if let Value::Object(members) = place {
            if let Some(name) =
                members.keys().find(|name| DYNAMIC.contains(&name.as_str()) && is_schema(pointer))
            {
                return Err(format!("`{name}` is not supported, use `$defs` and `$ref` (at `{pointer}`)"));
            }
            self.looks(place, pointer)?;
        }
        let length = pointer.len();
        match place {
            Value::Object(members) => {
                for (name, member) in members {
                    // What stands in these is data, not a schema.
                    if is_schema(pointer) && ["const", "enum", "default", "examples"].contains(&name.as_str())
                    {
                        continue;
                    }
                    pointer.push('/');
                    pointer.push_str(&pointer_part(name));
                    self.everywhere(member, pointer)?;
                    pointer.truncate(length);
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    pointer.push_str(&format!("/{at}"));
                    self.everywhere(item, pointer)?;
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How many schemas apply to a value that this one applies to.
    fn looks(&mut self, schema: &Value, pointer: &str) -> Result<u64, String> {
        match self.known.get(pointer) {
            Some(Some(looks)) => return Ok(*looks),
            Some(None) => return Err(format!("it refers to itself without end (at `{pointer}`)")),
            None => {}
        }
        self.known.insert(pointer.to_owned(), None);
        let mut sum = 1_u64;
        for keyword in SAME_VALUE {
            let Some(inner) = schema.get(keyword) else { continue };
            let at = format!("{pointer}/{keyword}");
            if *keyword == "$ref" {
                sum = sum.saturating_add(self.reference(inner, &at)?);
                continue;
            }
            match inner {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        sum = sum.saturating_add(self.looks(item, &format!("{at}/{index}"))?);
                    }
                }
                Value::Object(members) if *keyword == "dependentSchemas" => {
                    for (name, member) in members {
                        let at = format!("{at}/{}", pointer_part(name));
                        sum = sum.saturating_add(self.looks(member, &at)?);
                    }
                }
                one => sum = sum.saturating_add(self.looks(one, &at)?),
            }
        }
        if sum > LOOKS_MAX {
            return Err(format!("its parts multiply to more than {LOOKS_MAX} (at `{pointer}`)"));
        }
        self.known.insert(pointer.to_owned(), Some(sum));
        Ok(sum)
    }

    fn reference(&mut self, reference: &Value, at: &str) -> Result<u64, String> {
        let text = reference.as_str().unwrap_or_default();
        let Some(target) = text.strip_prefix('#') else {
            return Err(format!("`$ref` leads out of the schema, to `{text}` (at `{at}`)"));
        };
        let Some(schema) = resolve(self.root, text) else {
            return Err(format!("`$ref` leads nowhere: `{text}` (at `{at}`)"));
        };
        let target = target.to_owned();
        self.looks(schema, &target)
    }
}

/// Whether a place is a schema, not the list of names of one: `/properties` itself holds options by name.
fn is_schema(pointer: &str) -> bool {
    let mut parts = pointer.rsplit('/');
    let last = parts.next().unwrap_or_default();
    let before = parts.next().unwrap_or_default();
    let names = ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];
    // `/properties/properties` is an option called so.
    !names.contains(&last) || names.contains(&before)
}
