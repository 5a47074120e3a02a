//! Bodies as lines, with or without their headers.

use millrace_core::Event;

use super::{Room, Rows, SerializeError, Serializer};

/// The bodies.
pub struct TextSerializer {
    pub append_newline: bool,
}

impl Serializer for TextSerializer {
    fn begin(&mut self, _output: &mut Vec<u8>) {}

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        let mut taken = 0;
        for event in rows.iter() {
            if !room.has(taken, output.len() + event.body.len() + usize::from(self.append_newline)) {
                break;
            }
            output.extend_from_slice(&event.body);
            if self.append_newline {
                output.push(b'\n');
            }
            taken += 1;
        }
        Ok(taken)
    }
}

/// Headers as Java prints a map, a blank, the body.
pub struct HeaderAndTextSerializer {
    pub append_newline: bool,
}

impl Serializer for HeaderAndTextSerializer {
    fn begin(&mut self, _output: &mut Vec<u8>) {}

    fn append(&mut self, rows: Rows<'_>, room: Room, output: &mut Vec<u8>) -> Result<usize, SerializeError> {
        let mut taken = 0;
        for event in rows.iter() {
            let size = header_text_size(event) + 1 + event.body.len() + usize::from(self.append_newline);
            if !room.has(taken, output.len() + size) {
                break;
            }
            append_header_text(event, output);
            output.push(b' ');
            output.extend_from_slice(&event.body);
            if self.append_newline {
                output.push(b'\n');
            }
            taken += 1;
        }
        Ok(taken)
    }
}

fn append_header_text(event: &Event, output: &mut Vec<u8>) {
    output.push(b'{');
    for (index, (name, value)) in event.headers.iter().enumerate() {
        if index > 0 {
            output.extend_from_slice(b", ");
        }
        output.extend_from_slice(name.as_bytes());
        output.push(b'=');
        output.extend_from_slice(value.as_bytes());
    }
    output.push(b'}');
}

fn header_text_size(event: &Event) -> usize {
    let count = event.headers.len();
    2 + event.headers.size() + count + 2 * count.saturating_sub(1)
}
