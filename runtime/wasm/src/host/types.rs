//! The `types` interface: what a guest can ask the batch it is lent.

use std::collections::HashMap;

use bytes::Bytes;
use millrace_core::{Batch, Event};
use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Linker, Lower, Resource, ResourceType},
};

use super::columns::{Bodies, BodiesOf, HeaderOf, HeaderValues, PackedColumn};
use crate::{
    bindings::{
        LentBatch, OneEvent,
        interface::{self, Version},
    },
    state::GuestState,
};

type Cx<'a> = StoreContextMut<'a, GuestState>;
type Lent = Resource<LentBatch>;

/// Rows that one `bodies-of` may ask for, as a multiple of the batch: rows may repeat.
const ROWS_PER_EVENT_MAX: usize = 4;

/// One header of every event.
#[derive(ComponentType, Lower)]
#[component(record)]
struct HeaderColumn {
    values: PackedColumn<HeaderOf>,
    missing: Vec<u32>,
}

/// All headers of all events.
#[derive(ComponentType, Lower)]
#[component(record)]
struct HeaderColumns {
    names: Vec<String>,
    counts: Vec<u32>,
    #[component(name = "name-ids")]
    name_ids: Vec<u32>,
    values: PackedColumn<HeaderValues>,
}

/// Everything.
#[derive(ComponentType, Lower)]
#[component(record)]
struct EventColumns {
    headers: HeaderColumns,
    bodies: PackedColumn<Bodies>,
}

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut types = linker.instance(&version.of(interface::TYPES))?;
    types.resource("batch", ResourceType::host::<LentBatch>(), |_, _| Ok(()))?;
    types.func_wrap("[method]batch.count", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((u32::try_from(lent(&cx)?.len()).unwrap_or(u32::MAX),))
    })?;
    types.func_wrap("[method]batch.body-bytes", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((lent(&cx)?.iter().map(|event| event.body.len() as u64).sum::<u64>(),))
    })?;
    types.func_wrap("[method]batch.formed-at", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((lent(&cx)?.formed_at().unwrap_or(0),))
    })?;
    types.func_wrap("[method]batch.bodies", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((PackedColumn(Bodies(shared(&cx)?)),))
    })?;
    types.func_wrap("[method]batch.bodies-of", |cx: Cx<'_>, (_, rows): (Lent, Vec<u32>)| {
        let batch = shared(&cx)?;
        let rows_max = batch.len() * ROWS_PER_EVENT_MAX;
        if rows.len() > rows_max {
            wasmtime::bail!("bodies-of: {} rows asked for, at most {rows_max} at a time", rows.len());
        }
        rows.iter().try_for_each(|row| event(&batch, *row).map(drop))?;
        Ok((PackedColumn(BodiesOf(batch, rows)),))
    })?;
    types.func_wrap("[method]batch.header-column", |cx: Cx<'_>, (_, name): (Lent, String)| {
        let values = HeaderOf(shared(&cx)?, name);
        let missing =
            values.values().zip(0..).filter(|(value, _)| value.is_none()).map(|(_, row)| row).collect();
        Ok((HeaderColumn { values: PackedColumn(values), missing },))
    })?;
    types.func_wrap("[method]batch.header-names", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((header_columns(shared(&cx)?).names,))
    })?;
    types.func_wrap("[method]batch.headers", |cx: Cx<'_>, (_,): (Lent,)| {
        Ok((header_columns(shared(&cx)?),))
    })?;
    types.func_wrap("[method]batch.events", |cx: Cx<'_>, (_,): (Lent,)| {
        let batch = shared(&cx)?;
        let bodies = PackedColumn(Bodies(batch.clone()));
        Ok((EventColumns { headers: header_columns(batch), bodies },))
    })?;
    add_rows(&mut types)
}

/// The functions that look at one row.
fn add_rows(types: &mut wasmtime::component::LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    types.func_wrap("[method]batch.body", |cx: Cx<'_>, (_, row): (Lent, u32)| {
        Ok((event(lent(&cx)?, row)?.body.clone(),))
    })?;
    types.func_wrap(
        "[method]batch.body-part",
        |cx: Cx<'_>, (_, row, start, length): (Lent, u32, u32, u32)| {
            let body = &event(lent(&cx)?, row)?.body;
            let start = (start as usize).min(body.len());
            let end = start.saturating_add(length as usize).min(body.len());
            Ok((body.slice(start..end),))
        },
    )?;
    types.func_wrap("[method]batch.header", |cx: Cx<'_>, (_, row, name): (Lent, u32, String)| {
        Ok((event(lent(&cx)?, row)?.header(&name).map(|value| String::from(&**value)),))
    })?;
    types.func_wrap("[method]batch.event", |cx: Cx<'_>, (_, row): (Lent, u32)| {
        let event = event(lent(&cx)?, row)?;
        let headers =
            event.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok((OneEvent { headers, body: Bytes::clone(&event.body) },))
    })
}

fn lent<'a>(cx: &'a Cx<'_>) -> wasmtime::Result<&'a Batch> {
    cx.data().batch.as_ref().ok_or_else(|| wasmtime::format_err!("no batch is lent outside of `intercept`"))
}

/// The batch, shared for as long as an answer is written.
fn shared(cx: &Cx<'_>) -> wasmtime::Result<Batch> {
    let batch = lent(cx)?;
    Ok(batch.part(0..batch.len()))
}

fn event(batch: &Batch, row: u32) -> wasmtime::Result<&Event> {
    let count = batch.len();
    let event = batch.events().get(row as usize);
    event.ok_or_else(|| wasmtime::format_err!("row {row} is out of range, the batch has {count}"))
}

/// Collects the names once each. Neighbours mostly have the same names in the same order, often the very same
/// list, so both are tried before searching.
fn header_columns(batch: Batch) -> HeaderColumns {
    let mut names = Names::default();
    let mut counts = Vec::with_capacity(batch.len());
    let mut name_ids: Vec<u32> = Vec::with_capacity(batch.len() * 4);
    let mut last: Option<(&Event, std::ops::Range<usize>)> = None;
    for event in &batch {
        let start = name_ids.len();
        let before = last.as_ref().map_or(0..0, |(_, range)| range.clone());
        match &last {
            Some((other, _)) if other.headers.is_same_list(&event.headers) => {
                name_ids.extend_from_within(before);
            }
            _ => {
                for (index, (name, _)) in event.headers.iter().enumerate() {
                    let guess = name_ids.get(before.start + index).copied().filter(|_| index < before.len());
                    name_ids.push(names.id_of(name, guess));
                }
            }
        }
        counts.push(u32::try_from(name_ids.len() - start).unwrap_or(u32::MAX));
        last = Some((event, start..name_ids.len()));
    }
    HeaderColumns { names: names.list, counts, name_ids, values: PackedColumn(HeaderValues(batch.clone())) }
}

/// Distinct names in order of appearance.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    index: HashMap<String, u32>,
}

impl Names {
    fn id_of(&mut self, name: &str, guess: Option<u32>) -> u32 {
        if let Some(guess) = guess
            && self.list.get(guess as usize).is_some_and(|known| known == name)
        {
            return guess;
        }
        if let Some(id) = self.index.get(name) {
            return *id;
        }
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.to_owned());
        self.index.insert(name.to_owned(), id);
        id
    }
}
