//! The data set of a study for researchers: a Frictionless Data Package of tables as CSV or Parquet, with a data
//! dictionary. `export` walks the participants, `columns` is the dictionary, `csv` and `parquet` write tables.

mod cells;
pub mod columns;
pub mod csv;
pub mod days;
mod device;
pub mod export;
mod night;
mod package;
pub mod parquet;
mod readme;
pub mod request;
mod rows;
pub(crate) mod study_columns;
pub mod table;
