//! The options of the sink, checked and typed.

use std::path::PathBuf;

use millrace_components::{
    bucket::{
        COMPRESSION, COMPRESSION_LEVEL, EXTENSION, InProgress, NameTime, OPEN_FILES_MAX, PREFIX, ROLL,
        Settings, SyncMode, compression, extension, place, roll_rules,
    },
    escape::{
        MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, TimeRule, USE_LOCAL_TIME_STAMP, time_rule,
    },
    serializers::{APPEND_NEWLINE, AVRO, PARQUET, SERIALIZER, serializer_spec},
};
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use uuid::Uuid;

use crate::{
    place::{Place, Scheme},
    remote::{NotOpened, Opening, Remote},
};

/// The smallest part that S3 takes.
const PART_BYTES_MIN: u64 = 5 << 20;

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "url",
        OptionKind::Text,
        "Where objects go: `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder` or `file:///folder`; \
         behind the bucket it may hold escapes such as `%{host}` and `%Y-%m-%d`",
    ),
    OptionSpec::optional(
        "endpoint",
        OptionKind::Text,
        "The address of the store, for S3 that is not Amazon's and for emulators: `https://minio.example.com:9000`; with \
         `http://` nothing is encrypted",
    ),
    OptionSpec::optional("region", OptionKind::Text, "The region of an S3 bucket; without it `$AWS_REGION`"),
    OptionSpec::optional(
        "access-key",
        OptionKind::Text,
        "The id of an S3 key; without it the environment, a web identity or the metadata service, as Amazon's tools do",
    ),
    OptionSpec::optional(
        "secret-key",
        OptionKind::Text,
        "Its secret: better `$(env \"…\")` than written down",
    ),
    OptionSpec::optional(
        "settings",
        OptionKind::Map,
        "Other settings of the client: `aws_virtual_hosted_style_request`, `google_service_account`, \
         `azure_storage_account_name` and so on; they count more than the environment",
    ),
    PREFIX,
    EXTENSION,
    OptionSpec::with_default(
        "name-time",
        OptionKind::Choice(&["start", "roll"]),
        "roll",
        "The time in names: the sink's start in milliseconds, or the file's as `yyyyMMddHHmmss`",
    ),
    ROLL,
    SERIALIZER,
    APPEND_NEWLINE,
    AVRO,
    PARQUET,
    COMPRESSION,
    COMPRESSION_LEVEL,
    OptionSpec::with_default(
        "sync",
        OptionKind::Choice(&["batch", "roll", "none"]),
        "batch",
        "When what is staged is forced to the local disk: before a batch counts as delivered, when a file is finished, or \
         never; all survive the end of the process, only `batch` survives a power failure",
    ),
    OptionSpec::with_default(
        "part-size",
        OptionKind::Size,
        "8MiB",
        "Objects larger than this are uploaded in parts of this size; at least 5 MiB",
    ),
    OptionSpec::with_default(
        "upload-concurrency",
        OptionKind::Integer { min: 1, max: 64 },
        "4",
        "Parts on their way at the same time; each is in memory once",
    ),
    OptionSpec::with_default(
        "request-timeout",
        OptionKind::Duration,
        "60s",
        "How long one request may take, with its part of the object",
    ),
    OPEN_FILES_MAX,
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
];

/// Everything the options say.
pub struct ObjectSettings {
    pub bucket: Settings,
    /// Tells this store from others, in journals.
    pub address: String,
    pub remote: Remote,
}

/// Reads a section.
pub fn settings(section: &Section, data_dir: PathBuf) -> Result<ObjectSettings, Diagnostics> {
    let mut findings = Diagnostics::default();
    let parsed = Place::parse(section.text("url")).unwrap_or_else(|reason| {
        let reason = format!("this is no place for objects: {reason}");
        findings.push(
            Diagnostic::error("object-store::invalid-url", section.span_of("url"), reason)
                .help("write `url \"s3://bucket/folder\"`"),
        );
        Place { scheme: Scheme::File, bucket: "", folder: "" }
    });
    let template = place(section, ("url", parsed.folder), &mut findings);
    let suffix = extension(section, &mut findings);
    let compression = compression(section, &mut findings);
    let part_bytes = section.size("part-size");
    if part_bytes < PART_BYTES_MIN {
        let reason = "parts of less than 5 MiB are refused by S3";
        findings.push(Diagnostic::error("object-store::small-part", section.span_of("part-size"), reason));
    }
    let rule = time_rule(section).unwrap_or_else(|found| {
        findings.extend(found);
        TimeRule::default()
    });
    let opened = open(section, &parsed, &mut findings);
    let (Some((store, parts)), true) = (opened, findings.is_empty()) else { return Err(findings) };
    let endpoint = section.optional_text("endpoint").unwrap_or_default();
    // Drawn once: every object of this sink has it, and no other sink's has.
    let unique = Uuid::new_v4().simple().to_string();
    let unique = unique.get(..8).unwrap_or_default();
    Ok(ObjectSettings {
        address: format!("{:?} {endpoint} {}", parsed.scheme, parsed.bucket),
        remote: Remote { store, parts, part_bytes, concurrency: section.count("upload-concurrency") },
        bucket: Settings {
            place: template,
            time_rule: rule,
            name_time: if section.text("name-time") == "roll" { NameTime::Roll } else { NameTime::Start },
            suffix: format!("-{unique}{suffix}{}", compression.extension()),
            in_progress: InProgress::default(),
            roll: roll_rules(section),
            serializer: serializer_spec(section),
            compression,
            sync: match section.text("sync") {
                "roll" => SyncMode::Roll,
                "none" => SyncMode::None,
                _ => SyncMode::Batch,
            },
            open_files_max: section.count("max-open-files"),
            journal_folder: data_dir,
        },
    })
}

type Stores = (
    std::sync::Arc<dyn object_store::ObjectStore>,
    Option<std::sync::Arc<dyn object_store::multipart::MultipartStore>>,
);

fn open(section: &Section, place: &Place<'_>, findings: &mut Diagnostics) -> Option<Stores> {
    let endpoint = section.optional_text("endpoint");
    let mut settings = Vec::new();
    for (option, name) in [
        ("endpoint", endpoint_setting(place.scheme)),
        ("region", "aws_region"),
        ("access-key", "aws_access_key_id"),
        ("secret-key", "aws_secret_access_key"),
    ] {
        let Some(value) = section.optional_text(option) else { continue };
        if place.scheme != Scheme::S3 && (option != "endpoint" || name.is_empty()) {
            let reason = format!("`{option}` has no meaning for this kind of store");
            let help = "its own settings go into `settings`";
            findings.push(
                Diagnostic::error("object-store::foreign-option", section.span_of(option), reason).help(help),
            );
            return None;
        }
        settings.push((name.to_owned(), value.to_owned()));
    }
    settings.extend(section.map("settings").iter().cloned());
    let opening = Opening {
        scheme: place.scheme,
        bucket: place.bucket,
        settings,
        allows_http: endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")),
        timeout: section.duration("request-timeout"),
    };
    match opening.open() {
        Ok(stores) => Some(stores),
        Err(NotOpened::Unknown(name)) => {
            let reason = format!("this kind of store has no setting `{name}`");
            findings.push(Diagnostic::error(
                "object-store::unknown-setting",
                section.span_of("settings"),
                reason,
            ));
            None
        }
        Err(NotOpened::Refused(reason)) => {
            let reason = format!("the store cannot be used: {reason}");
            findings.push(Diagnostic::error("object-store::refused", section.span_of("url"), reason));
            None
        }
    }
}

fn endpoint_setting(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => "aws_endpoint",
        Scheme::Google => "google_base_url",
        Scheme::Azure => "azure_storage_endpoint",
        Scheme::File => "",
    }
}
