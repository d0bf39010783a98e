//! Authorizations at providers that were begun a moment ago, so that a repeated request begins no other one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::patient::OwUser;
use crate::ow::connector::ProviderAuthorization;
use crate::secrets::token::TokenHash;

/// A third of the time after which OW forgets one: the rest is for the person at the provider.
const REUSED_FOR: Duration = Duration::from_mins(5);

/// The person who connects a device, the provider, and the browser; none for an API client.
pub(crate) type AuthorizationKey = (OwUser, String, Option<TokenHash>);

#[derive(Debug, Clone, Default)]
pub struct OpenAuthorizations(Arc<Mutex<HashMap<AuthorizationKey, (ProviderAuthorization, Timestamp)>>>);

impl OpenAuthorizations {
    pub(crate) fn find(&self, key: &AuthorizationKey, now: Timestamp) -> Option<ProviderAuthorization> {
        let mut open = self.0.lock();
        open.retain(|_, (_, begun)| *begun <= now && now.since(*begun) < REUSED_FOR);
        open.get(key).map(|(authorization, _)| authorization.clone())
    }

    pub(crate) fn insert(&self, key: AuthorizationKey, begun: ProviderAuthorization, now: Timestamp) {
        self.0.lock().insert(key, (begun, now));
    }

    /// Forgets all: a new configuration may name another OW.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
