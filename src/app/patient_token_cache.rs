//! In-memory cache of the patients' OAuth tokens for JHE, with a lock per patient for refreshing them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::common::time::Timestamp;
use crate::jhe::invitation::PersonTokens;
use crate::model::patient::PatientId;

/// A token is refreshed in the last tenth of its life. JHE's tokens live two weeks.
const REFRESH_IN_LAST: u32 = 10;

#[derive(Debug, Clone, Default)]
pub struct PatientTokens {
    pub(crate) known: Arc<Mutex<BTreeMap<i64, PatientToken>>>,
    /// One lock per patient: a refresh token works only once, so refreshes must not overlap.
    refresh_locks: Arc<Mutex<BTreeMap<i64, RefreshLock>>>,
}

type RefreshLock = Arc<tokio::sync::Mutex<()>>;

impl PatientTokens {
    pub(crate) fn refresh_lock(&self, patient: PatientId) -> RefreshLock {
        self.refresh_locks.lock().entry(patient.get()).or_default().clone()
    }
}

/// A patient's access and refresh token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PatientToken {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    /// Microseconds since the Unix epoch.
    pub(crate) refresh_at: i64,
    pub(crate) client_id: String,
}

impl std::fmt::Debug for PatientToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PatientToken(… of {})", self.client_id)
    }
}

impl PatientToken {
    pub(crate) fn new(granted: &PersonTokens, now: Timestamp) -> Self {
        Self {
            access: granted.access.expose_secret().to_owned(),
            refresh: granted.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
            refresh_at: now.plus(granted.life * (REFRESH_IN_LAST - 1) / REFRESH_IN_LAST).micros(),
            client_id: granted.client_id.clone(),
        }
    }
}
