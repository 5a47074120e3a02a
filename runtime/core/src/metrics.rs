//! Counters of the agent in OpenMetrics form. They outlive reloads: a component that comes back under the same
//! name goes on counting.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

/// The label of every component counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// The component's name.
    pub component: String,
}

type Counters = Family<Labels, Counter>;

macro_rules! component_metrics {
    ($(#[$doc:meta])* $name:ident, $families:ident, $prefix:literal { $($(#[$field_doc:meta])* $field:ident: $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: Counter,)*
        }

        #[derive(Debug, Clone, Default)]
        struct $families {
            $($field: Counters,)*
        }

        impl $families {
            fn register(&self, registry: &mut Registry) {
                $(registry.register(concat!($prefix, stringify!($field)), $help, self.$field.clone());)*
            }

            fn of(&self, component: &str) -> $name {
                let labels = Labels { component: component.to_owned() };
                $name { $($field: self.$field.get_or_create_owned(&labels),)* }
            }
        }
    };
}

component_metrics! {
    /// Counters of a source.
    SourceMetrics, SourceFamilies, "source_" {
        /// Events handed to the channel processor.
        events_received: "Events a source handed on, before interceptors",
        /// Events the channels took.
        events_accepted: "Events that all required channels committed",
        /// Bytes of those.
        bytes_accepted: "Bytes of the events that all required channels committed",
        /// Batches.
        batches: "Batches committed",
        /// Attempts that ended in an error.
        put_failures: "Attempts to put a batch that failed and were rolled back",
        /// Events that no channel wanted.
        events_unrouted: "Events for which the selector named no channel",
        /// Commits of which only a part succeeded.
        partial_commits: "Batches committed to some but not all required channels; their retry repeats events",
        /// Puts into optional channels that failed.
        optional_failures: "Puts into optional channels that failed",
        /// Events dropped because the producer cannot be held back.
        events_dropped: "Events dropped because the protocol cannot hold the producer back",
        /// Events that could not be read.
        read_failures: "Failures to read or decode what a producer sent",
    }
}

component_metrics! {
    /// Counters of an interceptor.
    InterceptorMetrics, InterceptorFamilies, "interceptor_" {
        /// Events in.
        events_in: "Events an interceptor was given",
        /// Events out.
        events_out: "Events an interceptor passed on",
        /// Events sent to the dead-letter channel.
        events_rejected: "Events an interceptor sent to the dead-letter channel",
        /// Values left out.
        values_unreadable: "Values an interceptor could not read and left out of the headers, such as dates",
        /// Time spent.
        nanos: "Nanoseconds spent intercepting",
    }
}

component_metrics! {
    /// Counters of a sink.
    SinkMetrics, SinkFamilies, "sink_" {
        /// Events delivered.
        events_delivered: "Events delivered and committed",
        /// Bytes of those.
        bytes_delivered: "Bytes of the events delivered and committed",
        /// Batches.
        batches: "Batches delivered and committed",
        /// Failed attempts.
        delivery_failures: "Attempts to deliver a batch that failed and were rolled back",
        /// Events sent to the dead-letter channel.
        events_rejected: "Events sent to the dead-letter channel",
    }
}

component_metrics! {
    /// Counters of a channel.
    ChannelMetrics, ChannelFamilies, "channel_" {
        /// Events put.
        put_events: "Events committed into a channel",
        /// Events taken.
        take_events: "Events taken from a channel for good",
        /// Events rolled back.
        rollback_events: "Events returned to the head of a channel",
        /// Times a put found no room.
        full: "Puts that found no room in time",
        /// Events that went to disk for want of memory.
        spilled_events: "Events that a spillable channel put on disk",
    }
}

#[derive(Debug, Default)]
struct Families {
    sources: SourceFamilies,
    interceptors: InterceptorFamilies,
    sinks: SinkFamilies,
    channels: ChannelFamilies,
    generation: Gauge,
    reloads: Counter,
    reloads_refused: Counter,
}

/// All metrics of an agent. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    families: Arc<Families>,
    /// What kinds of components registered for all of their kind.
    shared: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let families = Families::default();
        let mut registry = Registry::with_prefix("millrace");
        families.sources.register(&mut registry);
        families.interceptors.register(&mut registry);
        families.sinks.register(&mut registry);
        families.channels.register(&mut registry);
        registry.register(
            "generation",
            "Number of the running plan; goes up with each reload",
            families.generation.clone(),
        );
        registry.register("reloads", "Reloads that were applied", families.reloads.clone());
        registry.register(
            "reloads_refused",
            "Reloads that were refused; the old plan runs on",
            families.reloads_refused.clone(),
        );
        Self {
            registry: Arc::new(Mutex::new(registry)),
            families: Arc::new(families),
            shared: Arc::default(),
        }
    }
}

impl Metrics {
    /// The counters of a source.
    pub fn source(&self, component: &str) -> SourceMetrics {
        self.families.sources.of(component)
    }

    /// The counters of an interceptor.
    pub fn interceptor(&self, component: &str) -> InterceptorMetrics {
        self.families.interceptors.of(component)
    }

    /// The counters of a sink or sink group.
    pub fn sink(&self, component: &str) -> SinkMetrics {
        self.families.sinks.of(component)
    }

    /// The counters of a channel.
    pub fn channel(&self, component: &str) -> ChannelMetrics {
        self.families.channels.of(component)
    }

    /// The number of the running plan.
    pub fn generation(&self) -> &Gauge {
        &self.families.generation
    }

    /// Reloads applied.
    pub fn reloads(&self) -> &Counter {
        &self.families.reloads
    }

    /// Reloads refused.
    pub fn reloads_refused(&self) -> &Counter {
        &self.families.reloads_refused
    }

    /// Adds a metric of a component's own; the name gets the prefix `millrace_`. Register a name once.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric);
    }

    /// What all components of a kind count with: made and registered by the first of them, the same for the others.
    pub fn once<T: Clone + Send + 'static>(&self, register: impl FnOnce(&Self) -> T) -> T {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&TypeId::of::<T>()).and_then(|known| known.downcast_ref::<T>()) {
            return known.clone();
        }
        let made = register(self);
        shared.insert(TypeId::of::<T>(), Box::new(made.clone()));
        made
    }

    /// Adds something that is read at every scrape.
    pub fn register_collector(&self, collector: Box<dyn Collector>) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register_collector(collector);
    }

    /// Everything as OpenMetrics text.
    ///
    /// # Errors
    /// A metric's own encoder failed.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}
