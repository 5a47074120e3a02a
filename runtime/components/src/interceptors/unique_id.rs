//! Gives every event a random identifier of its own.

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, ByteString, Interceptor, InterceptorError, InterceptorFactory};
use rand::RngCore;
use uuid::{Builder, fmt::Hyphenated};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("header-name", OptionKind::Text, "id", "Header that takes the identifier"),
    OptionSpec::with_default("prefix", OptionKind::Text, "", "Text in front of the identifier"),
    OptionSpec::with_default(
        "preserve-existing",
        OptionKind::Boolean,
        "#true",
        "Keeps a value that is already there",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "uuid",
    summary: "Sets a header of every event to a random UUID",
    options: OPTIONS,
    open: false,
    example: "uuid header-name=\"event-id\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    Ok(Box::new(UuidInterceptor {
        header: section.text("header-name").to_owned().into(),
        prefix: section.text("prefix").to_owned(),
        preserve: section.boolean("preserve-existing"),
    }))
}

struct UuidInterceptor {
    header: ByteString,
    prefix: String,
    preserve: bool,
}

impl UuidInterceptor {
    /// All identifiers of a batch in one text: one allocation, and one draw of random bytes.
    fn identifiers(&self, count: usize) -> ByteString {
        let mut random = vec![0; count * 16];
        rand::rng().fill_bytes(&mut random);
        let mut text = String::with_capacity(count * self.width());
        let mut digits = [0; Hyphenated::LENGTH];
        for bytes in random.as_chunks::<16>().0 {
            text.push_str(&self.prefix);
            text.push_str(
                Builder::from_random_bytes(*bytes).into_uuid().hyphenated().encode_lower(&mut digits),
            );
        }
        text.into()
    }

    fn width(&self) -> usize {
        self.prefix.len() + Hyphenated::LENGTH
    }
}

#[async_trait]
impl Interceptor for UuidInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        let mut left = self.identifiers(batch.len());
        for event in batch.events_mut() {
            if self.preserve && event.headers.contains(&self.header) {
                continue;
            }
            let (id, rest) = left.split_at(self.width());
            event.headers.set(self.header.clone(), id);
            left = rest;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FACTORY;
    use crate::interceptors::testing::{event, run};

    #[tokio::test]
    async fn every_event_gets_a_random_uuid_of_its_own() {
        let out = run(&FACTORY, "uuid", (0..1000).map(|_| event("x", &[("a", "1")])).collect()).await;
        let ids: BTreeSet<String> = out.iter().map(|event| event.header("id").unwrap().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            let parsed = uuid::Uuid::parse_str(id).unwrap();
            assert_eq!((parsed.get_version_num(), id.len()), (4, 36));
        }
        assert!(out.iter().all(|event| event.header("a").unwrap() == "1"));
    }

    #[tokio::test]
    async fn an_existing_value_stays_unless_told_otherwise() {
        let events = || vec![event("x", &[("n", "old")]), event("y", &[])];
        let out = run(&FACTORY, "uuid header-name=\"n\" prefix=\"pre-\"", events()).await;
        assert_eq!(out[0].header("n").unwrap(), "old");
        assert!(out[1].header("n").unwrap().starts_with("pre-"));
        let out = run(&FACTORY, "uuid header-name=\"n\" preserve-existing=#false", events()).await;
        assert_ne!(out[0].header("n").unwrap(), "old");
        assert_eq!(out[0].headers.len(), 1);
    }
}
