//! `logger`: shows each event in the agent's own log, for looking at a flow. Flume's line:
//!
//! ```text
//! Event: { headers:{host=web-1} body: 48 65 6C 6C 6F                                  Hello }
//! ```
//!
//! Always one line: bytes that are not printable are dots, control characters in headers are escaped, so what
//! events say cannot pass for lines of the log.

use std::fmt::Write;

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, ByteString, Event, Sink, SinkError, SinkFactory};

/// The sink type.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "logger",
    summary: "Shows each event in the agent's own log, at level info",
    options: &[OptionSpec::with_default(
        "max-bytes",
        OptionKind::Integer { min: 0, max: 65_536 },
        "16",
        "How many bytes of a body are shown",
    )],
    open: false,
    example: r#"logger "look" channel="fast" { max-bytes 64 }"#,
    build,
};

/// Flume shows rows of this many bytes; a shorter body is filled up so that the texts stand below each other.
const ROW_BYTES: usize = 16;

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let bytes_max = section.count("max-bytes");
    Ok(Box::new(LoggerSink { name: cx.component.clone(), bytes_max, line: String::new() }))
}

struct LoggerSink {
    name: ByteString,
    bytes_max: usize,
    line: String,
}

#[async_trait]
impl Sink for LoggerSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        for event in batch {
            self.line.clear();
            append_line(event, self.bytes_max, &mut self.line);
            tracing::info!(sink = %self.name, "{}", self.line);
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Writing into a `String` cannot fail.
fn append_line(event: &Event, bytes_max: usize, line: &mut String) {
    line.push_str("Event: { headers:{");
    for (index, (name, value)) in event.headers.iter().enumerate() {
        if index > 0 {
            line.push_str(", ");
        }
        append_escaped(name, line);
        line.push('=');
        append_escaped(value, line);
    }
    line.push_str("} body:");
    let shown = event.body.get(..bytes_max).unwrap_or(&event.body);
    for byte in shown {
        let _written = write!(line, " {byte:02X}");
    }
    if !shown.is_empty() {
        line.extend(std::iter::repeat_n("   ", ROW_BYTES.saturating_sub(shown.len())));
        line.push(' ');
    }
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
    line.extend(shown.iter().map(printable));
    line.push_str(" }");
}

fn append_escaped(text: &str, line: &mut String) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use millrace_core::{Batch, Event, Headers};
    use millrace_testkit::{TestClock, build_context, section};

    use super::{FACTORY, append_line};

    fn line(headers: &[(&'static str, &'static str)], body: &'static [u8], bytes_max: usize) -> String {
        let headers: Headers =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut line = String::new();
        append_line(&Event::with_headers(headers, body), bytes_max, &mut line);
        line
    }

    #[test]
    fn the_line_is_flume_s() {
        assert_eq!(
            line(&[], b"Hello world!\r", 16),
            "Event: { headers:{} body: 48 65 6C 6C 6F 20 77 6F 72 6C 64 21 0D          Hello world!. }"
        );
        assert_eq!(
            line(&[("host", "a"), ("k", "v")], b"0123456789abcdefXYZ", 16),
            "Event: { headers:{host=a, k=v} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef }"
        );
        assert_eq!(line(&[], b"", 16), "Event: { headers:{} body: }");
        assert_eq!(line(&[], b"abc", 0), "Event: { headers:{} body: }");
    }

    #[test]
    fn events_cannot_pass_for_lines_of_the_log() {
        let shown = line(&[("a\n", "x\r\n2024 ERROR \u{1b}[31m")], b"\n\x1b[31m\xff\x7f", 16);
        assert!(!shown.contains(|character: char| character.is_control()), "{shown:?}");
        assert!(shown.starts_with("Event: { headers:{a\\n=x\\r\\n2024 ERROR \\u{1b}[31m} body: 0A 1B 5B"));
        assert!(shown.ends_with(" ..[31m.. }"));
    }

    #[tokio::test]
    async fn a_batch_is_taken() {
        let cx = build_context(Path::new("/nowhere"), Arc::new(TestClock::at(0)));
        let Ok(mut sink) = (FACTORY.build)(&section(FACTORY.options, "logger \"l\" { max-bytes 3 }"), &cx)
        else {
            panic!("refused")
        };
        sink.deliver(&Batch::new(vec![Event::new("a"), Event::new("")])).await.unwrap();
        sink.close().await.unwrap();
    }
}
