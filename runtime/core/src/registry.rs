//! All types of components an agent knows. The command line fills one; a test brings its own small set.

use crate::{
    factory::{
        ChannelFactory, InterceptorFactory, SelectorFactory, SinkFactory, SinkProcessorFactory, SourceFactory,
    },
    wiring::WiringRule,
};

/// Lists of factories, by kind.
#[derive(Default)]
pub struct Registry {
    /// Sources.
    pub sources: Vec<SourceFactory>,
    /// Interceptors.
    pub interceptors: Vec<InterceptorFactory>,
    /// Selectors.
    pub selectors: Vec<SelectorFactory>,
    /// Channels.
    pub channels: Vec<ChannelFactory>,
    /// Sinks.
    pub sinks: Vec<SinkFactory>,
    /// Sink processors.
    pub sink_processors: Vec<SinkProcessorFactory>,
    /// What has to hold between components.
    pub rules: Vec<WiringRule>,
}

impl Registry {
    /// The source type of this name.
    pub fn source(&self, name: &str) -> Option<&SourceFactory> {
        self.sources.iter().find(|factory| factory.name == name)
    }

    /// The interceptor type of this name.
    pub fn interceptor(&self, name: &str) -> Option<&InterceptorFactory> {
        self.interceptors.iter().find(|factory| factory.name == name)
    }

    /// The selector type of this name.
    pub fn selector(&self, name: &str) -> Option<&SelectorFactory> {
        self.selectors.iter().find(|factory| factory.name == name)
    }

    /// The channel type of this name.
    pub fn channel(&self, name: &str) -> Option<&ChannelFactory> {
        self.channels.iter().find(|factory| factory.name == name)
    }

    /// The sink type of this name.
    pub fn sink(&self, name: &str) -> Option<&SinkFactory> {
        self.sinks.iter().find(|factory| factory.name == name)
    }

    /// The sink processor type of this name.
    pub fn sink_processor(&self, name: &str) -> Option<&SinkProcessorFactory> {
        self.sink_processors.iter().find(|factory| factory.name == name)
    }
}
