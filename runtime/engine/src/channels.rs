//! The channels that run, and their fill as metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use millrace_core::{ChannelStats, PipelineChannel};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Unit,
};

/// The list that scrapes and status requests read without waiting for a reload.
pub(crate) type ChannelList = Arc<ArcSwap<Vec<PipelineChannel>>>;

/// Reads the fill of every channel at each scrape.
pub(crate) struct ChannelCollector {
    pub(crate) channels: ChannelList,
}

impl std::fmt::Debug for ChannelCollector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ChannelCollector")
    }
}

type Reading = fn(&ChannelStats) -> f64;

const READINGS: [(&str, &str, Option<Unit>, Reading); 5] = [
    ("channel_events", "Events committed and not yet taken for good", None, |stats| stats.events as f64),
    ("channel_events_max", "Largest number of events", None, |stats| stats.events_max as f64),
    ("channel_fill", "Size of the events in a channel", Some(Unit::Bytes), |stats| stats.bytes as f64),
    ("channel_oldest_age", "Age of the oldest event", Some(Unit::Seconds), |stats| {
        stats.oldest_age.map_or(0.0, |age| age.as_secs_f64())
    }),
    ("channel_damaged", "Damaged places set aside since the channel was opened", None, |stats| {
        stats.damaged as f64
    }),
];

impl Collector for ChannelCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let channels = self.channels.load_full();
        let stats: Vec<_> =
            channels.iter().map(|channel| (channel.name.to_string(), channel.channel.stats())).collect();
        for (name, help, unit, reading) in READINGS {
            let gauge = ConstGauge::new(0.0_f64);
            let mut metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), EncodeMetric::metric_type(&gauge))?;
            for (channel, stats) in &stats {
                let labels = [("component", channel.as_str())];
                ConstGauge::new(reading(stats)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
