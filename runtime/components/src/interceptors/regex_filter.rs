//! Keeps or drops events by an expression searched in their bodies.
//!
//! The expression runs over the bytes as they are; what is not UTF-8 is matched by no character class.

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Interceptor, InterceptorError, InterceptorFactory};
use regex::bytes::Regex;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "regex",
        OptionKind::Regex,
        ".*",
        "Expression searched in the body; `^` and `$` pin it to the ends",
    ),
    OptionSpec::with_default(
        "exclude-events",
        OptionKind::Boolean,
        "#false",
        "Drops the events that match instead of the others",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "regex-filter",
    summary: "Keeps the events whose body matches an expression, or drops them",
    options: OPTIONS,
    open: false,
    example: "regex-filter regex=\"ERROR|FATAL\"",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let regex = super::body_regex(section, "regex")?;
    Ok(Box::new(RegexFilterInterceptor { regex, exclude: section.boolean("exclude-events") }))
}

struct RegexFilterInterceptor {
    regex: Regex,
    exclude: bool,
}

#[async_trait]
impl Interceptor for RegexFilterInterceptor {
    async fn intercept(&self, batch: Batch) -> Result<Batch, InterceptorError> {
        Ok(batch.retain(|event| self.regex.is_match(&event.body) != self.exclude))
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::Event;

    use super::FACTORY;
    use crate::interceptors::testing::{bodies, event, run};

    fn events() -> Vec<Event> {
        vec![event("one ERROR", &[]), event("two", &[]), Event::default(), Event::new(&b"\xffERROR\xfe"[..])]
    }

    #[tokio::test]
    async fn matches_anywhere_in_the_body_are_kept() {
        let out = run(&FACTORY, "regex-filter regex=\"ERROR\"", events()).await;
        assert_eq!(bodies(&out), [&b"one ERROR"[..], b"\xffERROR\xfe"]);
    }

    #[tokio::test]
    async fn matches_are_dropped_on_demand() {
        let out = run(&FACTORY, "regex-filter regex=\"ERROR$\" exclude-events=#true", events()).await;
        assert_eq!(bodies(&out), [&b"two"[..], b"", b"\xffERROR\xfe"]);
    }

    #[tokio::test]
    async fn the_default_keeps_everything() {
        assert_eq!(run(&FACTORY, "regex-filter", events()).await, events());
    }
}
