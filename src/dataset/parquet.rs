//! Writes a table as Parquet.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use jiff::civil::Date;
use parquet::basic::{
    Compression, Encoding, GzipLevel, LogicalType, Repetition, TimeUnit, Type as PhysicalType,
};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};
use uuid::Uuid;

use crate::dataset::table::{Cell, Column, ColumnType, Table, TableWriter};

/// Rows of a row group. Two are in memory, some 3 MB each: one that is filled and one that is encoded.
const GROUP_ROWS: usize = 16 * 1024;
/// Equal texts that are given to the encoder at once.
const BATCH: usize = 1024;
/// The fastest level: a higher one gains little on identifiers.
const GZIP: u32 = 1;

/// A Parquet file that is being written. A thread encodes each full row group while the next one is filled.
pub struct ParquetWriter {
    columns: Vec<ColumnBuffer>,
    empty: Vec<ColumnBuffer>,
    rows: usize,
    /// None after it ended.
    encoder: Option<Encoder>,
}

struct Encoder {
    groups: SyncSender<Vec<ColumnBuffer>>,
    /// Ends with the number of bytes of the file.
    thread: JoinHandle<Result<u64, ParquetError>>,
}

/// The values of a column in one row group.
#[derive(Clone)]
struct ColumnBuffer {
    values: Values,
    /// 1 for a value and 0 for an empty cell; empty for a required column.
    levels: Vec<i16>,
    is_required: bool,
}

#[derive(Clone)]
enum Values {
    Integers(Vec<i64>),
    Days(Vec<i32>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Identifiers(Vec<Uuid>),
    /// Each text, or none for an empty cell, with the number of rows that repeat it.
    Texts(Vec<(Option<String>, usize)>),
}

impl ParquetWriter {
    /// Begins a file.
    pub fn new(file: File, table: &Table) -> std::io::Result<Self> {
        let fields = table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_, _>>();
        let schema = fields.and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build());
        let schema = Arc::new(schema.map_err(io_error)?);
        let properties = Arc::new(properties(&table.columns)?);
        let mut file = SerializedFileWriter::new(file, schema, properties).map_err(io_error)?;
        let (groups, received) = sync_channel::<Vec<ColumnBuffer>>(0);
        let thread = std::thread::Builder::new().name("parquet".to_owned()).spawn(move || {
            received.iter().try_for_each(|columns| write_group(&mut file, &columns))?;
            Ok(file.into_inner()?.metadata()?.len())
        })?;
        let columns: Vec<_> = table.columns.iter().map(ColumnBuffer::new).collect();
        Ok(Self { empty: columns.clone(), columns, rows: 0, encoder: Some(Encoder { groups, thread }) })
    }

    /// Gives the rows to the encoder. Fails if it ended with an error.
    fn send_group(&mut self) -> std::io::Result<()> {
        let full = std::mem::replace(&mut self.columns, self.empty.clone());
        self.rows = 0;
        match &self.encoder {
            Some(encoder) if encoder.groups.send(full).is_ok() => Ok(()),
            _ => self.close().map(|_| ()),
        }
    }

    /// Waits for the encoder. Returns the number of bytes of the file.
    fn close(&mut self) -> std::io::Result<u64> {
        let ended = || std::io::Error::other("the Parquet encoder ended");
        let Encoder { groups, thread } = self.encoder.take().ok_or_else(ended)?;
        drop(groups);
        thread.join().map_err(|_| ended())?.map_err(io_error)
    }
}

impl TableWriter for ParquetWriter {
    fn write(&mut self, row: &[Cell<'_>]) -> std::io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.push(*cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS { self.send_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<u64> {
        if self.rows > 0 {
            self.send_group()?;
        }
        self.close()
    }
}

fn write_group(file: &mut SerializedFileWriter<File>, columns: &[ColumnBuffer]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    let mut columns = columns.iter();
    while let (Some(mut writer), Some(column)) = (group.next_column()?, columns.next()) {
        let levels = (!column.is_required).then_some(column.levels.as_slice());
        match (writer.untyped(), &column.values) {
            (ColumnWriter::Int64ColumnWriter(writer), Values::Integers(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::Int32ColumnWriter(writer), Values::Days(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Numbers(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Booleans(values)) => {
                writer.write_batch(values, levels, None)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Identifiers(values)) => {
                writer.write_batch(&identifier_texts(values), levels, None)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => {
                write_texts(writer, values, column.is_required)?;
            }
            _ => return Err(ParquetError::General("a column has another type than its values".to_owned())),
        }
        writer.close()?;
    }
    group.close()?;
    Ok(())
}

/// Returns the usual form of each identifier, all in one allocation.
fn identifier_texts(identifiers: &[Uuid]) -> Vec<ByteArray> {
    let length = uuid::fmt::Hyphenated::LENGTH;
    let mut text = vec![0; identifiers.len() * length];
    for (identifier, text) in identifiers.iter().zip(text.chunks_exact_mut(length)) {
        identifier.hyphenated().encode_lower(text);
    }
    let text = Bytes::from(text);
    (0..identifiers.len()).map(|index| text.slice(index * length..(index + 1) * length).into()).collect()
}

/// Writes texts with few changes from row to row.
fn write_texts(
    writer: &mut ColumnWriterImpl<'_, ByteArrayType>,
    runs: &[(Option<String>, usize)],
    is_required: bool,
) -> Result<(), ParquetError> {
    for (text, count) in runs {
        let batch = (*count).min(BATCH);
        let texts = text.iter().flat_map(|text| std::iter::repeat_n(ByteArray::from(text.as_str()), batch));
        let texts: Vec<_> = texts.collect();
        let levels = vec![i16::from(text.is_some()); batch];
        let mut left = *count;
        while left > 0 {
            let rows = left.min(BATCH);
            let levels = (!is_required).then_some(&levels[..rows]);
            writer.write_batch(&texts[..rows.min(texts.len())], levels, None)?;
            left -= rows;
        }
    }
    Ok(())
}

impl ColumnBuffer {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            ColumnType::String | ColumnType::Category => Values::Texts(Vec::new()),
            ColumnType::Identifier => Values::Identifiers(Vec::new()),
            ColumnType::Number => Values::Numbers(Vec::new()),
            ColumnType::Boolean => Values::Booleans(Vec::new()),
            ColumnType::Date => Values::Days(Vec::new()),
            ColumnType::Integer | ColumnType::Instant | ColumnType::LocalTime => Values::Integers(Vec::new()),
        };
        Self { values, levels: Vec::new(), is_required: column.required }
    }

    fn push(&mut self, cell: Cell<'_>) -> std::io::Result<()> {
        match (&mut self.values, cell) {
            (Values::Texts(runs), Cell::Null) if !self.is_required => push_text(runs, None),
            (Values::Texts(runs), Cell::Text(text)) => push_text(runs, Some(text)),
            (_, Cell::Null) if !self.is_required => {
                self.levels.push(0);
                return Ok(());
            }
            (Values::Integers(values), Cell::Integer(number) | Cell::Micros(number)) => values.push(number),
            (Values::Numbers(values), Cell::Number(number)) => values.push(number),
            (Values::Booleans(values), Cell::Boolean(is)) => values.push(is),
            (Values::Days(values), Cell::Date(date)) => values.push(days_since_1970(date)),
            (Values::Identifiers(values), Cell::Identifier(uuid)) => values.push(uuid),
            _ => return Err(std::io::Error::other("a cell has another type than its column")),
        }
        if !self.is_required {
            self.levels.push(1);
        }
        Ok(())
    }
}

/// Adds a text to its predecessors, or counts it once more.
fn push_text(runs: &mut Vec<(Option<String>, usize)>, text: Option<&str>) {
    match runs.last_mut() {
        Some((last, count)) if last.as_deref() == text => *count += 1,
        _ => runs.push((text.map(str::to_owned), 1)),
    }
}

/// Returns the error of the file system within, such as a full disk.
fn io_error(error: ParquetError) -> std::io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast() {
            Ok(cause) => *cause,
            Err(cause) => std::io::Error::other(cause),
        },
        error => std::io::Error::other(error),
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
    let level = GzipLevel::try_new(GZIP).map_err(io_error)?;
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
