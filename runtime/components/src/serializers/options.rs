//! The options that choose a serializer.

use millrace_config::{OptionKind, OptionSpec, Section};

use super::{AvroCodec, SerializerSpec};

/// `serializer "json"`.
pub const SERIALIZER: OptionSpec = OptionSpec::with_default(
    "serializer",
    OptionKind::Choice(&["text", "header-and-text", "json", "avro-event"]),
    "text",
    "How events are written: bodies, headers and bodies, JSON lines, an Avro container",
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

/// Reads the options above; `avro` only where the component offers it.
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
        _ => SerializerSpec::Text { append_newline: append_newline() },
    }
}
