//! Search for a byte string in one text, or in all bodies of a batch at once.
//!
//! The agent bounds the time of a plugin by a check at every jump backwards, so a loop pays per turn. The
//! search therefore looks at 64 places per turn, and goes through all bodies of a batch in one run
//! instead of starting anew for each; a hit that crosses the border of two bodies is passed over.
//!
//! Two bytes of the needle that are rare in text are compared at 16 places at a time (`simd128` in the
//! guest); only where both fit is the rest compared.

use memchr::arch::all::packedpair::Pair;

use crate::Packed;

/// How many places one turn of the loop looks at.
const BLOCK: usize = 64;

/// A byte string to search for. Make it once, in `configure`.
///
/// ```
/// use millrace_plugin::{Finder, Packed};
///
/// let finder = Finder::new("needle");
/// assert_eq!(finder.find(b"hay needle hay"), Some(4));
///
/// let bodies: Packed = ["needle", "hay", "two needles"].into_iter().collect();
/// assert_eq!(finder.rows(&bodies), [0, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Finder {
    needle: Vec<u8>,
    /// Where the two rare bytes are in the needle.
    offsets: [usize; 2],
}

impl Finder {
    /// Makes a finder. An empty needle is found everywhere.
    pub fn new(needle: impl Into<Vec<u8>>) -> Self {
        let needle = needle.into();
        let pair = Pair::new(&needle);
        let offsets = pair.map_or([0, 0], |pair| [pair.index1().into(), pair.index2().into()]);
        Self { needle, offsets }
    }

    /// Gives the byte string that is searched for.
    pub fn needle(&self) -> &[u8] {
        &self.needle
    }

    /// Gives the first place of the needle.
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        self.find_from(haystack, 0)
    }

    /// Gives the rows whose string contains the needle, ascending.
    pub fn rows(&self, strings: &Packed) -> Vec<u32> {
        let (bytes, ends) = (strings.bytes(), strings.ends());
        if self.needle.is_empty() {
            return (0..ends.len() as u32).collect();
        }
        let mut rows = Vec::new();
        let mut row = 0;
        let mut from = 0;
        while let Some(start) = self.find_from(bytes, from) {
            while ends[row] as usize <= start {
                row += 1;
            }
            let end = ends[row] as usize;
            if start + self.needle.len() <= end {
                rows.push(row as u32);
                from = end;
            } else {
                from = start + 1;
            }
        }
        rows
    }

    /// Searches behind `from`. Never looks further than the haystack reaches.
    fn find_from(&self, haystack: &[u8], from: usize) -> Option<usize> {
        let (needle, [first, second]) = (self.needle.as_slice(), self.offsets);
        if needle.is_empty() {
            return (from <= haystack.len()).then_some(from);
        }
        // The needle fits at every place before `places`.
        let places = (haystack.len() + 1).saturating_sub(needle.len());
        let probes = [lanes::splat(needle[first]), lanes::splat(needle[second])];
        let mut at = from;
        while at + BLOCK <= places {
            // All 64 places fit the needle, so both probes stay inside of the haystack.
            let one = &haystack[at + first..][..BLOCK];
            let two = &haystack[at + second..][..BLOCK];
            let mut found = lanes::candidates(one, two, probes);
            while found != 0 {
                let start = at + found.trailing_zeros() as usize;
                if is_at(haystack, start, needle) {
                    return Some(start);
                }
                found &= found - 1;
            }
            at += BLOCK;
        }
        (at..places).find(|start| is_at(haystack, *start, needle))
    }
}

/// Compares without a call: needles are short.
#[inline]
fn is_at(haystack: &[u8], start: usize, needle: &[u8]) -> bool {
    let here = &haystack[start..start + needle.len()];
    // The first bytes nearly always decide.
    here[0] == needle[0] && here == needle
}

/// Sixteen bytes at a time, in the guest.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_splat, v128, v128_and, v128_any_true, v128_load, v128_or,
    };

    use super::BLOCK;

    pub(super) fn splat(byte: u8) -> v128 {
        u8x16_splat(byte)
    }

    /// Gives a bit for each of the 64 places at which both bytes fit.
    #[inline]
    pub(super) fn candidates(one: &[u8], two: &[u8], probes: [v128; 2]) -> u64 {
        assert!(one.len() == BLOCK && two.len() == BLOCK);
        let (one, two) = (one.as_ptr(), two.as_ptr());
        let both = |offset: usize| {
            // SAFETY: both slices hold 64 bytes, as was checked above, and `offset` is at most 48; the
            // load has no alignment to keep.
            let (a, b) = unsafe { (v128_load(one.add(offset).cast()), v128_load(two.add(offset).cast())) };
            v128_and(u8x16_eq(a, probes[0]), u8x16_eq(b, probes[1]))
        };
        let found = [both(0), both(16), both(32), both(48)];
        if !v128_any_true(v128_or(v128_or(found[0], found[1]), v128_or(found[2], found[3]))) {
            return 0;
        }
        let bits = found.map(|lanes| u64::from(u8x16_bitmask(lanes)));
        bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
    }
}

/// The same, one byte at a time: for tests, and for guests without `simd128`.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    pub(super) fn splat(byte: u8) -> u8 {
        byte
    }

    pub(super) fn candidates(one: &[u8], two: &[u8], probes: [u8; 2]) -> u64 {
        let places = one.iter().zip(two).enumerate();
        places
            .fold(0, |bits, (place, (a, b))| bits | u64::from((*a == probes[0]) & (*b == probes[1])) << place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that a failure can be repeated.
    fn random(seed: &mut u64, below: u64) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 33) % below) as usize
    }

    #[test]
    fn finds_what_memmem_finds() {
        let mut seed = 7;
        for _ in 0..20_000 {
            let letters = 1 + random(&mut seed, 3) as u64;
            let mut text = |length: usize| -> Vec<u8> {
                (0..length).map(|_| b'a' + random(&mut seed, letters) as u8).collect()
            };
            let needle_length = text(9).iter().filter(|b| **b == b'a').count();
            let (haystack, needle) = (text(300), text(needle_length));
            let haystack = &haystack[..random(&mut seed, 301)];
            let expected = memchr::memmem::find(haystack, &needle);
            assert_eq!(Finder::new(needle.clone()).find(haystack), expected, "{needle:?} in {haystack:?}");
        }
    }

    #[test]
    fn finds_the_rows_that_contain_the_needle_and_no_others() {
        let mut seed = 11;
        for _ in 0..2_000 {
            let count = random(&mut seed, 30);
            let strings: Vec<Vec<u8>> = (0..count)
                .map(|_| (0..random(&mut seed, 100)).map(|_| b'a' + random(&mut seed, 2) as u8).collect())
                .collect();
            let needle: Vec<u8> =
                (0..random(&mut seed, 8)).map(|_| b'a' + random(&mut seed, 2) as u8).collect();
            let expected: Vec<u32> = (0..count as u32)
                .filter(|row| memchr::memmem::find(&strings[*row as usize], &needle).is_some())
                .collect();
            let packed: Packed = strings.iter().collect();
            assert_eq!(Finder::new(needle).rows(&packed), expected);
        }
    }

    #[test]
    fn a_hit_across_two_bodies_is_none() {
        let bodies: Packed = ["xnee", "dle", "", "needle", "need"].into_iter().collect();
        assert_eq!(Finder::new("needle").rows(&bodies), [3]);
    }

    #[test]
    fn an_empty_needle_is_in_every_row() {
        let bodies: Packed = ["", "a"].into_iter().collect();
        assert_eq!(Finder::new("").rows(&bodies), [0, 1]);
        assert_eq!(Finder::new("").find(b""), Some(0));
        assert_eq!(Finder::new("a").rows(&Packed::new()), Vec::<u32>::new());
        assert_eq!(Finder::new("longer").find(b"long"), None);
    }
}
