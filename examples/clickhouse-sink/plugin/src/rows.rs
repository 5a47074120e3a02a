//! From events to lines of the format JSONEachRow: one JSON object for each event.

use millrace_plugin::{Batch, Packed};
use serde_json::{Map, Value};

/// Which columns the members of a row are.
pub struct Columns {
    /// The column that gets the body. None: the body is a JSON object with a member for each column.
    pub body: Option<String>,
    /// Headers that become the column of the same name. An event without one leaves it to its default.
    pub headers: Vec<String>,
}

/// The lines of a batch, and the rows that make none.
#[derive(Default)]
pub struct Lines {
    /// The row of each line, ascending.
    pub rows: Vec<u32>,
    /// The lines, each with its end of line.
    pub lines: Packed,
    /// Rows that cannot be a line, and why.
    pub refused: Vec<(u32, String)>,
}

impl Columns {
    /// Makes a line of every event.
    pub fn lines(&self, batch: &Batch) -> Lines {
        let headers: Vec<_> = self.headers.iter().map(|name| (name, batch.header_column(name))).collect();
        let mut lines = Lines::default();
        for (row, body) in batch.bodies().rows() {
            let values = headers.iter().filter_map(|(name, column)| Some((name.as_str(), column.get(row)?)));
            match self.line(body, values) {
                Ok(line) => {
                    lines.rows.push(row);
                    lines.lines.push(line.as_bytes());
                }
                Err(reason) => lines.refused.push((row, reason)),
            }
        }
        lines
    }

    fn line<'a>(
        &self,
        body: &[u8],
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<String, String> {
        let mut row = match &self.body {
            Some(column) => {
                let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
                Map::from_iter([(column.clone(), Value::from(text))])
            }
            None => serde_json::from_slice(body)
                .map_err(|error| format!("the body is not a JSON object: {error}"))?,
        };
        // What the event says of itself in its body counts more.
        for (name, value) in headers {
            row.entry(name).or_insert_with(|| value.into());
        }
        Ok(format!("{}\n", Value::Object(row)))
    }
}

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    fn lines(columns: &Columns, events: Vec<Event>) -> (Vec<String>, Vec<(u32, String)>) {
        let lines = columns.lines(&testing::batch(events));
        let text = lines.lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        (text, lines.refused)
    }

    #[test]
    fn a_body_is_a_column_beside_the_headers() {
        let columns = Columns { body: Some("line".into()), headers: vec!["host".into(), "app".into()] };
        let events = vec![
            Event::new("say \"hi\"\n").with_header("host", "web-1").with_header("other", "x"),
            Event::new(vec![0xff]),
            Event::new(""),
        ];
        let (lines, refused) = lines(&columns, events);
        assert_eq!(lines, ["{\"host\":\"web-1\",\"line\":\"say \\\"hi\\\"\\n\"}\n", "{\"line\":\"\"}\n"]);
        assert_eq!(refused, [(1, "the body is not UTF-8".to_owned())]);
    }

    #[test]
    fn a_body_that_is_an_object_is_a_row() {
        let columns = Columns { body: None, headers: vec!["host".into()] };
        let event = |body: &str| Event::new(body).with_header("host", "web-1");
        let events = vec![event(r#"{"n": 1}"#), event(r#"{"host": "own"}"#), event("[1]"), event("{")];
        let (lines, refused) = lines(&columns, events);
        assert_eq!(lines, ["{\"host\":\"web-1\",\"n\":1}\n", "{\"host\":\"own\"}\n"]);
        assert_eq!(refused.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3]);
        assert!(refused[0].1.starts_with("the body is not a JSON object: invalid type: sequence"));
    }
}
