//! The unit of flow: headers and a body.
//!
//! Both are shared, never copied: cloning an event counts references. Events read from one place usually
//! carry the same headers, so a header list is one shared allocation, copied only when it is changed.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

/// An event: named text values and opaque bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Names and values; a name occurs once.
    pub headers: Headers,
    /// The payload, as read.
    pub body: Bytes,
}

impl Event {
    /// An event without headers.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { headers: Headers::default(), body: body.into() }
    }

    /// An event with headers.
    pub fn with_headers(headers: Headers, body: impl Into<Bytes>) -> Self {
        Self { headers, body: body.into() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&ByteString> {
        self.headers.find(name)
    }

    /// What the event counts for in limits: the bytes of body, header names and header values.
    pub fn size(&self) -> usize {
        self.body.len() + self.headers.size()
    }
}

/// The headers of an event, in order of insertion. A clone shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Option<Arc<[(ByteString, ByteString)]>>,
}

impl Headers {
    /// The value of a header.
    pub fn find(&self, name: &str) -> Option<&ByteString> {
        self.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether there is a header of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_none()
    }

    /// All headers.
    pub fn as_slice(&self) -> &[(ByteString, ByteString)] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// All headers, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (ByteString, ByteString)> {
        self.as_slice().iter()
    }

    /// Sets a header; an older value is replaced in its place.
    pub fn set(&mut self, name: ByteString, value: ByteString) {
        if let Some(entries) = self.entries.as_mut().and_then(Arc::get_mut)
            && let Some(entry) = entries.iter_mut().find(|(known, _)| *known == name)
        {
            entry.1 = value;
            return;
        }
        let old = self.as_slice();
        self.entries = Some(match old.iter().position(|(known, _)| *known == name) {
            Some(at) => old
                .iter()
                .enumerate()
                .map(|(index, entry)| if index == at { (name.clone(), value.clone()) } else { entry.clone() })
                .collect(),
            None => old.iter().cloned().chain(std::iter::once((name, value))).collect(),
        });
    }

    /// Removes the headers for which `unwanted` says so; returns whether there were any.
    pub fn remove_if(&mut self, mut unwanted: impl FnMut(&str) -> bool) -> bool {
        let old = self.as_slice();
        if !old.iter().any(|(name, _)| unwanted(name)) {
            return false;
        }
        *self = old.iter().filter(|(name, _)| !unwanted(name)).cloned().collect();
        true
    }

    /// Removes one header; returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.remove_if(|known| known == name)
    }

    /// Whether two events share one header list: a cheap test that spares repeating work.
    pub fn is_same_list(&self, other: &Self) -> bool {
        match (&self.entries, &other.entries) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// Collects headers whose names are known to be distinct; later repetitions would not be found.
impl FromIterator<(ByteString, ByteString)> for Headers {
    fn from_iter<I: IntoIterator<Item = (ByteString, ByteString)>>(entries: I) -> Self {
        let entries: Arc<[_]> = entries.into_iter().collect();
        Self { entries: (!entries.is_empty()).then_some(entries) }
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a (ByteString, ByteString);
    type IntoIter = std::slice::Iter<'a, (ByteString, ByteString)>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    fn headers(entries: &[(&'static str, &'static str)]) -> Headers {
        entries.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn a_change_to_one_clone_is_not_seen_by_the_other() {
        let first = headers(&[("a", "1"), ("b", "2")]);
        let mut second = first.clone();
        second.set("a".into(), "x".into());
        second.set("c".into(), "3".into());
        assert_eq!(first, headers(&[("a", "1"), ("b", "2")]));
        assert_eq!(second, headers(&[("a", "x"), ("b", "2"), ("c", "3")]));
    }

    #[test]
    fn removing_the_last_header_leaves_no_list() {
        let mut only = headers(&[("a", "1")]);
        assert!(only.remove("a"));
        assert!(only.is_empty());
        assert!(!only.remove("a"));
        assert_eq!(only, Headers::default());
    }

    #[test]
    fn size_counts_names_and_values_in_bytes() {
        assert_eq!(headers(&[("ä", "12"), ("b", "")]).size(), 5);
    }
}
