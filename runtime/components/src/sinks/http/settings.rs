//! The options of the sink, checked and typed.

use std::time::Duration;

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::Headers;
use reqwest::{
    Client, Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};

use super::{is_reserved, payload::Format, status::StatusRules};
use crate::{
    escape::{
        Expander, MISSING_HEADER, MISSING_TIMESTAMP, MissingHeader, ROUND, TIME_ZONE, Target, Template,
        TimeRule, TimeSource, USE_LOCAL_TIME_STAMP, time_rule,
    },
    serializers::BinaryBody,
};

const AUTH: &[OptionSpec] = &[
    OptionSpec::optional("user", OptionKind::Text, "The user name of basic authentication"),
    OptionSpec::optional("password", OptionKind::Text, "The password of basic authentication"),
    OptionSpec::optional("bearer", OptionKind::Text, "A bearer token"),
];

const TLS: &[OptionSpec] = &[OptionSpec::optional(
    "ca",
    OptionKind::Path,
    "A PEM file of certificate authorities trusted besides those of the system",
)];

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "url",
        OptionKind::Text,
        "Where requests go; path and query may hold escapes such as `%{app}`, a percent sign is written `%%`",
    ),
    OptionSpec::with_default("method", OptionKind::Choice(&["POST", "PUT", "PATCH"]), "POST", "The method"),
    OptionSpec::with_default(
        "format",
        OptionKind::Choice(&["json-array", "ndjson", "single"]),
        "json-array",
        "What a request carries: a batch as a JSON array (what `http` sources take), a batch as JSON lines, or \
         the body of one event",
    ),
    OptionSpec::optional(
        "binary-body",
        OptionKind::Choice(&["base64", "reject"]),
        "What becomes of a body that is not UTF-8 in JSON: `body-base64` stands in for `body`, or the event goes \
         to the dead-letter channel; without it `base64` for `ndjson` and `reject` for `json-array`",
    ),
    OptionSpec::with_default(
        "headers",
        OptionKind::Map,
        "",
        "Headers of each request; values may hold escapes",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip"]),
        "none",
        "Compression of request bodies",
    ),
    OptionSpec::with_default("auth", OptionKind::Block(AUTH), "", "Credentials: basic or bearer"),
    OptionSpec::with_default("tls", OptionKind::Block(TLS), "", "Trust for `https` addresses"),
    OptionSpec::with_default("connect-timeout", OptionKind::Duration, "5s", "How long connecting may take"),
    OptionSpec::with_default(
        "request-timeout",
        OptionKind::Duration,
        "30s",
        "How long a request may take with its reply",
    ),
    OptionSpec::with_default(
        "on",
        OptionKind::Map,
        "",
        "What a status or a class of them means: `on { \"404\" \"retry\"; \"5xx\" \"reject\" }`; also `deliver`",
    ),
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
];

/// Everything the options say.
pub struct Settings {
    /// The address, then the value of each of `header_names`.
    pub templates: Vec<Template>,
    pub header_names: Vec<HeaderName>,
    pub fixed_headers: HeaderMap,
    pub time_rule: TimeRule,
    pub method: Method,
    pub format: Format,
    pub binary: BinaryBody,
    pub gzip: bool,
    pub status_rules: StatusRules,
    connect_timeout: Duration,
    request_timeout: Duration,
}

impl Settings {
    /// Reads a section.
    pub fn new(section: &Section) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let mut templates = vec![url(section, &mut findings)];
        let mut header_names = Vec::new();
        for (name, template) in header_templates(section, &mut findings) {
            header_names.push(name);
            templates.push(template);
        }
        let fixed_headers = credentials(section, &mut findings);
        let status_rules = status_rules(section, &mut findings);
        let time_rule = time_rule(section).unwrap_or_else(|found| {
            findings.extend(found);
            TimeRule::default()
        });
        let format = match section.text("format") {
            "ndjson" => Format::Ndjson,
            "single" => Format::Single,
            _ => Format::JsonArray,
        };
        let binary = match (section.optional_text("binary-body"), format) {
            // Flume's source would take such an event for an empty one.
            (Some("reject"), _) | (None, Format::JsonArray) => BinaryBody::Reject,
            _ => BinaryBody::Base64,
        };
        for option in ["connect-timeout", "request-timeout"] {
            if section.duration(option).is_zero() {
                let finding = Diagnostic::error("http::no-time", section.span_of(option), "no time at all");
                findings.push(finding.help("write at least `1s`"));
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Self {
            templates,
            header_names,
            fixed_headers,
            time_rule,
            method: match section.text("method") {
                "PUT" => Method::PUT,
                "PATCH" => Method::PATCH,
                _ => Method::POST,
            },
            format,
            binary,
            gzip: section.text("compression") == "gzip",
            status_rules,
            connect_timeout: section.duration("connect-timeout"),
            request_timeout: section.duration("request-timeout"),
        })
    }
}

/// The HTTP client. It uses no proxy of the environment and follows no redirect.
#[expect(clippy::disallowed_methods, reason = "the user names a file of certificates")]
pub fn client(settings: &Settings, section: &Section) -> Result<Client, Diagnostics> {
    // The process installs its provider first thing; a second one is refused, which is what we want.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")));
    if let Some(tls) = section.block("tls")
        && let Some(path) = tls.optional_path("ca")
    {
        let span = tls.span_of("ca");
        let wrong = |reason: String| {
            Diagnostic::error("http::invalid-ca", span, format!("cannot use {}: {reason}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(super::causes(error)))?;
        if certificates.is_empty() {
            return Err(wrong("it holds no certificate".into()).into());
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        Diagnostic::error("http::no-client", section.span(), format!("no client: {}", super::causes(error)))
            .into()
    })
}

fn url(section: &Section, findings: &mut Diagnostics) -> Template {
    let text = section.text("url");
    let mut wrong = |reason: String| {
        findings.push(
            Diagnostic::error("http::invalid-url", section.span_of("url"), reason)
                .help("write an address such as `https://logs.example.com/ingest`"),
        );
        Template::literal("")
    };
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return wrong("an address begins with `http://` or `https://`".into());
    }
    match Template::parse(text, Target::Url) {
        Err(mistakes) => wrong(mistakes.join("; ")),
        Ok(template) => {
            // With every escape empty, what is left has to be an address.
            let rule = TimeRule {
                source: TimeSource::Clock,
                missing_header: MissingHeader::Empty,
                ..TimeRule::default()
            };
            let mut expander = Expander::new(vec![template.clone()], rule);
            let shown = expander.expand(&Headers::default(), std::time::SystemTime::UNIX_EPOCH);
            let shown = shown.map(|texts| texts.concat()).unwrap_or_default();
            match Url::parse(&shown) {
                Ok(_) => template,
                Err(error) => wrong(error.to_string()),
            }
        }
    }
}

fn header_templates(section: &Section, findings: &mut Diagnostics) -> Vec<(HeaderName, Template)> {
    let mut templates = Vec::new();
    let span = section.span_of("headers");
    for (name, value) in section.map("headers") {
        let mut wrong = |reason| findings.push(Diagnostic::error("http::invalid-header", span, reason));
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => wrong(format!("{name:?} is no header name")),
            Ok(header) if is_reserved(&header) => wrong(format!("header {name} is set by the sink itself")),
            Ok(header) => match Template::parse(value, Target::Text) {
                Err(mistakes) => wrong(format!("header {name}: {}", mistakes.join("; "))),
                Ok(template) => templates.push((header, template)),
            },
        }
    }
    templates
}

fn credentials(section: &Section, findings: &mut Diagnostics) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(auth) = section.block("auth") else { return headers };
    let user = auth.optional_text("user");
    let password = auth.optional_text("password");
    let value = match (auth.optional_text("bearer"), user, password) {
        (None, None, None) => return headers,
        (Some(token), None, None) => format!("Bearer {token}"),
        (None, Some(user), password) => {
            let plain = format!("{user}:{}", password.unwrap_or_default());
            format!("Basic {}", crate::serializers::base64(plain.as_bytes()))
        }
        _ => {
            let span = section.span_of("auth");
            let reason = "either a bearer token, or a user with a password";
            findings.push(Diagnostic::error("http::invalid-auth", span, reason));
            return headers;
        }
    };
    match HeaderValue::from_str(&value) {
        Ok(mut value) => {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Err(_) => {
            let reason = "the token holds characters that HTTP does not allow";
            let finding = Diagnostic::error("http::invalid-auth", auth.span_of("bearer"), reason);
            findings.push(finding.help("a file often ends with a newline that is not part of the token"));
        }
    }
    headers
}

fn status_rules(section: &Section, findings: &mut Diagnostics) -> StatusRules {
    let mut rules = StatusRules::default();
    for (status, verdict) in section.map("on") {
        if let Err(reason) = rules.add(status, verdict) {
            findings.push(
                Diagnostic::error("http::invalid-rule", section.span_of("on"), reason)
                    .help("write `on { \"404\" \"retry\"; \"5xx\" \"reject\" }`"),
            );
        }
    }
    rules
}
