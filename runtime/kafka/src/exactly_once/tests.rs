use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytestring::ByteString;
use millrace_core::{Batch, Destination, Event, Rejection};

use super::{Freight, Journey, Ledger, Position, Standing, read_stamp};
use crate::{marks::Marks, record::PLACE, records::Place};

fn ledger(partitions: &[i32]) -> Arc<Ledger> {
    let ledger = Ledger::new("agent".into(), "in".into());
    assign(&ledger, partitions);
    ledger
}

fn named(partitions: &[i32]) -> Vec<(ByteString, i32)> {
    partitions.iter().map(|partition| ("t".into(), *partition)).collect()
}

fn assign(ledger: &Ledger, partitions: &[i32]) {
    ledger.assigned(&named(partitions));
    for partition in partitions {
        begin(ledger, *partition, (0, 0));
    }
}

/// The group's offset in a partition, as the broker would tell it.
fn begin(ledger: &Ledger, partition: i32, (offset, part): (i64, u32)) {
    let mut queue = ledger.queue.lock();
    let tenure = queue.tenure("t", partition).unwrap();
    queue.begin(tenure, Position { offset, part });
}

/// Records as (partition, offset) on their way, and a batch with an event of each.
fn depart(ledger: &Ledger, records: &[(i32, i64)]) -> (Journey, Batch) {
    let mut marks = Marks::default();
    let (mut places, mut events) = (Vec::new(), Vec::new());
    for (row, (partition, offset)) in records.iter().enumerate() {
        marks.note(&"t".into(), *partition, offset + 1);
        places.push(Place { topic: "t".into(), partition: *partition, offset: *offset });
        let headers = [(ByteString::from_static(PLACE), row.to_string().into())];
        events.push(Event::with_headers(headers.into_iter().collect(), format!("{partition}/{offset}")));
    }
    (ledger.depart(&places, &marks), Batch::new(events))
}

fn bodies(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|event| std::str::from_utf8(&event.body).unwrap()).collect()
}

fn serials(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|event| read_stamp(event).unwrap().1).collect()
}

/// The offsets that a transaction of these events would hold, as (partition, offset, events of the record there).
fn offsets(ledger: &Ledger, serials: &[u64]) -> Option<Vec<(i32, i64, u32)>> {
    let queue = ledger.queue.lock();
    let mut found: Vec<_> = queue
        .positions(serials)?
        .into_iter()
        .map(|(tenure, position)| (queue.holding(tenure).unwrap().partition, position.offset, position.part))
        .collect();
    found.sort_unstable();
    Some(found)
}

/// A transaction of these events is committed.
fn commit(ledger: &Ledger, serials: &[u64]) {
    let mut queue = ledger.queue.lock();
    let positions = queue.positions(serials).unwrap();
    queue.committed(serials, &positions);
}

fn is_settled(ledger: &Ledger) -> bool {
    ledger.wait_until_settled(None, Instant::now())
}

#[test]
fn a_part_of_a_batch_takes_the_offsets_of_its_own_events_along() {
    let ledger = ledger(&[0, 1]);
    let (journey, batch) = depart(&ledger, &[(0, 10), (0, 11), (1, 5), (0, 14), (1, 6)]);
    let (batch, given_back) = ledger.stamp(batch, &journey);
    assert_eq!((serials(&batch), given_back), (vec![0, 1, 2, 3, 4], 0));
    assert_eq!(offsets(&ledger, &[0]), Some(vec![(0, 11, 0)]));
    // The gap between 11 and 14 (a marker of a transaction) is passed with 11.
    assert_eq!(offsets(&ledger, &[0, 1, 2]), Some(vec![(0, 14, 0), (1, 6, 0)]));
    // What is before and not among them holds its partition back.
    assert_eq!(offsets(&ledger, &[1, 2]), Some(vec![(1, 6, 0)]));
    commit(&ledger, &[0, 1, 2]);
    assert!(!is_settled(&ledger));
    assert_eq!(offsets(&ledger, &[2, 3]), None, "an event is committed once");
    commit(&ledger, &[3, 4]);
    assert!(is_settled(&ledger));
    assert_eq!(offsets(&ledger, &[]), Some(vec![]));
}

#[test]
fn what_interceptors_drop_is_passed_by_what_follows_and_at_the_end_without_any_event() {
    let ledger = ledger(&[0, 1]);
    let (journey, batch) = depart(&ledger, &[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]);
    let kept = batch.retain(|event| event.body != "0/1" && event.body != "0/2" && event.body != "1/0");
    let (batch, _) = ledger.stamp(kept, &journey);
    assert_eq!(bodies(&batch), ["0/0", "1/1"]);
    assert_eq!(offsets(&ledger, &[0, 1]), Some(vec![(0, 3, 0), (1, 2, 0)]));
    // A batch of which nothing is left may not overtake the one before.
    let (journey, batch) = depart(&ledger, &[(0, 3), (1, 2)]);
    let (nothing, _) = ledger.stamp(batch.retain(|_| false), &journey);
    assert!(nothing.is_empty());
    assert_eq!(offsets(&ledger, &[]), Some(vec![]));
    assert_eq!(offsets(&ledger, &[0, 1]), Some(vec![(0, 4, 0), (1, 3, 0)]));
    commit(&ledger, &[0, 1]);
    assert!(is_settled(&ledger));
    let (journey, batch) = depart(&ledger, &[(0, 4)]);
    ledger.stamp(batch.retain(|_| false), &journey);
    assert!(ledger.has_offsets_left() && !is_settled(&ledger));
    assert_eq!(offsets(&ledger, &[]), Some(vec![(0, 5, 0)]));
    commit(&ledger, &[]);
    assert!(is_settled(&ledger) && !ledger.has_offsets_left());
}

#[test]
fn a_record_that_was_split_is_committed_in_parts_and_goes_on_behind_them() {
    let ledger = ledger(&[0]);
    let split = |batch: Batch| {
        let thrice = |event: Event| [event.clone(), event.clone(), event];
        batch.map_events(|events| events.into_iter().flat_map(thrice).collect())
    };
    let (journey, batch) = depart(&ledger, &[(0, 7), (0, 8)]);
    let (batch, _) = ledger.stamp(split(batch), &journey);
    assert_eq!(serials(&batch), [0, 1, 2, 3, 4, 5]);
    assert_eq!(offsets(&ledger, &[0]), Some(vec![(0, 7, 1)]));
    assert_eq!(offsets(&ledger, &[0, 1]), Some(vec![(0, 7, 2)]));
    assert_eq!(offsets(&ledger, &[0, 1, 2]), Some(vec![(0, 8, 0)]));
    assert_eq!(offsets(&ledger, &[0, 1, 2, 3, 4, 5]), Some(vec![(0, 9, 0)]));

    // Another consumer begins where the first one was ended in the middle of a record.
    let next = Ledger::new("agent".into(), "in".into());
    next.assigned(&named(&[0]));
    begin(&next, 0, (7, 2));
    let (journey, batch) = depart(&next, &[(0, 7), (0, 8)]);
    let (batch, given_back) = next.stamp(split(batch), &journey);
    assert_eq!((bodies(&batch), given_back), (vec!["0/7", "0/8", "0/8", "0/8"], 0));
    assert_eq!(offsets(&next, &[0]), Some(vec![(0, 8, 0)]));
    assert_eq!(offsets(&next, &[0, 1, 2]), Some(vec![(0, 8, 2)]));
}

#[test]
fn events_without_the_header_count_to_the_one_before_and_order_is_restored() {
    let ledger = ledger(&[0]);
    let (journey, batch) = depart(&ledger, &[(0, 0), (0, 1), (0, 2)]);
    let mixed = batch.map_events(|events| {
        let [first, second, third] = <[Event; 3]>::try_from(events).unwrap();
        vec![third, first, Event::new("made up"), second]
    });
    let (batch, _) = ledger.stamp(mixed, &journey);
    assert_eq!(bodies(&batch), ["0/0", "made up", "0/1", "0/2"]);
    assert_eq!(offsets(&ledger, &[0]), Some(vec![(0, 0, 1)]));
    assert_eq!(offsets(&ledger, &[0, 1]), Some(vec![(0, 1, 0)]));
}

#[test]
fn dead_letters_of_the_source_lose_the_header() {
    let ledger = ledger(&[0]);
    let (journey, mut batch) = depart(&ledger, &[(0, 0)]);
    let rejected = batch.events()[0].clone();
    batch.divert(rejected, Destination::DeadLetter(Rejection::new("test", "bad")));
    let (batch, _) = ledger.stamp(batch.retain(|_| false), &journey);
    assert_eq!(batch.diverted()[0].event, Event::new("0/0"));
    assert_eq!(offsets(&ledger, &[]), Some(vec![(0, 1, 0)]));
}

#[test]
fn events_of_a_partition_that_went_are_never_sent_even_when_it_comes_back() {
    let ledger = ledger(&[0, 1]);
    let (journey, batch) = depart(&ledger, &[(0, 0), (1, 0), (0, 1)]);
    let (late, late_batch) = depart(&ledger, &[(0, 2), (1, 1)]);
    let (batch, _) = ledger.stamp(batch, &journey);
    assert!(!ledger.wait_until_settled(Some(&named(&[0])), Instant::now()));
    ledger.revoked(&named(&[0]));
    assert!(ledger.wait_until_settled(Some(&named(&[0])), Instant::now()));
    assert_eq!(offsets(&ledger, &serials(&batch)), None);
    assign(&ledger, &[0]);
    // On its way into the channel meanwhile: left out.
    let (late_batch, given_back) = ledger.stamp(late_batch, &late);
    assert_eq!((bodies(&late_batch), given_back), (vec!["1/1"], 1));
    let standings = ledger.standings(&serials(&batch));
    assert_eq!(standings, [Standing::GivenBack, Standing::Waiting, Standing::GivenBack]);
    let (mut freights, orphans, strays) = Freight::of(&batch);
    assert_eq!((orphans.len(), strays.len(), freights.len()), (0, 0, 1));
    assert_eq!(freights[0].sort_out(), 2);
    assert_eq!((&*freights[0].serials, &*freights[0].rows), ([1].as_slice(), [1].as_slice()));
    assert_eq!(freights[0].sort_out(), 0, "they are counted once");
    // The partition is read again from its offset.
    let (journey, again) = depart(&ledger, &[(0, 0), (0, 1)]);
    let (again, _) = ledger.stamp(again, &journey);
    assert_eq!(offsets(&ledger, &[1, 3, 4, 5]), Some(vec![(0, 2, 0), (1, 2, 0)]));
    assert_eq!(serials(&again), [4, 5]);
}

#[test]
fn what_the_channel_did_not_hand_out_in_its_turn_went_elsewhere() {
    let ledger = ledger(&[0]);
    let (journey, batch) = depart(&ledger, &[(0, 0), (0, 1), (0, 2), (0, 3)]);
    ledger.stamp(batch, &journey);
    // Two became dead letters, the rest comes again.
    assert_eq!(ledger.standings(&[1, 3]), [Standing::Waiting, Standing::Waiting]);
    assert_eq!(offsets(&ledger, &[1, 3]), Some(vec![(0, 4, 0)]));
    commit(&ledger, &[1, 3]);
    assert_eq!(ledger.standings(&[0, 1, 2, 3]), [Standing::Settled; 4]);
    // The last of a batch became one.
    let (journey, batch) = depart(&ledger, &[(0, 4)]);
    ledger.stamp(batch, &journey);
    ledger.settle(&[4]);
    assert_eq!(offsets(&ledger, &[]), Some(vec![(0, 5, 0)]));
}

#[test]
fn a_batch_that_came_twice_is_sent_once() {
    let ledger = ledger(&[0]);
    let (journey, batch) = depart(&ledger, &[(0, 0), (0, 1)]);
    let (batch, _) = ledger.stamp(batch, &journey);
    let twice = batch.clone().map_events(|events| [events.clone(), events].concat());
    let (mut freights, ..) = Freight::of(&twice);
    freights[0].sort_out();
    assert_eq!(freights[0].rows, [0, 1]);
    commit(&ledger, &[0, 1]);
    let (mut freights, ..) = Freight::of(&batch);
    assert_eq!((freights[0].sort_out(), freights[0].rows.len()), (0, 0));
}

#[test]
fn a_batch_that_did_not_get_into_the_channel_is_read_again_and_holds_nobody_up() {
    let ledger = ledger(&[0]);
    let (journey, batch) = depart(&ledger, &[(0, 0)]);
    ledger.stamp(batch, &journey);
    let first = ledger.next();
    let (journey, batch) = depart(&ledger, &[(0, 1)]);
    let (batch, _) = ledger.stamp(batch, &journey);
    ledger.withdraw(first);
    assert_eq!(serials(&batch), [1]);
    assert_eq!(ledger.standings(&[0, 1]), [Standing::Waiting, Standing::Settled]);
    assert_eq!(offsets(&ledger, &[0]), Some(vec![(0, 1, 0)]));
    commit(&ledger, &[0]);
    assert!(is_settled(&ledger));
    let (more, given_back) = {
        let (journey, batch) = depart(&ledger, &[(0, 2)]);
        ledger.stamp(batch, &journey)
    };
    assert_eq!((more.len(), given_back), (0, 1));
}

#[test]
fn a_consumer_that_left_answers_for_nothing() {
    let ledger = ledger(&[0]);
    let (journey, batch) = depart(&ledger, &[(0, 0)]);
    let (batch, _) = ledger.stamp(batch, &journey);
    let waiting = Arc::clone(&ledger);
    let waits = std::thread::spawn(move || {
        waiting.wait_until_settled(None, Instant::now() + Duration::from_secs(60))
    });
    ledger.close();
    assert!(waits.join().unwrap());
    assert_eq!(ledger.standings(&[0]), [Standing::GivenBack]);
    let sources = ["in".to_owned()];
    assert!(Ledger::of("agent", &sources).iter().any(|known| Arc::ptr_eq(known, &ledger)));
    assert!(Ledger::of("another", &sources).is_empty());
    drop(ledger);
    let (freights, orphans, strays) = Freight::of(&batch);
    assert_eq!((freights.len(), orphans, strays), (0, vec![0], vec![]));
    let (_, _, strays) = Freight::of(&Batch::new(vec![Event::new("from nowhere")]));
    assert_eq!(strays, [0]);
}
