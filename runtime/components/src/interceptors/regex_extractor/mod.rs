//! Writes the groups of an expression found in the body into headers.
//!
//! The first serializer belongs to the first group, and so on; further groups and further serializers are left
//! alone. Without a match the event passes unchanged. A group that took no part in the match sets no header, and
//! neither does a text that is not a date: it is counted, the event goes on.

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{
    Batch, BuildContext, ByteString, Event, Interceptor, InterceptorError, InterceptorFactory,
    InterceptorMetrics,
};
use regex::bytes::Regex;

use date_pattern::DatePattern;

mod date_pattern;

const SERIALIZER: &[OptionSpec] = &[
    OptionSpec::optional(
        "name",
        OptionKind::Text,
        "Header that takes the group; default: the serializer's name",
    ),
    OptionSpec::with_default(
        "type",
        OptionKind::Choice(&["default", "millis"]),
        "default",
        "`default` takes the text, `millis` a date as milliseconds since 1970",
    ),
    OptionSpec::optional(
        "pattern",
        OptionKind::Text,
        "Date pattern of `millis`: Joda letters such as `yyyy-MM-dd HH:mm:ss`, or strptime's with `%`",
    ),
    OptionSpec::optional(
        "time-zone",
        OptionKind::Text,
        "Time zone of dates that do not say theirs, such as `Europe/Berlin`; default: the machine's",
    ),
];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("regex", OptionKind::Regex, "Expression searched in the body; its groups are taken"),
    OptionSpec {
        required: true,
        ..OptionSpec::optional(
            "serializer",
            OptionKind::Blocks(SERIALIZER),
            "What to do with a group, one for each group in order",
        )
    },
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "regex-extractor",
    summary: "Sets headers to what the groups of an expression found in the body",
    options: OPTIONS,
    open: false,
    example: "regex-extractor regex=#\"^(\\S+) (\\d{4}-\\d{2}-\\d{2})\"# {\n    \
              serializer \"client\"\n    serializer \"timestamp\" type=\"millis\" pattern=\"yyyy-MM-dd\"\n}",
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let mut found = Diagnostics::default();
    let regex = super::body_regex(section, "regex").map_err(|error| found.extend(error)).ok();
    let serializers: Vec<Serializer> = section
        .blocks("serializer")
        .iter()
        .filter_map(|serializer| Serializer::build(serializer).map_err(|error| found.extend(error)).ok())
        .collect();
    if let Some(regex) = &regex
        && regex.captures_len() == 1
    {
        let reason = "the expression has no group to take";
        let help = "put parentheses around what a header shall hold";
        found.push(Diagnostic::error("components::no-group", section.span_of("regex"), reason).help(help));
    }
    match regex {
        Some(regex) if found.is_empty() => Ok(Box::new(RegexExtractorInterceptor {
            regex,
            serializers,
            metrics: cx.metrics.interceptor(&cx.component),
        })),
        _ => Err(found),
    }
}

struct Serializer {
    header: ByteString,
    date: Option<DatePattern>,
}

impl Serializer {
    fn build(section: &Section) -> Result<Self, Diagnostics> {
        let Some(header) = section.optional_text("name").or(section.name()) else {
            let reason = "a serializer does not say which header takes its group";
            let help = "write `serializer \"header\"`";
            return Err(Diagnostic::error("config::missing-name", section.span(), reason).help(help).into());
        };
        let date = match (section.text("type"), section.optional_text("pattern")) {
            ("millis", Some(pattern)) => {
                let zone = section.optional_text("time-zone");
                let date = DatePattern::parse(pattern, zone).map_err(|reason| {
                    let place = if reason.about_zone { "time-zone" } else { "pattern" };
                    Diagnostic::error("components::bad-date-pattern", section.span_of(place), reason.text)
                })?;
                Some(date)
            }
            ("millis", None) => {
                let reason = "the `millis` serializer needs a date pattern";
                let help = "add `pattern=\"yyyy-MM-dd HH:mm:ss\"`";
                return Err(Diagnostic::error("config::missing-option", section.span(), reason)
                    .help(help)
                    .into());
            }
            _ => None,
        };
        Ok(Self { header: header.to_owned().into(), date })
    }
}

struct RegexExtractorInterceptor {
    regex: Regex,
    serializers: Vec<Serializer>,
    metrics: InterceptorMetrics,
}

impl RegexExtractorInterceptor {
    fn extract(&self, event: &mut Event) {
        let Some(captures) = self.regex.captures(&event.body) else { return };
        let mut headers = event.headers.clone();
        for (serializer, group) in self.serializers.iter().zip(captures.iter().skip(1)) {
            let Some(group) = group else { continue };
            let text = text(&event.body, group.as_bytes());
            match &serializer.date {
                None => headers.set(serializer.header.clone(), text),
                Some(date) => match date.millis(&text) {
                    Some(millis) => headers.set(serializer.header.clone(), millis.to_string().into()),
                    None => drop(self.metrics.values_unreadable.inc()),
                },
            }
        }
        event.headers = headers;
    }
}

/// A part of the body as text: a slice of it where it is UTF-8.
fn text(body: &Bytes, part: &[u8]) -> ByteString {
    ByteString::try_from(body.slice_ref(part))
        .unwrap_or_else(|_| String::from_utf8_lossy(part).into_owned().into())
}

#[async_trait]
impl Interceptor for RegexExtractorInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        for event in batch.events_mut() {
            self.extract(event);
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests;
