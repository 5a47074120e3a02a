//! Keeps every event and reads in one of the ways that are for a few rows, but all of them: the cost of each way.
//! `what` is `body`, `body-part` (the first 16 bytes), `event`, `bodies-of` (every second row in one call) or
//! `header-names` (once).

use std::hint::black_box;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    what: What,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Body,
    BodyPart,
    Event,
    BodiesOf,
    HeaderNames,
}

struct ReadsRows {
    what: What,
}

impl Interceptor for ReadsRows {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { what: config.what })
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        let rows = 0..batch.count();
        match self.what {
            What::Body => rows.for_each(|row| drop(black_box(batch.body(row)))),
            What::BodyPart => rows.for_each(|row| drop(black_box(batch.body_part(row, 0, 16)))),
            What::Event => rows.for_each(|row| drop(black_box(batch.event(row)))),
            What::BodiesOf => drop(black_box(batch.bodies_of(&rows.step_by(2).collect::<Vec<_>>()))),
            What::HeaderNames => drop(black_box(batch.header_names())),
        }
        Ok(())
    }
}

millrace_plugin::export!(ReadsRows);
