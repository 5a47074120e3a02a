//! An interceptor built for `millrace:plugin@0.1.0` as it was first published, from the copy of the interface in `wit/`,
//! which never changes. It reads everything, sets the header `interface` to `0.1.0` on all events, drops empty bodies, and must keep
//! loading and doing so.

wit_bindgen::generate!({ path: "wit", world: "pure-interceptor" });

use exports::millrace::plugin::interceptor::{Batch, Edit, Failure, Guest as Interceptor};
use exports::millrace::plugin::lifecycle::{Guest as Lifecycle, Instance, Issue};
use millrace::plugin::{log, metrics};

struct FirstVersion;

impl Lifecycle for FirstVersion {
    fn configure(_: String, instance: Instance) -> Result<(), Vec<Issue>> {
        log::emit(log::Level::Info, "configured", &[("component".into(), instance.component)]);
        Ok(())
    }

    fn stop(_: u32) {}
}

impl Interceptor for FirstVersion {
    fn intercept(batch: &Batch) -> Result<Vec<Edit>, Failure> {
        let events = batch.events();
        let mut start = 0;
        let mut empty = Vec::new();
        for (row, end) in (0..).zip(events.bodies.ends) {
            if end == start {
                empty.push(row);
            }
            start = end;
        }
        metrics::counter_add("events", &[], batch.count().into());
        Ok(vec![Edit::Drop(empty), Edit::SetHeaderOnAll(("interface".into(), "0.1.0".into()))])
    }
}

export!(FirstVersion);
