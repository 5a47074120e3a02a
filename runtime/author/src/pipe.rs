//! Lines through one plugin: what comes out, and what became of the rest.

use std::path::Path;

use millrace_config::Diagnostics;
use millrace_core::{Batch, Destination, Event, Headers, Interceptor};

use crate::{
    error::BuildError,
    rig::{Around, Rig},
};

/// A plugin that lines go through.
pub struct Pipe {
    interceptor: Box<dyn Interceptor>,
    headers: Headers,
    // Its folder goes with it.
    _rig: Rig,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Piped {
    /// What came out.
    pub out: Vec<Event>,
    /// What did not, each with the reason.
    pub aside: Vec<(Event, String)>,
    /// Events that the plugin dropped, as far as they can be told apart: of a batch of one.
    pub dropped: Vec<Event>,
}

impl Pipe {
    /// Loads and configures the plugin; every event gets these headers.
    ///
    /// # Errors
    /// What `millrace check` would say.
    pub fn open(
        rig: Rig,
        path: &Path,
        around: &Around,
        headers: &[(String, String)],
    ) -> Result<Self, Diagnostics> {
        let interceptor = rig.interceptor(path, around)?;
        let mut all = Headers::default();
        for (name, value) in headers {
            all.set(name.as_str().into(), value.as_str().into());
        }
        Ok(Self { interceptor, headers: all, _rig: rig })
    }

    /// One batch of lines.
    ///
    /// # Errors
    /// The plugin does not take it.
    pub async fn pass(&self, lines: Vec<Vec<u8>>) -> Result<Piped, BuildError> {
        let events: Vec<Event> =
            lines.into_iter().map(|line| Event::with_headers(self.headers.clone(), line)).collect();
        let single = match events.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        let batch = self.interceptor.intercept(Batch::new(events)).await;
        let batch = batch.map_err(|error| BuildError::Project(error.source.to_string()))?;
        let mut piped = Piped::default();
        for diverted in batch.diverted() {
            let why = match &diverted.destination {
                Destination::Channel(name) => format!("routed to {name}"),
                Destination::DeadLetter(rejection) => format!("rejected: {}", rejection.reason),
            };
            piped.aside.push((diverted.event.clone(), why));
        }
        piped.out = batch.into_events();
        if piped.out.is_empty() && piped.aside.is_empty() {
            piped.dropped.extend(single);
        }
        Ok(piped)
    }

    /// Ends the plugin.
    pub async fn close(self) {
        self.interceptor.close().await;
    }
}
