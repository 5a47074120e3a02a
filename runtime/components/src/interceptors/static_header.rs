//! Writes one constant header.

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, ByteString, Interceptor, InterceptorError, InterceptorFactory};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("key", OptionKind::Text, "key", "Name of the header"),
    OptionSpec::with_default("value", OptionKind::Text, "value", "Value of the header"),
    OptionSpec::with_default(
        "preserve-existing",
        OptionKind::Boolean,
        "#true",
        "Keeps a value that is already there",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "static",
    summary: "Sets one header to a constant; several in a row set several",
    options: OPTIONS,
    open: false,
    example: "static key=\"datacenter\" value=\"berlin-2\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    Ok(Box::new(StaticInterceptor {
        key: section.text("key").to_owned().into(),
        value: section.text("value").to_owned().into(),
        preserve: section.boolean("preserve-existing"),
    }))
}

struct StaticInterceptor {
    key: ByteString,
    value: ByteString,
    preserve: bool,
}

#[async_trait]
impl Interceptor for StaticInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        super::set_header(&mut batch, &self.key, &self.value, self.preserve);
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::FACTORY;
    use crate::interceptors::testing::{event, headers, run};

    #[tokio::test]
    async fn without_options_the_header_is_called_key_and_an_older_value_stays() {
        let out = run(&FACTORY, "static", vec![event("a", &[]), event("b", &[("key", "old")])]).await;
        assert_eq!(headers(&out), [[("key", "value")], [("key", "old")]]);
    }

    #[tokio::test]
    async fn an_older_value_is_replaced_on_demand_in_its_place() {
        let kdl = "static key=\"dc\" value=\"b2\" preserve-existing=#false";
        let out = run(&FACTORY, kdl, vec![event("a", &[("dc", "x"), ("z", "1")])]).await;
        assert_eq!(headers(&out), [[("dc", "b2"), ("z", "1")]]);
    }
}
