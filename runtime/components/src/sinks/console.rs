//! `console`: writes events to the standard output of the agent.
//!
//! A batch is one locked write, so that several sinks do not mix their lines. What was written before an error
//! cannot be taken back: the retry repeats it.

use std::{
    io::{self, Write},
    sync::Arc,
};

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Sink, SinkError, SinkFactory};
use parking_lot::Mutex;

use crate::serializers::{APPEND_NEWLINE, Room, Rows, Serializer, serializer_spec};

/// The sink type.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "console",
    summary: "Writes events to the standard output of the agent",
    options: &[
        OptionSpec::with_default(
            "serializer",
            OptionKind::Choice(&["text", "header-and-text", "json"]),
            "text",
            "How events are written: bodies, headers and bodies, JSON lines",
        ),
        APPEND_NEWLINE,
    ],
    open: false,
    example: r#"console "out" channel="fast" { serializer "json" }"#,
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    Ok(Box::new(ConsoleSink::new(serializer_spec(section).open(), io::stdout())))
}

struct ConsoleSink<W> {
    serializer: Box<dyn Serializer>,
    output: Arc<Mutex<W>>,
}

impl<W: Write + Send + 'static> ConsoleSink<W> {
    fn new(serializer: Box<dyn Serializer>, output: W) -> Self {
        Self { serializer, output: Arc::new(Mutex::new(output)) }
    }
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for ConsoleSink<W> {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut bytes = Vec::with_capacity(batch.size() + batch.len());
        let all = 0..batch.len();
        self.serializer
            .append(Rows::new(batch.events(), std::slice::from_ref(&all)), Room::UNLIMITED, &mut bytes)
            .map_err(|error| SinkError::retryable(error.to_string()))?;
        // A terminal or a pipe may block for as long as its reader likes.
        let output = Arc::clone(&self.output);
        let written = tokio::task::spawn_blocking(move || {
            let mut output = output.lock();
            output.write_all(&bytes).and_then(|()| output.flush())
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(SinkError::retryable(format!("cannot write to the standard output: {error}")))
            }
            Err(error) => {
                Err(SinkError::retryable(format!("writing to the standard output was interrupted: {error}")))
            }
        }
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use millrace_core::{Batch, Event, Headers, Retry, Sink};
    use millrace_testkit::section;

    use super::{ConsoleSink, FACTORY};
    use crate::serializers::serializer_spec;

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn written(options: &str) -> String {
        let section = section(FACTORY.options, &format!("console \"c\" {{ {options} }}"));
        let mut sink = ConsoleSink::new(serializer_spec(&section).open(), Vec::new());
        let headers: Headers = [("k".into(), "v".into())].into_iter().collect();
        let batch = Batch::new(vec![Event::with_headers(headers, "a"), Event::new("b")]);
        sink.deliver(&batch).await.unwrap();
        let bytes = sink.output.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_batch_is_written_as_the_serializer_says() {
        assert_eq!(written("").await, "a\nb\n");
        assert_eq!(written("append-newline #false").await, "ab");
        assert_eq!(written("serializer \"header-and-text\"").await, "{k=v} a\n{} b\n");
        assert_eq!(
            written("serializer \"json\"").await,
            "{\"headers\":{\"k\":\"v\"},\"body\":\"a\"}\n{\"headers\":{},\"body\":\"b\"}\n"
        );
    }

    #[tokio::test]
    async fn a_closed_output_is_tried_again() {
        let spec = serializer_spec(&section(FACTORY.options, "console \"c\""));
        let mut sink = ConsoleSink::new(spec.open(), Broken);
        let error = sink.deliver(&Batch::new(vec![Event::new("a")])).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot write to the standard output: broken pipe");
        assert_eq!(error.retry(), Retry::Backoff);
    }
}
