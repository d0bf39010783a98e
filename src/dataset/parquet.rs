//! Writes a table as Parquet.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use jiff::civil::Date;
use parquet::basic::{
    Compression, Encoding, GzipLevel, LogicalType, Repetition, TimeUnit, Type as PhysicalType,
};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use crate::dataset::table::{Cell, Column, ColumnType, Table, TableWriter};

/// Rows of a row group: the writer holds one in memory, some 5 MB.
const GROUP_ROWS: usize = 16 * 1024;
/// The fastest level: a higher one gains little on identifiers.
const GZIP: u32 = 1;

/// A Parquet file that is being written.
pub struct ParquetWriter {
    file: SerializedFileWriter<File>,
    columns: Vec<ColumnBuffer>,
    rows: usize,
    /// The texts of categories, which repeat in most rows.
    texts: HashMap<String, ByteArray>,
}

/// The values of a column in the current row group.
struct ColumnBuffer {
    values: Values,
    /// 1 for a value and 0 for an empty cell; empty for a required column.
    levels: Vec<i16>,
    is_required: bool,
    /// The last text: most rows repeat it.
    last: Option<ByteArray>,
}

enum Values {
    Integers(Vec<i64>),
    Days(Vec<i32>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<ByteArray>),
}

impl ParquetWriter {
    /// Begins a file.
    pub fn new(file: File, table: &Table) -> std::io::Result<Self> {
        let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_, _>>();
        let schema = fields.and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build());
        let schema = Arc::new(schema.map_err(std::io::Error::other)?);
        let properties = Arc::new(properties(&table.columns)?);
        let file = SerializedFileWriter::new(file, schema, properties).map_err(std::io::Error::other)?;
        let columns = table.columns.iter().map(ColumnBuffer::new).collect();
        Ok(Self { file, columns, rows: 0, texts: HashMap::new() })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let mut columns = self.columns.iter_mut();
        while let (Some(mut writer), Some(column)) = (group.next_column()?, columns.next()) {
            let levels = (!column.is_required).then_some(column.levels.as_slice());
            match (writer.untyped(), &column.values) {
                (ColumnWriter::Int64ColumnWriter(writer), Values::Integers(values)) => {
                    writer.write_batch(values, levels, None)?
                }
                (ColumnWriter::Int32ColumnWriter(writer), Values::Days(values)) => {
                    writer.write_batch(values, levels, None)?
                }
                (ColumnWriter::DoubleColumnWriter(writer), Values::Numbers(values)) => {
                    writer.write_batch(values, levels, None)?
                }
                (ColumnWriter::BoolColumnWriter(writer), Values::Booleans(values)) => {
                    writer.write_batch(values, levels, None)?
                }
                (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => {
                    writer.write_batch(values, levels, None)?
                }
                _ => {
                    return Err(ParquetError::General(
                        "a column has another type than its values".to_owned(),
                    ));
                }
            };
            writer.close()?;
            column.clear();
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl TableWriter for ParquetWriter {
    fn write(&mut self, row: &[Cell<'_>]) -> std::io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.push(*cell, &mut self.texts)?;
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS { self.write_group().map_err(std::io::Error::other) } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<u64> {
        self.write_group().map_err(std::io::Error::other)?;
        let file = self.file.into_inner().map_err(std::io::Error::other)?;
        Ok(file.metadata()?.len())
    }
}

impl ColumnBuffer {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            ColumnType::String | ColumnType::Category | ColumnType::Identifier => Values::Texts(Vec::new()),
            ColumnType::Number => Values::Numbers(Vec::new()),
            ColumnType::Boolean => Values::Booleans(Vec::new()),
            ColumnType::Date => Values::Days(Vec::new()),
            ColumnType::Integer | ColumnType::Instant | ColumnType::LocalTime => Values::Integers(Vec::new()),
        };
        Self { values, levels: Vec::new(), is_required: column.required, last: None }
    }

    fn push(&mut self, cell: Cell<'_>, texts: &mut HashMap<String, ByteArray>) -> std::io::Result<()> {
        match (&mut self.values, cell) {
            (_, Cell::Null) if !self.is_required => {
                self.levels.push(0);
                return Ok(());
            }
            (Values::Integers(values), Cell::Integer(number) | Cell::Micros(number)) => values.push(number),
            (Values::Numbers(values), Cell::Number(number)) => values.push(number),
            (Values::Booleans(values), Cell::Boolean(is)) => values.push(is),
            (Values::Days(values), Cell::Date(date)) => values.push(days_since_1970(date)),
            (Values::Texts(values), Cell::Text(text)) => {
                if self.last.as_ref().is_none_or(|last| last.data() != text.as_bytes()) {
                    if !texts.contains_key(text) {
                        texts.insert(text.to_owned(), ByteArray::from(text));
                    }
                    self.last = texts.get(text).cloned();
                }
                values.extend(self.last.clone());
            }
            (Values::Texts(values), Cell::Identifier(uuid)) => {
                let mut text = vec![0; uuid::fmt::Hyphenated::LENGTH];
                uuid.hyphenated().encode_lower(&mut text);
                values.push(ByteArray::from(text));
            }
            _ => return Err(std::io::Error::other("a cell has another type than its column")),
        }
        if !self.is_required {
            self.levels.push(1);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.values {
            Values::Integers(values) => values.clear(),
            Values::Days(values) => values.clear(),
            Values::Numbers(values) => values.clear(),
            Values::Booleans(values) => values.clear(),
            Values::Texts(values) => values.clear(),
        }
    }
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let micros = |is_utc| LogicalType::timestamp(is_utc, TimeUnit::MICROS);
    let (physical, logical) = match column.kind {
        ColumnType::String | ColumnType::Category | ColumnType::Identifier => {
            (PhysicalType::BYTE_ARRAY, Some(LogicalType::String))
        }
        ColumnType::Number => (PhysicalType::DOUBLE, None),
        ColumnType::Integer => (PhysicalType::INT64, None),
        ColumnType::Boolean => (PhysicalType::BOOLEAN, None),
        ColumnType::Instant => (PhysicalType::INT64, Some(micros(true))),
        ColumnType::LocalTime => (PhysicalType::INT64, Some(micros(false))),
        ColumnType::Date => (PhysicalType::INT32, Some(LogicalType::Date)),
    };
    let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
}

fn properties(columns: &[Column]) -> std::io::Result<WriterProperties> {
    let level = GzipLevel::try_new(GZIP).map_err(std::io::Error::other)?;
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_compression(Compression::GZIP(level))
        .set_created_by(concat!("jhe-ow ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in columns {
        let path = ColumnPath::from(column.name.as_str());
        builder = match column.kind {
            // Times and commits grow slowly from row to row.
            ColumnType::Integer | ColumnType::Instant | ColumnType::LocalTime => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            ColumnType::Identifier | ColumnType::String => builder.set_column_dictionary_enabled(path, false),
            _ => builder,
        };
    }
    Ok(builder.build())
}

fn days_since_1970(date: Date) -> i32 {
    date.since(jiff::civil::date(1970, 1, 1)).map_or(0, |span| span.get_days())
}
