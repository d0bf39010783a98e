//! JHE's own module for OW: it creates OW users and records them at its users.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use crate::jhe::client::{Caller, Jhe};
use crate::jhe::{error::JheError, http::parse};
use crate::model::patient::OwUser;

/// Part of JHE's error text if its module for OW is not set up.
const NOT_CONFIGURED: &str = "not configured";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwUserOutcome {
    /// JHE's user refers to this OW user.
    User(OwUser),
    /// JHE has no OW of its own.
    NotConfigured,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwUserResponse {
    ow_user_id: String,
}

impl Jhe {
    /// Has JHE find or create the OW user of the patient who owns the token. Each call returns the same user.
    pub async fn create_ow_user(&self, access: &SecretString) -> Result<OwUserOutcome, JheError> {
        let url = self.http.url(&["api", "v1", "ow", "users"])?;
        match self.call(Caller::Person(access), Method::POST, url, None).await {
            Ok(body) => {
                let user = parse::<OwUserResponse>(&body)?.ow_user_id.parse();
                user.map(OwUserOutcome::User).map_err(JheError::InvalidResponse)
            }
            Err(JheError::Rejected { status: 500, message, .. }) if message.contains(NOT_CONFIGURED) => {
                Ok(OwUserOutcome::NotConfigured)
            }
            Err(error) => Err(error),
        }
    }
}
