//! Which part of a batch goes to which channel.

use crate::{
    batch::{Batch, Destination},
    dead_letter::Rejection,
    error::ProcessError,
    event::Event,
    selector::Route,
};

use super::{Pipeline, PipelineChannel};

/// What one channel gets.
pub(super) struct Part<'a> {
    pub(super) target: &'a PipelineChannel,
    pub(super) batch: Batch,
    /// Holds position or state, so it may become durable only after all others.
    pub(super) commit_last: bool,
}

/// A batch by channels, in the order in which room is reserved.
pub(super) struct Routed<'a> {
    pub(super) required: Vec<Part<'a>>,
    pub(super) optional: Vec<Part<'a>>,
    pub(super) unrouted: u64,
}

/// Asks the selector and follows interceptors' own wishes.
pub(super) fn route<'a>(
    pipeline: &'a Pipeline,
    batch: &Batch,
    dead_letter: impl Fn(Event, &Rejection) -> Event,
) -> Result<Routed<'a>, ProcessError> {
    let mut required = Collected::new(pipeline.channels.len());
    let mut optional = Collected::new(pipeline.channels.len());
    let mut unrouted = 0;
    match routes(pipeline, batch) {
        Routes::Common(route) => {
            if route == Route::default() {
                unrouted = batch.len() as u64;
            }
            route.required.iter().for_each(|&channel| required.whole(channel, batch));
            route.optional.iter().for_each(|&channel| optional.whole(channel, batch));
        }
        Routes::Each(routes) => {
            for (event, route) in batch.iter().zip(routes) {
                if route == Route::default() {
                    unrouted += 1;
                }
                route.required.iter().for_each(|&channel| required.one(channel, event));
                route.optional.iter().for_each(|&channel| optional.one(channel, event));
            }
        }
    }
    let mut rejected = Vec::new();
    for diverted in batch.diverted() {
        match &diverted.destination {
            Destination::Channel(name) => {
                let at = pipeline.channels.iter().position(|channel| channel.name == *name);
                required.one(at.ok_or_else(|| ProcessError::NoChannel(name.to_string()))?, &diverted.event);
            }
            Destination::DeadLetter(rejection) => {
                rejected.push(dead_letter(diverted.event.clone(), rejection))
            }
        }
    }
    let mut parts = required.into_parts(pipeline);
    attach_position(pipeline, batch, &mut parts);
    if !rejected.is_empty() {
        let target =
            pipeline.dead_letter.as_ref().ok_or_else(|| ProcessError::NoChannel("dead-letter".into()))?;
        parts.push(Part { target, batch: Batch::new(rejected), commit_last: false });
    }
    Ok(Routed { required: parts, optional: optional.into_parts(pipeline), unrouted })
}

/// The routes of a batch.
enum Routes<'a> {
    /// All events share this one.
    Common(Route<'a>),
    /// One for each event.
    Each(Vec<Route<'a>>),
}

/// Asks the selector once for each event: a selector that takes turns would notice being asked twice.
fn routes<'a>(pipeline: &'a Pipeline, batch: &Batch) -> Routes<'a> {
    if batch.is_empty() {
        return Routes::Common(Route::default());
    }
    if let Some(route) = pipeline.selector.uniform() {
        return Routes::Common(route);
    }
    let routes: Vec<Route<'a>> = batch.iter().map(|event| pipeline.selector.select(event)).collect();
    match routes.first() {
        Some(first) if routes.iter().all(|route| route == first) => Routes::Common(*first),
        _ => Routes::Each(routes),
    }
}

/// Hands position and state to their home, adding an empty part where no event goes there.
fn attach_position<'a>(pipeline: &'a Pipeline, batch: &Batch, parts: &mut Vec<Part<'a>>) {
    let home = pipeline.position_home.and_then(|home| pipeline.channels.get(home));
    let Some(home) = home.filter(|_| batch.position().is_some() || !batch.states().is_empty()) else {
        return;
    };
    let at = parts.iter().position(|part| part.target.name == home.name).unwrap_or_else(|| {
        let at = parts
            .iter()
            .position(|part| place(pipeline, part) > place_of(pipeline, home))
            .unwrap_or(parts.len());
        parts.insert(at, Part { target: home, batch: Batch::default(), commit_last: false });
        at
    });
    if let Some(part) = parts.get_mut(at) {
        part.commit_last = true;
        part.batch = std::mem::take(&mut part.batch).with_states(batch.states());
        if let Some(position) = batch.position() {
            part.batch = std::mem::take(&mut part.batch).with_position(position.clone());
        }
    }
}

fn place(pipeline: &Pipeline, part: &Part<'_>) -> usize {
    place_of(pipeline, part.target)
}

fn place_of(pipeline: &Pipeline, target: &PipelineChannel) -> usize {
    pipeline.channels.iter().position(|channel| channel.name == target.name).unwrap_or(usize::MAX)
}

/// Events by channel: the whole batch, shared, or a list.
struct Collected {
    by_channel: Vec<Option<Collection>>,
}

enum Collection {
    Whole(Batch),
    List(Vec<Event>),
}

impl Collected {
    fn new(channels: usize) -> Self {
        Self { by_channel: (0..channels).map(|_| None).collect() }
    }

    fn whole(&mut self, channel: usize, batch: &Batch) {
        if let Some(place) = self.by_channel.get_mut(channel) {
            *place = Some(Collection::Whole(batch.part(0..batch.len())));
        }
    }

    fn one(&mut self, channel: usize, event: &Event) {
        let Some(place) = self.by_channel.get_mut(channel) else { return };
        let mut list = match place.take() {
            Some(Collection::Whole(batch)) => batch.into_events(),
            Some(Collection::List(list)) => list,
            None => Vec::new(),
        };
        list.push(event.clone());
        *place = Some(Collection::List(list));
    }

    fn into_parts(self, pipeline: &Pipeline) -> Vec<Part<'_>> {
        let collections = pipeline.channels.iter().zip(self.by_channel);
        collections
            .filter_map(|(target, collection)| {
                let batch = match collection? {
                    Collection::Whole(batch) => batch,
                    Collection::List(list) => Batch::new(list),
                };
                Some(Part { target, batch, commit_last: false })
            })
            .collect()
    }
}
