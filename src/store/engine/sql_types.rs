//! Conversions between the project's own types and SQLite columns.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Error, ToSql};

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::account::{AccountId, Role, VisibleTo};
use crate::model::mail::{MailKind, MailState};
use crate::model::patient::{OwUser, PatientId};
use crate::model::{activity_context::ActivityContext, sample_details::SampleDetails, study::StudyId};
use crate::secrets::token::TokenHash;

/// Implements both directions for one type: the value to write, and the result of reading.
macro_rules! column {
    ($type:ty, $this:ident => $write:expr, $value:ident => $read:expr) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let $this = self;
                Ok($write.into())
            }
        }

        impl FromSql for $type {
            fn column_result($value: ValueRef<'_>) -> FromSqlResult<Self> {
                $read
            }
        }
    };
}

column!(Timestamp, at => at.micros(), value => value.as_i64().map(Self::from_micros));
column!(ZoneOffset, offset => offset.minutes(), value => {
    let minutes = value.as_i64()?;
    Self::from_minutes(minutes).ok_or(FromSqlError::OutOfRange(minutes))
});
column!(ActivityContext, context => context.number(), value => value.as_i64().map(Self::from_number));
column!(
    SampleDetails,
    details => serde_json::to_string(details).map_err(|error| Error::ToSqlConversionFailure(error.into()))?,
    value => serde_json::from_str(value.as_str()?).map_err(|error| FromSqlError::Other(error.into()))
);
column!(PatientId, id => id.get(), value => value.as_i64().map(Self::new));
column!(OwUser, user => user.as_str(), value => parse(value));
column!(TokenHash, hash => hash.0.as_slice(), value => <[u8; 32]>::column_result(value).map(Self));
column!(AccountId, id => id.0, value => value.as_i64().map(Self));
column!(StudyId, id => id.0, value => value.as_i64().map(Self));
column!(Role, role => role.as_str(), value => parse(value));
column!(MailKind, kind => kind.as_str(), value => parse(value));
column!(MailState, state => state.as_str(), value => parse(value));

fn parse<T: std::str::FromStr<Err = String>>(value: ValueRef<'_>) -> FromSqlResult<T> {
    value.as_str()?.parse().map_err(|error: String| FromSqlError::Other(error.into()))
}

/// NULL for everybody, otherwise the account's id, as the conditions of [`crate::store::people::visibility`]
/// expect.
impl ToSql for VisibleTo {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Everybody => Ok(rusqlite::types::Null.into()),
            Self::Account(id) => id.to_sql(),
        }
    }
}
