//! Drops events whose key was seen within a time. The key is a header, or the body.
//!
//! What was seen is in the state, where it becomes durable in the same commit as the events. So an event that
//! was accepted is remembered, and one whose commit failed is not, whatever crashes in between.

mod cache;
mod key;

use std::collections::HashMap;
use std::time::Duration;

use millrace_plugin::{
    Batch, Edits, Failure, Handover, Instance, Interceptor, Issue, Snapshot, metrics, state,
};
use serde::Deserialize;

use crate::cache::Cache;
use crate::key::Key;

const SCHEMA: &str = "dedup-cache";
const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// Events with the same value in this header are the same. None: those with the same body.
    #[serde(default)]
    header: Option<String>,
    /// For how long an event is remembered, from the first time it was seen.
    #[serde(default = "ten_minutes")]
    ttl_seconds: u64,
    /// How many keys are kept in memory.
    #[serde(default = "ten_thousand")]
    cache: usize,
}

fn ten_minutes() -> u64 {
    600
}

fn ten_thousand() -> usize {
    10_000
}

struct Dedup {
    header: Option<String>,
    ttl: Duration,
    cache: Cache,
}

impl Interceptor for Dedup {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        if config.header.as_deref() == Some("") {
            issues.push(Issue::new("/header", "must not be empty"));
        }
        if config.ttl_seconds == 0 {
            issues.push(Issue::new("/ttl-seconds", "must be at least 1"));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let ttl = Duration::from_secs(config.ttl_seconds);
        Ok(Self { header: config.header, ttl, cache: Cache::new(config.cache) })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let keys = self.keys(batch);
        // The time of the batch, and not that of a clock: a batch that comes again gets the same answer.
        let now = batch.formed_at();
        let mut first_rows: HashMap<Key, u32> = HashMap::with_capacity(keys.len());
        let mut unknown = Vec::new();
        let mut duplicates = Vec::new();
        for (row, key) in keys {
            if first_rows.contains_key(&key) || self.cache.ends(&key).is_some_and(|ends| now < ends) {
                duplicates.push(row);
            } else {
                first_rows.insert(key, row);
                unknown.push(key);
            }
        }
        let names: Vec<String> = unknown.iter().map(key::name).collect();
        let ends = now.saturating_add(u64::try_from(self.ttl.as_nanos()).unwrap_or(u64::MAX));
        let found = state::get_many(&names)?;
        for ((key, name), found) in unknown.iter().zip(&names).zip(found) {
            match found.as_deref().and_then(moment).filter(|ends| now < *ends) {
                Some(known) => {
                    self.cache.insert(*key, known);
                    duplicates.extend(first_rows.get(key));
                }
                None => state::set_for(name, &ends.to_le_bytes(), self.ttl)?,
            }
        }
        metrics::counter_add("duplicates", &[], duplicates.len() as u64);
        edits.drop_rows(duplicates);
        Ok(())
    }
}

impl Dedup {
    /// Gives the rows that have a key. An event without the header has none, and passes.
    fn keys(&self, batch: &Batch) -> Vec<(u32, Key)> {
        let Some(header) = &self.header else {
            return batch.bodies().rows().map(|(row, body)| (row, key::key(body))).collect();
        };
        let column = batch.header_column(header);
        let keys: Vec<_> =
            column.rows().filter_map(|(row, value)| Some((row, key::key(value?.as_bytes())))).collect();
        metrics::counter_add("without_key", &[], u64::from(batch.count()) - keys.len() as u64);
        keys
    }
}

impl Handover for Dedup {
    fn save(&mut self) -> Result<Snapshot, String> {
        Ok(Snapshot::new(SCHEMA, VERSION, self.cache.to_bytes()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        self.cache.read(&snapshot.expect(SCHEMA, VERSION)?)
    }
}

/// Reads the moment at which the time of a key is over.
fn moment(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.try_into().ok()?))
}

millrace_plugin::export!(Dedup as interceptor + handover);

#[cfg(test)]
mod tests;
