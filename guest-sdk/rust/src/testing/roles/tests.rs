//! Plugins that break a rule of the interface, and what the calls of tests say about that.

use super::*;
use crate::testing::{self, Host};
use crate::{Batch, Cut, Events, Instance, NoConfig, Snapshot, clock, http, state};

/// Does in each call what the test wants.
struct Odd {
    calls: Box<dyn FnMut(&mut Polled)>,
    outcome: Outcome,
    saved: Vec<u8>,
}

fn odd() -> Odd {
    Odd { calls: Box::new(|_| ()), outcome: Outcome::delivered(), saved: Vec::new() }
}

impl Source for Odd {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        let reached = [state::get("k").is_ok(), http::Request::get("http://a/").send().is_ok()];
        if reached == [false, false] { Ok(odd()) } else { Err(vec![Issue::new("", "not denied")]) }
    }

    fn open(&mut self, position: Option<&[u8]>) -> Result<(), Failure> {
        position.map_or(Ok(()), |_| Err(Failure::Retry(None)))
    }

    fn poll(&mut self, _: Limits) -> Result<Polled, Failure> {
        let mut polled = Polled { pace: Pace::End, ..Polled::default() };
        (self.calls)(&mut polled);
        Ok(polled)
    }
}

impl Sink for Odd {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(odd())
    }

    fn deliver(&mut self, _: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        state::set("last", delivery.id.as_bytes())?;
        if delivery.attempt == 1 { Ok(self.outcome.clone()) } else { Err(Failure::Retry(None)) }
    }
}

impl Codec for Odd {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(odd())
    }

    fn frame(&mut self, bytes: &[u8], _: bool) -> Result<Cut, Failure> {
        let mut cut = Cut::default();
        // The byte `!` promises a frame that is longer than what is there.
        bytes.iter().for_each(|byte| cut.push(if *byte == b'!' { 9 } else { 1 }));
        Ok(cut)
    }

    fn decode(&mut self, frame: &[u8], events: &mut Events) -> Result<(), String> {
        events.push(frame).header("k", "v");
        events.push(frame);
        if frame == b"x" { Err("x".into()) } else { Ok(()) }
    }

    fn encode(&mut self, _: &Batch, frames: &mut Packed) -> Result<(), Failure> {
        frames.push(b"only one");
        Ok(())
    }
}

impl Handover for Odd {
    fn save(&mut self) -> Result<Snapshot, String> {
        Ok(Snapshot::new("odd", 1, self.saved.clone()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        self.saved = snapshot.expect("odd", 1)?;
        if self.saved.is_empty() { Err("nothing was saved".into()) } else { Ok(()) }
    }
}

const LIMITS: Limits = Limits { events_max: 2, bytes_max: 10 };

#[test]
fn configure_reaches_neither_the_state_nor_the_network() {
    let host = Host::new();
    host.on_http(|_| Ok(http::Response::new(200)));
    assert!(testing::configure_source::<Odd>("{}").is_ok());
    assert_eq!(host.requests(), []);
}

#[test]
fn an_answer_over_the_limits_is_fatal() {
    let mut source = odd();
    source.calls = Box::new(|polled| {
        (0..3).for_each(|_| {
            polled.events.push(b"");
        })
    });
    let reason = "3 events, asked for at most 2".to_owned();
    assert_eq!(poll(&mut source, LIMITS), Err(Failure::Fatal(reason)));
    source.calls = Box::new(|polled| polled.position = Some(vec![0; (64 << 10) + 1]));
    let reason = "a position of 65537 bytes; 65536 are allowed".to_owned();
    assert_eq!(poll(&mut source, LIMITS), Err(Failure::Fatal(reason)));
}

#[test]
fn a_source_that_does_not_open_is_not_asked() {
    assert_eq!(read(&mut odd(), Some(b""), LIMITS), Err(Failure::Retry(None)));
    assert_eq!(read(&mut odd(), None, LIMITS).unwrap(), Read { pace: Pace::End, ..Read::default() });
}

#[test]
fn an_outcome_names_rows_that_are_there() {
    let _host = Host::new();
    let mut sink = odd();
    sink.outcome.reject(1, "why");
    assert_eq!(deliver(&mut sink, "a", vec![Event::new(""), Event::new("")]), Ok(sink.outcome.clone()));
    let reason = "row 1 is out of range".to_owned();
    assert_eq!(deliver(&mut sink, "a", vec![Event::new("")]), Err(Failure::Fatal(reason)));
}

#[test]
fn a_call_that_fails_writes_nothing() {
    let host = Host::new();
    let again = Delivery { id: "a".into(), attempt: 2 };
    assert_eq!(deliver_again(&mut odd(), &again, vec![Event::new("")]), Err(Failure::Retry(None)));
    assert_eq!(host.state(), []);
    assert_eq!(deliver(&mut odd(), "a", vec![Event::new("")]), Ok(Outcome::delivered()));
    assert_eq!(host.state(), [("last".to_owned(), b"a".to_vec())]);
}

#[test]
fn the_events_of_a_refused_frame_are_taken_back() {
    let frames: Packed = ["a", "x", "b"].into_iter().collect();
    let events = |body: &str| Ok(vec![Event::new(body).with_header("k", "v"), Event::new(body)]);
    assert_eq!(decode(&mut odd(), &frames).unwrap(), [events("a"), Err("x".to_owned()), events("b")]);
    assert_eq!(decode_stream(&mut odd(), b"ab", 1).unwrap(), [events("a"), events("b")]);
    let reason = "a frame ends at 10, behind 2".to_owned();
    assert_eq!(decode_stream(&mut odd(), b"a!", 9), Err(Failure::Fatal(reason)));
    let reason = "2 events, 1 byte strings".to_owned();
    assert_eq!(encode(&mut odd(), vec![Event::new(""), Event::new("")]), Err(Failure::Fatal(reason)));
}

#[test]
fn what_is_handed_over_arrives_or_is_refused() {
    let mut from = odd();
    let mut to = odd();
    assert_eq!(hand_over(&mut from, &mut to).unwrap_err(), "nothing was saved");
    from.saved = vec![7];
    hand_over(&mut from, &mut to).unwrap();
    assert_eq!(to.saved, [7]);
}

#[test]
fn the_clock_stands_still_until_it_is_moved() {
    let host = Host::new();
    let start = clock::now();
    assert_eq!(start.as_secs(), 1_767_225_600);
    assert_eq!(u128::from(batch(vec![Event::new("")]).formed_at()), start.as_nanos());
    host.advance(std::time::Duration::from_millis(5));
    assert_eq!((clock::now() - start).as_millis(), 5);
    assert_eq!(clock::monotonic().as_millis(), 5);
}
