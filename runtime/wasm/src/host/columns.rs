//! Columns of a batch, written straight into the guest's memory.
//!
//! The derived way would first join all bodies in a buffer of ours and then copy that buffer: twice the memory
//! traffic for what is the most frequent question of a plugin. A column instead knows its sizes, asks the guest's
//! allocator for room once, and copies each value to its place.

use std::mem::MaybeUninit;

use millrace_core::{Batch, Event};
use wasmtime::component::{
    ComponentType, Lower,
    __internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext},
};

use crate::bindings::Packed;

/// Byte strings that are lowered as the WIT record `packed`.
pub(super) trait Column: Send + Sync + 'static {
    /// Hands over every value, in order. Must give the same values every time.
    fn for_each<'a>(&'a self, take: impl FnMut(&'a [u8]));
}

/// A column as a result of a host function.
pub(super) struct PackedColumn<C>(pub(super) C);

// SAFETY: size, alignment, flat form and type check are those of the derived `Packed`, whose memory form
// `Lower` below writes: pointer and length of `bytes`, then pointer and length of `ends`.
unsafe impl<C: Column> ComponentType for PackedColumn<C> {
    type Lower = <Packed as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <Packed as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <Packed as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: `linear_lower_to_memory` writes the 16 bytes of the record at `offset` (see above) and fails where the
// flat form would be asked for, which no result of a function with four flat values ever is.
unsafe impl<C: Column> Lower for PackedColumn<C> {
    fn linear_lower_to_flat<T>(
        &self,
        _cx: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        _into: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        wasmtime::bail!("a column is only ever returned through memory")
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let (mut count, mut total) = (0_usize, 0_usize);
        self.0.for_each(|value| {
            count += 1;
            total += value.len();
        });
        let bytes_at = cx.realloc(0, 0, 1, total)?;
        let ends_at = cx.realloc(0, 0, 4, count * 4)?;
        let memory = cx.as_slice_mut();
        if total > 0 {
            let mut room = slice(memory, bytes_at, total)?;
            self.0.for_each(|value| {
                let (place, rest) = std::mem::take(&mut room).split_at_mut(value.len());
                place.copy_from_slice(value);
                room = rest;
            });
        }
        let mut end = 0_u32;
        let mut places = slice(memory, ends_at, count * 4)?.as_chunks_mut::<4>().0.iter_mut();
        self.0.for_each(|value| {
            // The sum fits: `realloc` took it as a u32.
            end = end.wrapping_add(value.len() as u32);
            if let Some(place) = places.next() {
                *place = end.to_le_bytes();
            }
        });
        let record = slice(memory, offset, 16)?;
        for (place, value) in record.as_chunks_mut::<4>().0.iter_mut().zip([bytes_at, total, ends_at, count]) {
            *place = u32::try_from(value)?.to_le_bytes();
        }
        Ok(())
    }
}

fn slice(memory: &mut [u8], at: usize, length: usize) -> wasmtime::Result<&mut [u8]> {
    let found = memory.get_mut(at..).and_then(|rest| rest.get_mut(..length));
    found.ok_or_else(|| wasmtime::format_err!("{length} bytes at {at} are outside of the guest's memory"))
}

/// All bodies.
pub(super) struct Bodies(pub(super) Batch);

impl Column for Bodies {
    fn for_each<'a>(&'a self, mut take: impl FnMut(&'a [u8])) {
        self.0.iter().for_each(|event| take(&event.body));
    }
}

/// The bodies of some rows; rows that do not exist were refused before.
pub(super) struct BodiesOf(pub(super) Batch, pub(super) Vec<u32>);

impl Column for BodiesOf {
    fn for_each<'a>(&'a self, mut take: impl FnMut(&'a [u8])) {
        let events = self.0.events();
        self.1.iter().filter_map(|row| events.get(*row as usize)).for_each(|event| take(&event.body));
    }
}

/// The value of one header in every event, empty where there is none.
pub(super) struct HeaderOf(pub(super) Batch, pub(super) String);

impl HeaderOf {
    /// The values, found once for neighbours that share their headers.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<&str>> {
        let mut last: Option<(&Event, Option<&str>)> = None;
        self.0.iter().map(move |event| {
            let value = match last {
                Some((before, value)) if before.headers.is_same_list(&event.headers) => value,
                _ => event.header(&self.1).map(|value| &**value),
            };
            last = Some((event, value));
            value
        })
    }
}

impl Column for HeaderOf {
    fn for_each<'a>(&'a self, mut take: impl FnMut(&'a [u8])) {
        self.values().for_each(|value| take(value.unwrap_or_default().as_bytes()));
    }
}

/// The values of all headers, event by event.
pub(super) struct HeaderValues(pub(super) Batch);

impl Column for HeaderValues {
    fn for_each<'a>(&'a self, mut take: impl FnMut(&'a [u8])) {
        for event in &self.0 {
            event.headers.iter().for_each(|(_, value)| take(value.as_bytes()));
        }
    }
}
