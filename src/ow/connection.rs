//! A user's connection to a provider, as OW lists it.

use serde::Deserialize;

use crate::common::time::Timestamp;
use crate::model::patient::OwUser;

/// Bytes of a provider's name. OW's are short words; every connection would be stored with a longer one.
const LONGEST_PROVIDER: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderConnection {
    /// The OW user that the connection belongs to.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The provider's name in OW's paths.
    pub provider: String,
    /// `active`, or another word of OW's such as `revoked`.
    pub status: String,
    #[serde(default)]
    pub last_synced_at: Option<String>,
    /// OW fetches the data itself. Older versions of OW have only this, newer ones `live_sync_mode`.
    #[serde(default)]
    pub rest_pull: bool,
    /// `pull` or `webhook`.
    #[serde(default)]
    pub live_sync_mode: Option<String>,
}

impl ProviderConnection {
    /// Returns true if OW says that the connection belongs to another user.
    pub fn is_of_another(&self, user: &OwUser) -> bool {
        self.user_id.as_deref().is_some_and(|id| !id.eq_ignore_ascii_case(user.as_str()))
    }

    /// Returns true for an active connection to a provider whose name can be one.
    pub fn is_active(&self) -> bool {
        self.status == "active" && self.provider.len() <= LONGEST_PROVIDER
    }

    pub fn last_synced(&self) -> Option<Timestamp> {
        self.last_synced_at.as_deref().and_then(|at| Timestamp::parse(at).ok())
    }

    /// Returns true if OW fetches this connection's data itself. It can miss data that reach the provider
    /// late.
    pub fn is_pulled(&self) -> bool {
        let mode = self.live_sync_mode.as_deref();
        self.is_active() && (mode == Some("pull") || (mode.is_none() && self.rest_pull))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_active_connections_that_ow_pulls_count_as_pulled() {
        let connection = |status: &str, mode: Option<&str>| ProviderConnection {
            user_id: None,
            provider: "oura".into(),
            status: status.into(),
            last_synced_at: None,
            rest_pull: true,
            live_sync_mode: mode.map(str::to_owned),
        };
        assert!(connection("active", Some("pull")).is_pulled());
        assert!(connection("active", None).is_pulled());
        assert!(!connection("active", Some("webhook")).is_pulled());
        assert!(!connection("revoked", Some("pull")).is_pulled());
    }
}
