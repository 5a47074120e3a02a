//! `default`: a group of exactly one sink, for configurations that name groups throughout.

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, Section};
use millrace_core::{Batch, BuildContext, DeliveryToken, Member, Sink, SinkError, SinkProcessorFactory};

/// Declares the processor.
pub const FACTORY: SinkProcessorFactory = SinkProcessorFactory {
    name: "default",
    summary: "Passes every batch to its only sink",
    options: &[],
    example: r#"default "only" { sink "lake" }"#,
    build,
};

struct DefaultSinkProcessor {
    member: Member,
}

fn build(
    section: &Section,
    members: Vec<Member>,
    _context: &BuildContext,
) -> Result<Box<dyn Sink>, Diagnostics> {
    let count = members.len();
    match <[Member; 1]>::try_from(members) {
        Ok([member]) => Ok(Box::new(DefaultSinkProcessor { member })),
        Err(_) => Err(Diagnostic::error(
            "sink-group::members",
            section.span(),
            format!("a default group has exactly one sink, this one has {count}"),
        )
        .label("as many sinks")
        .help("use failover or load-balance for several sinks")
        .into()),
    }
}

#[async_trait]
impl Sink for DefaultSinkProcessor {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        self.member.sink.deliver(batch).await
    }

    fn batch_events(&self) -> usize {
        self.member.sink.batch_events()
    }

    fn wants_deliveries_named(&self) -> bool {
        self.member.sink.wants_deliveries_named()
    }

    fn is_two_phase(&self) -> bool {
        self.member.sink.is_two_phase()
    }

    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        self.member.sink.prepare().await
    }

    async fn commit(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.member.sink.commit(tokens).await
    }

    async fn abort(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.member.sink.abort(tokens).await
    }

    async fn recover(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        self.member.sink.recover(tokens).await
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        self.member.sink.idle().await
    }

    fn settled(&mut self, committed: bool) {
        self.member.sink.settled(committed);
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.member.sink.close().await
    }
}
