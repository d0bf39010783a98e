//! A user's connection to a provider, as OW lists it.

use serde::Deserialize;

use crate::common::time::Timestamp;

/// A user's connection to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Connection {
    /// The provider's name, as OW's paths take it.
    pub provider: String,
    /// `active` or something else.
    pub status: String,
    /// When OW last fetched from the provider.
    #[serde(default)]
    pub last_synced_at: Option<String>,
    /// Whether OW fetches the data itself.
    #[serde(default)]
    pub rest_pull: bool,
    /// `pull` where OW does so in everyday operation.
    #[serde(default)]
    pub live_sync_mode: Option<String>,
}

impl Connection {
    /// Whether it delivers data.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    /// When OW last fetched from the provider, as far as that can be read.
    pub fn last_synced(&self) -> Option<Timestamp> {
        self.last_synced_at.as_deref().and_then(|at| Timestamp::parse(at).ok())
    }

    /// Whether OW fetches this connection's data by itself, and so may have missed what came late.
    pub fn is_pulled(&self) -> bool {
        let mode = self.live_sync_mode.as_deref();
        self.is_active() && (mode == Some("pull") || (mode.is_none() && self.rest_pull))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ow_pulls_itself_is_worth_asking_for_again() {
        let connection = |status: &str, mode: Option<&str>| Connection {
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
