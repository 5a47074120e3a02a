//! An interceptor built for `millrace:plugin@0.2.0`, whose shapes differ from those of 0.1 where they can: it is told the version
//! of the agent, and `emit` answers. It sets the header `interface` to `0.2.0`, `agent` to that version, and `logged` to how many of
//! as many lines as there are events were written.

wit_bindgen::generate!({ path: "../../../wit/next", world: "stateful-interceptor" });

use std::cell::RefCell;

use exports::millrace::plugin::handover::{Guest as Handover, Snapshot};
use exports::millrace::plugin::interceptor::{Batch, Edit, Failure, Guest as Interceptor};
use exports::millrace::plugin::lifecycle::{Guest as Lifecycle, Instance, Issue};
use millrace::plugin::{clock, log, metrics, state};

thread_local! {
    static AGENT: RefCell<String> = const { RefCell::new(String::new()) };
}

struct SecondVersion;

impl Lifecycle for SecondVersion {
    fn configure(_: String, instance: Instance) -> Result<(), Vec<Issue>> {
        AGENT.set(instance.agent_version);
        Ok(())
    }

    fn stop(_: u32) {}
}

impl Interceptor for SecondVersion {
    fn intercept(batch: &Batch) -> Result<Vec<Edit>, Failure> {
        metrics::counter_add("events", &[], batch.count().into());
        let seen = state::increment("seen", batch.count().into()).map_err(|error| Failure::Fatal(format!("{error:?}")))?;
        let written = (0..batch.count()).filter(|row| log::emit(log::Level::Error, &format!("row {row}"), &[])).count();
        let headers = [
            ("interface", "0.2.0".to_owned()),
            ("agent", AGENT.with_borrow(String::clone)),
            ("logged", written.to_string()),
            ("seen", seen.to_string()),
            ("later", (clock::monotonic_nanos() > 0).to_string()),
        ];
        Ok(headers.map(|(name, value)| Edit::SetHeaderOnAll((name.into(), value))).into())
    }
}

impl Handover for SecondVersion {
    fn save() -> Result<Snapshot, String> {
        Ok(Snapshot { schema: "nothing".into(), version: 1, data: Vec::new() })
    }

    fn restore(_: Snapshot) -> Result<(), String> {
        Ok(())
    }
}

export!(SecondVersion);
