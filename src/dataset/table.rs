//! Tables, their columns and cells, independent of the file format.

use jiff::civil::Date;
use uuid::Uuid;

use crate::common::time::Timestamp;

/// The type of a column, in the words of Frictionless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    String,
    /// A string of few different values.
    Category,
    Number,
    Integer,
    Boolean,
    /// An instant in UTC, with six digits of fraction and `Z`.
    Instant,
    /// A date-time without offset, with six digits of fraction.
    LocalTime,
    Date,
    /// A UUID in its usual form.
    Identifier,
}

/// A column and its entry in the data dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    pub title: String,
    pub description: String,
    /// UCUM or the schema's own unit; none for a column without one.
    pub unit: Option<String>,
    /// The code of an observation, as `system|code`.
    pub code: Option<String>,
    /// The LOINC code of an observation, if there is one.
    pub loinc: Option<&'static str>,
    /// True if each row has a value.
    pub required: bool,
}

/// A table of the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name of the file without its ending.
    pub name: String,
    pub title: String,
    pub description: String,
    pub columns: Vec<Column>,
    pub primary_key: Vec<&'static str>,
    /// True if an increment holds the whole table and replaces the earlier one.
    pub is_replaced: bool,
}

/// A table that is written.
#[derive(Debug)]
pub struct WrittenTable {
    pub(crate) table: Table,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(&'a str),
    Number(f64),
    Integer(i64),
    Boolean(bool),
    /// Microseconds since 1970-01-01, in UTC or on a local clock: the column says which.
    Micros(i64),
    Date(Date),
    Identifier(Uuid),
}

impl<'a> Cell<'a> {
    /// Returns an empty cell for an empty text.
    pub fn text(text: &'a str) -> Self {
        if text.is_empty() { Self::Null } else { Self::Text(text) }
    }

    pub fn number(number: Option<f64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }

    pub fn instant(instant: Option<Timestamp>) -> Self {
        instant.map_or(Self::Null, |instant| Self::Micros(instant.micros()))
    }
}

/// A place for the tables of a data set.
pub trait Sink {
    /// Begins a table.
    fn open(&mut self, table: &Table) -> std::io::Result<Box<dyn TableWriter>>;
}

/// A writer of one table.
pub trait TableWriter {
    /// Writes a row with one cell for each column.
    fn write(&mut self, row: &[Cell<'_>]) -> std::io::Result<()>;

    /// Writes what is buffered and closes the file. Returns the number of its bytes.
    fn finish(self: Box<Self>) -> std::io::Result<u64>;
}
