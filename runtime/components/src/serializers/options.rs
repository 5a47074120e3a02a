//! The options that choose a serializer.

use millrace_config::{OptionKind, OptionSpec, Section};

use super::{AvroCodec, ParquetBody, ParquetCodec, ParquetSpec, SerializerSpec};

/// `serializer "json"`.
pub const SERIALIZER: OptionSpec = OptionSpec::with_default(
    "serializer",
    OptionKind::Choice(&["text", "header-and-text", "json", "avro-event", "parquet"]),
    "text",
    "How events are written: bodies, headers and bodies, JSON lines, an Avro container, a Parquet file",
);

/// `append-newline #false`.
pub const APPEND_NEWLINE: OptionSpec = OptionSpec::with_default(
    "append-newline",
    OptionKind::Boolean,
    "#true",
    "Whether `text` and `header-and-text` end each event with a newline",
);

const AVRO_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "codec",
        OptionKind::Choice(&["null", "deflate", "snappy", "zstandard"]),
        "null",
        "Compression of the blocks",
    ),
    OptionSpec::with_default(
        "sync-interval",
        OptionKind::Size,
        "2048000",
        "Size at which a block ends; the end of a batch ends one too",
    ),
];

/// `avro codec="zstandard"`.
pub const AVRO: OptionSpec = OptionSpec::with_default(
    "avro",
    OptionKind::Block(AVRO_OPTIONS),
    "",
    "What `avro-event` makes of its container",
);

const PARQUET_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "codec",
        OptionKind::Choice(&["none", "snappy", "gzip", "lz4", "zstd"]),
        "snappy",
        "Compression of the columns; `lz4` is `LZ4_RAW`",
    ),
    OptionSpec::with_default(
        "body",
        OptionKind::Choice(&["binary", "string"]),
        "binary",
        "The type of the column `body`; in a `string` bytes that are not UTF-8 are replaced by U+FFFD",
    ),
    OptionSpec::with_default(
        "row-group-size",
        OptionKind::Size,
        "64MiB",
        "Size at which a row group ends, before compression; the end of a batch ends one too",
    ),
    OptionSpec::with_default(
        "max-row-groups",
        OptionKind::Integer { min: 1, max: 10_000 },
        "128",
        "Row groups with which a file is finished, since each batch writes anew where all of them are; batches of up to \
         512 KiB are merged, larger ones are row groups of their own",
    ),
];

/// `parquet codec="zstd"`.
pub const PARQUET: OptionSpec = OptionSpec::with_default(
    "parquet",
    OptionKind::Block(PARQUET_OPTIONS),
    "",
    "What `parquet` makes of its file: columns `timestamp`, `headers` (a map of strings) and `body`",
);

/// Reads the options above; `avro` and `parquet` only where the component offers them.
pub fn serializer_spec(section: &Section) -> SerializerSpec {
    let append_newline = || section.boolean(APPEND_NEWLINE.name);
    match section.text(SERIALIZER.name) {
        "header-and-text" => SerializerSpec::HeaderAndText { append_newline: append_newline() },
        "json" => SerializerSpec::Json,
        "avro-event" => {
            let avro = section.block(AVRO.name);
            let codec = avro.and_then(|avro| AvroCodec::of(avro.text("codec")));
            let interval = avro.map_or(0, |avro| avro.size("sync-interval"));
            SerializerSpec::AvroEvent {
                codec: codec.unwrap_or(AvroCodec::Null),
                sync_interval: usize::try_from(interval).unwrap_or(usize::MAX),
            }
        }
        "parquet" => SerializerSpec::Parquet(parquet_spec(section)),
        _ => SerializerSpec::Text { append_newline: append_newline() },
    }
}

fn parquet_spec(section: &Section) -> ParquetSpec {
    let parquet = section.block(PARQUET.name);
    let bytes = parquet.map_or(u64::MAX, |parquet| parquet.size("row-group-size"));
    ParquetSpec {
        codec: match parquet.map_or("", |parquet| parquet.text("codec")) {
            "none" => ParquetCodec::None,
            "gzip" => ParquetCodec::Gzip,
            "lz4" => ParquetCodec::Lz4,
            "zstd" => ParquetCodec::Zstd,
            _ => ParquetCodec::Snappy,
        },
        body: match parquet.map_or("", |parquet| parquet.text("body")) {
            "string" => ParquetBody::String,
            _ => ParquetBody::Binary,
        },
        row_group_bytes_max: usize::try_from(bytes).unwrap_or(usize::MAX),
        row_groups_max: parquet.map_or(usize::MAX, |parquet| parquet.count("max-row-groups")),
    }
}
