//! `null`: takes events and forgets them. For measuring what stands before it.
//!
//! KDL knows `null` as a value (`#null`), so the name needs quotes there.

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, ByteString, Sink, SinkError, SinkFactory};

/// The sink type.
pub const FACTORY: SinkFactory = SinkFactory {
    name: "null",
    summary: "Takes events and forgets them",
    options: &[OptionSpec::with_default(
        "log-every",
        OptionKind::Integer { min: 0, max: i64::MAX },
        "10000",
        "Number of events after which the count so far is logged; 0: never",
    )],
    open: false,
    example: r#""null" "nowhere" channel="fast" { log-every 1_000_000 }"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let log_every = u64::try_from(section.integer("log-every")).unwrap_or(0);
    Ok(Box::new(NullSink { name: cx.component.clone(), log_every, events: 0 }))
}

struct NullSink {
    name: ByteString,
    log_every: u64,
    events: u64,
}

#[async_trait]
impl Sink for NullSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let before = self.events;
        self.events += batch.len() as u64;
        if let (Some(old), Some(new)) =
            (before.checked_div(self.log_every), self.events.checked_div(self.log_every))
            && old != new
        {
            tracing::info!(sink = %self.name, events = self.events, "null sink");
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use millrace_core::{Batch, Event};
    use millrace_testkit::{TestClock, build_context, section};

    use super::FACTORY;

    #[tokio::test]
    async fn every_batch_is_taken_with_and_without_a_log() {
        let cx = build_context(Path::new("/nowhere"), Arc::new(TestClock::at(0)));
        for kdl in ["\"null\" \"n\"", "\"null\" \"n\" { log-every 0 }", "\"null\" \"n\" { log-every 1 }"] {
            let Ok(mut sink) = (FACTORY.build)(&section(FACTORY.options, kdl), &cx) else { panic!("{kdl}") };
            sink.deliver(&Batch::new(vec![Event::new("a"); 5])).await.unwrap();
            sink.deliver(&Batch::default()).await.unwrap();
            sink.close().await.unwrap();
        }
    }
}
