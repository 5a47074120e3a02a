//! `kafka`: sends events to topics, and settles each of them on its own.
//!
//! | what becomes of a record | what becomes of its event |
//! |---|---|
//! | the broker has it, with as many copies as `acks` asks for | it is delivered |
//! | too large, a topic or partition that cannot be, invalid | it goes to the dead-letter channel, alone |
//! | its own header chose a topic that is unknown or forbidden | likewise: others need not wait for it |
//! | anything else: brokers away, the topic of the configuration unknown or forbidden | it comes again, without those that are delivered |
//!
//! A broker refuses records together that came together. Then they are sent again in halves until the one is found.
//!
//! With `transactional-id` a batch is a transaction: readers that read what is committed see all of it or nothing, but a commit whose
//! answer was lost in a crash is repeated with the batch. Calls about transactions block and run on threads for that.
//!
//! With `offsets-of` such a transaction holds the offsets of the sources its events come from, too, and a lost answer is looked up:
//! each event is written once, as seen by readers of what is committed. A record that can never be sent becomes a dead letter before
//! offsets pass it (at least once); the rest of its batch follows. See the source for what that takes.
//!
//! Differences from Flume's sink: `acks` is `all` and the producer idempotent; an event's header chooses its topic only where
//! `topic-header` names one (a `kafka` source sets `topic`: such a sink would write where that source reads); a record that can
//! never be sent does not hold the others up; keys are placed as the Java client places them.

mod offsets;
pub(crate) mod outgoing;
pub(crate) mod settings;
pub(crate) mod transaction;

use std::sync::Arc;

use async_trait::async_trait;
use millrace_components::escape::{self, Expander};
use millrace_config::{Diagnostics, Section};
use millrace_core::{Batch, BuildContext, Clock, Refusal, Sink, SinkError, SinkFactory};
use rdkafka::error::RDKafkaErrorCode;

use self::{offsets::Offsets, outgoing::Prepared, settings::Settings};
use crate::{
    connection::{told, told_error},
    metrics::KafkaMetrics,
    producer::{Failed, Sender, is_final, is_too_large},
};

/// Declares `kafka`.
pub(crate) const FACTORY: SinkFactory = SinkFactory {
    name: "kafka",
    summary: "Sends events to topics of Kafka",
    options: settings::OPTIONS,
    open: false,
    example: r#"kafka "orders" channel="durable" {
    bootstrap-servers "kafka-1:9092" "kafka-2:9092"
    topic "logs-%{app}"
    compression "zstd"
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Sink>, Diagnostics> {
    let settings = Settings::new(section, cx)?;
    let expander = Expander::new(settings.templates(), settings.time_rule.clone());
    let sources: Vec<String> = section.texts("offsets-of").iter().map(|name| name.value.clone()).collect();
    Ok(Box::new(KafkaSink {
        offsets: (!sources.is_empty()).then(|| Offsets::new(&cx.agent, sources)),
        lacks_host_names: expander.uses_host_names(),
        expander,
        settings: Arc::new(settings),
        component: cx.component.clone(),
        metrics: KafkaMetrics::new(&cx.metrics, &cx.component),
        clock: Arc::clone(&cx.clock),
        sender: None,
    }))
}

struct KafkaSink {
    settings: Arc<Settings>,
    expander: Expander,
    /// Whether the resolver has still to be asked for names of this machine.
    lacks_host_names: bool,
    component: bytestring::ByteString,
    metrics: KafkaMetrics,
    clock: Arc<dyn Clock>,
    /// Made with the first batch, and anew when it can go on no more.
    sender: Option<Sender>,
    /// Of sources; None: these commit them themselves.
    offsets: Option<Offsets>,
}

#[async_trait]
impl Sink for KafkaSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if self.lacks_host_names {
            // Should this fail, they are looked up in place.
            drop(tokio::task::spawn_blocking(escape::look_up_host_names).await);
            self.lacks_host_names = false;
        }
        let settings = Arc::clone(&self.settings);
        let mut refusals = Vec::new();
        let load = self.offsets.is_some().then(|| self.load(batch));
        let clean = load.as_ref().and_then(|_| offsets::without_places(&settings, batch));
        let batch = clean.as_ref().unwrap_or(batch);
        let prepared = Prepared::new(&settings, &mut self.expander, batch, self.clock.now(), &mut refusals);
        let sender = self.sender().await?;
        let outcome = if let Some(load) = load {
            self.deliver_with_offsets(&sender, &prepared, refusals, load).await
        } else if self.settings.transactional_id.is_some() {
            self.deliver_in_transaction(&sender, &prepared, refusals).await
        } else {
            Ok(self.deliver_rows(&sender, &prepared, refusals).await)
        };
        if outcome.is_ok() || self.settings.transactional_id.is_none() {
            self.keep(sender).await;
        } else {
            // Where a transaction stands is in doubt: the next client with its id settles that first.
            sender.close().await;
        }
        outcome?.into_result()
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        self.commit_offsets_left().await
    }

    fn settled(&mut self, committed: bool) {
        if let Some(offsets) = &mut self.offsets {
            let orphans = offsets.settled(committed);
            self.metrics.events_given_back.inc_by(orphans);
        }
    }

    async fn close(mut self: Box<Self>) -> Result<(), SinkError> {
        if let Some(sender) = self.sender.take() {
            sender.close().await;
        }
        Ok(())
    }
}

/// What became of a batch.
#[derive(Default)]
struct Outcome {
    refusals: Vec<Refusal>,
    again: Vec<usize>,
    /// Why rows come again.
    reason: Option<String>,
}

impl Outcome {
    fn into_result(mut self) -> Result<(), SinkError> {
        self.refusals.sort_by_key(|refusal| refusal.row);
        self.again.sort_unstable();
        if let Some(reason) = &self.reason {
            tracing::warn!(reason, events = self.again.len(), "records not delivered");
        }
        match (self.refusals.is_empty(), self.again.is_empty(), self.reason) {
            (true, true, _) => Ok(()),
            (_, true, _) => Err(SinkError::refused(self.refusals)),
            (..) => Err(SinkError::Partial { refusals: self.refusals, again: self.again, after: None }),
        }
    }
}

impl KafkaSink {
    /// The client; made where there is none.
    async fn sender(&mut self) -> Result<Sender, SinkError> {
        if let Some(sender) = self.sender.take() {
            return Ok(sender);
        }
        let sender = Sender::new(&self.settings.config, &self.component, &self.metrics)
            .map_err(|error| SinkError::retryable(format!("no producer: {}", told_error(&error))))?;
        if self.settings.transactional_id.is_some() {
            return transaction::initialised(sender).await;
        }
        Ok(sender)
    }

    /// Keeps a client, unless it can go on no more: then the next attempt makes another one.
    async fn keep(&mut self, sender: Sender) {
        match sender.fatal() {
            Some(reason) => {
                tracing::warn!(sink = %self.component, reason, "the producer can go on no more, making another one");
                sender.close().await;
            }
            None => self.sender = Some(sender),
        }
    }

    /// Sends all rows; rows that were refused for company are sent again in halves.
    async fn deliver_rows(
        &self,
        sender: &Sender,
        prepared: &Prepared<'_>,
        refusals: Vec<Refusal>,
    ) -> Outcome {
        let mut outcome = Outcome { refusals, ..Outcome::default() };
        let mut portions = vec![prepared.rows()];
        while let Some(portion) = portions.pop() {
            if portion.is_empty() {
                continue;
            }
            let alone = portion.len() == 1;
            let failed = sender.send(prepared.records(&portion)).await;
            let mut together = Vec::new();
            for failed in failed {
                match failed.code {
                    code if is_too_large(code) && !alone && prepared.fits(failed.row, &self.settings) => {
                        together.push(failed.row);
                    }
                    _ => self.judge(sender, prepared, failed, &mut outcome),
                }
            }
            if !together.is_empty() {
                let (first, second) = together.split_at(together.len() / 2);
                portions.push(second.to_vec());
                portions.push(first.to_vec());
            }
        }
        outcome
    }

    /// Decides about a row that was not delivered.
    fn judge(&self, sender: &Sender, prepared: &Prepared<'_>, failed: Failed, outcome: &mut Outcome) {
        let Failed { row, code } = failed;
        let topic = prepared.topic(row);
        let reason = format!("topic {topic}: {}", told(code));
        if is_final(code) || (prepared.chose_its_topic(row) && is_about_topic(code)) {
            let bytes = prepared.value_bytes(row);
            let reason = if is_too_large(code) { format!("{reason}: {bytes} bytes") } else { reason };
            outcome.refusals.push(Refusal { row, reason });
        } else {
            outcome.again.push(row);
            outcome.reason.get_or_insert_with(|| sender.deliveries().voice.explain(&reason));
        }
    }
}

/// Errors that another topic would not have.
fn is_about_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::TopicAuthorizationFailed
    )
}
