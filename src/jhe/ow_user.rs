//! JHE's own module for OW: it makes the OW user, and notes it at its user.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::read;
use crate::model::patient::OwUser;

/// What JHE says where its module for OW is not set up.
const NOT_CONFIGURED: &str = "not configured";

/// What became of the request for an OW user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// JHE's user names this OW user.
    User(OwUser),
    /// JHE has no OW of its own.
    NotConfigured,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    ow_user_id: String,
}

impl Jhe {
    /// Has JHE find or make the OW user of the patient whose token it is. The same each time.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn make_ow_user(&self, access: &SecretString) -> Result<Made, JheError> {
        let url = self.http.url(&["api", "v1", "ow", "users"])?;
        match self.call(Who::Person(access), Method::POST, url, None).await {
            Ok(body) => read::<Body>(&body)?.ow_user_id.parse().map(Made::User).map_err(JheError::Wrong),
            Err(JheError::Rejected { status: 500, what }) if what.contains(NOT_CONFIGURED) => {
                Ok(Made::NotConfigured)
            }
            Err(error) => Err(error),
        }
    }
}
