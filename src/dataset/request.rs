//! The data set that is asked for.

use crate::common::time::Timestamp;
use crate::dataset::table::{Table, WrittenTable};
use crate::model::{account::VisibleTo, study::StudyId};
use crate::store::samples::dataset::Commit;

/// The file format of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
}

impl Format {
    pub(crate) fn file_name(self, table: &Table) -> String {
        let ending = match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        };
        format!("{}.{ending}", table.name)
    }
}

/// The data set to write.
#[derive(Debug, Clone)]
pub struct Request {
    pub study: StudyId,
    pub study_name: String,
    pub format: Format,
    pub now: Timestamp,
    /// The account that takes the data set: only its patients are written.
    pub visible_to: VisibleTo,
    /// The last commit of an earlier data set: only what came or changed since is written.
    pub since: Option<i64>,
}

/// The contents of a description.
pub(crate) struct Description<'a> {
    pub(crate) request: &'a Request,
    pub(crate) last: Commit,
    pub(crate) tables: &'a [WrittenTable],
}
