//! An interceptor that imports `wasi:sockets`, which nobody granted.

wit_bindgen::generate!({
    path: ["../../../wit", "wit"],
    world: "test:imports-wasi-socket/connecting-interceptor",
    generate_all,
});

use exports::millrace::plugin::interceptor::{Batch, Edit, Failure, Guest as Interceptor};
use exports::millrace::plugin::lifecycle::{Guest as Lifecycle, Instance, Issue};

struct Connecting;

impl Lifecycle for Connecting {
    fn configure(_: String, _: Instance) -> Result<(), Vec<Issue>> {
        wasi::sockets::instance_network::instance_network();
        Ok(())
    }

    fn stop(_: u32) {}
}

impl Interceptor for Connecting {
    fn intercept(_: &Batch) -> Result<Vec<Edit>, Failure> {
        Ok(vec![])
    }
}

export!(Connecting);
