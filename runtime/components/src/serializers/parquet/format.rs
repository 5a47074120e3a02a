//! Row groups and metadata as Parquet defines them.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, GzipLevel, ZstdLevel},
    data_type::{ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData},
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
        writer::{SerializedRowGroupWriter, TrackedWrite},
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnPath, SchemaDescPtr, SchemaDescriptor},
    },
};

use super::{Columns, ParquetBody, ParquetCodec, ParquetSpec};

const ZSTD_LEVEL: i32 = 3;

/// What all row groups of a file share.
pub struct Format {
    schema: SchemaDescPtr,
    properties: WriterPropertiesPtr,
}

impl Format {
    pub fn new(spec: ParquetSpec) -> Result<Self, ParquetError> {
        let body = match spec.body {
            ParquetBody::Binary => "required binary body",
            ParquetBody::String => "required binary body (STRING)",
        };
        let schema = parse_message_type(&format!(
            "message event {{
                optional int64 timestamp (TIMESTAMP(MILLIS,true));
                required group headers (MAP) {{
                    repeated group key_value {{
                        required binary key (STRING);
                        required binary value (STRING);
                    }}
                }}
                {body};
            }}"
        ))?;
        let codec = match spec.codec {
            ParquetCodec::None => Compression::UNCOMPRESSED,
            ParquetCodec::Snappy => Compression::SNAPPY,
            ParquetCodec::Gzip => Compression::GZIP(GzipLevel::default()),
            ParquetCodec::Lz4 => Compression::LZ4_RAW,
            ParquetCodec::Zstd => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        };
        // Headers repeat, bodies and times do not. Readers skip row groups by time; the least and greatest of the others
        // would make the metadata longer, which is written again and again.
        let properties = WriterProperties::builder()
            .set_created_by(concat!("millrace version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(codec)
            .set_dictionary_enabled(true)
            .set_column_dictionary_enabled(ColumnPath::from("timestamp"), false)
            .set_column_dictionary_enabled(ColumnPath::from("body"), false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("timestamp"), EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            schema: Arc::new(SchemaDescriptor::new(Arc::new(schema))),
            properties: Arc::new(properties),
        })
    }

    /// Appends a row group to an output that will be written to this place of a file.
    pub fn append_row_group(
        &self,
        columns: &Columns,
        place: u64,
        output: &mut Vec<u8>,
    ) -> Result<RowGroupMetaData, ParquetError> {
        let start = place + output.len() as u64;
        let mut tracked = TrackedWrite::new(output);
        let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
        let mut group = SerializedRowGroupWriter::new(schema, properties, &mut tracked, 0, None);
        let headers = (Some(columns.header_levels.as_slice()), Some(columns.header_repetitions.as_slice()));
        for number in 0_usize.. {
            let Some(mut column) = group.next_column()? else { break };
            let _values = match number {
                0 => {
                    let levels = Some(columns.time_levels.as_slice());
                    column.typed::<Int64Type>().write_batch(&columns.times, levels, None)?
                }
                1 => column.typed::<ByteArrayType>().write_batch(&columns.names, headers.0, headers.1)?,
                2 => column.typed::<ByteArrayType>().write_batch(&columns.values, headers.0, headers.1)?,
                _ => column.typed::<ByteArrayType>().write_batch(&columns.bodies, None, None)?,
            };
            column.close()?;
        }
        let metadata = group.close()?;
        tracked.flush()?;
        moved(RowGroupMetaData::clone(&metadata), start)
    }

    /// Appends what stands at the end of a file with these row groups.
    pub fn append_metadata<'a>(
        &self,
        groups: impl Iterator<Item = &'a RowGroupMetaData>,
        output: &mut Vec<u8>,
    ) -> Result<(), ParquetError> {
        let groups = (0_i32..).zip(groups);
        let groups = groups.map(|(ordinal, group)| group.clone().into_builder().set_ordinal(ordinal).build());
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        let rows = groups.iter().map(RowGroupMetaData::num_rows).sum();
        let file = FileMetaData::new(
            self.properties.writer_version().as_num(),
            rows,
            Some(self.properties.created_by().to_owned()),
            None,
            Arc::clone(&self.schema),
            None,
        );
        ParquetMetaDataWriter::new(output, &ParquetMetaData::new(file, groups)).finish()
    }
}

/// A row group that was written at 0 and stands here.
fn moved(mut group: RowGroupMetaData, start: u64) -> Result<RowGroupMetaData, ParquetError> {
    let start = i64::try_from(start).map_err(|_| ParquetError::General("the file is too long".to_owned()))?;
    for column in group.columns_mut() {
        let data = column.data_page_offset() + start;
        let dictionary = column.dictionary_page_offset().map(|offset| offset + start);
        let builder = column.clone().into_builder();
        *column = builder.set_data_page_offset(data).set_dictionary_page_offset(dictionary).build()?;
    }
    group.into_builder().set_file_offset(start).build()
}
