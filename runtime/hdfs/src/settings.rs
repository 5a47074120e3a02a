//! The options of the sink, checked and typed.

use std::{path::PathBuf, time::Duration};

use hdfs_native::WriteOptions;
use millrace_components::{
    bucket::{Compression, InProgress, NameTime, ROLL, Settings, SyncMode, roll_rules},
    escape::{
        MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, Target, Template, TimeRule,
        USE_LOCAL_TIME_STAMP, time_rule,
    },
    serializers::{
        APPEND_NEWLINE, AVRO, HadoopCodec, PARQUET, SERIALIZER, SequencePacking, SequenceValue,
        SerializerSpec, serializer_spec,
    },
};
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

use crate::{connection::ConnectionSettings, store::is_address};

const KERBEROS: &[OptionSpec] = &[
    OptionSpec::optional("principal", OptionKind::Text, "Who the sink is, such as `flume/host@EXAMPLE.COM`"),
    OptionSpec::optional("keytab", OptionKind::Path, "The file with its key; without it the ticket cache"),
];

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "path",
        OptionKind::Text,
        "Folder of the files, such as `hdfs://nn:8020/logs/%Y-%m-%d/%{host}` or `hdfs://nameservice/logs`; without \
         an address in the default file system of `hadoop-conf`; created when needed",
    ),
    OptionSpec::with_default(
        "prefix",
        OptionKind::Text,
        "FlumeData",
        "What file names begin with; may hold escapes",
    ),
    OptionSpec::with_default(
        "suffix",
        OptionKind::Text,
        "",
        "What file names end with, with its dot; the codec's follows",
    ),
    OptionSpec::with_default(
        "in-use-prefix",
        OptionKind::Text,
        "",
        "What stands before names of files in progress, such as `_`, which Hive and MapReduce pass over",
    ),
    OptionSpec::with_default(
        "in-use-suffix",
        OptionKind::Text,
        ".tmp",
        "What stands behind names of files in progress",
    ),
    ROLL,
    OptionSpec::with_default(
        "file-type",
        OptionKind::Choice(&["sequence-file", "data-stream", "compressed-stream"]),
        "sequence-file",
        "A SequenceFile with the time as key and the body as value, or what the serializer writes, plain or compressed",
    ),
    OptionSpec::with_default(
        "write-format",
        OptionKind::Choice(&["writable", "text"]),
        "writable",
        "Values of a SequenceFile: `BytesWritable` or `Text`",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "deflate", "gzip", "bzip2", "zstd", "snappy", "lz4"]),
        "none",
        "The codec, in Hadoop's framing; `deflate` in SequenceFiles only",
    ),
    OptionSpec::with_default(
        "sequence-compression",
        OptionKind::Choice(&["block", "record"]),
        "block",
        "With a codec, what of a SequenceFile is compressed: blocks of entries, or each value alone",
    ),
    SERIALIZER,
    APPEND_NEWLINE,
    AVRO,
    PARQUET,
    OptionSpec::with_default(
        "sync",
        OptionKind::Choice(&["batch", "roll"]),
        "batch",
        "When contents are forced to the disks of the DataNodes: before a batch counts as delivered, or when a file is \
         finished; with `roll` what is in files in progress is lost when the agent is killed",
    ),
    OptionSpec::with_default(
        "max-open-files",
        OptionKind::Integer { min: 1, max: 5000 },
        "64",
        "Files in progress at the same time; the one unused for longest is finished to open another; each may take 13 MB \
         of memory",
    ),
    OptionSpec::with_default(
        "call-timeout",
        OptionKind::Duration,
        "30s",
        "How long one call to HDFS may take; then the file that was written is given up and the batch goes into another",
    ),
    OptionSpec::optional(
        "replication",
        OptionKind::Integer { min: 1, max: 512 },
        "Copies of each block; without it the cluster's default",
    ),
    OptionSpec::optional("block-size", OptionKind::Size, "Size of a block; without it the cluster's default"),
    OptionSpec::optional(
        "hadoop-conf",
        OptionKind::Path,
        "Folder with `core-site.xml` and `hdfs-site.xml`, for name services, security and defaults; without it `$HADOOP_CONF_DIR`",
    ),
    OptionSpec::optional(
        "config",
        OptionKind::Map,
        "Settings of the client by their Hadoop names; they count more than those in files",
    ),
    OptionSpec::optional(
        "user",
        OptionKind::Text,
        "Who the sink is without Kerberos, and on whose behalf it acts with it",
    ),
    OptionSpec::with_default(
        "kerberos",
        OptionKind::Block(KERBEROS),
        "",
        "Who the sink is on a secured cluster",
    ),
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
];

/// Everything the options say.
pub struct HdfsSettings {
    pub bucket: Settings,
    pub connection: ConnectionSettings,
    pub files: WriteOptions,
}

/// Reads a section.
pub fn settings(section: &Section, journal_folder: PathBuf) -> Result<HdfsSettings, Diagnostics> {
    let mut findings = Diagnostics::default();
    let (url, place) = place(section, &mut findings);
    let in_progress = in_progress(section, &mut findings);
    let suffix = suffix(section, &mut findings);
    let (serializer, compression) = file_type(section, &mut findings);
    let rule = time_rule(section).unwrap_or_else(|found| {
        findings.extend(found);
        TimeRule::default()
    });
    if !findings.is_empty() {
        return Err(findings);
    }
    let bucket = Settings {
        place,
        time_rule: rule,
        name_time: NameTime::Counter,
        suffix: format!("{suffix}{}", compression.extension()),
        in_progress,
        roll: roll_rules(section),
        serializer,
        compression,
        sync: if section.text("sync") == "roll" { SyncMode::Roll } else { SyncMode::Batch },
        open_files_max: section.count("max-open-files"),
        journal_folder,
    };
    Ok(HdfsSettings { bucket, connection: connection(section, url), files: files(section) })
}

fn connection(section: &Section, url: Option<String>) -> ConnectionSettings {
    let kerberos = section.block("kerberos");
    ConnectionSettings {
        url,
        folder: section.optional_path("hadoop-conf").map(PathBuf::from),
        overrides: section.map("config").to_vec(),
        user: section.optional_text("user").map(str::to_owned),
        principal: kerberos.and_then(|block| block.optional_text("principal")).map(str::to_owned),
        keytab: kerberos.and_then(|block| block.optional_path("keytab")).map(PathBuf::from),
        call_timeout: section.duration("call-timeout").max(Duration::from_millis(1)),
    }
}

fn files(section: &Section) -> WriteOptions {
    let copies = section.optional_integer("replication").and_then(|copies| u32::try_from(copies).ok());
    WriteOptions {
        replication: copies,
        block_size: section.optional_size("block-size").filter(|bytes| *bytes > 0),
        ..WriteOptions::default()
    }
}

/// The address, and folder and beginning of the name as one template.
fn place(section: &Section, findings: &mut Diagnostics) -> (Option<String>, Template) {
    let text = section.text("path");
    let (url, folder) = match text.split_once("://") {
        None => (None, text.to_owned()),
        Some((scheme, rest)) => {
            let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(format!("{scheme}://{host}")), format!("/{folder}"))
        }
    };
    let mistake = |text: String| {
        Diagnostic::error("hdfs::invalid-path", section.span_of("path"), text)
            .help("write `path \"hdfs://namenode:8020/logs/%Y-%m-%d\"`")
    };
    match &url {
        Some(url) if !url.starts_with("hdfs://") && !url.starts_with("viewfs://") => {
            findings.push(mistake(format!("{url} is not an address of HDFS")));
        }
        Some(url) if url.contains('%') => findings.push(mistake("an address has no escapes".to_owned())),
        Some(url) => {
            if let Err(error) = is_address(url) {
                findings.push(mistake(format!("{url}: {error}")));
            }
        }
        None => {}
    }
    if !folder.starts_with('/') {
        findings.push(mistake("a path on HDFS begins with `/`".to_owned()));
    }
    let mut parse = |option: &str, text: &str| {
        Template::parse(text, Target::Path).unwrap_or_else(|mistakes| {
            for mistake in mistakes {
                findings.push(Diagnostic::error("escape::invalid", section.span_of(option), mistake));
            }
            Template::literal("")
        })
    };
    let folder = parse("path", &format!("{}/", folder.trim_end_matches('/')));
    let prefix = parse("prefix", section.text("prefix"));
    if prefix.has_separator() {
        findings.push(invalid_name(section, "prefix", "a prefix cannot hold a `/`"));
    }
    (url, folder.followed_by(prefix))
}

fn invalid_name(section: &Section, option: &str, reason: &str) -> Diagnostic {
    Diagnostic::error("hdfs::invalid-name", section.span_of(option), reason)
}

const PART_BYTES_MAX: usize = 32;

fn is_part(text: &str) -> bool {
    text.len() <= PART_BYTES_MAX && !text.contains(['/', ':', '%', '\0', '\n'])
}

fn in_progress(section: &Section, findings: &mut Diagnostics) -> InProgress {
    let mut part = |option: &str| {
        let text = section.text(option);
        if !is_part(text) {
            findings.push(invalid_name(section, option, "at most 32 bytes, none of them `/`, `:` or `%`"));
        }
        text.to_owned()
    };
    let found = InProgress { prefix: part("in-use-prefix"), suffix: part("in-use-suffix") };
    if found.prefix.is_empty() && found.suffix.is_empty() {
        let reason = "files in progress need a prefix or a suffix that tells them from finished ones";
        findings.push(invalid_name(section, "in-use-suffix", reason).help("write `in-use-prefix \"_\"`"));
    }
    found
}

fn suffix(section: &Section, findings: &mut Diagnostics) -> String {
    let suffix = section.text("suffix");
    let in_use = section.text("in-use-suffix");
    if !is_part(suffix) {
        findings.push(invalid_name(section, "suffix", "at most 32 bytes, none of them `/`, `:` or `%`"));
    } else if !in_use.is_empty() && suffix.ends_with(in_use) {
        findings.push(invalid_name(section, "suffix", "it marks files in progress"));
    }
    suffix.to_owned()
}

/// What is written, and what compresses the file as a whole.
fn file_type(section: &Section, findings: &mut Diagnostics) -> (SerializerSpec, Compression) {
    let codec = match section.text("compression") {
        "deflate" => Some(HadoopCodec::Deflate),
        "gzip" => Some(HadoopCodec::Gzip),
        "bzip2" => Some(HadoopCodec::Bzip2),
        "zstd" => Some(HadoopCodec::Zstd),
        "snappy" => Some(HadoopCodec::Snappy),
        "lz4" => Some(HadoopCodec::Lz4),
        _ => None,
    };
    let mut mistake = |reason: &str, help: &str| {
        let span = section.span_of(if section.has("compression") { "compression" } else { "file-type" });
        findings.push(Diagnostic::error("hdfs::invalid-compression", span, reason).help(help));
    };
    let is_parquet = section.text("serializer") == "parquet";
    match section.text("file-type") {
        "data-stream" => {
            if codec.is_some() {
                let help = match is_parquet {
                    true => "write `parquet codec=\"zstd\"` instead",
                    false => "write `file-type \"compressed-stream\"`",
                };
                mistake("a data stream is not compressed", help);
            }
            (serializer_spec(section), Compression::None)
        }
        _ if is_parquet => {
            mistake("a Parquet file is a data stream", "write `file-type \"data-stream\"`");
            (serializer_spec(section), Compression::None)
        }
        "compressed-stream" => {
            let compression = match codec {
                Some(HadoopCodec::Gzip) => Compression::Gzip(6),
                Some(HadoopCodec::Zstd) => Compression::Zstd(3),
                Some(HadoopCodec::Bzip2) => Compression::Bzip2,
                Some(HadoopCodec::Snappy) => Compression::Snappy,
                Some(HadoopCodec::Lz4) => Compression::Lz4,
                Some(HadoopCodec::Deflate) | None => {
                    mistake("a compressed stream needs a codec of its own", "write `compression \"gzip\"`");
                    Compression::None
                }
            };
            (serializer_spec(section), compression)
        }
        _ => {
            let value = match section.text("write-format") {
                "text" => SequenceValue::Text,
                _ => SequenceValue::Bytes,
            };
            let packing = match (codec, section.text("sequence-compression")) {
                (None, _) => SequencePacking::None,
                (Some(codec), "record") => SequencePacking::Record(codec),
                (Some(codec), _) => SequencePacking::Block(codec),
            };
            (SerializerSpec::Sequence { value, packing }, Compression::None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use millrace_components::bucket::Compression;
    use millrace_testkit::section;

    use super::{OPTIONS, settings};

    /// What is wrong with these options.
    fn mistakes(options: &str) -> Vec<String> {
        let section = section(OPTIONS, &format!("hdfs \"out\" {{ {options} }}"));
        match settings(&section, PathBuf::new()) {
            Ok(_) => Vec::new(),
            Err(found) => found.iter().map(|one| one.code.to_string()).collect(),
        }
    }

    #[test]
    fn mistakes_are_found_without_a_cluster() {
        let path = "path \"hdfs://nn:8020/logs\"";
        for (options, expected) in [
            (path.to_owned(), &[][..]),
            ("path \"/logs/%{host}\"".to_owned(), &[]),
            ("path \"s3://bucket/logs\"".to_owned(), &["hdfs::invalid-path"]),
            ("path \"hdfs:///logs\"".to_owned(), &["hdfs::invalid-path"]),
            ("path \"hdfs://%{host}:1/logs\"".to_owned(), &["hdfs::invalid-path"]),
            ("path \"logs\"".to_owned(), &["hdfs::invalid-path"]),
            (format!("{path}; in-use-suffix \"\""), &["hdfs::invalid-name"]),
            (format!("{path}; in-use-suffix \"\"; in-use-prefix \"_\""), &[]),
            (format!("{path}; suffix \".tmp\""), &["hdfs::invalid-name"]),
            (format!("{path}; prefix \"a/b\""), &["hdfs::invalid-name"]),
            (
                format!("{path}; file-type \"data-stream\"; compression \"gzip\""),
                &["hdfs::invalid-compression"],
            ),
            (format!("{path}; file-type \"compressed-stream\""), &["hdfs::invalid-compression"]),
            (format!("{path}; file-type \"data-stream\"; serializer \"parquet\""), &[]),
            (format!("{path}; serializer \"parquet\""), &["hdfs::invalid-compression"]),
            (
                format!(
                    "{path}; file-type \"compressed-stream\"; serializer \"parquet\"; compression \"zstd\""
                ),
                &["hdfs::invalid-compression"],
            ),
        ] {
            assert_eq!(mistakes(&options), expected, "{options}");
        }
    }

    #[test]
    fn an_address_is_told_from_the_path_and_the_codec_ends_the_name() {
        let options = "path \"hdfs://lake/logs/%Y\"; file-type \"compressed-stream\"; compression \"lz4\"; suffix \".log\"";
        let section = section(OPTIONS, &format!("hdfs \"out\" {{ {options} }}"));
        let found = settings(&section, PathBuf::new()).ok().unwrap();
        assert_eq!(found.connection.url.as_deref(), Some("hdfs://lake"));
        assert_eq!((found.bucket.suffix.as_str(), found.bucket.compression), (".log.lz4", Compression::Lz4));
    }
}
