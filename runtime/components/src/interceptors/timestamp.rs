//! Writes the time at which the agent saw an event into a header.
//!
//! One clock reading serves a whole batch, so events that share their headers still share them afterwards.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{
    Batch, BuildContext, ByteString, Clock, Interceptor, InterceptorError, InterceptorFactory,
};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("header-name", OptionKind::Text, "timestamp", "Header that takes the time"),
    OptionSpec::with_default(
        "preserve-existing",
        OptionKind::Boolean,
        "#false",
        "Keeps a value that is already there",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "timestamp",
    summary: "Sets a header to the agent's time in milliseconds since 1970",
    options: OPTIONS,
    open: false,
    example: "timestamp",
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    Ok(Box::new(TimestampInterceptor {
        header: section.text("header-name").to_owned().into(),
        preserve: section.boolean("preserve-existing"),
        clock: Arc::clone(&cx.clock),
    }))
}

struct TimestampInterceptor {
    header: ByteString,
    preserve: bool,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Interceptor for TimestampInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        let now = ByteString::from(self.clock.unix_millis().to_string());
        super::set_header(&mut batch, &self.header, &now, self.preserve);
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::FACTORY;
    use crate::interceptors::testing::{event, headers, run};

    const NOW: &str = "1700000000000";

    #[tokio::test]
    async fn the_time_replaces_an_older_value() {
        let out = run(&FACTORY, "timestamp", vec![event("a", &[]), event("b", &[("timestamp", "1")])]).await;
        assert_eq!(headers(&out), [[("timestamp", NOW)], [("timestamp", NOW)]]);
    }

    #[tokio::test]
    async fn an_existing_value_is_kept_on_demand_under_any_name() {
        let kdl = "timestamp header-name=\"seen\" preserve-existing=#true";
        let out = run(&FACTORY, kdl, vec![event("a", &[("seen", "1")]), event("b", &[])]).await;
        assert_eq!(headers(&out), [[("seen", "1")], [("seen", NOW)]]);
    }
}
