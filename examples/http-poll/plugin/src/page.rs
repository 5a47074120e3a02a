//! One page of the API: a JSON array, and the cursor of each of its items.

use serde_json::Value;
use serde_json::value::RawValue;

/// An item, as the API wrote it, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub text: &'a str,
    pub cursor: String,
}

/// Reads a page. An item that does not say where it stands makes the page useless: nobody could go on behind it.
pub fn read<'a>(page: &'a [u8], cursor_field: &str) -> Result<Vec<Item<'a>>, String> {
    let texts: Vec<&RawValue> =
        serde_json::from_slice(page).map_err(|error| format!("the answer is no JSON array: {error}"))?;
    let item = |(number, text): (usize, &'a RawValue)| {
        let text = text.get();
        let cursor = cursor_of(text, cursor_field)
            .ok_or_else(|| format!("item {number} has no text or number in `{cursor_field}`"))?;
        Ok(Item { text, cursor })
    };
    texts.into_iter().enumerate().map(item).collect()
}

fn cursor_of(item: &str, field: &str) -> Option<String> {
    let item: Value = serde_json::from_str(item).ok()?;
    match item.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_text() {
        let page = br#" [ {"id": 7, "a" : "\u00fc"}, {"id":"x/1"} ] "#;
        let items = read(page, "id").unwrap();
        assert_eq!(
            items,
            [
                Item { text: r#"{"id": 7, "a" : "\u00fc"}"#, cursor: "7".into() },
                Item { text: r#"{"id":"x/1"}"#, cursor: "x/1".into() },
            ]
        );
        assert_eq!(read(b"[]", "id").unwrap(), []);
    }

    #[test]
    fn a_page_without_cursors_is_refused() {
        assert_eq!(
            read(br#"[{"id":1},{"id":null}]"#, "id").unwrap_err(),
            "item 1 has no text or number in `id`"
        );
        assert_eq!(read(b"[3]", "id").unwrap_err(), "item 0 has no text or number in `id`");
        assert!(read(b"{}", "id").unwrap_err().starts_with("the answer is no JSON array: invalid type: map"));
    }
}
