//! A state in memory, with the limits of the real one but for the share of the component.

use std::collections::BTreeMap;

use super::with;
use crate::bindings::millrace::plugin::state::Error;
use crate::state::Error as StateError;

const KEY_BYTES_MAX: usize = 1_024;
const VALUE_BYTES_MAX: usize = 1 << 20;

/// Keys with their values and, where they have one, the moment at which their time is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    values: BTreeMap<String, (Vec<u8>, Option<u64>)>,
}

impl Entries {
    /// Gives what is there at this moment.
    pub(super) fn all(&self, now: u64) -> Vec<(String, Vec<u8>)> {
        let live = self.values.keys().filter_map(|key| Some((key.clone(), self.get(key, now)?.0.clone())));
        live.collect()
    }

    fn get(&self, key: &str, now: u64) -> Option<&(Vec<u8>, Option<u64>)> {
        self.values.get(key).filter(|(_, until)| until.is_none_or(|until| now < until))
    }
}

/// Runs a request on the entries of this thread, at the time of its clock.
fn request<R>(work: impl FnOnce(&mut Entries, u64) -> Result<R, Error>) -> Result<R, Error> {
    let done = with(|offered| match offered.state_error.clone() {
        _ if offered.is_configuring => Err(Error::Denied),
        None => work(&mut offered.entries, offered.clock_nanos),
        Some(StateError::Quota) => Err(Error::Quota),
        Some(StateError::TooLarge) => Err(Error::TooLarge),
        Some(StateError::Denied) => Err(Error::Denied),
        Some(StateError::Unavailable(reason)) => Err(Error::Unavailable(reason)),
    });
    done.unwrap_or_else(|| Err(Error::Unavailable("the test has no testing::Host".into())))
}

fn checked(key: &str, value: &[u8]) -> Result<(), Error> {
    let is_within = key.len() <= KEY_BYTES_MAX && value.len() <= VALUE_BYTES_MAX;
    if is_within { Ok(()) } else { Err(Error::TooLarge) }
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    request(|entries, now| Ok(entries.get(key, now).map(|(value, _)| value.clone())))
}

pub(crate) fn get_many(keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
    keys.iter().map(|key| get(key)).collect()
}

pub(crate) fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    request(|entries, now| {
        checked(key, value)?;
        let until = ttl_ms.map(|ms| now.saturating_add(ms.saturating_mul(1_000_000)));
        entries.values.insert(key.to_owned(), (value.to_vec(), until));
        Ok(())
    })
}

pub(crate) fn delete(key: &str) -> Result<(), Error> {
    request(|entries, _| {
        entries.values.remove(key);
        Ok(())
    })
}

pub(crate) fn increment(key: &str, by: i64) -> Result<i64, Error> {
    request(|entries, now| {
        let (number, until) = match entries.get(key, now) {
            None => (0, None),
            Some((value, until)) => {
                let bytes = value.as_slice().try_into().map_err(|_| Error::TooLarge)?;
                (i64::from_le_bytes(bytes), *until)
            }
        };
        checked(key, &[])?;
        let sum = number.wrapping_add(by);
        entries.values.insert(key.to_owned(), (sum.to_le_bytes().to_vec(), until));
        Ok(sum)
    })
}

pub(crate) fn list_keys(prefix: &str, after: Option<&str>, keys_max: u32) -> Result<Vec<String>, Error> {
    request(|entries, now| {
        let is_behind = |key: &&String| after.is_none_or(|after| key.as_str() > after);
        let found = entries.values.keys().filter(|key| key.starts_with(prefix)).filter(is_behind);
        let live = found.filter(|key| entries.get(key, now).is_some());
        Ok(live.take(keys_max as usize).cloned().collect())
    })
}

#[cfg(test)]
mod tests {
    use crate::state::{self, Error};
    use crate::testing::Host;

    #[test]
    fn numbers_count_from_nothing_and_wrap_around() {
        let host = Host::new();
        assert_eq!(state::increment("n", 5), Ok(5));
        assert_eq!(state::increment("n", -7), Ok(-2));
        assert_eq!(host.state(), [("n".to_owned(), (-2_i64).to_le_bytes().to_vec())]);
        state::set("n", &i64::MAX.to_le_bytes()).unwrap();
        assert_eq!(state::increment("n", 1), Ok(i64::MIN));
        state::set("text", b"12").unwrap();
        assert_eq!(state::increment("text", 1), Err(Error::TooLarge));
    }

    #[test]
    fn keys_are_listed_in_order_and_from_behind_one() {
        let _host = Host::new();
        for key in ["b", "a/2", "a/1", "a/3"] {
            state::set(key, b"").unwrap();
        }
        state::delete("a/2").unwrap();
        state::delete("a/2").unwrap();
        assert_eq!(state::list("a/", None, 10).unwrap(), ["a/1", "a/3"]);
        assert_eq!(state::list("a/", Some("a/1"), 10).unwrap(), ["a/3"]);
        assert_eq!(state::list("", None, 2).unwrap(), ["a/1", "a/3"]);
        let keys = ["b".to_owned(), "c".to_owned()];
        assert_eq!(state::get_many(&keys).unwrap(), [Some(vec![]), None]);
    }

    #[test]
    fn what_is_too_large_and_what_fails_is_refused() {
        let host = Host::new();
        assert_eq!(state::set(&"k".repeat(1_025), b""), Err(Error::TooLarge));
        assert_eq!(state::set("k", &vec![0; (1 << 20) + 1]), Err(Error::TooLarge));
        host.fail_state(Some(Error::Quota));
        assert_eq!(state::get("k"), Err(Error::Quota));
        drop(host);
        assert!(matches!(state::get("k"), Err(Error::Unavailable(_))));
    }
}
